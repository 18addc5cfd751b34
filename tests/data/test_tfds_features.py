"""Which feature of a TFDS set is the image and which the label, and how its pixels are read."""

from types import SimpleNamespace

import numpy as np
import pytest

from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.pixels import UnsuitableError, to_8_bits
from ablation.data.sources.tfds_features import image_and_label
from sources_support import examples, no_progress
from test_tfds import make, tfds_config


@pytest.fixture(scope="module")
def features():
    return pytest.importorskip("tensorflow_datasets").features


def info(kinds, supervised=None):
    from tensorflow_datasets import features

    return SimpleNamespace(features=features.FeaturesDict(kinds), supervised_keys=supervised)


@pytest.mark.parametrize("supervised", [None, ("image", "label"), ("label", "image")])
def test_one_image_and_one_label_are_found_whatever_tfds_supervises(features, supervised):
    kinds = {
        "image": features.Image(),
        "label": features.ClassLabel(num_classes=3),
        "file_name": features.Text(),
    }
    assert image_and_label(info(kinds, supervised)) == ("image", "label")


def test_of_several_the_supervised_ones_are_meant_then_those_of_the_usual_name(features):
    label = features.ClassLabel(num_classes=3)
    kinds = {"image": features.Image(), "label": label, "coarse_label": label}
    assert image_and_label(info(kinds)) == ("image", "label")
    assert image_and_label(info(kinds, ("image", "coarse_label"))) == ("image", "coarse_label")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: {"label": f.Text()}, "no class label among its features"),
        (lambda f: {"image": f.Text()}, "no image among its features"),
        (lambda f: {"image": f.Video((None, 4, 4, 3))}, "no image"),
        (lambda f: {"image": f.LabeledImage(labels=3, shape=(4, 4, 1))}, "no image"),
        (lambda f: {"image": f.Image(shape=(4, 4, 13), dtype=np.uint8)}, "13 channels"),
        (lambda f: {"label": f.ClassLabel(num_classes=1)}, "one class"),
        (lambda f: {"label": f.Sequence(f.ClassLabel(num_classes=3))}, "no class label"),
        (
            lambda f: (
                {"label": f.Text(), "a": f.ClassLabel(num_classes=2)}
                | {"b": f.ClassLabel(num_classes=2)}
            ),
            "any of its labels may be meant: a, b",
        ),
    ],
)
def test_a_set_that_classifies_no_images_says_why(features, change, words):
    kinds = {"image": features.Image(), "label": features.ClassLabel(num_classes=3)}
    kinds |= change(features)
    with pytest.raises(UnsuitableError, match=words):
        image_and_label(info(kinds))


def test_what_is_supervised_but_no_class_is_refused(features):
    kinds = {"image": features.Image(), "label": features.ClassLabel(num_classes=3)}
    kinds["steering"] = features.Tensor(shape=(), dtype=np.float32)
    with pytest.raises(UnsuitableError, match="steering"):
        image_and_label(info(kinds, ("image", "steering")))


@pytest.mark.parametrize(
    ("dtype", "greatest", "pixels", "expected"),
    [
        (np.float32, 1.0, [0, 0.25, 0.5, 1], [0, 64, 128, 255]),
        (np.float32, 0.5, [0, 0.25], [0, 64]),  # A dark set stays dark.
        (np.float32, 255.0, [0, 64.4, 255], [0, 64, 255]),
        (np.uint16, 65535, [0, 0x8040], [0, 0x80]),
        (np.uint16, 4095, [0, 4095, 2048], [0, 255, 128]),
    ],
)
def test_deep_and_float_pixels_become_8_bits(dtype, greatest, pixels, expected):
    found = to_8_bits(np.dtype(dtype), 0, greatest)(np.array(pixels, dtype))
    assert found.dtype == np.uint8
    assert found.tolist() == expected


@pytest.mark.parametrize(("least", "greatest"), [(-1.0, 1.0), (0.0, 10.0), (0.0, 1000.0)])
def test_floats_of_another_range_are_refused_with_it(least, greatest):
    with pytest.raises(UnsuitableError, match=f"floats from {least:g} to {greatest:g}"):
        to_8_bits(np.dtype(np.float32), least, greatest)


def test_float_images_of_a_set_keep_their_brightness(features, tmp_path):
    image = np.full((4, 4, 1), 0.25, np.float32)
    feature = features.Image(shape=(4, 4, 1), dtype=np.float32)
    dataset = make("tiny_floats", tmp_path / "sets", lambda i: image, feature)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert (built.images("train") == 64).all()


def prepared(set_name, labels, directory):
    """Has TFDS prepare a set with some labels a split; -1 is how it marks an unlabelled image."""
    import tensorflow_datasets as tfds

    class Some(tfds.core.GeneratorBasedBuilder):
        name = set_name
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            kinds = {
                "image": tfds.features.Image(shape=(4, 4, 3)),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
            features = tfds.features.FeaturesDict(kinds)
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in labels}

        def _generate_examples(self, split):
            for i, label in enumerate(labels[split]):
                yield i, {"image": np.zeros((4, 4, 3), np.uint8), "label": label}

    Some(data_dir=directory).download_and_prepare()
    return tfds_config(set_name, directory)


def test_images_without_a_label_are_left_out_and_counted(features, tmp_path):
    labels = {"train": [0, -1, 1, -1, 0], "test": [0, 1]}
    dataset = prepared("half_labelled", labels, tmp_path / "sets")
    rows = examples(sources.open_source(dataset), "train")
    assert [row.reason for row in rows].count("no label") == 2
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.count("train") == 3
    assert [(one["reason"], one["count"]) for one in built.left_out] == [("no label", 2)]


def test_a_split_without_any_label_is_one_line(features, tmp_path):
    dataset = prepared("unlabelled_test", {"train": [0, 1, 0], "test": [-1, -1]}, tmp_path / "sets")
    with pytest.raises(UserError, match="label") as error:
        cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert "\n" not in str(error.value) and "test" in str(error.value)

import socket
import sys
from concurrent import futures
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.sources.tfds import tfds_dir
from sources_support import config, examples, no_progress, save


def register(set_name, draw, feature=None):
    """Registers a set of 10 training and 4 test images, in two classes by turns."""
    import tensorflow_datasets as tfds

    class Tiny(tfds.core.GeneratorBasedBuilder):
        name = set_name
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = feature or tfds.features.Image(shape=(None, None, 3))
            label = tfds.features.ClassLabel(names=["even", "odd"])
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"image": image, "label": label}),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(range(10)),
                "test": self._generate_examples(range(100, 104)),
            }

        def _generate_examples(self, numbers):
            for i in numbers:
                yield i, {"image": draw(i), "label": i % 2}


def make(set_name, directory, draw, feature=None, **download):
    """Registers a set and has TFDS prepare it; returns its configuration."""
    import tensorflow_datasets as tfds

    register(set_name, draw, feature)
    builder = tfds.builder(set_name, data_dir=directory)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**download))
    return tfds_config(set_name, directory)


def tfds_config(name, directory, train="train", val="test"):
    keys = {"train_split": train, "val_split": val, "data_dir": str(directory)}
    return config("tfds", name=name, **keys)


def filled(value):
    return np.full((5, 7, 3), value, np.uint8)


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def online(monkeypatch):
    """Lets every host be found; the sets that these tests prepare need none."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])


@pytest.fixture(scope="module")
def tiny_dir(tfds, tmp_path_factory):
    """Returns where tiny_numbers lies: its image i is filled with the value i."""
    directory = tmp_path_factory.mktemp("tfds")
    make("tiny_numbers", directory, filled)
    return directory


def open_tiny(directory, train, val):
    return sources.open_source(tfds_config("tiny_numbers", directory, train, val))


def numbers(source, split):
    """Returns the value that fills each image of a split."""
    rows = examples(source, split)
    values = [int(row.image[0, 0, 0]) for row in rows]
    for row, value in zip(rows, values, strict=True):
        assert (row.image == value).all()
        assert row.label == value % 2
    return values


@pytest.mark.parametrize(
    ("train", "val", "sizes"),
    [
        ("train", "test", (10, 4)),
        ("train[:80%]", "train[80%:]", (8, 2)),
        ("train[:-3]", "train[-3:]", (7, 3)),
        ("train[:4]+train[6:]", "train[4:6]", (8, 2)),
        ("train[5:]", "train[:5]+test", (5, 9)),
        ("test", "train", (4, 10)),
    ],
)
def test_disjoint_tfds_splits_hold_each_image_once(train, val, sizes, tiny_dir):
    source = open_tiny(tiny_dir, train, val)
    read = numbers(source, "train"), numbers(source, "val")
    assert (len(read[0]), len(read[1])) == sizes
    every = {*range(10), *range(100, 104)} if "test" in train + val else set(range(10))
    assert sorted(read[0] + read[1]) == sorted(every)


def test_tfds_classes_channels_and_shapes_are_those_of_the_set(tiny_dir):
    source = open_tiny(tiny_dir, "train", "test")
    assert (source.classes, source.channels) == (("even", "odd"), 3)
    shapes = {(row.image.shape, row.image.dtype.name) for row in examples(source, "train")}
    assert shapes == {((5, 7, 3), "uint8")}


def test_tfds_images_come_in_the_same_order_every_time(tfds, tmp_path):
    # Several files, whose order could differ.
    dataset = make("tiny_shards", tmp_path, filled, num_shards=3)
    assert tfds.builder("tiny_shards", data_dir=tmp_path).info.splits["train"].num_shards == 3
    source = sources.open_source(dataset)
    first = numbers(source, "train")
    assert numbers(source, "train") == first
    assert numbers(sources.open_source(dataset), "train") == first
    part = sources.open_source(replace(dataset, train_split="train[:8]"))
    assert numbers(part, "train") == first[:8]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "train"),
        ("train", "train[90%:]"),
        ("train[:80%]", "train[70%:]"),
        ("train[:6]", "train[5:]"),
        ("train[-3:]", "train[:8]"),
        ("train+test", "test"),
        ("test", "train+test[3:]"),
    ],
)
def test_tfds_splits_that_share_images_are_rejected(train, val, tiny_dir):
    with pytest.raises(UserError, match=r"share images of (train|test)") as error:
        open_tiny(tiny_dir, train, val).split("train")
    assert f"dataset.train_split={train} and dataset.val_split={val}" in str(error.value)


@pytest.mark.parametrize(
    ("train", "val", "complaint"),
    [
        ("training", "test", r"dataset\.train_split=training is not a split.*train, test"),
        ("train", "validation", r"dataset\.val_split=validation is not a split.*train, test"),
        ("train[:80]%", "test", r"dataset\.train_split=.* is not a split"),
        ("train", "test[:300%]", r"dataset\.val_split=.* is not a split"),
        ("train[:99]", "test", r"dataset\.train_split=.* is not a split"),
        ("train[:0]", "test", r"dataset\.train_split=train\[:0\] holds no images"),
        ("train", "test[:1%]", r"dataset\.val_split=test\[:1%\] holds no images"),
        (None, "test", r"dataset\.train_split must be a TFDS split"),
        ("train", None, r"dataset\.val_split must be a TFDS split"),
        pytest.param(
            *("train[5:3]", "test", r"dataset\.train_split=train\[5:3\] holds no images"),
        ),
    ],
)
def test_a_wrong_tfds_split_is_named_in_one_line(train, val, complaint, tiny_dir):
    with pytest.raises(UserError, match=complaint) as error:
        open_tiny(tiny_dir, train, val).split("train")
    assert "\n" not in str(error.value)


def open_named(name, directory):
    return sources.open_source(tfds_config(name, directory))


@pytest.mark.parametrize(
    ("typo", "meant"), [("cifra10", "cifar10"), ("cats_vs_dog", "cats_vs_dogs"), ("minst", "mnist")]
)
def test_an_unknown_tfds_name_suggests_a_known_one(typo, meant, tfds, tmp_path):
    with pytest.raises(UserError, match=rf"dataset\.name={typo} .*\b{meant}\b"):
        open_named(typo, tmp_path)


@pytest.mark.parametrize("name", ["cifar10/gone", "cifar10:9.9.9", "two words", "a/b/c"])
def test_a_tfds_config_version_or_name_that_is_not_there_is_a_user_error(name, tfds, tmp_path):
    with pytest.raises(UserError, match=name):
        open_named(name, tmp_path)


def test_a_set_of_tfds_without_tensorflow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="pip install tensorflow") as caught:
        sources.open_source(tfds_config("mnist", tmp_path))
    assert "dataset=folder" in str(caught.value)


def test_a_set_that_classifies_no_images_is_rejected(tfds, tmp_path):
    with pytest.raises(UserError, match=r"imdb_reviews is not an image classification.*text"):
        open_named("imdb_reviews", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_download_is_explained_and_leaves_no_new_folder(
    existed, online, tfds, tmp_path, monkeypatch
):
    def fail(builder, **_):
        Path(builder.data_dir).mkdir(parents=True)
        raise ConnectionError("no route to host\nmore lines")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    directory = tmp_path / "sets"
    if existed:
        (directory / "other_set").mkdir(parents=True)
    source = open_named("mnist", directory)
    with pytest.raises(UserError, match=r"mnist is not in .* no route to host") as error:
        source.split("train")
    message = str(error.value)
    assert "dataset.data_dir" in message
    assert "dataset=digits" in message
    assert "\n" not in message
    assert (directory / "other_set").exists() == directory.exists() == existed


def test_what_others_prepare_meanwhile_survives_a_failed_download(
    online, tfds, tmp_path, monkeypatch
):
    directory = tmp_path / "sets"
    others = (directory / "cifar10" / "3.0.2" / "a", directory / "downloads" / "b")

    def fail(builder, **_):
        for file in others:
            file.parent.mkdir(parents=True)
            file.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    source = open_named("mnist", directory)
    with pytest.raises(KeyboardInterrupt):
        source.split("train")
    assert all(file.exists() for file in others)
    assert not (directory / "mnist").exists()


def test_without_a_network_the_error_comes_at_once(tfds, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: None)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    with pytest.raises(UserError, match="no such host"):
        open_named("mnist", tmp_path / "new").split("train")
    assert not (tmp_path / "new").exists()


def test_the_data_dir_is_the_key_then_the_variable_then_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    default = config("tfds")
    assert tfds_dir(default) == tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/variable")
    assert tfds_dir(default) == tmp_path / "variable"
    assert tfds_dir(config("tfds", data_dir="~/key")) == tmp_path / "key"


def test_a_set_that_tfds_prepares_now_is_found_afterwards(online, tfds, tmp_path):
    register("tiny_new", filled)
    dataset = tfds_config("tiny_new", tmp_path / "sets")
    assert cache.find(dataset, tmp_path / "cache") is None
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert cache.find(dataset, tmp_path / "cache") == built
    assert sorted(built.images("train")[:, 0, 0, 0]) == list(range(10))
    assert np.array_equal(built.images("val")[:, 3, 3, 2] % 2, built.labels("val"))


def test_a_sweep_that_starts_after_anothers_download_shares_its_cache(online, tfds, tmp_path):
    register("tiny_shared", filled)
    order = tfds_config("tiny_shared", tmp_path / "sets"), tmp_path / "cache"
    others = []

    def start_another(what, done, total):
        if not others:
            others.append(pool.submit(cache.prepare, *order, no_progress))
            futures.wait(others, timeout=1)

    with futures.ThreadPoolExecutor() as pool:
        built = cache.prepare(*order, start_another)
        assert others[0].result(timeout=30) == built


@pytest.mark.parametrize(
    ("kind", "feature", "pixel", "stored"),
    [
        ("grey", {"shape": (4, 4, 1)}, [70], [70]),
        pytest.param(
            *("rgba", {"shape": (4, 4, 4)}, [10, 200, 100, 255], [10, 200, 100]),
        ),
        pytest.param(
            *("deep", {"shape": (4, 4, 1), "dtype": np.uint16}, [0x8040], [0x80]),
        ),
    ],
)
def test_a_tfds_image_keeps_its_colors_in_the_cache(kind, feature, pixel, stored, tfds, tmp_path):
    image = np.tile(np.array(pixel, feature.get("dtype", np.uint8)), (4, 4, 1))
    feature = tfds.features.Image(**feature, encoding_format="png")
    dataset = make(f"tiny_{kind}", tmp_path / "sets", lambda i: image, feature)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.input_shape == (8, 8, len(stored))
    assert (built.images("train") == stored).all()


def test_a_broken_tfds_image_is_skipped_and_counted(tfds, tmp_path):
    good, broken = tmp_path / "good.jpg", tmp_path / "broken.jpg"
    save(good)
    broken.write_bytes(good.read_bytes()[:100])
    draw = {3: str(broken)}
    dataset = make("tiny_broken", tmp_path / "sets", lambda i: draw.get(i, str(good)))
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.count("train") == 9
    assert [group["count"] for group in built.left_out] == [1]


@pytest.mark.parametrize(
    ("name", "classes", "some", "shape"),
    [
        ("mnist", 10, "7", (28, 28, 1)),
        ("cifar10", 10, "airplane", (32, 32, 3)),
        ("cats_vs_dogs", 2, "dog", (None, None, 3)),
    ],
)
def test_a_published_set_is_what_its_authors_say(name, classes, some, shape, tfds):
    dataset = config("tfds", name=name, train_split="train[:200]", val_split="train[200:220]")
    if not (tfds_dir(dataset) / name).is_dir():
        pytest.skip(f"{name} is not prepared in {tfds_dir(dataset)}")
    source = sources.open_source(dataset)
    assert len(source.classes) == classes
    assert some in source.classes
    assert source.channels == shape[-1]
    rows = examples(source, "train")
    assert len(rows) == 200
    assert {row.label for row in rows} == set(range(classes))
    for row in rows:
        assert row.image.dtype == np.uint8
        known = zip(row.image.shape, shape, strict=True)
        assert all(want in (None, got) for got, want in known)

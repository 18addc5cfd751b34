"""What a tuning run sees: a split of the training images, the same for all, without the others."""

import json

import numpy as np
import pytest

from ablation.config import UserError
from ablation.data import cache
from ablation.data.tuning_split import of_run


@pytest.fixture(scope="module")
def digits(cache_dir, config):
    dataset = config("dataset.image_size=8", f"cache_dir={cache_dir}").dataset
    return cache.prepare(dataset, cache_dir, lambda *progress: None)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_the_training_images_are_parted_and_the_others_are_not_there(digits, config, share):
    split = of_run(config(f"tuning={share}"), digits)
    parts = [split.images(name)[:] for name in ("train", "val")]
    own = sorted(image.tobytes() for image in np.concatenate(parts))
    assert own == sorted(image.tobytes() for image in digits.images("train"))
    assert [split.count(name) for name in ("train", "val")] == list(map(len, parts))
    for name in ("train", "val"):
        assert len(split.labels(name)) == split.count(name) == len(split.images(name))


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_each_class_gives_the_same_share(digits, config, share):
    split = of_run(config(f"tuning={share}"), digits)
    whole = np.bincount(digits.labels("train"))
    judges = np.bincount(split.labels("val"))
    assert np.abs(judges - share * whole).max() <= 0.5
    assert split.meta["splits"]["val"]["per_class"] == judges.tolist()


def test_images_keep_their_labels(digits, config):
    split = of_run(config("tuning=0.1"), digits)
    known = {
        image.tobytes(): label
        for image, label in zip(digits.images("train"), digits.labels("train"), strict=True)
    }
    shown = zip(split.images("val")[:], split.labels("val"), strict=True)
    assert all(known[image.tobytes()] == label for image, label in shown)


def test_the_split_is_the_same_for_every_arm_and_seed(digits, config):
    runs = ("seed=1000000000", "seed=1000000001", "arch=56", "recipe.learning_rate=0.5")
    marks = {
        of_run(config("tuning=0.1", run), digits).meta["splits"]["val"]["fingerprint"]
        for run in runs
    }
    assert len(marks) == 1
    other = of_run(config("tuning=0.2"), digits).meta["splits"]["val"]["fingerprint"]
    assert other not in marks


def test_a_class_of_one_image_is_learned_from(tmp_path, config):
    images = np.arange(5 * 4).reshape(5, 2, 2, 1).astype(np.uint8)
    np.save(tmp_path / "train_images.npy", images)
    np.save(tmp_path / "train_labels.npy", np.array([0, 0, 0, 0, 1], np.int32))
    train = {"fingerprint": "x", "count": 5, "per_class": [4, 1]}
    meta = {"classes": ["a", "b"], "splits": {"train": train}}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    split = of_run(config("tuning=0.9"), cache.Cache(tmp_path))
    assert sorted(split.labels("train").tolist()) == [0, 1]


def test_a_share_without_an_image_is_refused(digits, config):
    with pytest.raises(UserError, match=r"tune.share=0.001 of the 1437 training images is none"):
        of_run(config("tuning=0.001"), digits)


def test_other_runs_see_the_data_set_as_it_is(digits, config):
    assert of_run(config(), digits) is digits

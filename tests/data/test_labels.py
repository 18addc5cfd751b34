"""Several labels an image: how they are read, learned and judged."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ablation import targets
from ablation.config import UserError
from ablation.data import cache
from ablation.data.augment import Draws, Tricks, smoothed
from ablation.data.kinds import NOUN
from ablation.targets.classes import Classes
from ablation.targets.labels import Labels, mean_average_precision
from ablation.training.losses import build_loss, training_metrics
from sources_support import config as dataset_of
from sources_support import no_progress, one_line

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 6, 6)).astype(np.uint8)
Y = (RNG.random((40, 3)) < [0.2, 0.5, 0.7]).astype(int)
THREE = Labels(("a", "b", "c"))


def test_it_is_the_macro_average_of_scikit_learn():
    scores = RNG.normal(Y, 1)
    expected = average_precision_score(Y, scores, average="macro")
    assert mean_average_precision(Y, scores) == pytest.approx(expected)


def test_a_label_that_no_image_has_counts_for_nothing():
    scores, none = RNG.normal(Y, 1), Y * [1, 1, 0]
    expected = average_precision_score(none[:, :2], scores[:, :2], average="macro")
    assert mean_average_precision(none, scores) == pytest.approx(expected)
    result = {"val_per_label": [8, 2, 0], "classes": THREE.outputs}
    result |= {"val_mean_average_precision": 0.5, "by_chance": {"mean_average_precision": 0.1}}
    assert "has c, so no mean counts it" in THREE.standing(result, NOUN)["caveats"]


def test_chance_is_the_mean_share_of_images_that_have_a_label():
    found = THREE.result(Y, RNG.normal(Y, 1))["by_chance"]["mean_average_precision"]
    assert found == pytest.approx(Y.mean(axis=0).mean())
    many = (RNG.random((20_000, 3)) < [0.2, 0.5, 0.7]).astype(int)
    noise = RNG.normal(size=many.shape)
    by_chance = THREE.result(many, noise)["by_chance"]["mean_average_precision"]
    assert mean_average_precision(many, noise) == pytest.approx(by_chance, abs=0.02)


def test_rows_of_0_and_1_are_labels_unless_each_has_one_1():
    assert targets.guessed([("y", Y)], "here") is Labels
    assert targets.guessed([("y", np.array([0, 1, 1]))], "here") is Classes
    with pytest.raises(UserError, match=r"one 1 in every row: .*argmax.*dataset.target=labels"):
        targets.guessed([("y", np.eye(3)[[0, 1, 2, 2]])], "here")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": 2 * Y}, ["y[", "is 2", "1 if the image has the label"]),
        ({"y": Y[:, 0]}, ["a row of 0 and 1 an example", "(40,)"]),
        ({"y": Y, "classes": ["a", "b"]}, ["classes names 2 labels, and an example has 3"]),
    ],
)
def test_what_are_no_labels_is_refused_in_one_line(arrays, words, tmp_path):
    np.savez(tmp_path / "data.npz", x=X, **arrays)
    dataset = dataset_of("arrays", path=str(tmp_path / "data.npz"), target="labels")
    said = one_line(lambda: cache.prepare(dataset, tmp_path / "cache", no_progress))
    assert all(word in said for word in words)


def test_labels_come_into_the_cache_as_rows(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y, classes=["a", "b", "c"])
    dataset = dataset_of("arrays", path=str(tmp_path / "data.npz"))
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    rows = np.concatenate([built.labels("train"), built.labels("val")])
    assert rows.shape == (40, 3) and rows.sum(axis=0).tolist() == Y.sum(axis=0).tolist()
    assert built.target(dataset).outputs == ("a", "b", "c")
    assert built.meta["splits"]["train"]["per_label"] == built.labels("train").sum(axis=0).tolist()


def test_each_label_is_smoothed_by_itself():
    labels = np.float32([[1, 0, 1]])
    np.testing.assert_allclose(smoothed(labels, 0.2, 2), [[0.9, 0.1, 0.9]], rtol=1e-6)
    images, weights = np.zeros((1, 2, 2, 1), np.float32), np.ones(3, np.float32)
    found = Tricks(label_smoothing=0.2).on_batch(images, labels, Draws(0, 0, 0), weights, 2)
    np.testing.assert_allclose(found[1], [[0.9, 0.1, 0.9]], rtol=1e-6)


def test_the_loss_is_the_mean_binary_cross_entropy_of_logits(config):
    settled = targets.settled(config("recipe.label_smoothing=0.1"), THREE).recipe
    assert settled.loss == "binary_cross_entropy" and training_metrics(settled, THREE) == []
    logits = np.float32([[2, -1, 0]])
    expected = np.mean(np.log1p(np.exp([-2, -1, 0])))
    loss = build_loss(settled, 3, THREE)(np.float32([[1, 0, 1]]), logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(UserError, match=r"class_weights=balanced is not for dataset.target=labels"):
        targets.settled(config("recipe.class_weights=balanced"), THREE)

"""A loss of the user's own, of values and of several labels: in training, validation and record."""

import numpy as np
import pytest

from ablation import targets
from ablation.data import cache
from ablation.training.predicting import Validation
from ablation.training.train import compiled_model, open_batches

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 4, 4)).astype(np.uint8)
LABELS = (X.mean(axis=(1, 2))[:, None] > [100, 130, 160]).astype(int)
VALUES = np.stack([X.mean(axis=(1, 2)) * 7 + 300, X[:, 0, 0] / 9], axis=1)
OWN = """
import keras
from keras import ops

def build(input_shape, classes):
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Dense(classes)(keras.layers.Flatten()(image)))

def absolute(values, outputs):
    return ops.mean(ops.abs(values - outputs), axis=-1)

def squared(labels, logits):
    return ops.mean((labels - ops.sigmoid(logits)) ** 2, axis=-1)
"""


@pytest.mark.parametrize(
    ("y", "name", "by_hand"),
    [
        (VALUES, "absolute", lambda labels, outputs: np.abs(labels - outputs).mean()),
        (LABELS, "squared", lambda labels, x: ((labels - 1 / (1 + np.exp(-x))) ** 2).mean()),
    ],
    ids=["values", "labels"],
)
def test_it_gets_standardised_values_and_rows_of_0_and_1(
    y, name, by_hand, config, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = f"own_{name}.py"  # A module of that name is loaded once.
    (tmp_path / file).write_text(OWN)
    np.savez(tmp_path / "data.npz", x=X, y=y)
    keys = ["dataset=arrays", "dataset.path=data.npz", "dataset.augment=none"]
    asked = config(
        *keys, f"arch={file}:build", f"recipe.loss={file}:{name}", "recipe.batch_size=16"
    )
    data = cache.prepare(asked.dataset, tmp_path / "cache", lambda *_: None)
    target = data.target(asked.dataset)
    asked = targets.settled(asked, target)
    batches, val = open_batches(asked, data)
    model = compiled_model(asked, data, 60)
    validation = Validation(val, target=target)
    validation.set_model(model)
    losses = []
    for epoch in range(30):
        images, labels = next(batches.epoch(epoch))
        expected = by_hand(labels, model.predict_on_batch(images))
        first = np.ravel(model.train_on_batch(images, labels))[0]
        if not epoch:
            assert first == pytest.approx(expected, rel=1e-5)
        logs = {}
        validation.on_epoch_end(epoch, logs)
        losses.append(logs["val_loss"])
    stored, outputs = validation.latest
    np.testing.assert_array_equal(stored, data.labels("val"))
    assert losses[-1] == pytest.approx(by_hand(target.to_learn(stored), outputs), rel=1e-5)
    assert losses[-1] < losses[0]
    assert [*logs] == ["val_loss", f"val_{target.tracked}"]

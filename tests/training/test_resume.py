"""A run that is stopped and goes on ends with the same bytes, whatever its recipe does."""

import pytest

from ablation.records import saves

TRICKS = (
    "recipe.mixup=0.2",
    "recipe.cutmix=1",
    "recipe.label_smoothing=0.1",
    "recipe.random_erasing=0.5",
    "recipe.trivial_augment=true",
    "recipe.class_weights=balanced",
    "recipe.ema=0.9",
    "recipe.global_clipnorm=1",
    "dataset.augment=crop_flip",
)
SMALL = "arch=own.py:build"
"""A net that is traced in a second, for what does not depend on the net."""

KEPT = ("diagnostics=true", "keep_checkpoints=1")

DROP_PATH = "parts.drop_path=true"
"""On JAX keras.random needs a seed."""

OWN = ("dataset.augment=own.py:noise", "recipe.loss=own.py:brier")

CODE = """
import keras
import numpy as np
from keras import ops


class DropPath(keras.layers.Layer):
    def call(self, x, training=False):
        if not training:
            return x
        kept = keras.random.uniform((ops.shape(x)[0], 1)) > 0.3  # No seed of its own.
        return x * ops.cast(kept, x.dtype) / 0.7


def build(input_shape, classes, *, plain: bool = True, drop_path: bool = False):
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    x = DropPath()(x) if drop_path else x
    return keras.Model(image, keras.layers.Dense(classes)(x))


def noise(images, rng):
    return np.clip(images + rng.normal(0, 9, images.shape), 0, 255)

def brier(labels, logits):
    return ops.sum((ops.softmax(logits) - labels) ** 2, axis=-1)
"""


@pytest.mark.parametrize(
    ("backend", "overrides"),
    [
        # One is stopped after its second epoch and goes on after the first.
        ("tensorflow", (*TRICKS, *KEPT, "parts.dropout=0.2", "epochs=3")),
        ("jax", (SMALL, *TRICKS)),
        ("torch", (SMALL, *TRICKS, DROP_PATH)),
        (
            "tensorflow",
            (SMALL, *OWN, DROP_PATH, "recipe.schedule=one_cycle", "recipe.optimizer=lion"),
        ),
        (
            "tensorflow",
            (SMALL, "recipe.optimizer=schedulefreeadamw", "recipe.schedule=linear"),
        ),
    ],
    ids=["tensorflow", "jax", "torch", "own", "optimizer"],
)
def test_a_stopped_run_ends_with_the_same_bytes(backend, overrides, resumed, tmp_path, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CODE)
    untouched, _ = resumed(backend, *overrides)
    assert untouched["steps"] == 5 * untouched["epochs"]
    if set(KEPT) <= set(overrides):
        expected = (tmp_path / "untouched" / "diagnostics.csv").read_bytes()
        for name in ("stopped", "within"):
            assert (tmp_path / name / "diagnostics.csv").read_bytes() == expected
            assert set(saves.kept_weights(tmp_path / name / "weights")) == {1, 2, 3}

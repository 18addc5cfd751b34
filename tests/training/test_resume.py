"""A run that is stopped and goes on ends with the same bytes, whatever its recipe does."""

import pytest

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
OWN = ("dataset.augment=own.py:noise", "recipe.loss=own.py:brier", "parts.dropout=0.2")

CODE = """
import numpy as np
from keras import ops

def noise(images, rng):
    return np.clip(images + rng.normal(0, 9, images.shape), 0, 255)

def brier(labels, logits):
    return ops.sum((ops.softmax(logits) - labels) ** 2, axis=-1)
"""


@pytest.mark.parametrize(
    ("backend", "overrides"),
    [
        # It is stopped after its second epoch and goes on after the first.
        ("tensorflow", (*TRICKS, "epochs=3")),
        ("jax", TRICKS),
        ("torch", TRICKS),
        ("tensorflow", (*OWN, "recipe.schedule=one_cycle", "recipe.optimizer=lion")),
        ("tensorflow", ("recipe.optimizer=schedulefreeadamw", "recipe.schedule=linear")),
    ],
    ids=["tensorflow", "jax", "torch", "own", "optimizer"],
)
def test_a_stopped_run_ends_with_the_same_bytes(backend, overrides, resumed, tmp_path):
    pytest.importorskip(backend)
    (tmp_path / "own.py").write_text(CODE)
    untouched, _ = resumed(backend, *overrides)
    assert untouched["steps"] == 5 * untouched["epochs"]

"""One more schedule, augmentation or loss is one file; one more optimizer of Keras is none."""

import re
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest

import ablation
from ablation import targets
from ablation.config import UserError
from ablation.data import augmentations, cache
from ablation.recipes import losses, optimizers, schedules
from ablation.targets.value import Value
from ablation.training.losses import build_loss
from ablation.training.optimizers import build_optimizer
from ablation.training.train import open_batches
from ablation.validation import validated

ROOT = Path(ablation.__file__).parent
ROOMS = {
    "recipes/schedules.py": schedules.SCHEDULES,
    "data/augmentations.py": augmentations.AUGMENTATIONS,
    "recipes/losses.py": losses.LOSSES,
}
ELSEWHERE = {"constant", "none", "cross_entropy", "linear", "step", "cosine"}
"""The first change nothing and stand in the configuration too, others are words of other things."""


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_has_is_named_nowhere_else(room):
    words = "|".join(ROOMS[room].keys() - ELSEWHERE)
    naming = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if re.search(rf"\"({words})\"", path.read_text())
    ]
    assert naming == [room]


def test_a_schedule_is_a_function_and_a_line(config, monkeypatch):
    halved = schedules.Schedule(
        lambda recipe, steps: recipe.learning_rate / 2, needs=(("warmup_fraction", "0.1"),)
    )
    monkeypatch.setitem(schedules.SCHEDULES, "halved", halved)
    with pytest.raises(UserError, match=r"schedule=halved needs recipe.warmup_fraction"):
        validated(asdict(config("recipe.schedule=halved", "recipe.warmup_fraction=0")))
    asked = config("recipe.schedule=halved", "recipe.warmup_fraction=0.1")
    recipe = validated(asdict(asked)).recipe
    assert float(build_optimizer(recipe, 10).learning_rate) == np.float32(recipe.learning_rate / 2)


def test_an_augmentation_is_a_function_and_a_line(config, cache_dir, monkeypatch):
    made = augmentations.Augmentation(
        lambda pixels, drawn: 255 - pixels, lambda images, drawn: -images
    )
    monkeypatch.setitem(augmentations.AUGMENTATIONS, "negative", made)
    keys = [validated(asdict(config(f"dataset.augment={one}"))) for one in ("none", "negative")]
    built = cache.prepare(keys[0].dataset, cache_dir, lambda *_: None)
    (plain, labels), (turned, same) = (next(open_batches(one, built)[0].epoch(0)) for one in keys)
    np.testing.assert_array_equal(labels, same)
    scale, offset = vars(built.kind.affine(built, keys[0].dataset.normalisation)).values()
    pixels = (plain - offset) / scale
    np.testing.assert_allclose(turned, -((255 - pixels) * scale + offset), atol=1e-4)


def test_a_loss_is_a_function_and_a_line(config, monkeypatch):
    mae = losses.Loss("value", lambda shares: keras.losses.MeanAbsoluteError())
    monkeypatch.setitem(losses.LOSSES, "mae", mae)
    asked = validated(asdict(config("recipe.loss=mae")))
    target = Value(("a",), "", {"mean": [0.0], "std": [1.0]})
    loss = build_loss(targets.settled(asked, target).recipe, 1, target)
    assert float(loss(np.float32([[1], [3]]), np.float32([[2], [5]]))) == 1.5
    with pytest.raises(UserError, match=r"loss=mae is not for dataset.target=classes"):
        targets.settled(asked, targets.CLASSES)


def test_an_optimizer_is_there_as_soon_as_keras_has_it():
    every = {
        name.lower()
        for name in dir(keras.optimizers)
        if isinstance(kind := getattr(keras.optimizers, name), type)
        and issubclass(kind, keras.optimizers.Optimizer)
    }
    wrappers = {"optimizer", "lossscaleoptimizer", "multioptimizer"}
    assert set(optimizers.names()) == every - wrappers

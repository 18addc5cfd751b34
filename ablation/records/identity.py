"""What identifies a run: all that departs from neutral levels which never change.

A key that the project gains later is neutral in every run that was trained before it, so that
nothing is renamed. No TensorFlow.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ablation import recipes
from ablation.config import Config, DatasetConfig, flatten, result_keys
from ablation.factors import find_level, spelled

NEUTRAL: dict[str, Any] = {
    "dataset.train_split": None,
    "dataset.val_split": None,
    "dataset.resize": "stretch",
    "dataset.augment": "none",
    "dataset.normalisation": "unit",
    "recipe.momentum": 0.0,
    "recipe.weight_decay": 0.0,
    "recipe.clipnorm": None,
    "recipe.clipvalue": None,
    "recipe.global_clipnorm": None,
    "recipe.ema": 0.0,
    "recipe.schedule": "constant",
    "recipe.warmup_fraction": 0.0,
    "recipe.warmup_learning_rate": 0.0,
    "recipe.milestones": [],
    "recipe.milestone_factor": 0.1,
    "recipe.loss": "cross_entropy",
    "recipe.label_smoothing": 0.0,
    "recipe.class_weights": "none",
    "recipe.mixup": 0.0,
    "recipe.cutmix": 0.0,
    "recipe.random_erasing": 0.0,
    "recipe.trivial_augment": False,
    "backend": "tensorflow",
    "precision": "float32",
    "deterministic": True,
    "tuning": 0.0,
    "draw": 0,
}
"""The level of each key at which it changes nothing. A new key joins with the level that stands for
how it was before; no level is ever changed, whatever becomes the default. Those of a network's
parts stand beside the network."""

_NAMED_OPTIONS = ("train_split", "val_split")
"""Options of sources that an identity names, as it did before sources had any of their own. What
came of all others, the fingerprint of the images says."""

_OF_THE_NETWORK = ("arch", "parts")


def switches_off(key: str, level: Any) -> bool:
    """Returns whether at a level a key of the recipe, or the augmentation, does nothing.

    Args:
        key: joined by dots.
        level: as it was typed, or as the configuration has it.
    """
    off = NEUTRAL.get(key, ...)
    if not key.startswith(("recipe.", "dataset.augment")) or off not in (0.0, None, "none"):
        return False
    return find_level(spelled(level), [spelled(off)]) is not None


def identity_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `result_keys` in one canonical form.

    Of a data set, the options of its source are left out but for `_NAMED_OPTIONS`. Of a recipe,
    what its optimizer or schedule does not read counts as not set.
    """
    keys = result_keys(config)
    named = {*vars(DatasetConfig()), *_NAMED_OPTIONS}
    keys["dataset"] = {key: value for key, value in keys["dataset"].items() if key in named}
    return keys | {"recipe": recipes.settled(keys["recipe"])}


def departures(config: Config) -> dict[str, Any]:
    """Returns the canonical keys of a configuration that are not neutral, joined by dots.

    The network's own keys are left out.
    """
    keys = {
        key: of for key, of in identity_keys(asdict(config)).items() if key not in _OF_THE_NETWORK
    }
    return {
        key: value
        for key, value in flatten(keys).items()
        if key not in NEUTRAL or value != NEUTRAL[key]
    }


def identity(
    config: Config,
    network: dict[str, Any],
    fingerprint: str,
    code: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Returns 8 hex digits of the hash of all that decides a result.

    Args:
        config: the resolved configuration.
        network: what identifies the network: its name and the parts that are not neutral; of a
            user's own, its code.
        fingerprint: of the data.
        code: of the user's other functions, by the key that names one; see `OWN_KEYS`. It stands
            for the place where the function lies.
    """
    keys = departures(config)
    for key, source in (code or {}).items():
        keys[key] = {"function": keys[key].rpartition(":")[2], "source": dict(source)}
    facts = json.dumps([keys, network, fingerprint], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:8]

"""What identifies a run: all that departs from neutral levels which never change.

A key that the project gains later is neutral in every run that was trained before it, so that
nothing is renamed. No TensorFlow.
"""

import hashlib
import json
from typing import Any

from ablation.config import flatten, identity_keys

NEUTRAL: dict[str, Any] = {
    "plain": False,
    "shortcut": "none",
    "preact": False,
    "stride_on": "none",
    "dataset.train_split": None,
    "dataset.val_split": None,
    "dataset.augment": "none",
    "dataset.normalisation": "unit",
    "recipe.momentum": 0.0,
    "recipe.weight_decay": 0.0,
    "recipe.clipnorm": None,
    "recipe.schedule": "constant",
    "recipe.warmup_fraction": 0.0,
    "recipe.warmup_learning_rate": 0.0,
    "recipe.milestones": [],
    "recipe.milestone_factor": 0.1,
    "backend": "tensorflow",
    "precision": "float32",
    "deterministic": True,
}
"""The level of each key at which it changes nothing. A new key joins with the level that stands for
how it was before; no level is ever changed, whatever becomes the default."""


def departures(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the canonical keys of a configuration that are not neutral, joined by dots."""
    keys = flatten(identity_keys(config)).items()
    return {key: value for key, value in keys if key not in NEUTRAL or value != NEUTRAL[key]}


def identity(config: dict[str, Any], fingerprint: str) -> str:
    """Returns 8 hex digits of the hash of all that decides a result.

    Args:
        config: the resolved configuration.
        fingerprint: of the data.
    """
    facts = json.dumps([departures(config), fingerprint], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:8]

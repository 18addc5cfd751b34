"""What identifies a run: all that departs from neutral levels which never change.

A key that the project gains later is neutral in every run that was trained before it, so that
nothing is renamed. No TensorFlow.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ablation.config import Config, flatten, identity_keys

NEUTRAL: dict[str, Any] = {
    "dataset.train_split": None,
    "dataset.val_split": None,
    "dataset.resize": "stretch",
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
how it was before; no level is ever changed, whatever becomes the default. Those of a network's
parts stand beside the network."""

_OF_THE_NETWORK = ("arch", "parts")


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


def identity(config: Config, network: dict[str, Any], fingerprint: str) -> str:
    """Returns 8 hex digits of the hash of all that decides a result.

    Args:
        config: the resolved configuration.
        network: what identifies the network: its name and the parts that are not neutral; of a
            user's own, its code.
        fingerprint: of the data.
    """
    facts = json.dumps([departures(config), network, fingerprint], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:8]

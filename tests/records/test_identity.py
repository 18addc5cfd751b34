"""A finished run keeps its name, whatever becomes of the program."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from ablation.config import COMMAND_KEYS, Config, flatten
from ablation.records import identity as module
from ablation.records.identity import NEUTRAL, departures, identity

RECORDED = json.loads(Path(__file__).with_name("identities.json").read_text())
"""Never edited: a new identity of an old run would train it anew. New cases may join."""

ALWAYS = {"arch", "seed", "epochs", "dataset.name", "dataset.source", "dataset.image_size"}
ALWAYS |= {"recipe.optimizer", "recipe.learning_rate", "recipe.batch_size"}
NO_PART = {"dataset.data_dir", "dataset.path", "recipe.name"}


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: " ".join(one["overrides"]))
def test_recorded_identities_hold(config, recorded):
    assert identity(config(*recorded["overrides"]), "fingerprint") == recorded["identity"]


def test_a_key_that_is_added_renames_nothing(config, monkeypatch):
    before = [identity(config(*one["overrides"]), "fingerprint") for one in RECORDED]
    monkeypatch.setitem(NEUTRAL, "label_smoothing", 0.0)
    monkeypatch.setitem(NEUTRAL, "recipe.nesterov", False)
    configs = [config(*one["overrides"]) | {"label_smoothing": 0.0} for one in RECORDED]
    for one in configs:
        one["recipe"] |= {"nesterov": False}
    assert [identity(one, "fingerprint") for one in configs] == before
    configs[0]["label_smoothing"] = 0.1
    assert identity(configs[0], "fingerprint") != before[0]


def test_another_default_renames_nothing(config):
    """Identity rests on levels frozen in code, not on what conf/ says today."""
    explicit = [f"{key}={value}" for key, value in NEUTRAL.items() if key.startswith("recipe.w")]
    assert explicit
    without = departures(config("recipe=sgd_clip"))
    assert departures(config("recipe=sgd_clip", *explicit)) == without


def test_every_key_that_decides_a_result_has_a_neutral_level_or_is_always_named():
    keys = {key for key in flatten(asdict(Config())) if key.split(".")[0] not in COMMAND_KEYS}
    assert keys == set(NEUTRAL) | ALWAYS | NO_PART
    assert not set(NEUTRAL) & (ALWAYS | NO_PART)


def test_other_images_are_another_run(config):
    assert identity(config(), "one") != identity(config(), "other")
    assert len(module.identity(config(), "one")) == 8

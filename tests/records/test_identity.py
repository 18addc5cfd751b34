"""A finished run keeps its name, whatever becomes of the program."""

import json
from dataclasses import asdict, make_dataclass, replace
from pathlib import Path

import pytest

from ablation.config import COMMAND_KEYS, Config, RecipeConfig, flatten
from ablation.data import sources
from ablation.networks import registry, signature
from ablation.records.identity import NEUTRAL, departures, identity

RECORDED = json.loads(Path(__file__).with_name("identities.json").read_text())
"""Never edited: a new identity of an old run would train it anew. New cases may join."""

ALWAYS = {"seed", "epochs", "dataset.name", "dataset.source", "dataset.image_size"}
ALWAYS |= {"recipe.optimizer", "recipe.learning_rate", "recipe.batch_size"}
NO_PART = {"dataset.data_dir", "dataset.path", "recipe.name"}
OPTIONS = {"dataset.data_dir", "dataset.path", "dataset.train_split", "dataset.val_split"}
"""Keys of a source, not of every data set."""


def _identity(config, fingerprint="fingerprint"):
    return identity(config, registry.record(config).identity, fingerprint)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda one: " ".join(one["overrides"]))
def test_recorded_identities_hold(config, recorded):
    assert _identity(config(*recorded["overrides"])) == recorded["identity"]


def test_a_key_that_is_added_renames_nothing(config, monkeypatch):
    before = [_identity(config(*one["overrides"])) for one in RECORDED]
    monkeypatch.setitem(NEUTRAL, "label_smoothing", 0.0)
    monkeypatch.setitem(NEUTRAL, "recipe.nesterov", False)
    recipe = make_dataclass("Recipe", [("nesterov", bool, False)], bases=(RecipeConfig,))
    wider = make_dataclass("Wider", [("label_smoothing", float, 0.0)], bases=(Config,))
    monkeypatch.setattr("ablation.config.RecipeConfig", recipe)
    configs = [
        wider(**vars(one) | {"recipe": recipe(**vars(one.recipe))})
        for one in (config(*recorded["overrides"]) for recorded in RECORDED)
    ]
    assert [_identity(one) for one in configs] == before
    assert _identity(replace(configs[0], label_smoothing=0.1)) != before[0]


def test_a_part_that_is_added_renames_nothing(config, monkeypatch):
    before = [_identity(config(*one["overrides"])) for one in RECORDED]
    read = signature.read

    def with_another(*arguments):
        found = read(*arguments)
        part = signature.Part(
            "drop", (bool,), (False, True), False, False, "drop", neutral=(False,)
        )
        return replace(found, parts=found.parts | {"drop": part})

    monkeypatch.setattr(signature, "read", with_another)
    monkeypatch.setattr(registry, "_named", registry._named.__wrapped__)
    assert [_identity(config(*one["overrides"])) for one in RECORDED] == before
    assert _identity(config("parts.drop=true")) != _identity(config())


def test_another_default_renames_nothing(config):
    """Identity rests on levels frozen in code, not on what conf/ says today."""
    explicit = [f"{key}={value}" for key, value in NEUTRAL.items() if key.startswith("recipe.w")]
    assert explicit
    without = departures(config("recipe=sgd_clip"))
    assert departures(config("recipe=sgd_clip", *explicit)) == without


def test_every_key_that_decides_a_result_has_a_neutral_level_or_is_always_named():
    keys = {key for key in flatten(asdict(Config())) if key.split(".")[0] not in COMMAND_KEYS}
    named = set(NEUTRAL) | ALWAYS | NO_PART
    assert keys - {"arch", "parts"} == named - OPTIONS


def test_of_what_a_source_is_asked_only_the_splits_of_old_are_part_of_an_identity(config):
    options = flatten({"dataset": asdict(sources.keys())}).keys()
    assert options >= OPTIONS
    for source in sources.SOURCES:
        dataset = sources.typed({"name": "name", "source": source})
        one = replace(config(), dataset=dataset)
        for key in sources.options(source):
            another = {float: 0.5, int: 7}.get(type(getattr(dataset, key)), "another")
            another = {"target": "value", "kind": "features", "files": "{}.png"}.get(key, another)
            other = replace(one, dataset=replace(dataset, **{key: another}))
            is_named = f"dataset.{key}" in OPTIONS - NO_PART
            assert (_identity(one) != _identity(other)) == is_named, key


@pytest.mark.parametrize("arch", ["34", "50", "20", "preact15"])
def test_every_part_of_the_named_networks_has_a_neutral_level(arch):
    assert all(part.neutral for part in registry.find(arch).parts.values())


def test_neutral_levels_are_frozen_apart_from_what_is_always_named():
    assert not set(NEUTRAL) & (ALWAYS | NO_PART)


def test_other_images_are_another_run(config):
    assert _identity(config(), "one") != _identity(config(), "other")
    assert len(_identity(config())) == 8

"""The claims of a command held against what it and its study train, before anything is trained."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ablation import claims
from ablation.config import RECORD_KEY, flatten
from ablation.designs import Arm
from ablation.designs.registry import DESIGNS, GRID
from ablation.factors import PARTS, labels, of_parts, spelled
from ablation.records import arm_names, asked, controls, store
from ablation.running.jobs import Expansion

Known = tuple[dict[str, Any], Mapping[str, Mapping[str, Any]]]
"""A configuration as config.yaml holds it, and what is on record of its network's parts."""


def check(
    file: claims.File,
    directory: Path,
    known: Sequence[Known],
    swept: Sequence[str],
    kinds: Iterable[str],
    arms: Sequence[str],
) -> None:
    """Raises UserError unless the study can answer every claim once the command has run.

    Args:
        file: of the claims.
        directory: of the study.
        known: of the jobs of the command and of the study's runs.
        swept: the keys that the command sweeps.
        kinds: of controls that the command trains.
        arms: what those of its design are called; see `named_arms`.
    """
    levels: dict[str, dict[str, None]] = {}
    for config, network in known:
        found = flatten(config) | labels(config["parts"], network)
        found |= {key: config[key]["name"] for key in ("dataset", "recipe")}
        for key, level in found.items():
            if key != "seed":
                levels.setdefault(key, {})[spelled(level)] = None
    of_keys = {key: list(of_key) for key, of_key in levels.items()}
    parts = [key for key in of_keys if key.startswith(PARTS)]
    factors = dict.fromkeys([*asked.factors(directory), *swept, *parts])
    there = dict.fromkeys([*kinds, *(one.kind for one in controls.controls(directory))])
    names = dict.fromkeys([*arms, *_arms_on_record(directory)])
    for claim in file.claims:
        claims.check(claim, of_keys, list(factors), list(names), list(there))


def named_arms(expansion: Expansion, design: str, known: Sequence[Known]) -> list[str]:
    """Returns what the arms of a command's design are called in its table, none of a grid.

    Args:
        expansion: of the command.
        design: its name.
        known: of its jobs, in order.
    """
    if design == GRID:
        return []
    of_arm = {
        job.arm: one for job, one in zip(expansion.jobs, known, strict=True) if job.control is None
    }
    arms = DESIGNS[design].arms(expansion.space)
    return _names([(arm, of_arm.get(place)) for place, arm in enumerate(arms)])


def _arms_on_record(directory: Path) -> list[str]:
    found: list[str] = []
    for planned in asked.designs(directory):
        if planned.design != GRID:
            pairs = zip(planned.arms, planned.runs, strict=True)
            found += _names([(arm, _first_known(directory, runs)) for arm, runs in pairs])
    return found


def _first_known(directory: Path, runs: Sequence[str]) -> Known | None:
    for run in runs:
        try:
            config = store.Stored(directory / run).config()
            return config, config[RECORD_KEY]["parts"]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            continue
    return None


def _names(arms: Sequence[tuple[Arm, Known | None]]) -> list[str]:
    """Returns what arms are called, each with a configuration if one is known."""
    parts = of_parts({one[0]["arch"]: one[1] for _, one in arms if one})
    found: list[str] = []
    for arm, one in arms:
        key = arm.factor
        if key is None:
            found.append(arm_names.arm_name(arm, "", None, found))
            continue
        config, network = one or ({"parts": {}}, {})
        shown = (flatten(config) | labels(config["parts"], network)).get(key, arm.levels[key])
        named = arm_names.title(key, arm.levels, parts)
        found.append(arm_names.arm_name(arm, named, arm_names.shown(shown), found))
    return found

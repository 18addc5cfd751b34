"""What the arms of a design, and the runs of a command, are called before there is a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from ablation.config import RECORD_KEY, Config, flatten
from ablation.designs import Arm
from ablation.designs.registry import DESIGNS, GRID
from ablation.factors import labels, of_parts
from ablation.networks import registry
from ablation.records import arm_names, asked, store
from ablation.records.store import Run
from ablation.running.jobs import Expansion

Known = tuple[dict[str, Any], Mapping[str, Mapping[str, Any]]]
"""A configuration as config.yaml holds it, and what is on record of its network's parts."""

_BESIDE_NAMES = ("recipe.", "dataset.")
"""Keys that a run's name does not tell but by its digest."""


def of_command(expansion: Expansion, configs: Sequence[Config]) -> list[str]:
    """Returns what the arms of a command's design are called in its table, none of a grid.

    Args:
        expansion: of the command.
        configs: of its jobs, in order.
    """
    design = configs[0].design.name
    if design == GRID:
        return []
    firsts: dict[int, Known] = {}
    for job, config in zip(expansion.jobs, configs, strict=True):
        if job.control is None and job.arm not in firsts:
            firsts[job.arm] = asdict(config), registry.record(config).parts
    arms = DESIGNS[design].arms(expansion.space)
    return _names([(arm, firsts.get(place)) for place, arm in enumerate(arms)])


def of_runs(expansion: Expansion, runs: Sequence[Run]) -> dict[str, str]:
    """Returns what tells a run from others where its name does not, by that name.

    In a grid these are levels of recipe and data, in other designs what its arm is called.

    Args:
        expansion: of the command.
        runs: of its jobs, in order.
    """
    arms = of_command(expansion, [run.config for run in runs])
    found: dict[str, str] = {}
    for job, run in zip(expansion.jobs, runs, strict=True):
        levels = [
            f"{key.rpartition('.')[2]}={level}"
            for key, level in job.levels.items()
            if key.startswith(_BESIDE_NAMES)
        ]
        said = [arms[job.arm]] if arms else levels
        said += [job.control.kind] if job.control else []
        if said:
            found.setdefault(run.name, ", ".join(said))
    return found


def on_record(directory: Path) -> list[str]:
    """Returns what the arms of all designs of a study are called, grids aside."""
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

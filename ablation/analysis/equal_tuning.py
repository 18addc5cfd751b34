"""Whether the arms of a comparison were tuned alike."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import is_near_chance
from ablation.analysis.tuning import ArmTuning, at_edge, ties
from ablation.factors import spelled
from ablation.records import store
from ablation.targets.common import Target


@dataclass(frozen=True)
class EqualTuning:
    """What was checked of the tuning of the arms that are compared.

    Attributes:
        arms: how many there are.
        grid: the values of each key, as they were typed, of the first arm.
        seeds: of a trial.
        epochs: of a trial.
        share: of the training images, those that judge.
        target: what the labels say.
        unequal: what differs between arms or is missing, a line each; empty means PASS.
        edges: whose best value is at an edge of what was tried, a line each.
        tied: where several values scored alike, a line each.
        failed: trials that failed or diverged, a line for each arm that has any.
        untrained: arms none of whose trials got away from chance, a line each.
    """

    arms: int
    grid: dict[str, list[str]]
    seeds: int
    epochs: int
    share: float
    target: Target
    unequal: tuple[str, ...]
    edges: tuple[str, ...]
    tied: tuple[str, ...]
    failed: tuple[str, ...]
    untrained: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether every arm had the same trials, and they say what was chosen."""
        return not self.unequal


def equal_tuning(comparison: Comparison) -> EqualTuning | None:
    """Returns whether the arms of a comparison were tuned alike, None if they were not tuned."""
    if not comparison.tuned:
        return None
    first = comparison.tuned[0].record
    named = [(one, name) for one in comparison.tuned for name in [_name(comparison, one)]]
    return EqualTuning(
        len(comparison.tuned),
        {key: [spelled(value) for value in values] for key, values in first.grid.items()},
        len(first.seeds),
        first.epochs,
        first.share,
        comparison.target,
        (*_differing(comparison), *(line for pair in named for line in _wrong(comparison, *pair))),
        tuple(line for pair in named for line in _edges(*pair)),
        tuple(line for pair in named for line in _ties(*pair)),
        tuple(line for pair in named for line in _failed(*pair)),
        tuple(line for pair in named for line in _untrained(*pair)),
    )


def _name(comparison: Comparison, one: ArmTuning) -> str:
    """Returns an arm as the table has it: its row and column."""
    runs = comparison.runs
    row = runs[runs["tuned_arm"] == one.record.arm].iloc[0]
    rows = [] if comparison.arms else [str(row[name]) for name in comparison.rows]
    return ", ".join([*rows, f"{comparison.prefix}{row['column']}"])


def _differing(comparison: Comparison) -> Iterator[str]:
    """Yields what of the tuning is not the same for every arm."""
    facts = {
        "values tried": lambda one: "; ".join(
            f"{key} {', '.join(map(spelled, values))}" for key, values in one.grid.items()
        ),
        "tuning seeds": lambda one: str(len(one.seeds)),
        "epochs of a trial": lambda one: str(one.epochs),
        "share of the training data": lambda one: f"{one.share:g}",
    }
    for what, said in facts.items():
        by_value: dict[str, list[str]] = {}
        for one in comparison.tuned:
            by_value.setdefault(said(one.record), []).append(_name(comparison, one))
        if len(by_value) > 1:
            yield f"{what}: {' / '.join(f'{of} ({_some(arms)})' for of, arms in by_value.items())}"


def _wrong(comparison: Comparison, one: ArmTuning, name: str) -> Iterator[str]:
    """Yields why an arm was not tuned as it should have been."""
    if one.missing:
        count = sum(len(trial) for trial in one.record.trials)
        yield f"{name}: {one.missing} of {count} tuning runs are missing or have not ended"
    elif not one.stands:
        yield f"{name}: the tuning runs, as they are now, say another value than was chosen"
    own = comparison.runs[comparison.runs["tuned_arm"] == one.record.arm]
    if (own["seed"] >= store.TUNING_SEEDS).any():
        yield f"{name}: a seed of its runs is one of those that tune"


def _edges(one: ArmTuning, name: str) -> Iterator[str]:
    keys = at_edge(one.record.grid, one.record.values)
    if keys:
        said = ", ".join(f"{key}={spelled(one.record.values[key])}" for key in keys)
        yield f"{name}: {said} is at the edge of what was tried, and a better one may lie beyond"


def _ties(one: ArmTuning, name: str) -> Iterator[str]:
    if one.record.chosen is not None:
        found = [_values(one, place) for place in ties(one.trials, one.record.chosen)]
        if found:
            yield f"{name}: {_values(one, one.record.chosen)} scored as {' and '.join(found)}"


def _failed(one: ArmTuning, name: str) -> Iterator[str]:
    count = sum(len(trial.failures) for trial in one.trials)
    if count:
        where = [_values(one, i) for i, trial in enumerate(one.trials) if trial.failures]
        none = "; so no value was chosen" if one.record.chosen is None else ""
        yield f"{name}: {count} failed or diverged, at {'; '.join(where)}{none}"


def _untrained(one: ArmTuning, name: str) -> Iterator[str]:
    """Yields that a value was chosen by noise, because no net of any trial has learned."""
    place = one.record.chosen
    if place is None:
        return
    trial = one.trials[place]
    # The value is chosen by a score, which need not be the skill.
    known = [each for each in one.trials if not math.isnan(each.skill - each.chance)]
    skills, chances = np.array([(each.skill, each.chance) for each in known]).reshape(-1, 2).T
    if known and is_near_chance(skills, chances).all():
        yield (
            f"{name}: no value got its trials away from chance (the best scored "
            f"{trial.target.of_epochs.value(trial.mean)}), so that noise has chosen"
        )


def _values(one: ArmTuning, place: int) -> str:
    values = one.trials[place].values
    return ", ".join(f"{key}={spelled(value)}" for key, value in values.items())


def _some(names: list[str], at_most: int = 4) -> str:
    more = len(names) - at_most
    return "; ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")

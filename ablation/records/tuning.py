"""What was tuned for each arm of a study, in its `study.json`: what was tried and what was chosen.

A tuning run is a run like others, on a split and at seeds of its own; see `data.tuning_split` and
`store.TUNING_SEEDS`.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ablation.config import CODE_KEY, RECORD_KEY, UserError, flatten, result_keys
from ablation.records import asked, store
from ablation.records.identity import NEUTRAL

_KEY = "tuning"


@dataclass(frozen=True)
class Tuned:
    """What was tried for one arm on one data set, and what was chosen.

    Attributes:
        arm: what its runs have in common, from `arm_of`.
        levels: of the factors of the command, by key, as they were typed.
        grid: the values of each key that is tuned, in the order named.
        share: of the training images, those that judge.
        seeds: of the trials.
        epochs: of a trial.
        trials: for each combination of values, in the order of `combinations`, the names of its
            runs, in the order of the seeds.
        chosen: the place of the combination that was chosen; None if none could be, because every
            trial had failed, or while they are trained.
        runs: the names of the runs that were trained with it.
        superseded: of those that an earlier choice was made for.
    """

    arm: str
    levels: Mapping[str, str]
    grid: Mapping[str, tuple[Any, ...]]
    share: float
    seeds: tuple[int, ...]
    epochs: int
    trials: tuple[tuple[str, ...], ...]
    chosen: int | None = None
    runs: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """What is tuned."""
        return tuple(self.grid)

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of values, the last key's changing first."""
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]

    @property
    def values(self) -> dict[str, Any]:
        """What was chosen, {} if nothing was."""
        return {} if self.chosen is None else self.combinations[self.chosen]

    @property
    def named(self) -> str:
        """The arm in words, "the only arm" where nothing is swept."""
        return ", ".join(f"{key}={level}" for key, level in self.levels.items()) or "the only arm"


def arm_of(config: Mapping[str, Any], keys: Sequence[str], fingerprint: str) -> str:
    """Returns 8 hex digits that the runs of one arm have in common, whatever is tuned.

    Args:
        config: of a run, as its config.yaml has it.
        keys: that are tuned.
        fingerprint: of the data, of which several sets may have one name.
    """
    # Not as an identity has it, where a tuned key may decide which others are read.
    facts = flatten(result_keys(config))
    facts = {key: of for key, of in facts.items() if NEUTRAL.get(key, ...) != of}
    for key in ("seed", "tuning", *keys):
        facts.pop(key, None)
    network = config[RECORD_KEY]["source"], config.get(CODE_KEY)
    text = json.dumps([facts, network, sorted(keys), fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def tuned(study: Path) -> list[Tuned]:
    """Returns what was tuned in a study, an item for each arm.

    Raises:
        UserError: the record of it is damaged, without which tables would mix what was tuned with
            what was not.
    """
    return _read(study, asked.get(study, _KEY))


def _read(study: Path, stored: Any) -> list[Tuned]:
    found = []
    try:
        for one in stored or []:
            grid = {key: tuple(map(asked.frozen, values)) for key, values in one["grid"].items()}
            trials = tuple(map(tuple, one["trials"]))
            lists = {key: tuple(one[key]) for key in ("seeds", "runs", "superseded")}
            item = Tuned(**one | lists | {"grid": grid, "trials": trials})
            if len(item.combinations) != len(trials):
                raise ValueError
            found.append(item)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UserError(
            f"{study / 'study.json'} is damaged: tuning does not say what was tried and chosen; "
            "take the key out of it, and the command that tuned decides again from what is trained."
        ) from None
    return found


def put(study: Path, items: Sequence[Tuned]) -> None:
    """Puts on record what is tuned, in place of what is there of the same arms.

    Runs that an earlier choice was made for, and that are not of the present one, are kept as
    superseded.

    Raises:
        UserError: the record is damaged.
    """
    asked.update(study, _KEY, lambda stored: _joined(_read(study, stored), items))


def earlier(records: Iterable[Tuned], one: Tuned) -> Tuned | None:
    """Returns what is on record of the same arm, None if nothing is.

    Trials tell no arms apart: one that reads nothing of what two arms differ in is of both.
    """
    return next((before for before in records if before.arm == one.arm), None)


def _joined(before: Sequence[Tuned], items: Sequence[Tuned]) -> list[dict[str, Any]]:
    known = {one.arm: one for one in before}
    for one in items:
        found = earlier(known.values(), one)
        runs, old = one.runs, one.superseded
        if found:
            del known[found.arm]  # What was decided last comes last.
            old = (*old, *found.superseded)
            same = found.values == one.values
            runs, old = ((*found.runs, *runs), old) if same else (runs, (*old, *found.runs))
        there = tuple(name for name in dict.fromkeys(old) if name not in runs)
        known[one.arm] = replace(one, runs=tuple(dict.fromkeys(runs)), superseded=there)
    return [_record(one) for one in known.values()]


def _record(one: Tuned) -> dict[str, Any]:
    return asdict(one) | {"grid": {key: list(values) for key, values in one.grid.items()}}


def is_unchosen(status: store.Status) -> bool:
    """Returns whether a run was never begun because no value could be chosen for its arm."""
    return status.state == store.FAILED and not status.attempt

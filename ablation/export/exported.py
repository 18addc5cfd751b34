"""What is exported of a study: one flat record a run, the same for every tracker."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.study import Study
from ablation.config import UserError
from ablation.factors import PARTS, spelled, varying_within
from ablation.records import durable, store
from ablation.targets import TARGETS
from ablation.text import readable, visible

FINAL = tuple(dict.fromkeys(name for kind in TARGETS.values() for name in kind().history))
"""What a complete run came to after its last epoch, whatever its labels say."""

COST = (
    "trainable",
    "total",
    "multiply_adds",
    "epochs",
    "steps",
    "examples_seen",
    "seconds_per_epoch",
    "seconds",
    "peak_memory_bytes",
)
"""What a complete run's network has, and what its training took."""

Level = bool | int | float | str

Track = Callable[[Sequence["ExportedRun"]], Iterable["ExportedRun"]]
"""Passes runs through and shows how many have passed."""

_LONGEST = 1e9
"""Seconds of an epoch; what is longer, or no number, is none that passed."""

_WHOLE_UNTIL = 2.0**53
"""Below it every whole number has a float of its own."""


@dataclass(frozen=True)
class ExportedRun:
    """A run as a tracker gets it.

    Attributes:
        name: of its directory, which holds its identity.
        study: name of its study.
        identity: 8 hex digits of all that decides its result.
        arm: which net of the study it is: its design's name for it, or the levels of what varies.
        dataset: name of the data set.
        seed: of the run.
        state: of the run, see `store`.
        reason: why it is not complete, "" if it is.
        start: of its latest attempt, in seconds since 1970, None if that is not on record.
        end: of its latest attempt.
        hyperparameters: the configuration's dotted keys that have a value.
        epochs: the finished ones.
        clock: when each of them ended, in seconds since 1970, had nothing come between them.
        curves: the columns of `history.csv`, one number an epoch, not always finite.
        final: `final/...`, what `FINAL` names, of a complete run.
        cost: `cost/...`, what `COST` names, of a complete run.
    """

    name: str
    study: str
    identity: str
    arm: str
    dataset: str
    seed: int
    state: str
    reason: str
    start: float | None
    end: float | None
    hyperparameters: Mapping[str, Level]
    epochs: tuple[int, ...]
    clock: tuple[float, ...]
    curves: Mapping[str, tuple[float, ...]]
    final: Mapping[str, float]
    cost: Mapping[str, float]

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of the hash of all of it: equal digests, nothing to export anew."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def facts(self) -> dict[str, str]:
        """What describes the run beside its numbers, for tags: none of them is empty."""
        facts = {
            "study": self.study,
            "arm": self.arm,
            "dataset": self.dataset,
            "seed": str(self.seed),
            "state": self.state,
            "reason": self.reason,
            "identity": self.identity,
            "run": self.name,
        }
        return {key: fact for key, fact in facts.items() if fact}


@dataclass(frozen=True)
class ExportedStudy:
    """A study as a tracker gets it.

    Attributes:
        name: of its directory.
        runs: all that could be read, by name.
        tuning: how many runs tuned an arm, which are left out.
        superseded: how many are of an earlier choice of what was tuned, which are left out too.
    """

    name: str
    runs: tuple[ExportedRun, ...]
    tuning: int = 0
    superseded: int = 0


@dataclass(frozen=True)
class Written:
    """What an export has done.

    Attributes:
        changed: how many runs it wrote; all others were there already.
        place: where they are now.
        look: what to type to see them.
    """

    changed: int
    place: str
    look: str


def exported(study: Study) -> ExportedStudy:
    """Returns what is exported of a study."""
    name = readable(study.directory.name)
    arms = _arms(study)
    columns = [column for column in study.runs if str(column).startswith("config.")]
    histories = dict(iter(study.history.groupby("run", sort=False)))
    runs = []
    for row in study.all_runs.to_dict("records"):
        history = histories.get(row["run"], study.history.iloc[:0])
        judged = study.targets[row["run"]].history
        epochs, curves = _curves(history, store.history_columns(judged)[1:])
        start, end = _times(study.directory / row["run"])
        levels = {column.removeprefix("config."): _level(row[column]) for column in columns}
        runs.append(
            ExportedRun(
                name=row["run"],
                study=name,
                identity=row["run"].rpartition("-")[2],
                arm=arms[row["run"]],
                dataset=visible(row["config.dataset.name"]),
                seed=int(row["seed"]),
                state=row["state"],
                reason=visible(row["reason"]),
                start=start,
                end=end,
                hyperparameters={key: one for key, one in levels.items() if one is not None},
                epochs=epochs,
                clock=_clock(start or 0.0, curves["seconds"]),
                curves=curves,
                final=_numbers("final/", FINAL, row),
                cost=_numbers("cost/", COST, row),
            )
        )
    tuning = len(store.tuning_directories(study.directory))
    return ExportedStudy(name, tuple(runs), tuning, len(study.superseded))


def _numbers(prefix: str, names: Sequence[str], row: Mapping[Any, Any]) -> dict[str, float]:
    """Returns those numbers of a result that there are."""
    return {f"{prefix}{name}": float(row[name]) for name in names if not pd.isna(row.get(name))}


def _curves(
    history: pd.DataFrame, columns: Sequence[str]
) -> tuple[tuple[int, ...], dict[str, tuple[float, ...]]]:
    """Returns the finished epochs of a run and its curves over them."""
    # A study of which no epoch is finished has the columns of no target.
    history = history.reindex(columns=["epoch", *columns])
    # A file that was written by hand may name no epoch.
    history = history[np.isfinite(history["epoch"])]
    curves = {column: tuple(history[column].tolist()) for column in columns}
    return tuple(map(int, history["epoch"])), curves


def _times(directory: Path) -> tuple[float | None, float | None]:
    """Returns when a run's latest attempt began and ended, None where nobody knows."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        status = durable.read_json(directory / "status.json")
        for key in ("start", "end"):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                found[key] = datetime.fromisoformat(status[key]).timestamp()
    return found.get("start"), found.get("end")


def _clock(start: float, seconds: tuple[float, ...]) -> tuple[float, ...]:
    ends = []
    for one in seconds:
        start += one if 0 <= one < _LONGEST else 0.0
        ends.append(start)
    return tuple(ends)


def _level(value: Any) -> Level | None:
    """Returns a value of the configuration, None where there is none."""
    if isinstance(value, str):
        return visible(value)
    if pd.isna(value):
        return None
    if isinstance(value, bool):
        return value
    # A column with a gap holds floats. What a number is called must not hang on other runs.
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < _WHOLE_UNTIL else number


def _varied(study: Study) -> list[str]:
    """Returns the factors of a study that have several levels, the architecture in any case."""
    rows = study.runs[["arch", *study.parts]].drop_duplicates().to_dict("records")
    of_parts = varying_within((row.pop("arch"), row) for row in rows)
    return [
        factor
        for factor in study.factors
        if factor == "arch" or of_parts.get(factor, len(study.levels[factor]) > 1)
    ]


def _arms(study: Study) -> dict[str, str]:
    """Returns what each run's net is called among the others of the study."""
    varied = _varied(study)
    arms = {row["run"]: _typed(study, varied, row) for row in study.all_runs.to_dict("records")}
    named: dict[str, str] = {}
    if study.designs or study.controls:
        with contextlib.suppress(UserError):  # A design without arms names none.
            for comparison in study.comparisons():
                if comparison.arms:
                    pairs = comparison.runs[["run", "column"]].itertuples(index=False, name=None)
                    named |= {run: visible(arm) for run, arm in pairs if run not in named}
                for one in comparison.controls:
                    named |= dict.fromkeys(one.runs["run"], visible(one.name))
    return arms | named


def _typed(study: Study, factors: Sequence[str], row: Mapping[Any, Any]) -> str:
    """Returns a run's levels of some factors as one would type them."""
    words = []
    for factor in factors:
        level = row[factor]
        if factor in study.parts:
            if not level.applies:
                continue  # This net has no such part, or it changes nothing.
            configured = _level(row.get(f"config.{factor}"))
            words.append(f"{factor.removeprefix(PARTS)}={spelled(configured)}")
        else:
            text = level if isinstance(level, str) else spelled(_level(level))
            words.append(f"{factor}={visible(text)}")
    return " ".join(words)

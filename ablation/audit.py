"""Whether the runs of one comparison may be compared: equal budget, confounds, holes."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ablation import store
from ablation.comparison import Comparison, levels

_BUDGET = {
    "epochs": "epochs",
    "history_epochs": "epochs finished",
    "steps": "optimizer steps",
    "examples_seen": "examples seen",
    "schedule_completed": "share of the learning-rate schedule",
    "train_fingerprint": "training images",
    "val_fingerprint": "validation images",
}

Differences = dict[str, dict[str, list[str]]]
"""What differs, its values, and the runs that have each."""


@dataclass(frozen=True)
class Audit:
    """What was checked before the runs of a comparison were compared.

    Attributes:
        runs: how many complete runs were checked.
        unequal: parts of the training budget in which they differ; empty means PASS.
        confounds: what else differs between them beside the factors and the seed.
        holes: cells and seeds that are not there, one line each.
    """

    runs: int
    unequal: Differences
    confounds: Differences
    holes: tuple[str, ...]

    @property
    def passes(self) -> bool:
        """Whether every compared run had the same budget, images and order."""
        return not self.unequal


def audit(comparison: Comparison) -> Audit:
    """Checks a comparison.

    Equal budget: epochs, optimizer steps, examples, the end of the schedule, no early stop, the
    same images and, for each seed, the same order. Confounds: everything in `provenance.json` that
    can change a result. Keys of the configuration cannot differ here but for factors and seed,
    because runs that differ in another key are another comparison.
    """
    complete = comparison.complete
    unequal = {
        name: _by_value(complete, key)
        for key, name in _BUDGET.items()
        if complete[key].nunique(dropna=False) > 1
    }
    for seed, runs in complete.groupby("seed"):
        if runs["order_sha256"].nunique(dropna=False) > 1:
            unequal[f"order of the images at seed {seed}"] = _by_value(runs, "order_sha256")
    facts = [key for key in complete.columns if key.startswith("provenance.")]
    confounds = {
        key.removeprefix("provenance."): _by_value(complete, key)
        for key in facts
        if complete[key].nunique(dropna=False) > 1
    }
    return Audit(len(complete), unequal, confounds, tuple(_holes(comparison)))


def _by_value(runs: pd.DataFrame, key: str) -> dict[str, list[str]]:
    return {
        str(value): list(group["run"])
        for value, group in runs.groupby(key, dropna=False, sort=False)
    }


def _holes(comparison: Comparison) -> Iterable[str]:
    """Yields what is not there: cells without runs, runs that are not complete, missing seeds."""
    seeds = set(comparison.runs["seed"])
    groups = dict(iter(comparison.runs.groupby(list(comparison.rows), sort=False)))
    values = (levels(name, comparison.runs[name]) for name in comparison.rows)
    for key in itertools.product(*values):
        factors = dict(zip(comparison.rows, key, strict=True))
        row = ", ".join(f"{name} {value}" for name, value in factors.items())
        columns = [column for column in comparison.columns if comparison.exists(factors, column)]
        if key not in groups:
            if columns:
                yield f"{row}: missing"
            continue
        row_runs = groups[key]
        for column in columns:
            runs = row_runs[row_runs["column"] == column]
            if runs.empty:
                yield f"{row}, {column}: missing"
                continue
            for _, run in runs[runs["state"] != store.COMPLETE].iterrows():
                reason = f" ({run['reason']})" if run["reason"] else ""
                yield f"{row}, {column}, seed {run['seed']}: {run['state']}{reason}"
            absent = sorted(seeds - set(runs["seed"]))
            if absent:
                yield f"{row}, {column}: no seed {', '.join(map(str, absent))}"

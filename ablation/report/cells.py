"""The tables of a report as text, cell by cell, for every writer alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import Effect
from ablation.analysis.metrics import Metric
from ablation.analysis.tables import ablation_table, cost_table, runs_table


@dataclass(frozen=True)
class Cells:
    """A table of text: a header and rows of equal length. Each writer escapes what it must."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def accuracy_cells(comparison: Comparison) -> Cells:
    """Returns the ablation table in the metric's units, n beside each number."""
    table, metric = ablation_table(comparison), comparison.metric
    differences = [comparison.difference(column) for column in comparison.others]
    rows = []
    for _, row in table.iterrows():
        rows.append(
            [
                *(str(row[key]) for key in comparison.rows),
                *(_score(metric, row, column) for column in comparison.columns),
                *(_difference(metric, row, column) for column in differences),
            ]
        )
    signs = [
        f"{comparison.prefix}{column} − {comparison.reference}" for column in comparison.others
    ]
    columns = [f"{comparison.prefix}{column}" for column in comparison.columns]
    return Cells([*comparison.rows, *columns, *signs], rows)


def effect_cells(effects: Sequence[Effect]) -> Cells:
    """Returns the effects with their intervals, verdicts and tests."""
    header = ["question", "where", "n", "mean", "sd", "interval", "verdict", "p (Holm)"]
    header += ["sign-flip test", "to settle"]
    rows = []
    for effect in effects:
        signed = effect.metric.signed
        low, high = effect.interval
        rows.append(
            [
                f"{effect.kind}: {effect.named('−')}",
                effect.where,
                str(effect.n),
                signed(effect.mean),
                effect.metric.number(effect.sd),
                "" if math.isnan(low) else f"{signed(low)} to {signed(high)}",
                effect.verdict,
                _p(effect.p_holm),
                effect.exact,
                f"{effect.seeds_to_settle} seeds" if effect.seeds_to_settle else "",
            ]
        )
    return Cells(header, rows)


def cost_cells(comparison: Comparison) -> Cells:
    """Returns what each cell costs."""
    header = ["parameters", "multiply-adds", "steps", "s/epoch (validation too)", "peak memory"]
    rows = [
        [
            *(str(row[key]) for key in comparison.rows),
            str(row["column"]),
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['steps']:,}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{row['peak_memory_bytes'] / 2**30:.2f} GiB",
        ]
        for _, row in cost_table(comparison).iterrows()
    ]
    return Cells([*comparison.rows, comparison.contrast, *header], rows)


def runs_cells(runs: pd.DataFrame) -> Cells:
    """Returns every run with its directory, state and final metrics."""
    header = ["run", "state", "reason", "loss", "val loss", "accuracy", "val accuracy", "s"]
    rows = [
        [
            row["run"],
            row["state"],
            row["reason"],
            *(number(row[key], ".4f") for key in ("loss", "val_loss")),
            *(percent(row[key]) for key in ("accuracy", "val_accuracy")),
            number(row["seconds"], ".0f"),
        ]
        for _, row in runs_table(runs).iterrows()
    ]
    return Cells(header, rows)


def percent(value: float) -> str:
    """Returns a share as percent with two digits, nothing for NaN."""
    return number(100 * value, ".2f")


def number(value: Any, form: str) -> str:
    """Returns a formatted number, nothing for NaN."""
    return "" if value is None or math.isnan(value) else format(value, form)


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else number(value, ".3f")


def _score(metric: Metric, row: pd.Series, column: str) -> str:
    count, note = row[f"{column} n"], row[f"{column} note"]
    if not count:
        return note
    spread = f" ± {metric.number(row[f'{column} sd'])}" if count > 1 else ""
    return f"{metric.number(row[column])}{spread} (n={count}{f'; {note}' if note else ''})"


def _difference(metric: Metric, row: pd.Series, column: str) -> str:
    count = row[f"{column} n"]
    return f"{metric.signed(row[column])} (n={count})" if count else ""

"""The tables of a study as data frames. Numbers stay numbers; `report` puts them in words."""

import functools
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ablation import store
from ablation.comparison import Comparison, levels
from ablation.effects import EFFECT_COLUMNS, Effect, effects


def ablation_table(comparison: Comparison) -> pd.DataFrame:
    """Returns the ablation table: final validation accuracy by row and column.

    One row for each combination of the row factors. For each column C of the comparison: `C`, the
    mean over complete runs of the final epoch's validation accuracy (0 to 1, NaN if there is
    none), `C sd` (over seeds, NaN below 2), `C n` and `C note`, which names the runs that are not
    complete, or is "–" where there is no such net. For each other column that shares a row with the
    reference R: `C - R` (mean over the seeds that both have) and `C - R n`.
    """
    records = []
    for key, row_runs in _sorted_groups(comparison.runs, comparison.rows):
        record: dict[str, Any] = dict(zip(comparison.rows, key, strict=True))
        by_seed = {}
        for column in comparison.columns:
            runs = row_runs[row_runs["column"] == column]
            complete = runs[runs["state"] == store.COMPLETE]
            by_seed[column] = complete.set_index("seed")["val_accuracy"].astype(float)
            record |= {
                column: by_seed[column].mean(),
                f"{column} sd": by_seed[column].std(),
                f"{column} n": len(by_seed[column]),
                f"{column} note": _note(runs) if comparison.exists(record, column) else "–",
            }
        for column in comparison.others:
            difference = (by_seed[column] - by_seed[comparison.columns[0]]).dropna()
            label = f"{column} - {comparison.reference}"
            record |= {label: difference.mean(), f"{label} n": len(difference)}
        records.append(record)
    return pd.DataFrame(records)


def effects_table(comparison: Comparison) -> pd.DataFrame:
    """Returns one row for each effect of a comparison, with its numbers and its sentence."""
    rows = [effect.row() for effect in comparison_effects(comparison)]
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS)


@functools.lru_cache(maxsize=32)
def comparison_effects(comparison: Comparison) -> list[Effect]:
    """Returns the effects of a comparison, none if it has no reference."""
    compared = comparison.compared
    if comparison.reference is None or compared.empty:
        return []
    return effects(compared, comparison.rows, [comparison.reference, *comparison.others])


def cost_table(comparison: Comparison) -> pd.DataFrame:
    """Returns what each cell costs: one row for each row and column of the ablation table.

    Columns: the row factors, `column`, `parameters` (trainable), `multiply_adds` (of one image),
    `steps`, `seconds_per_epoch` (median over epochs, then over runs) and `peak_memory_bytes`
    (largest of the runs).
    """
    records = []
    for key, runs in _sorted_groups(comparison.complete, [*comparison.rows, "column"]):
        *row, column = key
        records.append(
            dict(zip(comparison.rows, row, strict=True))
            | {
                "column": column,
                "parameters": int(runs["trainable"].iloc[0]),
                "multiply_adds": int(runs["multiply_adds"].iloc[0]),
                "steps": int(runs["steps"].iloc[0]),
                "seconds_per_epoch": runs["seconds_per_epoch"].median(),
                "peak_memory_bytes": int(runs["peak_memory_bytes"].max()),
            }
        )
    return pd.DataFrame(records)


def runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a run: its directory, state, reason, final metrics and time."""
    columns = ["run", "state", "reason", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    return runs.reindex(columns=columns)


def _note(runs: pd.DataFrame) -> str:
    if runs.empty:
        return "missing"
    states = runs.loc[runs["state"] != store.COMPLETE, "state"].value_counts()
    if len(runs) == 1 and len(states):
        return str(states.index[0])
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _sorted_groups(runs: pd.DataFrame, keys: Sequence[str]) -> list[tuple[tuple, pd.DataFrame]]:
    """Returns the groups of runs with equal keys, each key's levels in their natural order."""
    orders = [levels(key, runs[key]) for key in keys]

    def places(group: tuple[tuple, pd.DataFrame]) -> list[int]:
        return [order.index(value) for order, value in zip(orders, group[0], strict=True)]

    return sorted(runs.groupby(list(keys), sort=False), key=places)

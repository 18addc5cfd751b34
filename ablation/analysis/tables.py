"""The tables of a study as data frames. Numbers stay numbers; `report` puts them in words."""

from typing import Any

import pandas as pd

from ablation.analysis.comparison import Comparison, combinations, once
from ablation.analysis.effects import (
    EFFECT_COLUMNS,
    Effect,
    Question,
    answers,
    grid_questions,
)
from ablation.records import store
from ablation.text import readable


@once
def ablation_table(comparison: Comparison) -> pd.DataFrame:
    """Returns the ablation table: the metric after the final epoch by row and column.

    One row for each combination of the row factors. For each column C of the comparison: `C`, the
    mean over complete runs (accuracies from 0 to 1, NaN if there is none), `C sd` (over seeds, NaN
    below 2), `C n` and `C note`, which names the runs that are not complete, or is "–" where there
    is no such net. For each other column that shares a row with the reference R: `C - R` (mean over
    the seeds that both have) and `C - R n`.
    """
    # Only what is needed, because every group of a wide frame takes its time.
    runs = comparison.runs[[*comparison.rows, "column", "seed", "state", "score"]]
    groups = dict(iter(runs.groupby([*comparison.rows, "column"], sort=False)))
    columns, others = comparison.columns, comparison.others
    records = []
    for key in combinations(runs, comparison.rows):
        row: dict[str, Any] = dict(zip(comparison.rows, key, strict=True))
        record = dict(row)
        by_seed = {}
        for column in columns:
            cell = groups.get((*key, column), runs.iloc[:0])
            complete = cell["state"].to_numpy() == store.COMPLETE
            scores = cell["score"].to_numpy(float)[complete]
            by_seed[column] = pd.Series(scores, index=cell["seed"].to_numpy()[complete])
            record |= {
                column: by_seed[column].mean(),
                f"{column} sd": by_seed[column].std(),
                f"{column} n": len(scores),
                f"{column} note": _note(cell["state"]) if comparison.exists(row, column) else "–",
            }
        for column in others:
            difference = (by_seed[column] - by_seed[columns[0]]).dropna()
            label = comparison.difference(column)
            record |= {label: difference.mean(), f"{label} n": len(difference)}
        records.append(record)
    return pd.DataFrame(records)


def effects_table(comparison: Comparison) -> pd.DataFrame:
    """Returns one row for each effect of a comparison, with its numbers and its sentence."""
    rows = [effect.row() for effect in comparison_effects(comparison)]
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS)


@once
def comparison_effects(comparison: Comparison) -> list[Effect]:
    """Returns the effects of a comparison, none without a reference or a complete run."""
    if comparison.reference is None or comparison.complete.empty:
        return []
    options = comparison.metric, comparison.margin
    if comparison.arms:
        return answers(comparison.runs, comparison.rows, _arm_questions(comparison), *options)
    runs = comparison.compared
    cells = runs[[*comparison.rows, "column"]].drop_duplicates()
    questions = grid_questions(
        list(cells.itertuples(index=False, name=None)),
        comparison.rows,
        [comparison.reference, *comparison.others],
        comparison.exists,
        comparison.prefix,
    )
    return answers(runs, comparison.rows, questions, *options)


def _arm_questions(comparison: Comparison) -> list[Question]:
    """Returns what a design asks, by the cells of its one row."""
    row = tuple(comparison.runs[list(comparison.rows)].iloc[0])
    names = [readable(arm.name) for arm in comparison.arms]
    found = []
    for asked in comparison.asked:
        plus, minus = ([place for w, place in asked.terms if w * sign > 0] for sign in (1, -1))
        if asked.kind == "interaction":
            (added, all_but), (base, reference) = plus, minus
            pair = f"{names[added]} - {names[base]}", f"({names[reference]} - {names[all_but]})"
        else:
            pair = names[plus[0]], names[minus[0]]
        cells = [(*row, arm.name) for arm in comparison.arms]
        terms = tuple((weight, cells[place]) for weight, place in asked.terms)
        found.append(Question(asked.kind, *pair, "", terms))
    return found


@once
def cost_table(comparison: Comparison) -> pd.DataFrame:
    """Returns what each cell costs: one row for each row and column of the ablation table.

    Columns: the row factors, `column`, `parameters` (trainable), `multiply_adds` (of one image),
    `steps`, `seconds_per_epoch` (median over epochs, then over runs) and `peak_memory_bytes`
    (largest of the runs).
    """
    keys = [*comparison.rows, "column"]
    measured = ["trainable", "multiply_adds", "steps", "seconds_per_epoch", "peak_memory_bytes"]
    runs = comparison.complete[keys + measured]
    groups = dict(iter(runs.groupby(keys, sort=False)))
    records = []
    for key in combinations(runs, keys):
        cell = groups[key]
        records.append(
            dict(zip(keys, key, strict=True))
            | {
                "parameters": int(cell["trainable"].iloc[0]),
                "multiply_adds": int(cell["multiply_adds"].iloc[0]),
                "steps": int(cell["steps"].iloc[0]),
                "seconds_per_epoch": cell["seconds_per_epoch"].median(),
                "peak_memory_bytes": int(cell["peak_memory_bytes"].max()),
            }
        )
    return pd.DataFrame(records)


def runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a run: its directory, state, reason, final metrics and time."""
    columns = ["run", "state", "reason", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    return runs.reindex(columns=columns)


def _note(states: pd.Series) -> str:
    if states.empty:
        return "missing"
    broken = states[states != store.COMPLETE].value_counts()
    if len(states) == 1 and len(broken):
        return str(broken.index[0])
    return ", ".join(f"{count} {state}" for state, count in broken.items())

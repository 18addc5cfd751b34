"""The tables of a report as data frames. Numbers stay numbers; `markdown` puts them in words."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablation import store
from ablation.models.specs import ARCHS
from ablation.study import Study, varying

CONFIG = "config."


@dataclass(frozen=True)
class Comparison:
    """Runs that share a table: one data set under one protocol.

    Attributes:
        dataset: name of the data set.
        protocol: what sets this comparison apart from others of the data set, {} if it is alone.
        rows: the factors that make a row, `arch` first.
        runs: the rows of `Study.runs` that belong to it, with `column` added: "plain", "residual",
            or "residual <shortcut>" where one row holds several kinds.
    """

    dataset: str
    protocol: dict[str, Any]
    rows: tuple[str, ...]
    runs: pd.DataFrame

    @property
    def complete(self) -> pd.DataFrame:
        """The complete runs."""
        return self.runs[self.runs["state"] == store.COMPLETE]

    @property
    def columns(self) -> list[str]:
        """The table's columns, plain first."""
        return sorted(self.runs["column"].unique(), key=lambda name: (name != "plain", name))


def comparisons(study: Study) -> list[Comparison]:
    """Splits a study into the comparisons that may each be one table."""
    found = []
    for dataset, of_dataset in study.runs.groupby("dataset", sort=False):
        keys = [column for column in of_dataset.columns if column.startswith(CONFIG)]
        factors = {f"{CONFIG}{factor}" for factor in study.factors} | {"config.seed"}
        for _, runs in of_dataset.groupby("protocol", sort=False):
            protocol = {}
            if of_dataset["protocol"].nunique() > 1:
                others = [key for key in keys if key not in factors]
                differing = varying(of_dataset, [*others, "fingerprint"])
                protocol = {key.removeprefix(CONFIG): runs[key].iloc[0] for key in differing}
            fixed = ("arch", "plain", "shortcut", "dataset")
            rows = ("arch", *varying(runs, [f for f in study.factors if f not in fixed]))
            found.append(Comparison(str(dataset), protocol, rows, _with_columns(runs, rows)))
    return found


def ablation_table(comparison: Comparison) -> pd.DataFrame:
    """Returns the ablation table: final validation accuracy by row and column.

    One row for each combination of the row factors. For each column C of the comparison: `C`, the
    mean over complete runs of the final epoch's validation accuracy (0 to 1, NaN if there is
    none), `C sd` (over seeds, NaN below 2), `C n` and `C note`, which names the runs that are not
    complete. For each residual column: its `difference` from plain (mean over the seeds that both
    have) and `difference n`.
    """
    records = []
    groups = comparison.runs.groupby(list(comparison.rows), sort=False)
    for key, row_runs in sorted(groups, key=lambda group: _row_order(group[0])):
        record: dict[str, Any] = dict(zip(comparison.rows, key, strict=True))
        by_seed = {}
        for column in comparison.columns:
            runs = row_runs[row_runs["column"] == column]
            accuracy = runs[runs["state"] == store.COMPLETE].set_index("seed").get("val_accuracy")
            by_seed[column] = pd.Series(dtype=float) if accuracy is None else accuracy
            record |= {
                column: by_seed[column].mean(),
                f"{column} sd": by_seed[column].std(),
                f"{column} n": len(by_seed[column]),
                f"{column} note": _note(runs),
            }
        for column in comparison.columns:
            if column != "plain" and "plain" in by_seed:
                difference = (by_seed[column] - by_seed["plain"]).dropna()
                label = column.replace("residual", "difference")
                record |= {label: difference.mean(), f"{label} n": len(difference)}
        records.append(record)
    return pd.DataFrame(records)


def cost_table(comparison: Comparison) -> pd.DataFrame:
    """Returns what each cell costs: one row for each row and column of the ablation table.

    Columns: the row factors, `net`, `parameters` (trainable), `multiply_adds` (of one image),
    `steps`, `seconds_per_epoch` (median over epochs, then over runs) and `peak_memory_bytes`
    (largest of the runs).
    """
    records = []
    groups = comparison.complete.groupby([*comparison.rows, "column"], sort=False)
    for key, runs in sorted(groups, key=lambda group: _row_order(group[0])):
        *row, column = key
        records.append(
            dict(zip(comparison.rows, row, strict=True))
            | {
                "net": column,
                "parameters": int(runs["trainable"].iloc[0]),
                "multiply_adds": int(runs["multiply_adds"].iloc[0]),
                "steps": int(runs["steps"].iloc[0]),
                "seconds_per_epoch": runs["seconds_per_epoch"].median(),
                "peak_memory_bytes": int(runs["peak_memory_bytes"].max()),
            }
        )
    return pd.DataFrame(records)


def runs_table(study: Study) -> pd.DataFrame:
    """Returns one row a run: its directory, state, reason, final metrics and time."""
    columns = ["run", "state", "reason", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    return study.runs.reindex(columns=columns)


def _with_columns(runs: pd.DataFrame, rows: tuple[str, ...]) -> pd.DataFrame:
    residual = runs[runs["arm"] == "residual"]
    several = (residual.groupby(list(rows))["shortcut"].nunique() > 1).any()
    named = runs["arm"] + " " + runs["shortcut"] if several else runs["arm"]
    return runs.assign(column=named.where(runs["arm"] != "plain", "plain"))


def _note(runs: pd.DataFrame) -> str:
    if runs.empty:
        return "missing"
    states = runs.loc[runs["state"] != store.COMPLETE, "state"].value_counts()
    if len(runs) == 1 and len(states):
        return str(states.index[0])
    return ", ".join(f"{count} {state}" for state, count in states.items())


def _row_order(key: Any) -> tuple:
    """Sorts rows as the table of architectures does, then by the other factors."""
    arch, *rest = key
    return list(ARCHS).index(arch), [(type(part).__name__, part) for part in rest]

"""What changed between two studies, cell by cell."""

import pandas as pd

from ablation.analysis.comparison import LOCATIONS, level_key, protocol_columns, varying
from ablation.analysis.study import Study, level_column
from ablation.records import store
from ablation.report.cells import Cells, number, percent
from ablation.report.escapes import inline
from ablation.report.markdown import table

_FIRST = ["dataset", "arch"]


def compare(one: Study, other: Study) -> str:
    """Returns in markdown how two studies differ: first in protocol, then in each cell.

    Args:
        one: the study to compare with.
        other: the study that is compared.
    """
    names = one.directory.name, other.directory.name
    if names[0] == names[1]:
        names = str(one.directory), str(other.directory)
    title = f"# {inline(names[1])} against {inline(names[0])}"
    parts = [title, "## Protocol", _protocol(one, other, names)]
    parts += [
        "## Validation accuracy after the final epoch, %",
        "Means over the seeds that each study has; the difference is of means, not paired, "
        "because runs under different protocols are not pairs.",
        table(_cells(one, other, names)),
        *(f"Unreadable: {inline(problem)}" for problem in (*one.problems, *other.problems)),
    ]
    return "\n\n".join(parts) + "\n"


def _protocol(one: Study, other: Study, names: tuple[str, str]) -> str:
    prefixes = ("config.", "provenance.")
    keys = [key for key in one.runs.columns if key.startswith(prefixes)]
    keys += [key for key in other.runs.columns if key.startswith(prefixes) and key not in keys]
    cells = {f"config.{key}" for key in _cell_keys(one, other)}
    cells |= {"config.dataset.name", "config.seed"}
    if _values(one.runs, "fingerprint") == _values(other.runs, "fingerprint"):
        cells |= {f"config.{key}" for key in LOCATIONS}  # The same images, wherever they lie.
    rows = []
    for key in [*keys, "fingerprint"]:
        values = [_values(study.runs, key) for study in (one, other)]
        if key not in cells and values[0] != values[1]:
            rows.append([key.removeprefix("config."), *values])
    if not rows:
        return "The same keys, data, code and machine."
    return table(Cells(["key", *names], rows))


def _values(runs: pd.DataFrame, key: str) -> str:
    if key not in runs:
        return ""
    return ", ".join(sorted({str(value) for value in runs[key].dropna()}))


def _cell_keys(one: Study, other: Study) -> list[str]:
    """Returns what makes a cell: every factor of either study that varies in one of them."""
    factors = dict.fromkeys([*one.factors, *other.factors, *_inner(one), *_inner(other)])
    parts = one.parts | other.parts
    several = [
        factor for factor in factors if factor not in parts or len(_levels(factor, one, other)) > 1
    ]
    return list(dict.fromkeys([*_FIRST, *several]))


def _levels(factor: str, *studies: Study) -> set[str]:
    return {level for study in studies if factor in study.runs for level in study.runs[factor]}


def _inner(study: Study) -> list[str]:
    """Returns the keys that differ inside one study, which its cells must therefore tell apart."""
    differing = varying(study.runs, protocol_columns(study.runs, study.factors))
    several = study.runs["dataset"].nunique() > 1
    return [
        key.removeprefix("config.")
        for key in differing
        if not (several and key.startswith("config.dataset."))
    ]


def _cells(one: Study, other: Study, names: tuple[str, str]) -> Cells:
    keys = _cell_keys(one, other)
    sides = [_groups(study, keys) for study in (one, other)]
    cells = sorted(set(sides[0]) | set(sides[1]), key=lambda cell: [level_key(v) for v in cell])
    rows = []
    for cell in cells:
        runs = [side.get(cell) for side in sides]
        means = [float("nan") if found is None else _complete(found).mean() for found in runs]
        difference = means[1] - means[0]
        rows.append([*cell, *map(_shown, runs), number(100 * difference, "+.2f")])
    return Cells([*keys, *names, "difference"], rows)


def _groups(study: Study, keys: list[str]) -> dict[tuple, pd.DataFrame]:
    columns = [key if key in study.runs else level_column(key) for key in keys]
    frame = study.runs.reindex(columns=columns).astype(object)
    cells = frame.where(frame.notna(), "").astype(str).itertuples(index=False, name=None)
    return dict(iter(study.runs.groupby(pd.Series(list(cells), index=study.runs.index))))


def _complete(runs: pd.DataFrame) -> pd.Series:
    return runs.loc[runs["state"] == store.COMPLETE, "val_accuracy"].astype(float)


def _shown(runs: pd.DataFrame | None) -> str:
    if runs is None:
        return "missing"
    accuracy = _complete(runs)
    if accuracy.empty:
        return ", ".join(runs["state"].unique())
    return f"{percent(accuracy.mean())} (n={len(accuracy)})"

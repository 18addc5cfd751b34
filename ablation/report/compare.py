"""What changed between two studies, cell by cell."""

import pandas as pd

from ablation.comparison import level_key
from ablation.report.cells import Cells, percent
from ablation.report.markdown import table
from ablation.study import Study

_CELL = ["dataset", "arch", "arm", "shortcut", "preact"]


def compare(one: Study, other: Study) -> str:
    """Returns in markdown how two studies differ: first in protocol, then in each cell.

    Args:
        one: the study to compare with.
        other: the study that is compared.
    """
    names = one.directory.name, other.directory.name
    if names[0] == names[1]:
        names = str(one.directory), str(other.directory)
    parts = [f"# {names[1]} against {names[0]}", "## Protocol", _protocol(one, other, names)]
    parts += [
        "## Validation accuracy after the final epoch, %",
        "Means over the seeds that each study has; the difference is of means, not paired, "
        "because runs under different protocols are not pairs.",
        table(_cells(one, other, names)),
    ]
    return "\n\n".join(parts) + "\n"


def _protocol(one: Study, other: Study, names: tuple[str, str]) -> str:
    prefixes = ("config.", "provenance.")
    keys = [key for key in one.runs.columns if key.startswith(prefixes)]
    keys += [key for key in other.runs.columns if key.startswith(prefixes) and key not in keys]
    cells = {f"config.{key}" for key in _CELL} | {"config.plain", "config.dataset.name"}
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


def _cells(one: Study, other: Study, names: tuple[str, str]) -> Cells:
    sides = [_means(study) for study in (one, other)]
    keys = sorted(set(sides[0]) | set(sides[1]), key=lambda key: [level_key(v) for v in key])
    rows = []
    for key in keys:
        (mean, count), (later, later_count) = (side.get(key, (float("nan"), 0)) for side in sides)
        rows.append(
            [
                *map(str, key),
                f"{percent(mean)} (n={count})" if count else "missing",
                f"{percent(later)} (n={later_count})" if later_count else "missing",
                f"{100 * (later - mean):+.2f}" if count and later_count else "",
            ]
        )
    return Cells([*_CELL, *names, "difference"], rows)


def _means(study: Study) -> dict[tuple, tuple[float, int]]:
    groups = study.complete.groupby(_CELL, sort=False)["val_accuracy"]
    return {key: (float(values.mean()), len(values)) for key, values in groups}

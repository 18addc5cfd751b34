"""A report in words: the frames of `tables` as GitHub-flavoured markdown."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ablation.report.tables import Comparison, ablation_table, cost_table, runs_table
from ablation.study import Study, unequal_budget


def report(
    study: Study, comparisons: Sequence[Comparison], figures: Sequence[Sequence[str]]
) -> str:
    """Returns the whole report.

    Args:
        study: the study.
        comparisons: its comparisons, in order.
        figures: for each comparison the paths of its images, relative to the report.
    """
    parts = [f"# Study {study.directory.name}", overview(study)]
    for comparison, images in zip(comparisons, figures, strict=True):
        parts += [
            heading(comparison),
            budget(comparison),
            accuracy(comparison),
            "### Curves",
            *(f"![{Path(image).stem}]({image})" for image in images),
            "### Cost",
            cost(comparison),
            "### Conditions",
            conditions(comparison),
        ]
    parts += ["## Runs", _runs(study)]
    if study.problems:
        parts += ["## Not readable", *(f"- {problem}" for problem in study.problems)]
    return "\n\n".join(parts) + "\n"


def summary(study: Study, comparisons: Sequence[Comparison]) -> str:
    """Returns what the command line prints at the end: the ablation tables and what is missing."""
    parts = []
    for comparison in comparisons:
        parts += [heading(comparison), budget(comparison), accuracy(comparison)]
    parts += [f"Not readable: {problem}" for problem in study.problems]
    return "\n\n".join(parts) + "\n"


def overview(study: Study) -> str:
    """Returns how many runs are in which state."""
    states = study.runs["state"].value_counts()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(study.runs)} runs: {counts}. Files are below `{study.directory}/`."


def heading(comparison: Comparison) -> str:
    """Returns the comparison's title and what sets its protocol apart."""
    title = f"## {comparison.dataset}"
    if comparison.protocol:
        title += f", {', '.join(f'{key}={value}' for key, value in comparison.protocol.items())}"
    return title


def budget(comparison: Comparison) -> str:
    """Returns whether all complete runs had the same training budget, and where not."""
    unequal = unequal_budget(comparison.complete)
    if comparison.complete.empty:
        return "**Equal budget: nothing to compare yet.**"
    if not unequal:
        return (
            "**Equal budget: PASS.** Same epochs, optimizer steps, examples seen, end of the "
            "learning-rate schedule and images in every run."
        )
    lines = [f"- {key}: {', '.join(map(str, values))}" for key, values in unequal.items()]
    return "**Equal budget: FAIL.** The runs below differ in\n\n" + "\n".join(lines)


def accuracy(comparison: Comparison) -> str:
    """Returns the ablation table and what its numbers mean."""
    table = ablation_table(comparison)
    header, rows = [*comparison.rows], []
    differences = [c for c in table.columns if c.startswith("difference") and c[-2:] != " n"]
    for column in comparison.columns:
        header.append(column)
    header += [name.replace("difference", "residual − plain") for name in differences]
    for _, row in table.iterrows():
        cells = [str(row[key]) for key in comparison.rows]
        cells += [_accuracy_cell(row, column) for column in comparison.columns]
        cells += [_difference_cell(row, column) for column in differences]
        rows.append(cells)
    most = max(
        (row[f"{c} n"] for _, row in table.iterrows() for c in comparison.columns), default=0
    )
    text = "Validation accuracy after the final epoch, %; differences in points; n is seeds."
    if most <= 1:
        text += " One seed a cell: these are the differences of these runs, no claim about others."
    else:
        text += " ± is the standard deviation over seeds; differences are paired by seed."
    return f"{text}\n\n{_table(header, rows)}"


def cost(comparison: Comparison) -> str:
    """Returns what each cell costs, since equal epochs are not equal work."""
    header = [
        *comparison.rows,
        "net",
        "parameters",
        "multiply-adds",
        "steps",
        "s/epoch",
        "peak memory",
    ]
    rows = [
        [
            *(str(row[key]) for key in comparison.rows),
            row["net"],
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['steps']:,}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{row['peak_memory_bytes'] / 2**30:.2f} GiB",
        ]
        for _, row in cost_table(comparison).iterrows()
    ]
    return f"Trainable parameters; multiply-adds of one image.\n\n{_table(header, rows)}"


def conditions(comparison: Comparison) -> str:
    """Returns what every run of the comparison had in common."""
    first = comparison.runs.iloc[0]
    facts = [
        ("seeds", ", ".join(map(str, sorted(comparison.runs["seed"].unique())))),
        ("epochs", first["config.epochs"]),
    ]
    if not comparison.complete.empty:
        done = comparison.complete.iloc[0]
        facts += [
            (
                "optimizer steps",
                f"{done['steps']:.0f} of {done['config.recipe.batch_size']} images",
            ),
            (
                "images",
                f"{done['train_images']:.0f} to train ({done['train_fingerprint'][:8]}), "
                f"{done['val_images']:.0f} to validate ({done['val_fingerprint'][:8]})",
            ),
        ]
    keys = [key for key in first.index if key.startswith(("config.dataset.", "config.recipe."))]
    keys += ["config.backend", "config.precision", "config.deterministic"]
    facts += [
        (key.removeprefix("config."), ", ".join(map(str, comparison.runs[key].unique())))
        for key in keys
        if pd.notna(first[key])
    ]
    return _table(["condition", "value"], [[str(key), str(value)] for key, value in facts])


def _runs(study: Study) -> str:
    rows = [
        [
            f"`{row['run']}`",
            row["state"],
            row["reason"],
            *(_number(row[key], ".4f") for key in ("loss", "val_loss")),
            *(_percent(row[key]) for key in ("accuracy", "val_accuracy")),
            _number(row["seconds"], ".0f"),
        ]
        for _, row in runs_table(study).iterrows()
    ]
    header = ["run", "state", "reason", "loss", "val loss", "accuracy", "val accuracy", "s"]
    return _table(header, rows)


def _accuracy_cell(row: pd.Series, column: str) -> str:
    count, note = row[f"{column} n"], row[f"{column} note"]
    if not count:
        return note or "missing"
    spread = f" ± {100 * row[f'{column} sd']:.2f}" if count > 1 else ""
    return f"{_percent(row[column])}{spread} (n={count}{f'; {note}' if note else ''})"


def _difference_cell(row: pd.Series, column: str) -> str:
    count = row[f"{column} n"]
    return f"{100 * row[column]:+.2f} (n={count})" if count else ""


def _percent(value: float) -> str:
    return _number(100 * value, ".2f")


def _number(value: Any, form: str) -> str:
    return "" if value is None or math.isnan(value) else format(value, form)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a markdown table whose source is aligned, because people read it as text too."""
    cells = [list(header), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)

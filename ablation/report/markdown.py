"""A report in words and tables: GitHub-flavoured markdown."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ablation.audit import Audit, Differences, audit
from ablation.comparison import Comparison
from ablation.effects import Effect
from ablation.report.cells import Cells, accuracy_cells, cost_cells, effect_cells, runs_cells
from ablation.study import Study
from ablation.tables import comparison_effects

_NAMED_AT_MOST = 6


def report(study: Study, comparisons: Sequence[Comparison], figures: Sequence[list[str]]) -> str:
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
            certificate(audit(comparison)),
            accuracy(comparison),
            effects(comparison_effects(comparison)),
            "### Curves",
            *(f"![{Path(image).stem}]({image})" for image in images),
            "### Cost",
            "Equal epochs are not equal work. Trainable parameters; multiply-adds of one image.",
            table(cost_cells(comparison)),
            "### Conditions",
            conditions(comparison),
        ]
    parts += ["## Runs", table(runs_cells(study.runs)), *_problems(study)]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(study: Study, comparisons: Sequence[Comparison]) -> str:
    """Returns what the command line prints at the end: certificates, tables and sentences."""
    parts = []
    for comparison in comparisons:
        parts += [
            heading(comparison),
            certificate(audit(comparison)),
            accuracy(comparison),
            sentences(comparison_effects(comparison)),
        ]
    return "\n\n".join(part for part in [*parts, *_problems(study)] if part) + "\n"


def overview(study: Study) -> str:
    """Returns how many runs are in which state."""
    states = study.runs["state"].value_counts()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(study.runs)} runs: {counts}. Files are below `{study.directory.name}/`."


def heading(comparison: Comparison) -> str:
    """Returns the comparison's title and what sets its protocol apart."""
    title = f"## {comparison.dataset}"
    if comparison.protocol:
        title += f", {', '.join(f'{key}={value}' for key, value in comparison.protocol.items())}"
    return title


def certificate(found: Audit) -> str:
    """Returns what the audit found: equal budget, confounds, holes."""
    if not found.runs:
        budget = "**Equal budget: nothing to compare yet.**"
    elif found.passes:
        budget = (
            f"**Equal budget: PASS** ({found.runs} runs). Same epochs, optimizer steps, examples "
            "seen, end of the learning-rate schedule, images, and order of the images at each seed."
        )
    else:
        budget = f"**Equal budget: FAIL.** The runs differ in\n\n{_listed(found.unequal)}"
    parts = [budget]
    if found.confounds:
        parts.append(f"**Confounds.** The runs also differ in\n\n{_listed(found.confounds)}")
    else:
        parts.append("**Confounds: none** in code, versions, processor, device and threads.")
    if found.holes:
        holes = "\n".join(f"- {hole}" for hole in found.holes)
        parts.append(f"**Holes.**\n\n{holes}")
    else:
        parts.append("**Holes: none.**")
    joint = "\n\n" if any("\n" in part for part in parts) else " "
    return joint.join(parts)


def accuracy(comparison: Comparison) -> str:
    """Returns the ablation table and what its numbers mean."""
    seeds = comparison.complete.groupby([*comparison.rows, "column"]).size()
    text = "Validation accuracy after the final epoch, %; differences in points; n is seeds."
    if (seeds > 1).any():
        text += " ± is the standard deviation over seeds; differences are paired by seed."
    return f"{text}\n\n{table(accuracy_cells(comparison))}"


def effects(found: Sequence[Effect]) -> str:
    """Returns the effects in words and as a table."""
    if not found:
        return ""
    family = (
        "Differences are paired by seed. Intervals are Student's t; p is the exact two-sided "
        "sign-flip test's, corrected by Holm over the effects of its kind "
        f"({', '.join(_counted(len(_of(found, kind)), kind) for kind in _kinds(found))}). "
        "Detectable is the difference in points that a t test finds with 80% power."
    )
    words = sentences(found)
    if max(effect.n for effect in found) < 2:
        return f"### Effects\n\n{words}"
    return f"### Effects\n\n{words}\n\n{family}\n\n{table(effect_cells(found))}"


def sentences(found: Sequence[Effect]) -> str:
    """Returns one sentence for each effect; with one seed a cell only for the contrasts."""
    alone = max((effect.n for effect in found), default=0) < 2
    told = _of(found, "contrast") if alone else found
    return "\n".join(f"- {effect.sentence()}" for effect in told)


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
    keys += ["config.stride_on", "config.backend", "config.precision", "config.deterministic"]
    facts += [
        (key.removeprefix("config."), ", ".join(map(str, comparison.runs[key].unique())))
        for key in keys
        if pd.notna(first[key])
    ]
    return table(Cells(["condition", "value"], [[str(k), str(v)] for k, v in facts]))


def table(cells: Cells) -> str:
    """Returns a markdown table whose source is aligned, because people read it as text too."""
    rows = [list(cells.header), *[[cell.replace("|", "\\|") for cell in row] for row in cells.rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(cells.header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _listed(differences: Differences) -> str:
    lines = []
    for name, values in differences.items():
        for value, runs in values.items():
            more = f" and {len(runs) - _NAMED_AT_MOST} more" if len(runs) > _NAMED_AT_MOST else ""
            lines.append(f"- {name} {value}: {', '.join(runs[:_NAMED_AT_MOST])}{more}")
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _kinds(found: Sequence[Effect]) -> list[str]:
    return list(dict.fromkeys(effect.kind for effect in found))


def _of(found: Sequence[Effect], kind: str) -> list[Effect]:
    return [effect for effect in found if effect.kind == kind]


def _problems(study: Study) -> list[str]:
    if not study.problems:
        return []
    return ["## Not readable", "\n".join(f"- {problem}" for problem in study.problems)]

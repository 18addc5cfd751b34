"""A report in words and tables: GitHub-flavoured markdown."""

import contextlib
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from ablation.analysis.audit import Audit, Differences, audit, spans
from ablation.analysis.comparison import Comparison, levels, varying
from ablation.analysis.effects import NEAR_CHANCE_SHARE, Effect, foremost
from ablation.analysis.per_image import OfImages
from ablation.analysis.significance import EXACT_UP_TO, RANDOM_FLIPS
from ablation.analysis.starts import starts_table
from ablation.analysis.study import Study
from ablation.analysis.tables import comparison_effects
from ablation.data.cache import VERY_UNEQUAL
from ablation.data.facts import by_class, named
from ablation.designs.registry import GRID
from ablation.factors import ABSENT
from ablation.records import store
from ablation.report.answer import answer
from ablation.report.cells import (
    Cells,
    accuracy_cells,
    arm_cells,
    cost_cells,
    effect_cells,
    image_cells,
    interaction_cells,
    runs_cells,
    share_cells,
)
from ablation.report.escapes import cell, code, inline, line
from ablation.terminal import counted
from ablation.text import readable, visible

_LOG_LINES = 12
_NAMED_AT_MOST = 6
_TOLD_AT_MOST = 30
_LISTED_AT_MOST = 100
_LOGS_AT_MOST = 20
_ROWS_AT_MOST = 200


def report(
    study: Study,
    comparisons: Sequence[Comparison],
    figures: Sequence[list[str]],
    images: Sequence[Sequence[OfImages]],
    sort: str = "named",
) -> str:
    """Returns the whole report.

    Args:
        study: the study.
        sort: how the arms of a design are ordered.
        comparisons: its comparisons, in order.
        figures: for each comparison its sections of figures.
        images: for each comparison what the validation images say.
    """
    parts = [
        f"# Study {inline(study.directory.name)}",
        *answers(comparisons, images),
        overview(study),
        outside(study, comparisons),
    ]
    for comparison, illustrated, of_images in zip(comparisons, figures, images, strict=True):
        parts += [
            heading(comparison),
            certificate(audit(comparison)),
            accuracy(comparison, sort),
            _shares(comparison),
            effects(comparison_effects(comparison)),
            _images(of_images),
            *illustrated,
            "### Cost",
            "Equal epochs are not equal work. Trainable parameters; multiply-adds of one image.",
            table(cost_cells(comparison)),
            _uncounted(comparison),
            _starts(comparison),
            "### Conditions",
            conditions(study, comparison),
        ]
    parts += ["## Runs", _runs(study), *_logs(study), *_problems(study)]
    return "\n\n".join(part for part in parts if part) + "\n"


def answers(comparisons: Sequence[Comparison], images: Sequence[Sequence[OfImages]]) -> list[str]:
    """Returns the answer of each comparison, a paragraph each."""
    found = []
    for comparison, of_images in zip(comparisons, images, strict=True):
        sentences = answer(comparison, of_images)
        if sentences:
            about = f"**{inline(_title(comparison))}.** " if len(comparisons) > 1 else ""
            found.append(about + line(" ".join(sentences)))
    return found


def _starts(comparison: Comparison) -> str:
    """Returns how many parameters start equal in the nets that are compared."""
    starts = starts_table(comparison).to_dict("records")
    if not starts:
        return ""
    said = [
        f"{row['shared']:,} of {row['parameters']:,} in {comparison.prefix}{row['column']} "
        f"({', '.join(f'{name} {row[name]}' for name in comparison.rows)})"
        for row in starts[:_NAMED_AT_MOST]
    ]
    more = f" and {len(starts) - len(said):,} more" if len(starts) > len(said) else ""
    return (
        f"**Started alike.** Trainable parameters that begin as in {comparison.prefix}"
        f"{comparison.reference}, seed by seed: {inline('; '.join(map(visible, said)))}{more}."
    )


def _uncounted(comparison: Comparison) -> str:
    """Returns which layers are missing in the multiply-adds, nothing if none are."""
    names = sorted(filter(None, comparison.complete["uncounted"].dropna().unique()))
    if not names:
        return ""
    named = "; ".join(visible(name) for name in names[:_NAMED_AT_MOST])
    return f"**Not counted** in the multiply-adds, because nobody can tell them: {named}."


def summary(
    study: Study,
    comparisons: Sequence[Comparison],
    images: Sequence[Sequence[OfImages]],
    sort: str = "named",
) -> str:
    """Returns what the command line prints at the end: answers, certificates and tables."""
    parts = answers(comparisons, images)
    for comparison in comparisons:
        parts += [
            heading(comparison),
            certificate(audit(comparison)),
            accuracy(comparison, sort, whole=False),
            # The arms of a design have all of it in their table.
            "" if comparison.arms else sentences(comparison_effects(comparison)),
        ]
    parts += [outside(study, comparisons), *_problems(study)]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(title: str, images: Sequence[tuple[str, str]], remarks: Sequence[str]) -> str:
    """Returns a section of figures.

    Args:
        title: of the section.
        images: the path of each, relative to the report, and its caption, which may be empty.
        remarks: what is to be said beside them.
    """
    parts = [f"### {title}"]
    for path, caption in images:
        parts += [f"![{inline(Path(path).stem)}]({path})", caption]
    parts.append("\n".join(f"- {line(remark)}" for remark in remarks))
    return "\n\n".join(part for part in parts if part)


def overview(study: Study) -> str:
    """Returns how many runs are in which state."""
    states = study.runs["state"].value_counts()
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    folder = code(f"{study.directory.name}/")
    return f"{counted(len(study.runs), 'run')}: {counts}. Files are below {folder}."


def outside(study: Study, comparisons: Sequence[Comparison]) -> str:
    """Returns how many runs stand in no table, and which design shows them; nothing if all do."""
    runs = study.runs[study.runs["state"] != store.REFUSED]
    shown = {name for comparison in comparisons for name in comparison.runs["run"]}
    left = len(set(runs["run"]) - shown)
    if not left:
        return ""
    design = comparisons[0].design
    others = dict.fromkeys(one.design for one in study.designs if one.design != design)
    named = ", ".join(f"`report.design={name}`" for name in others or [GRID])
    return (
        f"**Shown is {design}**, the widest design that the runs fill or the one asked for; "
        f"{counted(left, 'run')} beside it: {named}."
    )


def heading(comparison: Comparison) -> str:
    """Returns the comparison's title and what sets its protocol apart."""
    return f"## {inline(_title(comparison))}"


def _title(comparison: Comparison) -> str:
    keys = [f"{key}={readable(str(value))}" for key, value in comparison.protocol.items()]
    return ", ".join([readable(comparison.dataset), *keys])


def certificate(found: Audit) -> str:
    """Returns what the audit found: equal budget, confounds, holes."""
    if found.runs < 2:
        budget = f"**Equal budget: nothing to compare yet** ({counted(found.runs, 'run')})."
    elif found.passes:
        budget = (
            f"**Equal budget: PASS** ({counted(found.runs, 'run')}). Same epochs, optimizer steps, "
            "examples seen, end of the learning-rate schedule, images, and order of the images at "
            "each seed."
        )
    else:
        among = f" PASS among runs of equal {' and '.join(found.within)}." if found.within else ""
        budget = f"**Equal budget: FAIL.**{among} The runs differ in\n\n{_listed(found.unequal)}"
    parts = [budget]
    if found.runs < 2:
        pass
    elif found.confounds:
        parts.append(f"**Confounds.** The runs also differ in\n\n{_listed(found.confounds)}")
    else:
        parts.append(
            "**Confounds: none** in code, versions, processor, device, threads and environment."
        )
    if found.holes:
        parts.append(f"**Holes.**\n\n{_first(found.holes, _LISTED_AT_MOST)}")
    else:
        parts.append("**Holes: none.**")
    joint = "\n\n" if any("\n" in part for part in parts) else " "
    return joint.join(parts)


def accuracy(comparison: Comparison, sort: str = "named", whole: bool = True) -> str:
    """Returns the ablation table and what its numbers mean.

    Args:
        comparison: of runs.
        sort: how the arms of a design are ordered; see `tables.arms_table`.
        whole: with what a terminal is too narrow for.
    """
    seeds = comparison.complete.groupby([*comparison.rows, "column"]).size()
    metric = comparison.metric
    text = f"{metric.heading[0].upper()}{metric.heading[1:]}, after the final epoch"
    text += f"; differences in {metric.points}" if metric.points else ""
    text += "" if metric.higher_is_better else "; lower is better"
    text += "; n is seeds."
    if (seeds > 1).any():
        text += " ± is the standard deviation over seeds; differences are paired by seed."
    if comparison.contrast in comparison.parts and ABSENT in comparison.columns:
        text += (
            f" '{ABSENT}' is a net that has no {comparison.contrast} to choose, for the scale; no "
            "difference counts it."
        )
    text += _chance(comparison)
    if comparison.arms:
        return "\n\n".join([text, *_arms(comparison, sort, whole)])
    return f"{text}\n\n{table(accuracy_cells(comparison))}{_without_reference(comparison)}"


def _arms(comparison: Comparison, sort: str, whole: bool) -> Iterator[str]:
    """Yields the table of a design's arms, and where there are any that of interactions."""
    yield table(arm_cells(comparison, sort, whole))
    if any(question.kind == "interaction" for question in comparison.asked):
        yield "What each part adds to the stripped arm, and what is lost when it is left out:"
        yield table(interaction_cells(comparison))


def _without_reference(comparison: Comparison) -> str:
    """Returns why nothing is subtracted, if that is so, and what could be compared instead."""
    if comparison.reference is not None:
        return ""
    several = list(varying(comparison.runs, comparison.rows))
    text = f"\n\nAll runs have one level of {comparison.contrast}, "
    text += "so there are no differences and no effects."
    if several:
        text += f" `report.contrast={several[-1]}` compares the levels of {several[-1]}."
    return text


def _chance(comparison: Comparison) -> str:
    """Returns what a score must be read against, and a warning if the classes are unequal."""
    runs, metric = comparison.complete, comparison.metric
    if runs.empty:
        return ""
    known = sorted(runs["score_of_chance"].dropna().unique())
    shares = " or ".join(map(metric.number, known))
    text = f" Always answering the most frequent class would score {shares}." if known else ""
    text += (
        f" A run whose accuracy comes less than {NEAR_CHANCE_SHARE:.0%} of the way from chance to "
        "100 % counts as near chance."
    )
    times = runs["imbalance"].max()
    if times >= VERY_UNEQUAL:
        how = f"the largest has {times:.0f} times the training images of the smallest"
        how = how if math.isfinite(times) else "one has no training image"
        text += (
            f" **The classes are very unequal**: {how}. See how each fares in the confusion matrix."
        )
    for caveat in filter(None, runs["caveats"].dropna().unique()):
        text += f" **Warning**: {caveat}."
    return text


def effects(found: Sequence[Effect]) -> str:
    """Returns the effects in words and as a table."""
    if not found:
        return ""
    exact = "every pattern of signs"
    if any(effect.n > EXACT_UP_TO for effect in found):
        exact = f"{exact} up to {EXACT_UP_TO} seeds, {RANDOM_FLIPS:,} random ones beyond"
    family = (
        f"Differences are paired by seed. {counted(len(found), 'question')} "
        f"({', '.join(counted(len(_of(found, kind)), kind) for kind in _kinds(found))}): the "
        "paired t test, corrected by Holm over all of them, decides from three seeds on; the "
        "intervals hold all at once with 95%. Beside it the exact sign-flip test, which assumes "
        f"nothing: {exact}. "
        "To settle: about how many seeds in all would settle what is open, at the spread seen, and "
        "how long training those to come takes."
    )
    words = sentences(found)
    if max(effect.n for effect in found) < 2:
        return f"### Effects\n\n{words}"
    return f"### Effects\n\n{words}\n\n{family}\n\n{table(effect_cells(found))}"


def sentences(found: Sequence[Effect]) -> str:
    """Returns one sentence for each effect; with one seed a cell only for the contrasts."""
    alone = max((effect.n for effect in found), default=0) < 2
    told = _of(found, "contrast") if alone else found
    lines = [f"- {line(effect.sentence())}" for effect in foremost(told, _TOLD_AT_MOST)]
    if len(told) > _TOLD_AT_MOST:
        lines.append(f"- and {len(told) - _TOLD_AT_MOST:,} more, in the table of effects.")
    return "\n".join(lines)


def _shares(comparison: Comparison) -> str:
    """Returns what each part brings on average over all orders, of a full grid of few."""
    cells = share_cells(comparison)
    if comparison.arms or not cells.rows:
        return ""
    text = (
        "What each factor brings, averaged over all orders of changing them (Shapley values); the "
        "shares add up to what all bring together."
    )
    return f"{text}\n\n{table(cells)}"


def _images(found: Sequence[OfImages]) -> str:
    """Returns how far the images leave the differences uncertain, and which of them change."""
    if not found:
        return ""
    count = next((one.spread.images for one in found if one.spread), 0)
    text = (
        "The validation images are a sample too. Over images: had there been other images, for "
        "these very networks. Over seeds and images: had both been others. The intervals hold all "
        "at once, like those over seeds."
    )
    if max(one.effect.n for one in found) < 2:
        text += " With one seed nothing is said of other seeds."
    text += (
        " Fixes, breaks: images that turn right, or wrong, in most seeds; always: in all. By seed "
        "alone: images that turn right, and as many wrong, where no more than the seed changes."
    )
    text += f" {counted(count, 'image')}." if count else ""
    return f"### Images\n\n{text}\n\n{table(image_cells(found))}"


def conditions(study: Study, comparison: Comparison) -> str:
    """Returns under what conditions the runs were trained, every value of each."""
    runs = comparison.runs
    facts = [("epochs", "config.epochs"), ("optimizer steps", "steps")]
    facts += [("training images", "train_images"), ("validation images", "val_images")]
    rows = [["seeds", spans(set(runs["seed"]))], *_part_levels(comparison)]
    groups = ("config.dataset.", "config.recipe.")
    keys = [key for key in runs.columns if key.startswith(groups)]
    keys += ["config.backend", "config.precision", "config.deterministic"]
    facts += [(key.removeprefix("config."), key) for key in keys]
    rows += [[name, ", ".join(map(_plain, levels(runs[key].dropna())))] for name, key in facts]
    for split in ("train", "val"):
        digests = {str(digest)[:8] for digest in runs[f"{split}_fingerprint"].dropna()}
        rows.append([f"{split} images, SHA-256", ", ".join(sorted(digests))])
    rows += _image_facts(study, comparison)
    return table(Cells(["condition", "value"], [row for row in rows if row[1]]))


def _part_levels(comparison: Comparison) -> list[list[str]]:
    """Returns the levels that the runs have of each part of their networks."""
    found = []
    for key in (part.key for part in comparison.all_parts):
        there = [level for level in levels(comparison.runs[key]) if level.applies]
        found.append([key, ", ".join(map(_plain, there))])
    return found


def _image_facts(study: Study, comparison: Comparison) -> list[list[str]]:
    """Returns the images by class, and what was left out, of every set that the runs have seen."""
    runs = comparison.complete.drop_duplicates("fingerprint")["run"].head(_NAMED_AT_MOST)
    results = []
    for run in runs:
        with contextlib.suppress(OSError, ValueError):  # It may just be trained again.
            results.append(store.read_json(study.directory / run / "result.json"))
    # Results from before the classes were counted have none of this.
    counted = [result for result in results if "train_per_class" in result]
    found = {
        f"{name} images by class": [
            by_class(result["classes"], result[f"{split}_per_class"]) for result in counted
        ]
        for split, name in (("train", "training"), ("val", "validation"))
    }
    for group in (group for result in counted for group in _left_out(result)):
        names = named(group["names"], group["count"], _NAMED_AT_MOST)
        found.setdefault(f"left out: {group['reason']}", []).append(f"{group['count']:,}: {names}")
    return [[name, "; ".join(dict.fromkeys(texts))] for name, texts in found.items()]


def _left_out(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what was left out of a run's images by reason; older results know broken ones."""
    older = {
        "reason": "broken images",
        "count": result.get("skipped", 0),
        "names": result.get("skipped_names", []),
    }
    return result.get("left_out", []) + ([older] if older["count"] else [])


def _plain(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def table(cells: Cells, as_code: Collection[str] = ()) -> str:
    """Returns a markdown table whose source is aligned, because people read it as text too.

    A table that is too long for reading is cut, and says so.

    Args:
        cells: the table.
        as_code: the columns that are set as code.
    """
    forms = [code if name in as_code else inline for name in cells.header]
    shown = cells.rows[:_ROWS_AT_MOST]
    rows = [[cell(inline(name)) for name in cells.header]]
    for place, row in enumerate(shown):
        texts = [cell(form(one)) for form, one in zip(forms, row, strict=True)]
        strong = place in cells.strong
        rows.append([f"**{text}**" if strong and text else text for text in texts])
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(cells.header))]
    lines = [f"| {' | '.join(map(_padded, row, widths))} |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    left = len(cells.rows) - len(shown)
    if left:
        lines.append(f"\nand {left:,} more rows, in the table's CSV file.")
    return "\n".join(lines)


def _padded(text: str, width: int) -> str:
    """Returns text as wide as a column; a Chinese character is as wide as two others."""
    return text + " " * (width - cell_len(text))


def _first(lines: Sequence[str], at_most: int) -> str:
    """Returns a list of so many lines that says how many more there are."""
    more = len(lines) - at_most
    shown = [*lines[:at_most], *([f"and {more:,} more"] if more > 0 else [])]
    return "\n".join(f"- {line(one)}" for one in shown)


def _listed(differences: Differences) -> str:
    lines = []
    for name, values in differences.items():
        for value, runs in values.items():
            more = f" and {len(runs) - _NAMED_AT_MOST} more" if len(runs) > _NAMED_AT_MOST else ""
            named = ", ".join(runs[:_NAMED_AT_MOST])
            lines.append(f"- {line(f'{name} {value}: {named}{more}')}")
    return "\n".join(lines)


def _kinds(found: Sequence[Effect]) -> list[str]:
    return list(dict.fromkeys(effect.kind for effect in found))


def _of(found: Sequence[Effect], kind: str) -> list[Effect]:
    return [effect for effect in found if effect.kind == kind]


def _runs(study: Study) -> str:
    runs = study.runs
    if len(runs) > _ROWS_AT_MOST:
        # What went wrong must not be what is cut.
        runs = runs.sort_values("state", key=lambda s: s == store.COMPLETE, kind="stable")
    return table(runs_cells(runs), as_code=["run"])


def _logs(study: Study) -> list[str]:
    """Returns the last lines of the log of every run that came to no good end."""
    parts = []
    ended = study.runs["state"].isin((store.FAILED, store.DIVERGED, store.INTERRUPTED))
    for name in study.runs.loc[ended, "run"][:_LOGS_AT_MOST]:
        lines = store.log_tail(study.directory / name, _LOG_LINES)
        if lines:
            text = "\n".join(f"    {visible(one)}" for one in lines)
            parts += [f"The last lines of {code(f'{name}/log.txt')}:", text]
    return ["## Logs", *parts] if parts else []


def _problems(study: Study) -> list[str]:
    if not study.problems:
        return []
    return ["## Unreadable files", _first(study.problems, _LISTED_AT_MOST)]

"""A report in words and tables: GitHub-flavoured markdown."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from rich.cells import cell_len

from ablation.analysis.audit import Audit, audit
from ablation.analysis.claims import Claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import Effect
from ablation.analysis.per_image import OfImages
from ablation.analysis.study import Study
from ablation.analysis.tables import comparison_effects
from ablation.records import store
from ablation.report import controls, notes
from ablation.report.cells import (
    Cells,
    accuracy_cells,
    arm_cells,
    claim_cells,
    control_cells,
    cost_cells,
    effect_cells,
    image_cells,
    interaction_cells,
    runs_cells,
    share_cells,
)
from ablation.report.conditions import condition_cells
from ablation.report.difference import SAME_PROTOCOL, Difference
from ablation.report.escapes import cell, code, inline, line
from ablation.report.notes import Note
from ablation.text import visible

_LOG_LINES = 12
_LISTED_AT_MOST = 100
_LOGS_AT_MOST = 20
_ROWS_AT_MOST = 200


def report(
    study: Study,
    comparisons: Sequence[Comparison],
    figures: Sequence[list[str]],
    images: Sequence[Sequence[OfImages]],
    claimed: Claimed,
    sort: str = "named",
) -> str:
    """Returns the whole report.

    Args:
        study: the study.
        sort: how the arms of a design are ordered.
        comparisons: its comparisons, in order.
        figures: for each comparison its sections of figures.
        images: for each comparison what the validation images say.
        claimed: what the study says to its claims.
    """
    parts = [
        f"# Study {inline(study.directory.name)}",
        *(list(map(_note, notes.answers(comparisons, images))) or [notes.no_answer(study)]),
        f"{notes.states(study)}. Files are below {code(f'{study.directory.name}/')}.",
        *map(_note, notes.outside(study, comparisons)),
        *_claims(claimed),
    ]
    for comparison, illustrated, of_images in zip(comparisons, figures, images, strict=True):
        parts += [
            heading(comparison),
            certificate(audit(comparison)),
            accuracy(comparison, sort),
            *_shares(comparison),
            *_effects(comparison_effects(comparison)),
            *_images(of_images),
            *illustrated,
            "### Cost",
            notes.cost(comparison),
            table(cost_cells(comparison)),
            *map(_note, notes.uncounted(comparison)),
            *map(_note, notes.starts(comparison)),
            "### Conditions",
            conditions(study, comparison),
        ]
    parts += ["## Runs", _runs(study), *_logs(study), *_problems(study)]
    return _joined(parts)


def summary(
    study: Study,
    comparisons: Sequence[Comparison],
    images: Sequence[Sequence[OfImages]],
    claimed: Claimed,
    sort: str = "named",
) -> str:
    """Returns what the command line prints at the end: answers, certificates and tables."""
    parts = list(map(_note, notes.answers(comparisons, images)))
    for comparison in comparisons:
        parts += [
            heading(comparison),
            certificate(audit(comparison)),
            accuracy(comparison, sort, whole=False),
            # The arms of a design have all of it in their table.
            "" if comparison.arms else _list(notes.sentences(comparison_effects(comparison))),
        ]
    parts += [*map(_note, notes.outside(study, comparisons)), *_claims(claimed)]
    return _joined([*parts, *_problems(study)])


def _claims(found: Claimed) -> Iterator[str]:
    """Yields the claims of a study with their verdicts."""
    said = notes.claimed(found)
    if said:
        yield "## Claims"
        yield "\n\n".join(map(_note, said))
    if found.answers:
        yield table(claim_cells(found))


def compared(found: Difference) -> str:
    """Returns how two studies differ: first in protocol, then in each cell."""
    protocol = table(found.protocol) if found.protocol.rows else SAME_PROTOCOL
    parts = [f"# {inline(found.title)}", "## Protocol", protocol]
    parts += [f"## {found.heading}", found.note, table(found.cells), *map(inline, found.beside)]
    if found.problems:
        parts += ["## Left out", _list(notes.first(found.problems, _LISTED_AT_MOST))]
    return _joined(parts)


def section(
    title: str,
    images: Sequence[tuple[str, str]],
    remarks: Sequence[str],
    about: str = "",
    cells: Cells | None = None,
) -> str:
    """Returns a section of figures.

    Args:
        title: of the section.
        images: the path of each, relative to the report, and its caption, which may be empty.
        remarks: what is to be said beside them.
        about: what is said of its table.
        cells: its table, None if it has none.
    """
    parts = [f"### {title}", about, table(cells) if cells else ""]
    for path, caption in images:
        parts += [f"![{inline(Path(path).stem)}]({path})", line(caption)]
    return "\n\n".join(part for part in [*parts, _list(remarks)] if part)


def heading(comparison: Comparison) -> str:
    """Returns the comparison's title and what sets its protocol apart."""
    return f"## {inline(notes.title(comparison))}"


def certificate(found: Audit) -> str:
    """Returns what the audit found: equal budget, confounds, holes."""
    said = notes.certificate(found)
    return ("\n\n" if any(one.items for one in said) else " ").join(map(_note, said))


def accuracy(comparison: Comparison, sort: str = "named", whole: bool = True) -> str:
    """Returns the ablation table and what its numbers mean.

    Args:
        comparison: of runs.
        sort: how the arms of a design are ordered; see `tables.arms_table`.
        whole: with what a terminal is too narrow for.
    """
    parts = [" ".join(map(_note, notes.score(comparison)))]
    if comparison.arms:
        parts += [table(arm_cells(comparison, sort, whole)), *_interactions(comparison)]
    else:
        parts += [table(accuracy_cells(comparison))]
        parts += map(_note, notes.without_reference(comparison))
    if comparison.controls:
        parts += [f"### {controls.TITLE}", _list(controls.sentences(comparison))]
        parts += [table(control_cells(comparison)), *([controls.ABOUT] if whole else [])]
    return "\n\n".join(parts)


def _interactions(comparison: Comparison) -> Iterator[str]:
    """Yields where the parts of a design have been added and left out, and how far that differs."""
    if any(question.kind == "interaction" for question in comparison.asked):
        yield notes.INTERACTIONS
        yield table(interaction_cells(comparison))


def _effects(found: Sequence[Effect]) -> Iterator[str]:
    """Yields the effects in words and as a table."""
    if found:
        yield "### Effects"
        yield _list(notes.sentences(found))
        if not notes.alone(found):
            yield notes.family(found)
            yield table(effect_cells(found))


def _shares(comparison: Comparison) -> Iterator[str]:
    """Yields what each part brings on average over all orders, of a full grid of few."""
    said, found = notes.shares(comparison), share_cells(comparison)
    if said:
        yield said
    if found.rows:
        yield table(found)


def _images(found: Sequence[OfImages]) -> Iterator[str]:
    """Yields how far the images leave the differences uncertain, and which of them change."""
    if found:
        yield f"### {found[0].noun.many.capitalize()}"
        yield notes.over_images(found)
        yield table(image_cells(found))


def conditions(study: Study, comparison: Comparison) -> str:
    """Returns under what conditions the runs were trained, every value of each."""
    return table(condition_cells(study, comparison))


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


def _note(note: Note) -> str:
    """Returns a paragraph, and the list that it introduces."""
    lead = f"**{inline(note.lead)}**" if note.lead else ""
    text = (inline if lead else line)(note.text) if note.text else ""
    said = " ".join(part for part in (lead, text) if part)
    return f"{said}\n\n{_list(note.items)}" if note.items else said


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {line(item)}" for item in items)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _runs(study: Study) -> str:
    runs = study.all_runs
    if len(runs) > _ROWS_AT_MOST:
        # What went wrong must not be what is cut.
        runs = runs.sort_values("state", key=lambda s: s == store.COMPLETE, kind="stable")
    return table(runs_cells(runs), as_code=["run"])


def _logs(study: Study) -> list[str]:
    """Returns the last lines of the log of every run that came to no good end."""
    parts = []
    runs = study.all_runs
    ended = runs["state"].isin((store.FAILED, store.DIVERGED, store.INTERRUPTED))
    for name in runs.loc[ended, "run"][:_LOGS_AT_MOST]:
        lines = store.log_tail(study.directory / name, _LOG_LINES)
        if lines:
            text = "\n".join(f"    {visible(one)}" for one in lines)
            parts += [f"The last lines of {code(f'{name}/log.txt')}:", text]
    return ["## Logs", *parts] if parts else []


def _problems(study: Study) -> list[str]:
    if not study.problems:
        return []
    return ["## Left out", _list(notes.first(study.problems, _LISTED_AT_MOST))]

"""A report as one page: a file that needs no server, no network and, for reading, no scripts.

The scripts draw with uPlot (`vendor/`, MIT), which is part of the file as everything else is.
"""

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ablation.analysis.audit import audit
from ablation.analysis.claims import Claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import (
    HELPS,
    HURTS,
    LARGER,
    NO_RELEVANT_DIFFERENCE,
    OPEN,
    SMALLER,
    Effect,
)
from ablation.analysis.per_image import OfImages, of_images
from ablation.analysis.study import Study
from ablation.analysis.tables import (
    ablation_table,
    arms_table,
    comparison_effects,
    questions,
)
from ablation.records.standing import Standing
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
    tuning_cells,
)
from ablation.report.conditions import condition_cells
from ablation.report.difference import Difference
from ablation.report.gallery import Gallery
from ablation.report.notes import Note
from ablation.report.page.content import both, for_scripts, shown, together
from ablation.report.page.forest import Forest, forest
from ablation.report.page.pictures import CURVES, WITHOUT_SCRIPTS, Picture
from ablation.text import readable

_ROWS_AT_MOST = 300
_TUNING = "tuning"
_PICTURES_AT_MOST = 450_000
"""Characters that the figures of a page may take."""

_SCRIPTS = (
    "address.js",
    "look.js",
    "chart.js",
    "curves.js",
    "points.js",
    "layers.js",
    "confusion.js",
    "tables.js",
    "runs.js",
    "live.js",
    "main.js",
)
_CLASSES = {
    HELPS: "helps",
    HURTS: "hurts",
    LARGER: "larger",
    SMALLER: "smaller",
    NO_RELEVANT_DIFFERENCE: "same",
    OPEN: "open",
}
"""Of each verdict the class that gives it its colour and shape."""
_NUMBER = re.compile(r"(?:above |below )?[<~]?[-+−]?\d[\d,.]*(e[-+]\d+)?( |%|$)")


@dataclass(frozen=True)
class Tried:
    """What was tried for the arms of a comparison.

    Attributes:
        cells: the table of it.
        labels: columns of it that name an arm.
        figure: of it, None before it is drawn.
        about: what it shows.
    """

    cells: Cells
    labels: int
    figure: Picture | None
    about: str


@dataclass(frozen=True)
class Chapter:
    """What the template shows of one comparison.

    Attributes:
        title: of the comparison.
        certificate: what the audit found.
        standing: "pass" or "fail" of the budget, "" where there is nothing to compare.
        score: how to read the ablation table.
        table: the ablation table, and the verdict of its cells by row and column.
        controls: the table of what stands beside the arms, None if nothing does.
        about_controls: what it says, and how to read it.
        marks: the verdict of a cell of it, by row and column.
        more: further tables, each with its title and notes.
        effects: the table of questions.
        answered: the effect of each of its rows.
        forest: the plot of them.
        sentences: of the effects.
        family: how the questions were tested, "" if they were not.
        fallback: figures for where no scripts run.
        pictures: figures for all.
        remarks: what the pictures leave out.
        left: kinds of figures for which there was no room.
        has_layers: whether layers were measured.
        has_confusion: whether there are predictions to count.
        labels: columns of the ablation table that name a row.
        tuning: what was tried for its arms, None if they were not tuned.
    """

    title: str
    certificate: list[Note]
    standing: str
    score: list[Note]
    table: Cells
    controls: Cells | None
    about_controls: list[Note]
    marks: dict[tuple[int, int], str]
    more: list[tuple[str, list[Note], Cells]]
    effects: Cells
    answered: list[Effect]
    forest: Forest | None
    sentences: list[str]
    family: str
    fallback: list[Picture]
    pictures: list[Picture]
    remarks: tuple[str, ...]
    left: list[str]
    has_layers: bool
    has_confusion: bool
    labels: int
    tuning: Tried | None


def page(
    study: Study,
    comparisons: Sequence[Comparison],
    images: Sequence[Sequence[OfImages]],
    galleries: Sequence[Gallery | None],
    claimed: Claimed,
    drawn: Sequence[Sequence[Picture]] = (),
    sort: str = "named",
    live: Standing | None = None,
) -> str:
    """Returns the page of a study.

    Args:
        study: the study.
        comparisons: its comparisons, in order.
        images: for each comparison what the validation images say.
        galleries: for each comparison the predictions that are shown.
        claimed: what the study says to its claims.
        drawn: for each comparison its figures, none before they are drawn.
        sort: how the arms of a design are ordered.
        live: where the sweep stands that trains the runs; None if none does.
    """
    if live:
        live = live.by(dict(zip(study.all_runs["run"], study.all_runs["state"], strict=True)))
    found = for_scripts(study, comparisons, galleries, live)
    room = _PICTURES_AT_MOST // max(1, len(comparisons))
    per_chapter = list(drawn) if len(drawn) == len(comparisons) else [[] for _ in comparisons]
    chapters = [
        _chapter(study, comparison, of_images, figures, gallery, chapter, room, sort)
        for comparison, of_images, figures, gallery, chapter in zip(
            comparisons, images, per_chapter, galleries, found.data["chapters"], strict=True
        )
    ]
    places = {run["name"]: place for place, run in enumerate(found.data["runs"])}
    for comparison, chapter in zip(comparisons, found.data["chapters"], strict=True):
        chapter["behind"] = _behind(comparison, places, sort)
    return _rendered(
        "page.html.j2",
        found.data,
        title=study.directory.name,
        states=notes.states(study),
        counts=study.all_runs["state"].value_counts().to_dict(),
        answers=notes.answers(comparisons, images),
        no_answer=notes.no_answer(study),
        outside=notes.outside(study, comparisons),
        remarks=found.remarks,
        claimed=claim_cells(claimed) if claimed.answers else None,
        about_claims=notes.claimed(claimed),
        chapters=chapters,
        curves=CURVES,
        runs=runs_cells(shown(study.all_runs)),
        problems=notes.first(study.problems, _ROWS_AT_MOST),
        live=live,
    )


def comparing(one: Study, other: Study, difference: Difference) -> str:
    """Returns the page of two studies beside each other.

    Args:
        one: the study to compare with.
        other: the study that is compared.
        difference: between them.
    """
    return _rendered(
        "comparing.html.j2",
        both(one, other, difference),
        title=difference.title,
        difference=difference,
        runs=runs_cells(shown(together(one, other, difference.names).runs)),
    )


def excerpt(study: Study) -> str:
    """Returns of a study what a notebook shows: the answers, certificates and ablation tables."""
    comparisons = study.comparisons()
    images = [of_images(study, comparison) for comparison in comparisons]
    nothing: dict[str, Any] = {"layers": None, "confusion": None}
    return (
        _templates()
        .get_template("excerpt.html.j2")
        .render(
            answers=notes.answers(comparisons, images),
            chapters=[
                _chapter(study, comparison, found, (), None, nothing, 0, "named")
                for comparison, found in zip(comparisons, images, strict=True)
            ],
            states=notes.states(study),
            path=study.directory / "report.html",
        )
    )


def _rendered(template: str, data: dict[str, Any], **values: Any) -> str:
    return (
        _templates()
        .get_template(template)
        .render(
            **values,
            data=_json(data),
            style=_files("vendor/uPlot.min.css", "style.css"),
            library=_files("vendor/uPlot.iife.min.js"),
            scripts=_files(*(f"scripts/{name}" for name in _SCRIPTS)),
            version=metadata.version("ablation"),
        )
    )


def _chapter(
    study: Study,
    comparison: Comparison,
    images: Sequence[OfImages],
    figures: Sequence[Picture],
    gallery: Gallery | None,
    chapter: dict[str, Any],
    room: int,
    sort: str,
) -> Chapter:
    effects = comparison_effects(comparison)
    found = audit(comparison)
    kept: list[Picture] = []
    left: list[Picture] = []
    for figure in sorted(figures, key=lambda one: one.kind in WITHOUT_SCRIPTS):
        fits = len(figure.drawn) <= room
        room -= len(figure.drawn) if fits else 0
        (kept if fits else left).append(figure)
    in_order = [figure for figure in figures if figure in kept]
    return Chapter(
        notes.title(comparison),
        notes.certificate(found),
        "" if found.runs < 2 else "pass" if found.passes else "fail",
        [*notes.score(comparison), *notes.without_reference(comparison)],
        arm_cells(comparison, sort) if comparison.arms else accuracy_cells(comparison),
        control_cells(comparison) if comparison.controls else None,
        [Note(items=tuple(controls.sentences(comparison))), Note(controls.ABOUT)],
        {} if comparison.arms else _marks(comparison),
        list(_more(study, comparison, images)),
        effect_cells(effects),
        effects,
        forest(effects[:_ROWS_AT_MOST]),
        notes.sentences(effects),
        "" if notes.alone(effects) else notes.family(effects),
        [figure for figure in in_order if figure.kind in WITHOUT_SCRIPTS],
        [one for one in in_order if one.kind not in (*WITHOUT_SCRIPTS, _TUNING)],
        gallery.remarks if gallery else (),
        [figure.title.lower() for figure in left],
        bool(chapter["layers"]),
        bool(chapter["confusion"]),
        1 if comparison.arms else len(comparison.rows),
        _tried(comparison, in_order),
    )


def _tried(comparison: Comparison, figures: Sequence[Picture]) -> Tried | None:
    """Returns what was tried for the arms of a comparison, None if nothing was."""
    if not comparison.tuned:
        return None
    figure = next((one for one in figures if one.kind == _TUNING), None)
    labels = 1 if comparison.arms else 1 + len(comparison.rows)
    return Tried(tuning_cells(comparison), labels, figure, notes.tuning(comparison.target))


def _more(study: Study, comparison: Comparison, images: Sequence[OfImages]) -> Any:
    """Yields the other tables, each with its title and what is said of it."""
    if any(question.kind == "interaction" for question in comparison.asked):
        yield "Interactions", [Note(notes.INTERACTIONS)], interaction_cells(comparison)
    shares = notes.shares(comparison)
    if shares:
        yield "Shares", [Note(shares)], share_cells(comparison)
    if images:
        yield (
            images[0].noun.many.capitalize(),
            [Note(notes.over_images(images))],
            image_cells(images),
        )
    said = [Note(notes.cost(comparison)), *notes.uncounted(comparison), *notes.starts(comparison)]
    yield "Cost", said, cost_cells(comparison)
    yield "Conditions", [], condition_cells(study, comparison)


def _marks(comparison: Comparison) -> dict[tuple[int, int], str]:
    """Returns the verdict of each difference of a grid's table, by row and column."""
    verdict = {}
    for question, effect in zip(questions(comparison), comparison_effects(comparison), strict=True):
        cells = [cell for weight, cell in question.terms if weight > 0]
        if question.kind == "contrast" and len(cells) == 1 and effect.verdict:
            verdict[cells[0]] = _CLASSES[effect.verdict]
    found = {}
    first = len(comparison.rows) + len(comparison.columns)
    rows = ablation_table(comparison)[list(comparison.rows)].itertuples(index=False, name=None)
    for place, row in enumerate(rows):
        for i, column in enumerate(comparison.others):
            if (*row, column) in verdict:
                found[place, first + i] = verdict[*row, column]
    return found


def _behind(
    comparison: Comparison, places: dict[str, int], sort: str
) -> dict[int, dict[int, list[int]]]:
    """Returns for each number of the ablation table, by row and column, the runs behind it."""
    runs = comparison.runs.assign(_place=comparison.runs["run"].map(readable).map(places))
    runs = runs[runs["_place"].notna()]
    if comparison.arms:
        by_arm = runs.groupby("column")["_place"]
        column = arm_cells(comparison, sort).header.index(comparison.metric.title)
        arms = list(arms_table(comparison, sort)["arm"])
        known = {str(arm): [int(one) for one in of_arm] for arm, of_arm in by_arm}
        return {row: {column: known[str(arm)]} for row, arm in enumerate(arms) if str(arm) in known}
    by_cell = dict(iter(runs.groupby([*comparison.rows, "column"])["_place"]))
    first = len(comparison.rows)
    rows = ablation_table(comparison)[list(comparison.rows)].itertuples(index=False, name=None)
    return {
        place: {
            first + i: [int(one) for one in by_cell[*row, column]]
            for i, column in enumerate(comparison.columns)
            if (*row, column) in by_cell
        }
        for place, row in enumerate(rows)
    }


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("ablation.report.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: readable(value) if type(value) is str else value,
    )
    environment.filters |= {"kinds": _kinds, "verdict": _CLASSES.get, "breaking": _breaking}
    return environment


def _breaking(title: str) -> Markup:
    """Returns a title that may be broken behind each underscore."""
    return escape(readable(title)).replace("_", Markup("_<wbr>"))


def _kinds(cells: Cells, labels: int) -> list[str]:
    """Returns what each column holds, such as numbers or ticks; the first ones hold text."""
    found = ["text"] * labels
    for place, name in list(enumerate(cells.header))[labels:]:
        texts = [row[place] for row in cells.rows if row[place] not in ("", "–")]
        numbers = bool(texts) and all(_NUMBER.match(text) for text in texts)
        ticks = set(texts) == {"✓"}
        kind = "number" if numbers else "tick" if ticks else "text"
        found.append("verdict" if name == "verdict" else kind)
    return found


def _files(*names: str) -> Markup:
    """Returns files of this package, as they are."""
    folder = resources.files("ablation.report.page")
    return Markup("\n".join((folder / name).read_text("utf-8") for name in names))


def _json(data: Any) -> Markup:
    """Returns JSON for a script element, which nothing in it can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)

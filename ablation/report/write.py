"""Writes a study's report beside its runs. The only module of the report that writes files."""

import contextlib
import io
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib
import pandas as pd

from ablation.analysis import tables
from ablation.analysis.claims import Claimed, claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.controls import controls_table
from ablation.analysis.per_image import OfImages, images_table, of_images
from ablation.analysis.reading import load
from ablation.analysis.shapley import shapley_table
from ablation.analysis.study import Study
from ablation.analysis.tables import tuning_table
from ablation.config import ReportConfig
from ablation.records import durable, locks, store
from ablation.records.standing import Standing
from ablation.report import PAGE, cells, latex, markdown
from ablation.report.as_json import as_json
from ablation.report.checklist import checklist
from ablation.report.difference import Difference
from ablation.report.figures.fonts import drawing
from ablation.report.gallery import Gallery, gallery
from ablation.report.page import comparing, page
from ablation.report.page.pictures import Picture, pixels, vector
from ablation.report.sections import Drawing, sections
from ablation.targets import TARGETS
from ablation.text import READABLE, file_name

_FOLDER = "report"
_MARKDOWN, _JSON = "report.md", "report.json"
_DRAWN_BY_THE_PAGE = ("effects",)
"""Kinds of figures that a page draws itself, with scripts or without."""
_KINDS = (
    *(
        "ablation",
        "against_true",
        "by_label",
        "changed",
        "confusion",
        "controls",
        "cost",
        "effects",
        "examples",
        "final",
        "gradients",
    ),
    *("images", "interactions", "loss", "shares", "predictions", "responses", "tuning"),
    *(target.tracked for target in TARGETS.values()),
)
_CLAIMS = "claims.csv"
_OWN = re.compile(rf"({'|'.join(_KINDS)})-.*\.(csv|pdf|png|svg|tex)|{re.escape(_CLAIMS)}")


Pictures = Sequence[Sequence[Picture]]
"""The figures of each comparison, as a page has them."""


def write_report(
    directory: str | Path,
    options: ReportConfig | None = None,
    tell: Callable[[str], object] | None = None,
    live: Standing | None = None,
) -> Pictures:
    """Writes a study's report: report.md, report.html, report.json, and tables and figures.

    The tables (CSV, LaTeX) and figures (PNG, SVG, PDF) are in report/.

    Args:
        directory: of the study, such as "runs/main".
        options: what is compared, and how; None for the usual.
        tell: takes the certificates, ablation tables and effects in markdown, for the terminal,
            and does so before the figures are drawn, which takes most of the time.
        live: where the sweep stands that trains the runs; None if none does.

    Returns:
        The figures, for `write_page`.

    Raises:
        UserError: there is no study in it, or the contrast is no factor of it.
        OSError: the disk is full or not writable; earlier files stay as they were.
    """
    directory = Path(directory)
    options = options or ReportConfig()
    with _read(directory, options, tell) as (study, found, images, claims):
        files: dict[str, bytes] = {}
        texts: list[list[str]] = []
        figures: list[list[Picture]] = []
        galleries = [gallery(study, comparison) for comparison in found]
        for place, name in enumerate(_file_names(found)):
            shown = study, found[place], galleries[place], images[place], options.sort
            drawn, told, pictures = _sections(*shown, name, f"c{place}-", options.pdf)
            texts.append(told)
            figures.append(pictures)
            files |= drawn | _tables(*shown[1:], name)
        files["runs.csv"] = _csv(study.all_runs)
        files["history.csv"] = _csv(study.history)
        if claims.answers:
            said = cells.claim_cells(claims)
            files[_CLAIMS] = _csv(pd.DataFrame(said.rows, columns=said.header))
        files["checklist.md"] = checklist(study, found, images).encode()
        _replace(directory / _FOLDER, files)
        durable.write_text(
            directory / _MARKDOWN,
            markdown.report(study, found, texts, images, claims, options.sort),
        )
        text = page(study, found, images, galleries, claims, figures, options.sort, live)
        durable.write_text(directory / PAGE, text)
        durable.write_json(directory / _JSON, as_json(study, found, images, claims))
    return figures


def write_page(
    directory: Path, options: ReportConfig, figures: Pictures, live: Standing | None
) -> None:
    """Writes a study's page alone, which takes a small part of the time of a report.

    Args:
        directory: of the study.
        options: what is compared, and how.
        figures: of the last report, if the study has had one.
        live: where the sweep stands that trains the runs; None if none does.

    Raises:
        UserError: there is no study in it.
        OSError: the disk is full or not writable; the earlier page stays as it was.
    """
    with _read(directory, options) as (study, found, images, claims):
        galleries = [gallery(study, comparison) for comparison in found]
        text = page(study, found, images, galleries, claims, figures, options.sort, live)
        durable.write_text(directory / PAGE, text)


@contextlib.contextmanager
def _read(
    directory: Path, options: ReportConfig, tell: Callable[[str], object] | None = None
) -> Iterator[tuple[Study, list[Comparison], list[list[OfImages]], Claimed]]:
    """Reads a study and yields what there is to report, while nobody else writes a report.

    Two sweeps over one study may both want to write; the last report has the last runs.
    """

    def read() -> tuple[Study, list[Comparison], list[list[OfImages]], Claimed]:
        study = load(directory).measured(options.metric, options.margin)
        found = study.comparisons(options.contrast, options.reference, options.design)
        images = [of_images(study, comparison) for comparison in found]
        return study, found, images, claimed(study)

    before = store.last_changes(directory)
    have = read()
    if tell:
        tell(markdown.summary(*have, options.sort))
    with locks.lock(directory / ".report.lock"):
        durable.remove_unfinished(directory, PAGE, _MARKDOWN, _JSON)
        durable.remove_unfinished(directory / _FOLDER)
        yield have if store.last_changes(directory) == before else read()


def write_difference(one: Study, other: Study, found: Difference) -> Path:
    """Writes the page of two studies beside each other, into the folder of the second.

    Args:
        one: the study to compare with.
        other: the study that is compared.
        found: the difference between them.

    Returns:
        The page's path.

    Raises:
        OSError: the disk is full or not writable; an earlier page stays as it was.
    """
    path = other.directory / f"against-{file_name(one.directory.name)}.html"
    durable.write_text(path, comparing(one, other, found))
    return path


def _picture(drawn: Drawing, rendered: dict[str, bytes], name: str, unique: str) -> Picture:
    """Returns a figure as a page has it: pictures of pixels as such, all else as lines."""
    of_pixels = drawn.kind == "confusion" or "svg" not in drawn.forms
    content = rendered[f"{drawn.kind}-{name}.{'png' if of_pixels else 'svg'}"]
    if of_pixels:
        return pixels(drawn.kind, drawn.caption, content)
    return vector(drawn.kind, drawn.caption, content, f"{unique}{drawn.kind}-")


def _sections(
    study: Study,
    comparison: Comparison,
    shown: Gallery | None,
    images: list[OfImages],
    sort: str,
    name: str,
    unique: str,
    pdf: bool,
) -> tuple[dict[str, bytes], list[str], list[Picture]]:
    """Draws the figures of a comparison.

    Args:
        study: the study.
        comparison: one of its comparisons.
        shown: the images and predictions to show of it.
        images: what the validation images say to its questions.
        sort: how the arms of a design are ordered.
        name: of the comparison, in the names of its files.
        unique: what sets ids in its figures apart from those of other comparisons.
        pdf: whether figures that are no pictures of pixels are PDF files too.

    Returns:
        The files, the sections in markdown, and the figures as a page has them.
    """
    files: dict[str, bytes] = {}
    texts, figures = [], []
    with drawing(_names(comparison, shown)):
        for section in sections(study, comparison, shown, images, sort):
            paths = [f"{_FOLDER}/{one.kind}-{name}.png" for one in section.drawings]
            captions = [one.caption for one in section.drawings]
            illustrations = list(zip(paths, captions, strict=True))
            said = section.remarks, section.about, section.table
            texts.append(markdown.section(section.title, illustrations, *said))
            for one in section.drawings:
                rendered = _rendered(one, name, pdf)
                files |= rendered
                if one.kind not in _DRAWN_BY_THE_PAGE:
                    figures.append(_picture(one, rendered, name, unique))
    return files, texts, figures


def _names(comparison: Comparison, shown: Gallery | None) -> Iterator[str]:
    """Yields what figures show and users have named: levels and classes."""
    for key in (*comparison.rows, "column"):
        yield from map(str, comparison.runs[key].unique())
    yield from shown.classes if shown else ()


def _tables(
    comparison: Comparison,
    shown: Gallery | None,
    images: list[OfImages],
    sort: str,
    name: str,
) -> dict[str, bytes]:
    if comparison.arms:
        ablation = tables.arms_table(comparison, sort), cells.arm_cells(comparison, sort)
    else:
        ablation = tables.ablation_table(comparison), cells.accuracy_cells(comparison)
    found = tables.comparison_effects(comparison)
    both = {
        "ablation": ablation,
        "effects": (tables.effects_table(comparison), cells.effect_cells(found)),
        "cost": (tables.cost_table(comparison), cells.cost_cells(comparison)),
    }
    if any(effect.kind == "interaction" for effect in found) and comparison.arms:
        interactions = tables.interactions_table(comparison), cells.interaction_cells(comparison)
        both["interactions"] = interactions
    if comparison.controls:
        both["controls"] = controls_table(comparison), cells.control_cells(comparison)
    if comparison.tuned:
        both["tuning"] = tuning_table(comparison), cells.tuning_cells(comparison)
    shares = shapley_table(comparison)
    if not comparison.arms and len(shares):
        both["shares"] = shares, cells.share_cells(comparison)
    if images:
        both["images"] = images_table(images), cells.image_cells(images)
    files = {}
    if shown and shown.target.is_row:
        files[f"predictions-{name}.csv"] = _csv(shown.rows_table())
    elif shown:
        files[f"confusion-{name}.csv"] = _csv(shown.confusion_table())
    for kind, (frame, texts) in both.items():
        files[f"{kind}-{name}.csv"] = _csv(frame)
        files[f"{kind}-{name}.tex"] = latex.table(texts).encode()
    return files


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Writes the files and removes those of an earlier report that have no successor."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        durable.write_bytes(folder / name, content)
    for path in folder.iterdir():
        if path.name not in files and _OWN.fullmatch(path.name):
            path.unlink()


_DATES = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def _rendered(drawn: Drawing, name: str, pdf: bool) -> dict[str, bytes]:
    """Returns the files of one figure."""
    # Laid out once. With any engine left, a placeholder too, each form would be drawn twice.
    layout = drawn.figure.get_layout_engine()
    if layout:
        layout.execute(drawn.figure)
        drawn.figure.set_layout_engine(None)
    files = {}
    for form in (*drawn.forms, *(["pdf"] if pdf and "svg" in drawn.forms else [])):
        content = io.BytesIO()
        # Without a date and with fixed ids the same study gives the same file. Publishers take no
        # fonts of type 3, which Matplotlib would embed.
        with matplotlib.rc_context({"svg.hashsalt": "ablation", "pdf.fonttype": 42}):
            metadata = _DATES.get(form, {})
            drawn.figure.savefig(content, format=form, dpi=150, metadata=metadata)
        files[f"{drawn.kind}-{name}.{form}"] = content.getvalue()
    return files


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode(errors=READABLE)


def _file_names(comparisons: Sequence[Comparison]) -> list[str]:
    """Returns for each comparison its data set's name, numbered where several have one.

    Several protocols have one, and so have two names that differ only in what a file's name cannot
    hold, or in what a file system may take for the same: capitals, and how accents are composed.
    """
    # A folder may know fewer letters, such as those of Latin-1.
    known = sys.getfilesystemencoding()
    names = [
        file_name(comparison.dataset).encode(known, READABLE).decode(known).replace("\\", "")
        for comparison in comparisons
    ]
    folded = [unicodedata.normalize("NFKC", name).casefold() for name in names]
    found = []
    for i, (name, one) in enumerate(zip(names, folded, strict=True)):
        several = folded.count(one) > 1
        found.append(f"{name}-{folded[: i + 1].count(one)}" if several else name)
    return found

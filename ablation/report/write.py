"""Writes a study's report beside its runs. The only module of the report that writes files."""

import io
import re
from pathlib import Path

import matplotlib
import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure

from ablation import store, tables
from ablation.comparison import Comparison, combinations
from ablation.effects import Effect, foremost
from ablation.report import cells, figures, latex, markdown
from ablation.study import Study, load

_FOLDER = "report"
_DRAWN_AT_MOST = 40
_OWN = re.compile(r"(ablation|accuracy|cost|effects|final|loss)-.*\.(csv|png|svg|tex)")
_CURVES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}


def write_report(
    directory: str | Path, contrast: str = "plain", reference: str | None = None
) -> str:
    """Writes a study's report.md, and in report/ its tables (CSV, LaTeX) and figures (PNG, SVG).

    Args:
        directory: of the study, such as "runs/main".
        contrast: the factor whose levels are compared.
        reference: the level that the others are compared with, None for the usual one.

    Returns:
        Its certificates, ablation tables and effects in markdown, for the terminal.

    Raises:
        UserError: there is no study in it, or the contrast is no factor of it.
        OSError: the disk is full or not writable; earlier files stay as they were.
    """
    directory = Path(directory)
    study = load(directory)
    found = study.comparisons(contrast, reference)
    # Two sweeps over one study may both want to write.
    with FileLock(directory / ".report.lock"):
        files: dict[str, bytes] = {}
        images = []
        for i, comparison in enumerate(found):
            name = _name(found, i)
            drawn = _figures(study, comparison, name)
            notes = _notes(comparison)
            pictures = [file for file in drawn if file.endswith(".png")]
            images.append({f"{_FOLDER}/{f}": notes.get(f.partition("-")[0], "") for f in pictures})
            files |= drawn | _tables(comparison, name)
        files["runs.csv"] = _csv(study.runs)
        files["history.csv"] = _csv(study.history)
        _replace(directory / _FOLDER, files)
        store.write_text(directory / "report.md", markdown.report(study, found, images))
    return markdown.summary(study, found)


def _tables(comparison: Comparison, name: str) -> dict[str, bytes]:
    found = tables.comparison_effects(comparison)
    return {
        f"ablation-{name}.csv": _csv(tables.ablation_table(comparison)),
        f"ablation-{name}.tex": latex.tabular(cells.accuracy_cells(comparison)).encode(),
        f"effects-{name}.csv": _csv(tables.effects_table(comparison)),
        f"effects-{name}.tex": latex.tabular(cells.effect_cells(found)).encode(),
        f"cost-{name}.csv": _csv(tables.cost_table(comparison)),
        f"cost-{name}.tex": latex.tabular(cells.cost_cells(comparison)).encode(),
    }


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Writes the files and removes those of an earlier report that have no successor."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        store.write_bytes(folder / name, content)
    for path in folder.iterdir():
        if path.name not in files and _OWN.fullmatch(path.name):
            path.unlink()


def _figures(study: Study, comparison: Comparison, name: str) -> dict[str, bytes]:
    """Draws what there is to draw; the order is that of the report."""
    columns = comparison.columns
    drawn: dict[str, Figure] = {}
    if not comparison.complete.empty:
        shown = figures.drawable(comparison.complete, comparison.rows)
        drawn["final"] = figures.final_accuracy(shown, comparison.rows, columns)
    found = _seen(comparison)
    if found:
        drawn["effects"] = figures.differences(foremost(found, _DRAWN_AT_MOST))
    history = study.history[study.history["run"].isin(comparison.runs["run"])]
    if not history.empty:
        for kind, metrics in _CURVES.items():
            drawn[kind] = figures.curves(comparison.runs, history, metrics, columns)
    for figure in drawn.values():
        # Once, and not again for each form.
        layout = figure.get_layout_engine()
        assert layout
        layout.execute(figure)
        figure.set_layout_engine("none")
    return {
        f"{kind}-{name}.{form}": _rendered(figure, form)
        for kind, figure in drawn.items()
        for form in ("png", "svg")
    }


def _seen(comparison: Comparison) -> list[Effect]:
    """Returns the effects that have at least one seed to show."""
    return [effect for effect in tables.comparison_effects(comparison) if effect.n]


def _notes(comparison: Comparison) -> dict[str, str]:
    """Returns, by the figure's kind, what is left out of it because it would not be legible."""
    notes = {}
    rows, runs = comparison.rows, comparison.complete
    cells = len(combinations(runs, rows))
    drawn = len(combinations(figures.drawable(runs, rows), rows))
    if drawn < cells:
        notes["final"] = f"Drawn are {drawn:,} of {cells:,} rows of the table, the first ones."
    effects = len(_seen(comparison))
    if effects > _DRAWN_AT_MOST:
        averages = "those averaged over the rest first"
        notes["effects"] = f"Drawn are {_DRAWN_AT_MOST} of {effects:,} effects, {averages}."
    return notes


def _rendered(figure: Figure, form: str) -> bytes:
    content = io.BytesIO()
    # Without a date and with fixed ids the same study gives the same file.
    metadata = {"Date": None} if form == "svg" else {}
    with matplotlib.rc_context({"svg.hashsalt": "ablation"}):
        figure.savefig(content, format=form, dpi=150, metadata=metadata)
    return content.getvalue()


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _name(comparisons: list[Comparison], i: int) -> str:
    """Returns the data set's name, numbered if it has several protocols."""
    dataset = re.sub(r"[^\w.]+", "_", comparisons[i].dataset)
    same = [j for j, other in enumerate(comparisons) if other.dataset == comparisons[i].dataset]
    return dataset if len(same) == 1 else f"{dataset}-{same.index(i) + 1}"

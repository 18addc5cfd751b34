"""Writes a study's report beside its runs. The only module of the report that writes files."""

import io
import re
from pathlib import Path

import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure

from ablation import store
from ablation.report import figures, markdown, tables
from ablation.report.tables import Comparison
from ablation.study import Study, load

_FIGURES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}


def write_report(directory: str | Path) -> str:
    """Reads a study and writes report.md, tables as CSV and figures as PNG and SVG beside it.

    Args:
        directory: of the study, such as "runs/main".

    Returns:
        Its ablation tables in markdown, for the terminal.

    Raises:
        UserError: there is no study in it.
        OSError: the disk is full or not writable; earlier files stay as they were.
    """
    directory = Path(directory)
    study = load(directory)
    # Two sweeps over one study may both want to write.
    with FileLock(directory / ".report.lock"):
        found = tables.comparisons(study)
        images: dict[int, list[str]] = {}
        for i, comparison in enumerate(found):
            name = _name(found, i)
            images[i] = _write_figures(study, comparison, directory, name)
            _write_csv(directory / f"ablation-{name}.csv", tables.ablation_table(comparison))
            _write_csv(directory / f"cost-{name}.csv", tables.cost_table(comparison))
        _write_csv(directory / "runs.csv", study.runs)
        _write_csv(directory / "history.csv", study.history)
        store.write_text(directory / "report.md", markdown.report(study, found, images))
    return markdown.summary(study, found)


def _write_figures(study: Study, comparison: Comparison, directory: Path, name: str) -> list[str]:
    history = study.history[study.history["run"].isin(comparison.runs["run"])]
    if history.empty:
        return []
    written = []
    for kind, metrics in _FIGURES.items():
        figure = figures.curves(comparison.runs, history, metrics)
        _save(figure, directory / f"{kind}-{name}")
        written.append(f"{kind}-{name}.png")
    return written


def _save(figure: Figure, stem: Path) -> None:
    for form in ("png", "svg"):
        content = io.BytesIO()
        # Without a date the same study gives the same file.
        figure.savefig(content, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {})
        store.write_bytes(stem.with_suffix(f".{form}"), content.getvalue())


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    store.write_text(path, frame.to_csv(index=False))


def _name(comparisons: list[Comparison], i: int) -> str:
    """Returns the data set's name, numbered if it has several protocols."""
    dataset = re.sub(r"[^\w.]+", "_", comparisons[i].dataset)
    same = [j for j, other in enumerate(comparisons) if other.dataset == comparisons[i].dataset]
    return dataset if len(same) == 1 else f"{dataset}-{same.index(i) + 1}"

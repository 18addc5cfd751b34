"""Writes a study's report beside its runs. The only module of the report that writes files."""

import io
import re
from pathlib import Path

import matplotlib
import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure

from ablation import store
from ablation.report import figures, markdown, tables
from ablation.report.tables import Comparison
from ablation.study import Study, load

_FOLDER = "report"
_FIGURES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy")}


def write_report(directory: str | Path) -> str:
    """Reads a study and writes its report.md, and in report/ tables as CSV, figures as PNG and SVG.

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
        files: dict[str, bytes] = {}
        found = tables.comparisons(study)
        images = []
        for i, comparison in enumerate(found):
            name = _name(found, i)
            drawn = _figures(study, comparison, name)
            images.append([f"{_FOLDER}/{file}" for file in drawn if file.endswith(".png")])
            files |= drawn
            files[f"ablation-{name}.csv"] = _csv(tables.ablation_table(comparison))
            files[f"cost-{name}.csv"] = _csv(tables.cost_table(comparison))
        files["runs.csv"] = _csv(study.runs)
        files["history.csv"] = _csv(study.history)
        _replace(directory / _FOLDER, files)
        store.write_text(directory / "report.md", markdown.report(study, found, images))
    return markdown.summary(study, found)


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Writes the files and removes those of an earlier report that have no successor."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        store.write_bytes(folder / name, content)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()


def _figures(study: Study, comparison: Comparison, name: str) -> dict[str, bytes]:
    history = study.history[study.history["run"].isin(comparison.runs["run"])]
    if history.empty:
        return {}
    files = {}
    for kind, metrics in _FIGURES.items():
        figure = figures.curves(comparison.runs, history, metrics)
        for form in ("png", "svg"):
            files[f"{kind}-{name}.{form}"] = _rendered(figure, form)
    return files


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

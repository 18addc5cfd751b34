"""Figures of a report. Each function draws one figure and saves nothing."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from ablation.models.specs import ARCHS

# Okabe and Ito's palette, told apart by colour-blind readers; in grey the line style does it.
_STYLES = (
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
    {"color": "#000000", "linestyle": (0, (5, 1)), "marker": "v"},
)
_TITLES = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
}


def curves(runs: pd.DataFrame, history: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Draws metrics over epochs: a row of panels for each metric, a column for each architecture.

    Args:
        runs: one row a run, with `run`, `arch` and `column`.
        history: one row a run and epoch, with `run`, `epoch` and the metrics.
        metrics: names of the metrics, one row of panels each.

    Returns:
        The figure. Panels of a row share their scale, so that depths can be compared.
    """
    archs = [arch for arch in ARCHS if arch in set(runs["arch"])]
    rows, columns = len(metrics), len(archs)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 0.9 + 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
    for row, metric in zip(panels, metrics, strict=True):
        for axes, arch in zip(row, archs, strict=True):
            of_arch = runs[runs["arch"] == arch]
            draw_curves(axes, of_arch, history, metric, columns=_column_order(runs))
        row[0].set_ylabel(_TITLES[metric])
        if row[0].get_yscale() == "log":
            _label_log_axis(row[0])
    for axes, arch in zip(panels[0], archs, strict=True):
        axes.set_title(f"depth {arch}" if arch.isdigit() else arch)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    labelled = {
        label: line
        for axes in panels.flat
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        labelled.values(), labelled.keys(), loc="outside upper center", ncols=len(labelled)
    )
    return figure


def draw_curves(
    axes: Axes, runs: pd.DataFrame, history: pd.DataFrame, metric: str, columns: Sequence[str]
) -> Axes:
    """Draws one metric over epochs, one line a run, styled by the run's column.

    Args:
        axes: where to draw.
        runs: one row a run, with `run` and `column`.
        history: one row a run and epoch.
        metric: the column of `history` to draw.
        columns: every column of the comparison, in order; the first is drawn dashed.

    Returns:
        The axes.
    """
    for run, column in zip(runs["run"], runs["column"], strict=True):
        points = history[history["run"] == run]
        style = _STYLES[columns.index(column) % len(_STYLES)]
        axes.plot(points["epoch"], points[metric], label=column, markersize=4, **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    if "accuracy" in metric:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        # Early validation losses under batch normalisation can be a thousand times the last ones.
        axes.set_yscale("log")
    return axes


def _label_log_axis(axes: Axes) -> None:
    """Labels a logarithmic axis with plain numbers: 1, 2, 5, or powers of ten over many decades."""
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _column_order(runs: pd.DataFrame) -> list[str]:
    # "plain" keeps the first style even where no plain run is left to draw.
    return ["plain", *sorted(set(runs["column"]) - {"plain"})]

"""Figures of a report. Each function draws one figure and saves nothing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from ablation.comparison import combinations, levels
from ablation.config import BASELINE
from ablation.effects import Effect, t_half_width

# Okabe and Ito's palette, told apart by colour-blind readers. In grey marker and line do it: their
# numbers have no common divisor, so that 28 levels differ in one or the other.
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("--", "-", "-.", ":")
_MARKERS = ("s", "o", "^", "D", "v", "P", ">")
_BASELINE: dict[str, Any] = {"color": "#000000", "linestyle": (0, (5, 1)), "marker": "*"}
_WIDTH = 14.0
"""Of a figure, inches, at most."""
_ARCHS_ABREAST = 6
_CELLS_AT_MOST = 12
_PANELS_AT_MOST = 24
_LABELS_AT_MOST = 24
_MARKERS_AT_MOST = 15
_DOTS_AT_MOST = 1000
"""Beyond which they are an image in the SVG, which would take megabytes to name each of them."""
_DOT: dict[str, Any] = {"alpha": 0.5, "markersize": 5}
_TITLES = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
}


def curves(
    runs: pd.DataFrame, history: pd.DataFrame, metrics: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Draws metrics over epochs: a row of panels for each metric, a column for each architecture.

    Args:
        runs: one row a run, with `run`, `arch` and `column`.
        history: one row a run and epoch, with `run`, `epoch` and the metrics.
        metrics: names of the metrics, one row of panels each.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure. Panels of a metric share their scale, so that depths can be compared. Many
        architectures are wrapped into several bands of rows.
    """
    archs = levels("arch", runs["arch"])
    across = min(len(archs), _ARCHS_ABREAST)
    bands = [archs[i : i + across] for i in range(0, len(archs), across)]
    down = len(bands) * len(metrics)
    figure = Figure(figsize=(1.2 + 2.9 * across, 0.9 + 2.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey="row", squeeze=False)
    for i, band in enumerate(bands):
        rows = panels[i * len(metrics) : (i + 1) * len(metrics)]
        for row, metric in zip(rows, metrics, strict=True):
            for axes, arch in zip(row, band, strict=False):
                draw_curves(axes, runs[runs["arch"] == arch], history, metric, columns)
            row[0].set_ylabel(_TITLES[metric])
        for axes, arch in zip(rows[0], band, strict=False):
            axes.set_title(arch_title(arch))
        for axes in rows[-1]:
            axes.set_xlabel("epoch")
            axes.tick_params(labelbottom=True)
        for axes in rows[:, len(band) :].flat:
            axes.remove()
    for i in range(len(metrics)):
        _share_scale(list(panels[i :: len(metrics), 0]))
    legend(figure, columns)
    return figure


def draw_curves(
    axes: Axes, runs: pd.DataFrame, history: pd.DataFrame, metric: str, columns: Sequence[str]
) -> Axes:
    """Draws one metric over epochs: the mean of each column's runs, and their range as a band.

    Args:
        axes: where to draw.
        runs: one row a run, with `run` and `column`.
        history: one row a run and epoch.
        metric: the column of `history` to draw.
        columns: every level, in the order of their styles.

    Returns:
        The axes.
    """
    for column in columns:
        names = runs.loc[runs["column"] == column, "run"]
        if names.empty:
            continue
        by_epoch = history[history["run"].isin(names)].groupby("epoch")[metric]
        style = line_style(columns, column)
        # A marker at each of many epochs would hide the kind of line.
        every = max(1, by_epoch.ngroups // _MARKERS_AT_MOST)
        axes.plot(by_epoch.mean(), label=column, markersize=4, markevery=every, **style)
        if len(names) > 1:
            low, high = by_epoch.min(), by_epoch.max()
            axes.fill_between(low.index, low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    if "accuracy" in metric:
        _percent_axis(axes)
    else:
        # Early validation losses under batch normalisation can be a thousand times the last ones.
        axes.set_yscale("log")
    return axes


def drawable(runs: pd.DataFrame, rows: Sequence[str]) -> pd.DataFrame:
    """Returns those runs that `final_accuracy` can draw legibly: all, or those of so many panels.

    Args:
        runs: one row a run, with the row factors.
        rows: the factors that make a row.
    """
    _, others = _split(runs, rows)
    if not others:
        return runs
    shown = set(combinations(runs, others)[:_PANELS_AT_MOST])
    keys = runs[others].itertuples(index=False, name=None)
    return runs[[key in shown for key in keys]]


def final_accuracy(runs: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws the final validation accuracy of every cell; against depth it shows degradation.

    Args:
        runs: complete runs, with the row factors, `column`, `seed` and `val_accuracy`.
        rows: the factors that make a row. Their combinations are the horizontal axis; if they are
            many, that is the factor with most levels, and each combination of the others a panel.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure: a point for each seed, and for each cell the mean with its 95% t interval.
    """
    along, others = _split(runs, rows)
    places, panels = combinations(runs, along), combinations(runs, others)
    cells = dict(iter(runs.groupby([*others, *along, "column"], sort=False)["val_accuracy"]))
    figure, grid = _grid(len(panels), len(places))
    many = len(runs) > _DOTS_AT_MOST
    for axes, panel in zip(grid.flat, panels, strict=False):
        for i, column in enumerate(columns):
            # Side by side, so that intervals of one cell do not hide each other.
            shift = 0.12 * (i - (len(columns) - 1) / 2)
            found = {
                place + shift: cells[*panel, *cell, column].astype(float)
                for place, cell in enumerate(places)
                if (*panel, *cell, column) in cells
            }
            _draw_cells(axes, found, column, line_style(columns, column), many)
        if panel:
            title = ", ".join(f"{n} {v}" for n, v in zip(others, panel, strict=True))
            axes.set_title(title, fontsize=9)
        width = figure.get_figwidth() / grid.shape[1]
        _label_places(axes, [", ".join(map(str, cell)) for cell in places], width)
        axes.grid(alpha=0.3)
        _percent_axis(axes)
    for i, axes in enumerate(grid.flat):
        below = i + grid.shape[1]
        axes.tick_params(labelbottom=below >= len(panels))
        if i >= len(panels):
            axes.remove()
    arch = "depth" if all(name.isdigit() for name in runs["arch"].unique()) else "arch"
    figure.supxlabel(", ".join(arch if row == "arch" else row for row in along), fontsize=10)
    figure.supylabel("validation accuracy", fontsize=10)
    legend(figure, columns)
    return figure


def _split(runs: pd.DataFrame, rows: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the factors along the horizontal axis and those that tell panels apart."""
    if len(combinations(runs, rows)) <= _CELLS_AT_MOST:
        return list(rows), []
    longest = max(rows, key=lambda row: runs[row].nunique())
    return [longest], [row for row in rows if row != longest]


def _grid(panels: int, places: int) -> tuple[Figure, np.ndarray]:
    """Returns a figure with so many panels, each with so many places on its horizontal axis."""
    if panels == 1:
        size = min(2.2 + 1.1 * places, _WIDTH), 3.8
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(squeeze=False)
    width = min(1.4 + 0.25 * places, _WIDTH)
    across = min(panels, int(_WIDTH / width))
    down = math.ceil(panels / across)
    figure = Figure(figsize=(across * width, 1.2 + 2.3 * down), layout="constrained")
    return figure, figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)


def _draw_cells(
    axes: Axes, cells: dict[float, pd.Series], label: str, style: dict[str, Any], many: bool
) -> None:
    """Draws the accuracies of some cells, each at its place on the horizontal axis."""
    for place, values in cells.items():
        dots = [place + 0.04] * len(values)
        axes.plot(dots, values, ".", color=style["color"], rasterized=many, **_DOT)
    means = [values.mean() for values in cells.values()]
    errors = [t_half_width(values) for values in cells.values()]
    if label == BASELINE:
        style = style | {"linestyle": "none"}  # Each is a net of its own: no line leads on.
    axes.errorbar([*cells], means, yerr=errors, label=label, capsize=3, markersize=5, **style)


def _label_places(axes: Axes, labels: Sequence[str], width: float) -> None:
    """Labels the places of a horizontal axis of so many inches, of very many only some."""
    step = math.ceil(len(labels) / _LABELS_AT_MOST)
    shown = labels[::step]
    upright = 0.09 * sum(map(len, shown)) > width - 1
    rotation = 90 if upright else 0
    axes.set_xticks(range(0, len(labels), step), shown, rotation=rotation, fontsize=9)
    axes.set_xlim(-0.5, len(labels) - 0.5)


def differences(effects: Sequence[Effect]) -> Figure:
    """Draws each effect with every seed's difference, the mean and its 95% t interval.

    Args:
        effects: at least one, each with at least one seed.
    """
    labels = [f"{e.name}, {e.where or 'averaged over the rest'} (n={e.n})" for e in effects]
    width = max(7.2, 4.2 + 0.075 * max(map(len, labels)))
    figure = Figure(figsize=(width, 0.9 + 0.42 * len(effects)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    many = sum(effect.n for effect in effects) > _DOTS_AT_MOST
    for place, effect in enumerate(effects):
        points = 100 * effect.differences
        low, high = (100 * bound for bound in effect.interval)
        style: dict[str, Any] = {"color": "#0072B2"}
        axes.plot(points, [place + 0.15] * len(points), ".", rasterized=many, **style, **_DOT)
        if effect.n > 1 and not effect.constant:
            axes.plot([low, high], [place, place], linewidth=2, **style)
        axes.plot(100 * effect.mean, place, "o", markersize=6, **style)
    axes.set_yticks(range(len(effects)), labels)
    axes.set_ylim(len(effects) - 0.5, -0.5)
    axes.set_xlabel("difference of validation accuracy, points")
    axes.grid(alpha=0.3, axis="x")
    return figure


def arch_title(arch: str) -> str:
    """Returns the name of an architecture as it stands above its panels."""
    return f"depth {arch}" if arch.isdigit() else arch


def line_style(columns: Sequence[str], column: str) -> dict[str, Any]:
    """Returns the line of a level: plain is dashed wherever it stands, and residual solid."""
    if column == BASELINE:
        return _BASELINE
    usual = [name for name in ("plain", "residual") if name in columns]
    order = usual if "plain" in usual else ["plain", *usual]
    order += [name for name in columns if name not in order]
    i = order.index(column)
    return {
        "color": _COLORS[i % len(_COLORS)],
        "linestyle": _LINES[i % len(_LINES)],
        "marker": _MARKERS[i % len(_MARKERS)],
    }


def _percent_axis(axes: Axes) -> None:
    """Lets shares reach from 0 to 100 %, or from just below the lowest where all are high."""
    sharing = axes.get_shared_y_axes().get_siblings(axes)
    lowest = min(each.dataLim.y0 for each in sharing)
    bottom = math.floor(10 * lowest - 0.2) / 10 if 0.5 < lowest <= 1 else 0
    axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
    # Without steps of 2.5, which whole percentages would misname.
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def legend(figure: Figure, columns: Sequence[str]) -> None:
    """Puts one legend of all levels above the panels, in as many rows as the width asks for."""
    lines = [Line2D([], [], label=name, **line_style(columns, name)) for name in columns]
    fit = int(figure.get_figwidth() / (0.7 + 0.085 * max(map(len, columns))))
    down = math.ceil(len(columns) / max(1, fit))
    figure.set_figheight(figure.get_figheight() + 0.22 * (down - 1))
    figure.legend(handles=lines, loc="outside upper center", ncols=math.ceil(len(columns) / down))


def _share_scale(panels: Sequence[Axes]) -> None:
    """Gives the rows of panels, of which these are the first ones, the same vertical scale."""
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
        if axes.get_yscale() == "log":
            label_log_axis(axes)


def label_log_axis(axes: Axes) -> None:
    """Labels a logarithmic axis with plain numbers: 1, 2, 5, or powers of ten over many decades."""
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())

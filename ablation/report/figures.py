"""Figures of a report. Each function draws one figure and saves nothing."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.cells import cell_len

from ablation.analysis.comparison import combinations
from ablation.analysis.effects import Effect
from ablation.analysis.significance import t_half_width
from ablation.records import store
from ablation.report.axes import (
    LEVEL_LENGTH,
    WIDTH,
    draw_range,
    fitted,
    label_log_axis,
    legend,
    line_style,
    panel_grid,
    percent_axis,
    row_title,
)
from ablation.report.fonts import drawn

_CELLS_AT_MOST = 12
_PANELS_AT_MOST = 24
_LABELS_AT_MOST = 24
_EFFECT_LENGTH = 100
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
    runs: pd.DataFrame,
    history: pd.DataFrame,
    metrics: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Figure:
    """Draws metrics over epochs: for each row of the table a panel of each metric.

    Args:
        runs: one row a run, with `run`, `state`, the row factors and `column`.
        history: one row a run and epoch, with `run`, `epoch` and the metrics.
        metrics: names of the metrics.
        rows: the factors that make a row.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure. Panels of a metric share their scale, so that depths can be compared. Above
        them stands how many runs are not complete.
    """
    cells = dict(iter(runs.groupby(list(rows), sort=False)))
    keys = combinations(runs, rows)
    incomplete = [_incomplete(cells[key], columns) for key in keys]
    labels = [_TITLES[metric] for metric in metrics]
    figure, panels = panel_grid(rows, keys, labels, (2.9, 2.4), incomplete)
    for metric, row in zip(metrics, panels, strict=True):
        for axes, key in zip(row, keys, strict=True):
            axes.sharex(panels[0][0])
            draw_curves(axes, cells[key], history, metric, columns)
            axes.tick_params(labelbottom=row is panels[-1])
        if row[0].get_yscale() == "log":
            label_log_axis(row[0])
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    legend(figure, columns)
    return figure


def draw_curves(
    axes: Axes, runs: pd.DataFrame, history: pd.DataFrame, metric: str, columns: Sequence[str]
) -> Axes:
    """Draws one metric over epochs, for each column the mean of its runs and their range as a band.

    A run that is not complete is a thin line of its own, since a mean would jump where it ends; a
    cross ends it if it failed or diverged.

    Args:
        axes: where to draw.
        runs: one row a run, with `run`, `state` and `column`, that differ in their seed alone.
        history: one row a run and epoch.
        metric: the column of `history` to draw.
        columns: every level, in the order of their styles.

    Returns:
        The axes.
    """
    for column in columns:
        states = runs[runs["column"] == column].set_index("run")["state"]
        found = history[history["run"].isin(states.index)]
        complete = found["run"].isin(states.index[states == store.COMPLETE])
        style = line_style(columns, column)
        draw_range(axes, found[complete], "epoch", metric, column, style)
        for name, epochs in found[~complete].groupby("run", sort=False):
            values = epochs.set_index("epoch")[metric]
            ended = states[name] in (store.FAILED, store.DIVERGED)
            axes.plot(
                values[np.isfinite(values)],
                **style | {"marker": "x" if ended else "."},
                markevery=[-1],
                markersize=7,
                markeredgewidth=1.5,
                linewidth=0.8,
            )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    if "accuracy" in metric:
        percent_axis(axes)
    else:
        # Early validation losses under batch normalisation can be a thousand times the last ones.
        axes.set_yscale("log")
    return axes


def _incomplete(runs: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Returns for each column that has some how many runs are in which state but complete."""
    broken = runs[runs["state"] != store.COMPLETE]
    states = dict(iter(broken.groupby("column")["state"]))
    return [f"{column}: {_counted(states[column])}" for column in columns if column in states]


def _counted(states: pd.Series) -> str:
    """Returns how many runs are in which state."""
    return ", ".join(f"{count} {state}" for state, count in states.value_counts().items())


def first_panels(runs: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Returns the runs of the factors' first combinations, of so many that a figure has room for.

    Args:
        runs: one row a run, with the factors.
        factors: those whose combinations are panels.
    """
    if not factors:
        return runs
    shown = set(combinations(runs, factors)[:_PANELS_AT_MOST])
    keys = runs[list(factors)].itertuples(index=False, name=None)
    return runs.loc[[key in shown for key in keys]]


def drawable(runs: pd.DataFrame, rows: Sequence[str]) -> pd.DataFrame:
    """Returns those runs that `final_accuracy` can draw legibly: all, or those of so many panels.

    Args:
        runs: one row a run, with the row factors.
        rows: the factors that make a row.
    """
    return first_panels(runs, _split(runs, rows)[1])


def final_accuracy(runs: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws the final validation accuracy of every cell; against depth it shows degradation.

    Args:
        runs: one row a run, with `state`, the row factors, `column`, `seed` and `val_accuracy`.
        rows: the factors that make a row. Their combinations are the horizontal axis; if they are
            many, that is the factor with most levels, and each combination of the others a panel.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure: a point for each seed, for each cell the mean with its 95% t interval, and how
        many runs are not complete. A line joins cells that differ in the last factor alone.
    """
    along, others = _split(runs, rows)
    places, panels = combinations(runs, along), combinations(runs, others)
    complete = runs["state"] == store.COMPLETE
    keys = [*others, *along, "column"]
    accuracies = dict(iter(runs[complete].groupby(keys, sort=False)["val_accuracy"]))
    broken = dict(iter(runs[~complete].groupby(keys, sort=False)["state"]))
    families = dict(zip(runs["arch"], runs["family"], strict=True))
    lines = [_line(along, place, families) for place in places]
    joined = [False, *(one == two for one, two in pairwise(lines))]
    figure, grid = _grid(len(panels), len(places), len(columns))
    # Side by side, so that intervals of one cell do not hide each other.
    apart = min(0.12, 0.8 / len(columns))
    many = len(runs) > _DOTS_AT_MOST
    notes = []
    for axes, panel in zip(grid.flat, panels, strict=False):
        for i, column in enumerate(columns):
            shift = apart * (i - (len(columns) - 1) / 2)
            style = line_style(columns, column)
            found = [accuracies.get((*panel, *cell, column)) for cell in places]
            _draw_cells(axes, found, joined, shift, apart / 3, style, many)
            for place, (cell, values) in enumerate(zip(places, found, strict=True)):
                states = broken.get((*panel, *cell, column))
                if states is not None:
                    notes.append((axes, place + shift, values, states, style["color"]))
        width = figure.get_figwidth() / grid.shape[1]
        axes.set_title(fitted(row_title(others, panel), width - 0.2), fontsize=9)
        labels = [", ".join(drawn(str(level), LEVEL_LENGTH) for level in cell) for cell in places]
        _label_places(axes, labels, width)
        axes.grid(alpha=0.3)
        percent_axis(axes)
    for note in notes:
        _write_note(*note)
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


def _grid(panels: int, places: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Returns a figure with so many panels, each with so many places on its horizontal axis."""
    if panels == 1:
        size = min(2.2 + max(1.1, 0.16 * columns) * places, WIDTH), 3.8
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(squeeze=False)
    width = min(1.4 + max(0.25, 0.08 * columns) * places, WIDTH)
    across = min(panels, int(WIDTH / width))
    down = math.ceil(panels / across)
    figure = Figure(figsize=(across * width, 1.2 + 2.3 * down), layout="constrained")
    return figure, figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)


def _line(factors: Sequence[str], key: Sequence[Any], families: dict[str, str]) -> tuple:
    """Returns what cells have in common that a line may join: all but how far along it they are."""
    *others, last = key
    return *others, families[last] if factors[-1] == "arch" else ""


def _draw_cells(
    axes: Axes,
    cells: Sequence[pd.Series | None],
    joined: Sequence[bool],
    shift: float,
    beside: float,
    style: dict[str, Any],
    many: bool,
) -> None:
    """Draws the accuracies of one column, None where a place has no complete run.

    Args:
        axes: where to draw.
        cells: the accuracies at each place of the horizontal axis.
        joined: whether a line leads to each place from the one before.
        shift: how far right of its place each cell stands.
        beside: how far right of its mean a cell's points stand.
        style: of the line.
        many: whether the points are too many for a vector graphic.
    """
    gap = math.nan, math.nan, math.nan
    points = []
    for place, (values, follows) in enumerate(zip(cells, joined, strict=True)):
        if values is None or not follows:
            points.append(gap)
        if values is None:
            continue
        x = place + shift
        points.append((x, values.mean(), t_half_width(values)))
        dots = [x + beside] * len(values)
        axes.plot(dots, values, ".", color=style["color"], rasterized=many, **_DOT)
    xs, means, errors = zip(*points, strict=True)
    axes.errorbar(xs, means, yerr=errors, capsize=3, markersize=5, **style)


def _write_note(
    axes: Axes, x: float, values: pd.Series | None, states: pd.Series, color: str
) -> None:
    """Writes upright at a place how many runs are in which state, away from its accuracies."""
    low, high = axes.get_ylim()
    above, below = (0.0, 1.0) if values is None else (high - values.max(), values.min() - low)
    top = above > below
    axes.text(
        x,
        0.98 if top else 0.02,
        _counted(states).replace(", ", "\n"),
        transform=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="top" if top else "bottom",
        color=color,
        fontsize=8,
        # Above the grid and below the lines.
        zorder=1.6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _label_places(axes: Axes, labels: Sequence[str], width: float) -> None:
    """Labels the places of a horizontal axis of so many inches, of very many only some."""
    step = math.ceil(len(labels) / _LABELS_AT_MOST)
    shown = labels[::step]
    upright = 0.09 * sum(map(cell_len, shown)) > width - 1
    rotation = 90 if upright else 0
    axes.set_xticks(range(0, len(labels), step), shown, rotation=rotation, fontsize=9)
    axes.set_xlim(-0.5, len(labels) - 0.5)


def differences(effects: Sequence[Effect]) -> Figure:
    """Draws each effect with every seed's difference, the mean and its 95% t interval.

    Args:
        effects: at least one, each with at least one seed.
    """
    labels = [
        f"{drawn(e.name, _EFFECT_LENGTH)}, "
        f"{drawn(e.where, _EFFECT_LENGTH) or 'averaged over the rest'} (n={e.n})"
        for e in effects
    ]
    width = max(7.2, 4.2 + 0.075 * max(map(cell_len, labels)))
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

"""The final score of every cell."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.cells import cell_len

from ablation.analysis.levels import combinations
from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.significance import t_half_width
from ablation.factors import is_absent
from ablation.records import store
from ablation.report.figures.axes import (
    DOT,
    DOTS_AT_MOST,
    LEVEL_LENGTH,
    WIDTH,
    fitted,
    legend,
    line_style,
    percent_axis,
    row_title,
)
from ablation.report.figures.curves import counted_states, first_panels
from ablation.report.figures.fonts import drawn

_CELLS_AT_MOST = 12
_LABELS_AT_MOST = 24


def drawable(runs: pd.DataFrame, rows: Sequence[str]) -> pd.DataFrame:
    """Returns those runs that `final_scores` can draw legibly: all, or those of so many panels.

    Args:
        runs: one row a run, with the row factors.
        rows: the factors that make a row.
    """
    return first_panels(runs, _split(runs, rows)[1])


def final_scores(
    runs: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], metric: Metric = ACCURACY
) -> Figure:
    """Draws the final score of every cell; against depth it shows degradation.

    Args:
        runs: one row a run, with `state`, the row factors, `column`, `seed` and `score`.
        rows: the factors that make a row. Their combinations are the horizontal axis; if they are
            many, that is the factor with most levels, and each combination of the others a panel.
        columns: the levels to tell apart, in the order of their styles.
        metric: what `score` is.

    Returns:
        The figure: a point for each seed, for each cell the mean with its 95% t interval, and how
        many runs are not complete. A line joins cells that differ in the last factor alone.
    """
    along, others = _split(runs, rows)
    places, panels = combinations(runs, along), combinations(runs, others)
    complete = runs["state"] == store.COMPLETE
    keys = [*others, *along, "column"]
    scored = runs[complete & runs["score"].notna()]
    scores = dict(iter(scored.groupby(keys, sort=False)["score"]))
    broken = dict(iter(runs[~complete].groupby(keys, sort=False)["state"]))
    families = dict(zip(runs["arch"], runs["family"], strict=True))
    lines = [_line(along, place, families) for place in places]
    joined = [False, *(one == two for one, two in pairwise(lines))]
    figure, grid = _grid(len(panels), len(places), len(columns))
    # Side by side, so that intervals of one cell do not hide each other.
    apart = min(0.12, 0.8 / len(columns))
    many = len(runs) > DOTS_AT_MOST
    notes, upright = [], 0.0
    for axes, panel in zip(grid.flat, panels, strict=False):
        for i, column in enumerate(columns):
            shift = apart * (i - (len(columns) - 1) / 2)
            style = line_style(columns, column)
            found = [scores.get((*panel, *cell, column)) for cell in places]
            _draw_cells(axes, found, joined, shift, apart / 3, style, many)
            for place, (cell, values) in enumerate(zip(places, found, strict=True)):
                states = broken.get((*panel, *cell, column))
                if states is not None:
                    notes.append((axes, place + shift, values, states, style["color"]))
        width = figure.get_figwidth() / grid.shape[1]
        axes.set_title(fitted(row_title(others, panel), width - 0.2), fontsize=9)
        upright = _label_places(axes, list(map(_place_name, places)), width)
        axes.grid(alpha=0.3)
        if metric.is_share:
            percent_axis(axes)
    # Upright labels would take their room from the panels.
    figure.set_figheight(figure.get_figheight() + upright)
    for note in notes:
        _write_note(*note)
    for i, axes in enumerate(grid.flat):
        below = i + grid.shape[1]
        axes.tick_params(labelbottom=below >= len(panels))
        if i >= len(panels):
            axes.remove()
    arch = "depth" if all(name.isdigit() for name in runs["arch"].unique()) else "arch"
    figure.supxlabel(", ".join(arch if row == "arch" else row for row in along), fontsize=10)
    title = metric.title if metric.is_share else metric.heading
    figure.supylabel(title, fontsize=10)
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
    """Draws the scores of one column, None where a place has no complete run.

    Args:
        axes: where to draw.
        cells: the scores at each place of the horizontal axis.
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
        axes.plot(dots, values, ".", color=style["color"], rasterized=many, **DOT)
    xs, means, errors = zip(*points, strict=True)
    axes.errorbar(xs, means, yerr=errors, capsize=3, markersize=5, **style)


def _write_note(
    axes: Axes, x: float, values: pd.Series | None, states: pd.Series, color: str
) -> None:
    """Writes upright at a place how many runs are in which state, away from its scores."""
    low, high = axes.get_ylim()
    above, below = (0.0, 1.0) if values is None else (high - values.max(), values.min() - low)
    top = above > below
    axes.text(
        x,
        0.98 if top else 0.02,
        counted_states(states).replace(", ", "\n"),
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


def _place_name(cell: Sequence[Any]) -> str:
    """Returns what is written at a place of the horizontal axis: levels of parts that it has."""
    levels = [drawn(str(level), LEVEL_LENGTH) for level in cell if not is_absent(level)]
    return drawn(", ".join(levels), 2 * LEVEL_LENGTH)


def _label_places(axes: Axes, labels: Sequence[str], width: float) -> float:
    """Labels the places of a horizontal axis of so many inches, of very many only some.

    Returns:
        The inches that upright labels take more than level ones.
    """
    step = math.ceil(len(labels) / _LABELS_AT_MOST)
    shown = labels[::step]
    upright = 0.09 * sum(map(cell_len, shown)) > width - 1
    rotation = 90 if upright else 0
    axes.set_xticks(range(0, len(labels), step), shown, rotation=rotation, fontsize=9)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    return max(0.0, 0.075 * max(map(cell_len, shown)) - 0.3) if upright else 0.0

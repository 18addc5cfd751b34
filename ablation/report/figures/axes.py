"""What the figures of a report share: panels, styles of lines, axes, legends."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from rich.cells import cell_len

from ablation.analysis.effects import Effect
from ablation.factors import LAST, in_words, is_absent
from ablation.report.figures.fonts import drawn

# Okabe and Ito's palette, told apart by colour-blind readers. In grey marker and line do it: their
# numbers have no common divisor, so that 28 levels differ in one or the other.
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("--", "-", "-.", ":")
_MARKERS = ("s", "o", "^", "D", "v", "P", ">")
_ABSENT: dict[str, Any] = {"color": "#000000", "linestyle": (0, (5, 1)), "marker": "*"}
WIDTH = 14.0
"""Of a figure, inches, at most."""
ABREAST = 4
LEVEL_LENGTH = 40
"""Of what is drawn of a level's name, or of a part of a title, at most."""
_BEYOND = 1.5
"""By how much of what the seeds' differences cover an interval may reach beyond them, as drawn."""

DOT: dict[str, Any] = {"alpha": 0.5, "markersize": 5}
DOTS_AT_MOST = 1000
"""Beyond which they are an image in the SVG, which would take megabytes to name each of them."""
GAP = 0.008
"""Between 0 and an interval that is cut off there, as a share of all that is drawn."""
_LEGEND_LENGTH = 60
_MARKERS_AT_MOST = 15
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def drawn_interval(effect: Effect, gap: float) -> tuple[float, float]:
    """Returns an effect's interval as it is drawn: short of 0 where it is cut off there.

    Args:
        effect: the effect.
        gap: how far, in the unit of its metric; at most half of the interval.
    """
    low, high = effect.interval
    short = min(gap, (high - low) / 2)
    if low == 0 < high:
        return short, high
    return (low, -short) if low < 0 == high else (low, high)


def reach(effects: Sequence[Effect]) -> tuple[float, float]:
    """Returns from where to where a forest plot of some effects reaches, in the metric's unit.

    Over 0, every seed's difference, the margin, and the intervals; of one of few seeds, which may
    be a hundred times as long as all others, over no more than would let these be seen.
    """
    points = np.concatenate([[0.0], *(effect.differences for effect in effects)])
    beyond = _BEYOND * float(np.ptp(points))
    ends = np.concatenate([effect.interval for effect in effects])
    ends = np.clip(ends[np.isfinite(ends)], points.min() - beyond, points.max() + beyond)
    margins = [side * one.margin for one in effects[:1] if one.margin for side in (-1, 1)]
    found = np.concatenate([points, ends, margins])
    return float(found.min()), float(found.max())


def panel_grid(
    rows: Sequence[str],
    keys: Sequence[tuple],
    labels: Sequence[str],
    size: tuple[float, float],
    remarks: Sequence[Sequence[str]] = (),
) -> tuple[Figure, list[list[Axes]]]:
    """Returns a figure and, for each quantity, a panel for each row of the table, on one scale.

    Args:
        rows: the factors that make a row.
        keys: their levels in each row. Many rows wrap into bands of panels.
        labels: of the vertical axes, one for each quantity.
        size: of a panel, inches.
        remarks: lines below the title of each.
    """
    across = _abreast(keys)
    down = math.ceil(len(keys) / across) * len(labels)
    width, height = size
    extent = 1.2 + width * across, 0.9 + height * down
    figure = Figure(figsize=extent, layout="constrained")
    grid = figure.add_gridspec(down, across)
    panels: list[list[Axes]] = []
    for i, label in enumerate(labels):
        shown: list[Axes] = []
        for j in range(len(keys)):
            band, place = divmod(j, across)
            sharing = shown[0] if shown else None
            axes = figure.add_subplot(grid[band * len(labels) + i, place], sharey=sharing)
            if place:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(label)
            shown.append(axes)
        panels.append(shown)
    for j, (axes, key) in enumerate(zip(panels[0], keys, strict=True)):
        lines = [row_title(rows, key), *(remarks[j] if remarks else ())]
        axes.set_title("\n".join(fitted(line, width) for line in lines), fontsize=10)
    return figure, panels


def _abreast(keys: Sequence[tuple]) -> int:
    """Returns how many panels stand side by side: if possible, all that share all but the last."""
    together = max(Counter(key[:-1] for key in keys).values())
    if together <= ABREAST:
        return min(len(keys), ABREAST // together * together)
    return math.ceil(len(keys) / math.ceil(len(keys) / ABREAST))


def row_title(rows: Sequence[str], key: Sequence[Any]) -> str:
    """Returns a row of the table in words, such as "depth 20, recipe.learning_rate 0.1".

    Args:
        rows: the factors that make a row.
        key: the level of each.
    """
    pairs = zip(rows, key, strict=True)
    return ", ".join(_level(row, level) for row, level in pairs if not is_absent(level))


def _level(factor: str, level: Any) -> str:
    if factor == "arch":
        return f"depth {level}" if level.isdigit() else level
    return in_words(factor, level)


def fitted(title: str, width: float) -> str:
    """Returns a title as it can be drawn, with a line a part if so many inches have no room for it.

    A part that is longer than any that this program makes, such as a path, is shortened.
    """
    room = int(width / 0.08)
    shown = drawn(title)
    if cell_len(shown) <= room:
        return shown
    return "\n".join(drawn(part, max(room, LEVEL_LENGTH)) for part in title.split(", "))


def draw_range(
    axes: Axes, frame: pd.DataFrame, x: str, y: str, label: str, style: dict[str, Any]
) -> None:
    """Draws the mean of y over the runs at each x, and their range as a band.

    Args:
        axes: where to draw.
        frame: `run` and the columns x and y; nothing is drawn of an empty one.
        x: name of the column along the horizontal axis.
        y: name of the column to draw.
        label: of the line.
        style: of the line; the band has its colour.
    """
    if frame.empty:
        return
    by_place = frame.groupby(x)[y]
    # A marker at each of many places would hide the kind of line.
    every = max(1, by_place.ngroups // _MARKERS_AT_MOST)
    axes.plot(by_place.mean(), label=label, markersize=4, markevery=every, **style)
    if frame["run"].nunique() > 1:
        low, high = by_place.min(), by_place.max()
        axes.fill_between(low.index, low, high, color=style["color"], alpha=0.2, linewidth=0)


def line_style(columns: Sequence[str], column: str) -> dict[str, Any]:
    """Returns the line of a level: by its place, so that the first, the reference, is dashed."""
    if getattr(column, "place", 0) == LAST:
        return _ABSENT
    i = list(columns).index(column) + (len(columns) == 1)  # One alone is no reference.
    # Where colours come twice, the one that all others are held against has its own.
    own = i == 0 and len(columns) > len(_COLORS)
    return {
        "color": _ABSENT["color"] if own else _COLORS[i % len(_COLORS)],
        "linestyle": _LINES[i % len(_LINES)],
        "marker": _MARKERS[i % len(_MARKERS)],
    }


def legend(figure: Figure, columns: Sequence[str]) -> None:
    """Puts one legend of all levels above the panels, in as many rows as the width asks for."""
    names = [drawn(name, _LEGEND_LENGTH) for name in columns]
    # Matplotlib leaves out what begins with an underscore.
    names = [f" {name}" if name.startswith("_") else name for name in names]
    lines = [
        Line2D([], [], label=name, **line_style(columns, column))
        for name, column in zip(names, columns, strict=True)
    ]
    figure.set_figwidth(max(figure.get_figwidth(), 0.9 + 0.085 * max(map(cell_len, names))))
    fit = int(figure.get_figwidth() / (0.7 + 0.085 * max(map(cell_len, names))))
    down = math.ceil(len(columns) / max(1, fit))
    figure.set_figheight(figure.get_figheight() + 0.22 * (down - 1))
    figure.legend(handles=lines, loc="outside upper center", ncols=math.ceil(len(columns) / down))


def percent_axis(axes: Axes) -> None:
    """Lets shares reach from 0 to 100 %, or from just below the lowest where all are high."""
    sharing = axes.get_shared_y_axes().get_siblings(axes)
    lowest = min(each.dataLim.y0 for each in sharing)
    bottom = math.floor(10 * lowest - 0.2) / 10 if 0.5 < lowest <= 1 else 0
    axes.set_ylim(bottom, 1 + 0.02 * (1 - bottom))
    # Without steps of 2.5, which whole percentages would misname.
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def label_log_axis(axes: Axes) -> None:
    """Labels a logarithmic axis with bare numbers: 1, 2, 5, or powers of ten over many decades.

    Over less than a factor of five they are equally far apart, or one alone might be left.
    """
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    narrow = high < 5 * low
    axes.yaxis.set_major_locator(MaxNLocator(6) if narrow else LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value)))
    axes.yaxis.set_minor_locator(NullLocator())


def _number(value: float) -> str:
    """Returns a number as it is written: 0.05, 2, 1000, and ten to the power of 5."""
    power = round(math.log10(value))
    raised = str(power).translate(_RAISED)
    return f"10{raised}" if abs(power) > 4 and value == 10.0**power else f"{value:g}"

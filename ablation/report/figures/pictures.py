"""Pictures of inputs and of what they were taken for. Each function draws one and saves nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from rich.cells import cell_len

from ablation.data.kinds import Picture
from ablation.report.figures.axes import LEVEL_LENGTH, fitted, legend, line_style
from ablation.report.figures.fonts import drawn

_RIGHT: dict[str, Any] = {"edgecolor": "#0072B2", "linewidth": 1.2, "linestyle": "-"}
_WRONG: dict[str, Any] = {"edgecolor": "#D55E00", "linewidth": 2.6, "linestyle": (0, (2, 1))}
_NAME_LENGTH = 12
_ROW_LENGTH = 100
_NUMBERED_CLASSES = 12
_NAMED_CLASSES = 20
_SHADES = "Blues"


@dataclass(frozen=True)
class Guess:
    """What one input was taken for: the class, whether that is right, and how surely, in words."""

    name: str
    right: bool
    how_surely: str = ""


def examples(images: Mapping[str, Sequence[np.ndarray]], picture: Picture) -> Figure:
    """Draws inputs of each class in a row.

    Args:
        images: for each class its inputs, of images uint8 (height, width, channels).
        picture: how one is drawn.
    """
    tile = 0.75 * picture.scale
    figure, axes = _sheet(
        max(map(len, images.values())),
        len(images),
        (tile, tile),
        [drawn(name, 24) for name in images],
    )
    for y, row in enumerate(images.values()):
        for x, image in enumerate(row):
            picture.draw(axes, image, x * tile, y * tile, tile - 0.05)
    return figure


def predictions(
    images: np.ndarray,
    truth: Sequence[str],
    guesses: Mapping[tuple[str, ...], Sequence[Guess]],
    picture: Picture,
) -> Figure:
    """Draws the same inputs once for each cell, with what the cell takes them for.

    Args:
        images: (inputs, ...), of images uint8 (images, height, width, channels).
        truth: the true class of each, written above.
        guesses: for each cell, named line by line, its guesses. A wrong one has a dashed border
            and a cross.
        picture: how one is drawn.
    """
    width = 0.95 * picture.scale
    height = width + 0.35
    cells = ["\n".join(drawn(line, _ROW_LENGTH) for line in cell) for cell in guesses]
    figure, axes = _sheet(len(images), len(guesses), (width, height), cells)
    for y, row in enumerate(guesses.values()):
        for x, (image, guess) in enumerate(zip(images, row, strict=True)):
            left, top, size = x * width, y * height, width - 0.14
            picture.draw(axes, image, left, top, size)
            frame = _RIGHT if guess.right else _WRONG
            axes.add_patch(Rectangle((left, top), size, size, fill=False, **frame))
            mark, color = ("", "black") if guess.right else ("✗ ", _WRONG["edgecolor"])
            text = f"{mark}{drawn(guess.name, _NAME_LENGTH)}\n{guess.how_surely}"
            place = left + size / 2, top + size + 0.04
            axes.text(*place, text, ha="center", va="top", color=color, size=8)
    axes.xaxis.tick_top()
    middles = [x * width + (width - 0.14) / 2 for x in range(len(images))]
    axes.set_xticks(middles, [drawn(name, _NAME_LENGTH) for name in truth], size=8, weight="bold")
    return figure


def against_true(
    cells: Mapping[tuple[str, str], Sequence[pd.DataFrame]], names: Sequence[str]
) -> tuple[Figure, int]:
    """Draws what was predicted against what is true: a panel for each cell and value.

    Args:
        cells: by row and column of the cell, of each seed `true K` and `predicted K` of value K.
        names: of the values that are drawn, with their unit.

    Returns:
        The figure, and how many predictions lie outside of what it draws.
    """
    # A line of panels for each row of the table; of several values, one for each of them.
    lines = [(line, place) for line in _lines(list(cells)) for place in range(len(names))]
    across, size = max(len(line) for line, _ in lines), 2.6
    titles = {cell: _title(*cell, size) for cell in cells}
    figure = Figure(
        figsize=(size * across + 0.5, (size + 0.35) * len(lines) + 0.3), layout="constrained"
    )
    panels = figure.subplots(len(lines), across, squeeze=False)
    outside = 0
    for y, (line, place) in enumerate(lines):
        every = [frame for frames in cells.values() for frame in frames]
        both = pd.concat([frame[[f"true {place}", f"predicted {place}"]] for frame in every])
        # A few that are far off must not hide how the others lie.
        low, high = np.nanquantile(both.to_numpy(float), [0.002, 0.998])
        low, high = min(low, both[f"true {place}"].min()), max(high, both[f"true {place}"].max())
        margin = 0.03 * (high - low)
        for x, cell in enumerate(line):
            axes = panels[y, x]
            for frame in cells[cell]:
                said = frame[f"predicted {place}"]
                outside += int(((said < low - margin) | (said > high + margin)).sum())
                axes.plot(
                    frame[f"true {place}"],
                    frame[f"predicted {place}"],
                    linestyle="",
                    marker=".",
                    markersize=3,
                    alpha=0.4,
                    color="#0072B2",
                )
            axes.axline((low, low), (high, high), color="black", linewidth=0.8)
            axes.set_xlim(low - margin, high + margin)
            axes.set_ylim(low - margin, high + margin)
            axes.set_aspect("equal")
            axes.set_title(titles[cell], size=10)
            axes.tick_params(labelsize=8, labelleft=x == 0)
            axes.set_xlabel(f"true {drawn(names[place], _ROW_LENGTH)}", size=8)
        panels[y, 0].set_ylabel(f"predicted {drawn(names[place], _ROW_LENGTH)}", size=8)
        for axes in panels[y, len(line) :]:
            axes.remove()
    return figure, outside


def by_label(found: Mapping[tuple[str, str], np.ndarray], names: Sequence[str]) -> Figure:
    """Draws a score of each label for each cell.

    Args:
        found: by row and column of the cell, float (labels,), 0 to 1; NaN for none.
        names: of the labels.
    """
    shown = [drawn(name, _NAME_LENGTH) for name in names]
    figure = Figure(figsize=(5.6, 1.4 + 0.32 * len(shown)), layout="constrained")
    axes = figure.subplots()
    columns = [", ".join(part for part in cell if part) for cell in found]
    apart = 0.6 / max(1, len(columns))
    for i, (column, scores) in enumerate(zip(columns, found.values(), strict=True)):
        style = line_style(columns, column) | {"linestyle": ""}
        places = np.arange(len(shown)) + apart * (i - (len(columns) - 1) / 2)
        axes.plot(scores, places, **style)
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("average precision")
    axes.grid(alpha=0.3)
    legend(figure, columns)
    return figure


def mark_shares(figure: Figure, shares: Sequence[float]) -> None:
    """Draws into `by_label` what share of the inputs has each label."""
    (axes,) = figure.axes
    for place, share in enumerate(shares):
        axes.plot([share, share], [place - 0.4, place + 0.4], color="black", linewidth=0.9)


def confusion(matrices: Mapping[tuple[str, str], np.ndarray], classes: Sequence[str]) -> Figure:
    """Draws a confusion matrix for each cell: what share of a true class is taken for which.

    Args:
        matrices: by row and column of the cell, int (classes, classes), true by predicted.
        classes: their names.
    """
    lines = _lines(list(matrices))
    across, down = max(map(len, lines)), len(lines)
    names = [drawn(name, _NAME_LENGTH) for name in classes]
    size, margin = min(3.2, max(1.8, 0.3 * len(names))), 0.4 + 0.075 * max(map(cell_len, names))
    titles = {(row, column): _title(row, column, size) for row, column in matrices}
    above = 0.2 + 0.17 * max(title.count("\n") + 1 for title in titles.values())
    extent = (size + 0.2) * across + margin + 1.1, (size + above) * down + margin + 0.1
    figure = Figure(figsize=extent, layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    places = range(0, len(names), -(-len(names) // _NAMED_CLASSES))
    shown = [names[place] for place in places]
    panels[0, 0].set_xticks(places, shown)
    panels[0, 0].set_yticks(places, shown)
    for y, line in enumerate(lines):
        for x, cell in enumerate(line):
            axes = panels[y, x]
            _matrix(axes, matrices[cell])
            axes.set_title(titles[cell], size=10)
            lowest = y == down - 1 or x >= len(lines[y + 1])
            axes.tick_params(axis="x", labelbottom=lowest, rotation=90, labelsize=8)
            axes.tick_params(axis="y", labelsize=8)
        for axes in panels[y, len(line) :]:
            axes.remove()
    figure.supxlabel("predicted", size=10)
    figure.supylabel("true", size=10)
    shares = ScalarMappable(Normalize(0, 1), _SHADES)
    bar = figure.colorbar(shares, ax=figure.axes, shrink=0.6, format=PercentFormatter(1))
    bar.set_label("share of the true class")
    return figure


def _title(row: str, column: str, width: float) -> str:
    """Returns a cell in words, in as many lines as so many inches ask for."""
    title = fitted(f"{row}, {column}", width)
    return f"{fitted(row, width)}\n{drawn(column, LEVEL_LENGTH)}" if "\n" in title else title


def _lines(cells: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Returns the cells line by line: a row of the table stays together, short rows share one."""
    rows = [list(row) for _, row in groupby(cells, key=lambda cell: cell[0])]
    lines: list[list[tuple[str, str]]] = [[]]
    for row in rows:
        if len(lines[-1]) + len(row) > max(map(len, rows)):
            lines.append([])
        lines[-1] += row
    return lines


def _matrix(axes: Axes, counts: np.ndarray) -> None:
    """Draws one matrix, with whole percentages as long as they can be read."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=_SHADES, vmin=0, vmax=1)
    if len(counts) <= _NUMBERED_CLASSES:
        for true, predicted in np.argwhere(shares >= 0.005):
            share = shares[true, predicted]
            color = "white" if share > 0.5 else "black"
            text = f"{100 * share:.0f}"
            axes.text(predicted, true, text, ha="center", va="center", color=color, size=7)


def _sheet(
    columns: int, rows: int, tile: tuple[float, float], names: Sequence[str]
) -> tuple[Figure, Axes]:
    """Returns an empty sheet of tiles, measured in inches from its upper left, each row named."""
    width, height = columns * tile[0], rows * tile[1]
    longest = max(cell_len(line) for name in names for line in name.split("\n"))
    left, above = 0.2 + 0.075 * longest, 0.25
    figure = Figure(figsize=(left + width, above + height))
    extent = left / (left + width), 0, width / (left + width), height / (above + height)
    axes = figure.add_axes(extent)
    axes.set(xlim=(-0.03, width), ylim=(height, -0.03), xticks=[])
    axes.set_yticks([row * tile[1] + tile[0] / 2 - 0.05 for row in range(rows)], names, size=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure, axes

"""Figures of what `diagnostics=true` measured, layer by layer. They save nothing."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablation.analysis.levels import combinations
from ablation.report.figures.axes import draw_range, label_log_axis, legend, line_style, panel_grid


def responses(layers: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws how strongly each 3x3 convolution responds after the last epoch, after He15 Fig. 7.

    Args:
        layers: one row a run, epoch and convolution: the row factors, `column` and the columns of
            `Study.diagnostics`.
        rows: the factors that make a row.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure, for each row of the table two panels: above, the layers in their order; below,
        each run's sorted by size.
    """
    shown = _main_path(layers, last=True)
    shown = shown[shown["kernel"] == "3x3"]
    by_run = shown.groupby("run")
    places = {
        "3x3 convolutions in their order": by_run["depth"].rank(),
        "3x3 convolutions, strongest first": by_run["response_sd"].rank("first", ascending=False),
    }
    quantity = "standard deviation\nof the response"
    frames = [shown.assign(place=place) for place in places.values()]
    figure, panels = _draw(frames, "place", "response_sd", rows, columns, [quantity] * 2)
    # Where all responses are alike, the axis must not blow up their rounding.
    low, high = shown["response_sd"].min(), shown["response_sd"].max()
    margin = max(0.05, 0.05 * (high - low))
    for title, row in zip(places, panels, strict=True):
        row[0].set_ylim(low - margin, high + margin)
        for axes in row:
            axes.set_xlabel(title)
    return figure


def gradients(layers: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws the norm of the gradient that reaches each convolution, at first and in the end.

    Args:
        layers: as for `responses`.
        rows: the factors that make a row.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure, for each row of the table two panels: above, before training; below, after the
        last epoch.
    """
    labels = [
        f"norm of the gradient,\n{when}" for when in ("before training", "after the last epoch")
    ]
    frames = [_main_path(layers, last) for last in (False, True)]
    figure, panels = _draw(frames, "depth", "gradient_norm", rows, columns, labels)
    for row in panels:
        for axes in row:
            axes.set_yscale("log")
            axes.set_xlabel("convolution, counted from the input")
        label_log_axis(row[0])
    return figure


def _main_path(layers: pd.DataFrame, last: bool) -> pd.DataFrame:
    """Returns the convolutions of the main path, at each run's last or first epoch."""
    shown = layers[layers["depth"].notna()]
    epochs = shown.groupby("run")["epoch"].transform("max" if last else "min")
    return shown[shown["epoch"] == epochs]


def _draw(
    frames: Sequence[pd.DataFrame],
    x: str,
    y: str,
    rows: Sequence[str],
    columns: Sequence[str],
    labels: Sequence[str],
) -> tuple[Figure, list[list[Axes]]]:
    """Draws each frame as a row of labelled panels, one for each row of the table."""
    keys = combinations(frames[0], rows)
    figure, panels = panel_grid(rows, keys, labels, (3.2, 2.5))
    for frame, row in zip(frames, panels, strict=True):
        cells = dict(iter(frame.groupby([*rows, "column"], sort=False)))
        for axes, key in zip(row, keys, strict=True):
            for column in columns:
                if (*key, column) in cells:
                    style = line_style(columns, column)
                    draw_range(axes, cells[*key, column], x, y, column, style)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.3)
    legend(figure, columns)
    return figure, panels

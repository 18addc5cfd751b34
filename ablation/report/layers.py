"""Figures of what `diagnostics=true` measured, layer by layer. They save nothing."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablation.comparison import levels
from ablation.report.figures import arch_title, label_log_axis, legend, line_style


def responses(layers: pd.DataFrame, columns: Sequence[str]) -> Figure:
    """Draws how strongly each 3x3 convolution responds after the last epoch, after He15 Fig. 7.

    Args:
        layers: one row a run, epoch and convolution: `arch`, `column` and the columns of
            `Study.diagnostics`.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure, a column an architecture: above, the layers in their order; below, each run's
        sorted by size.
    """
    shown = _main_path(layers, last=True)
    shown = shown[shown["kernel"] == "3x3"]
    by_run = shown.groupby("run")
    places = {
        "3x3 convolutions in their order": by_run["depth"].rank(),
        "3x3 convolutions, strongest first": by_run["response_sd"].rank("first", ascending=False),
    }
    archs = levels("arch", shown["arch"])
    figure, panels = _panels(len(places), archs)
    for row, (title, place) in zip(panels, places.items(), strict=True):
        placed = shown.assign(place=place)
        for axes, arch in zip(row, archs, strict=True):
            _draw(axes, placed[placed["arch"] == arch], "place", "response_sd", columns)
            axes.set_xlabel(title)
        row[0].set_ylabel("standard deviation\nof the response")
        # Where all responses are alike, the axis must not blow up their rounding.
        low, high = shown["response_sd"].min(), shown["response_sd"].max()
        margin = max(0.05, 0.05 * (high - low))
        row[0].set_ylim(low - margin, high + margin)
    legend(figure, columns)
    return figure


def gradients(layers: pd.DataFrame, columns: Sequence[str]) -> Figure:
    """Draws the norm of the gradient that reaches each convolution, at first and in the end.

    Args:
        layers: as for `responses`.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure, a column an architecture: above, before training; below, after the last epoch.
    """
    moments = {"before training": False, "after the last epoch": True}
    archs = levels("arch", layers["arch"])
    figure, panels = _panels(len(moments), archs)
    for row, (title, last) in zip(panels, moments.items(), strict=True):
        shown = _main_path(layers, last)
        for axes, arch in zip(row, archs, strict=True):
            _draw(axes, shown[shown["arch"] == arch], "depth", "gradient_norm", columns)
            axes.set_yscale("log")
            axes.set_xlabel("convolution, counted from the input")
        row[0].set_ylabel(f"norm of the gradient,\n{title}")
        label_log_axis(row[0])
    legend(figure, columns)
    return figure


def _main_path(layers: pd.DataFrame, last: bool) -> pd.DataFrame:
    """Returns the convolutions that are not on a shortcut, at each run's last or first epoch."""
    shown = layers[layers["depth"].notna()]
    epochs = shown.groupby("run")["epoch"].transform("max" if last else "min")
    return shown[shown["epoch"] == epochs]


def _panels(rows: int, archs: Sequence[str]) -> tuple[Figure, np.ndarray]:
    """Returns a row of panels for each quantity and a column for each architecture, titled."""
    figure = Figure(figsize=(1.2 + 3.6 * len(archs), 0.9 + 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, len(archs), sharey="row", squeeze=False)
    for axes, arch in zip(panels[0], archs, strict=True):
        axes.set_title(arch_title(arch))
    return figure, panels


def _draw(axes: Axes, layers: pd.DataFrame, x: str, y: str, columns: Sequence[str]) -> None:
    """Draws one quantity: each column's mean over runs, and their range as a band."""
    for column in columns:
        of_column = layers[layers["column"] == column]
        if of_column.empty:
            continue
        by_place = of_column.groupby(x)[y]
        line = line_style(columns, column)
        axes.plot(by_place.mean(), label=column, markersize=3, **line)
        if of_column["run"].nunique() > 1:
            low, high = by_place.min(), by_place.max()
            axes.fill_between(low.index, low, high, color=line["color"], alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)

"""Figures of a report. Each function draws one figure and saves nothing."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from ablation.comparison import levels
from ablation.config import BASELINE
from ablation.effects import Effect

# Okabe and Ito's palette, told apart by colour-blind readers; in grey the line style does it.
_STYLES: tuple[dict[str, Any], ...] = (
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
        The figure. Panels of a row share their scale, so that depths can be compared.
    """
    archs = levels("arch", runs["arch"])
    figure = Figure(
        figsize=(1.2 + 2.9 * len(archs), 0.9 + 2.4 * len(metrics)), layout="constrained"
    )
    panels = figure.subplots(len(metrics), len(archs), sharex=True, sharey="row", squeeze=False)
    for row, metric in zip(panels, metrics, strict=True):
        for axes, arch in zip(row, archs, strict=True):
            draw_curves(axes, runs[runs["arch"] == arch], history, metric, columns)
        row[0].set_ylabel(_TITLES[metric])
        if row[0].get_yscale() == "log":
            label_log_axis(row[0])
    for axes, arch in zip(panels[0], archs, strict=True):
        axes.set_title(arch_title(arch))
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    legend(figure)
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
        axes.plot(by_epoch.mean(), label=column, markersize=4, **style)
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


def final_accuracy(runs: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws the final validation accuracy of every cell; against depth it shows degradation.

    Args:
        runs: complete runs, with the row factors, `column`, `seed` and `val_accuracy`.
        rows: the factors that make a row; their combinations are the horizontal axis.
        columns: the levels to tell apart, in the order of their styles.

    Returns:
        The figure: a point for each seed, and for each cell the mean with its 95% t interval.
    """
    cells = sorted(
        runs[list(rows)].drop_duplicates().itertuples(index=False, name=None),
        key=lambda key: [levels(row, runs[row]).index(v) for row, v in zip(rows, key, strict=True)],
    )
    figure = Figure(figsize=(2.2 + 1.1 * len(cells), 3.8), layout="constrained")
    axes = figure.subplots()
    for i, column in enumerate(columns):
        # Side by side, so that intervals of one cell do not hide each other.
        shift = 0.12 * (i - (len(columns) - 1) / 2)
        style = line_style(columns, column)
        means, errors, places = [], [], []
        for place, cell in enumerate(cells):
            of_cell = runs[runs["column"] == column]
            for row, value in zip(rows, cell, strict=True):
                of_cell = of_cell[of_cell[row] == value]
            values = of_cell["val_accuracy"].astype(float)
            if values.empty:
                continue
            places.append(place + shift)
            means.append(values.mean())
            errors.append(_t_half_width(values))
            dots = [place + shift + 0.04] * len(values)
            axes.plot(dots, values, ".", color=style["color"], alpha=0.5, markersize=5)
        if column == BASELINE:
            style = style | {"linestyle": "none"}  # Each is a net of its own: no line leads on.
        axes.errorbar(places, means, yerr=errors, label=column, capsize=3, markersize=5, **style)
    axes.set_xticks(range(len(cells)), [", ".join(map(str, cell)) for cell in cells])
    arch = "depth" if all(name.isdigit() for name in runs["arch"]) else "arch"
    axes.set_xlabel(", ".join(arch if row == "arch" else row for row in rows))
    axes.set_ylabel("validation accuracy")
    axes.grid(alpha=0.3)
    _percent_axis(axes)
    legend(figure)
    return figure


def differences(effects: Sequence[Effect]) -> Figure:
    """Draws each effect with every seed's difference, the mean and its 95% t interval.

    Args:
        effects: at least one, each with at least one seed.
    """
    figure = Figure(figsize=(7.2, 0.9 + 0.42 * len(effects)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.8)
    for place, effect in enumerate(effects):
        points = 100 * effect.differences
        low, high = (100 * bound for bound in effect.interval)
        style: dict[str, Any] = {"color": "#0072B2"}
        axes.plot(points, [place + 0.15] * len(points), ".", alpha=0.5, **style)
        if effect.n > 1 and not effect.constant:
            axes.plot([low, high], [place, place], linewidth=2, **style)
        axes.plot(100 * effect.mean, place, "o", markersize=6, **style)
    labels = [f"{e.name}, {e.where or 'averaged over the rest'} (n={e.n})" for e in effects]
    axes.set_yticks(range(len(effects)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("difference of validation accuracy, points")
    axes.grid(alpha=0.3, axis="x")
    return figure


def _t_half_width(values: pd.Series) -> float:
    if len(values) < 2:
        return 0.0
    from scipy import stats

    return float(stats.t.ppf(0.975, len(values) - 1) * values.sem())


def arch_title(arch: str) -> str:
    """Returns the name of an architecture as it stands above its panels."""
    return f"depth {arch}" if arch.isdigit() else arch


def line_style(columns: Sequence[str], column: str) -> dict[str, Any]:
    """Returns the line of a level: plain is dashed wherever it stands, and residual solid."""
    usual = [name for name in ("plain", "residual") if name in columns]
    order = usual if "plain" in usual else ["plain", *usual]
    order += [name for name in columns if name not in order]
    return _STYLES[order.index(column) % len(_STYLES)]


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def legend(figure: Figure) -> None:
    """Puts one legend for all panels above them."""
    labelled = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        labelled.values(), labelled.keys(), loc="outside upper center", ncols=min(4, len(labelled))
    )


def label_log_axis(axes: Axes) -> None:
    """Labels a logarithmic axis with plain numbers: 1, 2, 5, or powers of ten over many decades."""
    low, high = axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high < 1000 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())

"""What parts bring: forests of differences, arms side by side, roadmaps."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rich.cells import cell_len

from ablation.analysis.effects import (
    HELPS,
    HURTS,
    LARGER,
    NO_RELEVANT_DIFFERENCE,
    OPEN,
    SMALLER,
    Effect,
)
from ablation.analysis.metrics import Metric
from ablation.analysis.significance import t_half_width
from ablation.report.figures.axes import DOT, DOTS_AT_MOST, GAP, LEVEL_LENGTH, drawn_interval, reach
from ablation.report.figures.fonts import drawn

_EFFECT_LENGTH = 100
_ARROW = 0.05  # How far an interval without an end is drawn, as a share of all that has one.
_VERDICTS = {
    HELPS: ("#009E73", "^"),
    HURTS: ("#D55E00", "v"),
    LARGER: ("#000000", "^"),
    SMALLER: ("#000000", "v"),
    NO_RELEVANT_DIFFERENCE: ("#0072B2", "s"),
    OPEN: ("#666666", "o"),
    "": ("#CC79A7", "d"),
}
"""Colour and shape, of Okabe and Ito's palette."""
_BASES = ("reference", "stripped")


def forest(effects: Sequence[Effect]) -> Figure:
    """Draws the answers to questions: every seed's difference, the mean, interval and verdict.

    Colour and shape both say the verdict, so that either is enough.

    A question without any seed keeps its place. An end that is not known yet, or far off, is an
    arrow.

    Args:
        effects: of one metric, at least one with a seed.
    """
    labels = [
        f"{drawn(e.name, _EFFECT_LENGTH)}"
        f"{f', {drawn(e.where, _EFFECT_LENGTH)}' if e.where else ''} (n={e.n})"
        for e in effects
    ]
    metric = effects[0].metric
    width = max(7.2, 4.2 + 0.075 * max(map(cell_len, labels)))
    figure = Figure(figsize=(width, 1.2 + 0.42 * len(effects)), layout="constrained")
    axes = figure.subplots()
    margin = effects[0].margin
    if margin is not None:
        half = metric.scale * margin
        axes.axvspan(-half, half, color="#999999", alpha=0.2, linewidth=0)
    axes.axvline(0, color="black", linewidth=0.8)
    many = sum(effect.n for effect in effects) > DOTS_AT_MOST
    first, last = reach(effects)
    span = last - first
    gap, least, most = GAP * span, first - _ARROW * span, last + _ARROW * span
    for place, effect in enumerate(effects):
        points = metric.scale * effect.differences
        low, high = (metric.scale * bound for bound in drawn_interval(effect, gap))
        color, marker = _VERDICTS[effect.verdict]
        axes.plot(points, [place + 0.15] * len(points), ".", color=color, rasterized=many, **DOT)
        if not effect.n:
            axes.text(0, place, " no pair of runs", va="center", fontsize=8)
            continue
        if effect.n > 1 and not effect.constant and not np.isnan([low, high]).any():
            bar = np.clip([low, high], metric.scale * least, metric.scale * most)
            axes.plot(bar, [place, place], linewidth=2, color=color)
            for bound, end, arrow in zip((low, high), bar, "<>", strict=True):
                if not metric.scale * least <= bound <= metric.scale * most:
                    axes.plot(end, place, arrow, color=color, markersize=6)
        axes.plot(metric.scale * effect.mean, place, marker, color=color, markersize=7)
    axes.set_yticks(range(len(effects)), labels)
    axes.set_ylim(len(effects) - 0.5, -0.5)
    unit = f", {metric.points}" if metric.points else ""
    axes.set_xlabel(f"difference of {metric.title}{unit}")
    axes.grid(alpha=0.3, axis="x")
    _verdict_legend(figure, [effect.verdict for effect in effects if effect.n])
    return figure


def _verdict_legend(figure: Figure, verdicts: Collection[str]) -> None:
    """Puts above a figure what the colours and shapes of some verdicts say."""
    handles = [
        Line2D([], [], color=color, marker=marker, linewidth=2, label=verdict or "no verdict")
        for verdict, (color, marker) in _VERDICTS.items()
        if verdict in verdicts
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def arms(table: pd.DataFrame, runs: pd.DataFrame, metric: Metric) -> Figure:
    """Draws the score of each arm of a design, one below the other, with a point for each seed.

    Args:
        table: see `tables.arms_table`, in the order to draw.
        runs: the complete ones, with `column` and `score`.
        metric: what `score` is.
    """
    figure, axes = _arm_axes(table, metric)
    for place, row in enumerate(table.to_dict("records")):
        color, marker = _VERDICTS[row["verdict"]]
        if row["role"] in _BASES:
            color, marker = "black", "D"
            axes.axvline(metric.scale * row["mean"], color="black", linewidth=0.8, linestyle=":")
        if not row["n"]:
            left = 0.01  # Of the width, since it has no score to stand at.
            frame = axes.get_yaxis_transform()
            axes.text(left, place, row["note"], va="center", fontsize=8, transform=frame)
            continue
        scores = metric.scale * runs.loc[runs["column"] == row["arm"], "score"].dropna()
        axes.plot(scores, [place + 0.15] * len(scores), ".", color=color, **DOT)
        half = t_half_width(scores)
        axes.errorbar(
            metric.scale * row["mean"], place, xerr=half, fmt=marker, color=color, capsize=3
        )
    verdicts = [row["verdict"] for row in table.to_dict("records") if row["role"] not in _BASES]
    if any(verdicts):
        _verdict_legend(figure, verdicts)
    return figure


def roadmap(table: pd.DataFrame, metric: Metric) -> tuple[Figure, bool]:
    """Draws steps as bars one below the other, as in Fig. 2 of Liu et al. 2022, arXiv 2201.03545.

    A step that is not kept is hatched; a net beside the design stands last.

    Args:
        table: see `tables.arms_table`.
        metric: whose mean is a bar, with its standard deviation over seeds.

    Returns:
        The figure, and whether its bars begin at 0.
    """
    figure, axes = _arm_axes(table, metric)
    means = metric.scale * table["mean"].to_numpy(float)
    spread = np.nan_to_num(metric.scale * table["sd"].to_numpy(float))
    low, high = np.nanmin(means - spread), np.nanmax(means + spread)
    # Bars of a metric with a far zero would all look alike, and below 0 a bar grows to the left.
    from_0 = 0 <= low < 0.5 * high or low == high == 0
    left = 0.0 if from_0 else low - 0.35 * max(high - low, 0.02 * abs(high))
    colors = {"target": "#999999", "reference": "#56B4E9", "rejected": "white"}
    for place, row in enumerate(table.to_dict("records")):
        rejected = row["role"] == "rejected"
        mean = metric.scale * row["mean"]
        if math.isnan(mean):
            axes.text(left, place, f" {row['note']}", va="center", fontsize=8)
            continue
        axes.barh(
            place,
            mean - left,
            left=left,
            height=0.62,
            color=colors.get(row["role"], "#0072B2"),
            edgecolor="#0072B2" if rejected else "none",
            hatch="///" if rejected else None,
            xerr=spread[place] or None,
            ecolor="black",
            capsize=3,
        )
        cost = row["multiply_adds"]
        text = metric.number(row["mean"])
        text += f" ({metric.signed(row['difference'])})" if row["pairs"] else ""
        text += "" if math.isnan(cost) else f"  {_multiply_adds(cost)}"
        axes.text(mean + spread[place], place, f"  {text}", va="center", fontsize=8)
    axes.set_xlim(left, high + 0.45 * (high - left or 1))
    axes.set_xlabel(f"{metric.heading}; beside it multiply-adds")
    return figure, from_0


def _multiply_adds(cost: float) -> str:
    """Returns a number of multiply-adds in the unit that fits it."""
    unit, sign = (1e6, " M") if cost >= 1e5 else (1e3, " k") if cost >= 1e3 else (1, "")
    return f"{cost / unit:,.{1 if sign else 0}f}{sign}"


def _arm_axes(table: pd.DataFrame, metric: Metric) -> tuple[Figure, Axes]:
    """Returns a figure with a line for each arm."""
    labels = [drawn(str(name), LEVEL_LENGTH) for name in table["arm"]]
    width = max(7.2, 4.2 + 0.075 * max(map(cell_len, labels)))
    figure = Figure(figsize=(width, 1.0 + 0.36 * len(labels)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(metric.heading)
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    return figure, axes

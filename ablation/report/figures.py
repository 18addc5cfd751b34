"""Figures of a report. Each function draws one figure and saves nothing."""

import math
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from rich.cells import cell_len

from ablation.analysis.comparison import combinations
from ablation.analysis.effects import (
    HELPS,
    HURTS,
    LARGER,
    NO_RELEVANT_DIFFERENCE,
    OPEN,
    SMALLER,
    Effect,
)
from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.significance import t_half_width
from ablation.factors import is_absent
from ablation.records import store
from ablation.report.axes import (
    GAP,
    LEVEL_LENGTH,
    WIDTH,
    draw_range,
    drawn_interval,
    fitted,
    label_log_axis,
    legend,
    line_style,
    panel_grid,
    percent_axis,
    reach,
    row_title,
)
from ablation.report.fonts import drawn
from ablation.report.judged import Column
from ablation.report.judged import columns as judged_columns
from ablation.targets import CLASSES
from ablation.targets.common import Target

_ARMS_IN_A_NARROW_PANEL = 4
_CELLS_AT_MOST = 12
_PANELS_AT_MOST = 24
_LABELS_AT_MOST = 24
_EFFECT_LENGTH = 100
_DOTS_AT_MOST = 1000
_ARROW = 0.05  # How far an interval without an end is drawn, as a share of all that has one.
"""Beyond which they are an image in the SVG, which would take megabytes to name each of them."""
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

_LOSS = Column("loss")
_DOT: dict[str, Any] = {"alpha": 0.5, "markersize": 5}


def curves(
    runs: pd.DataFrame,
    history: pd.DataFrame,
    metrics: Sequence[str],
    rows: Sequence[str],
    columns: Sequence[str],
    target: Target = CLASSES,
) -> Figure:
    """Draws metrics over epochs: for each row of the table a panel of each metric.

    Args:
        runs: one row a run, with `run`, `state`, the row factors and `column`.
        history: one row a run and epoch, with `run`, `epoch` and the metrics.
        metrics: names of the metrics.
        rows: the factors that make a row.
        columns: the levels to tell apart, in the order of their styles.
        target: whose metrics they are.

    Returns:
        The figure. Panels of a metric share their scale, so that depths can be compared. Above
        them stands how many runs are not complete.
    """
    cells = dict(iter(runs.groupby(list(rows), sort=False)))
    keys = combinations(runs, rows)
    incomplete = [_incomplete(cells[key], columns) for key in keys]
    judged = judged_columns(target)
    labels = [judged[metric].heading for metric in metrics]
    # Many arms in one row have room to be told apart, and their legend to lie abreast.
    width = 6.4 if len(keys) == 1 and len(columns) > _ARMS_IN_A_NARROW_PANEL else 2.9
    figure, panels = panel_grid(rows, keys, labels, (width, 2.4), incomplete)
    for metric, row in zip(metrics, panels, strict=True):
        for axes, key in zip(row, keys, strict=True):
            axes.sharex(panels[0][0])
            draw_curves(axes, cells[key], history, metric, columns, judged[metric])
            axes.tick_params(labelbottom=row is panels[-1])
        if row[0].get_yscale() == "log":
            label_log_axis(row[0])
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    legend(figure, columns)
    return figure


def draw_curves(
    axes: Axes,
    runs: pd.DataFrame,
    history: pd.DataFrame,
    metric: str,
    columns: Sequence[str],
    shown: Column = _LOSS,
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
        shown: how the metric is shown.

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
    if shown.is_share:
        percent_axis(axes)
    elif not shown.higher_is_better and axes.dataLim.y1 > 0:  # Whatever is not finite is no limit.
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
    many = len(runs) > _DOTS_AT_MOST
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
        axes.plot(dots, values, ".", color=style["color"], rasterized=many, **_DOT)
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
    many = sum(effect.n for effect in effects) > _DOTS_AT_MOST
    first, last = reach(effects)
    span = last - first
    gap, least, most = GAP * span, first - _ARROW * span, last + _ARROW * span
    for place, effect in enumerate(effects):
        points = metric.scale * effect.differences
        low, high = (metric.scale * bound for bound in drawn_interval(effect, gap))
        color, marker = _VERDICTS[effect.verdict]
        axes.plot(points, [place + 0.15] * len(points), ".", color=color, rasterized=many, **_DOT)
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
        axes.plot(scores, [place + 0.15] * len(scores), ".", color=color, **_DOT)
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


_BASES = ("reference", "stripped")


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

"""Curves over epochs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablation.analysis.levels import combinations
from ablation.records import store
from ablation.report.figures.axes import (
    draw_range,
    label_log_axis,
    legend,
    line_style,
    panel_grid,
    percent_axis,
)
from ablation.report.judged import Column
from ablation.report.judged import columns as judged_columns
from ablation.targets import CLASSES
from ablation.targets.common import Target

_ARMS_IN_A_NARROW_PANEL = 4
_PANELS_AT_MOST = 24
_LOSS = Column("loss")


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
    return [f"{column}: {counted_states(states[column])}" for column in columns if column in states]


def counted_states(states: pd.Series) -> str:
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

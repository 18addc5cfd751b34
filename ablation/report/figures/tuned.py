"""The figure of what was tried for each arm. It draws one figure and saves nothing."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablation.analysis.comparison import Comparison
from ablation.analysis.levels import varying
from ablation.analysis.tables import tuning_table
from ablation.factors import Label, spelled
from ablation.report import judged
from ablation.report.figures.axes import legend, line_style, percent_axis, row_title
from ablation.report.figures.fonts import drawn

_LOGARITHMIC_FROM = 5.0
"""Times as much as the smallest value the largest has to be."""
_NAME_LENGTH = 60


def trials(comparison: Comparison) -> Figure:
    """Draws how each arm scored at each value that was tried, a panel for each key.

    Args:
        comparison: whose arms were tuned.
    """
    table, keys = tuning_table(comparison), comparison.tuned_keys
    names = [] if comparison.arms else list(varying(comparison.runs, comparison.rows))
    levels = []
    for *row, column in table[[*names, "column"]].itertuples(index=False, name=None):
        levels.append(f"{column} ({row_title(names, row)})" if row else str(column))
    higher = comparison.target.of_epochs.higher_is_better
    table = table.assign(_arm=[Label(level) for level in levels])
    arms = list(dict.fromkeys(table["_arm"]))
    figure = Figure(figsize=(1.2 + 4.6 * len(keys), 3.4), layout="constrained")
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for axes, key in zip(panels, keys, strict=True):
        _panel(axes, table, key, arms, higher)
    metric = comparison.target.of_epochs
    if metric.is_share:
        panels[0].set_ylabel(f"{judged.name(metric)} of tuning runs")
        percent_axis(panels[0])
    else:
        unit = f", {metric.unit}" if metric.unit else ""
        panels[0].set_ylabel(f"{judged.name(metric)}\nof tuning runs{unit}")
    legend(figure, arms)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, key: str, arms: list[Label], higher: bool) -> None:
    """Draws every arm over the values of one key, at each the best over those of the others."""
    values = list(dict.fromkeys(table[key].dropna()))
    numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    if numeric:
        values.sort()
    logarithmic = numeric and values[0] > 0 and values[-1] >= _LOGARITHMIC_FROM * values[0]
    # Text stands in the order in which it was named, at equal distances.
    places = {one: float(one) if numeric else i for i, one in enumerate(values)}
    for arm in arms:
        of_arm = table[table["_arm"] == arm]
        of_arm = of_arm[of_arm[key].notna()]
        # None of those that are still to come, or gone.
        failed = (of_arm["n"] > 0) & (of_arm["failed"] >= of_arm["n"]) & (of_arm["missing"] == 0)
        ordered = of_arm[~failed].sort_values("mean", ascending=higher)
        best = ordered.groupby(key, sort=False).tail(1)
        best = best.assign(_x=best[key].map(places)).sort_values("_x")
        style: dict[str, Any] = line_style(arms, arm)
        spread = best["sd"].fillna(0.0)
        axes.errorbar(best["_x"], best["mean"], spread, capsize=2, markersize=5, **style)
        ring = of_arm[of_arm["chosen"]]
        axes.plot(
            ring[key].map(places),
            ring["mean"],
            linestyle="",
            marker="o",
            markersize=13,
            markerfacecolor="none",
            markeredgewidth=1.6,
            markeredgecolor=style["color"],
        )
        lost = [places[one] for one in of_arm.loc[failed, key] if one not in set(best[key])]
        axes.plot(
            lost,
            np.full(len(lost), 0.03),
            linestyle="",
            marker="x",
            markersize=8,
            markeredgewidth=1.8,
            color=style["color"],
            transform=axes.get_xaxis_transform(),
        )
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks([places[one] for one in values], [drawn(spelled(one), 20) for one in values])
    axes.minorticks_off()
    axes.set_xlabel(drawn(key, _NAME_LENGTH))
    axes.margins(x=0.12)
    axes.grid(alpha=0.3)

"""Where the marks of a forest plot stand, a row a question, in percent of the width."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from ablation.analysis.effects import Effect
from ablation.report.figures.axes import GAP, drawn_interval, reach

_POINTS_AT_MOST = 40
_EDGE = 3.0
"""Percent that stay free at either end, for markers."""


@dataclass(frozen=True)
class Marks:
    """What is drawn of one effect, in percent of the width.

    Attributes:
        mean: where the mean stands.
        bounds: of the interval, None if it has none.
        points: of the seeds.
    """

    mean: float
    bounds: tuple[float, float] | None
    points: tuple[float, ...]


@dataclass(frozen=True)
class Forest:
    """A forest plot.

    Attributes:
        zero: where 0 stands, in percent.
        margin: what the margin covers, in percent, None without one.
        ticks: the axis, where and what.
        rows: of each effect, None if it has no seed.
    """

    zero: float
    margin: tuple[float, float] | None
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[Marks | None, ...]


def forest(effects: Sequence[Effect]) -> Forest | None:
    """Returns the forest plot of effects of one metric, None if none has a seed."""
    there = [effect for effect in effects if effect.n]
    if not there:
        return None
    scale = there[0].metric.scale
    margin = there[0].margin
    low, high = (scale * end for end in reach(there))
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(_EDGE + (100 - 2 * _EDGE) * (value - low) / span, 2)

    known = MaxNLocator(nbins=4).tick_values(low, high)
    ticks = [(place(tick), f"{tick:+g}" if tick else "0") for tick in known if low <= tick <= high]
    return Forest(
        place(0.0),
        None if margin is None else (place(-scale * margin), place(scale * margin)),
        tuple(ticks),
        tuple(
            _marks(effect, lambda value: place(scale * value), GAP * span / scale)
            for effect in effects
        ),
    )


def _marks(effect: Effect, place: Callable[[float], float], gap: float) -> Marks | None:
    if not effect.n:
        return None
    bounds = drawn_interval(effect, gap)
    points = effect.differences[:_POINTS_AT_MOST]
    return Marks(
        place(effect.mean),
        # One without an end reaches to the edge.
        (max(0.0, place(bounds[0])), min(100.0, place(bounds[1])))
        if not np.isnan(bounds).any()
        else None,
        tuple(place(float(one)) for one in points),
    )

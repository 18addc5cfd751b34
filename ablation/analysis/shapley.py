"""The share of each part in what all of them bring, averaged over all orders of adding them.

A roadmap's steps depend on their order. The Shapley value (Shapley 1953) does not: of each part the
mean, over all orders, of what it adds when its turn comes. The shares add up to the whole.
"""

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.levels import levels

PARTS_AT_MOST = 4


def shares(scores: Mapping[tuple[bool, ...], np.ndarray], parts: int) -> np.ndarray:
    """Returns the Shapley value of each part.

    Args:
        scores: for each combination of parts, True where it is there, float (seeds,).
        parts: how many there are.

    Returns:
        float (parts, seeds).
    """
    found = []
    for part in range(parts):
        total = np.zeros_like(scores[(False,) * parts])
        for others in itertools.product((False, True), repeat=parts - 1):
            size = sum(others)
            weight = math.factorial(size) * math.factorial(parts - size - 1)
            without = (*others[:part], False, *others[part:])
            with_it = (*others[:part], True, *others[part:])
            total = total + weight / math.factorial(parts) * (scores[with_it] - scores[without])
        found.append(total)
    return np.array(found)


def shapley_table(comparison: Comparison) -> pd.DataFrame:
    """Returns each part's share in a full grid of two to four factors of two levels.

    Columns: `factor`, `change` (from which level to which, the reference first), `share` (mean over
    seeds that have every cell), `sd` and `n`. Empty of any other study.
    """
    binary = _binary(comparison)
    if not binary:
        return pd.DataFrame()
    runs = comparison.complete.assign(**{comparison.contrast: comparison.complete["column"]})
    wide = runs.pivot_table("score", "seed", list(binary), observed=True)
    scores = {}
    for there in itertools.product((False, True), repeat=len(binary)):
        key = tuple(pair[on] for pair, on in zip(binary.values(), there, strict=True))
        if key not in wide:
            return pd.DataFrame()
        scores[there] = wide[key]
    whole = pd.DataFrame(scores).dropna()
    if whole.empty:
        return pd.DataFrame()
    of_parts = shares({key: whole[key].to_numpy() for key in scores}, len(binary))
    return pd.DataFrame(
        {
            "factor": name,
            "change": f"{pair[0]} to {pair[1]}",
            "share": values.mean(),
            "sd": values.std(ddof=1) if len(values) > 1 else math.nan,
            "n": len(values),
        }
        for (name, pair), values in zip(binary.items(), of_parts, strict=True)
    )


def lacks_a_cell(comparison: Comparison) -> bool:
    """Returns whether a grid that would have shares has none, for want of a seed in every cell."""
    return bool(_binary(comparison)) and shapley_table(comparison).empty


def _binary(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """Returns both levels of each factor of a grid that can have shares, {} of any other."""
    names = [*comparison.rows, comparison.contrast]
    runs = comparison.complete.assign(**{comparison.contrast: comparison.complete["column"]})
    pairs = {name: _two(comparison, name, runs[name]) for name in names}
    binary = {name: pair for name, pair in pairs.items() if pair is not None}
    several = {name for name in names if runs[name].nunique() > 1}
    fits = 2 <= len(binary) <= PARTS_AT_MOST and several == set(binary)
    return binary if fits and not comparison.arms and _is_one_grid(comparison) else {}


def _is_one_grid(comparison: Comparison) -> bool:
    """Returns whether all cells of a grid are to be there, and not those of several commands."""
    if comparison.to_be is None:
        return True
    names = [*comparison.rows, "column"]
    cells = itertools.product(*(comparison.complete[name].unique() for name in names))
    return comparison.to_be.issuperset(cells)


def _two(comparison: Comparison, name: str, values: pd.Series) -> tuple[str, str] | None:
    """Returns a factor's two levels, the one that others are compared with first."""
    found = levels(values)
    if len(found) != 2:
        return None
    if name == comparison.contrast and found[1] == comparison.reference:
        found.reverse()
    return found[0], found[1]

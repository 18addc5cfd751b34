"""What the runs of one comparison say about a factor: differences, intervals, tests and words.

Every effect is a difference paired by seed, since the runs of one seed start from the same weights
and see the same images in the same order. An interval is Student's t, which at n = 3 covers what
it says (a percentile bootstrap does not), and is one effect's alone; a p value is the two-sided
sign-flip test's (Fisher 1935, Pitman 1937), which assumes no distribution; Holm's correction (1979)
is over the family of all effects of one kind in one comparison. n says how many seeds all of it
rests on.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.comparison import combinations, levels
from ablation.analysis.significance import (
    ALPHA,
    EXACT_UP_TO,
    detectable_size,
    holm,
    seeds_needed,
    sign_flip_p,
    smallest_p,
    smallest_p_holm,
    t_half_width,
)
from ablation.records import store
from ablation.text import readable

NEAR_CHANCE_SHARE = 0.1
"""A run is near chance below this share of the way from chance to perfect."""


@dataclass(frozen=True)
class Effect:
    """One difference between two levels of a factor, or between two such differences.

    Attributes:
        kind: "contrast" (in one row), "main effect" (averaged over rows) or "interaction"
            (difference between the contrasts of two rows).
        minuend, subtrahend: what is subtracted from what, such as "arch 50" and "34".
        where: the row, or the rows, that it holds for.
        differences: the paired differences by seed, accuracy from 0 to 1.
        near_chance_by_seed: how many of the runs behind each seed's difference ended near chance.
        runs_per_seed: how many runs are behind each seed's difference.
        lost: how many runs of its cells failed or diverged, and are in no number.
        family: number of effects that Holm's correction counts.
        p: two-sided sign-flip p, exact up to 15 seeds; NaN without variance or below two seeds.
        p_holm: the same after Holm's correction.
        smallest_p_holm: what that would be if p were as small as so many seeds can make it, and the
            other effects as they are.
        seeds_needed: with how many seeds the last effect of the family could pass 0.05.
    """

    kind: str
    minuend: str
    subtrahend: str
    where: str
    differences: pd.Series = field(repr=False)
    near_chance_by_seed: pd.Series = field(repr=False)
    runs_per_seed: int
    lost: int = 0
    family: int = 1
    p: float = math.nan
    p_holm: float = math.nan
    smallest_p_holm: float = math.nan
    seeds_needed: int = 0

    @property
    def name(self) -> str:
        """The difference in short, such as "se true - false" or "arch 50 - 34"."""
        return self.named("-")

    def named(self, minus: str) -> str:
        """Returns the difference with some word or sign for minus, which a level may hold too."""
        name = f"{self.minuend} {minus} {self.subtrahend}"
        return f"({name})" if self.kind == "interaction" else name

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.differences)

    @property
    def runs(self) -> int:
        """Number of runs behind the effect."""
        return self.n * self.runs_per_seed

    @property
    def near_chance(self) -> int:
        """How many of them ended near chance."""
        return int(self.near_chance_by_seed.reindex(self.differences.index).sum())

    @property
    def mean(self) -> float:
        """Mean difference."""
        return float(self.differences.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the differences over seeds, NaN below two."""
        return float(self.differences.std())

    @property
    def constant(self) -> bool:
        """Whether the differences do not vary at all, so that no test of them means anything."""
        spread = float(np.ptp(self.differences)) if self.n else 0.0
        return self.n > 1 and spread <= 1e-12

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% t interval of the mean difference; NaN if it cannot be had."""
        if self.n < 2 or self.constant:
            return math.nan, math.nan
        half = t_half_width(self.differences)
        return self.mean - half, self.mean + half

    @property
    def detectable(self) -> float:
        """The minimum detectable effect: what a t test finds with 80% power at this spread.

        At 0.05 divided by the family, as strict as Holm's correction is with the first effect.
        """
        if self.n < 2 or self.constant:
            return math.nan
        return detectable_size(self.n, ALPHA / self.family) * self.sd

    def sentence(self) -> str:
        """Returns the effect in words that claim no more than it shows."""
        name = self.named("minus")
        at = f" at {self.where}" if self.where else ", averaged over the rest"
        text = f"{name}{at}: {_points(self.mean)} (n={self.n})"
        if not self.n:
            text = f"{name}{at}: no seed has a complete run of every net compared"
        elif self.n == 1:
            text += "; one seed, so this is the difference of these runs and no claim is made"
        elif self.constant:
            text += "; the same for every seed, so there is no spread to test it against"
        else:
            low, high = self.interval
            text += f", 95% interval {100 * low:+.2f} to {100 * high:+.2f}; {self._verdict()}"
        if self.near_chance:
            text += f"; {self.near_chance} of the {self.runs} runs ended near chance"
        if self.lost:
            text += f"; {self.lost} more failed or diverged and are in no number"
        return f"{text}."

    def _verdict(self) -> str:
        exact = "exact p" if self.n <= EXACT_UP_TO else "p"
        p = f"{exact} {_p(self.p)}; corrected by Holm over {self.family}, p {_p(self.p_holm)}"
        if self.p_holm <= ALPHA:
            return f"{p}: more than chance explains"
        if self.smallest_p_holm > ALPHA:
            return (
                f"{p}; {self.n} seeds cannot go below {self.smallest_p_holm:.3f}, "
                f"at least {self.seeds_needed} are needed to conclude anything"
            )
        return (
            f"{p}: not told apart from chance; at this spread {self.n} seeds detect "
            f"{100 * self.detectable:.1f} points four times in five"
        )

    def row(self) -> dict[str, Any]:
        """Returns the effect as one row of a table."""
        low, high = self.interval
        values = {
            "low": low,
            "high": high,
            "smallest_p": smallest_p(self.n),
            "sentence": self.sentence(),
        }
        return {key: values[key] if key in values else getattr(self, key) for key in EFFECT_COLUMNS}


EFFECT_COLUMNS = (
    "kind",
    "name",
    "where",
    "n",
    "mean",
    "sd",
    "low",
    "high",
    "p",
    "p_holm",
    "family",
    "smallest_p",
    "smallest_p_holm",
    "seeds_needed",
    "detectable",
    "near_chance",
    "runs",
    "lost",
    "sentence",
)
"""The columns of a table of effects."""


def foremost(effects: Sequence[Effect], at_most: int) -> list[Effect]:
    """Returns so many effects: all in their order, or of too many the averages first."""
    if len(effects) <= at_most:
        return list(effects)
    order = ("main effect", "contrast", "interaction")
    return sorted(effects, key=lambda effect: order.index(effect.kind))[:at_most]


def with_p_values(effects: Sequence[Effect]) -> list[Effect]:
    """Returns effects of one kind with their p values, corrected over all of them.

    An effect that cannot be tested (one seed, or no spread) still counts in the family, so that
    what could be looked at, and not only what was, pays for the correction.
    """
    raw = np.full(len(effects), math.nan)
    sizes = np.array([0 if effect.constant else effect.n for effect in effects])
    for n in np.unique(sizes[sizes > 1]):
        places = np.flatnonzero(sizes == n)
        raw[places] = sign_flip_p(np.array([effects[int(i)].differences for i in places], float))
    corrected = holm(raw)
    needed = seeds_needed(raw)
    floors = smallest_p_holm(raw, np.array([smallest_p(effect.n) for effect in effects]))
    return [
        replace(
            effect,
            family=len(effects),
            p=float(p),
            p_holm=float(q),
            smallest_p_holm=float(floor),
            seeds_needed=needed,
        )
        for effect, p, q, floor in zip(effects, raw, corrected, floors, strict=True)
    ]


def is_near_chance(accuracy: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Returns whether runs ended near chance: under a tenth of the way from chance to perfect.

    Args:
        accuracy: float (runs,), 0 to 1.
        chance: float (runs,), what always answering the most frequent class scores.
    """
    return accuracy < chance + NEAR_CHANCE_SHARE * (1 - chance)


def effects(
    runs: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    exists: Callable[[dict[str, Any], str], bool] = lambda row, column: True,
    prefix: str = "",
) -> list[Effect]:
    """Returns every effect of one comparison, tested family by family.

    Which effects there are hangs on the runs that were to be, not on those that came to a good end,
    or a net that fails would make the others' p values smaller.

    Args:
        runs: `column` (the level of the contrast), the row factors, `seed`, `state`, `chance` and
            `val_accuracy`, NaN if a run is not complete.
        rows: the factors that make a row.
        columns: the levels of `column`; the others are compared with the first, the reference.
        exists: whether there can be a net of a row and a column.
        prefix: what names of effects begin with where the levels do not speak for themselves.

    Returns:
        The contrasts of each row; the main effect of the contrast over all rows and of each row
        factor over all the rest; the interactions of the contrast with each row factor, each level
        against the first, since all pairs of levels would be more effects than any study can test.
    """
    reference, *others = columns
    cells = _cells(runs, rows)
    contrasts: list[Effect] = []
    mains: list[Effect] = []
    interactions: list[Effect] = []
    for level in others:
        pair = f"{prefix}{readable(str(level))}", readable(str(reference))
        of_row = {
            key: cells[*key, level] - cells[*key, reference]
            for key in combinations(runs, rows)
            if exists(dict(zip(rows, key, strict=True)), level)
        }
        contrasts += [
            one.effect("contrast", pair, _where(rows, key)) for key, one in of_row.items()
        ]
        if len(of_row) > 1:
            mains.append(_mean(list(of_row.values())).effect("main effect", pair, ""))
            interactions += _interactions(of_row, rows, pair)
    for i, factor in enumerate(rows):
        mains += _main_effects(cells, i, factor, levels(runs[factor]))
    return [*with_p_values(contrasts), *with_p_values(mains), *with_p_values(interactions)]


@dataclass(frozen=True)
class _BySeed:
    """A value for each seed: the accuracy of a cell, or a difference.

    Attributes:
        seeds: all seeds of the comparison.
        values: float (seeds,), NaN where a run is missing.
        near_chance: int (seeds,), how many of the runs behind the value ended near chance.
        runs: how many runs are behind each value.
        lost: how many runs of its cells failed or diverged.
    """

    seeds: np.ndarray
    values: np.ndarray
    near_chance: np.ndarray
    runs: int
    lost: int

    def __sub__(self, other: "_BySeed") -> "_BySeed":
        return _BySeed(
            self.seeds,
            self.values - other.values,
            self.near_chance + other.near_chance,
            self.runs + other.runs,
            self.lost + other.lost,
        )

    def effect(self, kind: str, pair: tuple[str, str], where: str) -> Effect:
        """Returns the effect over the seeds that have all of it."""
        there = ~np.isnan(self.values)
        differences = pd.Series(self.values[there], index=self.seeds[there])
        near_chance = pd.Series(self.near_chance[there], index=self.seeds[there])
        return Effect(kind, *pair, where, differences, near_chance, self.runs, self.lost)


def _main_effects(
    cells: "_Cells", i: int, factor: str, factor_levels: Sequence[Any]
) -> Iterator[Effect]:
    """Yields a row factor's levels minus its first, averaged over the cells that they have."""
    rest: dict[Any, dict[tuple, None]] = {level: {} for level in factor_levels}
    for key in cells:
        rest[key[i]][key[:i], key[i + 1 :]] = None
    first, *later = factor_levels
    for level in later:
        if rest[level].keys().isdisjoint(rest[first]):
            continue  # No two runs differ in this factor alone.
        parts = [
            cells[*before, level, *after] - cells[*before, first, *after]
            for before, after in rest[first] | rest[level]
        ]
        yield _mean(parts).effect(
            "main effect", (_where([factor], [level]), readable(str(first))), ""
        )


def _mean(parts: Sequence[_BySeed]) -> _BySeed:
    """Returns the mean of several, seed by seed, NaN for seeds that not all of them have."""
    return _BySeed(
        parts[0].seeds,
        np.mean([part.values for part in parts], axis=0),
        np.sum([part.near_chance for part in parts], axis=0),
        sum(part.runs for part in parts),
        sum(part.lost for part in parts),
    )


class _Cells(dict[tuple, _BySeed]):
    """The accuracies of each cell, by the levels of the row factors and of the column."""

    def __missing__(self, key: tuple) -> _BySeed:
        some = next(iter(self.values()))
        nothing = np.full_like(some.values, math.nan)
        return _BySeed(some.seeds, nothing, np.zeros_like(some.near_chance), 1, 0)


def _cells(runs: pd.DataFrame, rows: Sequence[str]) -> _Cells:
    names = [*rows, "column"]
    cell = runs.groupby(names, sort=False).ngroup().to_numpy()
    seeds, place = np.unique(runs["seed"], return_inverse=True)
    values = np.full((cell.max() + 1, len(seeds)), math.nan)
    near_chance = np.zeros(values.shape, int)
    accuracy = runs["val_accuracy"].to_numpy(float)
    values[cell, place] = accuracy
    near_chance[cell, place] = is_near_chance(accuracy, runs["chance"].to_numpy(float))
    lost = np.bincount(cell[runs["state"].isin((store.FAILED, store.DIVERGED))], None, len(values))
    keys = runs[names].drop_duplicates().itertuples(index=False, name=None)
    return _Cells(
        (key, _BySeed(seeds, values[i], near_chance[i], 1, int(lost[i])))
        for i, key in enumerate(keys)
    )


def _interactions(
    of_row: dict[tuple, _BySeed], rows: Sequence[str], pair: tuple[str, str]
) -> list[Effect]:
    """Returns, for rows that differ in one factor, the later contrast minus the first."""
    found = []
    for i, factor in enumerate(rows):
        firsts: dict[tuple, tuple] = {}
        for key, difference in of_row.items():
            same = key[:i] + key[i + 1 :]
            first = firsts.setdefault(same, key)
            if first != key:
                against = f"{_where([factor], [key[i]])} against {_where([factor], [first[i]])}"
                fixed = _where([*rows[:i], *rows[i + 1 :]], same)
                where = ", ".join(filter(None, [against, fixed]))
                change = difference - of_row[first]
                found.append(change.effect("interaction", pair, where))
    return found


def _where(names: Sequence[str], key: Sequence[Any]) -> str:
    levels_in_words = (readable(str(value)) for value in key)
    return ", ".join(f"{name} {one}" for name, one in zip(names, levels_in_words, strict=True))


def _points(value: float) -> str:
    return f"{100 * value:+.2f} points"


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"

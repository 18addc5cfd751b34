"""What the runs of one comparison say about a factor: differences, intervals, tests and words.

Every effect is a difference paired by seed, since the runs of one seed start from the same weights
and see the same images in the same order. An interval is Student's t, which at n = 3 covers what
it says (a percentile bootstrap does not); a p value is the exact two-sided sign-flip test's, which
assumes no distribution; Holm's correction is over the family of all effects of one kind in one
comparison. n says how many seeds all of it rests on.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ablation.comparison import combinations, levels

ALPHA = 0.05
POWER = 0.8

_EXACT_UP_TO = 15
_RANDOM_FLIPS = 100_000
"""Seeds up to which all 2^n sign flips are gone through, and how many random ones beyond."""

_FLIPS_AT_ONCE = 1024


@dataclass(frozen=True)
class Effect:
    """One difference between two levels of a factor, or between two such differences.

    Attributes:
        kind: "contrast" (in one row), "main effect" (averaged over rows) or "interaction"
            (difference between the contrasts of two rows).
        name: what is subtracted from what, such as "residual - plain".
        where: the row, or the rows, that it holds for.
        differences: the paired differences by seed, accuracy from 0 to 1.
        near_chance: how many of the runs behind each seed's difference ended near chance.
        runs_per_seed: how many runs are behind each seed's difference.
        family: number of effects that Holm's correction counts.
        p: two-sided exact sign-flip p; NaN without variance or below two seeds.
        p_holm: the same after Holm's correction.
    """

    kind: str
    name: str
    where: str
    differences: pd.Series = field(repr=False)
    near_chance: pd.Series = field(repr=False)
    runs_per_seed: int
    family: int = 1
    p: float = math.nan
    p_holm: float = math.nan

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.differences)

    @property
    def runs(self) -> int:
        """Number of runs behind the effect."""
        return self.n * self.runs_per_seed

    @property
    def collapsed(self) -> int:
        """How many of them ended near chance."""
        return int(self.near_chance.reindex(self.differences.index).sum())

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
    def floor(self) -> float:
        """The smallest p that the exact test can give with so many seeds."""
        return smallest_p(self.n)

    @property
    def seeds_needed(self) -> int:
        """The smallest number of seeds with which any effect of the family could pass 0.05."""
        return seeds_needed(self.family)

    @property
    def detectable(self) -> float:
        """The difference that so many seeds detect with 80% power at this spread, by a t test."""
        if self.n < 2 or self.constant:
            return math.nan
        return _detectable_sizes(self.n) * self.sd

    def sentence(self) -> str:
        """Returns the effect in words that claim no more than it shows."""
        name = self.name.replace(" - ", " minus ")
        at = f" at {self.where}" if self.where else ", averaged over the rest"
        if not self.n:
            return f"{name}{at}: no seed has all of it."
        text = f"{name}{at}: {_points(self.mean)} (n={self.n})"
        if self.n == 1:
            text += "; one seed, so this is the difference of these runs and no claim is made"
        elif self.constant:
            text += "; the same for every seed, so there is no spread to test it against"
        else:
            low, high = self.interval
            text += f", 95% interval {100 * low:+.2f} to {100 * high:+.2f}; {self._verdict()}"
        if self.collapsed:
            text += f"; {self.collapsed} of the {self.runs} runs ended near chance"
        return f"{text}."

    def _verdict(self) -> str:
        exact = "exact p" if self.n <= _EXACT_UP_TO else "p"
        p = f"{exact} {_p(self.p)}; corrected by Holm over {self.family}, p {_p(self.p_holm)}"
        if self.p_holm <= ALPHA:
            return f"{p}: more than chance explains"
        if self.n < self.seeds_needed:
            return (
                f"{p}; {self.n} seeds cannot go below {min(1, self.family * self.floor):.3f}, "
                f"at least {self.seeds_needed} are needed to conclude anything"
            )
        return (
            f"{p}: not told apart from chance; "
            f"{self.n} seeds detect {abs(100 * self.detectable):.1f} points or more"
        )

    def row(self) -> dict[str, Any]:
        """Returns the effect as one row of a table."""
        low, high = self.interval
        values = {
            "low": low,
            "high": high,
            "smallest_p": self.floor,
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
    "seeds_needed",
    "detectable",
    "collapsed",
    "runs",
    "sentence",
)
"""The columns of a table of effects."""


def foremost(effects: Sequence[Effect], at_most: int) -> list[Effect]:
    """Returns so many effects: all in their order, or of too many the averages first."""
    if len(effects) <= at_most:
        return list(effects)
    order = ("main effect", "contrast", "interaction")
    return sorted(effects, key=lambda effect: order.index(effect.kind))[:at_most]


def smallest_p(n: int) -> float:
    """Returns the floor of the exact two-sided sign-flip test with n pairs."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(family: int) -> int:
    """Returns the smallest n with which one of so many effects can pass 0.05 after Holm."""
    return math.ceil(math.log2(2 * family / ALPHA))


def t_half_width(values: pd.Series) -> float:
    """Returns half the width of the 95% t interval of a mean, NaN below two values."""
    if len(values) < 2:
        return math.nan
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 1 - ALPHA / 2) * values.sem())


@functools.cache
def _detectable_sizes(n: int) -> float:
    """Returns the difference, in standard deviations, that n pairs detect with 80% power."""
    from statsmodels.stats.power import TTestPower

    return float(np.squeeze(TTestPower().solve_power(nobs=n, alpha=ALPHA, power=POWER)))


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of the exact sign-flip test that each mean difference is zero.

    All effects of one size are tested with the same flips, because one product of matrices takes a
    thousandth of the time of a thousand tests.

    Args:
        differences: float (effects, pairs), two pairs or more.

    Returns:
        float (effects,).
    """
    n = differences.shape[1]
    sums = differences.sum(axis=1)
    rounding = 1e-12 * np.abs(differences).sum(axis=1)
    flips = 0
    reached = np.zeros(len(differences))
    for flipped in _flips(n):
        after = sums - 2 * (flipped @ differences.T)
        reached += (np.abs(after) >= np.abs(sums) - rounding).sum(axis=0)
        flips += len(flipped)
    return reached / flips if n <= _EXACT_UP_TO else (reached + 1) / (flips + 1)


def _flips(n: int) -> Iterator[np.ndarray]:
    """Yields patterns of n signs, some at a time: float (patterns, n), 1 where a sign is flipped.

    All of them, but for those that flip the rest of another one's signs, which gives the same size;
    of very many a random sample.
    """
    rng = np.random.default_rng(0)
    exact = n <= _EXACT_UP_TO
    patterns = 2 ** (n - 1) if exact else _RANDOM_FLIPS
    for start in range(0, patterns, _FLIPS_AT_ONCE):
        numbers = np.arange(start, min(start + _FLIPS_AT_ONCE, patterns))
        if exact:
            yield (numbers[:, np.newaxis] >> np.arange(n) & 1).astype(float)
        else:
            random = np.frombuffer(rng.bytes(len(numbers) * math.ceil(n / 8)), np.uint8)
            bits = np.unpackbits(random.reshape(len(numbers), -1), axis=1, count=n)
            yield bits.astype(float)


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
    corrected = _holm(raw)
    return [
        replace(effect, family=len(effects), p=float(p), p_holm=float(q))
        for effect, p, q in zip(effects, raw, corrected, strict=True)
    ]


def _holm(raw: np.ndarray) -> np.ndarray:
    if np.isnan(raw).all():
        return raw
    # Imported here, because it loads much that a study with one seed has no use for.
    from statsmodels.stats.multitest import multipletests

    corrected = multipletests(np.nan_to_num(raw, nan=1.0), method="holm")[1]
    return np.where(np.isnan(raw), math.nan, corrected)


def is_collapsed(accuracy, chance):
    """Returns whether runs ended near chance: under a tenth of the way from chance to perfect.

    Args:
        accuracy: of a run, or a series of them, 0 to 1.
        chance: what always answering the most frequent class scores, or a series of it.
    """
    return accuracy < chance + 0.1 * (1 - chance)


def effects(runs: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> list[Effect]:
    """Returns every effect of one comparison, tested family by family.

    Args:
        runs: complete runs: `column` (the level of the contrast), the row factors, `seed`,
            `val_accuracy` and `chance`.
        rows: the factors that make a row.
        columns: the levels of `column`; the others are compared with the first, the reference.

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
        name = f"{level} - {reference}"
        of_row = {
            key: cells[*key, level] - cells[*key, reference] for key in combinations(runs, rows)
        }
        contrasts += [
            one.effect("contrast", name, _where(rows, key)) for key, one in of_row.items()
        ]
        if len(of_row) > 1:
            mains.append(_mean(list(of_row.values())).effect("main effect", name, ""))
            interactions += _interactions(of_row, rows, name)
    for i, factor in enumerate(rows):
        mains += _main_effects(cells, i, factor, levels(factor, runs[factor]))
    return [*with_p_values(contrasts), *with_p_values(mains), *with_p_values(interactions)]


@dataclass(frozen=True)
class _BySeed:
    """A value for each seed: the accuracy of a cell, or a difference.

    Attributes:
        seeds: all seeds of the comparison.
        values: float (seeds,), NaN where a run is missing.
        near_chance: int (seeds,), how many of the runs behind the value ended near chance.
        runs: how many runs are behind each value.
    """

    seeds: np.ndarray
    values: np.ndarray
    near_chance: np.ndarray
    runs: int

    def __sub__(self, other: "_BySeed") -> "_BySeed":
        return _BySeed(
            self.seeds,
            self.values - other.values,
            self.near_chance + other.near_chance,
            self.runs + other.runs,
        )

    def effect(self, kind: str, name: str, where: str) -> Effect:
        """Returns the effect over the seeds that have all of it."""
        there = ~np.isnan(self.values)
        differences = pd.Series(self.values[there], index=self.seeds[there])
        near_chance = pd.Series(self.near_chance[there], index=self.seeds[there])
        return Effect(kind, name, where, differences, near_chance, self.runs)


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
        yield _mean(parts).effect("main effect", f"{factor} {level} - {factor} {first}", "")


def _mean(parts: Sequence[_BySeed]) -> _BySeed:
    """Returns the mean of several, seed by seed, NaN for seeds that not all of them have."""
    return _BySeed(
        parts[0].seeds,
        np.mean([part.values for part in parts], axis=0),
        np.sum([part.near_chance for part in parts], axis=0),
        sum(part.runs for part in parts),
    )


class _Cells(dict[tuple, _BySeed]):
    """The accuracies of each cell, by the levels of the row factors and of the column."""

    def __missing__(self, key: tuple) -> _BySeed:
        some = next(iter(self.values()))
        nothing = np.full_like(some.values, math.nan)
        return _BySeed(some.seeds, nothing, np.zeros_like(some.near_chance), 1)


def _cells(runs: pd.DataFrame, rows: Sequence[str]) -> _Cells:
    names = [*rows, "column"]
    cell = runs.groupby(names, sort=False).ngroup().to_numpy()
    seeds, place = np.unique(runs["seed"], return_inverse=True)
    counts, sums, collapsed = (np.zeros((cell.max() + 1, len(seeds))) for _ in range(3))
    accuracy = runs["val_accuracy"].astype(float)
    np.add.at(counts, (cell, place), 1)
    np.add.at(sums, (cell, place), accuracy)
    np.add.at(collapsed, (cell, place), is_collapsed(accuracy, runs["chance"].astype(float)))
    values = np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)
    keys = runs[names].drop_duplicates().itertuples(index=False, name=None)
    return _Cells(
        (key, _BySeed(seeds, values[i], collapsed[i].astype(int), 1)) for i, key in enumerate(keys)
    )


def _interactions(of_row: dict[tuple, _BySeed], rows: Sequence[str], contrast: str) -> list[Effect]:
    """Returns, for rows that differ in one factor, the later contrast minus the first."""
    found = []
    for i, factor in enumerate(rows):
        firsts: dict[tuple, tuple] = {}
        for key, difference in of_row.items():
            same = key[:i] + key[i + 1 :]
            first = firsts.setdefault(same, key)
            if first != key:
                against = f"{factor} {key[i]} against {factor} {first[i]}"
                fixed = _where([*rows[:i], *rows[i + 1 :]], same)
                where = ", ".join(filter(None, [against, fixed]))
                change = difference - of_row[first]
                found.append(change.effect("interaction", f"({contrast})", where))
    return found


def _where(names: Sequence[str], key: Sequence[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))


def _points(value: float) -> str:
    return f"{100 * value:+.2f} points"


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"

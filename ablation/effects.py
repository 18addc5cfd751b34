"""What the runs of one comparison say about a factor: differences, intervals, tests and words.

Every effect is a difference paired by seed, since the runs of one seed start from the same weights
and see the same images in the same order. An interval is Student's t, which at n = 3 covers what
it says (a percentile bootstrap does not); a p value is the exact two-sided sign-flip test's, which
assumes no distribution; Holm's correction is over the family of all effects of one kind in one
comparison. n says how many seeds all of it rests on.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from ablation.comparison import levels

ALPHA = 0.05
POWER = 0.8

_EXACT_UP_TO = 15
"""Seeds up to which all 2^n sign flips are gone through; beyond, a random 100,000 of them."""


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
        from scipy import stats

        found = stats.ttest_1samp(self.differences, 0).confidence_interval(1 - ALPHA)
        return float(found.low), float(found.high)

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
        from statsmodels.stats.power import TTestPower

        size = TTestPower().solve_power(nobs=self.n, alpha=ALPHA, power=POWER)
        return float(np.squeeze(size)) * self.sd

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


def smallest_p(n: int) -> float:
    """Returns the floor of the exact two-sided sign-flip test with n pairs."""
    return min(1.0, 2.0 ** (1 - n))


def seeds_needed(family: int) -> int:
    """Returns the smallest n with which one of so many effects can pass 0.05 after Holm."""
    return math.ceil(math.log2(2 * family / ALPHA))


def sign_flip_p(differences: Sequence[float] | pd.Series) -> float:
    """Returns the two-sided p of the exact sign-flip test that the mean difference is zero.

    Args:
        differences: the paired differences, two or more.
    """
    from scipy import stats

    exact = len(differences) <= _EXACT_UP_TO
    found = stats.permutation_test(
        (np.asarray(differences, float),),
        np.mean,
        permutation_type="samples",
        n_resamples=np.inf if exact else 100_000,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def with_p_values(effects: Sequence[Effect]) -> list[Effect]:
    """Returns effects of one kind with their p values, corrected over all of them.

    An effect that cannot be tested (one seed, or no spread) still counts in the family, so that
    what could be looked at, and not only what was, pays for the correction.
    """
    from statsmodels.stats.multitest import multipletests

    raw = [math.nan if e.n < 2 or e.constant else sign_flip_p(e.differences) for e in effects]
    corrected = np.full(len(raw), math.nan)
    if effects:
        filled = np.nan_to_num(raw, nan=1.0)
        corrected = multipletests(filled, method="holm")[1]
    return [
        replace(effect, family=len(effects), p=p, p_holm=math.nan if math.isnan(p) else float(q))
        for effect, p, q in zip(effects, raw, corrected, strict=True)
    ]


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
        factor over all the rest; the interactions of the contrast with each row factor.
    """
    reference, *others = columns
    contrasts: list[Effect] = []
    mains: list[Effect] = []
    interactions: list[Effect] = []
    for level in others:
        of_level = {
            key: _contrast(runs, dict(zip(rows, key, strict=True)), "column", level, reference)
            for key in _keys(runs, rows)
        }
        contrasts += list(of_level.values())
        if len(of_level) > 1:
            mains.append(_average(list(of_level.values()), f"{level} - {reference}"))
            interactions += _interactions(of_level, rows, f"{level} - {reference}")
    mains += _main_effects(runs, rows)
    return [*with_p_values(contrasts), *with_p_values(mains), *with_p_values(interactions)]


def _keys(runs: pd.DataFrame, columns: Sequence[str]) -> list[tuple]:
    """Returns the combinations of values that the runs have, in natural order."""
    found = runs[list(columns)].drop_duplicates().itertuples(index=False, name=None)
    order = [levels(column, runs[column]) for column in columns]
    return sorted(found, key=lambda key: [one.index(v) for one, v in zip(order, key, strict=True)])


def _contrast(
    runs: pd.DataFrame, fixed: dict[str, Any], factor: str, level: Any, reference: Any
) -> Effect:
    """Returns level minus reference, paired by seed, where the other factors are fixed."""
    inside = runs
    for key, value in fixed.items():
        inside = inside[inside[key] == value]
    sides = [inside[inside[factor] == value] for value in (level, reference)]
    one, other = (side.set_index("seed")["val_accuracy"].astype(float) for side in sides)
    near_chance = sum(
        (is_collapsed(side["val_accuracy"], side["chance"]).groupby(side["seed"]).sum())
        for side in sides
    )
    where = ", ".join(f"{key} {value}" for key, value in fixed.items() if key != "column")
    differences = (one - other).dropna()
    return Effect("contrast", f"{level} - {reference}", where, differences, near_chance, 2)


def _main_effects(runs: pd.DataFrame, rows: Sequence[str]) -> list[Effect]:
    """Returns each row factor's levels minus its first, averaged over the cells that they have."""
    found = []
    for factor in rows:
        first, *later = levels(factor, runs[factor])
        fixed = [name for name in (*rows, "column") if name != factor]
        of_first = _keys(runs[runs[factor] == first], fixed)
        for level in later:
            of_level = _keys(runs[runs[factor] == level], fixed)
            if set(of_level).isdisjoint(of_first):
                continue  # No two runs differ in this factor alone.
            parts = [
                _contrast(runs, dict(zip(fixed, key, strict=True)), factor, level, first)
                for key in _keys(runs, fixed)
                if key in of_level or key in of_first
            ]
            found.append(_average(parts, f"{factor} {level} - {factor} {first}"))
    return found


def _average(parts: Sequence[Effect], name: str) -> Effect:
    """Returns the mean of several effects, seed by seed, over the seeds that all of them have."""
    table = pd.concat([part.differences for part in parts], axis=1, join="inner")
    return Effect(
        "main effect",
        name,
        "",
        table.astype(float).mean(axis=1),
        pd.concat([part.near_chance for part in parts], axis=1).sum(axis=1),
        sum(part.runs_per_seed for part in parts),
    )


def _interactions(contrasts: dict[tuple, Effect], rows: Sequence[str], name: str) -> list[Effect]:
    """Returns, for rows that differ in one factor, the later contrast minus the first."""
    found = []
    for (first, one), (later, other) in itertools.combinations(contrasts.items(), 2):
        differing = [i for i in range(len(rows)) if first[i] != later[i]]
        if len(differing) != 1:
            continue
        difference = (other.differences - one.differences).dropna()
        factor = rows[differing[0]]
        where = f"{factor} {later[differing[0]]} against {factor} {first[differing[0]]}"
        same = [f"{row} {first[i]}" for i, row in enumerate(rows) if i not in differing]
        where = ", ".join([where, *same])
        found.append(
            Effect(
                "interaction",
                f"({name})",
                where,
                difference,
                pd.concat([one.near_chance, other.near_chance], axis=1).sum(axis=1),
                one.runs_per_seed + other.runs_per_seed,
            )
        )
    return found


def _points(value: float) -> str:
    return f"{100 * value:+.2f} points"


def _p(value: float) -> str:
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"

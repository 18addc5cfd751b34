"""What the runs of one comparison answer: differences, intervals, tests and verdicts.

Every effect is a difference paired by seed, since the runs of one seed start from the same weights
and see the same images in the same order. All effects of one comparison are one family: Holm's
correction counts them all, and their intervals, uncut, hold all at once. n says how many seeds all
of it rests on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis import sequential
from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.significance import (
    ALPHA,
    detectable_size,
    holm,
    paired_t_p,
    seeds_needed,
    sign_flip_p,
    smallest_p,
    smallest_p_holm,
    t_half_width,
)
from ablation.terminal import counted

NEAR_CHANCE_SHARE = 0.1
"""A run is near chance below this share of the way from chance to perfect."""

HELPS = "helps"
HURTS = "hurts"
LARGER = "larger"
SMALLER = "smaller"
"""Of an interaction: how its first difference stands to its second, which is not good or bad."""
NO_RELEVANT_DIFFERENCE = "no relevant difference"
OPEN = "open"

CONFIRMED = "confirmed"
DISAGREES = "disagrees"
AGREES = "agrees"

SEEDS_FOR_A_VERDICT = 3

SEEDS_IF_NETS_FAIL = 5
"""With fewer, the t test errs too often where nets fail in some of their seeds."""

_ROUNDING = 1e-12
"""Differences vary by rounding alone up to this share of the scores that they are made of."""

_SEEDS_AHEAD = 60
"""How far it is looked ahead for what would decide a question."""

_CONTINUATIONS = 4000
"""How many studies are imagined for that, by all questions together; by each 10 to 200."""


@dataclass(frozen=True)
class Effect:
    """The answer to a question.

    Attributes:
        kind, minuend, subtrahend, where: see `Question`.
        differences: the paired differences by seed, in the unit of the metric.
        near_chance_by_seed: how many of the runs behind each seed's difference ended near chance.
        runs_per_seed: how many runs are behind each seed's difference.
        lost: how many runs of its cells failed or diverged, and are in no number.
        seconds: what training all arms of its comparison takes for one seed more.
        metric: what is compared.
        margin: below which a difference does not matter, None if none was given.
        family: number of questions that Holm's correction counts.
        p: two-sided p of the paired t test; NaN without spread or below three seeds. Of seeds that
            were bought by looking, one that holds however often one looks; see `sequential`.
        p_holm: the same after Holm's correction.
        exact_holm: two-sided sign-flip p after Holm's correction, exact up to 15 seeds.
        smallest_exact_holm: what that would be if the own p were as small as so many seeds can make
            it, and the other effects as they are.
        seeds_needed: with how many seeds the last effect of the family could pass 0.05 there.
        looked: whether seeds were bought by looking at the results. Then `differences` are in the
            order of looking, and what is concluded holds at every look.
        bounds: of the confidence sequence, if so.
        towards: the sign that the differences speak for, if so.
        size: the largest absolute score that the differences are made of.
    """

    kind: str
    minuend: str
    subtrahend: str
    where: str
    differences: pd.Series = field(repr=False)
    near_chance_by_seed: pd.Series = field(repr=False)
    runs_per_seed: int
    lost: int = 0
    seconds: float = math.nan
    metric: Metric = ACCURACY
    margin: float | None = None
    family: int = 1
    p: float = math.nan
    p_holm: float = math.nan
    exact_holm: float = math.nan
    smallest_exact_holm: float = math.nan
    seeds_needed: int = 0
    looked: bool = False
    bounds: tuple[float, float] = (math.nan, math.nan)
    towards: int = 0
    size: float = 0.0

    @property
    def name(self) -> str:
        """The difference in short, such as "se true - false" or "arch 50 - 34"."""
        return self.named("-")

    def named(self, minus: str) -> str:
        """Returns the difference with some word or sign for minus, which a level may hold too."""
        name = f"{self.minuend} {minus} {self.subtrahend}"
        # Of a grid, where it says between which levels; else both differences are in the name.
        return f"({name})" if self.kind == "interaction" and self.where else name

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
        if self.n < 2:
            return False
        differences = self.differences.to_numpy(float)
        largest = max(self.size, np.abs(differences).max())
        return bool(np.ptp(differences) <= _ROUNDING * largest)

    @property
    def alpha(self) -> float:
        """The share of studies in which this effect's interval alone may miss."""
        return ALPHA / self.family

    @property
    def uncut(self) -> tuple[float, float]:
        """The interval that with all others of its family holds at once; NaN if there is none."""
        if self.n < 2 or (self.constant and not self.looked):
            return math.nan, math.nan
        if self.looked:
            # Far off differences may draw their mean out of what is symmetric about its middle.
            low, high = min(self.bounds[0], self.mean), max(self.bounds[1], self.mean)
            if not (math.isfinite(low) or math.isfinite(high) or self.concludes):
                return math.nan, math.nan
        else:
            half = t_half_width(self.differences, self.alpha)
            low, high = self.mean - half, self.mean + half
        return low, high

    @property
    def _reaches_across(self) -> bool:
        low, high = self.uncut
        return self.concludes and low < 0 < high

    @property
    def cut(self) -> bool:
        """Whether the interval reaches across 0 although the test concludes, for Holm's correction.

        That is less strict with every effect but the first, and intervals are not. (What no look
        has rejected need not be one interval, so that the one around it may reach across 0 too.)
        """
        return self._reaches_across and self.p > self.alpha

    @property
    def interval(self) -> tuple[float, float]:
        """The interval as it is shown: it does not reach across 0 if the test concludes.

        Where it is cut, that end is no bound of an interval that holds with all others at once. It
        says what the test concludes, which has 5 % of studies of its own to be wrong in.
        """
        low, high = self.uncut
        if self._reaches_across:
            return (0.0, high) if self.mean > 0 else (low, 0.0)
        return low, high

    @property
    def concludes(self) -> bool:
        """Whether the test, corrected by Holm, tells the difference from chance."""
        if self.looked and self.towards != np.sign(self.mean):
            return False
        return self.n >= SEEDS_FOR_A_VERDICT and self.p_holm <= ALPHA

    @property
    def least_seeds(self) -> int:
        """With how few seeds a verdict can be had."""
        return sequential.least_seeds(self.alpha) if self.looked else SEEDS_FOR_A_VERDICT

    @property
    def verdict(self) -> str:
        """What may be said, "" below three seeds and without any spread."""
        if self.looked:
            if self.n < 2:
                return ""
        elif self.n < SEEDS_FOR_A_VERDICT or self.constant:
            return ""
        low, high = self.interval
        if self.margin is not None and -self.margin <= low and high <= self.margin:
            return NO_RELEVANT_DIFFERENCE
        if not self.concludes:
            return OPEN
        if self.kind == "interaction":
            return LARGER if self.mean > 0 else SMALLER
        return HELPS if (self.mean > 0) == self.metric.higher_is_better else HURTS

    @property
    def exact(self) -> str:
        """What the sign-flip test has to say to the verdict."""
        if self.n < SEEDS_FOR_A_VERDICT or self.constant or self.looked:
            return ""
        if self.verdict == NO_RELEVANT_DIFFERENCE:
            return ""  # Signs tell whether there is a difference, not whether it matters.
        if self.smallest_exact_holm > ALPHA:
            return f"cannot speak below n = {max(self.seeds_needed, self.n + 1)}"
        if (self.exact_holm <= ALPHA) != self.concludes:
            return DISAGREES
        return CONFIRMED if self.concludes else AGREES

    @cached_property
    def seeds_to_settle(self) -> int:
        """About how many seeds in all would settle what is open, 0 if too many would or nothing is.

        By the test that may be looked at again, whatever has tested these seeds: who adds some
        because of what was seen has looked. See `sequential.seeds_to_decide`.
        """
        if self.n < 2 or self.verdict not in ("", OPEN) or (self.constant and not self.looked):
            return 0
        values, ahead = self.differences.to_numpy(float), max(_SEEDS_AHEAD, 2 * self.n)
        studies = min(200, max(10, _CONTINUATIONS // self.family))
        return sequential.seeds_to_decide(
            values, self.alpha, self.margin, ahead, self.size, studies, in_order=self.looked
        )

    @property
    def detectable(self) -> float:
        """The minimum detectable effect: what a t test finds with 80% power at this spread.

        At 0.05 divided by the family, as strict as Holm's correction is with the first effect.
        """
        if self.n < 2 or self.constant or self.looked:
            return math.nan
        return detectable_size(self.n, self.alpha) * self.sd

    def sentence(self) -> str:
        """Returns the effect in one line that claims no more than it shows."""
        name = f"{self.named('minus')}{f' at {self.where}' if self.where else ''}"
        low, high = self.metric.bounds(*self.interval)
        text = f"{name}: {self.metric.difference(self.mean)}"
        if not self.n:
            text = f"{name}: no seed has a score of every net compared"
        elif self.n == 1:
            text += " (n=1), one seed, no claim"
        elif self.constant:
            text += f" (n={self.n}), the same for every seed"
            text += f": {self.verdict}" if self.verdict else ""
        elif math.isnan(self.interval[0]):
            text += f" (n={self.n}): {self.verdict}, too few seeds for an interval"
        else:
            text += f" [{low} to {high}] (n={self.n})"
            text += f": {self.verdict}" if self.verdict else ", two seeds, no verdict"
        if self.exact == DISAGREES:
            text += "; the exact sign-flip test disagrees"
        if self.near_chance:
            text += f"; {self.near_chance} of {self.runs} runs near chance"
        if self.lost:
            more = f"{self.lost} more" if self.n else counted(self.lost, "run")
            text += f"; {more} failed or diverged"
        return f"{text}."

    def row(self) -> dict[str, Any]:
        """Returns the effect as one row of a table."""
        low, high = self.interval
        values = {"low": low, "high": high, "sentence": self.sentence()}
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
    "verdict",
    "p",
    "p_holm",
    "family",
    "exact_holm",
    "smallest_exact_holm",
    "seeds_needed",
    "exact",
    "seeds_to_settle",
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
    order = ("main effect", "total", "contrast", "change", "addition", "step", "interaction")
    return sorted(effects, key=lambda effect: order.index(effect.kind))[:at_most]


def with_p_values(effects: Sequence[Effect]) -> list[Effect]:
    """Returns the effects of one family with their p values, corrected over all of them.

    An effect that cannot be tested (too few seeds, or no spread) still counts in the family, so
    that what could be looked at, and not only what was, pays for the correction.
    """
    if any(effect.looked for effect in effects):
        return _with_anytime_p_values(effects)
    t, exact = (np.full(len(effects), math.nan) for _ in range(2))
    sizes = np.array([0 if effect.constant else effect.n for effect in effects])
    for n in np.unique(sizes[sizes > 1]):
        places = np.flatnonzero(sizes == n)
        differences = np.array([effects[int(i)].differences for i in places], float)
        exact[places] = sign_flip_p(differences)
        if n >= SEEDS_FOR_A_VERDICT:
            t[places] = paired_t_p(differences)
    needed = seeds_needed(exact)
    floors = smallest_p_holm(exact, np.array([smallest_p(effect.n) for effect in effects]))
    found = zip(effects, t, holm(t), holm(exact), floors, strict=True)
    return [
        replace(
            effect,
            family=len(effects),
            p=float(p),
            p_holm=float(corrected),
            exact_holm=float(exactly),
            smallest_exact_holm=float(floor),
            seeds_needed=needed,
        )
        for effect, p, corrected, exactly, floor in found
    ]


def _with_anytime_p_values(effects: Sequence[Effect]) -> list[Effect]:
    """Returns the same of effects whose seeds were bought by looking at the results."""
    values = [effect.differences.to_numpy(float) for effect in effects]
    sizes = [effect.size for effect in effects]
    p = np.array([sequential.anytime_p(*one) for one in zip(values, sizes, strict=True)])
    found = zip(effects, values, p, holm(p), strict=True)
    return [
        replace(
            effect,
            family=len(effects),
            p=float(raw),
            p_holm=float(corrected),
            bounds=sequential.bounds(of_effect, ALPHA / len(effects), effect.size),
            towards=sequential.direction(of_effect, effect.size) if len(of_effect) else 0,
        )
        for effect, of_effect, raw, corrected in found
    ]


def is_near_chance(skill: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Returns whether runs ended near chance: under a tenth of the way from chance to perfect.

    Args:
        skill: float (runs,), 1 at best, such as the accuracy.
        chance: float (runs,), that of an answer that looks at no image, such as always the most
            frequent class.
    """
    return skill < chance + NEAR_CHANCE_SHARE * (1 - chance)

"""Evidence that may be looked at after every seed: an e-process and its confidence sequence.

A fixed-sample test is valid once. Who looks after each seed and stops when it passes is wrong more
often than 5 %. Here a gambler starts with 1 and, before each seed, stakes a share of the capital on
the sign of its difference; were the signs fair coins, capital would not grow on average, so that it
reaches 1 / alpha in at most a share alpha of all studies, *whenever* one stops (Ville's inequality;
Ramdas, Grünwald, Vovk and Shafer 2023, arXiv 2210.01948, sections 1 and 2).

What is assumed: were the shift taken off, each seed's difference could as well have the other sign,
given its size and all seeds before (symmetry). Arms that differ in nothing have that by
construction. No other distribution, moment or spread is assumed.

The stake. A difference of size a and fair sign s has E[exp(bet s a) / cosh(bet a)] = 1, so that

    capital = mean over bets of the product over seeds of exp(bet x) / cosh(bet x)

is a martingale that starts at 1. As cosh(y) <= exp(y^2 / 2), it is never below the self-normalised
exp(bet x - bet^2 x^2 / 2) of symmetric x (de la Peña 1999, Annals of Probability 27). x is the
difference in units of the median size of the seeds before it, which only looks back, and at most
`SIZE_AT_MOST`, so that no single seed costs everything. The bets are a mixture, since nobody knows
the effect.

Testing every shift and keeping those that are not rejected gives a confidence sequence: intervals
all of which, over all seeds to come, hold with 1 - alpha (Waudby-Smith and Ramdas 2024,
arXiv 2010.09686, section 3).
"""

import math
from collections.abc import Callable

import numpy as np

BETS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Stakes on one direction; each is a guess of the effect in units of the usual size."""

SIZE_AT_MOST = 2.0
"""Usual sizes that a single seed may count for."""

_TIED = 1e-12
"""A difference of this share of what it is made of is one of rounding."""
_SHIFTS = 256
_FAR = np.geomspace(1, 1e3, 64)


def log_evidence(differences: np.ndarray, size: float = 0.0) -> np.ndarray:
    """Returns the logarithm of the capital after each seed, for differences around 0.

    Args:
        differences: float (studies, seeds), in the order in which the seeds were looked at.
        size: the largest absolute score that they are differences of, by which rounding is told.

    Returns:
        float (studies, seeds).
    """
    up, down = _one_sided(differences, size)
    return np.logaddexp(up, down) - math.log(2)


def highest(log_capital: np.ndarray) -> np.ndarray:
    """Returns the highest capital so far: what was reached once counts, whatever comes later."""
    return np.maximum.accumulate(log_capital, axis=-1)


def direction(differences: np.ndarray, size: float = 0.0) -> int:
    """Returns 1 if the differences (seeds,) speak for a shift above 0, -1 below, 0 for neither."""
    up, down = (highest(one)[0, -1] for one in _one_sided(differences[np.newaxis], size))
    return int(np.sign(up - down))


def anytime_p(differences: np.ndarray, size: float = 0.0) -> float:
    """Returns a p value of differences (seeds,) that holds however often one has looked before.

    It is 1 / (the highest capital so far), at most 1.
    """
    if not len(differences):
        return math.nan
    capital = highest(log_evidence(differences[np.newaxis], size))[0, -1]
    return float(min(1.0, math.exp(-capital)))


def least_seeds(alpha: float) -> int:
    """Returns with how many seeds capital can reach 1 / alpha: all of one sign, ever larger."""
    best = np.full((1, 64), SIZE_AT_MOST)
    best[0, 0] = 1.0
    capital = _mixture(best) - math.log(2)
    return int(np.argmax(capital[0] >= -math.log(alpha))) + 1


def bounds(differences: np.ndarray, alpha: float, size: float = 0.0) -> tuple[float, float]:
    """Returns the smallest interval that has every shift which no look so far has rejected.

    Args:
        differences: float (seeds,), in the order in which the seeds were looked at.
        alpha: the share of studies in which some interval of the sequence may miss.
        size: see `log_evidence`.

    Returns:
        Both ends, infinite while there are too few seeds.
    """
    needed = -math.log(alpha)
    size = max(size, float(np.abs(differences).max(initial=0.0)))

    def open_at(shifts: np.ndarray) -> np.ndarray:
        return highest(log_evidence(differences - shifts[:, np.newaxis], size))[:, -1] < needed

    if len(differences) < least_seeds(alpha):
        return -math.inf, math.inf
    middle, spread = float(np.median(differences)), float(np.ptp(differences))
    reach = (spread or (abs(middle) or 1.0) * 1e-9) * np.r_[np.linspace(0, 1, _SHIFTS), _FAR[1:]]
    low, high = (_last_open(open_at, middle, side * reach) for side in (-1, 1))
    return low, high


def _last_open(
    open_at: Callable[[np.ndarray], np.ndarray], middle: float, steps: np.ndarray
) -> float:
    """Returns where the shifts that are not rejected end, on one side of the middle."""
    for _ in range(3):
        places = np.flatnonzero(open_at(middle + steps))
        if not len(places):
            return middle
        last = int(places[-1])
        if last == len(steps) - 1:
            return math.copysign(math.inf, steps[-1])
        steps = np.linspace(steps[last], steps[last + 1], 32)
    return middle + float(steps[-1])  # The nearest one that is known to be rejected.


def seeds_to_decide(
    differences: np.ndarray,
    alpha: float,
    margin: float | None,
    at_most: int,
    size: float = 0.0,
    studies: int = 200,
    in_order: bool = True,
) -> int:
    """Returns about how many seeds in all decide an open question, at the mean and spread seen.

    The median of some continuations with normal differences.

    Args:
        differences: float (seeds,) so far.
        alpha: of this question.
        margin: below which a difference does not matter, None if none was given.
        at_most: seeds.
        size: see `log_evidence`.
        studies: how many continuations are drawn.
        in_order: whether the differences are in the order of looking; else each continuation has
            them in an order of its own, as nobody has looked yet.

    Returns:
        The seeds in all, 0 if most continuations are not decided by then.
    """
    n = len(differences)
    if n < 2 or n >= at_most:
        return 0
    rng = np.random.default_rng(0)
    drawn = rng.normal(differences.mean(), differences.std(ddof=1), (studies, at_most - n))
    seen = np.tile(differences, (studies, 1))
    if not in_order:
        seen = rng.permuted(np.sort(seen, axis=1), axis=1)
    whole = np.hstack([seen, drawn])
    needed = -math.log(alpha)
    decided = highest(log_evidence(whole, size)) >= needed
    if margin is not None:
        ends = [highest(log_evidence(whole + end, size)) >= needed for end in (-margin, margin)]
        decided |= ends[0] & ends[1]
    decided[:, :n] = False  # So many have not decided it.
    first = np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, at_most + 1)
    usual = int(np.median(first))
    return usual if usual <= at_most else 0


def _one_sided(differences: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log capital of who bets on positive signs, and of who bets on negative ones."""
    relative = _relative(differences, size)
    return _mixture(relative), _mixture(-relative)


def _relative(differences: np.ndarray, size: float) -> np.ndarray:
    """Returns differences in units of the median size of those before, the first as its sign."""
    # Like the stake, it must not depend on seeds to come.
    largest = np.maximum(np.maximum.accumulate(np.abs(differences), axis=1), size)
    found = np.where(np.abs(differences) <= _TIED * largest, 0.0, differences)
    sizes = np.abs(found)
    relative = np.sign(found)
    for seed in range(1, found.shape[1]):
        usual = np.median(sizes[:, :seed], axis=1)
        there = usual > 0
        relative[there, seed] = found[there, seed] / usual[there]
    return np.clip(relative, -SIZE_AT_MOST, SIZE_AT_MOST)


def _mixture(relative: np.ndarray) -> np.ndarray:
    """Returns the log of the mean capital over all bets on positive signs."""
    # exp(z) / cosh(z) = 2 / (1 + exp(-2 z))
    of_bets = [
        np.cumsum(math.log(2) - np.logaddexp(0, -2 * bet * relative), axis=-1) for bet in BETS
    ]
    return np.logaddexp.reduce(of_bets) - math.log(len(BETS))

"""The tests behind an effect: paired t, sign flips, Holm's correction, intervals and power.

The paired t test decides, corrected by Holm (1979) over all questions of a comparison. Under the
null a paired difference is symmetric, which is why t holds for few seeds: the tests simulate the
family-wise error. The sign-flip test (Fisher 1935, Pitman 1937), which assumes no distribution,
stands beside it. Intervals are Student's t, each at 1 - 0.05 / questions (Bonferroni), so that all
of them hold at once with 95%.
"""

import functools
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

ALPHA = 0.05
POWER = 0.8

EXACT_UP_TO = 15
"""Seeds up to which all 2^n sign flips are gone through."""

RANDOM_FLIPS = 100_000
"""How many random ones stand for all of them beyond."""

_SEEDS_OF_EXACT = 64
_FLIPS_AT_ONCE = 1024


def smallest_p(n: int) -> float:
    """Returns the smallest p that the two-sided sign-flip test can give with n pairs."""
    return min(1.0, 2.0 ** (1 - n)) if n <= EXACT_UP_TO else 1 / (RANDOM_FLIPS + 1)


def sign_flip_p(differences: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of the sign-flip test that each mean difference is zero.

    It is exact up to 15 pairs. Beyond, of b among m random flips that reach the mean difference, it
    is (b + 1) / (m + 1), which is never too small (Phipson and Smyth 2010). All effects of one size
    are tested with the same flips, because one product of matrices takes a thousandth of the time
    of a thousand tests.

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
    return reached / flips if n <= EXACT_UP_TO else (reached + 1) / (flips + 1)


def _flips(n: int) -> Iterator[np.ndarray]:
    """Yields patterns of n signs, some at a time: float (patterns, n), 1 where a sign is flipped.

    All of them, but for those that flip the rest of another one's signs, which gives the same size;
    of very many a random sample.
    """
    rng = np.random.default_rng(0)
    exact = n <= EXACT_UP_TO
    patterns = 2 ** (n - 1) if exact else RANDOM_FLIPS
    for start in range(0, patterns, _FLIPS_AT_ONCE):
        numbers = np.arange(start, min(start + _FLIPS_AT_ONCE, patterns))
        if exact:
            yield (numbers[:, np.newaxis] >> np.arange(n) & 1).astype(float)
        else:
            random = np.frombuffer(rng.bytes(len(numbers) * math.ceil(n / 8)), np.uint8)
            bits = np.unpackbits(random.reshape(len(numbers), -1), axis=1, count=n)
            yield bits.astype(float)


def holm(raw: np.ndarray) -> np.ndarray:
    """Returns p values of one family after Holm's correction.

    Args:
        raw: float (effects,), NaN where nothing can be tested; those still count in the family.
    """
    if np.isnan(raw).all():
        return raw
    # Imported here, because it loads much that a study with one seed has no use for.
    from statsmodels.stats.multitest import multipletests

    corrected = multipletests(np.nan_to_num(raw, nan=1.0), method="holm")[1]
    return np.where(np.isnan(raw), math.nan, corrected)


def smallest_p_holm(raw: np.ndarray, floors: np.ndarray) -> np.ndarray:
    """Returns Holm's p of effects whose own p is at its floor while the others stay as they are.

    Args:
        raw: float (effects,), NaN where nothing can be tested.
        floors: float (any,), each no more than the raw p of the effect that it is for.
    """
    # Whichever effect it is, its place is then before the last one's.
    others = np.sort(np.nan_to_num(raw, nan=1.0))[:-1]
    factors = np.arange(len(raw), 1, -1)
    ahead = np.searchsorted(others, floors)
    before = np.concatenate([[0.0], np.maximum.accumulate(others * factors)])[ahead]
    return np.minimum(1, np.maximum(before, (len(raw) - ahead) * floors))


def seeds_needed(raw: np.ndarray) -> int:
    """Returns with how many seeds, or more, the last of the effects could pass 0.05 after Holm."""
    if not len(raw):
        return 0
    reachable = smallest_p_holm(raw, 2.0 ** (1 - np.arange(_SEEDS_OF_EXACT)))
    return int(np.flatnonzero(reachable > ALPHA)[-1]) + 1


def paired_t_p(differences: np.ndarray) -> np.ndarray:
    """Returns the two-sided p of the paired t test that each mean difference is zero.

    Args:
        differences: float (effects, pairs), two pairs or more, each effect with some spread.

    Returns:
        float (effects,).
    """
    from scipy.special import stdtr

    n = differences.shape[1]
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(n))
    return 2 * stdtr(n - 1, -np.abs(t))


def t_half_width(values: pd.Series, alpha: float = ALPHA) -> float:
    """Returns half the width of the 1 - alpha t interval of a mean, NaN below two values."""
    if len(values) < 2:
        return math.nan
    return float(_critical(len(values) - 1, alpha) * values.sem())


@functools.cache
def _critical(freedom: int, alpha: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - alpha / 2))


@functools.cache
def detectable_size(n: int, alpha: float) -> float:
    """Returns the difference, in standard deviations, that n pairs detect with 80% power."""
    from scipy.special import nctdtrinc

    # statsmodels' solver fails for few pairs at a strict alpha.
    return float(nctdtrinc(n - 1, 1 - POWER, _critical(n - 1, alpha)) / math.sqrt(n))

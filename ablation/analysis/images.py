"""The second uncertainty: the validation images are a sample too.

A difference is uncertain because of the seeds and because of the images. Both are looked at here
from the score of every image in every run, paired by both.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """How far a mean difference may be off, as intervals (low, high), NaN where there is none.

    Attributes:
        seeds: how many.
        images: how many.
        over_images: of other images of the kind, with these very networks.
        over_both: of other seeds and other images; NaN with one seed.
    """

    seeds: int
    images: int
    over_images: tuple[float, float]
    over_both: tuple[float, float]


def spread(differences: np.ndarray, alpha: float) -> Spread:
    """Returns the intervals of a mean difference at 1 - alpha.

    Seeds and images are crossed, so that the variance of the mean is that of a two-way random
    model without replicates (Brennan 2001, Generalizability Theory, ch. 3): the mean squares of
    seeds and of images less that of what is left, over the number of values. It is never taken for
    less than one of the two alone, which the estimate can be by chance. Degrees of freedom are
    Satterthwaite's.

    Args:
        differences: float (seeds, images), of the score of each image.
        alpha: the share of studies in which the interval may miss.
    """
    seeds, images = differences.shape
    mean = float(differences.mean())
    nothing = math.nan, math.nan
    if images < 2:
        return Spread(seeds, images, nothing, nothing)
    by_image, by_seed = differences.mean(axis=0), differences.mean(axis=1)
    of_images = seeds * by_image.var(ddof=1)
    over_images = _interval(mean, of_images / (seeds * images), images - 1, alpha)
    if seeds < 2:
        return Spread(seeds, images, over_images, nothing)
    of_seeds = images * by_seed.var(ddof=1)
    rest = differences - by_image - by_seed[:, np.newaxis] + mean
    freedoms = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array([of_seeds, of_images, (rest**2).sum() / freedoms[2]])
    both = max(squares[0] + squares[1] - squares[2], squares[0], squares[1])
    freedom = float(both**2 / (squares**2 / freedoms).sum()) if both else math.nan
    # By chance the estimate can fall below what the fewer of both leave.
    freedom = max(freedom, min(seeds, images) - 1)
    over_seeds = _interval(mean, of_seeds / (seeds * images), seeds - 1, alpha)
    found = [_interval(mean, both / (seeds * images), freedom, alpha), over_seeds, over_images]
    # With its degrees of freedom it could be narrower than one that is uncertain of less.
    return Spread(seeds, images, over_images, max(found, key=lambda bounds: bounds[1] - bounds[0]))


def _interval(mean: float, variance: float, freedom: float, alpha: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    if not variance:
        return math.nan, math.nan
    half = float(stdtrit(freedom, 1 - alpha / 2)) * math.sqrt(variance)
    return mean - half, mean + half


@dataclass(frozen=True)
class Changed:
    """Which images one arm gets right and another one wrong.

    Attributes:
        seeds: how many pairs of runs.
        fixes: images that the other arm gets right where the reference is wrong, in more than half
            of the seeds.
        breaks: the opposite.
        always_fixes: in every seed.
        always_breaks: in every seed.
        by_seed_alone: images that turn right, and as many that turn wrong, in more than half of so
            many pairs, if in the reference no more than the seed changes: a yardstick of `fixes`,
            of few seeds rather too large; NaN with one.
        most_fixed: places of those that are fixed, in all seeds first, in stored order.
        most_broken: the same of those that are broken.
    """

    seeds: int
    fixes: int
    breaks: int
    always_fixes: int
    always_breaks: int
    by_seed_alone: float
    most_fixed: np.ndarray
    most_broken: np.ndarray


def changed(reference: np.ndarray, other: np.ndarray, at_most: int = 8) -> Changed:
    """Returns which images another arm fixes and breaks.

    Args:
        reference: bool (seeds, images), whether the reference gets an image right.
        other: the same of the other arm.
        at_most: places to return of each kind.
    """
    fixed, broken = (other & ~reference).sum(axis=0), (reference & ~other).sum(axis=0)
    seeds = len(reference)
    return Changed(
        seeds,
        int((fixed > seeds / 2).sum()),
        int((broken > seeds / 2).sum()),
        int((fixed == seeds).sum()),
        int((broken == seeds).sum()),
        _by_seed_alone(reference),
        _most(fixed, seeds, at_most),
        _most(broken, seeds, at_most),
    )


def _by_seed_alone(right: np.ndarray) -> float:
    seeds = len(right)
    if seeds < 2:
        return math.nan
    from scipy.special import bdtrc

    # Of all ordered pairs of seeds, those in which the second alone is right.
    times = right.sum(axis=0)
    of_a_pair = times * (seeds - times) / (seeds * (seeds - 1))
    return float(bdtrc(seeds // 2, seeds, of_a_pair).sum())


def _most(times: np.ndarray, seeds: int, at_most: int) -> np.ndarray:
    """Returns the places where something happens in most seeds, the most often first."""
    order = np.argsort(-times, kind="stable")[:at_most]
    return order[times[order] > seeds / 2]

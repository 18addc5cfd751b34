"""How often a study of no effect gets a wrong verdict where the t test is known to be too sure.

    python benchmarks/verdicts.py

Simulates the numbers of docs/verdicts.md: grids of 2x2 nets that differ in nothing and fail to
learn by chance, and studies that are given the seeds that would settle them and tested again. And
those of docs/tuning.md: two arms that are alike but for their best learning rate.
"""

import argparse
import math

import numpy as np
from common import table

from ablation.analysis.significance import ALPHA, detectable_size, holm, paired_t_p
from ablation.analysis.tuning import Trial, best

_GRIDS = 20_000
_SHARES = 0.1, 0.3, 0.5
_SEEDS = 3, 4, 5, 7
_STUDIES = 6_000
_AT_MOST = 60
_TUNED_STUDIES = 4_000
_NOISE = 0.005, 0.01, 0.02  # The standard deviation of a run's accuracy.
_TUNING_SEEDS = 0, 1, 2, 3, 5
_RATES = 1.0, 0.1, 0.01
_BEST_RATES = 0.1, 0.01
"""The best learning rate of either arm; a factor of ten costs it three points of accuracy."""


def main() -> None:
    """Runs the simulations and prints markdown."""
    argparse.ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    rng = np.random.default_rng(1)
    rows = [
        [f"{share:.0%}", *(f"{_of_grids(rng, share, n):.1%}" for n in _SEEDS)] for share in _SHARES
    ]
    print(table(["nets that fail", *(f"{n} seeds" for n in _SEEDS)], rows))
    for first in (3, 5):
        print(
            f"\nBegun with {first} seeds, then as many as would settle it, up to {_AT_MOST}: "
            f"{_of_followed(rng, first):.1%}"
        )
    rows = [
        [f"{100 * noise:g}", *(f"{_of_tuned(rng, noise, seeds):.0%}" for seeds in _TUNING_SEEDS)]
        for noise in _NOISE
    ]
    header = ["noise of a run, points", *(f"tuning seeds: {n}" for n in _TUNING_SEEDS)]
    print(f"\nTwo arms alike but for their best rate, tuned:\n\n{table(header, rows)}")


def _of_grids(rng: np.random.Generator, share: float, n: int) -> float:
    """Returns the share of grids with a wrong verdict on one of their five questions."""
    fails = rng.random((4, _GRIDS, n)) < share
    a, b, c, d = np.where(fails, 0.1, 0.9) + 0.01 * rng.standard_normal(fails.shape)
    contrasts = a - b, c - d
    averages = (a - b + c - d) / 2, (a + b - c - d) / 2
    raw = np.stack([paired_t_p(asked) for asked in (*contrasts, *averages, a - b - c + d)])
    # Of the smallest p the correction is the same in Bonferroni and Holm.
    assert np.isclose(holm(raw[:, 0]).min(), min(1, len(raw) * raw[:, 0].min()))
    return float((len(raw) * raw.min(axis=0) <= ALPHA).mean())


def _of_followed(rng: np.random.Generator, first: int) -> float:
    """Returns the share of wrong verdicts of t if open questions get the seeds that it asks for."""
    wrong = 0
    for _ in range(_STUDIES):
        differences, n = rng.standard_normal(_AT_MOST), first
        while n:
            seen = differences[:n]
            if paired_t_p(seen[np.newaxis])[0] <= ALPHA:
                wrong += 1
                break
            size = abs(float(seen.mean())) / float(seen.std(ddof=1))
            n = next(
                (k for k in range(n + 1, _AT_MOST + 1) if detectable_size(k, ALPHA) <= size), 0
            )
    return wrong / _STUDIES


def _of_tuned(rng: np.random.Generator, noise: float, tuning_seeds: int) -> float:
    """Returns the share of studies with a difference between arms that are as good at their best.

    On no tuning seed both have the best rate of the first.
    """

    def accuracies(best_rate: float, rate: float, seeds: int) -> np.ndarray:
        lost = 0.03 * abs(math.log10(rate / best_rate))
        return 0.9 - lost + noise * rng.standard_normal(seeds)

    def chosen(best_rate: float) -> float:
        if not tuning_seeds:
            return _BEST_RATES[0]
        trials = [
            Trial({}, tuple(accuracies(best_rate, rate, tuning_seeds)), (1.0,) * tuning_seeds)
            for rate in _RATES
        ]
        place = best(trials)
        assert place is not None
        return _RATES[place]

    arms = [
        np.stack([accuracies(rate, chosen(rate), 5) for _ in range(_TUNED_STUDIES)])
        for rate in _BEST_RATES
    ]
    return float((paired_t_p(arms[0] - arms[1]) <= ALPHA).mean())


if __name__ == "__main__":
    main()

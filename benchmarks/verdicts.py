"""How often a study of no effect gets a wrong verdict where the t test is known to be too sure.

    python benchmarks/verdicts.py

Simulates the numbers of docs/verdicts.md: grids of 2x2 nets that differ in nothing and fail to
learn by chance, and studies that are given the seeds that would settle them and tested again.
"""

import argparse

import numpy as np
from common import table

from ablation.analysis.significance import ALPHA, holm, paired_t_p, seeds_to_settle

_GRIDS = 20_000
_SHARES = 0.1, 0.3, 0.5
_SEEDS = 3, 4, 5, 7
_STUDIES = 6_000
_AT_MOST = 60


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
    """Returns the share of wrong verdicts if an open question gets the seeds that it asks for."""
    wrong = 0
    for _ in range(_STUDIES):
        differences, n = rng.standard_normal(_AT_MOST), first
        while n:
            seen = differences[:n]
            if paired_t_p(seen[np.newaxis])[0] <= ALPHA:
                wrong += 1
                break
            n = seeds_to_settle(n, float(seen.mean()), float(seen.std(ddof=1)), ALPHA, None)
            n = n if n <= _AT_MOST else 0
    return wrong / _STUDIES


if __name__ == "__main__":
    main()

import numpy as np
import pytest
from scipy import stats

from ablation.analysis.significance import sign_flip_p, smallest_p


@pytest.mark.parametrize(
    ("n", "floor"),
    [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (7, 0.015625), (8, 0.0078125)],
)
def test_the_floor_of_the_exact_test(n, floor):
    assert smallest_p(n) == floor
    (p,) = sign_flip_p(np.array([[1.0 + 0.01 * i for i in range(n)]]))
    assert p == pytest.approx(floor)


def test_a_hand_computed_sign_flip():
    # Sums of +-1 +-2 +-3 as large as |-1 + 2 + 3| = 4: +-4 and +-6, so 4 of 8 patterns.
    assert sign_flip_p(np.array([[-1.0, 2, 3]])) == pytest.approx([4 / 8])


@pytest.mark.parametrize("n", [2, 7, 15])
def test_the_exact_test_is_scipys(n):
    differences = np.random.default_rng(n).normal(0.3, 1, (4, n))
    expected = [
        stats.permutation_test(
            (row,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        ).pvalue
        for row in differences
    ]
    np.testing.assert_allclose(sign_flip_p(differences), expected)


def test_beyond_fifteen_pairs_a_random_sample_of_flips_comes_close():
    # All 2^17 patterns, the sample's standard error at p = 0.5 is 0.0016.
    differences = np.random.default_rng(0).normal(0.2, 1, 17)
    signs = 1 - 2 * (np.arange(2**17)[:, np.newaxis] >> np.arange(17) & 1)
    exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_p(differences[np.newaxis]) == pytest.approx([exact], abs=0.005)

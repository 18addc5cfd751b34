import itertools
import math

import numpy as np
import pytest
from scipy import stats

from ablation.analysis.sequential import (
    BETS,
    anytime_p,
    bounds,
    direction,
    highest,
    least_seeds,
    log_evidence,
    seeds_to_decide,
)

STUDIES, SEEDS = 4000, 20


def _drawn(noise, studies=STUDIES, seeds=SEEDS):
    rng = np.random.default_rng(0)
    if noise == "normal":
        return rng.normal(size=(studies, seeds))
    if noise == "t3":
        return rng.standard_t(3, (studies, seeds)) / math.sqrt(3)
    # A net that fails in a third of its seeds, against itself: far off, on either side alike.
    fails = rng.random((2, studies, seeds)) < 1 / 3
    return rng.normal(size=(studies, seeds)) + 20.0 * (fails[0].astype(float) - fails[1])


def _stops(differences, questions=1):
    """Whether each study is decided at some look, and after how many seeds it stops."""
    decided = highest(log_evidence(differences)) >= math.log(questions / 0.05)
    stop = np.where(decided[:, -1], decided.argmax(axis=1) + 1, differences.shape[1])
    return decided[:, -1], stop


def test_capital_by_hand():
    # x is the sign of the first, then the difference over the median size before: 1, -0.5 / 2.
    found = np.exp(log_evidence(np.array([[2.0, -0.5]])))[0]
    both = [bet for one in BETS for bet in (one, -one)]
    products = [
        math.exp(bet) / math.cosh(bet) * math.exp(-0.25 * bet) / math.cosh(0.25 * bet)
        for bet in both
    ]
    assert found == pytest.approx([1.0, np.mean(products)])


def test_over_all_signs_of_any_sizes_capital_is_one_on_average():
    sizes = np.array([3.0, 0.1, 1.0, 40.0, 0.0, 2.0, 2.0])
    signs = np.array(list(itertools.product((-1, 1), repeat=len(sizes))))
    capital = np.exp(log_evidence(sizes * signs))
    assert capital.mean(axis=0) == pytest.approx(np.ones(len(sizes)))


@pytest.mark.parametrize("noise", ["normal", "t3", "fails"])
@pytest.mark.parametrize("questions", [1, 2, 5])
def test_looking_after_every_seed_concludes_wrongly_in_at_most_five_percent(noise, questions):
    decided, _ = _stops(_drawn(noise), questions)
    assert decided.mean() <= 0.05 / questions


def test_a_t_test_that_is_looked_at_does_not():
    values = _drawn("normal")
    p = [stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue for n in range(3, SEEDS + 1)]
    assert (np.min(p, axis=0) <= 0.05).mean() > 0.15


@pytest.mark.parametrize("noise", ["normal", "t3"])
def test_large_effects_stop_at_seven_seeds(noise):
    for size in (3, 6):
        decided, stop = _stops(_drawn(noise) + size)
        assert decided.mean() > 0.99
        assert np.median(stop) == 7 and stop.mean() < 7.3


def test_an_effect_of_one_is_found_more_often_than_by_eight_seeds_fixed_in_advance():
    values = _drawn("normal") + 1
    decided, stop = _stops(values)
    fixed = (stats.ttest_1samp(values[:, :8], 0, axis=1).pvalue <= 0.05).mean()
    # Seen elsewhere: 0.86 with 12.4 seeds against 0.66; the standard errors are 0.006 and 0.08.
    assert decided.mean() == pytest.approx(0.85, abs=0.02)
    assert stop.mean() == pytest.approx(12.5, abs=0.3)
    assert fixed == pytest.approx(0.68, abs=0.03)


@pytest.mark.parametrize(("noise", "far"), [("normal", 0.0), ("t3", 1e6)])
def test_all_intervals_of_a_study_cover_the_truth_at_once(noise, far):
    missed = 0
    values = _drawn(noise, 150) + far
    for study in values:
        looks = [bounds(study[:n], 0.05) for n in (7, 10, 14, 20)]
        missed += any(not low <= far <= high for low, high in looks)
        lows, highs = zip(*looks, strict=True)
        assert (np.diff(lows) > -1e-3).all() and (np.diff(highs) < 1e-3).all()
    assert missed / 150 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)


def test_an_interval_has_the_shifts_that_are_not_rejected():
    values = _drawn("normal", 1, 12)[0] + 2
    low, high = bounds(values, 0.05)
    assert low < values.mean() < high
    for shift, inside in ((low + 0.01, True), (high - 0.01, True), (low - 0.01, False)):
        assert (anytime_p(values - shift) > 0.05) == inside


def test_with_few_seeds_there_is_no_interval_and_no_conclusion():
    assert bounds(np.full(5, 3.0), 0.05) == (-math.inf, math.inf)
    assert anytime_p(np.full(5, 3.0)) > 0.05
    assert math.isnan(anytime_p(np.array([])))


@pytest.mark.parametrize(("questions", "seeds"), [(1, 6), (2, 7), (5, 9), (10, 10)])
def test_with_how_few_seeds_anything_can_be_concluded(questions, seeds):
    # Doubling at best: the mean over bets of both directions is at most 2^n / 2.
    assert least_seeds(0.05 / questions) == seeds
    assert 2 ** (seeds - 1) >= 20 * questions


def test_the_direction_is_that_of_the_usual_seed():
    values = np.array([1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.1, -60.0])
    assert values.mean() < 0 and direction(values) == 1
    assert direction(-values) == -1
    assert direction(np.zeros(8)) == 0


def test_how_many_seeds_will_do():
    rng = np.random.default_rng(1)
    clear = rng.normal(3, 1, 3)
    assert 7 <= seeds_to_decide(clear, 0.05, None, 60) <= 9
    nothing = rng.normal(0, 1, 6)
    nothing -= nothing.mean()
    assert seeds_to_decide(nothing, 0.05, None, 60) == 0
    wide, narrow = (seeds_to_decide(nothing, 0.05, margin, 60) for margin in (2.0, 1.0))
    assert 7 <= wide < narrow < 60
    # Bets on one side have won, and the mean is on the other: so many seeds decide nothing.
    turned = np.array([*np.linspace(0.01, 0.018, 9), -0.4])
    assert anytime_p(turned) < 0.05 and seeds_to_decide(turned, 0.05, None, 60) != len(turned)


@pytest.mark.parametrize("unit", [1e-14, 1e14])
def test_a_unit_changes_no_evidence(unit):
    differences = np.random.default_rng(0).normal(2, 1, 10)
    assert anytime_p(unit * differences) == pytest.approx(anytime_p(differences))
    low, high = bounds(differences, 0.05)
    assert bounds(unit * differences, 0.05) == pytest.approx((unit * low, unit * high))


def test_a_difference_of_rounding_is_none():
    assert anytime_p(np.full(10, 1e-17), size=0.9) == 1

"""Intervals over images and over both, by hand and by simulation; what is fixed and broken."""

import math

import numpy as np
import pytest

from ablation.analysis.images import changed, spread

STUDIES = 1500


def test_one_seed_has_an_interval_over_images_alone():
    found = spread(np.array([[1.0, 0.0, 0.0, 1.0]]), 0.05)
    # Mean 0.5, sd 0.57735, se 0.288675; t(0.975, 3) = 3.182446.
    assert found.over_images == pytest.approx((0.5 - 0.918693, 0.5 + 0.918693), abs=1e-5)
    assert math.isnan(found.over_both[0])


def test_two_seeds_and_two_images_by_hand():
    found = spread(np.array([[3.0, 1.0], [1.0, 1.0]]), 0.05)
    # Mean squares: seeds 1, images 1, rest 1; so 1 over 4 values, at one degree: t 12.7062.
    assert found.over_both == pytest.approx((1.5 - 6.3531, 1.5 + 6.3531), abs=1e-4)


def test_seeds_that_agree_leave_the_images():
    of_image = np.random.default_rng(0).normal(size=200)
    found = spread(np.array([of_image, of_image, of_image]), 0.05)
    assert found.over_both == pytest.approx(found.over_images)


@pytest.mark.parametrize("differences", [np.zeros((3, 5)), np.ones((1, 5)), np.ones((2, 1))])
def test_without_spread_there_is_no_interval(differences):
    found = spread(differences, 0.05)
    assert math.isnan(found.over_images[0]) and math.isnan(found.over_both[0])


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("of_seed", "of_image", "of_rest"), [(1, 1, 5), (0.2, 1, 10), (1, 0, 5)])
def test_the_intervals_cover_what_they_say(seeds, of_seed, of_image, of_rest):
    rng = np.random.default_rng(seeds)
    images, truth = 60, 0.3
    both = of_images = 0
    for _ in range(STUDIES):
        by_seed = of_seed * rng.standard_normal((seeds, 1))
        drawn = truth + by_seed + of_image * rng.standard_normal(images)
        found = spread(drawn + of_rest * rng.standard_normal((seeds, images)), 0.05)
        both += found.over_both[0] <= truth <= found.over_both[1]
        # Of the images alone: these networks' own mean is the truth.
        low, high = found.over_images
        of_images += low <= truth + by_seed.mean() <= high
    noise = 3 * math.sqrt(0.05 * 0.95 / STUDIES)
    assert both / STUDIES >= 0.95 - noise
    assert of_images / STUDIES == pytest.approx(0.95, abs=noise)


def test_what_a_part_fixes_and_breaks_by_hand():
    reference = np.array([[0, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 1, 1, 0, 0]], bool)
    other = np.array([[1, 1, 0, 1, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]], bool)
    found = changed(reference, other)
    assert (found.fixes, found.always_fixes) == (2, 1)
    assert (found.breaks, found.always_breaks) == (1, 1)
    assert found.most_fixed.tolist() == [0, 1]
    assert found.most_broken.tolist() == [2]
    # Three of five are right in 1 or 2 of 3 seeds, so that one pair turns them with a third: of
    # three pairs two or three do with 3 * 1/9 * 2/3 + 1/27.
    assert found.by_seed_alone == pytest.approx(3 * 7 / 27)


@pytest.mark.parametrize(("seeds", "at_most"), [(2, 2.5), (3, 1.5), (8, 1.3)])
def test_arms_that_differ_in_the_seed_alone_fix_about_what_a_change_of_seed_does(seeds, at_most):
    rng = np.random.default_rng(seeds)
    images = 20_000
    sure = rng.choice([0.02, 0.5, 0.98], images)
    fixes, alone = [], []
    for _ in range(20):
        found = changed(*(rng.random((2, seeds, images)) < sure))
        fixes.append(found.fixes)
        alone.append(found.by_seed_alone)
    # Few seeds hardly tell the chance of a pair, and that of a majority is no straight line in it.
    assert 1 <= np.mean(alone) / np.mean(fixes) <= at_most


def test_equal_arms_change_nothing():
    right = np.random.default_rng(0).random((3, 50)) < 0.5
    found = changed(right, right)
    assert (found.fixes, found.breaks, len(found.most_fixed)) == (0, 0, 0)

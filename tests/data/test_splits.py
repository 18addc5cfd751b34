import numpy as np
import pytest

from ablation.data.sources.splits import SplitConfig, held_out

RNG = np.random.default_rng(0)


def asked(**keys):
    return SplitConfig(name="", source="", **keys)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_each_class_has_its_share_and_one_image_to_train_on_at_least(fraction):
    labels = np.repeat([0, 1, 2, 3], [1, 2, 40, 200])
    chosen = held_out(labels, None, asked(val_fraction=fraction))
    counts = np.bincount(labels[chosen], minlength=4)
    assert counts[2:].tolist() == [40 * fraction, 200 * fraction]
    assert counts[0] == 0 and counts[1] <= 1


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_the_shares_of_the_classes_come_near(seed):
    groups = RNG.integers(0, 60, 1000)
    labels = (groups + RNG.integers(0, 2, 1000)) % 3
    chosen = held_out(labels, groups, asked(split_seed=seed))
    assert not set(groups[chosen]) & set(groups[~chosen])
    for label in range(3):
        assert chosen[labels == label].mean() == pytest.approx(0.2, abs=0.05)


def test_the_same_seed_draws_the_same_groups_whatever_they_are_called():
    groups = RNG.integers(0, 30, 300)
    labels = RNG.integers(0, 2, 300)
    named = np.array([f"p{group:03}" for group in groups])
    first, again = (held_out(labels, one, asked(split_seed=1)) for one in (groups, named))
    np.testing.assert_array_equal(first, again)
    assert (first != held_out(labels, groups, asked(split_seed=2))).any()


def test_a_class_of_one_person_is_trained_on():
    groups, labels = np.repeat([0, 1, 2, 3, 4], 4), np.repeat([0, 1, 1, 1, 1], 4)
    chosen = held_out(labels, groups, asked())
    assert chosen.any() and not chosen[labels == 0].any()


def test_the_split_is_the_one_that_was_recorded():
    """Another one would be other images, and every run trained anew."""
    labels = np.arange(30) % 3
    chosen = np.flatnonzero(held_out(labels, None, asked()))
    rng = np.random.RandomState(0)
    expected = [rng.permutation(np.arange(label, 30, 3))[:2] for label in range(3)]
    assert chosen.tolist() == sorted(np.concatenate(expected).tolist())

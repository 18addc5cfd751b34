import gc
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablation.analysis.effects import (
    Effect,
    effects,
    foremost,
    is_near_chance,
    with_p_values,
)
from ablation.analysis.significance import smallest_p
from ablation.records import store

STUDIES = 2000


def _runs(accuracy, classes=10):
    """Runs from {(arch, column): accuracies by seed}; NaN for one that diverged."""
    return pd.DataFrame(
        {
            "arch": arch,
            "column": column,
            "seed": seed,
            "state": store.DIVERGED if math.isnan(value) else store.COMPLETE,
            "val_accuracy": value,
            "chance": 1 / classes,
        }
        for (arch, column), values in accuracy.items()
        for seed, value in enumerate(values)
        if value is not None
    )


def _effects(accuracy, columns=("plain", "residual")):
    return effects(_runs(accuracy), ["arch"], columns)


def _contrast(differences):
    return Effect(
        "contrast",
        "b",
        "a",
        "arch 34",
        pd.Series(differences, dtype=float),
        pd.Series(dtype=int),
        2,
    )


def _by_kind(found, kind):
    return [effect for effect in found if effect.kind == kind]


# Published numbers


@pytest.mark.parametrize(
    ("family", "n"), [(1, 6), (2, 7), (3, 7), (4, 8), (5, 8), (6, 8), (10, 9), (15, 10)]
)
def test_the_seeds_that_a_family_needs_to_reach_five_percent(family, n):
    unclear = with_p_values([_contrast([1, -1])] * family)
    assert {effect.seeds_needed for effect in unclear} == {n}
    assert family * smallest_p(n) <= 0.05 < family * smallest_p(n - 1)


@pytest.mark.parametrize(("n", "size"), [(5, 1.68), (6, 1.43), (8, 1.16), (10, 1.00)])
def test_what_a_paired_t_test_detects_with_eighty_percent_power(n, size):
    values = np.arange(n, dtype=float)
    effect = _contrast(values / values.std(ddof=1))
    assert effect.detectable == pytest.approx(size, abs=0.005)


def test_what_is_detected_allows_for_the_correction():
    effect = with_p_values([_contrast([1, 2, 3, 4, 5])] * 10)[0]
    size = effect.detectable / effect.sd
    drawn = np.random.default_rng(0).normal(size, 1, (20_000, 5))
    p = stats.ttest_1samp(drawn, 0, axis=1).pvalue
    # Binomial: three standard errors.
    assert (p <= 0.05 / 10).mean() == pytest.approx(0.8, abs=3 * math.sqrt(0.8 * 0.2 / 20_000))


# By hand


def test_a_hand_computed_contrast():
    effect = _contrast([0.1, 0.2, 0.3])
    assert effect.mean == pytest.approx(0.2)
    assert effect.sd == pytest.approx(0.1)
    # t(0.975, 2) = 4.302653; 0.1 / sqrt(3) = 0.0577350
    assert effect.interval == pytest.approx((0.2 - 0.2484138, 0.2 + 0.2484138), abs=1e-6)
    # All of one sign: only the two extreme ones of the 8 sign patterns are as large.
    assert with_p_values([effect])[0].p == pytest.approx(2 / 8)


def test_a_hand_computed_study():
    found = _effects(
        {
            ("34", "plain"): [0.50, 0.60],
            ("34", "residual"): [0.70, 0.90],
            ("50", "plain"): [0.30, 0.20],
            ("50", "residual"): [0.80, 0.90],
        }
    )
    shallow, deep = _by_kind(found, "contrast")
    assert (shallow.where, deep.where) == ("arch 34", "arch 50")
    np.testing.assert_allclose(shallow.differences, [0.2, 0.3])
    np.testing.assert_allclose(deep.differences, [0.5, 0.7])
    shortcut, depth = _by_kind(found, "main effect")
    assert (shortcut.name, depth.name) == ("residual - plain", "arch 50 - 34")
    np.testing.assert_allclose(shortcut.differences, [0.35, 0.5])
    np.testing.assert_allclose(depth.differences, [-0.05, -0.2], atol=1e-12)
    (interaction,) = _by_kind(found, "interaction")
    assert interaction.where == "arch 50 against arch 34"
    np.testing.assert_allclose(interaction.differences, [0.3, 0.4])
    assert [effect.family for effect in found] == [2, 2, 2, 2, 1]


def test_depths_are_ordered_by_depth_and_not_as_text():
    found = _effects({(a, c): [0.5] for a in ("110", "20") for c in ("plain", "residual")})
    assert _by_kind(found, "main effect")[1].name == "arch 110 - 20"


def test_holm_multiplies_the_smallest_p_by_the_family():
    strong = _contrast([0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17])
    weak = _contrast([0.1, -0.1, 0.05, -0.05, 0.02, -0.03, 0.01, -0.02])
    one, other = with_p_values([strong, weak])
    assert one.p_holm == pytest.approx(2 * one.p)
    assert other.p_holm == pytest.approx(other.p)


def test_what_seeds_cannot_reach_takes_the_other_effects_as_they_are():
    # Ten seeds of one pass first, so five seeds of the other need no correction: 2 / 2^5 = 0.0625.
    strong = _contrast([0.1 + 0.01 * i for i in range(10)])
    few = with_p_values([strong, _contrast([0.1, 0.2, 0.3, 0.25, 0.15])])[1]
    assert few.smallest_p_holm == few.p_holm == pytest.approx(0.0625)
    assert few.seeds_needed == 6
    assert "5 seeds cannot go below 0.062" in few.sentence()


def test_a_net_that_diverges_counts_in_the_family_and_in_the_words():
    accuracy = {
        ("20", "plain"): [0.50, 0.51, 0.52, 0.53, 0.54, 0.55],
        ("20", "residual"): [0.60, 0.62, 0.64, 0.66, 0.68, 0.70],
        ("56", "plain"): [math.nan] * 6,
        ("56", "residual"): [0.60, 0.62, 0.64, 0.66, 0.68, 0.70],
    }
    shallow, deep = _by_kind(_effects(accuracy), "contrast")
    assert (shallow.p, shallow.p_holm) == pytest.approx((1 / 32, 2 / 32))
    assert (deep.n, deep.lost) == (0, 6)
    assert "6 more failed or diverged" in deep.sentence()


def test_a_row_that_cannot_have_a_level_is_no_effect_and_voids_no_average():
    runs = _runs({(a, c): [0.5] for a in ("20", "32") for c in ("plain", "residual")})
    runs = runs[(runs["arch"] == "20") | (runs["column"] == "plain")]
    found = effects(
        runs,
        ["arch"],
        ("plain", "residual"),
        exists=lambda row, column: row["arch"] == "20" or column == "plain",
    )
    assert [effect.where for effect in _by_kind(found, "contrast")] == ["arch 20"]


@pytest.mark.parametrize(
    ("accuracy", "classes", "expected"),
    [(0.10, 10, True), (0.1375, 10, True), (0.20, 10, False), (0.5115, 2, True), (0.60, 2, False)],
)
def test_near_chance_is_a_tenth_of_the_way_from_chance_to_perfect(accuracy, classes, expected):
    assert is_near_chance(accuracy, 1 / classes) == expected


def test_runs_of_seeds_without_a_partner_are_not_counted():
    found = _effects(
        {
            ("34", "plain"): [0.1] * 6,
            ("34", "residual"): [0.9] * 6,
            ("50", "plain"): [0.1] * 2,
            ("50", "residual"): [0.9] * 2,
        }
    )
    main = _by_kind(found, "main effect")[0]
    assert (main.n, main.runs, main.near_chance) == (2, 8, 4)


def test_interactions_name_what_is_held_fixed():
    runs = pd.concat(
        _runs({(a, c): [0.5] for a in ("20", "32") for c in ("plain", "residual")}).assign(preact=p)
        for p in (False, True)
    )
    found = effects(runs, ["arch", "preact"], ("plain", "residual"))
    names = [effect.where for effect in _by_kind(found, "interaction")]
    assert len(set(names)) == len(names) == 4


def test_runs_near_chance_are_counted_and_told():
    effect = _effects({("34", "plain"): [0.1, 0.6], ("34", "residual"): [0.9, 0.8]})[0]
    assert (effect.near_chance, effect.runs) == (1, 4)
    assert "1 of the 4 runs ended near chance" in effect.sentence()


def test_each_level_is_held_against_the_first_that_there_is():
    accuracy = {(a, c): [0.5] for a in ("20", "32", "44") for c in ("plain", "residual")}
    names = [effect.where for effect in _by_kind(_effects(accuracy), "interaction")]
    assert names == ["arch 32 against arch 20", "arch 44 against arch 20"]
    del accuracy["20", "plain"], accuracy["20", "residual"]
    (alone,) = _by_kind(_effects(accuracy), "interaction")
    assert alone.where == "arch 44 against arch 32"


def test_a_missing_cell_makes_no_combination_that_no_run_has():
    runs = pd.concat(
        _runs({("20", "plain"): [0.5], ("20", "residual"): [0.7]}).assign(preact=p)
        for p in (False, True)
    )
    runs = runs[~(runs["preact"] & (runs["column"] == "residual"))]
    found = effects(runs, ["arch", "preact"], ("plain", "residual"))
    assert [effect.n for effect in _by_kind(found, "contrast")] == [1, 0]


def test_of_too_many_effects_the_averages_come_first():
    found = _effects({(a, c): [0.5] for a in ("20", "32", "44") for c in ("plain", "residual")})
    assert foremost(found, 100) == found
    kinds = [effect.kind for effect in foremost(found, 4)]
    assert kinds == ["main effect"] * 3 + ["contrast"]


# Properties


ACCURACY = {
    ("34", "plain"): [0.51, 0.62, 0.55],
    ("34", "residual"): [0.72, 0.91, 0.80],
    ("50", "plain"): [0.33, 0.21, 0.40],
    ("50", "residual"): [0.84, 0.90, 0.87],
}


def test_swapping_the_arms_flips_the_sign_and_keeps_p():
    there = _effects(ACCURACY)[0]
    back = _effects(ACCURACY, columns=("residual", "plain"))[0]
    assert back.mean == pytest.approx(-there.mean)
    assert back.p == pytest.approx(there.p)
    assert back.interval == pytest.approx(tuple(-bound for bound in reversed(there.interval)))


def test_the_order_of_runs_and_the_names_of_seeds_change_nothing():
    runs = _runs(ACCURACY)
    shuffled = runs.sample(frac=1, random_state=1).replace({"seed": {0: 7, 1: 0, 2: 3}})
    rows = [
        pd.DataFrame(effect.row() for effect in effects(frame, ["arch"], ("plain", "residual")))
        for frame in (runs, shuffled)
    ]
    pd.testing.assert_frame_equal(*rows)


def test_a_constant_added_to_every_run_changes_no_contrast():
    raised = {key: [value + 0.05 for value in values] for key, values in ACCURACY.items()}
    for before, after in zip(_effects(ACCURACY), _effects(raised), strict=True):
        assert after.mean == pytest.approx(before.mean)
        assert after.p == pytest.approx(before.p)


def test_runs_pair_by_seed_and_those_without_a_partner_are_left_out():
    effect = _effects({("34", "plain"): [0.1, None, 0.3], ("34", "residual"): [0.4, 0.9, 0.5]})[0]
    assert effect.n == 2
    assert effect.mean == pytest.approx(0.25)


# Words


def test_one_seed_gives_the_difference_and_no_claim():
    effect = _effects({("34", "plain"): [0.5], ("34", "residual"): [0.7]})[0]
    assert math.isnan(effect.p) and math.isnan(effect.interval[0])
    assert "+20.00 points (n=1)" in effect.sentence()
    assert "no claim is made" in effect.sentence()


def test_too_few_seeds_are_told_what_they_cannot_reach():
    effect = _effects({k: v for k, v in ACCURACY.items() if k[0] == "34"})[0]
    assert "3 seeds cannot go below 0.250" in effect.sentence()
    assert "at least 6 are needed" in effect.sentence()


def test_differences_without_spread_have_no_p():
    effect = _effects({("34", "plain"): [0.5, 0.5, 0.5], ("34", "residual"): [0.7, 0.7, 0.7]})[0]
    assert math.isnan(effect.p) and math.isnan(effect.detectable)
    assert "no spread" in effect.sentence()


def test_what_cannot_be_tested_still_counts_in_the_family():
    constant = _contrast([0.2, 0.2, 0.2])
    other = _contrast([0.1, 0.2, 0.4])
    assert [effect.family for effect in with_p_values([constant, other])] == [2, 2]
    assert with_p_values([constant, other])[1].p_holm == pytest.approx(0.5)


def test_a_clear_effect_and_an_unclear_one_differ_in_words():
    clear = with_p_values([_contrast([0.2, 0.21, 0.22, 0.2, 0.23, 0.21])])[0]
    unclear = with_p_values([_contrast([0.2, -0.21, 0.12, -0.2, 0.03, 0.01])])[0]
    assert "more than chance explains" in clear.sentence()
    assert "not told apart from chance" in unclear.sentence()
    assert "detect" in unclear.sentence()


def test_nothing_in_common_is_said():
    effect = _effects({("34", "plain"): [0.5, None], ("34", "residual"): [None, 0.7]})[0]
    assert effect.n == 0
    assert "no seed" in effect.sentence()


# Simulated nulls


@pytest.fixture
def frozen_garbage():
    # statsmodels collects garbage at every correction, which costs more than all the statistics.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize(("n", "family"), [(3, 1), (6, 1), (8, 3)])
def test_the_family_wise_error_stays_below_five_percent(n, family, frozen_garbage):
    rng = np.random.default_rng(n)
    wrong = 0
    for _ in range(STUDIES):
        found = with_p_values([_contrast(rng.standard_normal(n)) for _ in range(family)])
        wrong += any(effect.p_holm <= 0.05 for effect in found)
    # Binomial: three standard errors above 5%.
    assert wrong / STUDIES <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / STUDIES)
    if family * smallest_p(n) > 0.05:
        assert wrong == 0


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_t_interval_covers_the_truth_in_95_percent_of_studies(n):
    rng = np.random.default_rng(n)
    covered = 0
    for _ in range(STUDIES):
        low, high = _contrast(0.3 + rng.standard_normal(n)).interval
        covered += low <= 0.3 <= high
    assert abs(covered / STUDIES - 0.95) <= 3 * math.sqrt(0.05 * 0.95 / STUDIES)


def test_a_level_with_a_minus_of_its_own_keeps_it():
    (effect, *_) = effects(
        _runs({("34", "a - b"): [0.5], ("34", "c"): [0.75]}), ["arch"], ["c", "a - b"]
    )
    assert effect.sentence().startswith("a - b minus c at arch 34")
    assert effect.name == "a - b - c"

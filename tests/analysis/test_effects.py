import gc
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablation.analysis import metrics
from ablation.analysis.differences import answers
from ablation.analysis.effects import Effect, foremost, is_near_chance, with_p_values
from ablation.analysis.questions import grid_questions
from ablation.analysis.significance import smallest_p
from ablation.records import store
from ablation.report import notes
from ablation.report.figures.axes import drawn_interval
from ablation.report.page.forest import forest

STUDIES = 1000


def _runs(accuracy, classes=10):
    """Runs from {(arch, column): accuracies by seed}; NaN for one that diverged."""
    return pd.DataFrame(
        {
            "arch": arch,
            "column": column,
            "seed": seed,
            "state": store.DIVERGED if math.isnan(value) else store.COMPLETE,
            "skill": value,
            "score": value,
            "seconds": 60.0,
            "chance": 1 / classes,
        }
        for (arch, column), values in accuracy.items()
        for seed, value in enumerate(values)
        if value is not None
    )


def _answers(runs, rows, columns, **options):
    keys = runs[[*rows, "column"]].drop_duplicates().itertuples(index=False, name=None)
    return answers(runs, rows, grid_questions(list(keys), rows, columns, **options))


def _effects(accuracy, columns=("plain", "residual")):
    return _answers(_runs(accuracy), ["arch"], columns)


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
    (tested,) = with_p_values([effect])
    # t = 0.2 / 0.0577350 = 3.464102 with 2 degrees: p = 1 - t / sqrt(2 + t^2) = 0.0741799.
    assert tested.p == tested.p_holm == pytest.approx(0.0741799, abs=1e-6)
    # All of one sign: only the two extreme ones of the 8 sign patterns are as large.
    assert tested.exact_holm == pytest.approx(2 / 8)


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
    assert {effect.family for effect in found} == {5}


def test_depths_are_ordered_by_depth_and_not_as_text():
    found = _effects({(a, c): [0.5] for a in ("110", "20") for c in ("plain", "residual")})
    assert _by_kind(found, "main effect")[1].name == "arch 110 - 20"


def test_holm_multiplies_the_smallest_p_by_the_family():
    strong = _contrast([0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17])
    weak = _contrast([0.1, -0.1, 0.05, -0.05, 0.02, -0.03, 0.01, -0.02])
    one, other = with_p_values([strong, weak])
    assert one.p_holm == pytest.approx(2 * one.p)
    assert other.p_holm == pytest.approx(other.p)
    assert (one.verdict, other.verdict) == ("helps", "open")


def test_what_seeds_cannot_reach_takes_the_other_effects_as_they_are():
    # Ten seeds of one pass first, so five seeds of the other need no correction: 2 / 2^5 = 0.0625.
    strong = _contrast([0.1 + 0.01 * i for i in range(10)])
    few = with_p_values([strong, _contrast([0.1, 0.2, 0.3, 0.25, 0.15])])[1]
    assert few.smallest_exact_holm == few.exact_holm == pytest.approx(0.0625)
    assert few.seeds_needed == 6
    assert (few.verdict, few.exact) == ("helps", "cannot speak below n = 6")


def test_a_net_that_diverges_counts_in_the_family_and_in_the_words():
    accuracy = {
        ("20", "plain"): [0.50, 0.51, 0.52, 0.53, 0.54, 0.55],
        ("20", "residual"): [0.60, 0.62, 0.64, 0.66, 0.68, 0.70],
        ("56", "plain"): [math.nan] * 6,
        ("56", "residual"): [0.60, 0.62, 0.64, 0.66, 0.68, 0.70],
    }
    shallow, deep = _by_kind(_effects(accuracy), "contrast")
    assert shallow.family == 5
    assert shallow.p_holm == pytest.approx(5 * shallow.p)
    assert (deep.n, deep.lost) == (0, 6)
    assert deep.sentence().endswith("net compared; 6 runs failed or diverged.")


def test_a_row_that_cannot_have_a_level_is_no_effect_and_voids_no_average():
    runs = _runs({(a, c): [0.5] for a in ("20", "32") for c in ("plain", "residual")})
    runs = runs[(runs["arch"] == "20") | (runs["column"] == "plain")]
    found = _answers(
        runs,
        ["arch"],
        ("plain", "residual"),
        exists=lambda row, column: row["arch"] == "20" or column == "plain",
    )
    assert [effect.where for effect in _by_kind(found, "contrast")] == ["arch 20"]


def test_a_cell_that_cannot_be_is_in_no_main_effect():
    scores = {
        ("20", "plain"): [0.50, 0.51, 0.52],
        ("20", "residual"): [0.60, 0.62, 0.61],
        ("56", "plain"): [0.55, 0.57, 0.58],
    }
    runs = _runs({**scores, ("56", "residual"): [math.nan] * 3})
    found = _answers(
        runs,
        ["arch"],
        ("plain", "residual"),
        exists=lambda row, column: (row["arch"], column) != ("56", "residual"),
    )
    (depth,) = [one for one in _by_kind(found, "main effect") if one.minuend == "arch 56"]
    assert (depth.n, depth.mean) == (3, pytest.approx(0.17 / 3))
    assert {effect.family for effect in found} == {2}


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
    found = _answers(runs, ["arch", "preact"], ("plain", "residual"))
    names = [effect.where for effect in _by_kind(found, "interaction")]
    assert len(set(names)) == len(names) == 4


def test_runs_near_chance_are_counted_and_told():
    effect = _effects({("34", "plain"): [0.1, 0.6], ("34", "residual"): [0.9, 0.8]})[0]
    assert (effect.near_chance, effect.runs) == (1, 4)
    assert "1 of 4 runs near chance" in effect.sentence()


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
    found = _answers(runs, ["arch", "preact"], ("plain", "residual"))
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
        pd.DataFrame(effect.row() for effect in _answers(frame, ["arch"], ("plain", "residual")))
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
    assert effect.verdict == effect.exact == ""
    assert "+20.00 points (n=1), one seed, no claim" in effect.sentence()


def test_two_seeds_give_an_interval_and_no_verdict():
    (effect,) = with_p_values([_contrast([0.2, 0.21])])
    assert effect.interval[0] < effect.mean < effect.interval[1]
    assert math.isnan(effect.p) and effect.verdict == ""
    assert "two seeds, no verdict" in effect.sentence()


def test_differences_without_spread_have_no_p():
    effect = _effects({("34", "plain"): [0.5, 0.5, 0.5], ("34", "residual"): [0.7, 0.7, 0.7]})[0]
    assert math.isnan(effect.p) and math.isnan(effect.detectable)
    assert effect.verdict == ""
    assert "the same for every seed" in effect.sentence()


def test_a_unit_does_not_say_whether_differences_vary():
    for unit in (1e-14, 1e14):
        (effect,) = with_p_values([_contrast(unit * np.array([1.0, 1.2, 1.1]))])
        assert not effect.constant and effect.verdict == "helps"


def test_differences_that_rounding_alone_tells_apart_are_the_same():
    plain = [0.1, 0.2, 0.7]
    found = _effects({("34", "plain"): plain, ("34", "residual"): [one + 1e-6 for one in plain]})
    (effect,) = _by_kind(found, "contrast")
    assert np.ptp(effect.differences) > 0 and effect.constant


def test_what_cannot_be_tested_still_counts_in_the_family():
    constant = _contrast([0.2, 0.2, 0.2])
    other = _contrast([0.1, 0.2, 0.4])
    assert [effect.family for effect in with_p_values([constant, other])] == [2, 2]
    tested = with_p_values([constant, other])[1]
    assert tested.p_holm == pytest.approx(2 * tested.p)


@pytest.mark.parametrize(
    ("differences", "margin", "verdict", "exact"),
    [
        ([0.2, 0.21, 0.22, 0.2, 0.23, 0.21], None, "helps", "confirmed"),
        ([-0.2, -0.21, -0.22], None, "hurts", "cannot speak below n = 6"),
        ([0.2, -0.21, 0.12, -0.2, 0.03, 0.01], None, "open", "agrees"),
        (
            [0.001, -0.001, 0.002, -0.002],
            0.01,
            "no relevant difference",
            "",
        ),
        ([0.001, -0.001, 0.002, -0.002], 0.002, "open", "cannot speak below n = 6"),
        # Told apart from chance, and yet too small to matter.
        (
            [0.004, 0.005, 0.006, 0.005],
            0.01,
            "no relevant difference",
            "",
        ),
        # One outlier: t sees no more than its spread, all signs are one.
        ([0.01, 0.01, 0.01, 0.01, 0.012, 0.9], None, "open", "disagrees"),
    ],
)
def test_the_verdicts_by_hand(differences, margin, verdict, exact):
    (effect,) = with_p_values([replace(_contrast(differences), margin=margin)])
    assert (effect.verdict, effect.exact) == (verdict, exact)


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_and_its_verdict_never_disagree(seed):
    rng = np.random.default_rng(seed)
    family = with_p_values(
        [_contrast(rng.normal(rng.choice([0, 1, 3, 10]), 1, 4)) for _ in range(6)]
    )
    for effect in family:
        low, high = effect.interval
        expected = "helps" if low >= 0 else "hurts" if high <= 0 else "open"
        assert effect.verdict == expected


def test_no_end_of_an_interval_reads_as_0_unless_0_may_be_it():
    # Holm concludes on the second, whose interval of a family of two alone would reach across 0.
    family = with_p_values(
        [_contrast(values) for values in ([0.2, 0.201, 0.202], [0.02, 0.033, 0.019])]
    )
    second = family[1]
    assert second.interval[0] == 0 and second.verdict == "helps"
    assert "[above 0 to +" in second.sentence()
    back = replace(second, differences=-second.differences)
    assert "to below 0]" in back.sentence()
    gap = 0.001
    assert drawn_interval(second, gap) == (gap, second.interval[1])
    assert drawn_interval(back, gap) == (back.interval[0], -gap)
    assert drawn_interval(family[0], gap) == family[0].interval
    marks = forest([second, back]).rows
    zero = forest([second, back]).zero
    assert marks[0].bounds[0] > zero > marks[1].bounds[1]


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ((0.0, 0.0212), ("above 0", "+2.12")),
        ((-0.0212, 0.0), ("-2.12", "below 0")),
        ((0.00004, 0.02), ("+0.004", "+2.00")),
        ((-0.02, -0.0000012), ("-2.00", "-0.0001")),
        ((-0.000031, 0.02), ("-0.003", "+2.00")),
        ((1e-12, 0.02), ("+1e-10", "+2.00")),
        ((-0.01, math.inf), ("-1.00", "+∞")),
        ((0.0, 0.0), ("+0.00", "+0.00")),
        ((math.nan, math.nan), ("", "")),
    ],
)
def test_ends_of_an_interval_have_the_digits_that_tell_them_from_0(interval, shown):
    assert metrics.ACCURACY.bounds(*interval) == shown


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


def _failing(share):
    def net(rng, n):
        """Two arms that both fail, each seed by itself, with the same probability."""
        arms = np.where(rng.random((2, n)) < share, 0.1, 0.9) + 0.01 * rng.standard_normal((2, n))
        return arms[0] - arms[1]

    return net


def _three_errors(share):
    """Three standard errors of a share of so many studies."""
    return 3 * math.sqrt(share * (1 - share) / STUDIES)


NULLS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "t with 3 degrees": lambda rng, n: rng.standard_t(3, n),
    "exponential": lambda rng, n: rng.exponential(size=n) - rng.exponential(size=n),
    "fails in 0.3": _failing(0.3),
    "fails in 0.5": _failing(0.5),
}
ADMITTED = {("fails in 0.5", 3): 0.068}
"""Nets that fail with probability one half, at three seeds: above 5%, and said so."""


@pytest.mark.parametrize("n", [3, 4, 5, 7, 10])
@pytest.mark.parametrize("null", NULLS)
def test_two_questions_are_answered_wrongly_in_at_most_five_percent(null, n, frozen_garbage):
    rng = np.random.default_rng(n)
    wrong = covered = 0
    for _ in range(STUDIES):
        found = with_p_values([_contrast(NULLS[null](rng, n)) for _ in range(2)])
        wrong += any(effect.verdict in ("helps", "hurts") for effect in found)
        bounds = [effect.interval for effect in found if not effect.constant]
        covered += all(low <= 0 <= high for low, high in bounds)
    limit = ADMITTED.get((null, n), 0.05)
    assert wrong / STUDIES <= limit + _three_errors(limit)
    assert covered / STUDIES >= 1 - limit - _three_errors(limit)


@pytest.mark.parametrize(
    ("n", "least", "most"), [(3, 0.08, 0.13), (4, 0.0, 0.05), (5, 0.0, 0.05), (7, 0.0, 0.05)]
)
def test_a_grid_of_nets_that_fail_by_chance_wants_more_than_three_seeds(
    n, least, most, frozen_garbage
):
    """Four arms that differ in nothing and fail in 30% of their seeds; `docs/verdicts.md`."""
    rng = np.random.default_rng(n)
    wrong = 0
    for _ in range(STUDIES):
        fails = rng.random((4, n)) < 0.3
        a, b, c, d = np.where(fails, 0.1, 0.9) + 0.01 * rng.standard_normal((4, n))
        asked = (a - b, c - d, (a - b + c - d) / 2, (a + b - c - d) / 2, a - b - c + d)
        found = with_p_values([_contrast(differences) for differences in asked])
        wrong += any(effect.concludes for effect in found)
    assert least - _three_errors(least) <= wrong / STUDIES <= most + _three_errors(most)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_all_intervals_cover_the_truth_at_once_in_95_percent_of_studies(n, frozen_garbage):
    """Some have clear answers, which lets Holm's correction be less strict with others."""
    rng = np.random.default_rng(n)
    truth = [0.0, 30.0, 1.0, -30.0]
    covered = 0
    for _ in range(STUDIES):
        found = with_p_values([_contrast(mean + rng.standard_normal(n)) for mean in truth])
        bounds = [effect.interval for effect in found]
        covered += all(low <= one <= high for one, (low, high) in zip(truth, bounds, strict=True))
    assert covered / STUDIES >= 0.95 - _three_errors(0.05)


def test_beside_sure_effects_an_end_that_is_cut_off_is_the_tests(frozen_garbage):
    """The intervals hold all at once; what is shown of them has the test's 5% beside theirs."""
    rng = np.random.default_rng(5)
    truth = [0.0, 30.0, -30.0, 30.0, -30.0]
    missed = wrong = either = 0
    for _ in range(STUDIES):
        found = with_p_values([_contrast(mean + rng.standard_normal(5)) for mean in truth])
        bounds = [effect.uncut for effect in found]
        covered = all(low <= one <= high for one, (low, high) in zip(truth, bounds, strict=True))
        concluded = found[0].verdict != "open"
        missed += not covered
        wrong += concluded
        either += concluded or not covered
        assert all(effect.verdict in ("helps", "hurts") for effect in found[1:])
        assert found[0].cut == (concluded and bounds[0][0] < 0 < bounds[0][1])
    noise = 3 * math.sqrt(0.05 * 0.95 / STUDIES)
    assert missed / STUDIES <= 0.05 + noise and wrong / STUDIES <= 0.05 + noise
    assert 0.06 < either / STUDIES <= 0.1 + noise


def test_an_end_that_is_cut_off_is_told_where_there_is_one():
    sure, barely = [0.2, 0.201, 0.202], [0.02, 0.033, 0.019]
    assert "above 0 or below 0" in notes.family(with_p_values(list(map(_contrast, (sure, barely)))))
    assert "above 0" not in notes.family(with_p_values(list(map(_contrast, (sure, sure)))))


def test_a_level_with_a_minus_of_its_own_keeps_it():
    (effect, *_) = _answers(
        _runs({("34", "a - b"): [0.5], ("34", "c"): [0.75]}), ["arch"], ["c", "a - b"]
    )
    assert effect.sentence().startswith("a - b minus c at arch 34")
    assert effect.name == "a - b - c"


def test_without_a_row_that_has_the_reference_nothing_is_asked():
    assert grid_questions([], ["arch", "norm"], ["plain", "residual"]) == []

"""What a report begins with, for studies of several shapes."""

import re

import numpy as np
import pytest

from ablation.analysis import sequential
from ablation.analysis.per_image import images_table, of_images
from ablation.analysis.reading import load
from ablation.analysis.tables import arms_table, comparison_effects
from ablation.config import ReportConfig
from ablation.records import asked, controls, store
from ablation.records.asked import Planned
from ablation.records.controls import Control
from ablation.records.predictions import packed
from ablation.report import notes
from ablation.report.answer import answer
from ablation.report.cells import accuracy_cells, image_cells, share_cells
from ablation.report.checklist import checklist
from ablation.report.write import write_report


def _answer(study, margin=None, **options):
    loaded = load(study)
    loaded = loaded.measured("accuracy", margin)
    (comparison,) = loaded.comparisons(**options)
    return " ".join(answer(comparison))


def _checklist(study):
    found = study.comparisons()
    return checklist(study, found, [of_images(study, one) for one in found])


@pytest.fixture
def grid(stored_run, tmp_path):
    def write(scores, seeds):
        for (arch, plain), values in scores.items():
            for seed in range(seeds):
                words = f"arch={arch}", f"plain={plain}", f"seed={seed}"
                stored_run(*words, val_accuracy=values[seed])
        return tmp_path / "main"

    return write


SIX = {
    ("34", "true"): [0.40, 0.50, 0.42, 0.38, 0.47, 0.45],
    ("34", "false"): [0.98, 0.975, 0.985, 0.98, 0.99, 0.982],
    ("50", "true"): [0.14, 0.12, 0.13, 0.16, 0.11, 0.13],
    ("50", "false"): [0.96, 0.97, 0.965, 0.95, 0.97, 0.98],
}


def test_a_run_near_chance_is_said_where_nothing_is_asked(stored_run, tmp_path):
    stored_run(val_accuracy=0.1)
    assert _answer(tmp_path / "main") == "Near chance: residual."


def test_runs_of_different_losses_are_told(stored_run, tmp_path):
    for loss in ("cross_entropy", "mse"):
        stored_run(f"recipe.loss={loss}", val_accuracy=0.9)
    asked.add(tmp_path / "main", ["recipe.loss"])
    (comparison,) = load(tmp_path / "main").comparisons()
    told = [str(note) for note in notes.score(comparison)]
    assert any("These runs have different losses" in one for one in told)


def test_six_seeds_of_a_clear_difference_conclude(grid):
    text = _answer(grid(SIX, 6))
    assert "with residual is 54.53 points higher than with plain at arch 34 (+" in text
    assert "and 83.42 points higher at arch 50 (+" in text
    assert text.count("; helps)") >= 2
    assert "over 6 seeds" in text
    assert re.search(r"Residual − plain is 28.88 points larger at arch 50 than at arch 34", text)


def test_one_seed_makes_no_claim_and_says_what_three_take(grid):
    text = _answer(grid(SIX, 1))
    assert "no claim is made" in text
    # 2 seeds of 4 runs of 9 s.
    assert "2 more seeds would give one, about 0:01:12 of training." in text
    assert "helps" not in text


def test_two_seeds_have_an_interval_and_no_verdict(grid):
    text = _answer(grid(SIX, 2))
    assert "too few for a verdict" in text and "helps" not in text


def test_seeds_that_part_into_trained_and_untrained_come_first(grid):
    parted = {
        ("20", "true"): [0.1, 0.8, 0.1, 0.82],
        ("20", "false"): [0.9, 0.91, 0.9, 0.92],
    }
    text = _answer(grid(parted, 4))
    assert text.startswith(
        "Not every seed learns, so that a mean over seeds says little: plain learned in 2 of 4 "
        "seeds; the other seeds stayed near chance."
    )


def test_arms_that_learned_in_no_seed_are_named_whatever_else_there_is(grid, monkeypatch):
    failing = SIX | {("34", "true"): [0.1] * 6}
    monkeypatch.setattr("ablation.report.answer._SENTENCES_AT_MOST", 1)
    assert "Near chance in every seed: plain at arch 34 and" in _answer(grid(failing, 6))


def test_arms_that_learned_in_no_seed_are_named_too(grid):
    parted = {
        ("20", "true"): [0.1, 0.8, 0.1],
        ("20", "false"): [0.9, 0.91, 0.9],
        ("34", "true"): [0.1, 0.11, 0.1],
        ("34", "false"): [0.9, 0.91, 0.9],
    }
    text = _answer(grid(parted, 3))
    assert "so that a mean over seeds says little:" in text
    assert "Near chance in every seed: plain at arch 34." in text


def test_a_study_in_which_no_net_learns_says_so(grid):
    chance = {("20", "true"): [0.10, 0.11, 0.1], ("20", "false"): [0.115, 0.125, 0.115]}
    text = _answer(grid(chance, 3))
    assert "Near chance in every seed: plain and residual." in text


def test_what_all_rows_share_is_not_repeated(stored_run, tmp_path):
    for preact, better in (("true", 0.1), ("false", 0.3)):
        for plain in ("true", "false"):
            score = 0.5 + better * (plain == "false")
            stored_run("arch=20", f"preact={preact}", f"plain={plain}", val_accuracy=score)
    (found,) = load(tmp_path / "main").comparisons("plain")
    text = " ".join(answer(found))
    assert "with residual is 30.00 points higher than with plain at preact false" in text
    assert "arch" not in text
    (interaction,) = (one for one in comparison_effects(found) if one.kind == "interaction")
    assert interaction.where == "preact true against preact false"
    assert accuracy_cells(found).header[0] == "arch"


def test_with_one_seed_nets_near_chance_are_so_in_no_other(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run(f"plain={plain}", val_accuracy=0.1)
    assert "Near chance: plain and residual." in _answer(tmp_path / "main")


def test_of_many_rows_of_one_seed_the_largest_is_told(grid):
    rows = {
        (arch, plain): [0.5 + 0.1 * place * (plain == "false")]
        for place, arch in enumerate(("8", "14", "20", "32", "44"))
        for plain in ("true", "false")
    }
    text = _answer(grid(rows, 1))
    assert "40.00 points higher than with plain at arch 44, the largest of 5 rows." in text


def test_a_difference_of_one_seed_beside_others_claims_nothing(stored_run, tmp_path):
    for seed in range(3):
        for arch, plain in (("20", "true"), ("20", "false"), ("56", "true")):
            score = 0.8 + 0.01 * seed + (0.05 + 0.002 * seed) * (plain == "false")
            stored_run(f"arch={arch}", f"plain={plain}", f"seed={seed}", val_accuracy=score)
    stored_run("arch=56", "plain=false", val_accuracy=0.9)
    assert "10.00 points higher at arch 56 (one seed, no claim)" in _answer(tmp_path / "main")


def test_two_seeds_in_common_are_not_called_two_each(stored_run, tmp_path):
    for seed in range(3):
        stored_run("arch=20", "plain=true", f"seed={seed}", val_accuracy=0.8 + 0.01 * seed)
    for seed in range(2):
        stored_run("arch=20", "plain=false", f"seed={seed}", val_accuracy=0.9 - 0.01 * seed)
    assert "Two seeds in common: too few for a verdict." in _answer(tmp_path / "main")


def test_what_seeds_would_give_is_said_of_the_difference_with_fewest(stored_run, tmp_path):
    for arch, seeds in (("20", 2), ("56", 1)):
        for seed in range(seeds):
            stored_run(f"arch={arch}", "plain=true", f"seed={seed}", val_accuracy=0.8)
            score = 0.9 - 0.01 * seed
            stored_run(f"arch={arch}", "plain=false", f"seed={seed}", val_accuracy=score)
    text = _answer(tmp_path / "main")
    assert "One seed in common or two: too few for a verdict." in text
    assert "2 more seeds would give one for every difference" in text


def test_nobody_promises_a_verdict_of_differences_that_have_not_varied(stored_run, tmp_path):
    for plain, score in (("true", 0.8), ("false", 0.9)):
        for seed in range(2):
            stored_run(f"plain={plain}", f"seed={seed}", val_accuracy=score)
    assert "1 more seed could give one" in _answer(tmp_path / "main")


def test_an_average_over_rows_says_over_how_many_seeds(stored_run, tmp_path):
    for arch in ("8", "14", "20", "32"):
        for plain in ("true", "false"):
            for seed in range(4 - (arch == "20")):
                score = 0.6 + 0.001 * seed + (0.05 + 0.001 * (seed % 2)) * (plain == "false")
                score -= 0.1 * (arch == "32" and plain == "false")
                stored_run(f"arch={arch}", f"plain={plain}", f"seed={seed}", val_accuracy=score)
    text = _answer(tmp_path / "main")
    assert "Averaged over 4 rows, validation accuracy with residual is" in text
    assert "over 3 seeds that all rows have; 3 help, 1 hurts." in text


def test_a_difference_of_rounding_is_none(grid):
    same = {("20", "true"): [0.3] * 3, ("20", "false"): [0.1 + 0.2] * 3}
    text = _answer(grid(same, 3))
    assert "is the same as with plain" in text


def test_equal_scores_are_called_the_same(grid):
    same = {(arch, plain): [0.5] * 3 for arch in ("20", "56") for plain in ("true", "false")}
    text = _answer(grid(same, 3))
    assert "and the same at arch 56" in text and "0.00 points higher" not in text


def test_three_levels_are_told_by_what_is_known_most(stored_run, tmp_path):
    means = {"8": 0.5, "14": 0.5005, "20": 0.501, "32": 0.9}
    for arch, mean in means.items():
        for seed in range(4):
            score = mean + 0.001 * ((seed * (3 + len(arch)) + int(arch)) % 5)
            stored_run(f"arch={arch}", f"seed={seed}", val_accuracy=score)
    text = _answer(tmp_path / "main", contrast="arch")
    assert text.split("points")[0].startswith("Validation accuracy with arch 32 is 4")


def test_a_margin_is_named_where_it_decides(grid):
    close = {
        ("20", "true"): [0.800, 0.801, 0.799, 0.802, 0.8, 0.803, 0.801, 0.8],
        ("20", "false"): [0.805, 0.807, 0.803, 0.806, 0.806, 0.808, 0.805, 0.806],
    }
    study = load(grid(close, 8)).measured("accuracy", 2)
    (comparison,) = study.comparisons()
    (effect,) = comparison_effects(comparison)
    assert (effect.verdict, effect.concludes, effect.exact) == ("no relevant difference", True, "")
    assert "lies within 2.00 points of 0 (report.margin)" in notes.family([effect])
    assert "sign-flip" not in " ".join(answer(comparison))


def test_what_adds_seeds_is_told_with_the_number_that_it_takes(grid):
    """Seeds that are added after a look are judged by betting, which needs more of them."""
    parted = {("20", "true"): [0.80, 0.81, 0.80], ("20", "false"): [0.81, 0.86, 0.805]}
    study = load(grid(parted, 3))
    effects = comparison_effects(study.comparisons()[0])
    told = [one for one in effects if one.seeds_to_settle]
    assert told
    for one in told:
        assert one.seeds_to_settle >= sequential.least_seeds(one.alpha)


def test_a_grid_without_a_pair_says_what_to_compare(stored_run, tmp_path):
    stored_run("arch=20", "plain=true", val_accuracy=0.5)
    stored_run("arch=20", "plain=false", val_accuracy=0.6)
    stored_run("arch=vgg16", val_accuracy=0.7)
    (comparison,) = load(tmp_path / "main").comparisons(contrast="arch")
    (note,) = notes.without_reference(comparison)
    assert note.text.startswith("No row has arch=20 beside another level")


def test_the_checklist_knows_what_is_missing(stored_run, tmp_path):
    for seed in range(2):
        stored_run("arch=20", "plain=true", f"seed={seed}")
    stored_run("arch=20", "plain=false")
    stored_run("arch=20", "plain=false", "seed=1", state="failed", reason="broken")
    study = load(tmp_path / "main")
    text = _checklist(study)
    assert "1 to 2 seeds in each cell of the table" in text
    assert "Yes, and it is in no mean: arch 20, residual, seed 1: failed (broken)." in text


def test_the_checklist_does_not_call_two_splits_one(stored_run, tmp_path):
    for data, split in (("d1", "train"), ("d2", "train[:80%]")):
        for plain in ("true", "false"):
            words = "dataset=cifar10", f"plain={plain}", f"dataset.train_split={split}"
            stored_run(*words, data=data)
    asked.add(tmp_path / "main", ["dataset.train_split"])
    study = load(tmp_path / "main")
    assert "Not all runs have the same split" in _checklist(study)


def test_what_is_open_says_what_would_settle_it(grid):
    close = {
        ("20", "true"): [0.80, 0.81, 0.80, 0.82],
        ("20", "false"): [0.81, 0.83, 0.80, 0.83],
    }
    text = _answer(grid(close, 4))
    assert "Open: residual − plain." in text
    found = re.search(r"about (\d+) seeds would settle it: (\d+) more, about ([\d:]+)", text)
    assert int(found[2]) == int(found[1]) - 4
    # So many seeds of two runs of 9 s each.
    minutes, seconds = int(found[2]) * 18 // 60, int(found[2]) * 18 % 60
    assert found[3] == f"0:{minutes:02}:{seconds:02}"
    assert "Add them by seed=until(N), whose test allows for this look" in text


def test_what_seeds_to_settle_cost_is_that_of_all_arms(grid):
    rows = {
        (arch, plain): [0.80, 0.81 + 0.01 * (plain == "false"), 0.80, 0.82]
        for arch in ("8", "14", "20")
        for plain in ("true", "false")
    }
    text = _answer(grid(rows, 4))
    found = re.search(r": (\d+) more, about ([\d:]+) of training all arms", text)
    minutes, seconds = divmod(int(found[1]) * 6 * 9, 60)
    assert found[2] == f"0:{minutes:02}:{seconds:02}"


def test_within_the_margin_there_is_no_relevant_difference(grid):
    equal = {
        ("20", "true"): [0.800, 0.801, 0.799, 0.800],
        ("20", "false"): [0.8005, 0.801, 0.7995, 0.8],
    }
    study = grid(equal, 4)
    assert "no relevant difference" in _answer(study, margin=1)
    assert "no relevant difference" not in _answer(study)


NAMED = {"parts.se": [True, False], "parts.norm": ["batch", "group"], "parts.plain": [False, True]}


def _scores(levels, seed):
    score = 0.9 - 0.2 * levels["parts.plain"] - 0.02 * (levels["parts.norm"] == "group")
    return score + 0.001 * seed * (1 + levels["parts.plain"] + 2 * (not levels["parts.se"]))


def test_a_full_model_without_each_part(stored_design):
    text = _answer(stored_design("leave_one_out", NAMED, _scores, "arch=20", seeds=range(3)))
    assert text.startswith("Of 3 changes of the reference (90.10 %), 1 hurts: plain (-19.90 points")
    assert "Open: without se" in text


def test_a_roadmap(stored_design):
    text = _answer(stored_design("cumulative", NAMED, _scores, "arch=20", seeds=range(3)))
    assert text.startswith("The 3 steps together take the reference (90.10 %) 21.")
    assert "lower" in text and "Of 3 steps," in text


def test_the_report_and_the_terminal_begin_with_it(grid):
    told = []
    folder = grid(SIX, 6)
    write_report(folder, ReportConfig(), told.append)
    first = "Validation accuracy with residual is 54.53 points higher"
    assert told[0].startswith(first)
    assert (folder / "report.md").read_text().split("\n\n")[1].startswith(first)


def test_of_a_metric_that_should_be_low_what_rises_hurts(grid, monkeypatch):
    from dataclasses import replace

    from ablation.analysis.metrics import METRICS

    study = load(grid(SIX, 6))
    lower = replace(METRICS["accuracy"], higher_is_better=False)
    found = replace(study, own_metric=lower).effects()
    assert set(found["verdict"][:2]) == {"hurts"}


def test_where_the_exact_test_disagrees_it_is_said_aloud(grid):
    base = [0.5, 0.51, 0.52, 0.5, 0.51, 0.52, 0.5, 0.51]
    gains = [0.01, 0.01, 0.01, 0.01, 0.012, 0.011, 0.01, 0.4]
    scores = {
        ("20", "true"): base,
        ("20", "false"): [one + gain for one, gain in zip(base, gains, strict=True)],
    }
    text = _answer(grid(scores, 8))
    assert "The exact sign-flip test disagrees with the t test on residual − plain." in text


def test_one_seed_of_a_roadmap_is_told_step_by_step(stored_design):
    text = _answer(stored_design("cumulative", NAMED, _scores, "arch=20"))
    assert text.startswith("Step by step from the reference (90.00 %): without se +0.00 points,")
    assert "All steps together: -22.00 points." in text


def test_one_seed_of_both_is_told_from_both_ends(stored_design):
    text = _answer(stored_design("both", NAMED, _scores, "arch=20"))
    assert "Against the reference (90.00 %): plain -20.00 points" in text
    assert "Added to the stripped arm (68.00 %): only residual +20.00 points" in text


def test_the_exact_test_and_the_images_close_the_answer(grid):
    study = grid({key: [*values, *values[:2]] for key, values in SIX.items()}, 8)
    text = _answer(study)
    assert (
        "The exact sign-flip test, which assumes symmetry alone, confirms what is concluded."
        in text
    )


def test_a_roadmap_counts_the_steps_that_were_kept(stored_design):
    study = stored_design(
        *("cumulative", NAMED, _scores, "arch=20"), seeds=range(3), rejected=["parts.norm"]
    )
    text = _answer(study)
    assert text.startswith("The 2 kept steps together take the reference (90.10 %)")
    assert "Of 3 steps," in text


def test_small_effects_that_are_certain_are_told_from_chance_and_do_not_matter(stored_design):
    def scores(levels, seed):
        moved = {True: 0.0, False: 0.010 + 0.0002 * (seed % 2)}[levels["parts.se"]]
        return 0.8 + 0.01 * seed + moved + 0.012 * (levels["parts.norm"] == "group")

    named = {"parts.se": [True, False], "parts.norm": ["batch", "group"]}
    study = stored_design("leave_one_out", named, scores, "arch=20", seeds=range(5))
    text = _answer(study, margin=5)
    assert "none helps or hurts" in text and "can be told from" not in text
    assert "No relevant difference: without se" in text
    # The other one differs by 1.2 points at every seed, which no test can judge.
    assert "1 is the same for every seed: norm: group (+1.20 points)" in text


def test_what_has_no_answer_is_named(stored_design):
    study = stored_design(
        *("leave_one_out", NAMED, _scores, "arch=20"), seeds=range(3), without={2}
    )
    text = _answer(study)
    assert text.startswith("Of 3 changes of the reference")
    assert ", of which 2 can be judged, " in text
    assert text.endswith("No answer: norm: group; no seed has a score of every net compared.")
    (study / "study.json").unlink()


def test_without_its_reference_a_design_says_what_it_cannot_answer(stored_design):
    study = stored_design(
        *("leave_one_out", NAMED, _scores, "arch=20"), seeds=range(3), without={0}
    )
    assert _answer(study).startswith("No answer: without se, norm: group and plain; ")


def test_other_images_speak_of_the_seeds_that_have_predictions(stored_run, tmp_path):
    labels = np.repeat(np.arange(10, dtype=np.int32), 36)
    for seed in range(4):
        for plain in (True, False):
            right = np.arange(360) % 4 > (seed % 2 if plain else 0)
            logits = np.eye(10)[np.where(right, labels, (labels + 1) % 10)]
            words = "arch=20", f"plain={str(plain).lower()}", f"seed={seed}"
            directory = stored_run(*words, val_accuracy=right.mean())
            if seed != 1 or plain:
                np.savez(directory / "predictions.npz", **packed(labels, logits))
    study = load(tmp_path / "main")
    (comparison,) = study.comparisons()
    (found,) = of_images(study, comparison)
    # Of seeds 0, 2 and 3, without the 25 points of seed 1.
    assert (found.n, found.effect.n) == (3, 4)
    assert (found.mean, found.effect.mean) == pytest.approx((0.25 / 3, 0.125))
    low, high = found.spread.over_images
    assert (low + high) / 2 == pytest.approx(found.mean)
    text = " ".join(answer(comparison, [found]))
    assert "a sample too: for these very networks the difference, over the 3 seeds" in text
    row = images_table([found]).iloc[0]
    assert (row["n"], row["mean"]) == (3, pytest.approx(0.25 / 3))
    assert image_cells([found]).rows[0][1:3] == ["3", "+8.33"]


@pytest.mark.parametrize("told", [["dataset.group=patient"], []])
def test_images_of_one_group_are_no_sample_of_single_images(stored_run, tmp_path, told):
    """A key says so, or the result of a run whose data set has an array of groups by itself."""
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 8, 8), np.uint8), y=[0, 1, 0, 1])
    keys = ["dataset=arrays", f"dataset.path={tmp_path / 'data.npz'}", "arch=20", *told]
    labels = np.repeat(np.arange(10, dtype=np.int32), 36)
    for seed in range(3):
        for plain in ("true", "false"):
            right = np.random.default_rng([seed, plain == "true"]).random(360) < 0.7
            logits = np.eye(10)[np.where(right, labels, (labels + 1) % 10)]
            words = *keys, f"plain={plain}", f"seed={seed}"
            directory = stored_run(*words, val_accuracy=right.mean(), grouped=not told)
            np.savez(directory / "predictions.npz", **packed(labels, logits))
    study = load(tmp_path / "main")
    (comparison,) = study.comparisons()
    (found,) = of_images(study, comparison)
    assert found.spread is None and found.changed
    assert "sample too" not in " ".join(answer(comparison, [found]))
    assert "are of one group (dataset.group) and alike" in notes.over_images([found])


def test_few_seeds_of_nets_near_chance_are_said_to_make_the_test_too_sure(grid):
    words = "t test is too sure with fewer than 5 seeds"
    scores = {("50", "true"): [0.10, 0.101, 0.10, 0.1, 0.101], ("50", "false"): [0.9] * 5}
    assert words in _answer(grid(scores, 3))


def test_with_five_seeds_nets_near_chance_are_judged_like_others(grid):
    scores = {("50", "true"): [0.10, 0.101, 0.10, 0.1, 0.101], ("50", "false"): [0.9] * 5}
    text = _answer(grid(scores, 5))
    assert "helps" in text and "too sure" not in text


def test_an_interaction_is_neither_good_nor_bad(grid):
    from dataclasses import replace

    from ablation.analysis.metrics import METRICS

    study = load(grid(SIX, 6))
    lower = replace(METRICS["accuracy"], higher_is_better=False)
    for found in (study.effects(), replace(study, own_metric=lower).effects()):
        assert set(found.loc[found["kind"] == "interaction", "verdict"]) == {"larger"}
        assert not set(found.loc[found["kind"] != "interaction", "verdict"]) & {"larger", "smaller"}


def test_nothing_is_zero_points_higher(grid):
    same = {("20", "true"): [0.5, 0.6, 0.7], ("20", "false"): [0.5, 0.6, 0.7]}
    text = _answer(grid(same, 3))
    assert "accuracy with residual is the same as with plain (" in text
    assert "0.00 points" not in text


@pytest.mark.parametrize(
    ("design", "role", "said"),
    [
        ("leave_one_out", "reference", "The reference could not be built (too wide), so no "),
        ("add_one", "stripped", "The stripped arm could not be built (too wide), so no "),
        ("both", "reference", "The reference could not be built (too wide), so no "),
    ],
)
def test_an_arm_that_others_are_held_against_and_that_does_not_exist_comes_first(
    design, role, said, stored_design
):
    study = stored_design(design, NAMED, _scores, "arch=20", seeds=range(3))
    (comparison,) = load(study).comparisons()
    runs = comparison.runs
    for run in runs.loc[runs["column"] == role, "run"]:
        store.write_status(study / run, store.Status().begun().ended(store.REFUSED, "too wide"))
    which = "question about it" if design == "both" else "question"
    text = _answer(study)
    assert text.startswith(f"{said}{which} has an answer.")
    (comparison,) = load(study).comparisons()
    assert bool(comparison.asked) == (design == "both")
    assert (comparison.built_reference is None) == (role == "reference")
    assert arms_table(comparison)["total"].isna().all()


def test_switches_are_said_as_they_are_typed(stored_run, tmp_path):
    for plain in ("true", "false"):
        for deterministic in ("true", "false"):
            stored_run(f"plain={plain}", f"deterministic={deterministic}")
    study = tmp_path / "main"
    asked.add(study, ["deterministic"])
    for contrast in (None, "deterministic"):
        (comparison,) = load(study).comparisons(contrast=contrast)
        shown = [*accuracy_cells(comparison).rows, *share_cells(comparison).rows]
        said = f"{_answer(study, contrast=contrast)} {shown}"
        assert "true" in said and "True" not in said and "False" not in said


@pytest.mark.parametrize("beside", [True, False], ids=["beside another run", "alone"])
def test_a_design_of_which_no_arm_can_be_built_has_a_report(beside, stored_run, stored_design):
    study = stored_design("leave_one_out", NAMED, _scores, "arch=20")
    if beside:
        stored_run("arch=32")
    for run in study.glob("20-*"):
        store.write_status(run, store.Status().begun().ended(store.REFUSED, "too wide"))
    write_report(study)
    assert "too wide" in (study / "report.md").read_text()


def test_whatever_is_said_before_it_an_answer_has_a_difference(grid, monkeypatch):
    parted = SIX | {("34", "true"): [0.1, 0.9, 0.1], ("50", "true"): [0.1, 0.1, 0.1]}
    study = grid(parted, 3)
    whole = _answer(study)
    assert whole.startswith("Not every seed learns")
    (comparison,) = load(study).comparisons()
    for most in range(len(answer(comparison)), 1, -1):
        monkeypatch.setattr("ablation.report.answer._SENTENCES_AT_MOST", most)
        said = answer(comparison)
        assert len(said) <= max(most, 3)  # Nets that did not learn and signs are said always.
        assert any("points higher than with plain" in sentence for sentence in said)


def test_many_rows_of_which_one_has_no_run_are_counted(stored_run, tmp_path):
    for seed in range(3):
        for arch in ("8", "14", "20", "32", "44"):
            for plain in ("true", "false"):
                failed = (arch, plain) == ("44", "true")
                score = 0.5 + 0.02 * int(arch) * (plain == "false") / 10 + 0.001 * (seed % 2)
                words = f"arch={arch}", f"plain={plain}", f"seed={seed}"
                state = store.FAILED if failed else store.COMPLETE
                stored_run(
                    *words, val_accuracy=score + 0.001 * seed * (plain == "true"), state=state
                )
    text = _answer(tmp_path / "main")
    assert text.startswith("Validation accuracy with residual is 6.")
    assert "the largest of 4 rows; 4 help." in text


def test_seeds_that_arms_do_not_share_are_not_called_one_each(stored_run, tmp_path):
    for plain, seeds in (("true", (0, 1, 2)), ("false", (2, 3, 4))):
        for seed in seeds:
            stored_run("arch=20", f"plain={plain}", f"seed={seed}", val_accuracy=0.1 * seed + 0.3)
    assert "One seed in common: " in _answer(tmp_path / "main")
    study = load(tmp_path / "main")
    assert "have more than one seed in common" in _checklist(study)


def test_of_one_arm_no_question_is_answered(stored_run, tmp_path):
    for seed in range(3):
        stored_run("arch=20", "plain=true", f"seed={seed}")
    study = load(tmp_path / "main")
    text = _checklist(study)
    assert "3 seeds in each cell" in text and "Nothing is compared, so no interval" in text


def test_an_answer_has_a_difference_however_many_shams_stand_beside(stored_run, tmp_path):
    shams = []
    for seed in range(3):
        for place, arch in enumerate(("20", "32", "44", "56", "110")):
            for plain in ("true", "false"):
                spread = 0.002 * (seed * (place + 2) * 7 % 5)
                score = 0.5 + 0.2 * (plain == "false") + 0.01 * place + spread
                words = f"arch={arch}", f"plain={plain}", f"seed={seed}"
                run = stored_run(*words, val_accuracy=score)
            draw = 0.003 * (place + 1) * (seed - 1) + (0.05 if arch == "44" else 0)
            sham = stored_run(*words, "draw=1", val_accuracy=score + draw)
            shams.append(Control("sham", sham.name, run.name))
    asked.add(tmp_path / "main", ["arch", "parts.plain"])
    controls.put(tmp_path / "main", shams)
    (comparison,) = load(tmp_path / "main").comparisons()
    found = answer(comparison)
    assert len(found) <= 6
    assert "with residual is 20.00 points higher" in found[0]
    (of_the_draw,) = [text for text in found if text.startswith("By the draw")]
    assert "residual at arch 44 changes by" in of_the_draw  # The largest of them.
    assert of_the_draw.endswith("4 more shams stand under Controls.")


def test_all_differences_are_those_that_are_asked_not_those_that_have_an_answer(
    stored_run, tmp_path
):
    for seed in range(3):
        for arch in ("20", "56"):
            for place, norm in enumerate(("batch", "group", "none", "layer")):
                state = store.FAILED if (arch, norm) == ("56", "none") else store.COMPLETE
                score = 0.5 + 0.05 * place + 0.01 * (seed * (place + 3) * 7 % 5)
                words = f"arch={arch}", f"parts.norm={norm}", f"seed={seed}"
                stored_run(*words, val_accuracy=score, state=state)
    said = _answer(tmp_path / "main")
    assert "Of all 6 differences between levels, of which 5 can be judged, " in said


@pytest.mark.parametrize(("rejected", "steps"), [(("parts.se",), "kept steps"), ((), "steps")])
def test_one_seed_of_steps_says_whether_all_were_kept(stored_design, rejected, steps):
    named = {"parts.plain": [True, False], "parts.norm": ["batch", "group"]}
    named["parts.se"] = [False, True]
    study = stored_design("cumulative", named, _of_parts, "arch=20", rejected=rejected)
    assert f"All {steps} together: " in _answer(study)


def _of_parts(levels, seed):
    score = 0.5 + 0.1 * (not levels["parts.plain"]) - 0.3 * levels["parts.se"]
    return score + 0.02 * (levels.get("parts.norm") == "group") + 0.001 * seed


def test_where_no_row_has_two_levels_one_seed_says_what_they_do_on_average(stored_run, tmp_path):
    study = tmp_path / "main"
    for plain, rates in (("true", (0.1, 0.01)), ("false", (0.03, 0.02))):
        names = []
        for rate in rates:
            words = "arch=20", f"plain={plain}", f"recipe.learning_rate={rate}"
            names.append((stored_run(*words, val_accuracy=0.5 + rate).name,))
        fixed = {"arch": "20", "parts.plain": plain == "true"}
        plan = Planned("grid", {"recipe.learning_rate": rates}, (), fixed, tuple(names))
        asked.add(study, ["recipe.learning_rate"], {}, plan)
    (comparison,) = load(study).comparisons()
    effects = comparison_effects(comparison)
    said = _answer(study)
    assert effects and {effect.kind for effect in effects} <= {"main effect", "interaction"}
    assert "9.00 points" in said
    assert notes.sentences(effects)


def test_the_checklist_gives_other_images_only_where_it_has_them(stored_run, tmp_path):
    for plain in ("true", "false"):
        for seed in range(3):
            stored_run("arch=20", f"plain={plain}", f"seed={seed}", val_accuracy=0.5 + 0.1 * seed)
    text = _checklist(load(tmp_path / "main"))
    assert "is not given: it takes stored predictions" in text
    assert "is given apart" not in text


def test_a_checklist_of_runs_that_all_failed_counts_no_seeds(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}", state=store.FAILED, reason="boom")
    text = _checklist(load(tmp_path / "main"))
    assert text.count("No run is complete.") == 2
    assert "()" not in text and "(seeds )" not in text

import pytest

from ablation import claims
from ablation.analysis.claims import FAILS, HOLDS, OPEN, claimed
from ablation.analysis.reading import load
from ablation.config import RECORD_KEY, UserError
from ablation.records import asked, store
from ablation.records import claims as recorded
from ablation.running import claims as running
from support import run_of

GAIN = {"20": 0.02, "56": 0.10}


@pytest.fixture
def study(stored_run, tmp_path):
    """Residual nets gain 2 points at 20 layers and 10 at 56, give or take a little by seed."""

    def write(seeds=6):
        for seed in range(seeds):
            for arch, gain in GAIN.items():
                for part in ("true", "false"):
                    score = 0.5 + (gain if part == "false" else 0) + 0.001 * ((seed * 7) % 5)
                    score += 0.001 * (seed % 3) * (part == "false")
                    score += 0.001 * (seed % 2) * (arch == "56")
                    words = f"arch={arch}", f"plain={part}", f"seed={seed}"
                    stored_run(*words, val_accuracy=score)
        return tmp_path / "main"

    return write


def _write(folder, *texts):
    folder.mkdir(exist_ok=True)
    (folder / recorded.FILE).write_text("".join(f"- '{text}'\n" for text in texts))
    return claims.read(folder / recorded.FILE)


def _said(folder):
    return {one.claim.text: one for one in claimed(load(folder)).answers}


VERDICTS = {
    "residual > plain at arch=56 by 9 points": HOLDS,
    "residual > plain at arch=20 by 9 points": FAILS,
    "residual > plain at arch=20 by 2.1": OPEN,
    "residual > plain": HOLDS,
    "plain > residual": FAILS,
    "plain = residual at arch=20 within 4": HOLDS,
    "plain = residual at arch=56 within 4": FAILS,
    "56 > 20 at plain=residual by 7": HOLDS,
    "residual > plain at epochs=7": OPEN,
}


def test_claims_hold_fail_or_are_open(study):
    folder = study()
    _write(folder, *VERDICTS)
    assert {text: one.verdict for text, one in _said(folder).items()} == VERDICTS


def test_the_difference_is_averaged_over_pairs_that_differ_in_nothing_else(study):
    folder = study()
    _write(folder, "residual > plain")
    effect = _said(folder)["residual > plain"].effect
    assert effect.mean == pytest.approx(0.06 + 0.001)  # 0, 1, 2, 0, 1, 2 thousandths by seed
    assert effect.n == 6 and effect.family == 1


def test_what_cannot_be_answered_says_why_and_counts_in_the_family(study):
    folder = study()
    _write(folder, "residual > plain", "18 > 20")
    said = _said(folder)
    assert said["18 > 20"].verdict == OPEN and "no factor has the levels" in said["18 > 20"].reason
    assert said["residual > plain"].effect.family == 2


def test_before_the_first_run_is_told_from_afterwards(study, tmp_path):
    folder = tmp_path / "main"
    file = _write(folder, "residual > plain", "56 > 20")
    asked.add(folder, ["arch", "parts.plain"])
    recorded.register(folder, file, "accuracy")
    study()
    found = claimed(load(folder))
    assert found.digest == file.digest and not found.changed
    assert [one.remark for one in found.answers] == ["", ""]
    assert {one.effect.family for one in found.answers} == {2}
    later = _write(folder, "residual > plain", "residual > plain by 1")
    for register in (False, True):
        if register:
            recorded.register(folder, later, "accuracy")
        found = claimed(load(folder))
        assert found.changed
        assert {one.claim.text: (one.remark, one.effect.family) for one in found.answers} == {
            "residual > plain": ("", 2),
            "residual > plain by 1": ("added afterwards", 3),
            "56 > 20": ("taken out afterwards", 2),
        }
    (folder / recorded.FILE).unlink()
    assert {one.claim.text: one.remark for one in claimed(load(folder)).answers} == {
        "residual > plain": "taken out afterwards",
        "56 > 20": "taken out afterwards",
        "residual > plain by 1": "added afterwards, taken out afterwards",
    }


def test_a_claim_that_was_added_and_taken_out_still_counts(study, tmp_path):
    folder = tmp_path / "main"
    asked.add(folder, ["arch", "parts.plain"])
    recorded.register(folder, _write(folder, "residual > plain"), "accuracy")
    study()
    recorded.register(folder, _write(folder, "residual > plain", "56 > 20"), "accuracy")
    recorded.register(folder, _write(folder, "residual > plain", "20 > 56"), "accuracy")
    assert {
        one.claim.text: (one.remark, one.effect.family) for one in claimed(load(folder)).answers
    } == {
        "residual > plain": ("", 1),
        "20 > 56": ("added afterwards", 3),
        "56 > 20": ("added afterwards, taken out afterwards", 3),
    }


def test_what_is_on_record_counts_where_the_file_has_become_unreadable(study, tmp_path):
    folder = tmp_path / "main"
    file = _write(folder, "residual > plain")
    asked.add(folder, [])
    recorded.register(folder, file, "accuracy")
    study()
    (folder / recorded.FILE).write_text("- [")
    found = claimed(load(folder))
    assert "no YAML" in found.problem
    assert [one.verdict for one in found.answers] == [HOLDS]


def test_another_metric_of_the_report_changes_no_claim(study, tmp_path):
    folder = tmp_path / "main"
    file = _write(folder, "residual > plain by 2 points")
    asked.add(folder, [])
    recorded.register(folder, file, "accuracy")
    study()
    found = claimed(load(folder).measured("log_loss"))
    assert [one.verdict for one in found.answers] == [HOLDS]


def test_a_later_command_changes_no_metric_of_a_claim_on_record(study, tmp_path):
    folder = tmp_path / "main"
    asked.add(folder, [])
    recorded.register(folder, _write(folder, "residual > plain by 2 points"), "accuracy")
    study()
    later = _write(folder, "residual > plain by 2 points", "56 > 20 by 1")
    recorded.register(folder, later, "log_loss")
    said = _said(folder)
    assert said["residual > plain by 2 points"].verdict == HOLDS
    assert said["residual > plain by 2 points"].effect.metric.name == "accuracy"
    # Of log_loss, which no run here has the predictions for.
    assert said["56 > 20 by 1"].verdict == OPEN


def test_a_metric_of_ones_own_is_not_that_of_a_claim_of_its_name(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_metric.py").write_text("def accuracy(labels, said):\n    return 0.0\n")
    folder = tmp_path / "main"
    asked.add(folder, [])
    recorded.register(folder, _write(folder, "residual > plain by 2 points"), "accuracy")
    study()
    (answer,) = claimed(load(folder).measured("own_metric.py:accuracy")).answers
    assert answer.verdict == HOLDS and answer.effect.metric.scale == 100


def test_arms_that_two_designs_have_are_compared_over_the_seeds_of_both(stored_design):
    named = {"parts.plain": ("false", "true"), "parts.se": ("true", "false")}

    def accuracy(levels, seed):
        return 0.5 + (0.05 + 0.001 * (seed % 3)) * (levels["parts.se"] == "true")

    for design, seeds in (("leave_one_out", (0, 1, 2)), ("both", (0, 1, 2, 3, 4))):
        folder = stored_design(design, named, accuracy, seeds=seeds)
    _write(folder, "reference > without se by 1")
    (answer,) = claimed(load(folder)).answers
    assert (answer.verdict, answer.effect.n, answer.reason) == (HOLDS, 5, "")


def test_an_arm_without_the_part_is_on_no_side(stored_run, tmp_path):
    for seed in range(3):
        for plain in ("true", "false"):
            score = 0.5 + (0.1 + 0.001 * seed) * (plain == "false")
            stored_run("arch=20", f"plain={plain}", f"seed={seed}", val_accuracy=score)
        stored_run("arch=vgg16", f"seed={seed}", val_accuracy=0.4)
    _write(tmp_path / "main", "residual > plain by 6 points")
    (answer,) = claimed(load(tmp_path / "main")).answers
    assert answer.effect.mean == pytest.approx(0.101) and answer.verdict == HOLDS


def test_an_arm_in_which_a_part_changes_nothing_is_on_no_side(stored_run, tmp_path):
    for seed in range(3):
        for shortcut in ("zero_pad", "projection"):
            score = 0.5 + (0.1 + 0.001 * seed) * (shortcut == "projection")
            stored_run("arch=20", f"shortcut={shortcut}", f"seed={seed}", val_accuracy=score)
        stored_run("arch=20", "plain=true", f"seed={seed}", val_accuracy=0.4)
    _write(tmp_path / "main", "shortcut=projection > shortcut=zero_pad by 6 points")
    (answer,) = claimed(load(tmp_path / "main")).answers
    assert answer.effect.mean == pytest.approx(0.101) and answer.verdict == HOLDS


@pytest.mark.parametrize(
    "claim",
    [
        "clipnorm=1 > clipnorm=null by 6 points",
        "clipnorm=1 > clipnorm=null at recipe=sgd, momentum=0.9",
        "clipnorm=1.0 > clipnorm=null at dataset=digits, dataset.image_size=[8,12]",
    ],
)
def test_levels_are_named_as_they_are_typed(claim, stored_run, tmp_path):
    asked.add(tmp_path / "main", ["recipe.clipnorm"])
    for seed in range(3):
        for norm in ("null", "1"):
            words = f"recipe.clipnorm={norm}", f"seed={seed}", "dataset.image_size=[8,12]"
            stored_run(*words, val_accuracy=0.5 + (0.1 + 0.001 * seed) * (norm == "1"))
    _write(tmp_path / "main", claim)
    (answer,) = claimed(load(tmp_path / "main")).answers
    assert (answer.verdict, answer.reason) == (HOLDS, "")
    assert answer.effect.mean == pytest.approx(0.101)


def test_a_level_that_no_key_has_may_be_held_too(stored_run, tmp_path):
    for seed in range(3):
        for plain in ("true", "false"):
            for norm in ("null", "1"):
                score = 0.5 + (0.1 + 0.001 * seed) * (plain == "false")
                words = f"plain={plain}", f"seed={seed}", f"recipe.clipnorm={norm}"
                stored_run(*words, val_accuracy=score)
    _write(tmp_path / "main", "residual > plain at clipnorm=null", "residual > plain")
    held, several = claimed(load(tmp_path / "main")).answers
    assert (held.verdict, held.reason) == (HOLDS, "")
    assert "say which, such as at recipe.clipnorm=" in several.reason


@pytest.mark.parametrize("held", ["threads=1", "study=main", "design.name=grid"])
def test_what_decides_no_result_is_no_key_of_a_claim(held, config, tmp_path):
    runs = [run_of(config(f"plain={one}")) for one in ("true", "false")]
    known = [(run.described, run.described[RECORD_KEY]["parts"]) for run in runs]

    def check(text):
        running.check(_write(tmp_path, text), tmp_path, known, ["parts.plain"], (), ())

    check("residual > plain at recipe=sgd")
    with pytest.raises(UserError, match="is no key of this study"):
        check(f"residual > plain at {held}")


def test_several_tables_must_be_told_apart(study, stored_run, tmp_path):
    folder = study()
    for part in ("true", "false"):
        for seed in range(6):
            stored_run("arch=20", f"plain={part}", f"seed={seed}", "epochs=9", val_accuracy=0.3)
    _write(folder, "residual > plain", "residual > plain at epochs=5, arch=56")
    said = _said(folder)
    assert "2 tables have these arms; say which, such as at epochs=" in (
        said["residual > plain"].reason
    )
    assert said["residual > plain at epochs=5, arch=56"].verdict == HOLDS


def test_seeds_bought_by_looking_need_more_of_them(study):
    folder = study(seeds=6)
    _write(folder, "residual > plain by 1")
    assert _said(folder)["residual > plain by 1"].verdict == HOLDS
    asked.add(folder, [])
    asked.look(folder, 20, range(6))
    assert _said(folder)["residual > plain by 1"].verdict == OPEN


def test_the_record_says_when(tmp_path):
    folder = tmp_path / "main"
    file = _write(folder, "a > b")
    asked.add(folder, [])
    recorded.register(folder, file, "accuracy")
    recorded.register(folder, file, "accuracy")
    (one,) = recorded.versions(folder)
    assert one.first and one.sentences == ("a > b",) and one.time <= store.now()


def test_a_metric_that_cannot_be_had_any_more_leaves_its_claims_open(study, tmp_path):
    folder = tmp_path / "main"
    file = _write(folder, "residual > plain")
    asked.add(folder, [])
    recorded.register(folder, file, str(tmp_path / "gone.py:f"))
    study()
    (answer,) = claimed(load(folder)).answers
    assert answer.verdict == OPEN and "gone.py" in answer.reason


@pytest.mark.parametrize("others", [(), (9,)])
def test_epochs_are_held_by_what_was_asked_for_though_a_run_failed(stored_run, tmp_path, others):
    for epochs in (5, *others):
        for seed in range(7):
            for plain, score in (("true", 0.5), ("false", 0.6)):
                failed = (seed, plain, epochs) == (6, "true", 5)
                words = f"plain={plain}", f"seed={seed}", f"epochs={epochs}"
                state = store.FAILED if failed else store.COMPLETE
                spread = 0.001 * (seed * 7 % 5) * (1 + (plain == "true"))
                stored_run("arch=20", *words, val_accuracy=score + spread, state=state)
    _write(tmp_path / "main", "residual > plain at epochs=5", "residual > plain")
    said = _said(tmp_path / "main")
    held = said["residual > plain at epochs=5"]
    assert (held.verdict, held.effect.n) == (HOLDS, 6)
    if others:
        assert said["residual > plain"].reason.endswith(("epochs=5", "epochs=9"))

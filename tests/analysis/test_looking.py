import numpy as np
import pytest

from ablation.analysis.looking import look
from ablation.analysis.reading import load
from ablation.analysis.tables import comparison_effects
from ablation.config import ReportConfig, UserError
from ablation.records import asked, store


@pytest.fixture
def study(stored_run, tmp_path):
    """Residual nets gain 20 points at 20 layers and nothing at 56."""

    def write(seeds, *, fails=()):
        rng = np.random.default_rng(0)
        names = []
        for seed in seeds:
            for arch, gain in (("20", 0.2), ("56", 0.0)):
                for part in ("true", "false"):
                    score = 0.5 + gain * (part == "false") + rng.normal(0, 0.01)
                    words = f"arch={arch}", f"plain={part}", f"seed={seed}"
                    state = store.DIVERGED if (arch, part, seed) in fails else store.COMPLETE
                    names.append(stored_run(*words, val_accuracy=score, state=state).name)
        asked.add(tmp_path / "main", ["arch", "parts.plain"])
        asked.look(tmp_path / "main", 20, list(seeds))
        return tmp_path / "main", names

    return write


def _seen(folder, names, **options):
    found = look(folder, ReportConfig(**options), "grid", names)
    return [
        {f"{one.kind} {one.where}".strip() for one in effects}
        for effects in (found.decided, found.waiting, found.given_up)
    ]


def test_what_is_decided_and_what_is_not(study):
    folder, names = study(range(9))
    decided, waiting, given_up = _seen(folder, names)
    assert "contrast arch 20" in decided and "interaction arch 56 against arch 20" in decided
    assert "contrast arch 56" in waiting and not given_up
    decided, waiting, _ = _seen(folder, names, margin=8.0)
    assert "contrast arch 56" in decided and not waiting


def test_nothing_is_decided_by_five_seeds(study):
    folder, names = study(range(5))
    found = look(folder, ReportConfig(), "grid", names)
    assert not found.decided and len(found.waiting) == found.asked == 5


def test_a_question_about_arms_that_the_command_does_not_train_is_not_waited_for(study):
    folder, names = study(range(9))
    own = [name for name in names if name.startswith("20-")]
    assert _seen(folder, own) == [{"contrast arch 20"}, set(), set()]


def test_an_arm_that_always_fails_is_given_up(study):
    folder, names = study(range(3), fails={("56", "false", seed) for seed in range(3)})
    _, waiting, given_up = _seen(folder, names)
    assert waiting == {"contrast arch 20"}
    assert "contrast arch 56" in given_up


def test_a_pair_that_is_missing_is_left_out_of_its_question_alone(study):
    folder, names = study(range(9), fails={("56", "false", 4)})
    found = look(folder, ReportConfig(), "grid", names)
    assert {one.where: one.n for one in found.decided if one.kind == "contrast"} == {"arch 20": 9}
    assert {one.where: one.n for one in found.waiting if one.kind == "contrast"} == {"arch 56": 8}


def test_evidence_goes_by_the_order_of_looking(study):
    folder, _ = study([3, 0, 1, 2])
    (comparison,) = load(folder).comparisons()
    for effect in comparison_effects(comparison):
        assert list(effect.differences.index) == [3, 0, 1, 2]
    # What a later command names comes after what was looked at.
    asked.look(folder, 20, [0, 1, 2, 3, 4])
    assert asked.looked(folder).order == (3, 0, 1, 2, 4)


def test_a_record_that_is_damaged_is_no_licence_to_forget_it(study):
    folder, _ = study(range(3))
    asked.update(folder, "looked", lambda _: {"order": "x"})
    with pytest.raises(UserError, match="looked"):
        load(folder)

import pytest

from ablation import store, study
from ablation.config import UserError


@pytest.fixture
def shortcuts(stored_run, tmp_path):
    for arch in (20, 32):
        stored_run(f"arch={arch}", "plain=true", val_accuracy=0.5)
        stored_run(f"arch={arch}", "shortcut=zero_pad", val_accuracy=0.6)
        stored_run(f"arch={arch}", "shortcut=projection", val_accuracy=0.7)
    return study.load(tmp_path / "main")


def test_the_usual_contrast_is_residual_against_plain(stored_run, tmp_path):
    stored_run("plain=true")
    stored_run("plain=false")
    (found,) = study.load(tmp_path / "main").comparisons()
    assert (found.reference, found.columns, found.rows) == (
        "plain",
        ["plain", "residual"],
        ("arch",),
    )


def test_shortcuts_are_compared_with_none(shortcuts):
    (found,) = shortcuts.comparisons("shortcut")
    assert found.columns == ["none", "zero_pad", "projection"]
    assert found.rows == ("arch",)


def test_another_level_can_be_the_reference(shortcuts):
    (found,) = shortcuts.comparisons("shortcut", "zero_pad")
    assert found.columns == ["zero_pad", "none", "projection"]
    table = shortcuts.table("shortcut", "zero_pad")
    assert table["projection - zero_pad"].tolist() == pytest.approx([0.1, 0.1])


def test_depth_can_be_the_contrast_with_the_nets_as_rows(shortcuts):
    (found,) = shortcuts.comparisons("arch")
    assert found.columns == ["20", "32"]
    assert found.rows == ("net",)
    assert len(shortcuts.table("arch")) == 3


def test_a_swept_number_can_be_the_contrast(stored_run, tmp_path):
    for rate in (0.01, 0.1):
        stored_run(f"recipe.learning_rate={rate}", val_accuracy=rate)
    store.add_factors(tmp_path / "main", ["recipe.learning_rate"])
    (found,) = study.load(tmp_path / "main").comparisons("recipe.learning_rate")
    assert found.columns == ["0.01", "0.1"]
    assert found.rows == ("arch",)


def test_an_unknown_contrast_or_reference_names_the_allowed(shortcuts):
    with pytest.raises(UserError, match=r"report.contrast=epochs.*arch, plain, shortcut"):
        shortcuts.comparisons("epochs")
    with pytest.raises(UserError, match=r"report.reference=big.*none, zero_pad, projection"):
        shortcuts.comparisons("shortcut", "big")


def test_the_study_gives_tables_effects_levels_and_protocols(shortcuts):
    assert shortcuts.levels["shortcut"] == ["none", "zero_pad", "projection"]
    assert shortcuts.reference["shortcut"] == "none" and shortcuts.reference["arch"] == "20"
    assert shortcuts.protocols.tolist() == [6]
    effects = shortcuts.effects()
    assert effects["kind"].value_counts().to_dict() == {
        "contrast": 4,
        "main effect": 3,
        "interaction": 2,
    }
    assert effects.loc[effects["kind"] == "contrast", "mean"].tolist() == pytest.approx(
        [0.1, 0.1, 0.2, 0.2]
    )

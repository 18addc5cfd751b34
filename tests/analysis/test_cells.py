"""Grids of several commands in one table: only what was asked for is a hole or a question."""

import pytest

from ablation.analysis.audit import audit
from ablation.analysis.reading import load
from ablation.analysis.tables import NO_NET, ablation_table, comparison_effects
from ablation.report import notes

FIRST = {"parts.plain": [True, False], "parts.se": [True, False]}
MOMENTUM = {"recipe.momentum": [0.9, 0.0]}
SEEDS = (0, 1, 2)


def _accuracy(levels, seed):
    """Momentum brings 20 points, shortcuts 10 and se 5; its seeds differ by what they are."""
    score = 0.5 + 0.1 * (not levels.get("parts.plain", True)) + 0.05 * levels.get("parts.se", True)
    momentum = levels.get("recipe.momentum", 0.9)
    return score - 0.2 * (momentum == 0.0) + 0.001 * seed * (1 + (momentum == 0.0))


def _read(study):
    (found,) = load(study).comparisons()
    return found, {(one.kind, one.name, one.where): one for one in comparison_effects(found)}


@pytest.fixture
def two_grids(stored_design):
    stored_design("grid", FIRST, _accuracy, "arch=20", seeds=SEEDS)
    fixed = "arch=20", "plain=true", "parts.se=true"
    return stored_design("grid", MOMENTUM, _accuracy, *fixed, seeds=SEEDS)


def test_what_only_two_grids_together_have_room_for_is_no_hole_and_no_question(two_grids):
    found, effects = _read(two_grids)
    assert found.reference == "plain" and len(found.runs) == 15
    assert audit(found).holes == ()
    assert all(one.n == 3 and one.family == 6 for one in effects.values())
    one_row, other = "se true, recipe.momentum 0.9", "se false, recipe.momentum 0.9"
    against = "se true against se false, recipe.momentum 0.9"
    assert sorted(effects) == sorted(
        [
            ("contrast", "residual - plain", one_row),
            ("contrast", "residual - plain", other),
            ("main effect", "residual - plain", "recipe.momentum 0.9"),
            ("main effect", "se true - false", "recipe.momentum 0.9"),
            ("main effect", "recipe.momentum 0.9 - 0.0", "se true, plain"),
            ("interaction", "(residual - plain)", against),
        ]
    )
    momentum = effects["main effect", "recipe.momentum 0.9 - 0.0", "se true, plain"]
    assert momentum.mean == pytest.approx(0.2 - 0.001)
    table = ablation_table(found).set_index("recipe.momentum")
    assert table.loc[0.0, "residual note"] == NO_NET and table.loc[0.0, "plain n"] == 3
    assert notes.shares(found) == ""


def test_a_question_of_a_row_without_the_reference_is_asked(stored_design):
    stored_design("grid", FIRST, _accuracy, "arch=20", seeds=SEEDS)
    fixed = "arch=20", "plain=false", "parts.se=true"
    study = stored_design(
        "grid",
        MOMENTUM,
        lambda levels, seed: _accuracy(levels | {"parts.plain": False}, seed),
        *fixed,
        seeds=SEEDS,
    )
    found, effects = _read(study)
    assert audit(found).holes == () and len(effects) == 6
    assert effects["main effect", "recipe.momentum 0.9 - 0.0", "se true, residual"].n == 3


def test_a_cell_that_one_of_the_grids_has_planned_is_a_hole_and_a_question(stored_design):
    """What was typed for the arm without runs is known by the runs of the other command."""
    stored_design("grid", FIRST, _accuracy, "arch=20", seeds=SEEDS)
    again = {"recipe.momentum": [0.0], "parts.plain": [True, False]}
    fixed = "arch=20", "parts.se=true"
    study = stored_design("grid", again, _accuracy, *fixed, seeds=SEEDS, without=(1,))
    found, effects = _read(study)
    assert audit(found).holes == ("arch 20, se true, recipe.momentum 0.0, residual: missing",)
    asked = effects["contrast", "residual - plain", "se true, recipe.momentum 0.0"]
    assert asked.n == 0 and asked.family == len(effects) == 8
    assert effects["main effect", "se true - false", "recipe.momentum 0.9"].n == 3


def test_runs_that_were_typed_one_by_one_are_joined_with_the_grid(stored_design, stored_run):
    by_net = {"parts.plain": [True, False]}
    study = stored_design("grid", by_net, _accuracy, "arch=20", seeds=SEEDS)
    stored_run("arch=32", "plain=true")
    found, effects = _read(study)
    assert "arch 32, residual: missing" in audit(found).holes
    assert effects["contrast", "residual - plain", "arch 32"].n == 0


def test_grids_that_make_a_wider_one_ask_what_it_asks(stored_design):
    by_net = {"parts.plain": [True, False]}
    for arch in (20, 32):
        study = stored_design("grid", by_net, _accuracy, f"arch={arch}", seeds=SEEDS)
    found, effects = _read(study)
    assert audit(found).holes == ()
    assert {kind for kind, _, _ in effects} == {"contrast", "main effect", "interaction"}
    assert len(effects) == 5 and not any(where for kind, _, where in effects if kind[0] == "m")

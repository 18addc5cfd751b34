"""The arms of a design, from stored runs."""

import math
import shutil
from dataclasses import replace

import pytest

from ablation.analysis import tables
from ablation.analysis.audit import audit
from ablation.analysis.reading import load
from ablation.config import UserError
from ablation.records import asked, durable, store
from ablation.records.asked import Planned
from ablation.report import notes
from ablation.report.cells import arm_cells

NAMED = {
    "parts.plain": [False, True],
    "parts.se": [True, False],
    "parts.norm": ["batch", "group", "none"],
}


def _accuracy(levels, seed):
    """Removing se costs 2 points, plain 10, group 1 and none 20; seeds differ by what they are."""
    score = 0.9 - 0.10 * levels["parts.plain"] - 0.02 * (not levels["parts.se"])
    score -= {"batch": 0, "group": 0.01, "none": 0.2}[levels.get("parts.norm", "batch")]
    return score + 0.001 * seed * (1 + levels["parts.plain"])


def test_leave_one_out(stored_design):
    study = load(stored_design("leave_one_out", NAMED, _accuracy, "arch=20", seeds=range(3)))
    (comparison,) = study.comparisons()
    assert comparison.columns == [
        *["reference", "plain", "without se", "norm: group", "norm: none"]
    ]
    effects = tables.comparison_effects(comparison)
    assert [effect.name for effect in effects] == [
        "plain - reference",
        "without se - reference",
        "norm: group - reference",
        "norm: none - reference",
    ]
    assert [effect.mean for effect in effects] == pytest.approx([-0.099, -0.02, -0.01, -0.2])
    assert {effect.family for effect in effects} == {4}
    assert not audit(comparison).holes
    assert study.table()["arm"].tolist() == comparison.columns


def _effects(study, design=None):
    (comparison,) = load(study).comparisons(design=design)
    return comparison, {effect.name: effect for effect in tables.comparison_effects(comparison)}


def test_add_one(stored_design):
    study = stored_design("add_one", NAMED, _accuracy, "arch=20")
    comparison, effects = _effects(study)
    assert comparison.columns == [
        *["stripped", "only residual", "only se", "only norm: batch", "only norm: group"]
    ]
    assert effects["only residual - stripped"].mean == pytest.approx(0.1)
    assert effects["only norm: group - stripped"].mean == pytest.approx(0.19)


def test_both_asks_where_parts_do_not_add_up(stored_design):
    named = {"parts.se": [True, False], "parts.norm": ["batch", "none"]}

    def accuracy(levels, seed):
        # se brings 2 points with batch norm and 5 without.
        se = 0.02 if levels["parts.norm"] == "batch" else 0.05
        return 0.5 + se * levels["parts.se"] + 0.2 * (levels["parts.norm"] == "batch")

    study = stored_design("both", named, accuracy, "arch=20")
    comparison, effects = _effects(study)
    found = tables.interactions_table(comparison).set_index("factor")
    assert list(found.index) == ["se", "norm"]
    assert found["added"].tolist() == pytest.approx([0.05, 0.20])
    assert found["left_out"].tolist() == pytest.approx([0.02, 0.17])
    # Of two parts it is one question, whose answer stands in both rows.
    assert found["interaction"].tolist() == pytest.approx([0.03, 0.03])
    assert {effect.family for effect in effects.values()} == {5}
    # An addition is called after what is added, not after what the reference would lack.
    assert list(effects) == [
        "without se - reference",
        "norm: none - reference",
        "only se - stripped",
        "only norm: batch - stripped",
        "(only se − stripped) - (reference − without se)",
    ]
    assert effects["only norm: batch - stripped"].mean == pytest.approx(0.20)
    # With two parts an arm is without the one and has the other alone; its row says the former.
    table = tables.arms_table(comparison).set_index("arm")
    assert table["difference"].dropna().tolist() == pytest.approx([-0.02, -0.17])


def test_a_part_may_be_called_like_a_column(stored_design, tmp_path, monkeypatch):
    (tmp_path / "named.py").write_text(
        "def build(input_shape, classes, *, mean: bool = True, kind: int = 1): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    named = {"parts.mean": [True, False], "parts.kind": [1, 2, 3]}
    study = stored_design("leave_one_out", named, lambda *_: 0.5, "arch=named.py:build")
    (comparison,) = load(study).comparisons()
    table = tables.arms_table(comparison)
    assert table["mean"].tolist() == [0.5] * 4
    assert table["level of kind"].tolist() == ["1", "1", "2", "3"]


def test_cumulative(stored_design):
    named = {"parts.plain": [True, False], "parts.se": [False, True]}
    study = stored_design("cumulative", named, _accuracy, "arch=20", seeds=(0, 1, 2))
    comparison, _ = _effects(study)
    table = tables.arms_table(comparison)
    assert table["arm"].tolist() == ["reference", "residual", "with se"]
    assert table["difference"].tolist()[1:] == pytest.approx([0.099, 0.02])
    assert table["total"].tolist()[1:] == pytest.approx([0.099, 0.119])
    assert [effect.kind for effect in tables.comparison_effects(comparison)] == [
        *["step", "step", "total"]
    ]


def test_a_total_of_fewer_seeds_than_its_row_says_of_how_many(stored_design):
    named = {"parts.plain": [True, False], "parts.se": [False, True]}
    stored_design("cumulative", named, _accuracy, "arch=20", seeds=(0, 1, 2))
    study = stored_design("cumulative", named, _accuracy, "arch=20", seeds=(3,), without=(0,))
    comparison, _ = _effects(study)
    assert tables.arms_table(comparison)["n"].tolist() == [3, 4, 4]
    shown = arm_cells(comparison)
    totals = [row[list(shown.header).index("total")] for row in shown.rows]
    assert totals == ["", "+9.90 (n=3)", "+11.90 (n=3)"]


@pytest.mark.parametrize("design", ["leave_one_out", "add_one", "both", "cumulative"])
def test_a_complete_design_has_no_holes(stored_design, design):
    study = stored_design(design, NAMED, _accuracy, "arch=20", seeds=(0, 1))
    comparison, effects = _effects(study)
    assert comparison.design == design
    assert audit(comparison).holes == ()
    assert all(effect.n == 2 for effect in effects.values())


def test_an_arm_without_runs_is_a_hole_and_its_question_stays(stored_design):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20", without=(2,))
    comparison, effects = _effects(study)
    assert audit(comparison).holes == ("arch 20, without se: missing",)
    assert effects["without se - reference"].n == 0
    assert {effect.family for effect in effects.values()} == {4}


def test_arms_that_come_to_one_net_are_one_arm(stored_design):
    named = {"parts.plain": [True, False], "parts.zero_init_residual": [False, True]}
    # A plain net has no residual branch whose last norm could start at zero.
    study = stored_design("leave_one_out", named, lambda levels, seed: 0.5, "arch=20")
    comparison, effects = _effects(study)
    assert comparison.columns == ["reference", "residual"]
    assert list(effects) == ["residual - reference"]


def test_arms_that_are_one_net_on_one_data_set_may_be_two_on_another(stored_run, tmp_path):
    def named(*words):
        return stored_run("arch=20", *words).name

    digits, mnist = "dataset=digits", "dataset=mnist"
    plain = named(digits, "plain=true")
    runs = (
        (named(digits), named(mnist)),
        (plain, named(mnist, "plain=true")),
        (plain, named(mnist, "parts.se=true")),
    )
    levels = {"parts.plain": ("false", "true"), "parts.se": ("false", "true")}
    study = tmp_path / "main"
    asked.add(study, list(levels), planned=Planned("leave_one_out", levels, (), {}, runs))
    first, second = load(study).comparisons(design="leave_one_out")
    assert [one.dataset for one in (first, second)] == ["digits", "mnist"]
    assert len(first.arms) == 2 and len(second.arms) == 3
    assert len(first.runs) == 2 and len(second.runs) == 3
    assert not audit(second).holes


def test_a_net_that_does_not_exist_is_no_arm(stored_design, stored_run, tmp_path):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20")
    (run,) = study.glob("20-plain*")
    store.write_status(run, store.Status().begun().ended(store.REFUSED, "not with these"))
    comparison, effects = _effects(study)
    assert "plain" not in comparison.columns
    assert len(effects) == 3 and not audit(comparison).holes


def test_a_study_grows_from_one_design_into_a_wider_one(stored_design):
    named = {"parts.plain": [False, True], "parts.se": [True, False]}
    narrow = {key: known[:2] for key, known in named.items()}
    accuracy = lambda levels, seed: 0.5 + 0.1 * levels["parts.se"]  # noqa: E731
    study = stored_design("leave_one_out", narrow, accuracy, "arch=20")
    assert load(study).comparisons()[0].design == "leave_one_out"
    # The command for the grid begins: three of its four arms are there already.
    plans = asked.designs(study)
    arms = [
        *plans[0].runs[:1],
        plans[0].runs[2],
        plans[0].runs[1],
        ("20-plain-digits-s0-00000000",),
    ]
    grid = Planned("grid", named, (), {}, tuple(arms))
    asked.add(study, list(named), planned=grid)
    assert load(study).comparisons()[0].design == "leave_one_out"
    run = next(study.glob("20-plain*"))
    copy = study / "20-plain-digits-s0-00000000"
    shutil.copytree(run, copy)
    config = store.Stored(copy).config()
    parts = config["parts"] | {"se": False}
    durable.write_yaml(copy / "config.yaml", config | {"parts": parts})
    assert load(study).comparisons()[0].design == "grid"
    assert load(study).comparisons(design="leave_one_out")[0].design == "leave_one_out"


def test_any_design_can_be_asked_of_a_grid(stored_run, tmp_path):
    for plain in ("true", "false"):
        for se in ("true", "false"):
            stored_run("arch=20", f"plain={plain}", f"parts.se={se}")
    comparison, effects = _effects(tmp_path / "main", "leave_one_out")
    # The reference of each part is its network's own.
    assert comparison.columns == ["reference", "residual", "with se"]
    assert list(effects) == ["residual - reference", "with se - reference"]


def test_a_net_without_a_part_is_no_level_of_it(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}")
    stored_run("arch=vgg16")
    comparison, effects = _effects(tmp_path / "main", "leave_one_out")
    assert list(effects) == ["arch: vgg16 - reference", "residual - reference"]
    assert len(comparison.runs) == 3 and comparison.columns[0] == "reference"


def test_a_design_needs_something_to_compare(stored_run, tmp_path):
    stored_run("arch=20")
    with pytest.raises(UserError, match="no factor of this study has two levels"):
        load(tmp_path / "main").comparisons(design="add_one")


def test_two_commands_that_differ_in_seeds_are_one_design(stored_design):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20", seeds=(0,))
    (before,) = asked.designs(study)
    after = replace(before, runs=(("x",),) * len(before.runs))
    asked.add(study, [], planned=after)
    (found,) = asked.designs(study)
    assert [len(names) for names in found.runs] == [2] * len(before.runs)


def _of_seed(levels, seed):
    return 0.5 + 0.01 * seed


@pytest.mark.parametrize("design", ["leave_one_out", "add_one", "both", "grid"])
def test_in_which_order_factors_are_named_makes_no_other_design(stored_design, design):
    """Of each factor the first level is still the first, and the last the last."""
    named = NAMED | {"parts.norm": ["batch", "group", "layer", "none"]}
    again = {key: named[key] for key in reversed(named)}
    again["parts.norm"] = ["batch", "layer", "group", "none"]
    stored_design(design, named, _of_seed, "arch=20", seeds=(0,))
    study = stored_design(design, again, _of_seed, "arch=20", seeds=(1, 2))
    (found,) = asked.designs(study)
    assert list(found.levels) == list(again)
    (one,) = load(study).comparisons(design=design)
    for arm, names in zip(found.arms, found.runs, strict=True):
        levels = one.runs.loc[one.runs["run"].isin(names), ["parts.plain", "parts.norm"]]
        assert len(names) == 3 and len(levels.drop_duplicates()) == 1
        assert levels["parts.norm"].iloc[0] == arm.levels["parts.norm"]


@pytest.mark.parametrize(
    ("design", "levels", "asks_the_same"),
    [
        ("leave_one_out", ["group", "batch", "none"], False),
        ("leave_one_out", ["batch", "none", "group"], True),
        ("add_one", ["group", "batch", "none"], True),
        ("add_one", ["batch", "none", "group"], False),
        ("both", ["group", "batch", "none"], False),
        ("both", ["batch", "none", "group"], False),
        ("grid", ["group", "none", "batch"], True),
        ("cumulative", ["batch", "none", "group"], False),
    ],
)
def test_which_level_is_the_first_or_the_last_makes_another_design(design, levels, asks_the_same):
    one = Planned(design, {"parts.norm": ("batch", "group", "none")}, (), {}, ())
    other = Planned(design, {"parts.norm": tuple(levels)}, (), {}, ())
    assert (one.asks == other.asks) == asks_the_same


@pytest.mark.parametrize(
    ("key", "levels", "others", "asks_the_same"),
    [
        ("recipe.mixup", ("0", "0.2"), ("0.0", "2e-1"), True),
        ("parts.plain", ("true", "false"), ("yes", "no"), True),
        ("parts.plain", ("true", "false"), ("1", "0"), True),
        ("parts.plain", ("true", "false"), ("false", "true"), False),
        ("recipe.mixup", ("0", "0.2"), ("0", "0.3"), False),
        ("parts.kind", ("1", "true"), ("true", "1"), False),
    ],
)
@pytest.mark.parametrize("design", ["leave_one_out", "cumulative"])
def test_a_level_may_be_typed_in_several_ways(design, key, levels, others, asks_the_same):
    fixed = {"arch": "net.py:build"}, {"arch": "./net.py:build"}
    one = Planned(design, {key: levels}, (), fixed[0], (("a",), ("b",)))
    other = Planned(design, {key: others}, (), fixed[1], (("c",), ("d",)))
    assert (one.asks == other.asks) == asks_the_same
    if asks_the_same:
        assert one.joined(other).runs == (("a", "c"), ("b", "d"))


def test_a_roadmap_is_of_the_order_in_which_its_steps_are_named():
    levels = {"parts.plain": (False, True), "parts.se": (True, False)}
    one = Planned("cumulative", levels, (), {}, ())
    other = Planned("cumulative", {key: levels[key] for key in reversed(levels)}, (), {}, ())
    assert one.asks != other.asks


def test_each_data_set_and_each_protocol_has_its_own_table(stored_design):
    stored_design("leave_one_out", NAMED, _accuracy, "arch=20", "epochs=2")
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20", "epochs=3")
    found = load(study).comparisons()
    assert [one.protocol for one in found] == [{"epochs": 2}, {"epochs": 3}]
    assert all(len(one.arms) == 5 and not audit(one).holes for one in found)


def test_levels_of_two_parts_named_alike_are_two_arms(stored_design, tmp_path, monkeypatch):
    labels = '{True: "on", False: "off"}'
    (tmp_path / "alike.py").write_text(
        f"PARTS = {{'a': {{'labels': {labels}}}, 'b': {{'labels': {labels}}}}}\n"
        "def build(input_shape, classes, *, a: bool = True, b: bool = True): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    named = {"parts.a": [True, False], "parts.b": [True, False]}
    score = lambda levels, seed: 0.5 + 0.1 * levels["parts.a"]  # noqa: E731
    study = stored_design("leave_one_out", named, score, "arch=alike.py:build")
    comparison, effects = _effects(study)
    assert comparison.columns == ["reference", "off", "b: off"]
    assert [effect.mean for effect in effects.values()] == pytest.approx([-0.1, 0])


def test_a_part_that_is_on_or_off_has_a_tick_though_its_levels_have_names(stored_design):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20")
    (comparison,) = load(study).comparisons()
    switches = {str(arm.name): dict(arm.switches) for arm in comparison.arms}
    assert switches["reference"] == {"plain": False, "se": True}
    assert switches["plain"] == {"plain": True, "se": True}
    assert switches["without se"] == {"plain": False, "se": False}


@pytest.mark.parametrize("change", [{"design": "latin_square"}, {"runs": [["a"]]}, {"levels": 3}])
def test_a_design_that_is_damaged_or_of_a_later_edition_costs_no_report(stored_design, change):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20")
    content = durable.read_json(study / "study.json")
    content["designs"][0] |= change
    durable.write_json(study / "study.json", content)
    assert asked.designs(study) == []
    assert load(study).comparisons()[0].design == "grid"


def test_runs_that_a_grid_has_planned_and_not_trained_are_holes(stored_run, tmp_path):
    run = stored_run("arch=20", "plain=true")
    other = run.name.replace("plain", "residual")
    levels = {"parts.plain": (True, False)}
    asked.add(
        tmp_path / "main",
        ["parts.plain"],
        planned=Planned("grid", levels, (), {}, ((run.name,), (other,))),
    )
    (comparison,) = load(tmp_path / "main").comparisons()
    assert audit(comparison).holes == (f"planned and not trained yet: {other}",)


def test_what_an_edit_made_obsolete_before_it_was_trained_is_no_hole(stored_run, tmp_path):
    study = tmp_path / "main"
    run = stored_run("arch=20", "plain=true")
    levels = {"parts.plain": (True, False)}
    before = Planned("grid", levels, (), {}, ((run.name,), ("20-residual-digits-s0-00000000",)))
    asked.add(study, [], planned=before)
    asked.add(study, [], planned=Planned("grid", levels, (), {}, ((run.name,), ("new",))))
    (found,) = asked.designs(study)
    assert found.runs == ((run.name,), ("new",))


def test_runs_beside_the_design_that_is_shown_are_told(stored_design, stored_run):
    study = stored_design("leave_one_out", NAMED, _accuracy, "arch=20")
    for plain in ("true", "false"):
        stored_run("arch=32", f"plain={plain}")
    loaded = load(study)
    (note,) = notes.outside(loaded, loaded.comparisons())
    assert note.lead == "Shown is leave_one_out,"
    assert "2 runs beside it: report.design=grid" in note.text
    assert notes.outside(loaded, loaded.comparisons(design="grid")) == []


def test_parts_that_are_one_net_with_the_reference_ask_no_interaction(stored_design):
    # A plain net has neither shortcuts nor branches to drop: all of it is one stripped net.
    named = {
        "parts.plain": [True, False],
        "parts.shortcut": ["zero_pad", "projection"],
        "parts.stochastic_depth": [0, 0.2],
    }
    study = stored_design("both", named, lambda levels, seed: 0.5 + 0.01 * seed, "arch=20")
    comparison, _ = _effects(study)
    assert all(len(question.terms) in (2, 4) for question in comparison.asked)
    table = tables.interactions_table(comparison)
    assert len(table) == sum(question.kind == "interaction" for question in comparison.asked)
    assert len(tables.arms_table(comparison)) == len(comparison.arms)


def test_nets_beside_a_design_that_differ_among_themselves_are_no_row(stored_design, stored_run):
    def written(*levels):
        for seed, se in enumerate(levels):
            stored_run("arch=56", f"parts.se={se}", f"seed={seed}")

    named = {"parts.plain": [False, True]}
    study = stored_design("leave_one_out", named, lambda levels, seed: 0.5, "arch=20")
    written("true", "false")
    asked.add(study, ["parts.se"])
    comparison, _ = _effects(study, "leave_one_out")
    assert "56" not in comparison.columns


def test_a_net_beside_a_design_is_a_row(stored_design, stored_run):
    named = {"parts.plain": [False, True]}
    study = stored_design("leave_one_out", named, lambda levels, seed: 0.5, "arch=20")
    for seed in (0, 1):
        stored_run("arch=56", f"seed={seed}")
    comparison, _ = _effects(study, "leave_one_out")
    assert comparison.columns[-1] == "56"


_BOTH = {"parts.plain": [False, True], "parts.se": [True, False], "parts.norm": ["batch", "group"]}


def _of_both(levels, seed):
    residual = not levels["parts.plain"]
    score = 0.5 + 0.2 * residual + 0.03 * levels["parts.se"] * (1 + residual)
    return score + 0.05 * (levels["parts.norm"] == "batch") + 0.001 * seed


def test_an_arm_without_runs_takes_no_interaction_of_another_factor(stored_design):
    # Without the sixth, which only has se.
    study = stored_design("both", _BOTH, _of_both, "arch=20", seeds=range(3), without=[6])
    (comparison,) = load(study).comparisons()
    assert comparison.columns[5:] == ["only residual", "only se", "only norm: batch"]
    table = tables.interactions_table(comparison).set_index("factor")
    assert list(table.index) == ["net", "se", "norm"]
    assert table.loc["net", ["added", "left_out"]].tolist() == pytest.approx([0.2, 0.23])
    assert table.loc["norm", ["added", "left_out"]].tolist() == pytest.approx([0.05, 0.05])
    assert table.loc["se", "pairs"] == 0 and math.isnan(table.loc["se", "added"])


def test_an_arm_without_runs_is_called_what_its_runs_will_be(stored_design):
    named = {"parts.plain": [False, True], "parts.shortcut": ["zero_pad", "projection"]}
    named["parts.se"] = [False, True]

    def score(levels, seed):
        return 0.5 + 0.1 * levels["parts.se"] + 0.001 * seed

    study = stored_design("leave_one_out", named, score, "arch=20", seeds=range(3), without=[1, 2])
    (comparison,) = load(study).comparisons()
    assert comparison.columns == ["reference", "plain", "projection", "with se"]
    shown = [arm.levels for arm in comparison.arms]
    assert shown[1]["net"] == "plain"
    assert shown[1]["shortcut"] == "none"  # A plain net has none, whatever is asked for.


@pytest.mark.parametrize("first", ["parts.plain", "parts.shortcut"])
def test_a_part_within_another_hides_no_name_of_what_is_added(stored_design, first):
    named = {"parts.plain": [False, True], "parts.shortcut": ["projection", "zero_pad"]}
    named = {first: named[first]} | named | {"parts.se": [True, False]}

    def score(levels, seed):
        residual = not levels["parts.plain"]
        projected = residual and levels["parts.shortcut"] == "projection"
        return 0.5 + 0.2 * residual + 0.03 * levels["parts.se"] + 0.05 * projected + 0.001 * seed

    (comparison,) = load(
        stored_design("both", named, score, "arch=20", seeds=range(3))
    ).comparisons()
    effects = tables.comparison_effects(comparison)
    added = {one.minuend: one.mean for one in effects if one.kind == "addition"}
    assert added == pytest.approx({"only residual": 0.2, "only se": 0.03})
    table = tables.interactions_table(comparison).set_index("factor")
    assert table.loc["net", ["added", "left_out"]].tolist() == pytest.approx([0.2, 0.25])
    assert table.loc["se", ["added", "left_out"]].tolist() == pytest.approx([0.03, 0.03])
    assert set(table.index) == {"net", "se"}


def test_levels_that_differ_in_the_last_digit_are_arms_of_their_own(stored_design):
    rates = {0.1: 0.5, 0.10000001: 0.6, 0.10000002: 0.7, 0.10000003: 0.8}
    study = stored_design(
        "leave_one_out",
        {"recipe.learning_rate": list(rates)},
        lambda levels, seed: rates[levels["recipe.learning_rate"]] + 0.001 * seed,
        "arch=20",
        seeds=range(3),
    )
    (comparison,) = load(study).comparisons()
    means = comparison.complete.groupby("column", observed=True)["score"].mean()
    assert sorted(means) == pytest.approx([score + 0.001 for score in rates.values()])
    assert "learning_rate: 0.10000003" in comparison.columns

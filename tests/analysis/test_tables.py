import shutil

import numpy as np
import pytest

from ablation.analysis import reading, tables
from ablation.analysis.claims import Claimed
from ablation.records import asked, store
from ablation.report import markdown
from ablation.report.conditions import condition_cells


def _comparison(folder, position=0):
    return reading.load(folder / "main").comparisons()[position]


def test_the_table_has_a_row_an_arch_and_the_paired_difference(stored_run, tmp_path):
    stored_run("arch=50", "plain=true", val_accuracy=0.2)
    stored_run("arch=50", "plain=false", val_accuracy=0.7)
    stored_run("arch=34", "plain=true", val_accuracy=0.6)
    stored_run("arch=34", "plain=false", val_accuracy=0.9)
    table = tables.ablation_table(_comparison(tmp_path))
    assert table["arch"].tolist() == ["34", "50"]
    np.testing.assert_allclose(table["plain"], [0.6, 0.2])
    np.testing.assert_allclose(table["residual - plain"], [0.3, 0.5])
    assert table["residual - plain n"].tolist() == [1, 1]


def test_the_difference_pairs_seeds_and_leaves_out_those_without_a_partner(stored_run, tmp_path):
    for seed, plain, residual in ((0, 0.1, 0.4), (1, 0.3, 0.5)):
        stored_run("plain=true", f"seed={seed}", val_accuracy=plain)
        stored_run("plain=false", f"seed={seed}", val_accuracy=residual)
    stored_run("plain=false", "seed=2", val_accuracy=0.9)
    row = tables.ablation_table(_comparison(tmp_path)).iloc[0]
    assert row["plain"] == pytest.approx(0.2)
    assert row["residual"] == pytest.approx(0.6)
    assert (row["plain n"], row["residual n"], row["residual - plain n"]) == (2, 3, 2)
    assert row["residual - plain"] == pytest.approx(0.25)
    assert row["plain sd"] == pytest.approx(np.std([0.1, 0.3], ddof=1))


def test_missing_failed_and_diverged_cells_stay_and_are_named(stored_run, tmp_path):
    stored_run("arch=34", "plain=true", state=store.FAILED, reason="out of memory")
    stored_run("arch=34", "plain=false", val_accuracy=0.9)
    stored_run("arch=50", "plain=false", state=store.DIVERGED, reason="loss became nan")
    loaded = reading.load(tmp_path / "main")
    text = markdown.report(loaded, loaded.comparisons(), [[]], [[]], Claimed(()))
    rows = [line for line in text.splitlines() if line.startswith(("| 34 ", "| 50 "))]
    row34, row50 = rows[:2]
    assert "failed" in row34 and "90.00 (n=1)" in row34
    assert "missing" in row50 and "diverged" in row50
    assert "out of memory" in text and "loss became nan" in text


def test_a_cell_with_some_failed_seeds_says_so(stored_run, tmp_path):
    stored_run("seed=0", val_accuracy=0.8)
    stored_run("seed=1", state=store.FAILED, reason="killed")
    row = tables.ablation_table(_comparison(tmp_path)).iloc[0]
    assert (row["residual n"], row["residual note"]) == (1, "1 failed")


def test_each_data_set_and_protocol_has_its_own_table(stored_run, tmp_path):
    stored_run()
    stored_run("epochs=6")
    stored_run("dataset=mnist")
    found = reading.load(tmp_path / "main").comparisons()
    assert sorted((c.dataset, tuple(c.protocol.items())) for c in found) == [
        ("digits", (("epochs", 5),)),
        ("digits", (("epochs", 6),)),
        ("mnist", ()),
    ]


def test_several_shortcuts_are_columns_beside_one_plain(stored_run, tmp_path):
    stored_run("arch=20", "plain=true", val_accuracy=0.5)
    stored_run("arch=20", "shortcut=zero_pad", val_accuracy=0.6)
    stored_run("arch=20", "shortcut=projection", val_accuracy=0.7)
    table = tables.ablation_table(_comparison(tmp_path))
    assert len(table) == 1
    assert table["residual zero_pad - plain"][0] == pytest.approx(0.1)
    assert table["residual projection - plain"][0] == pytest.approx(0.2)


def test_auto_shortcuts_of_two_families_share_one_column(stored_run, tmp_path):
    stored_run("arch=20")
    stored_run("arch=34")
    (found,) = reading.load(tmp_path / "main").comparisons("plain")
    assert found.columns == ["residual"]


def test_another_factor_makes_rows(stored_run, tmp_path):
    for preact in ("true", "false"):
        for plain in ("true", "false"):
            stored_run("arch=20", f"preact={preact}", f"plain={plain}")
    table = tables.ablation_table(_comparison(tmp_path))
    assert table[["arch", "preact"]].to_numpy().tolist() == [["20", "false"], ["20", "true"]]


def test_the_cost_table_holds_complete_cells_only(stored_run, tmp_path):
    stored_run("plain=true", trainable=10, seconds_per_epoch=2.0)
    stored_run("plain=true", "seed=1", trainable=10, seconds_per_epoch=4.0)
    stored_run("plain=false", state=store.FAILED)
    table = tables.cost_table(_comparison(tmp_path))
    assert table["column"].tolist() == ["plain"]
    assert table["parameters"].tolist() == [10]
    assert table["seconds_per_epoch"].tolist() == [3.0]


def test_one_seed_has_no_spread_and_several_show_theirs(stored_run, tmp_path):
    stored_run("seed=0", val_accuracy=0.8)
    assert "±" not in markdown.accuracy(_comparison(tmp_path))
    stored_run("seed=1", val_accuracy=0.9)
    text = markdown.accuracy(_comparison(tmp_path))
    assert "85.00 ± 7.07 (n=2)" in text


def test_a_key_is_compared_where_no_part_varies(stored_run, tmp_path):
    for rate in (0.1, 0.2):
        stored_run("arch=20", f"recipe.learning_rate={rate}")
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    text = markdown.accuracy(_comparison(tmp_path))
    assert "learning_rate 0.2 - 0.1" in text.replace("−", "-")
    (found,) = reading.load(tmp_path / "main").comparisons("plain")
    text = markdown.accuracy(found)
    assert "All runs have one level of net" in text
    assert "report.contrast=recipe.learning_rate" in text


def test_the_conditions_name_every_part_of_the_networks(stored_run, tmp_path):
    stored_run("plain=true")
    stored_run("plain=false", "parts.norm=group")
    loaded = reading.load(tmp_path / "main")
    (found,) = loaded.comparisons("plain")
    rows = [line.split("|") for line in markdown.conditions(loaded, found).splitlines()]
    values = {row[1].strip(): row[2].strip() for row in rows}
    assert values["parts.plain"] == "plain, residual"
    assert values["parts.shortcut"] == "projection"
    assert values["parts.norm"] == "batch, group"
    assert "parts.stride_on" not in values


def test_the_part_that_varies_is_compared_unasked(stored_run, tmp_path):
    for shortcut in ("zero_pad", "projection"):
        stored_run("arch=20", f"shortcut={shortcut}")
    found = _comparison(tmp_path)
    assert (found.contrast, found.columns) == ("shortcut", ["zero_pad", "projection"])


def test_levels_that_do_not_speak_for_themselves_are_named(stored_run, tmp_path):
    for preact in ("true", "false"):
        stored_run("arch=20", f"preact={preact}")
    (found,) = reading.load(tmp_path / "main").comparisons("preact")
    assert "preact true − false" in markdown.accuracy(found)
    (effect,) = tables.comparison_effects(found)
    assert effect.sentence().startswith("preact true minus false: ")


def test_a_complete_run_without_what_a_metric_needs_is_named(stored_run, tmp_path):
    stored_run("arch=20", "plain=true")
    stored_run("arch=20", "plain=false")
    study = reading.load(tmp_path / "main").measured("log_loss")
    (comparison,) = study.comparisons()
    row = tables.ablation_table(comparison).iloc[0]
    assert (row["plain n"], row["plain note"]) == (0, "without a score")
    assert "no seed has a score of every net" in study.effects()["sentence"][0]
    (problem,) = study.problems
    assert problem.startswith("log_loss: 2 of 2 complete runs have no readable predictions (")


def test_added_alone_and_left_out_are_of_the_seeds_that_have_both(stored_design):
    def scores(levels, seed):
        alone = {(True, True): 0.9, (True, False): 0.7, (False, True): 0.6, (False, False): 0.5}
        found = alone[levels["parts.se"], levels["parts.norm"] == "batch"]
        return found + (0.1 if seed == 2 and not levels["parts.se"] else 0)

    named = {"parts.se": [True, False], "parts.norm": ["batch", "none"]}
    study = stored_design("both", named, scores, "arch=20", seeds=range(3))
    runs = reading.load(study).comparisons()[0].runs
    (gone,) = runs[(runs["seed"] == 2) & (runs["column"] == "without se")]["run"]
    shutil.rmtree(study / gone)
    (comparison,) = reading.load(study).comparisons()
    table = tables.interactions_table(comparison).set_index("factor")
    for _, row in table.iterrows():
        assert row["interaction"] == pytest.approx(row["added"] - row["left_out"])


@pytest.mark.parametrize("kind", ["images", "tokens", "features"])
def test_the_conditions_name_no_key_that_a_kind_has_no_use_for(stored_run, tmp_path, kind):
    stored_run("arch=20", "dataset=function", "dataset.name=net.py:load", kind=kind)
    study = reading.load(tmp_path / "main")
    (comparison,) = study.comparisons()
    names = {name for name, _ in condition_cells(study, comparison).rows}
    assert ("dataset.resize" in names) == (kind == "images")
    assert {"dataset.name", "recipe.optimizer"} <= names

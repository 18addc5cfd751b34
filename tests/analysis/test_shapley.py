"""Shares of parts: by hand, and what makes a Shapley value one."""

import itertools

import numpy as np
import pytest

from ablation.analysis.reading import load
from ablation.analysis.shapley import shapley_table, shares
from ablation.records import asked
from ablation.report import notes
from ablation.report.write import write_report


def _random(parts, seeds=3):
    rng = np.random.default_rng(parts)
    combinations = itertools.product((False, True), repeat=parts)
    return {there: rng.random(seeds) for there in combinations}


def test_two_parts_by_hand():
    scores = {(False, False): 10, (True, False): 14, (False, True): 12, (True, True): 20}
    scores = {key: np.array([value]) for key, value in scores.items()}
    # First: 4 or 8, so 6. Second: 2 or 6, so 4.
    assert shares(scores, 2)[:, 0].tolist() == [6, 4]


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_the_shares_add_up_to_what_all_bring(parts):
    scores = _random(parts)
    whole = scores[(True,) * parts] - scores[(False,) * parts]
    np.testing.assert_allclose(shares(scores, parts).sum(axis=0), whole)


@pytest.mark.parametrize("parts", [2, 3])
def test_it_is_the_mean_over_all_orders(parts):
    scores = _random(parts)
    found = np.zeros((parts, 3))
    orders = list(itertools.permutations(range(parts)))
    for order in orders:
        there = [False] * parts
        for part in order:
            before = scores[tuple(there)]
            there[part] = True
            found[part] += (scores[tuple(there)] - before) / len(orders)
    np.testing.assert_allclose(shares(scores, parts), found)


def test_of_a_full_grid_of_two_levels_each(stored_run, tmp_path):
    score = {("20", "true"): 0.5, ("20", "false"): 0.6, ("32", "true"): 0.4, ("32", "false"): 0.9}
    for (arch, plain), value in score.items():
        stored_run(f"arch={arch}", f"plain={plain}", val_accuracy=value)
    (comparison,) = load(tmp_path / "main").comparisons()
    table = shapley_table(comparison)
    assert table["factor"].tolist() == ["arch", "net"]
    assert table["change"].tolist() == ["20 to 32", "plain to residual"]
    # Depth: -0.1 or +0.3. The shortcut: 0.1 or 0.5.
    assert table["share"].tolist() == pytest.approx([0.1, 0.3])
    assert table["share"].sum() == pytest.approx(0.9 - 0.5)


def test_not_of_a_grid_with_a_hole(stored_run, tmp_path):
    for arch, plain in (("20", "true"), ("20", "false"), ("32", "true")):
        stored_run(f"arch={arch}", f"plain={plain}")
    (comparison,) = load(tmp_path / "main").comparisons()
    assert shapley_table(comparison).empty
    assert "no seed has a score in every cell" in notes.shares(comparison)
    assert "Shares" in (page := _page(tmp_path / "main"))
    assert 'id="shares-table-0"' not in page


def _page(study):
    write_report(study)
    return (study / "report.html").read_text()


def test_levels_that_are_numbers_have_their_order(stored_run, tmp_path):
    for epochs in (10, 5):
        for plain in ("true", "false"):
            stored_run(f"epochs={epochs}", f"plain={plain}")
    asked.add(tmp_path / "main", ["epochs"])
    (comparison,) = load(tmp_path / "main").comparisons()
    table = shapley_table(comparison)
    assert table.set_index("factor")["change"]["epochs"] == "5 to 10"

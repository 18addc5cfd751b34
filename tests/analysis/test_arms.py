"""The arms of a design, from stored runs."""

import pytest

from ablation.analysis import tables
from ablation.analysis.audit import audit
from ablation.analysis.study import load

NAMED = {
    "parts.plain": [False, True],
    "parts.se": [True, False],
    "parts.norm": ["batch", "group", "none"],
}


def _accuracy(levels, seed):
    """Removing se costs 2 points, plain 10, group 1 and none 20; seeds differ by what they are."""
    score = 0.9 - 0.10 * levels["parts.plain"] - 0.02 * (not levels["parts.se"])
    score -= {"batch": 0, "group": 0.01, "none": 0.2}[levels["parts.norm"]]
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

"""Which levels go together, read off what is on record of the networks."""

import pytest

from ablation.factors import ABSENT, Label, labels, of_parts, usual_contrast, varying_within

NET = {
    "plain": {
        "title": "net", "levels": [True, False], "labels": [[True, "plain"], [False, "residual"]],
        "elsewhere": "-", "reference": True, "applies": {},
    },
    "kind": {
        "title": "kind", "levels": ["a", "b"], "labels": [], "elsewhere": "none",
        "reference": "a", "applies": {"plain": [False]},
    },
    "rate": {
        "title": "rate", "levels": [], "labels": [], "elsewhere": "-", "reference": 0.0,
        "applies": {},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "cell", "fits"),
    [
        ("kind", {"arch": "x", "parts.kind": "a", "parts.plain": "residual"}, True),
        ("kind", {"arch": "x", "parts.kind": "a", "parts.plain": "plain"}, False),
        ("kind", {"arch": "x", "parts.kind": "none", "parts.plain": "plain"}, True),
        ("kind", {"arch": "x", "parts.kind": "none", "parts.plain": "residual"}, False),
        ("kind", {"arch": "x", "parts.kind": "none"}, True),
        ("kind", {"arch": "x", "parts.kind": "c", "parts.plain": "residual"}, False),
        ("kind", {"arch": "y", "parts.kind": ABSENT}, True),
        ("kind", {"arch": "y", "parts.kind": "a"}, False),
        ("kind", {"parts.kind": "a"}, True),
        ("rate", {"arch": "x", "parts.rate": "0.3"}, True),
        ("rate", {"arch": "x", "parts.rate": ABSENT}, False),
    ],
)
def test_a_level_fits_where_its_network_has_it(key, cell, fits):
    assert of_parts({"x": NET, "y": {}})[f"parts.{key}"].fits(cell) == fits


def test_levels_are_called_what_the_network_calls_them():
    found = labels({"plain": True, "rate": 0.5}, NET)
    assert found == {"parts.plain": "plain", "parts.kind": "none", "parts.rate": "0.5"}
    assert [found[key].applies for key in found] == [True, False, True]
    assert found["parts.plain"].speaks and not found["parts.rate"].speaks


@pytest.mark.parametrize(
    ("runs", "contrast"),
    [
        ([("x", {"plain": True}), ("x", {"plain": False, "kind": "a"})], "parts.plain"),
        ([("x", {"plain": False, "kind": kind}) for kind in "ab"], "parts.kind"),
        # Another level in another architecture is no question.
        (
            [("x", {"plain": False, "kind": "a"}), ("z", {"plain": False, "kind": "b"})],
            "parts.plain",
        ),
    ],
)
def test_the_first_part_that_varies_in_one_architecture_is_compared(runs, contrast):
    varying = varying_within((a, labels(parts, NET)) for a, parts in runs)
    assert usual_contrast(varying, {}) == contrast


@pytest.mark.parametrize(
    ("parts", "others", "contrast"),
    [
        ({}, {}, "arch"),
        ({"parts.plain": False}, {"arch": False, "recipe.mixup": False}, "parts.plain"),
        ({"parts.plain": False}, {"arch": True, "recipe.mixup": False}, "arch"),
        ({"parts.plain": False}, {"arch": True, "recipe.mixup": True}, "recipe.mixup"),
        ({"parts.plain": True}, {"recipe.mixup": True, "parts.plain": True}, "parts.plain"),
    ],
)
def test_what_varies_is_compared_parts_first_and_architectures_last(parts, others, contrast):
    assert usual_contrast(parts, others) == contrast


def test_a_key_that_differs_between_data_sets_alone_does_not_vary():
    runs = [("a", {"recipe": "sgd", "epochs": 1}), ("b", {"recipe": "adam", "epochs": 1})]
    assert varying_within(runs) == {"recipe": False, "epochs": False}
    assert varying_within([*runs, ("b", {"recipe": "sgd", "epochs": 1})])["recipe"]


def test_a_label_survives_a_copy():
    import copy

    one = copy.deepcopy(Label("a", 3, True))
    assert (one, one.place, one.speaks) == ("a", 3, True)

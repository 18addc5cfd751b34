"""Every design: its arms by hand, and what holds for any factors."""

import itertools
import math

import pytest

from ablation.config import UserError
from ablation.designs import Space, with_reference
from ablation.designs.registry import DESIGNS

SPACES = [
    Space({"a": (1, 0)}),
    Space({"a": (1, 0), "b": ("x", "y", "z")}),
    Space({"a": (True, False), "b": (True, False), "c": (True, False), "d": ("p", "q")}),
    Space({"a": (1,), "b": (2, 3)}),
    Space({}),
]
COMBINED = list(itertools.product(DESIGNS, SPACES))


def _levels(name, space):
    return [tuple(arm.levels.values()) for arm in DESIGNS[name].arms(space)]


def test_leave_one_out_by_hand():
    space = Space({"a": (1, 0), "b": ("x", "y", "z")})
    assert _levels("leave_one_out", space) == [(1, "x"), (0, "x"), (1, "y"), (1, "z")]


def test_add_one_by_hand():
    space = Space({"a": (1, 0), "b": ("x", "y", "z")})
    assert _levels("add_one", space) == [(0, "z"), (1, "z"), (0, "x"), (0, "y")]


def test_both_by_hand():
    space = Space({"a": (1, 0), "b": (1, 0), "c": (1, 0)})
    found = _levels("both", space)
    assert found == [
        *[(1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0)],
        *[(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)],
    ]
    of_kind = {q.kind: q for q in reversed(DESIGNS["both"].questions(space))}
    scores = dict(zip(found, [10, 7, 8, 9, 1, 3, 2, 2], strict=True))
    answer = sum(w * scores[found[place]] for w, place in of_kind["interaction"].terms)
    # Added alone, a gives 3 - 1; left out, 10 - 7.
    assert answer == 2 - 3


def test_cumulative_keeps_each_step_but_the_rejected():
    space = Space({"a": (0, 1), "b": (0, 1, 2), "c": (0, 1), "d": (0, 1)}, rejected=("c",))
    assert _levels("cumulative", space) == [
        *[(0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 2, 0, 0), (1, 2, 1, 0), (1, 2, 0, 1)]
    ]
    terms = [(q.kind, q.terms[0][1], q.terms[1][1]) for q in DESIGNS["cumulative"].questions(space)]
    assert terms == [
        *[("step", 1, 0), ("step", 2, 1), ("step", 3, 2), ("step", 4, 3), ("step", 5, 3)],
        ("total", 5, 0),
    ]


@pytest.mark.parametrize("parts", [1, 2, 6])
def test_leave_one_out_of_k_parts_has_an_arm_more_than_questions(parts):
    space = Space({f"p{i}": (True, False) for i in range(parts)})
    arms = DESIGNS["leave_one_out"].arms(space)
    assert len(arms) == parts + 1
    assert len(DESIGNS["leave_one_out"].questions(space)) == parts


@pytest.mark.parametrize(("name", "space"), COMBINED)
def test_no_arm_twice_and_every_arm_in_the_grid(name, space):
    found = _levels(name, space)
    assert len(set(found)) == len(found)
    assert set(found) <= set(_levels("grid", space))


@pytest.mark.parametrize(("name", "space"), COMBINED)
def test_a_question_asks_for_a_difference_of_arms_that_there_are(name, space):
    arms = DESIGNS[name].arms(space)
    for question in DESIGNS[name].questions(space):
        assert math.isclose(sum(weight for weight, _ in question.terms), 0)
        places = [place for _, place in question.terms]
        assert len(set(places)) == len(places)
        assert set(places) <= set(range(len(arms)))


@pytest.mark.parametrize(("name", "space"), COMBINED)
def test_a_design_asks_no_question_twice(name, space):
    asked = [frozenset(q.terms) for q in DESIGNS[name].questions(space)]
    asked += [frozenset((-weight, place) for weight, place in terms) for terms in asked]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    ("levels", "kinds"),
    [
        ({"a": (1, 0)}, ["change"]),
        ({"a": (1, 0), "b": (1, 0)}, ["change"] * 2 + ["addition"] * 2 + ["interaction"]),
        ({"a": (1, 0), "b": (1, 0), "c": (1, 0)}, ["change", "addition", "interaction"]),
    ],
)
def test_both_asks_what_its_arms_can_tell(levels, kinds):
    found = [question.kind for question in DESIGNS["both"].questions(Space(levels))]
    assert found == (kinds if len(levels) < 3 else [kind for kind in kinds for _ in range(3)])


def test_the_reference_is_the_first_level_named_or_the_one_asked_for():
    named = {"a": [True, False], "b": [0.1, 0.01]}
    assert with_reference(named, {}).reference == {"a": True, "b": 0.1}
    assert with_reference(named, {"b": "1e-2"}).levels["b"] == (0.01, 0.1)
    assert with_reference(named, {"a": "false"}).reference["a"] is False


def test_a_level_that_is_rejected_may_be_spelled_in_another_way():
    named = {"a": [True, False], "b": [0.1, 0.01]}
    assert with_reference(named, {}, ("a", "b=1e-2")).rejected == ("a", "b=0.01")


@pytest.mark.parametrize(
    ("reference", "rejected", "message"),
    [
        ({"c": "1"}, (), "design.reference names c, which the command does not sweep. Allowed: a"),
        ({"a": "maybe"}, (), "design.reference.a=maybe is no level that the command names."),
        ({}, ("c",), "design.rejected names c"),
        ({}, ("a=True",), "a=true is the level that the steps start from. Allowed: false."),
        ({"a": "false"}, ("a=false",), "start from. Allowed: true."),
        ({}, ("a=maybe",), "design.rejected=a=maybe is no level .* Allowed: true, false."),
    ],
)
def test_what_is_not_named_is_refused(reference, rejected, message):
    with pytest.raises(UserError, match=message):
        with_reference({"a": [True, False]}, reference, rejected)

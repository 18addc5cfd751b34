"""A signature is read without running the file."""

import textwrap

import pytest

from ablation.config import UserError
from ablation.networks import signature

HEAD = "from typing import Literal, Optional, Union\nimport no_such_module\n"


@pytest.fixture
def parts_of(tmp_path):
    def read(arguments, before="", function="build"):
        path = tmp_path / "nets.py"
        code = f"{HEAD}{before}\ndef build(input_shape, classes, *, {arguments}):\n    raise 1\n"
        path.write_text(textwrap.dedent(code))
        return signature.read(path, function).parts

    return read


@pytest.mark.parametrize(
    ("argument", "levels", "default"),
    [
        ("se: bool = True", (True, False), True),
        ("se=False", (False, True), False),
        ("norm: Literal['batch', 'none'] = 'batch'", ("batch", "none"), "batch"),
        ("heads: Literal[1, 2, 4] = 4", (1, 2, 4), 4),
        ("act: 'Literal[\"relu\", \"gelu\"]' = 'relu'", ("relu", "gelu"), "relu"),
        ("rate: float = 0.5", (), 0.5),
        ("rate: float = 1", (), 1.0),
        ("rate: float = -1.5", (), -1.5),
        ("width: int = WIDTH", (), 64),
        ("width: int | None = None", (), None),
        ("ratio: int | float = 3", (), 3),
        ("width: Optional[int] = 3", (), 3),
        ("kind: Union[Literal['a'], None] = None", ("a",), None),
        ("kind: Kind = 'x'", ("x", "y"), "x"),
        ("name: str = 'a'", (), "a"),
        ("width: int = None", (), None),
    ],
)
def test_levels_and_default_are_those_of_the_annotation(parts_of, argument, levels, default):
    (part,) = parts_of(argument, "WIDTH = 64\nKind = Literal['x', 'y']").values()
    assert (part.levels, part.default) == (levels, default)
    assert type(part.default) is type(default)
    assert part.reference == default


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("se: bool", "part se of build needs a default"),
        ("se: list = True", "annotated list; a part is bool, int"),
        ("se: Literal[[1]] = 1", "annotated Literal"),
        ("se=None", "needs an annotation"),
        ("se: bool = [1]", "needs a default that is true, false, a number"),
        ("se: bool = other()", "needs a default that is true, false, a number"),
        ("norm: Literal['a', 'b'] = 'c'", "has the default c. Allowed: a, b"),
        ("width: Literal[1, '1'] = 1", "has two levels that are typed 1"),
        ("norm: Literal['a', 'null'] | None = None", "has two levels that are typed null"),
        ("width: int = 1.5", "has the default 1.5. Allowed: a whole number"),
    ],
)
def test_a_signature_that_is_none_is_told_with_its_line(parts_of, argument, told):
    with pytest.raises(UserError, match=r"nets\.py, line 4") as error:
        parts_of(argument)
    assert told in str(error.value)


def test_an_unknown_function_names_those_there_are(parts_of):
    with pytest.raises(UserError, match=r"no function biuld\. Did you mean build\?.*: build"):
        parts_of("a=1", function="biuld")


@pytest.mark.parametrize(
    "code",
    [
        "build = lambda shape, classes, *, a=1: None",
        "from functools import partial; build = partial(print, 1)",
        "from other_nets import make as build",
        "if True:\n    def build(shape, classes, *, a=1): pass",
        "class build: pass",
    ],
)
def test_a_network_that_is_bound_otherwise_is_told_how_to_be_written(code, tmp_path):
    (tmp_path / "nets.py").write_text(f"def other(): pass\n{code}\n")
    with pytest.raises(UserError, match=r"nets\.py, line [23]: build is not written as def build"):
        signature.read(tmp_path / "nets.py", "build")


def test_a_file_with_a_syntax_error_is_told_with_its_line(tmp_path):
    (tmp_path / "nets.py").write_text("x = 1\ndef build(:\n")
    with pytest.raises(UserError, match=r"nets\.py, line 2: SyntaxError"):
        signature.read(tmp_path / "nets.py", "build")


@pytest.mark.parametrize("arguments", ["", "shape", "a, b, c", "*, a=1"])
def test_a_function_takes_shape_and_classes_by_position(tmp_path, arguments):
    (tmp_path / "nets.py").write_text(f"def build({arguments}): pass")
    with pytest.raises(UserError, match="two arguments by position"):
        signature.read(tmp_path / "nets.py", "build")


@pytest.mark.parametrize(
    ("argument", "typed", "level"),
    [
        ("se: bool = True", False, False),
        ("se: bool = True", "yes", True),
        ("se: bool = True", "off", False),
        ("se: bool = True", 1, True),
        ("norm: Literal['1x1', '3'] = '3'", 3, "3"),
        ("heads: Literal[1, 2] = 1", "2", 2),
        ("rate: float = 0.5", 1, 1.0),
        ("rate: int | float = 0.5", 1, 1),
        ("rate: float | int = 3", 0.5, 0.5),
        ("width: int | None = 4", None, None),
        ("flag: Literal[True, 'auto'] = 'auto'", True, True),
        ("flag: Literal[True, 'auto'] = 'auto'", "true", True),
    ],
)
def test_what_is_typed_becomes_a_level(parts_of, argument, typed, level):
    (part,) = parts_of(argument).values()
    assert part.level(typed) == level and type(part.level(typed)) is type(level)


@pytest.mark.parametrize(
    ("argument", "typed"),
    [
        ("se: bool = True", 1.5),
        ("se: bool = True", "maybe"),
        ("se: bool = True", None),
        ("norm: Literal['a'] = 'a'", "b"),
        ("width: int = 1", True),
        ("width: int = 1", 1.5),
        ("width: int = 1", None),
        ("rate: float = 1", "a"),
    ],
)
def test_what_is_no_level_is_refused(parts_of, argument, typed):
    (part,) = parts_of(argument).values()
    with pytest.raises(ValueError, match="not allowed"):
        part.level(typed)


def test_what_a_signature_cannot_say_stands_beside_it(parts_of):
    before = "PARTS = {'plain': {'labels': {True: 'plain', False: 'residual'}, 'reference': True}}"
    part = parts_of("plain: bool = False", before)["plain"]
    assert (part.reference, part.default) == (True, False)
    assert part.labels == ((True, "plain"), (False, "residual"))
    with pytest.raises(UserError, match=r'PARTS\["plain"\] has \'colour\'. Allowed: title'):
        parts_of("plain: bool = False", "PARTS = {'plain': {'colour': 1}}")


@pytest.mark.parametrize(("default", "needs"), [("", True), (" = 50", False)])
def test_a_vocabulary_is_told_and_is_no_part(default, needs, tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(
        f"def build(shape, classes, *, vocabulary: int{default}, se: bool = True):\n  1"
    )
    read = signature.read(path, "build")
    assert (list(read.parts), read.asks_vocabulary, read.needs_vocabulary) == (["se"], True, needs)


def test_a_share_out_of_its_range_is_refused_before_it_is_built(parts_of):
    (part,) = parts_of("share: float = 0.0", "PARTS = {'share': {'within': (0, 1)}}").values()
    assert part.level(0.5) == 0.5 and part.level(0) == 0.0
    assert part.allowed() == "a number of 0 or more and below 1"
    for value in (1.0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="not allowed"):
            part.level(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_is_finite(value, parts_of):
    (part,) = parts_of("drop: float = 0.5").values()
    assert part.allowed() == "a finite number"
    with pytest.raises(ValueError, match="not allowed"):
        part.level(value)


def test_only_numbers_have_a_range(parts_of):
    with pytest.raises(UserError, match="for numbers"):
        parts_of("name: str = 'a'", "PARTS = {'name': {'within': (0, 1)}}")


@pytest.mark.parametrize("typed", [None, "high", True])
def test_what_is_no_number_is_in_no_range(typed, parts_of):
    (part,) = parts_of("share: float = 0.1", "PARTS = {'share': {'within': (0, 1)}}").values()
    with pytest.raises(ValueError, match="not allowed"):
        part.level(typed)


@pytest.mark.parametrize(
    "line",
    [
        *("PARTS = dict(a=1)", "PARTS = ['a']", "PARTS = {[]: 1}", "PARTS = 3"),
        *("SMALLEST_IMAGE = 8 * 4", "SMALLEST_IMAGE = 'x'", "SMALLEST_IMAGE = True"),
    ],
)
def test_a_constant_of_another_form_is_told_with_its_line(line, tmp_path):
    (tmp_path / "nets.py").write_text(f"\n{line}\ndef build(shape, classes, *, a=1): ...\n")
    with pytest.raises(UserError, match=r"nets\.py, line 2: (PARTS|SMALLEST_IMAGE) is a "):
        signature.read(tmp_path / "nets.py", "build")


def test_a_seed_is_the_commands(tmp_path):
    (tmp_path / "nets.py").write_text("def build(shape, classes, *, seed=0): ...\n")
    with pytest.raises(UserError, match="seed is no part of build: the key seed sets"):
        signature.read(tmp_path / "nets.py", "build")


@pytest.mark.parametrize(
    "fact",
    [
        *("'within': 5", "'within': ('a', 'b')", "'applies': 3"),
        "'applies': {'share': '0.0'}",
        "'applies': {'share': 0.0}",
    ],
)
def test_a_fact_of_another_form_is_named(fact, parts_of):
    with pytest.raises(UserError, match=r'PARTS\["share"\] is not of the form'):
        parts_of("share: float = 0.0", f"PARTS = {{'share': {{{fact}}}}}")


TWO = "se: bool = True, norm: Literal['batch', 'auto', 'none'] = 'batch'"


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ("'nrom': {'title': 'x'}", "PARTS names 'nrom', which is no part. Did you mean norm?"),
        (
            "'se': {'applies': {'nrom': ['batch']}}",
            "\"applies\" names 'nrom', which is no part. Did",
        ),
        (
            "'se': {'applies': {'norm': ['bath']}}",
            "\"applies\" has 'bath', which is no level of norm",
        ),
        (
            "'norm': {'applies': {'se': ['true']}}",
            "has 'true', which is no level of se. Allowed: true",
        ),
        (
            "'norm': {'reference': 'no'}",
            "\"reference\" has 'no', which is no level of norm. Allowed: b",
        ),
        ("'se': {'labels': {'yes': 'a'}}", "\"labels\" has 'yes', which is no level of se"),
        ("'norm': {'usual': ('depth', {1: 'batch'})}", "\"usual\" names 'depth', which is no part"),
        (
            "'norm': {'usual': ('se', {True: 'bath'})}",
            "\"usual\" has 'bath', which is no level of no",
        ),
        ("'norm': {'usual': ('se', {True: 'none'})}", '"usual" says nothing of se=false'),
    ],
)
def test_parts_and_levels_that_there_are_none_of_are_named(parts, told, parts_of):
    with pytest.raises(UserError) as error:
        parts_of(TWO, f"PARTS = {{{parts}}}")
    assert str(error.value).startswith("nets.py: PARTS") and told in str(error.value)


def test_what_is_said_of_another_function_in_the_file_is_no_mistake(parts_of):
    before = "def other(shape, classes, *, deep=1): ...\nPARTS = {'deep': {'title': 'x'}}"
    assert list(parts_of(TWO, before)) == ["se", "norm"]

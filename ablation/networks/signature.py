"""What a network function can be asked for, read off its source without running it.

A network is a function `build(input_shape, classes, *, part: annotation = default, ...)`. Each
keyword-only argument is a part. What a signature cannot say may stand beside the function as a
constant named `PARTS`, a literal: see `Part`. No Keras, and nothing of the file is executed.
"""

import ast
import contextlib
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import BooleanNode
from omegaconf.errors import ValidationError

from ablation import source
from ablation.config import UserError
from ablation.factors import spelled
from ablation.text import did_you_mean

AUTO = "auto"
"""The level that stands for another one, which `PARTS` names by `usual`."""

VOCABULARY = "vocabulary"
"""The keyword-only argument without a default that is no part: how many tokens the data set has."""

_KINDS = {"bool": bool, "int": int, "float": float, "str": str}
_Levels = tuple[tuple[type, ...], tuple[Any, ...], bool]
"""The kinds of an annotation, its levels if they are listed, and whether it allows None."""

_TYPES = "bool, int, float, str, Literal[...], or one of these | None"


@dataclass(frozen=True)
class Part:
    """A switch of a network: a keyword-only argument of the function that builds it.

    Attributes:
        name: of the argument.
        kinds: the types that a level may have: bool, int, float or str.
        levels: all that it may be, () where any value of its kinds will do.
        nullable: whether None is a level too.
        default: its level where nothing else is asked for.
        title: what a table calls it.
        labels: what a table calls its levels where they speak for themselves, pairs of level and
            label; others stand beside the part's title.
        elsewhere: what a table says of nets to which it does not apply.
        reference: the level that others are compared with; the default unless `PARTS` says so.
        neutral: pairs of one level, the frozen one that an identity does not mention; () for none.
        applies: arguments and their levels, at all of which this part changes something;
            elsewhere its levels are one and the same network.
        usual: an argument, and for each of its values the level that "auto" stands for.
        within: what a number must be at least, and what it must be below; () for any.
    """

    name: str
    kinds: tuple[type, ...]
    levels: tuple[Any, ...]
    nullable: bool
    default: Any
    title: str
    labels: tuple[tuple[Any, str], ...] = ()
    elsewhere: str = "-"
    reference: Any = None
    neutral: tuple[Any, ...] = ()
    applies: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    usual: tuple[str, Mapping[Any, Any]] | None = None
    within: tuple[float, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether every level is text, so that `1.10` is not a number."""
        return self.kinds == (str,)

    def allowed(self) -> str:
        """Returns in words what it may be."""
        words = [spelled(level) for level in self.levels]
        if not words:
            number = "a number" if self.within else "a finite number"
            takes = {bool: "true, false", int: "a whole number", float: number, str: "a text"}
            words = [takes[kind] for kind in self.kinds]
        if self.within:
            words[-1] += f" of {self.within[0]:g} or more and below {self.within[1]:g}"
        return ", ".join(words + (["null"] if self.nullable and None not in self.levels else []))

    def level(self, value: Any) -> Any:
        """Returns the level that a value of the command line stands for.

        Raises:
            ValueError: it is none.
        """
        if value is None and self.nullable:
            return None
        if self.kinds == (bool,) and value is not None:
            with contextlib.suppress(ValidationError):  # As Hydra reads a switch: yes, off, 1.
                value = BooleanNode().validate_and_convert(value)
        same = [level for level in self.levels if (type(level), level) == (type(value), value)]
        same += [level for level in self.levels if spelled(level) == spelled(value)]
        if same:
            return same[0]
        is_number = not self.levels and float in self.kinds and int not in self.kinds
        if is_number and type(value) is int:
            value = float(value)
        is_kind = not self.levels and type(value) in self.kinds
        is_finite = not isinstance(value, float) or math.isfinite(value)
        if is_kind and is_finite and (not self.within or self.within[0] <= value < self.within[1]):
            return value
        raise ValueError(f"{spelled(value)} is not allowed")

    def has(self, level: Any) -> bool:
        """Returns whether a value is a level as it stands, not only as a command spells one."""
        try:
            return bool(self.level(level) == level)
        except ValueError:
            return False


@dataclass(frozen=True)
class Signature:
    """What a network function can be asked for.

    Attributes:
        parts: by name, in their order.
        asks_vocabulary: whether it has the argument `vocabulary`, which the data set gives.
        needs_vocabulary: whether that has no default.
        smallest_image: see `smallest_image`; a number, or for arguments a number for each value.
        others: arguments behind the first two that are no parts, because a caller may also give
            them by position.
    """

    parts: dict[str, Part]
    smallest_image: int | Mapping[str, Mapping[Any, int]]
    asks_vocabulary: bool = False
    needs_vocabulary: bool = False
    others: tuple[str, ...] = ()


def read(path: Path, function: str, arguments: tuple[str, ...] = ()) -> Signature:
    """Returns the signature of a function.

    Args:
        path: of the file that defines it.
        function: its name.
        arguments: keyword-only arguments that are no parts, because a name such as "34" sets them.

    Raises:
        UserError: the file cannot be read or parsed, has no such function, or the function is not
            of the form that a network has.
    """
    return _read(path, function, arguments, path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache(maxsize=64)
def _read(path: Path, function: str, arguments: tuple[str, ...], modified: int) -> Signature:
    tree = source.parsed(path)
    constants = _constants(tree)
    definition = _definition(tree, function, path)
    given = definition.args
    if len(given.posonlyargs) + len(given.args) - len(given.defaults) > 2 or (
        not given.vararg and len(given.posonlyargs) + len(given.args) < 2
    ):
        raise UserError(
            f"{path.name}, line {definition.lineno}: {function} must take two arguments by "
            f"position, (input_shape, classes, *, ...)."
        )
    declared = _declared("PARTS", {}, (dict,), constants, path)
    parts, asks, needs = {}, False, False
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if argument.arg == VOCABULARY:
            asks, needs = True, default is None
        elif argument.arg in arguments:
            continue
        elif argument.arg == "seed":
            raise UserError(
                f"{path.name}, line {argument.lineno}: seed is no part of {function}: the key seed "
                "sets the initial weights of every network. Leave the argument out, or rename it."
            )
        else:
            where = f"{path.name}, line {argument.lineno}: part {argument.arg} of {function}"
            parts[argument.arg] = _part(argument, default, constants, where)
    where, anywhere = f"{path.name}: PARTS", _keywords(tree)
    for name, facts in declared.items():
        if name not in anywhere:
            raise UserError(f"{where} names {_unknown(name, anywhere)}")
        parts = _with_facts(parts, name, facts, where)
    for name in declared.keys() & parts.keys():
        _check_facts(parts[name], parts, arguments, f'{where}["{name}"]')
    smallest = _declared("SMALLEST_IMAGE", 1, (int, dict), constants, path)
    others = tuple(one.arg for one in [*given.posonlyargs, *given.args][2:])
    return Signature(parts, smallest, asks, needs, others)


def _declared(
    name: str,
    default: Any,
    kinds: tuple[type, ...],
    constants: dict[str, ast.expr],
    path: Path,
) -> Any:
    """Returns what a module says of its networks by a constant; raises UserError for others."""
    try:
        value = _literal(constants.get(name), constants)
    except (TypeError, ValueError):  # Such as a call, whose value nobody knows without a run.
        value = ...
    if value is None:
        return default
    if isinstance(value, kinds) and not isinstance(value, bool):
        return value
    what = " or ".join({int: "a number", dict: "a dict"}[kind] for kind in kinds)
    raise UserError(
        f"{path.name}, line {constants[name].lineno}: {name} is {what}, written out without calls "
        "and sums; see docs/networks.md. If it means something else here, rename it."
    )


def _definition(tree: ast.Module, function: str, path: Path) -> ast.FunctionDef:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    for node in reversed(functions):  # The last one counts, as in Python.
        if node.name == function:
            return node
    file = path.name if path.stem != "__init__" else f"{path.parent.name}/{path.name}"
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr))
    if otherwise := next((node for node in nodes if function in source.bound(node)), None):
        raise UserError(
            f"{file}, line {otherwise.lineno}: {function} is not written as def {function}(...) "
            "at the top of the file, where its parts would be read. Write "
            f"def {function}(input_shape, classes, *, ...) that calls it."
        )
    names = [node.name for node in functions if not node.name.startswith("_")]
    hint = did_you_mean(function, names)
    raise UserError(
        f"{file} defines no function {function}.{hint} Functions: {', '.join(names) or 'none'}."
    )


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Returns what is assigned to names at the top of a module, the last assignment of each."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
        elif type(node).__name__ == "TypeAlias":  # Python 3.12: type Norm = Literal[...]
            found[node.name.id] = node.value  # type: ignore[attr-defined]
    return found


def _literal(node: ast.expr | None, constants: dict[str, ast.expr]) -> Any:
    """Returns a literal, or what a constant of the module is; raises ValueError for others."""
    for _ in range(8):  # Constants may name each other.
        if not isinstance(node, ast.Name):
            break
        node = constants.get(node.id, ast.Constant(...))
    return None if node is None else ast.literal_eval(node)


def _part(
    argument: ast.arg, default: ast.expr | None, constants: dict[str, ast.expr], where: str
) -> Part:
    if default is None:
        raise UserError(f"{where} needs a default, the level of the full network.")
    try:
        level = _literal(default, constants)
    except ValueError:
        level = ...
    if not (level is None or isinstance(level, bool | int | float | str)):
        raise UserError(f"{where} needs a default that is true, false, a number, a text or None.")
    annotation = argument.annotation
    if annotation is None and level is None:
        raise UserError(f"{where} needs an annotation: {_TYPES}.")
    annotation = annotation or ast.Name(type(level).__name__)
    try:
        kinds, levels, nullable = _annotated(annotation, constants)
    except ValueError:
        raise UserError(
            f"{where} is annotated {ast.unparse(annotation)}; a part is {_TYPES}."
        ) from None
    nullable = nullable or level is None
    known = [*levels, *([None] if nullable and None not in levels else [])]
    words = [spelled(one) for one in known]
    alike = next((word for word in words if words.count(word) > 1), None)
    if alike is not None:
        raise UserError(
            f"{where} has two levels that are typed {alike}, so that no table could tell them "
            "apart; call one of them otherwise."
        )
    if kinds == (bool,) and not levels:
        levels = (True, False) if level else (False, True)
    part = Part(argument.arg, kinds, levels, nullable, level, argument.arg, reference=level)
    try:
        level = part.level(level)
    except ValueError:
        raise UserError(
            f"{where} has the default {spelled(level)}. Allowed: {part.allowed()}."
        ) from None
    return replace(part, default=level, reference=level)


def _annotated(node: ast.expr, constants: dict[str, ast.expr]) -> _Levels:
    """Returns the kinds and levels of an annotation and whether it allows None.

    Raises:
        ValueError: it is none of `_TYPES`.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError as error:
            raise ValueError from error
    if isinstance(node, ast.Constant) and node.value is None:
        return (), (), True
    if isinstance(node, ast.Name) and node.id in _KINDS:
        return (_KINDS[node.id],), (), False
    if isinstance(node, ast.Name) and node.id in constants:
        return _annotated(constants[node.id], {k: v for k, v in constants.items() if k != node.id})
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right], constants)
    if isinstance(node, ast.Subscript):
        return _subscript(node, constants)
    raise ValueError


def _subscript(node: ast.Subscript, constants: dict[str, ast.expr]) -> _Levels:
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    outer = ast.unparse(node.value).rpartition(".")[2]
    if outer in ("Optional", "Union"):
        return _union([*inside, *[ast.Constant(None)] * (outer == "Optional")], constants)
    levels = tuple(ast.literal_eval(one) for one in inside)
    kinds = tuple(dict.fromkeys(type(one) for one in levels if one is not None))
    if outer != "Literal" or not all(kind in _KINDS.values() for kind in kinds):
        raise ValueError
    return kinds, tuple(one for one in levels if one is not None), None in levels


def _union(nodes: list[ast.expr], constants: dict[str, ast.expr]) -> _Levels:
    kinds: tuple[type, ...] = ()
    levels: tuple[Any, ...] = ()
    nullable = False
    for node in nodes:
        its_kinds, its_levels, its_null = _annotated(node, constants)
        if kinds and its_kinds and bool(levels) != bool(its_levels):
            raise ValueError  # Such as Literal["a"] | int, whose levels cannot be listed.
        kinds, levels = (*kinds, *its_kinds), (*levels, *its_levels)
        nullable = nullable or its_null
    return tuple(dict.fromkeys(kinds)), levels, nullable


def _with_facts(parts: dict[str, Part], name: str, facts: Any, where: str) -> dict[str, Part]:
    """Returns the parts with what `PARTS` says of one of them."""
    if name not in parts:
        return parts  # Of another function in the same file.
    unknown = [key for key in facts if key not in _FACTS] if isinstance(facts, dict) else [facts]
    if unknown:
        raise UserError(
            f'{where}["{name}"] has {unknown[0]!r}. Allowed: {", ".join(_FACTS)}, in a dict.'
        )
    try:
        changes: dict[str, Any] = {key: _FACTS[key](fact) for key, fact in facts.items()}
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f'{where}["{name}"] is not of the form that docs/networks.md shows.'
        ) from None
    part = replace(parts[name], **changes)
    if part.within and not {int, float}.issuperset(part.kinds):
        raise UserError(f'{where}["{name}"] has "within", which is for numbers.')
    return parts | {name: part}


def _keywords(tree: ast.Module) -> list[str]:
    """Returns the keyword-only arguments of all functions of a module."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [one.arg for function in functions for one in function.args.kwonlyargs]


def _unknown(name: Any, parts: Iterable[str]) -> str:
    """Returns in words that a part is none of some."""
    names = list(dict.fromkeys(parts))
    hint = did_you_mean(str(name), names)
    return f"{name!r}, which is no part.{hint} Parts: {', '.join(names) or 'none'}."


def _check_facts(
    part: Part, parts: Mapping[str, Part], arguments: Collection[str], where: str
) -> None:
    """Raises UserError if `PARTS` names parts or levels that there are none of."""
    said: list[tuple[str, Any, Iterable[Any]]] = [
        ("reference", part.name, [part.reference]),
        ("labels", part.name, [level for level, _ in part.labels]),
        *(("applies", name, levels) for name, levels in part.applies.items()),
    ]
    if part.usual:
        name, stands_for = part.usual
        said += [("usual", name, stands_for), ("usual", part.name, stands_for.values())]
    for fact, name, levels in said:
        if name in arguments:
            continue
        if name not in parts:
            raise UserError(f'{where}: "{fact}" names {_unknown(name, parts)}')
        for level in levels:
            if not parts[name].has(level):
                raise UserError(
                    f'{where}: "{fact}" has {level!r}, which is no level of {name}. Allowed: '
                    f"{parts[name].allowed()}."
                )
    if part.usual and (other := parts.get(part.usual[0])):
        for level in other.levels or (other.default,):
            if level not in part.usual[1]:
                raise UserError(f'{where}: "usual" says nothing of {other.name}={spelled(level)}.')


def _pairs(labels: Mapping[Any, str]) -> tuple[tuple[Any, str], ...]:
    return tuple(labels.items())


def _conditions(applies: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    if not all(isinstance(levels, list | tuple | set) for levels in applies.values()):
        raise TypeError
    return {key: tuple(levels) for key, levels in applies.items()}


def _usual(usual: tuple[str, Mapping[Any, Any]]) -> tuple[str, Mapping[Any, Any]]:
    argument, levels = usual
    return argument, dict(levels)


def _within(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    return float(low), float(high)


_FACTS: dict[str, Callable[[Any], Any]] = {
    "title": str,
    "labels": _pairs,
    "elsewhere": str,
    "reference": lambda level: level,
    "neutral": lambda level: (level,),
    "applies": _conditions,
    "usual": _usual,
    "within": _within,
}
"""What `PARTS` may say of a part, and how `Part` holds it."""

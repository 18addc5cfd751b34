"""Labels as a table has them: the cells of one column or of several, as text."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablation.config import UserError
from ablation.targets.naming import composed, first_form, in_order

LISTED = "\x1f"
"""Stands before each label of a cell that is a list; alone it is an empty one."""

_BETWEEN = ("|", ";", ",", " ")
_TRUTHS = {"true": 1.0, "false": 0.0}
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_FROZEN = "frozenset("
_WHOLE = re.compile(r"[+-]?\d+|True|False")


@dataclass(frozen=True)
class Cells:
    """What a table says of the labels of its examples.

    Attributes:
        names: of the columns.
        columns: the cells of each, none of them empty.
        where: what to call the table in a message.
        row: returns what to call a row in a message, such as "labels.csv, row 5", by its place.
        separator: what stands between several labels in one cell; None for the first of "|", ";",
            "," and a space that occurs in the column. Lists need none.
        known: all classes or labels in order, None for those that occur.
        numeric: whether the lists of the only column hold numbers, and not texts.
    """

    names: tuple[str, ...]
    columns: Sequence[Sequence[str]]
    where: str
    row: Callable[[int], str]
    separator: str | None = None
    known: tuple[str, ...] | None = None
    numeric: bool = False

    @property
    def are_lists(self) -> bool:
        """Whether the cells of the only column are lists."""
        return len(self.names) == 1 and any(cell.startswith(LISTED) for cell in self.columns[0])

    def unfolded(self, kind: str | None) -> "Cells":
        """Returns the columns that lists of numbers in the only column stand for, if they do.

        Lists of one length that hold 0 and 1 alone, or fractions, are a number for each of several
        labels or values, and so are any where values are asked for. Others are lists of the
        numbers of labels.

        Args:
            kind: of the target that is asked for, None if none is.

        Raises:
            UserError: a list has a number that is missing, or fractions stand in lists of several
                lengths.
        """
        found = self._with_lists()
        if not (found.are_lists and found.numeric):
            return found
        (name,), (column,) = found.names, found.columns
        lists = [cell.split(LISTED)[1:] if cell != LISTED else [] for cell in column]
        for place, (cell, one) in enumerate(zip(column, lists, strict=True)):
            if not all(
                number in _TRUTHS or _number(number) is not None for number in map(str.lower, one)
            ):
                raise UserError(
                    f"{self.row(place)}: {name} is {said(cell)}, of which a number is missing."
                )
        lengths = {len(one) for one in lists}
        every = {number for one in lists for number in one}
        has_fractions = not all(map(_WHOLE.fullmatch, every))
        are_flags = {_truth(number) for number in every} <= {0, 1}
        if len(lengths) > 1 or lengths == {0}:
            if has_fractions and not are_flags:
                raise UserError(
                    f"{self.where}: the lists of {name} hold {min(lengths)} to {max(lengths)} "
                    "numbers; those of values are all of one length."
                )
            return found
        several = lengths != {1}
        is_asked = kind == "value" or (kind == "classes" and not several)
        if not (is_asked or has_fractions or (several and are_flags)):
            return found
        names = tuple(f"{name} {place}" for place in range(lengths.pop())) if several else (name,)
        columns = [list(column) for column in zip(*lists, strict=True)]
        return replace(found, names=names, columns=columns, known=None, numeric=False)

    def _with_lists(self) -> "Cells":
        """Returns the same with cells that are all written as lists as `listed` writes these."""
        if len(self.names) > 1 or self.are_lists or not all(map(_in_brackets, self.columns[0])):
            return self
        lists = [_as_list(cell) for cell in self.columns[0]]
        if None in lists:
            return self
        every = [one for found in lists for one in found or ()]
        numeric = not any(isinstance(one, str) for one in every)
        return replace(self, columns=[[listed(one or ()) for one in lists]], numeric=numeric)

    @property
    def texts(self) -> np.ndarray:
        """The cells of the only column, as they stand."""
        (column,) = self.columns
        return np.array(column)

    @property
    def are_numbers(self) -> bool:
        """Whether every cell is written as a number; NaN is, which `numbers` refuses."""
        return all(_is_written(cell) for column in self.columns for cell in column)

    def numbers(self) -> np.ndarray:
        """Returns float64 (rows, columns); of several columns true is 1 and false is 0.

        Raises:
            UserError: a cell is no number.
        """
        found = np.empty((len(self.columns[0]), len(self.columns)))
        for place, cells in enumerate(zip(*self.columns, strict=True)):
            for name, column, cell in zip(self.names, range(len(cells)), cells, strict=True):
                value = _truth(cell) if len(cells) > 1 else _number(cell)
                if value is None:
                    other = "say dataset.target=classes" if len(cells) == 1 else "name others"
                    raise UserError(
                        f"{self.row(place)}: {name} is {said(cell)}, which is no number; leave "
                        f"rows without one out, or {other}."
                    )
                found[place, column] = value
        return found

    def flags(self) -> np.ndarray:
        """Returns float64 (rows, columns), all 0 or 1.

        Raises:
            UserError: a cell is anything else.
        """
        for place, cells in enumerate(zip(*self.columns, strict=True)):
            for name, cell in zip(self.names, cells, strict=True):
                if _truth(cell) not in (0, 1):
                    raise UserError(
                        f"{self.row(place)}: {name} is {said(cell)}, and a label's column is 1 for "
                        "what has it and 0 for what has not. Other columns are named by "
                        "dataset.label_columns=[a,b], one with several labels in a cell by "
                        "dataset.label_column."
                    )
        return self.numbers()

    def chosen(self) -> np.ndarray:
        """Returns int64 (rows,): which of several columns of 0 and 1 is 1.

        Raises:
            UserError: of a row none is, or several.
        """
        found = self.flags()
        wrong = np.flatnonzero(found.sum(axis=1) != 1)
        if len(wrong):
            has = [name for name, flag in zip(self.names, found[wrong[0]], strict=True) if flag]
            raise UserError(
                f"{self.row(int(wrong[0]))} has {' and '.join(has) or 'none of the classes'}; of "
                "classes each example has one. Several labels are dataset.target=labels."
            )
        return found.argmax(axis=1)

    def separated(self) -> list[list[str]]:
        """Returns the labels in each cell of the only column.

        Raises:
            UserError: nobody can tell what stands between them, one of them is empty, or a cell in
                brackets is no list.
        """
        (name,), (column,) = self.names, self.columns
        column = self._without_brackets(column)
        separator = self.separator or next(
            (one for one in _BETWEEN if any(one in cell for cell in column)), None
        )
        if all(cell.startswith(LISTED) for cell in column) or self.are_lists:
            separator = LISTED
        if separator is None:
            raise UserError(
                f"{self.where}: no cell of {name} has | ; , or a space between several labels; the "
                f"first is {column[0]!r}. Name what stands between them by "
                "dataset.label_separator, or columns of 0 and 1 by dataset.label_columns=[a,b]; "
                "one label an example is dataset.target=classes."
            )
        found = []
        for place, cell in enumerate(column):
            parts = cell.split(None if separator == " " else separator)
            parts = parts[1:] if cell.startswith(LISTED) else parts
            found.append([part.strip() for part in parts] if cell != LISTED else [])
            if not all(found[-1]):
                raise UserError(f"{self.row(place)}: a label of {name} is empty, in {said(cell)}.")
        return found

    def _without_brackets(self, column: Sequence[str]) -> Sequence[str]:
        """Returns a column of which cells that are lists in brackets are written as `listed` does.

        Raises:
            UserError: a cell in brackets is no list, or others beside lists are none.
        """
        lists = [_as_list(cell) if _in_brackets(cell) else None for cell in column]
        is_list = any(lists) and (not self.separator or None not in lists)
        for place, (cell, one) in enumerate(zip(column, lists, strict=True)):
            if one is None and not self.separator and (is_list or _is_bracketed(cell)):
                raise UserError(
                    f"{self.row(place)}: {self.names[0]} is {cell!r}, which is no list as Python "
                    "or JSON writes it, such as ['haze', 'road']. What else stands between labels "
                    "is named by dataset.label_separator."
                )
        # An empty one may stand beside labels that a separator parts.
        return [
            cell if one is None or (one and not is_list) else listed(one)
            for cell, one in zip(column, lists, strict=True)
        ]


def listed(labels: Iterable[object]) -> str:
    """Returns the cell of a list of labels."""
    return LISTED + LISTED.join(map(str, labels))


def said(cell: str) -> str:
    """Returns a cell as a message shows it."""
    if not cell.startswith(LISTED):
        return repr(cell)
    return f"[{cell.removeprefix(LISTED).replace(LISTED, ', ')}]"


def marked(
    labels: Sequence[Sequence[str]], known: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns all labels, in order, and which each example has.

    Args:
        labels: of each example.
        known: all that may occur, in order; None for those that do.

    Returns:
        The names; float32 (examples, labels), 1 for a label that it has and 0 for others.
    """
    seen: dict[str, str] = {}
    names = known or in_order({first_form(label, seen) for one in labels for label in one})
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(composed(name.strip()), place)
    found = np.zeros((len(labels), len(names)), np.float32)
    for row, one in zip(found, labels, strict=True):
        row[[places[composed(label.strip())] for label in one]] = 1
    return names, found


def _is_written(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float | None:
    """Returns what a cell says as a number, None if it is no finite one."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if np.isfinite(found) else None


def _truth(cell: str) -> float | None:
    return _TRUTHS.get(cell.lower(), _number(cell))


def _in_brackets(cell: str) -> bool:
    """Returns whether a cell may be a list, a tuple or a set as Python or JSON writes it."""
    shown = _thawed(cell)
    return shown.endswith(_BRACKETS.get(shown[:1], "\n"))


def _is_bracketed(cell: str) -> bool:
    """Returns whether a cell can hardly be anything else; a text may stand in round brackets."""
    return cell.startswith("[") and cell.endswith("]")


def _thawed(cell: str) -> str:
    """Returns a cell that is a set without what else Python calls it."""
    if cell == "set()":
        return "()"
    if cell.startswith(_FROZEN) and cell.endswith(")"):
        return cell.removeprefix(_FROZEN).removesuffix(")") or "()"
    return cell


def _as_list(cell: str) -> list[object] | None:
    """Returns what a cell lists as Python or JSON writes it, None if that is no such list."""
    try:
        found = ast.literal_eval(_thawed(cell))
        tokens = tokenize.generate_tokens(io.StringIO(cell).readline)
        texts = sum(token.type == tokenize.STRING for token in tokens)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError):
        return None
    # Texts without a comma between them, as NumPy writes them, are one text to Python.
    if not isinstance(found, list | tuple | set) or texts != sum(
        isinstance(one, str) for one in found
    ):
        return None
    return [*found] if all(isinstance(one, str | int | float) for one in found) else None

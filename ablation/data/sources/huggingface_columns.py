"""The columns of a set of Hugging Face: which hold what, and what is in them."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ablation.config import UserError
from ablation.targets.cells import listed
from ablation.text import readable

_USUAL = {
    "image": ("image", "img"),
    "label": ("label", "labels", "class"),
    "input": ("input_ids", "tokens", "features", "x"),
}
_MANY = {
    "image": "images",
    "label": "labels",
    "input": "inputs, lists of numbers of one length or of whole numbers",
}
_TEXTS = ("string", "large_string")
_PADDING = 0


def is_image(feature: Any) -> bool:
    """Returns whether a column holds images."""
    import datasets

    return isinstance(feature, datasets.Image)


def is_number(feature: Any) -> bool:
    """Returns whether a column holds numbers, true and false among them."""
    import datasets

    return isinstance(feature, datasets.Value) and _is_numeric(feature.dtype)


def is_rows(feature: Any) -> bool:
    """Returns whether a column holds lists or arrays of numbers."""
    if inner(feature) is not None:
        return is_number(inner(feature)) or is_rows(inner(feature))
    return type(feature).__name__.startswith("Array") and _is_numeric(feature.dtype)


def inner(feature: Any) -> Any:
    """Returns what the lists of a column hold, None if it holds no lists."""
    found = getattr(feature, "feature", None)
    return None if isinstance(found, dict) else found


def is_label(feature: Any) -> bool:
    """Returns whether a column holds classes, or lists of them."""
    return hasattr(feature, "names") or hasattr(inner(feature), "names")


def may_be_label(feature: Any) -> bool:
    """Returns whether a column may hold labels."""
    import datasets

    return is_label(feature) or isinstance(
        feature if inner(feature) is None else inner(feature), datasets.Value
    )


def the_one(what: str, asked: str | None, columns: Mapping[str, Any], fits: Any, sure: Any) -> str:
    """Returns the column that is meant.

    Args:
        what: "image", "label" or "input".
        asked: its name, None to find it.
        columns: what each holds, by name.
        fits: returns whether a column may be meant.
        sure: returns whether a column is meant whatever its name.

    Raises:
        UserError: there is none, or of several nobody can tell which, or another kind is asked for.
    """
    key = f"dataset.{what}_column"
    if asked:
        if asked not in columns or not fits(columns[asked]):
            raise UserError(f"{key}={asked} is no column of {_MANY[what]}; {held(columns)}.")
        return asked
    usual = [name for name in _USUAL[what] if name in columns and fits(columns[name])]
    found = [name for name, feature in columns.items() if sure(feature)] or usual
    for choice in (found, [name for name in usual if name in found][:1]):
        if len(choice) == 1:
            return choice[0]
    how = "any of several may be meant" if found else f"none holds {_MANY[what]}"
    texts = [one for one in columns.values() if getattr(one, "dtype", None) in _TEXTS]
    hint = ""
    if what == "image" and texts and not found:
        hint = " Texts are not read: map them to tokens first, lists of whole numbers."
    raise UserError(f"{key} must be named, because {how}: {held(columns)}.{hint}")


def held(columns: Mapping[str, Any]) -> str:
    """Returns what a set has, for a message."""
    kinds = [f"{readable(name)} ({type(one).__name__})" for name, one in columns.items()]
    return f"the columns are {', '.join(kinds)}"


def cells(feature: Any, values: Sequence[Any]) -> Iterator[str | None]:
    """Yields labels as text, None where there is none."""
    names, within = getattr(feature, "names", None), inner(feature)
    for value in values:
        if _is_missing(value) or (names and value == -1):
            yield None
        elif is_rows(feature):
            yield listed(value)
        elif within is not None:
            yield listed(one for one in cells(within, value) if one is not None)
        elif names:
            yield names[value]
        else:
            yield value.decode(errors="backslashreplace") if type(value) is bytes else str(value)


def known(features: Sequence[Any]) -> tuple[str, ...] | None:
    """Returns the names of all classes or labels of a column, None if the set does not say them.

    Args:
        features: what each split has in it.
    """
    named = [
        getattr(one, "names", None) or getattr(inner(one), "names", None) or () for one in features
    ]
    if not all(named):
        return None
    return tuple(dict.fromkeys(itertools.chain(*named)))


def rows(name: str, values: Sequence[Any], where: str) -> np.ndarray:
    """Returns a column of lists as one array.

    Lists of whole numbers, which are tokens, are made as long as the longest by zeros behind them.

    Args:
        name: of the column.
        values: its lists.
        where: what to call the data set in a message.

    Raises:
        UserError: one is missing, or they have several lengths.
    """
    missing = [place for place, value in enumerate(values) if value is None]
    if missing:
        raise UserError(f"{where}: row {missing[0]} has no {name}.")
    try:
        return np.array(values)
    except ValueError:  # They have several lengths.
        pass
    flat = all(isinstance(one, int) for value in values for one in value)
    if not flat:
        raise UserError(
            f"{where}: the lists of {name} have several lengths; only those of whole numbers, the "
            "tokens of a text, may."
        )
    found = np.full((len(values), max(map(len, values))), _PADDING, np.int64)
    for row, value in zip(found, values, strict=True):
        row[: len(value)] = value
    return found


def table(columns: Mapping[str, Sequence[Any]], where: str) -> np.ndarray:
    """Returns columns of numbers as features, float64 (rows, columns).

    Raises:
        UserError: a number is missing.
    """
    found = np.array([*columns.values()], float).T
    wrong = np.argwhere(~np.isfinite(found))
    if len(wrong):
        row, column = map(int, wrong[0])
        more = f", nor have {len(wrong) - 1:,} more cells" if len(wrong) > 1 else ""
        name = readable(list(columns)[column])
        raise UserError(f"{where}: row {row} has no finite number in {name}{more}.")
    return found


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _is_numeric(dtype: str) -> bool:
    return dtype.startswith(("int", "uint", "float", "double", "bool"))

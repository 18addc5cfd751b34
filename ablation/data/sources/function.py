"""Arrays that a function of the user's own returns.

It is called in the process that prepares data, never in that of a command. It is called again when
its code, a file that it read or what a folder holds that it listed has changed.
"""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np

from ablation import opened, source
from ablation.config import UserError, first_line
from ablation.data.sources.common import LeftOut
from ablation.data.sources.held import Held, HeldConfig, names_read
from ablation.terminal import import_quietly
from ablation.text import visible

_KEY = "dataset.name"
_SHAPES = {2: ("x", "y"), 4: ("x_train", "y_train", "x_val", "y_val")}


@dataclass
class FunctionConfig(HeldConfig):
    """What a function of the user's own can be asked for; `name` says where it is."""


class Function(Held):
    """Images and labels that a function returns; see `held` for their names.

    It takes nothing and returns a dict of arrays by these names, or `x, y`, or
    `x_train, y_train, x_val, y_val`, or these two by two as Keras's `load_data` does.
    """

    options = FunctionConfig
    fetches = False
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: FunctionConfig):
        located = source.locate(dataset.name, _KEY)
        read: dict[Path, bool] = {}
        with opened.watched(read):
            returned = _called(located, dataset.name)
        self.read = tuple(sorted(path for path, is_only_read in read.items() if is_only_read))
        arrays = _by_name(returned, dataset.name, dataset.group)
        super().__init__(arrays, dataset, f"what {dataset.name} returns")

    @staticmethod
    def state(dataset: FunctionConfig) -> str:
        """Returns a digest of the function's code and its local modules, and where it is called.

        Equal code in two folders may read what lies beside it, or in the working folder.
        """
        located = source.locate(dataset.name, _KEY)
        places = [os.path.realpath(place) for place in (located.path, os.curdir)]
        return f"{source.digest(located)} {located.function} {places}"

    @staticmethod
    def unused(dataset: FunctionConfig) -> tuple[LeftOut, ...]:
        """Returns nothing, because nothing lies beside the images."""
        return ()


def _called(located: source.Located, name: str) -> Any:
    """Returns what the function returns, with the same draws of chance every time.

    Raises:
        UserError: what it raised, with file and line.
    """
    files = source.local_modules(located)
    random.seed(0)
    np.random.seed(0)
    libraries = source.libraries(located)
    if "keras" in libraries:  # It loads its backend, which greets.
        libraries.add(os.environ.get("KERAS_BACKEND", "tensorflow"))
    if "tensorflow" in libraries:
        import_quietly("tensorflow")
    try:
        return source.load(located)()
    except UserError:
        raise
    except source.RAISED as error:
        raise UserError(f"{_KEY}={name}: {source.user_error(error, files)}") from error


def _by_name(returned: Any, name: str, group: str | None) -> dict[str, np.ndarray]:
    """Returns what a function returned as arrays by their names.

    Args:
        returned: by the function.
        name: of the function.
        group: `dataset.group`.

    Raises:
        UserError: it is nothing that a data set can be made of.
    """
    if isinstance(returned, tuple | list) and all(
        isinstance(one, tuple | list) and len(one) == 2 for one in returned
    ):
        returned = [one for pair in returned for one in pair]  # As Keras's load_data.
    if isinstance(returned, tuple | list) and len(returned) in _SHAPES:
        returned = dict(zip(_SHAPES[len(returned)], returned, strict=True))
    if not isinstance(returned, Mapping):
        what = type(returned).__name__
        what += f" of {len(returned)}" if isinstance(returned, tuple | list) else ""
        raise UserError(
            f"{_KEY}={name} returned {what}; it must return x, y, or x_train, y_train, x_val, "
            "y_val, or a dict of arrays by these names."
        )
    names = [str(key) for key in returned]
    read = names_read(names, group)
    unread = [one for one in names if one not in read]
    if read and unread:  # Such as groups, without which patients would be in both splits.
        raise UserError(
            f"{_KEY}={name} returned {' and '.join(unread)} too, which nothing reads; leave it "
            f"out. Read are {', '.join(sorted(read))}."
        )
    arrays = {}
    for key, value in returned.items():
        _check_one_input(str(key), value, returned, name)
        if np.ma.is_masked(value):
            raise UserError(
                f"{_KEY}={name}: {key} is masked in places, and nothing may be missing; fill these "
                "or leave such examples out."
            )
        try:
            arrays[str(key)] = np.asarray(value)
        except Exception as error:  # Of whatever library it is from.
            why = _ragged(value) or f" is no array: {first_line(error).rstrip('.')}."
            raise UserError(f"{_KEY}={name}: {key}{why}") from None
        if arrays[str(key)].dtype == object:
            what = f"{_KEY}={name}: {key}"
            if str(key).startswith("x"):
                _check_not_mixed(arrays[str(key)], what, list(getattr(value, "columns", ())))
            arrays[str(key)] = _texts(arrays[str(key)], what)
    return arrays


def _check_one_input(key: str, value: Any, returned: Mapping[Any, Any], name: str) -> None:
    """Raises UserError if what is to be the inputs is several arrays, each for all examples.

    A list with an array for each example is an array as good as another.

    Args:
        key: what the value is returned as.
        value: what it is.
        returned: all that the function has returned, by name.
        name: of the function.
    """
    if not key.startswith("x"):
        return
    several = isinstance(value, Mapping)
    if isinstance(value, tuple | list):
        examples = _length(returned.get(f"y{key[1:]}"))
        several = examples not in (None, len(value)) and set(map(_length, value)) == {examples}
    if several:
        raise UserError(
            f"{_KEY}={name}: {key} is a {type(value).__name__} of {len(value)}, and a network has "
            "one input; join them into one array, such as by np.concatenate(..., axis=-1)."
        )


def _length(value: Any) -> int | None:
    """Returns how many elements a value has, None if it is one itself."""
    try:
        return len(value)
    except TypeError:
        return None


def _ragged(value: Any) -> str:
    """Returns that the rows of a list have several lengths, "" if that is not what is wrong."""
    lengths = {_length(one) for one in value} if isinstance(value, tuple | list) else set()
    if len(lengths) < 2 or None in lengths:
        return ""
    shown = sorted(length for length in lengths if length is not None)
    return (
        f" has rows of {shown[0]} to {shown[-1]} numbers; give all one length, texts of tokens by "
        "0 behind their last."
    )


def _check_not_mixed(array: np.ndarray, what: str, columns: Sequence[object]) -> None:
    """Raises UserError if inputs are numbers and texts, as a table is that has a column of texts.

    Args:
        array: Python objects.
        what: they are.
        columns: their names, if they have some.
    """
    texts = [place for place, one in np.ndenumerate(array) if isinstance(one, str)]
    numbers = sum(isinstance(one, Number) for one in array.flat)
    if texts and numbers and len(texts) + numbers == array.size:
        first = texts[0]
        where = f"column {visible(str(columns[first[-1]]))}" if columns else f"{list(first)}"
        raise UserError(
            f"{what} holds numbers and texts: {where} has {visible(repr(array[first])):.40}; make "
            "numbers of the texts, or leave them out."
        )


def _texts(array: np.ndarray, what: str) -> np.ndarray:
    """Returns an array of Python objects, as a column of pandas is, as one of texts.

    Raises:
        UserError: one of them is no text.
    """
    for place, one in np.ndenumerate(array):
        if not isinstance(one, str):
            raise UserError(
                f"{what} holds Python objects (dtype object), and {list(place)} is "
                f"{visible(repr(one)):.40} ({type(one).__name__}); give "
                "numbers, such as np.asarray(x, float), or texts."
            )
    return array.astype(str)


SOURCE = Function

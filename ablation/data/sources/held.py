"""Inputs that are arrays in memory, from an archive or a function: checked, and as they are stored.

What is there is told by names, those that Keras's own archives have: `x_train`, `y_train`, `x_val`,
`y_val` (or `x_test`, `y_test`), or `x` and `y`, which are split; beside them `classes` and `group`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablation.config import UserError
from ablation.data.kinds import kind_of
from ablation.data.sources.common import Example, option
from ablation.data.sources.splits import (
    SplitConfig,
    numbered,
    parted,
)

_WHOLE = ("x", "y")
_TRAIN = ("x_train", "y_train")
_VALS = ("x_val", "y_val"), ("x_test", "y_test")
_GROUP = "group"
_KEYS = "x_train, y_train, x_val and y_val, or x and y"


@dataclass
class HeldConfig(SplitConfig):
    """What arrays in memory can be asked for."""

    kind: str | None = option(
        None, "images, features, signals or tokens; null to tell by the arrays"
    )
    vocabulary: str | None = option(
        None, "of tokens: a file with a word a line, or how many there are; null for those of x"
    )


class Held:
    """A set of arrays.

    Args:
        arrays: by name.
        asked: how to split them.
        where: what to call them in a message.

    Raises:
        UserError: an array is missing or unsuitable, or they do not go together.
    """

    read: tuple[Path, ...] = ()

    def __init__(self, arrays: Mapping[str, np.ndarray], asked: HeldConfig, where: str):
        self._where = where
        pairs = _pairs(list(arrays), where)
        self.kind = kind_of(asked.kind, [arrays[x] for x, _ in pairs])
        self.read = (*self.read, *self.kind.files(asked))
        inputs = {x: self.kind.read(x, arrays[x], where) for x, _ in pairs}
        images = [*inputs.values()]
        labels = [self._labels(y, arrays[y]) for _, y in pairs]
        for (x, y), of_x, of_y in zip(pairs, images, labels, strict=True):
            self._check_lengths(x, of_x, y, of_y)
        self.channels = images[0].shape[-1]
        self._convert = self.kind.stored(inputs, where)
        self.classes, every = self._classes(arrays.get("classes"), labels, pairs[0][1])
        groups = self._groups(arrays, asked.group, pairs, labels)
        is_val = np.arange(len(every)) >= len(images[0]) if len(pairs) == 2 else None
        self._places = parted(self.classes, every, groups, is_val, asked, where)
        self._names = [
            f"{x}[{i}]"
            for (x, _), of_x in zip(pairs, images, strict=True)
            for i in range(len(of_x))
        ]
        self._stored, self._every = images, every

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and its examples in stored order."""
        places = self._places[name]
        first = len(self._stored[0])
        images = (
            self._stored[0][place] if place < first else self._stored[1][place - first]
            for place in places
        )
        return len(places), (
            Example(self._names[place], self._convert(image), int(self._every[place]))
            for place, image in zip(places, images, strict=True)
        )

    def _labels(self, name: str, array: np.ndarray) -> np.ndarray:
        """Returns the labels (images,), whole numbers or texts."""
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            hint = " One-hot labels become numbers by y.argmax(axis=1)." if array.ndim == 2 else ""
            raise UserError(
                f"{self._where}: {name} must be one label an image; its shape is {array.shape}."
                f"{hint}"
            )
        if array.dtype.kind == "f" and np.isfinite(array).all() and (array == array.round()).all():
            array = array.astype(np.int64)
        self._check_kind(name, array, "buiSU", "whole numbers or texts, the names of classes")
        if array.dtype.kind == "i" and (array < 0).any():
            place = int(np.argmax(array < 0))
            raise UserError(
                f"{self._where}: {name}[{place}] is {array[place]}; labels are 0 or more. Leave "
                "images without a label out."
            )
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if array.dtype.kind == "U" and not array.astype(bool).all():
            raise UserError(f"{self._where}: {name}[{int(np.argmax(array == ''))}] is empty.")
        return array.astype(np.int64) if array.dtype.kind == "b" else array

    def _check_kind(self, name: str, array: np.ndarray, kinds: str, words: str) -> None:
        if array.dtype.kind not in kinds:
            raise UserError(f"{self._where}: {name} must be {words}; its type is {array.dtype}.")

    def _check_lengths(self, x: str, images: np.ndarray, y: str, labels: np.ndarray) -> None:
        if len(images) != len(labels):
            raise UserError(
                f"{self._where}: {x} has {len(images):,} {self.kind.noun.many} and {y} "
                f"{len(labels):,} labels."
            )

    def _classes(
        self, names: np.ndarray | None, labels: list[np.ndarray], y: str
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the classes and the class of every image, by its place."""
        every = np.concatenate(labels)
        if len({one.dtype.kind == "U" for one in labels}) > 1:
            raise UserError(f"{self._where}: the labels of one split are texts, of the other not.")
        if names is None:
            return numbered([str(label) for label in every.tolist()])
        if names.ndim != 1 or names.dtype.kind not in "SUiu":
            raise UserError(
                f"{self._where}: classes must be a list of names; it is {names.dtype} of shape "
                f"{names.shape}."
            )
        known = [one.decode() if isinstance(one, bytes) else str(one) for one in names.tolist()]
        if len(set(known)) < len(known):
            raise UserError(f"{self._where}: classes names one class twice.")
        if every.dtype.kind == "U":
            unknown = sorted(set(every.tolist()) - set(known))
            if unknown:
                raise UserError(f"{self._where}: the label {unknown[0]!r} is not in classes.")
            return tuple(known), np.array([known.index(label) for label in every.tolist()])
        if every.max() >= len(known):
            raise UserError(
                f"{self._where}: the label {every.max()} has no name in classes, which has "
                f"{len(known)}."
            )
        return tuple(known), every

    def _groups(
        self,
        arrays: Mapping[str, np.ndarray],
        asked: str | None,
        pairs: list[tuple[str, str]],
        labels: list[np.ndarray],
    ) -> np.ndarray | None:
        """Returns whom each image is of, None if nobody says so."""
        name = asked or _GROUP
        names = [name] if len(pairs) == 1 else [f"{name}_{x.partition('_')[2]}" for x, _ in pairs]
        missing = [one for one in names if one not in arrays]
        if missing:
            if asked or len(missing) < len(names):
                raise UserError(
                    f"{self._where} has no {missing[0]}, whom each image is of (dataset.group="
                    f"{name}); it has {', '.join(arrays)}."
                )
            return None
        found = []
        for one, of_labels in zip(names, labels, strict=True):
            array = arrays[one]
            self._check_kind(one, array, "buiSU", "whole numbers or texts")
            if array.shape != of_labels.shape:
                raise UserError(
                    f"{self._where}: {one} must have one value an image, {len(of_labels):,}; its "
                    f"shape is {array.shape}."
                )
            found.append(array)
        return np.concatenate(found)


def names_read(arrays: list[str], group: str | None) -> set[str]:
    """Returns those of some names of arrays that are read."""
    try:
        pairs = _pairs(arrays, "")
    except UserError:
        return set()
    name = group or _GROUP
    groups = [name] if len(pairs) == 1 else [f"{name}_{x.partition('_')[2]}" for x, _ in pairs]
    return {one for pair in pairs for one in pair} | {"classes", *groups}


def _pairs(names: list[str], where: str) -> list[tuple[str, str]]:
    """Returns the names of images and labels, of one split or of both.

    Raises:
        UserError: they are not there.
    """
    whole, split = set(_WHOLE) & set(names), set(_TRAIN) & set(names)
    vals = [pair for pair in _VALS if set(pair) <= set(names)]
    if len(whole) == 2 and not split:
        return [_WHOLE]
    if len(split) == 2 and vals and not whole:
        return [_TRAIN, vals[0]]
    has = f"it has {', '.join(names) or 'nothing'}"
    if whole and split:
        raise UserError(f"{where} must hold {_KEYS}, not of both; {has}.")
    if len(split) == 2:
        has += "; name them x and y to have a part of them validate"
    raise UserError(f"{where} must hold {_KEYS}; {has}.")

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
    TargetConfig,
    parted,
)
from ablation.targets import TARGETS, guessed

_WHOLE = ("x", "y")
_TRAIN = ("x_train", "y_train")
_VALS = ("x_val", "y_val"), ("x_test", "y_test")
_GROUP = "group"
_KEYS = "x_train, y_train, x_val and y_val, or x and y"


@dataclass
class HeldConfig(TargetConfig):
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
        labels = [np.asarray(arrays[y]) for _, y in pairs]
        for (x, y), of_x, of_y in zip(pairs, images, labels, strict=True):
            self._check_lengths(x, of_x, y, of_y)
        self.channels = images[0].shape[-1]
        self._convert = self.kind.stored(inputs, where)
        found = [(y, one) for (_, y), one in zip(pairs, labels, strict=True)]
        self.target = TARGETS[asked.target] if asked.target else guessed(found, where)
        self.classes, every = self.target.read(found, arrays.get("classes"), where)
        groups = self._groups(arrays, asked.group, pairs, labels)
        self.grouped = groups is not None
        is_val = np.arange(len(every)) >= len(images[0]) if len(pairs) == 2 else None
        self._places = parted(self.classes, every, groups, is_val, asked, where, self.target)
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
            Example(self._names[place], self._convert(image), self._every[place])
            for place, image in zip(places, images, strict=True)
        )

    def _check_kind(self, name: str, array: np.ndarray, kinds: str, words: str) -> None:
        if array.dtype.kind not in kinds:
            raise UserError(f"{self._where}: {name} must be {words}; its type is {array.dtype}.")

    def _check_lengths(self, x: str, images: np.ndarray, y: str, labels: np.ndarray) -> None:
        if not labels.ndim:
            raise UserError(f"{self._where}: {y} is one value, not one for each of {x}.")
        if len(images) != len(labels):
            raise UserError(
                f"{self._where}: {x} has {len(images):,} {self.kind.noun.many} and {y} "
                f"{len(labels):,} labels."
            )

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
            if array.shape != of_labels.shape[:1]:
                raise UserError(
                    f"{self._where}: {one} must have one value an example, {len(of_labels):,}; its "
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

"""What every kind of input has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ablation.config import UserError

Meta = Mapping[str, Any]
"""What `meta.json` of a cache holds; see `ablation.data.cache`."""

Drawer = Callable[[Any, np.ndarray, float, float, float], None]
"""Draws one input on matplotlib's axes: which one, its left and upper edge, and its side."""


class Noun(NamedTuple):
    """What sentences call inputs: one of them, and several."""

    one: str
    many: str


class Picture(NamedTuple):
    """How an input is shown.

    Attributes:
        draw: draws one.
        scale: by how much its tile is larger than that of an image.
        remark: what a reader should know of all of them, "" for nothing.
    """

    draw: Drawer
    scale: float = 1.0
    remark: str = ""


@dataclass(frozen=True)
class Affine:
    """How stored numbers are normalised: times a scale, plus an offset.

    Attributes:
        scale: of the shape of an input, or one that broadcasts to it.
        offset: likewise.
    """

    scale: np.ndarray
    offset: np.ndarray

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        """Returns float32 inputs (batch, ...)."""
        found: np.ndarray = stored * self.scale + self.offset
        return found.astype(np.float32, copy=False)


class Kind(Protocol):
    """What a network gets: how it is read, stored, normalised, augmented, shown and called.

    Attributes:
        name: that `dataset.kind` gives it.
        noun: what sentences call its inputs.
        numbers: what they are made of, in words.
        alike: how two are found to be the same, in words.
        refuses: keys of the configuration that are for other kinds.
    """

    name: str
    noun: Noun
    numbers: str
    alike: str
    refuses: tuple[str, ...]

    def fits(self, array: np.ndarray) -> bool:
        """Returns whether an array is taken for inputs of this kind where nobody names one."""

    def read(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """Returns an array (inputs, ...) in the shape that a network gets.

        Args:
            name: of the array.
            array: as the user gives it.
            where: what to call the data set in a message.

        Raises:
            UserError: it holds no such inputs.
        """

    def stored(
        self, arrays: Mapping[str, np.ndarray], where: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Returns how one input is stored.

        Args:
            arrays: those of all splits, as `read` returns them.
            where: as in `read`.

        Raises:
            UserError: they do not go together.
        """

    def files(self, dataset: Any) -> tuple[Path, ...]:
        """Returns the files that it reads beside the inputs."""

    def shape(self, first: np.ndarray, dataset: Any) -> tuple[int, ...]:
        """Returns the shape in which all inputs are stored.

        Args:
            first: of the inputs to train on.
            dataset: the `dataset` part of the configuration.
        """

    def fitted(
        self, name: str, one: np.ndarray, shape: tuple[int, ...], dataset: Any
    ) -> np.ndarray:
        """Returns an input in that shape.

        Args:
            name: what to call it in a message.
            one: the input.
            shape: as the method of that name returned it.
            dataset: the `dataset` part of the configuration.

        Raises:
            UserError: it cannot have it.
        """

    def facts(
        self, train: np.ndarray, val: np.ndarray, dataset: Any, directory: Path
    ) -> dict[str, Any]:
        """Returns what `meta.json` says of stored inputs, their shape among it.

        Args:
            train: those to train on.
            val: those to validate on.
            dataset: the `dataset` part of the configuration.
            directory: of the cache, for arrays beside them.

        Raises:
            UserError: those to validate on do not go with those to train on.
        """

    def affine(self, cache: Any, normalisation: str) -> Affine | None:
        """Returns how inputs are normalised, None if a network gets them as they are stored.

        Args:
            cache: the data set, a `Cache`.
            normalisation: of the configuration.
        """

    def wrong(self, found: np.ndarray, meta: Meta) -> str | None:
        """Returns what an augmentation of the user's own may not make of inputs, None if nothing.

        Args:
            found: what it has made of a batch, of the same shape.
            meta: of the data set.
        """

    def picture(self, meta: Meta) -> Picture | None:
        """Returns how an input is shown, None if it is not."""


class InMemory:
    """What kinds share whose inputs have one shape from the first."""

    def files(self, dataset: Any) -> tuple[Path, ...]:
        """Returns none."""
        return ()

    def shape(self, first: np.ndarray, dataset: Any) -> tuple[int, ...]:
        """Returns that of the first."""
        return first.shape

    def fitted(
        self, name: str, one: np.ndarray, shape: tuple[int, ...], dataset: Any
    ) -> np.ndarray:
        """Returns an input as it is."""
        return one

    def picture(self, meta: Meta) -> Picture | None:
        """Returns None: there is nothing to see."""
        return None


class Numbers(InMemory):
    """What kinds share whose inputs are floats, standardised along their last axis."""

    noun: Noun
    numbers, alike = "finite numbers", "number by number"
    refuses = (
        "dataset.image_size",
        "dataset.resize",
        "dataset.augment",
        "dataset.normalisation",
        "dataset.vocabulary",
        "recipe.cutmix",
        "recipe.random_erasing",
        "recipe.trivial_augment",
    )

    def stored(
        self, arrays: Mapping[str, np.ndarray], where: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Returns how an input is stored: as floats, in the user's own units."""
        check_same(arrays, where)
        kept = np.result_type(np.float32, *(array.dtype for array in arrays.values()))
        kept = min(kept, np.dtype(np.float64), key=lambda one: one.itemsize)
        return lambda one: one.astype(kept)

    def facts(
        self, train: np.ndarray, val: np.ndarray, dataset: Any, directory: Path
    ) -> dict[str, Any]:
        """Returns mean and standard deviation of training along the last axis.

        A deviation is 0 where nothing changes, however the mean is rounded.

        Raises:
            UserError: numbers are too large or too small for it, so that they would be lost.
        """
        axes = tuple(range(train.ndim - 1))
        changes = train.max(axis=axes) > train.min(axis=axes)
        with np.errstate(all="ignore"):  # What came of it is looked at.
            mean = np.where(changes, train.mean(axis=axes, dtype=np.float64), train.max(axis=axes))
            deviation = np.where(changes, train.std(axis=axes, dtype=np.float64), 0)
            ends = np.stack([end(axis=axes) for one in (train, val) for end in (one.min, one.max)])
            given = np.isfinite(_standardising(mean, deviation)(ends)).all(axis=0)
        lost = np.flatnonzero(~given | ~np.isfinite(deviation) | (changes & (deviation == 0)))
        if len(lost):
            place = lost[0]
            raise UserError(
                f"{dataset.name}: numbers from {ends[:, place].min():g} to "
                f"{ends[:, place].max():g}, in column {place + 1} of {len(mean)}, are too large or "
                "too small to be standardised; give them in another unit, or as logarithms."
            )
        return {"shape": train.shape[1:], "mean": mean.tolist(), "std": deviation.tolist()}

    def affine(self, cache: Any, normalisation: str) -> Affine:
        """Returns what makes the mean of training 0 and its deviation 1; a constant becomes 0."""
        return _standardising(np.array(cache.meta["mean"]), np.array(cache.meta["std"]))

    def wrong(self, found: np.ndarray, meta: Meta) -> str | None:
        """Inputs are finite numbers."""
        if found.dtype.kind not in "uif":
            return f"an array of {found.dtype}"
        return None if np.isfinite(found).all() else "NaN or infinity"


def _standardising(mean: np.ndarray, deviation: np.ndarray) -> Affine:
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return Affine(scale, -mean * scale)


def check_type(name: str, array: np.ndarray, where: str) -> None:
    """Raises UserError unless an array is of numbers, or of yes and no."""
    if array.dtype.kind not in "buif":
        hint = (
            " Texts become the numbers of their tokens first." if array.dtype.kind in "SU" else ""
        )
        raise UserError(f"{where}: {name} must be numbers; its type is {array.dtype}.{hint}")


def check_numbers(name: str, array: np.ndarray, where: str, noun: Noun) -> None:
    """Raises UserError unless an array holds inputs of finite numbers."""
    check_type(name, array, where)
    if not len(array):
        raise UserError(f"{where}: {name} holds no {noun.many}.")
    if array.dtype.kind == "f":
        broken = np.flatnonzero([not np.isfinite(one).all() for one in array])
        if len(broken):
            more = f", and so do {len(broken) - 1:,} more {noun.many}" if len(broken) > 1 else ""
            raise UserError(f"{where}: {name}[{broken[0]}] holds NaN or infinity{more}.")


def check_same(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Raises UserError unless the inputs of all splits have one shape."""
    (first, one), *others = arrays.items()
    for name, other in others:
        if other.shape[1:] != one.shape[1:]:
            raise UserError(
                f"{where}: {first} is {shape_of(one)} and {name} {shape_of(other)}; but for the "
                "first number both must be alike."
            )


def shape_of(array: np.ndarray) -> str:
    """Returns the shape of an array in words, such as "20x4"."""
    return "x".join(map(str, array.shape)) or "one number"

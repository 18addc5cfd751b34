"""One class of several an image: softmax cross-entropy and accuracy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ablation.analysis.metrics import METRICS, Metric
from ablation.config import UserError
from ablation.data.kinds import Noun
from ablation.records.predictions import Predictions, packed, unpacked
from ablation.targets.cells import Cells, said
from ablation.targets.common import Found, Target
from ablation.targets.counts import VERY_UNEQUAL, by_class, caveats, span
from ablation.targets.naming import composed, numbered
from ablation.text import readable

_ROWS_AT_MOST = 20
_BEYOND = 2.0**63  # What an int64 does not hold.


@dataclass(frozen=True)
class Classes(Target):
    """The number of a class, int (images,)."""

    kind: ClassVar[str] = "classes"
    unread: ClassVar[Mapping[str, str]] = {}
    tracked: ClassVar[str] = "accuracy"
    tracked_in_training: ClassVar[bool] = True
    is_row: ClassVar[bool] = False
    nothing: ClassVar[str] = "Always answering the most frequent class"
    no_skill: ClassVar[str] = (
        "whose accuracy comes less than {:.0%} of the way from chance to 100 %"
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Those of classes."""
        return METRICS

    @staticmethod
    def read(
        found: Found, names: np.ndarray | None, where: str
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the classes and the class of every image, by its place."""
        labels = [_labels(name, array, where) for name, array in found]
        if len({one.dtype.kind == "U" for one in labels}) > 1:
            raise UserError(f"{where}: the labels of one split are texts, of the other not.")
        every = np.concatenate(labels)
        if names is None:
            return numbered([str(label) for label in every.tolist()])
        known = named_outputs(names, where)
        if every.dtype.kind == "U":
            places: dict[str, int] = {}
            for place, name in enumerate(known):
                places.setdefault(composed(name), place)
            unknown = sorted(one for one in set(every.tolist()) if composed(one) not in places)
            if unknown:
                raise UserError(f"{where}: the label {unknown[0]!r} is not in classes.")
            return known, np.array([places[composed(label)] for label in every.tolist()])
        if every.max() >= len(known):
            raise UserError(
                f"{where}: the label {every.max()} has no name in classes, which has {len(known)}."
            )
        return known, every

    @staticmethod
    def of_cells(cells: Cells) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the classes that one column names, or the columns of which a row has one 1."""
        if len(cells.names) > 1:
            return cells.names, cells.chosen()
        if cells.are_lists:
            first = said(cells.columns[0][0])
            raise UserError(
                f"{cells.where}: {cells.names[0]} holds lists, such as {first}, and of classes "
                "each example has one. Several labels are dataset.target=labels, several numbers "
                "dataset.target=value."
            )
        # As they stand: 007 is a class of its own.
        names = None if cells.known is None else np.array(cells.known)
        return Classes.read([(cells.names[0], cells.texts)], names, cells.where)

    @staticmethod
    def empty(count: int, outputs: int) -> np.ndarray:
        """Returns int32 (images,)."""
        return np.empty(count, np.int32)

    @staticmethod
    def strata(labels: np.ndarray) -> np.ndarray:
        """Returns the classes."""
        return labels

    @staticmethod
    def of_split(labels: np.ndarray, outputs: int) -> dict[str, Any]:
        """Returns how many images each class has."""
        return {"per_class": np.bincount(labels, minlength=outputs).tolist()}

    @property
    def counted(self) -> str:
        """How many classes there are."""
        return f"{len(self.outputs)} classes"

    def table(self, splits: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
        """Returns the images by class and split, of the first classes if there are many."""
        counts = [splits[split]["per_class"] for split in ("train", "val")]
        rows = list(zip(self.outputs, *counts, strict=True))
        shown = rows if len(rows) <= _ROWS_AT_MOST else rows[: _ROWS_AT_MOST - 1]
        found = [[readable(name), *(f"{n:,}" for n in of_class)] for name, *of_class in shown]
        rest = rows[len(shown) :]
        if rest:
            spans = (span(column) for column in list(zip(*rest, strict=True))[1:])
            found.append([f"and {len(rest):,} more, each", *spans])
        return "class", found

    def warnings(self, meta: Mapping[str, Any], noun: Noun) -> list[str]:
        """Returns which classes cannot be judged, and whether they are very unequal."""
        train, val = (meta["splits"][split]["per_class"] for split in ("train", "val"))
        caveat = caveats(self.outputs, val, meta["lost"], noun)
        found = [f"warning: {caveat}"] if caveat else []
        if max(train) >= VERY_UNEQUAL * min(train):
            most, least = train.index(max(train)), train.index(min(train))
            found.append(
                f"the classes are very unequal: {train[most]:,} training {noun.many} of "
                f"{readable(self.outputs[most])}, {train[least]:,} of "
                f"{readable(self.outputs[least])}; always answering "
                f"{readable(self.outputs[val.index(max(val))])} would score "
                f"{max(val) / sum(val):.2%}"
            )
        return found

    def to_learn(self, labels: np.ndarray) -> np.ndarray:
        """Returns the classes."""
        return labels

    def judged(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Returns the accuracy."""
        return {"accuracy": float(np.mean(outputs.argmax(axis=1) == labels))}

    def result(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def packed(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns labels and logarithms of probabilities."""
        return packed(labels, outputs)

    @staticmethod
    def unpacked(arrays: dict[str, np.ndarray]) -> Predictions:
        """Returns labels and probabilities."""
        return unpacked(arrays)

    @staticmethod
    def standing(result: Mapping[str, Any], noun: Noun) -> dict[str, Any]:
        """Returns `val_counts` (images of each class) and `imbalance` too.

        That is how many times as many training images the largest class has as the smallest.
        """
        # What always answering the most frequent class scores; equal classes in older results.
        counts = result.get("val_per_class") or [1] * len(result["classes"])
        trained = result.get("train_per_class") or [1]
        known = result["classes"][: len(counts)]
        return {
            "skill": result["val_accuracy"],
            "chance": max(counts) / sum(counts),
            "val_counts": tuple(counts),
            "imbalance": max(trained) / min(trained) if min(trained) else math.inf,
            "caveats": caveats(known, counts, result.get("lost") or [], noun),
        }

    def conditions(self, result: Mapping[str, Any], noun: Noun) -> list[tuple[str, str]]:
        """Returns the images by class."""
        return [
            (
                f"{name} {noun.many} by class",
                by_class(result["classes"], result[f"{split}_per_class"]),
            )
            for split, name in (("train", "training"), ("val", "validation"))
            if f"{split}_per_class" in result
        ]

    def chance(self, metric: Metric, standing: Mapping[str, Any]) -> float:
        """Returns what hangs on the number of images of each class."""
        counts = standing["val_counts"]
        if metric.chance is None or not isinstance(counts, tuple):
            return math.nan
        return float(metric.chance(np.array(counts)))


def _labels(name: str, array: np.ndarray, where: str) -> np.ndarray:
    """Returns the labels (images,), whole numbers or texts."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = ""
        if array.ndim == 2:
            one_hot = " One-hot labels become numbers by y.argmax(axis=1)."
            several = " Several numbers to predict are dataset.target=value."
            hint = one_hot if are_flags(array) else several
        raise UserError(
            f"{where}: {name} must be one label an example; its shape is {array.shape}.{hint}"
        )
    if is_whole(array) or array.dtype.kind == "u":
        array = _as_int64(name, array, where)
    if array.dtype.kind not in "buiSU":
        raise UserError(
            f"{where}: {name} must be whole numbers or texts, the names of classes; its type is "
            f"{array.dtype}."
        )
    if array.dtype.kind == "i" and (array < 0).any():
        place = int(np.argmax(array < 0))
        raise UserError(
            f"{where}: {name}[{place}] is {array[place]}; labels are 0 or more. Leave out examples "
            "without a label."
        )
    if array.dtype.kind == "S":
        texts = enumerate(array.tolist())
        array = np.array([_text(stored, f"{name}[{place}]", where) for place, stored in texts])
    if array.dtype.kind == "U" and not array.astype(bool).all():
        raise UserError(f"{where}: {name}[{int(np.argmax(array == ''))}] is empty.")
    return array if array.dtype.kind == "U" else array.astype(np.int64)


def _as_int64(name: str, array: np.ndarray, where: str) -> np.ndarray:
    """Returns whole numbers as int64; raises UserError if one is too large for it."""
    beyond = np.flatnonzero(np.abs(array) >= _BEYOND)
    if len(beyond):
        raise UserError(
            f"{where}: {name}[{beyond[0]}] is {array[beyond[0]]:g}; labels are whole numbers "
            f"below {_BEYOND:.2g}. A number to predict is dataset.target=value."
        )
    return array.astype(np.int64)


def are_flags(array: np.ndarray) -> bool:
    """Returns whether an array is 0 and 1 alone."""
    return bool(array.dtype.kind in "buif" and ((array == 0) | (array == 1)).all())


def _text(stored: bytes, place: str, where: str) -> str:
    """Returns bytes as text; raises UserError if they are none in UTF-8."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        raise UserError(
            f"{where}: {place} is {stored!r}, which is no text in UTF-8; decode the names first, "
            'such as by np.char.decode(y, "latin-1").'
        ) from None


def is_whole(array: np.ndarray) -> bool:
    """Returns whether floats are all whole numbers."""
    return bool(
        array.dtype.kind == "f" and np.isfinite(array).all() and (array == array.round()).all()
    )


def named_outputs(names: np.ndarray, where: str) -> tuple[str, ...]:
    """Returns names as text.

    Raises:
        UserError: they are no list of different names.
    """
    if names.ndim != 1 or names.dtype.kind not in "SUiu":
        raise UserError(
            f"{where}: classes must be a list of names; it is {names.dtype} of shape {names.shape}."
        )
    known = [
        _text(one, f"classes[{i}]", where) if isinstance(one, bytes) else str(one)
        for i, one in enumerate(names.tolist())
    ]
    if len(set(known)) < len(known):
        raise UserError(f"{where}: classes names one class twice.")
    return tuple(known)

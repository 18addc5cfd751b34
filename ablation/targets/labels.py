"""Several labels an image, each there or not: binary cross-entropy and mean average precision."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ablation.analysis.metrics import Metric
from ablation.config import UserError
from ablation.data.kinds import Noun
from ablation.records.predictions import Predictions
from ablation.targets.cells import Cells, marked
from ablation.targets.classes import named_outputs
from ablation.targets.common import Found, Target
from ablation.targets.counts import by_class
from ablation.terminal import counted
from ablation.text import named, readable

_ROWS_AT_MOST = 20
_NAMED_AT_MOST = 5


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the mean over labels of the average precision, as scikit-learn has it.

    Labels that no image has count for nothing; NaN if there is no other.

    Args:
        labels: 0 or 1 (images, labels).
        scores: float (images, labels), higher where a label is likelier.
    """
    from sklearn.metrics import average_precision_score  # Loads SciPy, which takes a second.

    there = np.flatnonzero(labels.any(axis=0))
    if not len(there):
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [average_precision_score(labels[:, k], scores[:, k]) for k in there]
    return float(np.mean(found))


_MAP = Metric("mean_average_precision", "validation mean average precision", mean_average_precision)


@dataclass(frozen=True)
class Labels(Target):
    """0 or 1 for each of several labels, float32 (images, labels)."""

    kind: ClassVar[str] = "labels"
    unread: ClassVar[Mapping[str, str]] = {
        "class_weights": "an example has several labels, so no weight is its own"
    }
    tracked: ClassVar[str] = "mean_average_precision"
    tracked_in_training: ClassVar[bool] = False  # It is no mean over steps.
    is_row: ClassVar[bool] = True
    outcomes: ClassVar[int | None] = 2
    nothing: ClassVar[str] = "An order by chance"
    no_skill: ClassVar[str] = (
        "whose mean average precision comes less than {:.0%} of the way from chance to 100 %"
    )

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The mean average precision alone."""
        return {_MAP.name: _MAP}

    @staticmethod
    def read(
        found: Found, names: np.ndarray | None, where: str
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the labels, and float32 (images, labels)."""
        for name, array in found:
            if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind not in "buif":
                raise UserError(
                    f"{where}: {name} must be a row of 0 and 1 an example, one for each of two "
                    f"labels or more; it is {array.dtype} of shape {array.shape}."
                )
            wrong = np.argwhere((array != 0) & (array != 1))
            if len(wrong):
                row, column = map(int, wrong[0])
                raise UserError(
                    f"{where}: {name}[{row}, {column}] is {array[row, column]}; with "
                    "dataset.target=labels it is 1 if the image has the label and 0 if not."
                )
        counts = [array.shape[1] for _, array in found]
        if len(set(counts)) > 1:
            raise UserError(f"{where}: {found[0][0]} has {counts[0]} labels, {found[1][0]} others.")
        known = (
            tuple(f"label {k}" for k in range(counts[0]))
            if names is None
            else named_outputs(names, where)
        )
        if len(known) != counts[0]:
            raise UserError(
                f"{where}: classes names {len(known)} labels, and an example has {counts[0]}."
            )
        return known, np.concatenate([array.astype(np.float32) for _, array in found])

    @staticmethod
    def of_cells(cells: Cells) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns a label a column, of one column those in its cells."""
        if len(cells.names) == 1:
            names, found = marked(cells.separated(), cells.known)
            if len(names) < 2:
                raise UserError(
                    f"{cells.where}: {cells.names[0]} has {' '.join(names) or 'no label'} alone; "
                    "several labels are two or more."
                )
        else:
            names, found = cells.names, cells.flags()
        return Labels.read([(cells.names[0], found)], np.array(names), cells.where)

    @staticmethod
    def empty(count: int, outputs: int) -> np.ndarray:
        """Returns float32 (images, labels)."""
        return np.empty((count, outputs), np.float32)

    @staticmethod
    def strata(labels: np.ndarray) -> np.ndarray:
        """Returns zeros: images are split at random."""
        return np.zeros(len(labels), np.int64)

    @staticmethod
    def of_split(labels: np.ndarray, outputs: int) -> dict[str, Any]:
        """Returns how many images have each label."""
        return {"per_label": labels.astype(int).reshape(-1, outputs).sum(axis=0).tolist()}

    @property
    def counted(self) -> str:
        """How many labels there are."""
        return counted(len(self.outputs), "label")

    def table(self, splits: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
        """Returns the images that have each label, of the first labels if there are many."""
        counts = [splits[split]["per_label"] for split in ("train", "val")]
        rows = [
            [readable(name), *(f"{n:,}" for n in of_label)]
            for name, *of_label in zip(self.outputs, *counts, strict=True)
        ]
        more = len(rows) - _ROWS_AT_MOST
        return "label", rows[:_ROWS_AT_MOST] + (
            [[f"and {more:,} more", "", ""]] if more > 0 else []
        )

    def warnings(self, meta: Mapping[str, Any], noun: Noun) -> list[str]:
        """Returns which labels cannot be learned or judged."""
        train, val = (meta["splits"][split]["per_label"] for split in ("train", "val"))
        found = _unseen(self.outputs, train, f"training {noun.one}", "nothing can be learned")
        found += _unseen(self.outputs, val, f"validation {noun.one}", _LEFT_OUT)
        return [f"warning: {one}" for one in found]

    def to_learn(self, labels: np.ndarray) -> np.ndarray:
        """Returns the labels."""
        return labels

    def judged(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Returns the mean average precision."""
        return {self.tracked: mean_average_precision(labels, outputs)}

    def result(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        """Returns what an order by chance scores: the mean share of images that have a label."""
        shares = labels.mean(axis=0)
        return {"by_chance": {self.tracked: float(shares[shares > 0].mean())}}

    def packed(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns `labels`, uint8, and `log_odds`, float32, both (images, labels)."""
        return {"labels": labels.astype(np.uint8), "log_odds": outputs.astype(np.float32)}

    @staticmethod
    def unpacked(arrays: dict[str, np.ndarray]) -> Predictions:
        """Returns labels and the logarithms of their odds."""
        return Predictions(arrays["labels"], arrays["log_odds"], arrays["log_odds"])

    @staticmethod
    def standing(result: Mapping[str, Any], noun: Noun) -> dict[str, Any]:
        """Returns the mean average precision as skill."""
        names, counts = result["classes"], result["val_per_label"]
        return {
            "skill": result["val_mean_average_precision"],
            "chance": result["by_chance"]["mean_average_precision"],
            "caveats": "; ".join(_unseen(names, counts, f"validation {noun.one}", _LEFT_OUT)),
            "by_chance": result["by_chance"],
        }

    def conditions(self, result: Mapping[str, Any], noun: Noun) -> list[tuple[str, str]]:
        """Returns the images by label."""
        return [
            (f"{name} {noun.many} by label", by_class(self.outputs, result[f"{split}_per_label"]))
            for split, name in (("train", "training"), ("val", "validation"))
            if f"{split}_per_label" in result
        ]

    def chance(self, metric: Metric, standing: Mapping[str, Any]) -> float:
        """Returns the mean share of images that have a label."""
        known = standing.get("by_chance")
        return float(known.get(metric.name, math.nan)) if isinstance(known, dict) else math.nan


_LEFT_OUT = "no mean counts it"


def _unseen(names: Any, counts: Any, what: str, so: str) -> list[str]:
    """Returns which labels no image of a split has, in words."""
    none = [name for name, count in zip(names, counts, strict=True) if not count]
    return [f"no {what} has {named(none, len(none), _NAMED_AT_MOST)}, so {so}"] if none else []

"""Numbers with a unit: regression by squared or Huber's error."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ablation.analysis.metrics import Metric, unit_of_difference
from ablation.config import UserError
from ablation.data.kinds import Noun
from ablation.records.predictions import Predictions
from ablation.targets.cells import Cells
from ablation.targets.classes import named_outputs
from ablation.targets.common import Found, Target
from ablation.terminal import counted
from ablation.text import named, readable

_FACTS = ("least", "greatest", "mean", "std")
_ROUNDING = 1e-3
"""Of the standard deviation, that by which single precision may round a value."""

_VERY_UNEQUAL = 100
"""Times as large a standard deviation of one value as of another: worth a warning."""

_NAMED_AT_MOST = 5

_DIGITS = 4
"""Of a standard deviation of the training values, when a table shows it."""


def mae(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the mean absolute error, the mean over values of an image too.

    Args:
        values: float (images, values).
        predicted: float (images, values).
    """
    return float(_absolute(values, predicted).mean())


def _absolute(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.abs(predicted.astype(float) - values).mean(axis=1)


def rmse(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the root of the mean squared error, of several values the mean of their roots."""
    return float(np.sqrt(((predicted.astype(float) - values) ** 2).mean(axis=0)).mean())


def r2(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the coefficient of determination, of several values the mean of theirs.

    1 less the squared error over that of the mean of these very values. Of a value that never
    varies it is 0, or 1 if that is what was said, as in scikit-learn's `r2_score`.
    """
    values = values.astype(float)
    left = ((predicted - values) ** 2).sum(axis=0)
    whole = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    shares = np.where(left == 0, 1.0, 0.0)
    np.divide(whole - left, whole, out=shares, where=whole > 0)
    return float(shares.mean())


_MAE = Metric(
    "mae",
    "validation mean absolute error",
    mae,
    unit="",
    points="",
    scale=1,
    higher_is_better=False,
    per_image=_absolute,
)
_RMSE = replace(
    _MAE, name="rmse", title="validation root mean squared error", function=rmse, per_image=None
)
_R2 = Metric("r2", "validation R²", r2, unit="", points="", scale=1, digits=4)


@dataclass(frozen=True)
class Value(Target):
    """One or several numbers, float32 (images, values).

    A network learns them less their mean and over their standard deviation, each by itself, of
    the training images; whatever is judged, stored or shown is in the unit of the data.
    """

    kind: ClassVar[str] = "value"
    unread: ClassVar[Mapping[str, str]] = {
        "label_smoothing": "a value has no classes to be smoothed over",
        "class_weights": "a value has no classes to be weighed",
    }
    tracked: ClassVar[str] = "mae"
    tracked_in_training: ClassVar[bool] = True
    has_unit: ClassVar[bool] = True
    is_row: ClassVar[bool] = True
    nothing: ClassVar[str] = "Always answering the mean of the training values"
    no_skill: ClassVar[str] = "whose R² is less than {:.1f}"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Errors have the unit and as many digits as fit the values, whose mean they are."""
        largest = max(self.facts.get("std") or [1.0])
        digits = min(max(_DIGITS - 1 - math.floor(math.log10(largest)), 0), 9) if largest > 0 else 2
        points = unit_of_difference(self.unit)
        errors = (
            replace(one, unit=self.unit, points=points, digits=digits) for one in (_MAE, _RMSE)
        )
        return {one.name: one for one in (*errors, _R2)}

    @staticmethod
    def read(
        found: Found, names: np.ndarray | None, where: str
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the values, and float32 (images, values)."""
        arrays = [_values(name, array, where) for name, array in found]
        counts = [array.shape[1] for array in arrays]
        if len(set(counts)) > 1:
            raise UserError(f"{where}: {found[0][0]} has {counts[0]} values, {found[1][0]} others.")
        if names is None:
            single = counts[0] == 1
            known = ("value",) if single else tuple(f"value {i + 1}" for i in range(counts[0]))
        else:
            known = named_outputs(names, where)
        if len(known) != counts[0]:
            raise UserError(
                f"{where}: classes names {len(known)} values, and an example has {counts[0]}."
            )
        wide = np.concatenate([one.reshape(-1, counts[0]).astype(float) for _, one in found])
        _check_digits(known, wide, np.concatenate(arrays), where)
        for name, column in zip(known, arrays[0].T, strict=True):
            if column.min() == column.max():
                of = "" if name == found[0][0] else f" {found[0][0]}"
                raise UserError(
                    f"{where}: {name} is {column[0]:g} throughout{of}, so there is nothing to "
                    "learn."
                )
        return known, np.concatenate(arrays)

    @staticmethod
    def of_cells(cells: Cells) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the values of each column."""
        names = np.array(cells.names)
        return Value.read([(cells.names[0], cells.numbers())], names, cells.where)

    @staticmethod
    def empty(count: int, outputs: int) -> np.ndarray:
        """Returns float32 (images, values)."""
        return np.empty((count, outputs), np.float32)

    @staticmethod
    def strata(labels: np.ndarray) -> np.ndarray:
        """Returns zeros: values are split at random."""
        return np.zeros(len(labels), np.int64)

    @staticmethod
    def of_split(labels: np.ndarray, outputs: int) -> dict[str, Any]:
        """Returns least, mean, greatest and standard deviation (divisor n) of each value."""
        if not len(labels):
            return {}
        wide = labels.astype(float)
        facts = {
            "least": wide.min(axis=0),
            "mean": wide.mean(axis=0),
            "greatest": wide.max(axis=0),
            "std": wide.std(axis=0),
        }
        return {key: found.tolist() for key, found in facts.items()}

    @staticmethod
    def learned_from(labels: np.ndarray, outputs: Sequence[str]) -> dict[str, Any]:
        """Returns mean and standard deviation of each value."""
        of_split = Value.of_split(labels, labels.shape[1])
        for name, value, std in zip(outputs, labels[0], of_split["std"], strict=True):
            if not std:
                raise UserError(
                    f"{name} is {value:g} throughout the training examples, so there is nothing "
                    "to learn."
                )
        return {key: of_split[key] for key in ("mean", "std")}

    @property
    def counted(self) -> str:
        """How many values there are, and in which unit."""
        return f"{counted(len(self.outputs), 'value')}{f' in {self.unit}' if self.unit else ''}"

    def table(self, splits: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
        """Returns range, mean and standard deviation of each value."""
        both = splits["train"], splits["val"]
        return "value", [
            [readable(name), *(_spread(facts, place) for facts in both)]
            for place, name in enumerate(self.outputs)
        ]

    def warnings(self, meta: Mapping[str, Any], noun: Noun) -> list[str]:
        """Returns which values the errors say next to nothing of."""
        found = _ignored(self.outputs, meta["splits"]["train"]["std"])
        return [f"warning: {found}"] if found else []

    def to_learn(self, labels: np.ndarray) -> np.ndarray:
        """Returns standardised values, float32."""
        return ((labels - self._mean) / self._std).astype(np.float32)

    def said(self, outputs: np.ndarray) -> np.ndarray:
        """Returns what the network's outputs are in the unit of the data, float32."""
        return (outputs * self._std + self._mean).astype(np.float32)

    def judged(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Returns the mean absolute error."""
        return {"mae": mae(labels, self.said(outputs))}

    def result(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        """Returns all metrics, and what those of errors are of the mean of the training values."""
        said, mean = self.said(outputs), np.broadcast_to(self._mean, labels.shape)
        return {
            **{f"val_{name}": one.function(labels, said) for name, one in self.metrics.items()},
            # The mean of the training values has an R² of about 0, that of these very ones has 0.
            "by_chance": {"mae": mae(labels, mean), "rmse": rmse(labels, mean), "r2": 0.0},
        }

    def packed(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns `value` and `predicted_value`, float32 (images, values), in the data's unit."""
        return {"value": labels, "predicted_value": self.said(outputs)}

    @staticmethod
    def unpacked(arrays: dict[str, np.ndarray]) -> Predictions:
        """Returns values and what was said of them."""
        values, said = arrays["value"], arrays["predicted_value"]
        return Predictions(values, said, said)

    @staticmethod
    def standing(result: Mapping[str, Any], noun: Noun) -> dict[str, Any]:
        """Returns R² as skill."""
        return {
            "skill": result["val_r2"],
            "chance": 0.0,
            "caveats": _ignored(result["classes"], result.get("train_std") or []),
            "by_chance": result["by_chance"],
        }

    def conditions(self, result: Mapping[str, Any], noun: Noun) -> list[tuple[str, str]]:
        """Returns range, mean and standard deviation of each value."""
        found = []
        for split, of_split in (("train", "training"), ("val", "validation")):
            for place, name in enumerate(self.outputs):
                heading = f"{of_split} {readable(name)}{f', {self.unit}' if self.unit else ''}"
                if f"{split}_least" in result:
                    facts = {key: result[f"{split}_{key}"] for key in _FACTS}
                    found.append((heading, _spread(facts, place)))
        return found

    def chance(self, metric: Metric, standing: Mapping[str, Any]) -> float:
        """Returns what the mean of the training values scores."""
        known = standing.get("by_chance")
        return float(known.get(metric.name, math.nan)) if isinstance(known, dict) else math.nan

    @property
    def _mean(self) -> np.ndarray:
        return np.array(self.facts["mean"])

    @property
    def _std(self) -> np.ndarray:
        return np.array(self.facts["std"])


def _ignored(names: Sequence[str], std: Sequence[float]) -> str:
    """Returns which values a mean over all of them ignores, "" if none.

    Args:
        names: of the values.
        std: standard deviation of each in training, none in older results.
    """
    largest = max(std, default=0)
    small = [name for name, one in zip(names, std, strict=False) if largest > _VERY_UNEQUAL * one]
    if not small:
        return ""
    most = readable(names[std.index(largest)])
    return (
        "mae and rmse, means over values, all but ignore "
        f"{named(small, len(small), _NAMED_AT_MOST)}: {most} varies more than {_VERY_UNEQUAL} "
        "times as much; give the small ones in a smaller unit, or take report.metric=r2"
    )


def _spread(facts: Mapping[str, Any], place: int) -> str:
    """Returns range, mean and standard deviation of a value, in words."""
    least, greatest, mean, std = (f"{facts[key][place]:.4g}" for key in _FACTS)
    return f"{least} to {greatest}, mean {mean} ± {std}"


def _values(name: str, array: np.ndarray, where: str) -> np.ndarray:
    """Returns float32 (images, values)."""
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or not array.shape[1]:
        raise UserError(
            f"{where}: {name} must be one value an example or a row of them; its shape is "
            f"{array.shape}."
        )
    if array.dtype.kind not in "buif":
        raise UserError(
            f"{where}: {name} must be numbers with dataset.target=value; its type is {array.dtype}."
        )
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    broken = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(broken):
        more = f", and so are {len(broken) - 1:,} more" if len(broken) > 1 else ""
        if np.isfinite(array[broken]).all():
            raise UserError(
                f"{where}: {name}[{broken[0]}] is beyond single precision, 3.4e38{more}. Give "
                "values in a larger unit."
            )
        raise UserError(
            f"{where}: {name}[{broken[0]}] is NaN or infinite{more}. Leave out examples without "
            "a value."
        )
    return found


def _check_digits(names: Sequence[str], wide: np.ndarray, kept: np.ndarray, where: str) -> None:
    """Raises UserError if single precision rounds a value by a good part of what it varies by.

    Args:
        names: of the values.
        wide: float64 (images, values).
        kept: the same, float32.
        where: what to call the data set in a message.
    """
    rounding, std = np.abs(wide - kept).max(axis=0), wide.std(axis=0)
    for place in map(int, np.flatnonzero((std > 0) & (rounding > _ROUNDING * std))):
        raise UserError(
            f"{where}: {names[place]} varies by {std[place]:.3g} around "
            f"{wide[:, place].mean():.9g}, which single precision cannot tell apart; subtract a "
            "constant from it, such as the least of the values."
        )

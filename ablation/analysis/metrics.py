"""What a report compares: functions of labels and class probabilities, by name.

A metric is a choice of the report. Runs keep what every one of them needs, so that another takes no
training.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablation import source
from ablation.config import UserError
from ablation.text import did_you_mean

_BINS = 15

_DIGITS_AT_MOST = 7
_DIGITS_OF_SMALL, _DIGITS_OF_TINY = 4, 12

_ROUNDING = 1e-9
"""Share of the last digit below which a difference is that of rounded sums, so none."""


@dataclass(frozen=True)
class Metric:
    """A number that says how good a run's predictions are.

    Attributes:
        name: as it is asked for.
        title: as axes and sentences say it.
        function: of labels, int (images,), and probabilities, float (images, classes).
        unit: of a value, such as "%"; "" of a pure number.
        points: unit of a difference.
        scale: by which a value is multiplied where it is shown.
        digits: behind the decimal point, of a value and of a difference.
        higher_is_better: whether it is.
        chance: of the number of images of each class, int (classes,), what an answer scores that
            looks at no image; None if nobody can say.
        nothing: what that answer says, for a sentence; "" if it is that of the target.
        per_image: the same function of each image, float (images,), whose mean the metric is; None
            if it is no such mean.
    """

    name: str
    title: str
    function: Callable[[np.ndarray, np.ndarray], float]
    unit: str = "%"
    points: str = "points"
    scale: float = 100
    digits: int = 2
    higher_is_better: bool = True
    chance: Callable[[np.ndarray], float] | None = None
    nothing: str = ""
    per_image: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    @property
    def is_share(self) -> bool:
        """Whether values are from 0 to 1 and shown in percent; others may have that unit too."""
        return self.unit == "%" and self.scale == 100

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def fitting(self, values: np.ndarray) -> "Metric":
        """Returns the metric with as many more digits as some values take to be told apart."""
        largest = float(np.nanmax(np.abs(values), initial=0))
        if not 0 < largest < 1:
            return self
        wanted = _DIGITS_OF_SMALL - 1 - math.floor(math.log10(largest))
        return replace(self, digits=max(self.digits, min(wanted, _DIGITS_OF_TINY)))

    def number(self, value: float) -> str:
        """Returns a value without its unit, nothing for NaN."""
        if not math.isfinite(value):
            return "" if math.isnan(value) else f"{value:f}"
        # Adding 0 takes the sign from what is 0 when rounded.
        return f"{round(self.scale * value, self.digits) + 0.0:.{self.digits}f}"

    def value(self, value: float) -> str:
        """Returns a value, such as "91.12 %"."""
        return f"{self.number(value)} {self.unit}".strip()

    def signed(self, value: float) -> str:
        """Returns a difference without its unit, such as "+1.23"; nothing for NaN.

        It has as many digits as it takes to see that it is not 0.
        """
        shown = self.scale * value
        if not math.isfinite(shown):
            return "" if math.isnan(shown) else "+∞" if shown > 0 else "-∞"
        least = 10.0**-self.digits
        if abs(shown) < _ROUNDING * least:
            shown = 0.0
        if not shown or float(f"{shown:.{self.digits}f}"):
            return f"{shown:+.{self.digits}f}"
        digits = math.ceil(-math.log10(abs(shown)))
        return f"{shown:+.{digits}f}" if digits < _DIGITS_AT_MOST else f"{shown:+.0e}"

    def bounds(self, low: float, high: float) -> tuple[str, str]:
        """Returns both ends of an interval of a difference without its unit; nothing for NaN.

        On which side of 0 an interval lies can be read off: an end that is 0 only when rounded has
        more digits, and one where it is cut off, as the sign is known, is "above 0" or "below 0".
        """
        if low == 0 < high:
            return "above 0", self.signed(high)
        if low < 0 == high:
            return self.signed(low), "below 0"
        return self.signed(low), self.signed(high)

    def difference(self, value: float) -> str:
        """Returns a difference, such as "+1.23 points"."""
        return f"{self.signed(value)} {self.points}".strip()

    def size(self, value: float) -> str:
        """Returns how large a difference is, such as "1.23 points"."""
        return f"{self.signed(abs(value)).removeprefix('+')} {self.points}".strip()


def unit_of_difference(unit: str) -> str:
    """Returns the unit of a difference of values: one in "%" would read as a share of them."""
    return "points" if unit == "%" else unit


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the share of images whose likeliest class is theirs."""
    return float(_right(labels, probabilities).mean())


def _right(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return (probabilities.argmax(axis=1) == labels).astype(float)


def top5(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the share of images whose class is among their five likeliest."""
    return float(_among_five(labels, probabilities).mean())


def _among_five(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(probabilities, labels[:, np.newaxis], axis=1)
    # Of equals the first counts, as in an accuracy.
    before = np.arange(probabilities.shape[1]) < labels[:, np.newaxis]
    ahead = (probabilities > own) | ((probabilities == own) & before)
    return (ahead.sum(axis=1) < 5).astype(float)


def balanced_accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean over classes of the share of their images that are taken for them.

    Brodersen et al. 2010, "The balanced accuracy and its posterior distribution". Classes without
    images count for nothing.
    """
    right = probabilities.argmax(axis=1) == labels
    counts = np.bincount(labels)
    hits = np.bincount(labels, weights=right)
    return float((hits[counts > 0] / counts[counts > 0]).mean())


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean over classes of the harmonic mean of precision and recall.

    A class that has no image and is never answered counts for nothing.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    both = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean negative logarithm of the label's probability, in nats."""
    return float(_surprise(labels, probabilities).mean())


def _surprise(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(probabilities, labels[:, np.newaxis], axis=1)[:, 0]
    return -np.log(np.maximum(own, np.finfo(own.dtype).tiny))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns how far confidence and accuracy are apart, over 15 bins of equal width.

    The expected calibration error of Guo et al. 2017 (arXiv 1706.04599, Eq. 3): the mean over
    images of the difference within their bin.
    """
    confidence = probabilities.max(axis=1).astype(float)
    right = probabilities.argmax(axis=1) == labels
    places = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    apart = np.bincount(places, weights=right - confidence, minlength=_BINS)
    return float(np.abs(apart).sum() / len(labels))


def _most_frequent(counts: np.ndarray) -> float:
    return float(counts.max() / counts.sum())


def _one_class(counts: np.ndarray) -> float:
    return 1 / int((counts > 0).sum())


def _one_class_f1(counts: np.ndarray) -> float:
    share = _most_frequent(counts)
    return 2 * share / (1 + share) / int((counts > 0).sum())


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _five_most_frequent(counts: np.ndarray) -> float:
    return float(np.sort(counts)[-5:].sum() / counts.sum())


ACCURACY = Metric(
    "accuracy", "validation accuracy", accuracy, chance=_most_frequent, per_image=_right
)

METRICS = {
    metric.name: metric
    for metric in (
        ACCURACY,
        Metric(
            "top5",
            "validation top-5 accuracy",
            top5,
            chance=_five_most_frequent,
            nothing="Always answering the five most frequent classes",
            per_image=_among_five,
        ),
        Metric("macro_f1", "validation macro F1", macro_f1, chance=_one_class_f1),
        Metric(
            "balanced_accuracy",
            "validation balanced accuracy",
            balanced_accuracy,
            chance=_one_class,
        ),
        Metric(
            "log_loss",
            "validation log loss",
            log_loss,
            unit="nats",
            points="nats",
            scale=1,
            digits=4,
            higher_is_better=False,
            chance=_entropy,
            nothing="Always answering the shares of the classes for their probabilities",
            per_image=_surprise,
        ),
        Metric(
            "calibration_error",
            "validation calibration error",
            calibration_error,
            higher_is_better=False,
        ),
    )
}
"""What `report.metric` may name beside a function of the user's own."""


def find(name: str, known: Mapping[str, Metric] = METRICS) -> Metric:
    """Returns a metric.

    Args:
        name: one of those that are known, or a function of the user's own, "path/to/file.py:name"
            or "package.module:name", of labels and probabilities, or of what another target stores
            (see `Predictions`). It may have the attributes `unit` (""), `higher_is_better` (True)
            and `chance` (of the images of each class).
        known: by name.

    Raises:
        UserError: there is no such metric, or the user's file does not import.
    """
    if name in known:
        return known[name]
    if ":" not in name:
        hint = did_you_mean(name, known, "report.metric={}".format)
        raise UserError(
            f"report.metric={name} is not known.{hint} Allowed: {', '.join(known)}, or a function "
            "of your own, such as my_metrics.py:f."
        )
    located = source.locate(name, "report.metric")
    files = source.local_modules(located)
    try:
        function = source.load(located)
    except UserError:
        raise
    except source.RAISED as error:
        raise UserError(f"report.metric: {source.user_error(error, files)}") from error

    what = f"report.metric={name}"
    chance = getattr(function, "chance", None)
    if chance is not None and not callable(chance):
        raise UserError(
            f"the attribute chance of {what} must be a function of the examples of each class. "
            f"Received: {chance!r}."
        )
    higher = getattr(function, "higher_is_better", True)
    if not isinstance(higher, bool):
        raise UserError(
            f"the attribute higher_is_better of {what} must be True or False. Received: {higher!r}."
        )
    unit = str(getattr(function, "unit", ""))
    return Metric(
        located.function,
        located.function,
        _guarded(function, what, files),
        unit=unit,
        points=unit_of_difference(unit),
        scale=1,
        digits=4,
        higher_is_better=higher,
        chance=chance and _guarded(chance, f"the attribute chance of {what}", files),
        nothing="An answer that looks at no example",
    )


def _guarded(called: Callable[..., Any], what: str, files: Sequence[Path]) -> Callable[..., float]:
    """Returns a function of the user's as one that returns a number or raises UserError.

    Args:
        called: the function.
        what: to call it in a message.
        files: of the user, of which a line is to be named.
    """

    def of_the_user(*given: np.ndarray) -> float:
        try:
            found = called(*given)
        except source.RAISED as error:
            raise UserError(f"report.metric: {source.user_error(error, files)}") from error
        try:
            value = float(found)
        except (TypeError, ValueError):
            kind = type(found).__name__
            raise UserError(f"{what} must return a number. Received: {kind}.") from None
        if not math.isfinite(value):
            raise UserError(f"{what} must return a finite number. Received: {value}.")
        return value

    return of_the_user

"""What a run takes the validation images for, in `predictions.npz`: every class's probability.

Logarithms in half precision, to about a thousandth of their size. Of very many classes the
likeliest are kept and that of the label, and what is left is spread evenly over the others.
"""

from dataclasses import dataclass

import numpy as np

_VALUES_AT_MOST = 4_000_000
_CLASSES_KEPT = 20
_SMALLEST = -65_000.0
"""Below it half precision knows infinity only."""


@dataclass(frozen=True)
class Predictions:
    """What one run takes the validation images for, in stored order.

    Attributes:
        labels: int (images,), the true classes.
        predicted: int (images,), the likeliest class.
        probabilities: float64 (images, classes), whose largest is the predicted class's. In single
            precision what is 10⁻⁴⁵ would be 0.
    """

    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def packed(labels: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the arrays of `predictions.npz`.

    Args:
        labels: int (images,).
        logits: float (images, classes).

    Returns:
        `label` and `predicted`, int32 (images,); `confidence`, float32 (images,), the softmax of
        the predicted class; `log_probability`, float16 (images, classes), or of very many classes
        (images, kept), with their numbers in `classes`, int32, the label's last, and in `count` how
        many there are.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1)
    logs = np.maximum(shifted - np.log(total)[:, np.newaxis], _SMALLEST)
    arrays = {
        "label": labels,
        "predicted": logits.argmax(axis=1).astype(np.int32),
        # The largest logit stands at exp(0).
        "confidence": (1 / total).astype(np.float32),
    }
    if logs.size > _VALUES_AT_MOST and logs.shape[1] > _CLASSES_KEPT + 1:
        likeliest = np.argpartition(-logs, _CLASSES_KEPT, axis=1)[:, :_CLASSES_KEPT]
        kept = np.column_stack([likeliest, labels]).astype(np.int32)
        logs = np.take_along_axis(logs, kept, axis=1)
        arrays |= {"classes": kept, "count": np.array(logits.shape[1])}
    return arrays | {"log_probability": logs.astype(np.float16)}


def unpacked(arrays: dict[str, np.ndarray]) -> Predictions:
    """Returns what `packed` has packed.

    Raises:
        KeyError: an earlier edition has kept no probabilities.
    """
    labels, predicted = arrays["label"], arrays["predicted"]
    found = np.exp(arrays["log_probability"].astype(np.float64))
    if "classes" in arrays:
        kept, count = arrays["classes"], int(arrays["count"])
        whole = np.full((len(labels), count), np.nan)
        np.put_along_axis(whole, kept, found, axis=1)
        missing = np.isnan(whole)
        left = np.maximum(0, 1 - np.nansum(whole, axis=1)) / np.maximum(1, missing.sum(axis=1))
        found = np.where(missing, left[:, np.newaxis], whole)
    found /= found.sum(axis=1, keepdims=True)
    # Rounding must not make another class the likeliest.
    images = np.arange(len(labels))
    largest = found.max(axis=1)
    ties = (found == largest[:, np.newaxis]).sum(axis=1) > 1
    lifted = np.where(ties, np.nextafter(largest, 2), largest)
    found[images, predicted] = np.maximum(found[images, predicted], lifted)
    return Predictions(labels, predicted, found)

"""What `recipe.loss` may name: one function and one line of `LOSSES` for each loss.

Keras is loaded only when one is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ablation.config import CROSS_ENTROPY

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Loss:
    """A loss of labels and of what a network puts out, the mean over a batch.

    Attributes:
        target: what it is of, as `dataset.target` has it.
        build: makes it; of classes it is told whether labels are shares, float (batch, classes),
            or numbers, int (batch,). Of other targets they are rows, float (batch, outputs).
    """

    target: str
    build: "Callable[[bool], keras.losses.Loss]"


def cross_entropy(shares: bool) -> "keras.losses.Loss":
    """Is that of the softmax of logits."""
    import keras

    from ablation.recipes.cross_entropy import CrossEntropy

    if shares:
        return CrossEntropy()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def mse(shares: bool) -> "keras.losses.Loss":
    """Is the squared error of standardised values."""
    import keras

    return keras.losses.MeanSquaredError()


def huber(shares: bool) -> "keras.losses.Loss":
    """Is Huber's, linear beyond 1, which is one standard deviation: values are standardised."""
    import keras

    return keras.losses.Huber()


def binary_cross_entropy(shares: bool) -> "keras.losses.Loss":
    """Is the mean over labels of that of a sigmoid each."""
    import keras

    return keras.losses.BinaryCrossentropy(from_logits=True)


LOSSES = {
    CROSS_ENTROPY: Loss("classes", cross_entropy),
    "mse": Loss("value", mse),
    "huber": Loss("value", huber),
    "binary_cross_entropy": Loss("labels", binary_cross_entropy),
}
"""By name; the first of a target is its default."""


def of(target: str) -> tuple[str, ...]:
    """Returns the losses of a target, the default first."""
    return tuple(name for name, loss in LOSSES.items() if loss.target == target)

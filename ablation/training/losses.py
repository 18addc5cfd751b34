"""The loss of a run, and what counts as a hit under it."""

import keras
import numpy as np
from keras import ops

from ablation import source
from ablation.config import CROSS_ENTROPY, RecipeConfig, UserError
from ablation.data.augment import Tricks

_PROBED = 4


def build_loss(recipe: RecipeConfig, classes: int) -> keras.losses.Loss:
    """Returns the loss of a run, of labels and logits; one number an image before the mean.

    Args:
        recipe: the `recipe` part of the configuration.
        classes: number of classes.

    Raises:
        UserError: a loss of the user's own does not work.
    """
    if recipe.loss != CROSS_ENTROPY:
        return OwnLoss(recipe.loss, classes)
    if Tricks.of(recipe).shares:
        return CrossEntropy()
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class CrossEntropy(keras.losses.Loss):
    """The cross-entropy of logits with labels that are numbers, or shares of every class.

    Validation has numbers: what training does to its labels is no part of a validation loss.
    """

    def call(self, y_true, y_pred):
        """Returns the loss of each image (batch,)."""
        if len(y_true.shape) == 2:
            return ops.categorical_crossentropy(y_true, y_pred, from_logits=True)
        labels = ops.cast(y_true, "int32")
        return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)


class OwnLoss(keras.losses.Loss):
    """A loss of the user's own: labels and logits, (batch, classes) each, to (batch,).

    Labels are always shares of every class, so that one function does for all recipes: 1 for the
    class of an image and 0 for others, unless smoothing or mixing makes it otherwise.

    Args:
        name: such as "my_loss.py:f".
        classes: number of classes.

    Raises:
        UserError: its file cannot be imported, it raises something, or it returns no such thing.
    """

    def __init__(self, name: str, classes: int):
        super().__init__(name="own_loss")
        self._key, self._classes = f"recipe.loss={name}", classes
        located = source.locate(name, "recipe.loss")
        self._files = source.local_modules(located)
        try:
            self._function = source.load(located)
        except UserError:
            raise
        except Exception as error:
            raise UserError(source.user_error(error, self._files)) from error
        self._probe()

    def call(self, y_true, y_pred):
        """Returns the loss of each image (batch,)."""
        if len(y_true.shape) != 2:
            y_true = ops.one_hot(ops.cast(y_true, "int32"), self._classes, dtype=y_pred.dtype)
        try:
            return self._function(y_true, y_pred)
        except Exception as error:
            raise UserError(f"{self._key}: {source.user_error(error, self._files)}") from error

    def _probe(self) -> None:
        """Raises UserError unless the function gives each image a finite number of its own."""
        logits = np.random.default_rng(0).standard_normal((_PROBED, self._classes), np.float32)
        labels = np.eye(self._classes, dtype=np.float32)[np.arange(_PROBED) % self._classes]
        found = self.call(ops.convert_to_tensor(labels), ops.convert_to_tensor(logits))
        shape = getattr(found, "shape", None)
        if shape is None or tuple(shape) != (_PROBED,):
            what = type(found).__name__ if shape is None else f"shape {tuple(shape)}"
            raise UserError(
                f"{self._key} returned {what} for {_PROBED} images; it returns one number for "
                f"each, shape ({_PROBED},)."
            )
        values = ops.convert_to_numpy(found)
        if not np.isfinite(values).all():
            raise UserError(f"{self._key} returned {values[~np.isfinite(values)][0]} for an image.")


def hits(labels, logits):
    """Returns whether the largest logit of an image is that of the class with the largest share.

    So smoothed labels count as without, and a mixed image as what most of it is.

    Args:
        labels: (batch, classes) or, in validation, (batch,).
        logits: (batch, classes).
    """
    if len(labels.shape) == 2:
        labels = ops.argmax(labels, axis=-1)
    return ops.cast(ops.equal(ops.cast(labels, "int32"), _largest(logits)), "float32")


def _largest(logits):
    return ops.cast(ops.argmax(logits, axis=-1), "int32")

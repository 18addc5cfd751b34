"""The loss of a run, and what counts as a hit under it."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ablation import opened, source
from ablation.config import RecipeConfig, UserError
from ablation.data.augment import Tricks
from ablation.recipes.losses import LOSSES
from ablation.targets import CLASSES
from ablation.targets.common import Target


def build_loss(recipe: RecipeConfig, outputs: int, target: Target = CLASSES) -> keras.losses.Loss:
    """Returns the loss of a run, of labels and outputs; one number an image before the mean.

    Args:
        recipe: the `recipe` part of the configuration, settled.
        outputs: of the network; of classes their number.
        target: what the labels say.

    Raises:
        UserError: a loss of the user's own does not work.
    """
    loss = recipe.loss or target.losses[0]
    if source.is_own(loss):
        return OwnLoss(loss, outputs, target)
    return LOSSES[loss].build(Tricks.of(recipe).shares)


def training_metrics(recipe: RecipeConfig, target: Target) -> list[Any]:
    """Returns what Keras is to measure of the training steps, by the name that a history has."""
    if not target.tracked_in_training:
        return []
    if target.is_row:
        return [keras.metrics.MeanMetricWrapper(_absolute_error(target), name=target.tracked)]
    shares = Tricks.of(recipe).shares
    return [keras.metrics.MeanMetricWrapper(hits, name="accuracy") if shares else "accuracy"]


def _absolute_error(target: Target) -> Callable[[Any, Any], Any]:
    """Returns the absolute error of each image, in the unit of the data."""
    std = np.array(target.facts["std"], np.float32)

    def error(y_true, y_pred):
        apart = ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred)
        return ops.mean(ops.multiply(apart, ops.cast(std, y_pred.dtype)), axis=-1)

    return error


class OwnLoss(keras.losses.Loss):
    """A loss of the user's own: labels and outputs, (batch, outputs) each, to (batch,).

    Of classes, labels are always shares of every one, so that one function does for all recipes: 1
    for the class of an image and 0 for others, unless smoothing or mixing makes it otherwise. Of
    values they are standardised, and so are the outputs.

    Args:
        name: such as "my_loss.py:f".
        classes: number of outputs.
        target: what the labels say.

    Raises:
        UserError: its file cannot be imported, it raises something, or it returns no such thing.
    """

    def __init__(self, name: str, classes: int, target: Target = CLASSES):
        super().__init__(name="own_loss")
        self._key, self._classes = f"recipe.loss={name}", classes
        located = source.locate(name, "recipe.loss")
        self._files = source.local_modules(located)
        try:
            with opened.noted():
                self._function = source.load(located)
        except UserError:
            raise
        except source.RAISED as error:
            raise UserError(source.user_error(error, self._files)) from error
        if inspect.isclass(self._function):
            raise UserError(
                f"{self._key} is a class; name a function that takes labels and outputs and "
                "returns one number for each image."
            )
        self._probe(target)

    def call(self, y_true, y_pred):
        """Returns the loss of each image (batch,)."""
        if len(y_true.shape) != 2:
            y_true = ops.one_hot(ops.cast(y_true, "int32"), self._classes, dtype=y_pred.dtype)
        try:
            return self._function(y_true, y_pred)
        except source.RAISED as error:
            raise UserError(f"{self._key}: {source.user_error(error, self._files)}") from error

    def _probe(self, target: Target) -> None:
        """Raises UserError unless the function gives each image a finite number of its own."""
        images = self._classes + 1  # Another number, so that a sum over images has another shape.
        logits = np.random.default_rng(0).standard_normal((images, self._classes), np.float32)
        labels = np.eye(self._classes, dtype=np.float32)[np.arange(images) % self._classes]
        if target.is_row:
            labels = np.arange(images * self._classes, dtype=np.float32) % 2
            labels = labels.reshape(images, self._classes)
        found = self.call(ops.convert_to_tensor(labels), ops.convert_to_tensor(logits))
        shape = getattr(found, "shape", None)
        if shape is None or tuple(shape) != (images,):
            what = type(found).__name__ if shape is None else f"shape {tuple(shape)}"
            raise UserError(
                f"{self._key} returned {what} for {images} images; it returns one number for "
                f"each, shape ({images},)."
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

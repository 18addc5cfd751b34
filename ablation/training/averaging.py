"""The moving average of a run's weights, which is what is validated and kept of it.

Keras's optimizers keep it beside the weights that train; see `build_optimizer`.
"""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Gives a model its averaged weights for a while, if its optimizer keeps an average."""
    swap(model)
    try:
        yield
    finally:
        swap(model)


@contextlib.contextmanager
def kept_apart(model: keras.Model) -> Iterator[None]:
    """Leaves the weights that train in place while Keras fits.

    At the end of a fit it replaces them by their average, after which nothing could go on.
    """
    attributes, name = vars(model.optimizer), "finalize_variable_values"
    attributes[name] = lambda variables: None
    try:
        yield
    finally:
        del attributes[name]


def swap(model: keras.Model) -> None:
    """Exchanges the weights that train and their average, exactly.

    Keras's SwapEMAWeights adds and subtracts them on TensorFlow, which rounds, so that a validation
    would change the weights that train on.
    """
    if not model.optimizer.use_ema:
        return
    averages = model.optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        value = np.array(keras.ops.convert_to_numpy(weight))
        weight.assign(average)
        average.assign(value)

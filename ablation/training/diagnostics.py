"""Why one network learns and another does not: each convolution's response and its gradient."""

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ablation.data.pipeline import Batch, TrainBatches
from ablation.networks.layers import deep_recursion
from ablation.records import store

_IMAGES = 64


class Diagnostics(keras.callbacks.Callback):
    """Keeps `diagnostics.csv`: before training and after each epoch, a row for each convolution.

    `response_sd` is the standard deviation, over images, pixels and channels, of the layer's
    response as He15 Fig. 7 has it: what comes out of the batch normalisation behind the
    convolution, before ReLU and addition. A pre-activation net normalises before it convolves
    (He16), so there, and where nothing normalises, the response is the convolution's own output.
    `gradient_norm` is the L2 norm of the cross-entropy's gradient by the layer's kernel, without
    weight decay. `depth` counts the convolutions of the main path from 1; a shortcut's has none.

    All of it is measured on the images of the first training batch, 64 at most, which depend on
    the seed alone. Batch normalisation uses their statistics, as in a training step, because that
    is the network whose gradient trains; the moving averages stay as they are, like everything
    else that training depends on.

    Args:
        path: the file.
        model: the compiled network.
        batches: its training batches.
        finished: epochs that an earlier attempt finished; rows of later ones are dropped.
        preact: whether the network normalises before it convolves.

    Attributes:
        seconds: what measuring has taken so far.
    """

    def __init__(
        self,
        path: Path,
        model: keras.Model,
        batches: TrainBatches,
        *,
        finished: int,
        preact: bool,
    ):
        super().__init__()
        begun = time.perf_counter()
        self._path = path
        self._finished = finished
        self._rows = _read(path, finished) if finished else []
        self._convolutions = [
            layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)
        ]
        responses = _responses(model, self._convolutions, preact)
        with deep_recursion():
            self._probe = keras.Model(model.input, [model.output, *responses])
        images, labels = next(batches.epoch(0))
        batch = images[:_IMAGES], labels[:_IMAGES]
        self._gradients = _gradients(_objective(self._probe, model.loss, batch))
        self.seconds = time.perf_counter() - begun

    def on_train_begin(self, logs=None):
        """Measures, if nothing has been trained yet."""
        if not self._finished:
            self._append(0)

    def on_epoch_end(self, epoch, logs=None):
        """Measures and replaces the file."""
        self._append(epoch + 1)

    def _append(self, epoch: int) -> None:
        begun = time.perf_counter()
        trainable, frozen = self._probe.trainable_variables, self._probe.non_trainable_variables
        values = ([variable.value for variable in part] for part in (trainable, frozen))
        gradients, deviations = self._gradients(*values)
        places = {variable.path: place for place, variable in enumerate(trainable)}
        depth = 0
        for layer, deviation in zip(self._convolutions, deviations, strict=True):
            on_main_path = not layer.name.endswith("_shortcut_conv")
            depth += on_main_path
            gradient = gradients[places[layer.kernel.path]]
            fields = (
                epoch,
                layer.name,
                depth if on_main_path else "",
                "x".join(map(str, layer.kernel_size)),
                f"{float(deviation):.6g}",
                f"{float(ops.sqrt(ops.sum(ops.square(gradient)))):.6g}",
            )
            self._rows.append(dict(zip(store.DIAGNOSTIC_COLUMNS, fields, strict=True)))
        store.write_csv(self._path, store.DIAGNOSTIC_COLUMNS, self._rows)
        self.seconds += time.perf_counter() - begun


def _read(path: Path, finished: int) -> list[dict[str, Any]]:
    """Returns the rows of the epochs that an earlier attempt finished, none if one is damaged."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [row for row in rows if int(row["epoch"]) <= finished]
    except FileNotFoundError:
        return []
    except (csv.Error, KeyError, TypeError, ValueError):
        print("diagnostics.csv is damaged and begins anew")
        return []


def _responses(
    model: keras.Model, convolutions: Sequence[keras.layers.Conv2D], preact: bool
) -> list[keras.KerasTensor]:
    """Returns the tensor that is each convolution's response."""
    normalised = {
        id(layer.input): layer.output
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and not preact
    }
    return [normalised.get(id(layer.output), layer.output) for layer in convolutions]


def _objective(probe: keras.Model, loss: keras.losses.Loss, batch: Batch) -> Callable:
    """Returns the loss of a batch and its responses' deviations as a function of all variables.

    The function assigns nothing: what batch normalisation would add to its averages is dropped.
    """
    images, labels = batch

    def objective(trainable, frozen):
        outputs, _ = probe.stateless_call(trainable, frozen, images, training=True)
        logits, *responses = keras.tree.flatten(outputs)  # A single output comes without a list.
        deviations = [ops.std(ops.cast(response, "float32")) for response in responses]
        return loss(labels, logits), deviations

    return objective


def _gradients(objective: Callable) -> Callable:
    """Returns a function that gives the gradients by the first argument, and the deviations."""
    if keras.backend.backend() == "jax":
        import jax  # Only this backend has it.

        return jax.jit(jax.grad(objective, has_aux=True))
    if keras.backend.backend() == "torch":
        return _torch_gradients(objective)
    import tensorflow as tf

    @tf.function(autograph=False)  # Tracing costs a second or two, each epoch then a third.
    def gradients(trainable, frozen):
        with tf.GradientTape() as tape:  # It watches variables of itself.
            value, deviations = objective(trainable, frozen)
        return tape.gradient(value, trainable), deviations

    return gradients


def _torch_gradients(objective: Callable) -> Callable:
    """Returns the same on PyTorch."""
    import torch  # Only this backend has it.

    def gradients(trainable, frozen):
        before = [value.clone() for value in frozen]
        value, deviations = objective(trainable, frozen)
        found = torch.autograd.grad(value, trainable, allow_unused=True)
        # A torch.nn.Module, which knows nothing of stateless calls, has changed its own.
        with torch.no_grad():
            for now, then in zip(frozen, before, strict=True):
                now.copy_(then)
        return found, [deviation.detach() for deviation in deviations]

    return gradients

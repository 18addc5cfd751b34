"""Why one network learns and another does not: each layer's response and its gradient."""

import contextlib
import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ablation.data.pipeline import Batch, TrainBatches
from ablation.records import store

_IMAGES = 64
_NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)
"""What calls the layers inside it within a loop, out of which no response can be taken."""


class Diagnostics(keras.callbacks.Callback):
    """Keeps `diagnostics.csv`: before training and after each epoch, a row for each layer.

    Measured is every layer with a kernel, a convolution or a dense layer, however deep inside
    other models and layers it stands; but for the classifier, a dense layer behind all others,
    whose response is the logits, and for what a recurrent layer repeats.

    `response_sd` is the standard deviation, over images, pixels and channels, of the layer's
    response as He15 Fig. 7 has it: what comes out of the normalisation behind the layer, before
    ReLU and addition. A pre-activation net normalises before it convolves (He16), so there, and
    where nothing normalises, the response is the layer's own output. Which kind a net is, it shows
    itself: where every normalisation gets the output of one layer with a kernel, which goes
    into no other layer, each belongs to that layer; where one gets anything else, a sum for
    instance, or belongs by name elsewhere, as in `stage1_block2_0_bn` behind
    `stage1_block1_2_conv`, they all prepare for what comes behind them. A normalisation in front
    of every layer with a kernel says nothing. A layer that is called several times has one
    response, all of its outputs together.

    `gradient_norm` is the L2 norm of the loss's gradient by the layer's kernel, without weight
    decay. `depth` counts the layers of the main path from 1; a shortcut's, which is known by the
    ending of its name, `_shortcut_conv`, has none. `kernel` is its size in pixels, such as 3x3, or
    "dense". A layer that the network never calls has neither response nor gradient.

    All of it is measured on the images of the first training batch, 64 at most, which depend on
    the seed alone. Batch normalisation uses their statistics, as in a training step, because that
    is the network whose gradient trains; the moving averages stay as they are, like everything
    else that training depends on.

    Args:
        path: the file.
        model: the compiled network, functional or not, with its weights.
        batches: its training batches.
        finished: epochs that an earlier attempt finished; rows of later ones are dropped.

    Attributes:
        seconds: what measuring has taken so far.
    """

    def __init__(self, path: Path, model: keras.Model, batches: TrainBatches, *, finished: int):
        super().__init__()
        begun = time.perf_counter()
        self._path = path
        self._finished = finished
        self._rows = _read(path, finished) if finished else []
        self._measured = model
        self._layers = _with_kernel(model)
        images, labels = next(batches.epoch(0))
        batch = images[:_IMAGES], labels[:_IMAGES]
        self._gradients = _gradients(_objective(model, self._layers, batch))
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
        model = self._measured
        trainable, frozen = model.trainable_variables, model.non_trainable_variables
        values = ([variable.value for variable in part] for part in (trainable, frozen))
        gradients, deviations = self._gradients(*values)
        by_variable = dict(zip(map(id, trainable), gradients, strict=True))
        depth = 0
        for place, layer in enumerate(self._layers):
            on_main_path = not layer.name.endswith("_shortcut_conv")
            depth += on_main_path
            of_kernels = [by_variable.get(id(kernel)) for kernel in _kernels(layer)]
            called = str(place) in deviations
            fields = (
                epoch,
                layer.name,
                depth if on_main_path else "",
                _size(layer),
                f"{float(deviations[str(place)]):.6g}" if called else "",
                _norm(of_kernels) if called else "",
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


def _with_kernel(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers to be measured, in their order."""
    layers = [layer for layer in _inside(model) if _kernels(layer)]
    has_classifier = len(layers) > 1 and isinstance(layers[-1], keras.layers.Dense)
    return layers[:-1] if has_classifier else layers


def _inside(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns each layer once, those inside another one behind it."""
    found: dict[int, keras.layers.Layer] = {}
    stack = [iter(model._layers)]
    while stack:
        layer = next(stack[-1], None)
        if layer is None:
            stack.pop()
        elif id(layer) not in found:
            found[id(layer)] = layer
            if not isinstance(layer, _LOOPS):
                stack.append(iter(layer._layers))
    return list(found.values())


def _kernels(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Returns a layer's own kernels; a separable convolution has two."""
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    return [one for one in own if one.name.endswith("kernel") and len(one.shape) > 1]


def _size(layer: keras.layers.Layer) -> str:
    size = getattr(layer, "kernel_size", None)
    return "x".join(map(str, size)) if isinstance(size, tuple) else "dense"


def _norm(gradients: list[Any]) -> str:
    """Returns the L2 norm of a layer's gradients, nothing if its kernels are frozen."""
    squares = [ops.sum(ops.square(one)) for one in gradients if one is not None]
    return f"{float(ops.sqrt(sum(squares))):.6g}" if squares else ""


class _Calls:
    """Who was called with what, while a network computed its outputs.

    Layers are followed by what they are called with and put out, which works without a graph.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[keras.layers.Layer, list[Any], Any]] = []

    @contextlib.contextmanager
    def watched(self, layers: list[keras.layers.Layer]) -> Iterator[None]:
        """Follows the calls of layers."""
        own = {id(layer): vars(layer)["call"] for layer in layers if "call" in vars(layer)}
        for layer in layers:
            # Not by assignment, which is a layer's own business.
            vars(layer)["call"] = self._following(layer, layer.call)
        try:
            yield
        finally:
            for layer in layers:
                del vars(layer)["call"]
                if id(layer) in own:
                    vars(layer)["call"] = own[id(layer)]

    def _following(self, layer: keras.layers.Layer, call: Callable) -> Callable:
        def followed(*args, **kwargs):
            outputs = call(*args, **kwargs)
            self._calls.append((layer, keras.tree.flatten(args), outputs))
            return outputs

        return followed

    def responses(self, measured: list[keras.layers.Layer]) -> dict[int, list[Any]]:
        """Returns the responses of each measured layer that was called, by its place."""
        places = {id(layer): place for place, layer in enumerate(measured)}
        owners = self._owners()
        found: dict[int, list[Any]] = {}
        for layer, _, outputs in self._calls:
            if id(layer) in places and hasattr(outputs, "shape"):
                response = owners.get(id(outputs), outputs)
                found.setdefault(places[id(layer)], []).append(response)
        return found

    def _owners(self) -> dict[int, Any]:
        """Returns what comes out of the normalisation behind an output, by the output's id.

        None in a network that normalises before it convolves.
        """
        made: dict[int, str] = {}
        uses = self._uses()
        owners = {}
        for layer, inputs, outputs in self._calls:
            if _kernels(layer):
                made[id(outputs)] = layer.name
            elif made and inputs and isinstance(layer, _NORMALISATIONS):
                before = made.get(id(inputs[0]))
                if before is None or uses[id(inputs[0])] > 1 or _elsewhere(before, layer.name):
                    return {}
                owners[id(inputs[0])] = outputs
        return owners

    def _uses(self) -> Counter[int]:
        """Returns how many calls took each tensor, by its id, but for those that pass it on."""
        return Counter(
            id(tensor)
            for _, inputs, outputs in self._calls
            for tensor in inputs
            if tensor is not outputs
        )


def _elsewhere(kernel: str, normalisation: str) -> bool:
    """Returns whether names like `a_conv` and `b_bn` disagree; others say nothing."""
    named = kernel.endswith("_conv") and normalisation.endswith("_bn")
    return named and kernel.removesuffix("_conv") != normalisation.removesuffix("_bn")


def _objective(model: keras.Model, measured: list[keras.layers.Layer], batch: Batch) -> Callable:
    """Returns the loss of a batch and its responses' deviations as a function of all variables.

    The function assigns nothing: what batch normalisation would add to its averages is dropped.
    """
    images, labels = batch
    loss = keras.losses.get(model.loss)
    leaves = [layer for layer in _inside(model) if not layer._layers or _kernels(layer)]

    def objective(trainable, frozen):
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        mapping = list(zip(variables, [*trainable, *frozen], strict=True))
        calls = _Calls()
        with calls.watched(leaves), keras.StatelessScope(state_mapping=mapping):
            outputs = model(images, training=True)
            value = ops.mean(loss(labels, outputs))  # A loss by its name is one of each image.
        responses = calls.responses(measured)
        # Keys are texts because JAX sorts them.
        return value, {str(place): _deviation(each) for place, each in responses.items()}

    return objective


def _deviation(responses: list[Any]) -> Any:
    responses = [ops.cast(response, "float32") for response in responses]
    if len(responses) == 1:
        return ops.std(responses[0])
    return ops.std(ops.concatenate([ops.reshape(response, (-1,)) for response in responses]))


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
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(value, trainable, unconnected_gradients=zero), deviations

    return gradients


def _torch_gradients(objective: Callable) -> Callable:
    """Returns the same on PyTorch."""
    import torch  # Only this backend has it.

    def gradients(trainable, frozen):
        before = [value.clone() for value in frozen]
        value, deviations = objective(trainable, frozen)
        found = torch.autograd.grad(value, trainable, allow_unused=True, materialize_grads=True)
        # A torch.nn.Module, which knows nothing of stateless calls, has changed its own.
        with torch.no_grad():
            for now, then in zip(frozen, before, strict=True):
                now.copy_(then)
        return found, {key: deviation.detach() for key, deviation in deviations.items()}

    return gradients

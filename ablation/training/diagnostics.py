"""Why one network learns and another does not: each layer's response and its gradient."""

import contextlib
import csv
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ablation.data.pipeline import Batch, TrainBatches
from ablation.records import durable, saves, store

_IMAGES = 64
_NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
_ASIDE = re.compile(r"_shortcut_conv$|_se_[12]$|(^|\.)(shortcut|skip|downsample)(\.|$)")
_NORMALISES = re.compile(r"_(bn|groupnorm|layernorm)$")
_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)
"""What calls the layers inside it within a loop, out of which no response can be taken."""


class Diagnostics(keras.callbacks.Callback):
    """Keeps `diagnostics.csv`: before training and after each epoch, a row for each layer.

    Measured is every layer with a kernel, a convolution or a dense layer, however deep inside
    other models, layers and modules of PyTorch it stands; but for the classifier, a dense layer
    behind all others, whose response is the logits, and for what a recurrent layer repeats.

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
    decay; of a weight that PyTorch makes of others, such as by weight normalisation, by the one of
    its shape. `depth` counts the layers of the main path from 1, in the order of their calls; those
    of a shortcut or of a squeeze-and-excitation gate, which are known by their names, have none.
    `kernel` is its size in pixels, such as 3x3, or "dense". A layer that the network never calls
    has neither response nor gradient, and stands behind the others.

    All of it is measured on the images of the first training batch, 64 at most, which depend on
    the seed alone. Batch normalisation uses their statistics, as in a training step, because that
    is the network whose gradient trains; the moving averages stay as they are, like everything
    else that training depends on.

    Args:
        path: the file.
        model: the compiled network, functional or not, with its weights.
        batches: its training batches.
        position: that an earlier attempt has reached; rows of later epochs are dropped.

    Attributes:
        seconds: what measuring has taken so far.
    """

    def __init__(
        self, path: Path, model: keras.Model, batches: TrainBatches, position: saves.Position
    ):
        super().__init__()
        begun = time.perf_counter()
        self._path = path
        self._trained = position > saves.BEGINNING
        self._rows = _read(path, position.epochs) if self._trained else []
        self._measured = model
        batch = tuple(part[:_IMAGES] for part in next(batches.epoch(0)))
        self._layers = _with_kernel(model, batch[0][:1])
        self._gradients = _gradients(_objective(model, self._layers, batch))
        self.seconds = time.perf_counter() - begun

    def on_train_begin(self, logs=None):
        """Measures, if nothing has been trained yet."""
        if not self._trained:
            self._append(0)

    def on_epoch_end(self, epoch, logs=None):
        """Measures and replaces the file."""
        self._trained = True
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
            on_main_path = not _ASIDE.search(layer.name)
            depth += on_main_path
            of_kernels = [by_variable.get(id(kernel)) for kernel in layer.kernels]
            called = str(place) in deviations
            fields = (
                epoch,
                layer.name,
                depth if on_main_path else "",
                layer.size,
                f"{float(deviations[str(place)]):.6g}" if called else "",
                _norm(of_kernels) if called else "",
            )
            self._rows.append(dict(zip(store.DIAGNOSTIC_COLUMNS, fields, strict=True)))
        durable.write_csv(self._path, store.DIAGNOSTIC_COLUMNS, self._rows)
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


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer of Keras or a module of PyTorch, as it is looked at here.

    Attributes:
        name: of the layer; of a module its path, joined by dots.
        kernels: its own, if it has any.
        size: of its kernel in pixels, or "dense".
        normalises: whether it is a normalisation.
        owner: the layer or module itself.
        method: of the owner, that is called.
    """

    name: str
    kernels: list[keras.Variable]
    size: str
    normalises: bool
    owner: Any
    method: str


def _with_kernel(model: keras.Model, images: Any) -> list[_Layer]:
    """Returns the layers to be measured in the order of their calls, those without one behind."""
    layers, calls = _watched(model), _Calls()
    with calls.watched(layers):
        model(images, training=False)
    called = dict.fromkeys(layer for layer in calls.order() if layer.kernels)
    found = list(called)
    if len(found) > 1 and found[-1].size == "dense":
        del found[-1]
    return [*found, *(layer for layer in layers if layer.kernels and layer not in called)]


def _watched(model: keras.Model) -> list[_Layer]:
    """Returns what is followed: whatever holds no other layers, and what has kernels."""
    found: list[_Layer] = []
    seen: set[int] = set()
    # From within, since a wrapper may have its layer's kernel for its own too.
    for layer in reversed(_inside(model)):
        kernels = [one for one in _kernels(layer) if id(one) not in seen]
        seen |= set(map(id, kernels))
        if isinstance(layer, keras.layers.TorchModuleWrapper):
            found += reversed(_modules(layer))
        elif kernels or not layer._layers:
            normalises = isinstance(layer, _NORMALISATIONS)
            found.append(_Layer(layer.name, kernels, _size(layer), normalises, layer, "call"))
    return found[::-1]


def _modules(layer: keras.layers.TorchModuleWrapper) -> list[_Layer]:
    """Returns the same of the modules inside a module of PyTorch."""
    import torch  # Only its backend has such layers.

    norms = (torch.nn.modules.batchnorm._NormBase, torch.nn.GroupNorm, torch.nn.LayerNorm)
    variables = {id(one.value): one for one in layer.variables}
    found = []
    for name, module in layer.module.named_modules():
        if ".parametrizations." in f".{name}.":
            continue  # What makes the weight of another.
        weight = module._parameters.get("weight")
        if torch.nn.utils.parametrize.is_parametrized(module, "weight"):
            shape = module.weight.shape
            made_of = module.parametrizations.weight.parameters(recurse=False)
            weight = next((one for one in made_of if one.shape == shape), None)
        has_kernel = weight is not None and weight.ndim > 1
        has_kernel &= not isinstance(module, (*norms, torch.nn.Embedding))
        kernels = [variables[id(weight)]] if has_kernel and id(weight) in variables else []
        if kernels or not list(module.children()):
            kind = isinstance(module, norms)
            found.append(_Layer(name, kernels, _size(module), kind, module, "forward"))
    return found


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


def _size(layer: Any) -> str:
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
        self._calls: list[tuple[_Layer, list[Any], Any, Any]] = []

    @contextlib.contextmanager
    def watched(self, layers: list[_Layer]) -> Iterator[None]:
        """Follows the calls of layers."""
        own = [vars(layer.owner).get(layer.method) for layer in layers]
        for layer in layers:
            # Not by assignment, which is a layer's own business.
            call = getattr(layer.owner, layer.method)
            vars(layer.owner)[layer.method] = self._following(layer, call)
        try:
            yield
        finally:
            for layer, before in zip(layers, own, strict=True):
                del vars(layer.owner)[layer.method]
                if before is not None:
                    vars(layer.owner)[layer.method] = before

    def _following(self, layer: _Layer, call: Callable) -> Callable:
        def followed(*args, **kwargs):
            outputs = call(*args, **kwargs)
            # PyTorch may write the next layer's output over it.
            kept = outputs.clone() if hasattr(outputs, "clone") else outputs
            self._calls.append((layer, keras.tree.flatten(args), outputs, kept))
            return outputs

        return followed

    def order(self) -> list[_Layer]:
        """Returns the layers that were called, in order."""
        return [layer for layer, *_ in self._calls]

    def responses(self, measured: list[_Layer]) -> dict[int, list[Any]]:
        """Returns the responses of each measured layer that was called, by its place."""
        places = {id(layer.owner): place for place, layer in enumerate(measured)}
        owners = self._owners()
        found: dict[int, list[Any]] = {}
        for layer, _, outputs, kept in self._calls:
            if id(layer.owner) in places and hasattr(outputs, "shape"):
                response = owners.get(id(outputs), kept)
                found.setdefault(places[id(layer.owner)], []).append(response)
        return found

    def _owners(self) -> dict[int, Any]:
        """Returns what comes out of the normalisation behind an output, by the output's id.

        None in a network that normalises before it convolves.
        """
        made: dict[int, str] = {}
        uses = self._uses()
        owners = {}
        for layer, inputs, outputs, kept in self._calls:
            if layer.kernels:
                made[id(outputs)] = layer.name
            elif made and inputs and layer.normalises:
                before = made.get(id(inputs[0]))
                if before is None or uses[id(inputs[0])] > 1 or _elsewhere(before, layer.name):
                    return {}
                owners[id(inputs[0])] = kept
        return owners

    def _uses(self) -> Counter[int]:
        """Returns how many calls took each tensor, by its id, but for those that pass it on."""
        return Counter(
            id(tensor)
            for _, inputs, outputs, _ in self._calls
            for tensor in inputs
            if tensor is not outputs
        )


def _elsewhere(kernel: str, normalisation: str) -> bool:
    """Returns whether names like `a_conv` and `b_bn` disagree; others say nothing."""
    stem, named = _NORMALISES.subn("", normalisation)
    return bool(named) and kernel.endswith("_conv") and kernel.removesuffix("_conv") != stem


def _objective(model: keras.Model, measured: list[_Layer], batch: Batch) -> Callable:
    """Returns the loss of a batch and its responses' deviations as a function of all variables.

    The function assigns nothing: what batch normalisation would add to its averages is dropped.
    """
    images, labels, *weights = batch
    loss = keras.losses.get(model.loss)
    layers = _watched(model)

    def objective(trainable, frozen):
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        mapping = list(zip(variables, [*trainable, *frozen], strict=True))
        calls = _Calls()
        with calls.watched(layers), keras.StatelessScope(state_mapping=mapping):
            outputs = model(images, training=True)
            # A loss by its name is one of each image.
            value = ops.mean(loss(labels, outputs, *weights))
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

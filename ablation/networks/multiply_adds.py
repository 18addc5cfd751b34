"""Multiply-adds of any network, counted while it computes one example.

Counted as He15 Table 1 counts: products of weights with values, and of values with each other in
attention. Normalisation, activation, pooling, addition and looking up an embedding count as 0.
Each layer is counted from the shapes that it meets: those in the graph of a functional model, and
those of one example of zeros in models and layers that are no graph. A layer of a user's own that
calls a framework's products by its name, such as `tf.matmul`, is counted without them.
"""

import ast
import contextlib
import functools
import inspect
import math
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

import keras
from keras import layers

from ablation.networks.layers import BatchNormalization, ZeroPadShortcut

if TYPE_CHECKING:  # It loads PyTorch.
    from ablation.networks.torch_multiply_adds import Counts

Shape = tuple[int, ...]


@dataclass
class Counted:
    """The multiply-adds of one network.

    Attributes:
        by_layer: of each layer that the network itself calls, with all that it calls in turn; ""
            is what the network computes outside of them.
        uncounted: names of layers that compute what cannot be counted, with their class.
    """

    by_layer: dict[str, int] = field(default_factory=dict)
    uncounted: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Of the whole network."""
        return sum(self.by_layer.values())


@dataclass(frozen=True)
class _Rule:
    """How a layer is counted.

    Attributes:
        count: the multiply-adds of the layer's own, from the shapes of its inputs and its output.
        whole: whether that is all of it, or the layers that it calls are counted beside it.
    """

    count: Callable[[Any, Sequence[Shape], Shape], int | None]
    whole: bool = True


def count_multiply_adds(model: keras.Model) -> Counted:
    """Counts a built network; a layer that meets images or tokens of any size is not counted."""
    graph = getattr(model, "_functional", None) or model  # A sequential model keeps one.
    nodes = [
        node for of_depth in getattr(graph, "_nodes_by_depth", {}).values() for node in of_depth
    ]
    places = _Places()
    if not nodes:
        return _run(model, [keras.KerasTensor(model.input_shape)], {}, places)
    counted = Counted()
    # The graph of a functional model has all shapes, so that only what has no rule is run.
    for node in nodes:
        layer, arguments = node.operation, node.arguments
        if not node.is_input:
            found = _count(layer, arguments.args, arguments.kwargs, node.outputs[0], places)
            counted.by_layer[layer.name] = counted.by_layer.get(layer.name, 0) + found.total
            counted.uncounted |= found.uncounted
    return counted


def _count(
    layer: Any, args: Any, kwargs: Any, output: keras.KerasTensor, places: "_Places"
) -> Counted:
    """Counts one call of a layer or operation."""
    inputs, (out,) = _shapes(_called(layer, args, kwargs)), _shapes([output])
    if any(None in shape for shape in inputs):
        return Counted({}, {layer.name: type(layer).__name__})
    if isinstance(layer, layers.TorchModuleWrapper):
        tensors = [one for one in keras.tree.flatten([args, kwargs]) if hasattr(one, "dtype")]
        return _count_torch(layer, tensors)
    rule = _rule(layer)
    if rule and rule.whole:
        own = rule.count(layer, inputs, out)
        uncounted = {layer.name: type(layer).__name__} if own is None else {}
        return Counted({"": own or 0}, uncounted)
    if not isinstance(layer, keras.Layer) or (_of_keras(layer) and not _has_layers(layer)):
        computes = isinstance(layer, keras.Layer) and _computes_itself(layer)
        return Counted({}, {layer.name: type(layer).__name__} if computes else {})
    return _run(layer, args, kwargs, places)


def count_inside(layer: keras.layers.TorchModuleWrapper, inputs: Sequence[Any]) -> "Counts":
    """Counts a module of PyTorch on one example of zeros.

    Args:
        layer: that wraps the module.
        inputs: of it; their shapes and dtypes count.
    """
    from ablation.networks.torch_multiply_adds import count_module  # It loads PyTorch.

    zeros = [keras.ops.zeros((1, *one.shape[1:]), one.dtype) for one in inputs]
    return count_module(layer.module, lambda: layer(*zeros, training=False))


def _count_torch(layer: keras.layers.TorchModuleWrapper, inputs: Sequence[Any]) -> Counted:
    counts = count_inside(layer, inputs)
    uncounted = {name or layer.name: kind for name, kind in counts.uncounted.items()}
    return Counted({"": counts.total}, uncounted)


def _run(network: keras.Layer, args: Any, kwargs: Any, places: "_Places") -> Counted:
    """Counts a layer or a model while it computes one example of zeros."""

    def zeros(value):
        if not isinstance(value, keras.KerasTensor):
            return value
        return keras.ops.zeros((1, *value.shape[1:]), value.dtype)

    args, kwargs = keras.tree.map_structure(zeros, (args, kwargs))
    counter = _Counter(network)
    with counter.watching(places):
        network(*args, **kwargs)
    return counter.counted


def _has_layers(layer: keras.Layer) -> bool:
    return any(True for _ in layer._flatten_layers(include_self=False))


class _Counter:
    """Counts each call of a layer or an operation while it watches."""

    def __init__(self, network: keras.Layer):
        self.counted = Counted()
        self._network = network
        self._stack: list[str] = []
        self._paused = False

    @contextlib.contextmanager
    def watching(self, places: "_Places") -> Iterator[None]:
        """Lets every call pass through this counter."""
        with contextlib.ExitStack() as stack:
            for kind in (keras.Layer, keras.Operation):
                stack.enter_context(mock.patch.object(kind, "__call__", self._wrapped(kind)))
            patched = {
                id(function := getattr(keras.ops, name)): self._of_operation(function, count)
                for name, count in _OPERATIONS.items()
            }
            for module, name, function in places.found:
                stack.enter_context(mock.patch.object(module, name, patched[id(function)]))
            yield

    def _wrapped(self, kind: type) -> Callable:
        original = kind.__call__

        def call(layer, *args, **kwargs):
            if self._paused or (kind is keras.Operation and isinstance(layer, keras.Layer)):
                return original(layer, *args, **kwargs)
            named = layer is not self._network
            if named:
                self._stack.append(layer.name)
            try:
                return self._call(original, layer, args, kwargs)
            finally:
                if named:
                    self._stack.pop()

        return call

    def _call(self, original: Callable, layer: Any, args: tuple, kwargs: dict) -> Any:
        rule = _rule(layer)
        self._paused = bool(rule and rule.whole)
        outputs = original(layer, *args, **kwargs)
        first = keras.tree.flatten(outputs)[0]
        inputs = _shapes(_called(layer, args, kwargs)) if rule else []
        own = rule.count(layer, inputs, tuple(first.shape)) if rule else 0
        self._paused = False
        if own is None or (rule is None and _computes_itself(layer)):
            self.counted.uncounted[layer.name] = type(layer).__name__
        self._add(own or 0)
        return outputs

    def _of_operation(self, function: Callable, count: Callable[..., int]) -> Callable:
        parameters = inspect.signature(function)

        def call(*args, **kwargs):
            outputs = function(*args, **kwargs)
            if not self._paused:
                options = parameters.bind(*args, **kwargs).arguments
                self._add(count(options, _shapes([args, kwargs]), tuple(outputs.shape)))
            return outputs

        return call

    def _add(self, own: int) -> None:
        if not own:
            return
        layer = self._stack[0] if self._stack else ""
        self.counted.by_layer[layer] = self.counted.by_layer.get(layer, 0) + own


class _Places:
    """Where the functions of `_OPERATIONS` are called by a name, looked for once in each count.

    Layers of Keras's own call them by other names, so that nothing is counted twice; a file of the
    user's may have imported one by itself.
    """

    @functools.cached_property
    def found(self) -> list[tuple[ModuleType, str, Any]]:
        """Each module, the name in it and the function."""
        functions = {id(getattr(keras.ops, name)) for name in _OPERATIONS}
        modules = [
            module
            for key, module in list(sys.modules.items())
            if key == "keras.ops" or key.partition(".")[0] != "keras"
        ]
        # All that is loaded has some hundred thousand names.
        return [
            (module, name, value)
            for module in modules
            if isinstance(module, ModuleType)
            for name, value in list(vars(module).items())
            if id(value) in functions
        ]


def _computes_itself(layer: Any) -> bool:
    """Returns whether a layer without a rule may multiply by itself."""
    if not isinstance(layer, keras.Layer):
        return False
    if isinstance(layer, layers.Lambda):
        return True
    if _of_keras(layer) and isinstance(layer, _WITHOUT_PRODUCTS):
        return False
    own = {id(weight) for weight in layer.weights}
    for below in layer._flatten_layers(include_self=False):
        own -= {id(weight) for weight in below.weights}
    products = any(id(w) in own and len(w.shape) > 1 for w in layer.trainable_weights)
    return products if _of_keras(layer) else products or _has_matmul_sign(type(layer))


def _of_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


def _has_matmul_sign(kind: type) -> bool:
    """Returns whether a class of the user's own computes with the sign @."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return False
    return any(isinstance(node, ast.MatMult) for node in ast.walk(tree))


def _convolution(layer, inputs, output):
    return math.prod(output) // layer.filters * math.prod(layer.kernel.shape)


def _transposed(layer, inputs, output):
    return math.prod(inputs[0]) // layer.kernel.shape[-1] * math.prod(layer.kernel.shape)


def _depthwise(layer, inputs, output):
    channels = math.prod(layer.kernel.shape[-2:])
    return math.prod(output) // channels * math.prod(layer.kernel.shape)


def _separable(layer, inputs, output):
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    positions = math.prod(output) // layer.filters
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def _dense(layer, inputs, output):
    return math.prod(output) // layer.units * math.prod(layer.kernel.shape)


def _einsum_dense(layer, inputs, output):
    return _of_equation(layer.equation, [inputs[0], tuple(layer.kernel.shape)])


def _of_equation(equation: str, shapes: Sequence[Shape]) -> int:
    """Returns the multiply-adds of an einsum: the product of the sizes of all its letters."""
    sizes: dict[str, int] = {}
    more = 1
    specs = equation.replace(" ", "").partition("->")[0].split(",")
    for spec, shape in zip(specs, shapes, strict=True):
        before, dots, after = spec.partition("...")
        sizes |= dict(zip(before, shape, strict=False))
        sizes |= dict(zip(reversed(after), reversed(shape), strict=False))
        if dots:
            more = max(more, math.prod(shape[len(before) : len(shape) - len(after)]))
    return more * math.prod(sizes.values())


def _dot(layer, inputs, output):
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(output) * inputs[0][axes]


def _heads(layer, inputs, output):
    """Scores and their products with the values; the projections are layers of their own."""
    query, value = inputs[0], inputs[1]
    axes = getattr(layer, "_attention_axes", None) or range(1, len(value) - 1)
    pairs = math.prod(query[1:-1]) * math.prod(value[axis] for axis in axes)
    heads = getattr(layer, "num_heads", None) or layer.num_query_heads
    sizes = getattr(layer, "key_dim", None) or layer.head_dim
    values = getattr(layer, "value_dim", None) or sizes
    return heads * pairs * (sizes + values)


def _attention(layer, inputs, output):
    query, value = inputs[0], inputs[1]
    return query[1] * value[1] * (query[-1] + value[-1])


def _recurrent(layer, inputs, output):
    cells = getattr(layer.cell, "cells", [layer.cell])
    if not all(hasattr(cell, "recurrent_kernel") and _of_keras(cell) for cell in cells):
        return None
    kernels = [tuple(k.shape) for cell in cells for k in (cell.kernel, cell.recurrent_kernel)]
    positions = 1
    if len(kernels[0]) > 2:  # A convolution at each step, as large as what it puts out.
        spatial = output[2:] if layer.return_sequences else output[1:]
        positions = math.prod(spatial) // layer.cell.filters
    return inputs[0][1] * positions * sum(map(math.prod, kernels))


def _each_step(layer, inputs, output):
    counted = _run(layer.layer, [keras.KerasTensor((1, *inputs[0][2:]))], {}, _Places())
    return None if counted.uncounted else inputs[0][1] * counted.total


def _torch_module(layer, inputs, output):
    counted = _count_torch(layer, inputs)
    return None if counted.uncounted else counted.total


def _nothing(layer, inputs, output):
    return 0


def _unknown(layer, inputs, output):
    return None


def _matmul(options, inputs, output):
    return math.prod(output) * inputs[0][-1]


def _tensordot(options, inputs, output):
    axes = options.get("axes", 2)
    if isinstance(axes, int):
        return math.prod(output) * math.prod(inputs[0][len(inputs[0]) - axes :])
    first = [axes[0]] if isinstance(axes[0], int) else axes[0]
    return math.prod(output) * math.prod(inputs[0][axis] for axis in first)


def _einsum(options, inputs, output):
    return _of_equation(options["subscripts"], inputs)


def _conv(options, inputs, output):
    return math.prod(output) // inputs[1][-1] * math.prod(inputs[1])


def _depthwise_conv(options, inputs, output):
    return math.prod(output) // math.prod(inputs[1][-2:]) * math.prod(inputs[1])


def _separable_conv(options, inputs, output):
    return math.prod(output) // output[-1] * (math.prod(inputs[1]) + math.prod(inputs[2]))


def _conv_transpose(options, inputs, output):
    return math.prod(inputs[0]) // inputs[1][-1] * math.prod(inputs[1])


def _dot_product_attention(options, inputs, output):
    """Scores and their products with the values: (examples, places, heads, size) each."""
    query, key, value = inputs[:3]
    return math.prod(query[:-1]) * key[1] * (query[-1] + value[-1])


_OPERATIONS = {
    "matmul": _matmul,
    "dot": _matmul,
    "tensordot": _tensordot,
    "einsum": _einsum,
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "conv_transpose": _conv_transpose,
    "dot_product_attention": _dot_product_attention,
}
"""Operations of `keras.ops` that a layer of the user's own may call."""

_RULES: dict[type, _Rule] = {
    ZeroPadShortcut: _Rule(_nothing),  # It copies, by a convolution.
    BatchNormalization: _Rule(_nothing),
    layers.Conv1DTranspose: _Rule(_transposed),
    layers.Conv2DTranspose: _Rule(_transposed),
    layers.Conv3DTranspose: _Rule(_transposed),
    layers.DepthwiseConv1D: _Rule(_depthwise),
    layers.DepthwiseConv2D: _Rule(_depthwise),
    layers.SeparableConv1D: _Rule(_separable),
    layers.SeparableConv2D: _Rule(_separable),
    layers.Conv1D: _Rule(_convolution),
    layers.Conv2D: _Rule(_convolution),
    layers.Conv3D: _Rule(_convolution),
    layers.Dense: _Rule(_dense),
    layers.EinsumDense: _Rule(_einsum_dense),
    layers.Dot: _Rule(_dot),
    layers.MultiHeadAttention: _Rule(_heads, whole=False),
    layers.GroupQueryAttention: _Rule(_heads, whole=False),
    layers.Attention: _Rule(_attention),
    layers.AdditiveAttention: _Rule(_attention),
    layers.ConvLSTM1D: _Rule(_recurrent),
    layers.ConvLSTM2D: _Rule(_recurrent),
    layers.ConvLSTM3D: _Rule(_recurrent),
    layers.RNN: _Rule(_recurrent),
    layers.TimeDistributed: _Rule(_each_step),
    layers.TorchModuleWrapper: _Rule(_torch_module),
    layers.JaxLayer: _Rule(_unknown),
    layers.TFSMLayer: _Rule(_unknown),
}
"""The first kind that a layer is an instance of counts."""

_WITHOUT_PRODUCTS = (
    layers.Embedding,
    layers.PReLU,
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
"""Layers whose weights multiply each value by itself, or choose it."""

_OF_CLASSES = {name.replace("_", ""): count for name, count in _OPERATIONS.items()}
"""The same by the class that an operation has in the graph of a functional model."""


def _called(layer: Any, args: Any, kwargs: Any) -> Any:
    """Returns what a layer was called with, in the order in which it takes it."""
    try:
        bound = inspect.signature(type(layer).call).bind(layer, *args, **kwargs)
    except (AttributeError, TypeError, ValueError):  # It has no such method, or none that tells.
        return [args, kwargs]
    return [list(bound.args)[1:], bound.kwargs]


def _shapes(values: Any) -> list[Shape]:
    """Returns the shapes of arrays, of those in a graph that of one example."""
    return [
        (1, *x.shape[1:]) if isinstance(x, keras.KerasTensor) and x.shape else tuple(x.shape)
        for x in keras.tree.flatten(values)
        if hasattr(x, "shape")
    ]


def _rule(layer: Any) -> _Rule | None:
    """Returns how to count a layer, or an operation in the graph of a functional model."""
    if isinstance(layer, keras.Layer):
        return next((rule for kind, rule in _RULES.items() if isinstance(layer, kind)), None)
    count = _OF_CLASSES.get(type(layer).__name__.lower())
    if count is None:
        return None
    return _Rule(lambda layer, inputs, output: count(vars(layer), inputs, output))

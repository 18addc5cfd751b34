"""What a network costs: parameters and multiply-adds, counted from the built model."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from ablation.networks.multiply_adds import count_inside, count_multiply_adds

_PART = re.compile(r"(stem|(?:stage|block|conv|pool)\d+)(?![a-z])")
_BLOCK = re.compile(r"_(?:block|unit)(\d+)_")


@dataclass(frozen=True)
class Cost:
    """Counts of one network, for one image.

    Attributes:
        trainable: parameters that the optimizer changes.
        total: those and the running statistics of batch normalisation.
        multiply_adds: as He15 Table 1 counts its FLOPs, see `networks.multiply_adds`.
        uncounted: layers whose multiply-adds are not in the number, because nobody can tell them.
    """

    trainable: int
    total: int
    multiply_adds: int
    uncounted: tuple[str, ...] = ()


def count(model: keras.Model) -> Cost:
    """Counts parameters and multiply-adds of a built model."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    rest = sum(math.prod(weight.shape) for weight in model.non_trainable_weights)
    counted = count_multiply_adds(model)
    uncounted = tuple(f"{name} ({kind})" for name, kind in counted.uncounted.items())
    return Cost(trainable, trainable + rest, counted.total, uncounted)


@dataclass(frozen=True)
class Stage:
    """One line of a network's table by stage, after He15 Table 1.

    Attributes:
        name: "stem", "stage1" and so on, or "head"; of a baseline, what Keras calls its parts.
        output: shape of its output for one image.
        blocks: number of blocks, 0 where there are none.
        identities, projections, zero_pads: its shortcuts by kind.
        parameters: trainable parameters.
        multiply_adds: of one image.
    """

    name: str
    output: tuple[int, ...]
    blocks: int
    identities: int
    projections: int
    zero_pads: int
    parameters: int
    multiply_adds: int


def by_stage(model: keras.Model) -> list[Stage]:
    """Counts a network stage by stage, reading the stages off its layers' names.

    Where no name tells a stage, every layer that costs something is a line; of a module of PyTorch
    every module directly inside it.
    """
    groups: dict[str, list[keras.layers.Layer]] = {}
    layers = [x for x in model.layers if not isinstance(x, keras.layers.InputLayer)]
    parts = [_PART.match(layer.name) for layer in layers]
    adds = count_multiply_adds(model).by_layer
    if not any(parts):
        costly = [x for x in layers if x.trainable_weights or adds.get(x.name)]
        return [line for layer in costly for line in _lines(layer, adds)]
    # The head is what follows the last part; in between, a layer without a part's name joins
    # the part before it.
    body = max(i for i, part in enumerate(parts) if part)
    name = "stem"
    for i, (layer, part) in enumerate(zip(layers, parts, strict=True)):
        name = part[1] if part else name if i < body else "head"
        groups.setdefault(name, []).append(layer)
    return [_stage(name, layers, adds) for name, layers in groups.items()]


def _lines(layer: keras.layers.Layer, adds: dict[str, int]) -> Iterator[Stage]:
    """Yields the line of a layer, or those of the modules of PyTorch inside it."""
    is_module = isinstance(layer, keras.layers.TorchModuleWrapper)
    inputs = keras.tree.flatten(getattr(layer, "input", [])) if is_module else []
    if not inputs:
        yield _stage(layer.name, [layer], adds)
        return
    counts = count_inside(layer, inputs)
    counted: set[int] = set()  # What several modules use is the first one's.

    def line(
        name: str, shape: tuple[int, ...], weights: Iterable[Any], multiply_adds: int
    ) -> Iterator[Stage]:
        own = [one for one in weights if id(one) not in counted and one.requires_grad]
        counted.update(map(id, own))
        parameters = sum(one.numel() for one in own)
        if parameters or multiply_adds:
            yield Stage(name, shape, 0, 0, 0, 0, parameters, multiply_adds)

    outer, inside = "", dict(layer.module.named_children())
    while len(inside) == 1 and next(_module(layer, outer).parameters(recurse=False), None) is None:
        outer += f"{next(iter(inside))}."
        inside = dict(_module(layer, outer).named_children())
    left = counts.total
    for name, module in inside.items():
        path = outer + name
        own = [one for one in counts.by_path if f"{one}.".startswith(f"{path}.")]
        # A list of modules is never called itself.
        shapes = [shape for one, shape in counts.outputs.items() if one in own]
        shape = counts.outputs.get(path, shapes[-1] if shapes else ())
        multiply_adds = sum(counts.by_path[one] for one in own)
        left -= multiply_adds
        title = f"{path} ({type(module).__name__})" if name.isdigit() else path
        yield from line(title, shape, module.parameters(), multiply_adds)
    itself = f"{type(_module(layer, outer)).__name__} itself"
    yield from line(itself, _output_shape(layer), layer.module.parameters(), left)


def _module(layer: keras.layers.TorchModuleWrapper, path: str) -> Any:
    return layer.module.get_submodule(path.rstrip("."))


def _output_shape(layer: keras.layers.Layer) -> tuple[int, ...]:
    """Returns the shape of a layer's output for one image, () if it has several or is no graph."""
    try:
        return tuple(layer.output.shape[1:])
    except AttributeError:
        return ()


def _stage(name: str, layers: list[keras.layers.Layer], multiply_adds: dict[str, int]) -> Stage:
    names = [layer.name for layer in layers]
    projections = sum(layer.endswith("_shortcut_conv") for layer in names)
    zero_pads = sum(layer.endswith("_shortcut_pad") for layer in names)
    additions = sum(layer.endswith("_add") for layer in names)
    return Stage(
        name,
        _output_shape(layers[-1]),
        len({match[1] for match in map(_BLOCK.search, names) if match}),
        additions - projections - zero_pads,
        projections,
        zero_pads,
        sum(math.prod(w.shape) for layer in layers for w in layer.trainable_weights),
        sum(multiply_adds.get(layer, 0) for layer in names),
    )

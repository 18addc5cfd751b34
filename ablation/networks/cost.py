"""What a network costs: parameters and multiply-adds, counted from the built model."""

import math
import re
from dataclasses import dataclass

import keras

from ablation.networks.multiply_adds import count_multiply_adds

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

    Where no name tells a stage, every layer that costs something is a line.
    """
    groups: dict[str, list[keras.layers.Layer]] = {}
    layers = [x for x in model.layers if not isinstance(x, keras.layers.InputLayer)]
    parts = [_PART.match(layer.name) for layer in layers]
    adds = count_multiply_adds(model).by_layer
    if not any(parts):
        costly = [x for x in layers if x.trainable_weights or adds.get(x.name)]
        return [_stage(layer.name, [layer], adds) for layer in costly]
    # The head is what follows the last part; in between, a layer without a part's name joins
    # the part before it.
    body = max(i for i, part in enumerate(parts) if part)
    name = "stem"
    for i, (layer, part) in enumerate(zip(layers, parts, strict=True)):
        name = part[1] if part else name if i < body else "head"
        groups.setdefault(name, []).append(layer)
    return [_stage(name, layers, adds) for name, layers in groups.items()]


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

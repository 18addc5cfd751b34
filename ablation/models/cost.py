"""What a network costs: parameters and multiply-adds, counted from the built model."""

import math
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Cost:
    """Counts of one network, for one image.

    Attributes:
        trainable: parameters that the optimizer changes.
        total: those and the running statistics of batch normalisation.
        multiply_adds: of convolutions and dense layers, as He15 Table 1 counts its FLOPs.
    """

    trainable: int
    total: int
    multiply_adds: int


def multiply_adds(layer: keras.layers.Layer) -> int:
    """Multiply-adds of one layer for one image; 0 for layers other than convolution and dense."""
    if isinstance(layer, keras.layers.Conv2D):
        _, height, width, _ = layer.output.shape
        return height * width * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    return 0


def count(model: keras.Model) -> Cost:
    """Counts parameters and multiply-adds of a built functional model."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    rest = sum(math.prod(weight.shape) for weight in model.non_trainable_weights)
    return Cost(trainable, trainable + rest, sum(map(multiply_adds, model.layers)))


@dataclass(frozen=True)
class Stage:
    """One line of a network's table by stage, after He15 Table 1.

    Attributes:
        name: "stem", "stage1" and so on, or "head".
        output: shape of its output for one image.
        blocks: number of blocks, 0 outside the stages.
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
    """Counts a network of `build` stage by stage, reading the stages off its layers' names."""
    groups: dict[str, list[keras.layers.Layer]] = {}
    for layer in model.layers:
        name = layer.name.split("_")[0]
        if name != "images":
            groups.setdefault(name if name.startswith("st") else "head", []).append(layer)
    return [_stage(name, layers) for name, layers in groups.items()]


def _stage(name: str, layers: list[keras.layers.Layer]) -> Stage:
    names = [layer.name for layer in layers]
    projections = sum(layer.endswith("_shortcut_conv") for layer in names)
    zero_pads = sum(layer.endswith("_shortcut_pad") for layer in names)
    additions = sum(layer.endswith("_add") for layer in names)
    return Stage(
        name,
        layers[-1].output.shape[1:],
        len({"_".join(layer.split("_")[:2]) for layer in names}) if name.startswith("stage") else 0,
        additions - projections - zero_pads,
        projections,
        zero_pads,
        sum(math.prod(w.shape) for layer in layers for w in layer.trainable_weights),
        sum(map(multiply_adds, layers)),
    )

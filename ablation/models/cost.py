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

r"""A small vision transformer: six blocks of width 64 on patches of 4x4 pixels.

After Dosovitskiy et al. 2021, arXiv 2010.11929; 2-d sine and cosine positions as in Beyer et al.
2022, arXiv 2205.01580; the norm behind the addition as in Vaswani et al. 2017, arXiv 1706.03762.

    python -m ablation -m arch=examples/vit.py:build parts.position=learned,sincos,none \
        dataset=digits recipe=adam epochs=10 study=vit
"""

from typing import Literal

import keras
import numpy as np
from keras import layers, ops

WIDTH, DEPTH, PATCH = 64, 6, 4


def build(
    input_shape,
    classes,
    *,
    position: Literal["learned", "sincos", "none"] = "learned",
    pre_norm: bool = True,
    heads: int = 4,
    cls_token: bool = True,
):
    """Returns a model from images (height, width, channels) to logits."""
    if heads < 1 or WIDTH % heads or any(size % PATCH for size in input_shape[:2]):
        raise ValueError(f"heads must divide {WIDTH}; images are whole patches of {PATCH} pixels.")
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(WIDTH, PATCH, PATCH)(inputs)
    rows, columns = x.shape[1:3]
    x = layers.Reshape((rows * columns, WIDTH))(x)
    if position != "none":
        x = Learned()(x) if position == "learned" else x + sincos(rows, columns)
    x = Learned(in_front=True)(x) if cls_token else x
    for _ in range(DEPTH):
        x = residual(x, layers.MultiHeadAttention(heads, WIDTH // heads), pre_norm, inputs=2)
        mlp = [layers.Dense(4 * WIDTH, activation="gelu"), layers.Dense(WIDTH)]
        x = residual(x, keras.Sequential(mlp), pre_norm)
    x = layers.LayerNormalization()(x) if pre_norm else x  # The other kind ends in one.
    x = x[:, 0] if cls_token else layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def residual(x, layer, pre_norm, inputs=1):
    norm = layers.LayerNormalization()
    y = layers.Add()([x, layer(*[norm(x) if pre_norm else x] * inputs)])
    return y if pre_norm else norm(y)


def sincos(rows, columns):
    """Returns a quarter of the width each for sine and cosine of a patch's row and column."""
    rates = 10_000.0 ** -(np.arange(WIDTH // 4) / (WIDTH // 4))
    y, x = (axis.reshape(-1, 1) * rates for axis in np.mgrid[:rows, :columns])
    return np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1).astype("float32")


class Learned(layers.Layer):
    """Adds a learned table to the tokens, or puts one learned token in front of them."""

    def __init__(self, in_front=False):
        super().__init__()
        self.in_front = in_front

    def build(self, shape):
        size = (1, shape[-1]) if self.in_front else shape[1:]
        self.table = self.add_weight(shape=size, initializer="random_normal")

    def call(self, x):
        table = ops.cast(self.table, x.dtype)
        if not self.in_front:
            return x + table
        return ops.concatenate([ops.repeat(table[None], ops.shape(x)[0], 0), x], axis=1)

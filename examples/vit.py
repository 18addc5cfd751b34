"""A small vision transformer: six blocks of width 64 on patches of 4x4 pixels.

After Dosovitskiy et al. 2021, arXiv 2010.11929; 2-d sine and cosine positions as in Beyer et al.
2022, arXiv 2205.01580; the norm behind the addition as in Vaswani et al. 2017, arXiv 1706.03762.

    python -m ablation -m arch=examples/vit.py:build parts.position=learned,sincos,none
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
) -> keras.Model:
    """Returns a model from images (height, width, channels) to logits."""
    if heads < 1 or WIDTH % heads:
        raise ValueError(f"heads must divide the width of {WIDTH}. Received: heads={heads}")
    if any(size % PATCH for size in input_shape[:2]):
        raise ValueError(f"Images must be whole patches of {PATCH}. Received: {input_shape}")
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(WIDTH, PATCH, PATCH)(inputs)
    grid = x.shape[1:3]
    x = layers.Reshape((-1, WIDTH))(x)
    x = x if position == "none" else Position(None if position == "learned" else sincos(*grid))(x)
    x = ClassToken()(x) if cls_token else x
    for _ in range(DEPTH):
        x = residual(x, layers.MultiHeadAttention(heads, WIDTH // heads), pre_norm, inputs=2)
        mlp = [layers.Dense(4 * WIDTH, activation="gelu"), layers.Dense(WIDTH)]
        x = residual(x, keras.Sequential(mlp), pre_norm)
    x = layers.LayerNormalization()(x) if pre_norm else x  # The other kind ends in one.
    x = x[:, 0] if cls_token else layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def residual(x, layer, pre_norm, inputs=1):
    norm = layers.LayerNormalization()
    y = norm(x) if pre_norm else x
    y = layers.Add()([x, layer(*[y] * inputs)])
    return y if pre_norm else norm(y)


def sincos(rows, columns):
    """Returns a quarter of the width each for the sine and cosine of a patch's row and column."""
    rates = 10_000.0 ** -(np.arange(WIDTH // 4) / (WIDTH // 4))
    y, x = (axis.reshape(-1, 1) * rates for axis in np.mgrid[:rows, :columns])
    return np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)


class Position(layers.Layer):
    """Adds a fixed table (tokens, width), or a learned one where there is none."""

    def __init__(self, table=None):
        super().__init__()
        self.table = table

    def build(self, shape):
        if self.table is None:
            self.learned = layers.Embedding(*shape[1:], embeddings_initializer="random_normal")
            self.learned.build()

    def call(self, x):
        table = self.learned(ops.arange(x.shape[1])) if self.table is None else self.table
        return x + ops.cast(table, x.dtype)


class ClassToken(layers.Layer):
    """Puts a learned token in front of those of the image."""

    def build(self, shape):
        self.token = self.add_weight(shape=shape[-1:], initializer="random_normal")

    def call(self, x):
        token = ops.broadcast_to(ops.cast(self.token, x.dtype), (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], axis=1)

r"""A multilayer perceptron on flattened images: eight hidden layers of 256 units.

Residual layers after He et al. 2015, arXiv 1512.03385, §3.2; batch normalisation, Ioffe and
Szegedy 2015, arXiv 1502.03167; layer normalisation, Ba et al. 2016, arXiv 1607.06450; dropout,
Srivastava et al. 2014, JMLR 15.

    python -m ablation -m arch=examples/mlp.py:build parts.residual=true,false \
        parts.norm=batch,layer,none dataset=digits recipe=adam epochs=10 study=mlp
"""

from typing import Literal

import keras
from keras import layers

WIDTH, DEPTH = 256, 8

NORMS = {
    "batch": layers.BatchNormalization,
    "layer": layers.LayerNormalization,
    "none": layers.Identity,
}


def build(
    input_shape,
    classes,
    *,
    residual: bool = True,
    norm: Literal["batch", "layer", "none"] = "batch",
    dropout: float = 0.1,
) -> keras.Model:
    """Returns a model from images (height, width, channels) to logits.

    Without shortcuts and without normalisation so many layers are not expected to learn, so that
    pair is refused.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1. Received: dropout={dropout}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}. Received: norm={norm}")
    inputs = keras.Input(input_shape)
    x = layers.Dense(WIDTH)(layers.Flatten()(inputs))
    for _ in range(DEPTH):
        y = layers.ReLU()(NORMS[norm]()(layers.Dense(WIDTH, kernel_initializer="he_normal")(x)))
        y = layers.Dropout(dropout)(y) if dropout else y
        x = layers.Add()([x, y]) if residual else y
    return keras.Model(inputs, layers.Dense(classes)(x))

r"""Regression: by how many degrees is a bar turned?

The images are generated: a bar through the middle, turned by -60° to 60°, with noise. The network
is a small convolutional one. Whether the features of all places are averaged before the last layer,
as in a ResNet, or each place keeps its own (`places`), and whether batches are normalised (`norm`,
Ioffe and Szegedy 2015, arXiv 1502.03167) are its parts.

    python -m ablation -m arch=examples/angles.py:build design=leave_one_out \
        parts.places=true,false parts.norm=true,false seed=0,1,2 dataset=function \
        dataset.name=examples/angles.py:load dataset.unit=° recipe=adam recipe.learning_rate=3e-3 \
        epochs=10 study=angles
"""

import keras
import numpy as np
from keras import layers

COUNT, SIZE, FURTHEST = 1500, 24, 60.0
WIDTH, BLOCKS = 16, 3


def load():
    """Returns images (1500, 24, 24) with pixels from 0 to 255, and angles in degrees."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(-FURTHEST, FURTHEST, COUNT)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    turned = np.deg2rad(angles)[:, np.newaxis, np.newaxis]
    away = rows * np.cos(turned) - columns * np.sin(turned)
    bars = np.exp(-((away / 1.5) ** 2)) + rng.normal(0, 0.4, away.shape)
    return np.clip(60 + 130 * bars, 0, 255).astype(np.uint8), angles


def build(input_shape, classes, *, places: bool = True, norm: bool = True):
    """Returns a network from images (batch, height, width, channels) to values (batch, classes)."""
    images = keras.Input(input_shape)
    x = images
    for block in range(BLOCKS):
        x = layers.Conv2D(WIDTH, 3, 2, padding="same", name=f"block{block}_conv")(x)
        if norm:
            x = layers.BatchNormalization(name=f"block{block}_norm")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
    if places:
        x = layers.Flatten(name="places")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(images, layers.Dense(classes, name="values")(x))

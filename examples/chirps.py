r"""A convolutional network for signals: does the pitch of a noisy tone rise, fall or stay?

The signals are generated: a second at 256 Hz, a tone of 50 to 80 Hz at its middle whose pitch moves
by 40 to 80 Hz or stays, with any phase and amplitude, in white noise. Residual convolutions along
time after Wang et al. 2016, arXiv 1611.06455, §2; batch normalisation, Ioffe and Szegedy 2015,
arXiv 1502.03167; dilation, Yu and Koltun 2015, arXiv 1511.07122.

    python -m ablation -m arch=examples/chirps.py:build design=leave_one_out \
        parts.residual=true,false parts.norm=true,false parts.dilated=true,false seed=0,1,2 \
        dataset=function dataset.name=examples/chirps.py:load recipe=adam recipe.batch_size=64 \
        epochs=8 study=chirps
"""

import keras
import numpy as np
from keras import layers

WIDTH, BLOCKS = 32, 3
COUNT, STEPS, NOISE = 2400, 256, 0.5


def load():
    """Returns signals (2400, 256), labels and the names of the classes."""
    rng = np.random.default_rng(0)
    y = np.arange(COUNT) % 3
    time = np.arange(STEPS) / STEPS
    moves = (y - 1) * rng.uniform(40, 80, COUNT)
    start = rng.uniform(50, 80, COUNT) - moves / 2
    turns = start[:, None] * time + moves[:, None] * time**2 / 2
    tones = np.sin(2 * np.pi * (turns + rng.random((COUNT, 1))))
    x = rng.uniform(0.5, 2, (COUNT, 1)) * (tones + NOISE * rng.standard_normal(tones.shape))
    return {"x": x[..., None], "y": y, "classes": ["falls", "stays", "rises"]}


def build(
    input_shape,
    classes,
    *,
    residual: bool = True,
    norm: bool = True,
    dilated: bool = True,
    kernel: int = 7,
) -> keras.Model:
    """Returns a model from signals (time, channels) to logits."""
    inputs = keras.Input(input_shape)
    x = layers.Conv1D(WIDTH, kernel, strides=2, padding="same")(inputs)
    for block in range(BLOCKS):
        y = layers.BatchNormalization()(x) if norm else x
        rate = 2**block if dilated else 1
        y = layers.Conv1D(WIDTH, kernel, dilation_rate=rate, padding="same")(layers.ReLU()(y))
        x = layers.Add()([x, y]) if residual else y
    x = layers.GlobalAveragePooling1D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x))

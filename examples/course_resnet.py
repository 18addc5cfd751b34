r"""ResNet-34 and ResNet-50 as a deep-learning course's notebook builds them, and plain nets.

After He et al. 2015, arXiv 1512.03385, Table 1. The notebook differs from the paper: convolutions
have biases, ResNet-34 projects with 3x3 kernels, and initialisation and batch normalisation are
Keras's defaults.

    python -m ablation -m \
        arch=examples/course_resnet.py:resnet34,examples/course_resnet.py:resnet50 \
        parts.plain=false,true dataset=digits recipe=sgd_clip epochs=5 study=course_resnet
"""

import keras
from keras import layers

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def resnet34(input_shape, classes, *, plain: bool = False) -> keras.Model:
    """Returns 34 layers of basic blocks: images (height, width, channels) to probabilities."""
    return network(input_shape, classes, basic, plain)


def resnet50(input_shape, classes, *, plain: bool = False) -> keras.Model:
    """Returns 50 layers of bottlenecks: images (height, width, channels) to probabilities."""
    return network(input_shape, classes, bottleneck, plain)


def network(input_shape, classes, block, plain):
    inputs = keras.Input(input_shape)
    x = layers.ReLU()(convolution(inputs, 64, 7, 2))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for width, blocks in STAGES:
        for i in range(blocks):
            x = block(x, width, 2 if i == 0 and width > 64 else 1, plain)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def basic(x, width, strides, plain):
    y = layers.ReLU()(convolution(x, width, 3, strides))
    return joined(x, convolution(y, width, 3), 3, strides, plain)


def bottleneck(x, width, strides, plain):
    y = layers.ReLU()(convolution(x, width, 1, strides))
    y = layers.ReLU()(convolution(y, width, 3))
    return joined(x, convolution(y, 4 * width, 1), 1, strides, plain)


def joined(x, y, kernel, strides, plain):
    if not plain:
        fits = x.shape == y.shape
        y = layers.Add()([y, x if fits else convolution(x, y.shape[-1], kernel, strides)])
    return layers.ReLU()(y)


def convolution(x, filters, kernel, strides=1):
    return layers.BatchNormalization()(layers.Conv2D(filters, kernel, strides, "same")(x))

"""Layers that Keras lacks, or has only in a slower form, and what our networks share."""

import zlib

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("ablation")
class ZeroPadShortcut(keras.layers.Layer):
    """The parameter-free shortcut across a change of width, He15 §3.3 option A.

    Takes every `strides`-th row and column and appends channels of zeros.

    Args:
        filters: channels of the output, at least those of the input.
        strides: step in pixels, 1 or more.

    Example:
        >>> ZeroPadShortcut(32, strides=2)(keras.ops.ones((1, 8, 8, 16))).shape
        (1, 4, 4, 32)
    """

    def __init__(self, filters: int, strides: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.strides = strides

    def call(self, inputs):
        """Maps (batch, height, width, channels) to the subsampled, widened image."""
        subsampled = inputs[:, :: self.strides, :: self.strides, :]
        added = self.filters - inputs.shape[-1]
        return ops.pad(subsampled, [[0, 0], [0, 0], [0, 0], [0, added]])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@keras.saving.register_keras_serializable("ablation")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation of the last axis, on TensorFlow through its fused kernel.

    Keras composes the layer from elementwise operations; the fused kernel passes over the
    activations fewer times, which `benchmarks/` shows. Other backends fuse by compiling.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalises (batch, height, width, channels); the dtype stays that of the input."""
        if keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf  # Only this backend has the kernel.

        use_batch = bool(training and self.trainable)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=[] if use_batch else self.moving_mean,
            variance=[] if use_batch else self.moving_variance,
            epsilon=self.epsilon,
            is_training=use_batch,
        )
        if use_batch:
            # The kernel returns the unbiased variance; Keras keeps a running mean of the biased.
            count = tf.cast(tf.size(inputs) / inputs.shape[-1], variance.dtype)
            variance = variance * (count - 1) / count
            for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


def bn_relu(x, name: str, relu: bool = True):
    """Applies batch normalisation and, unless told otherwise, a ReLU.

    It keeps 0.9 of its running mean and adds 1e-5 to the variance.
    """
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def he_normal(seed: int, name: str) -> keras.initializers.Initializer:
    """Returns the initializer of He et al. 2015 (arXiv 1502.01852) for one layer.

    What it draws depends on the seed and on the layer's name only, so that two networks start
    alike in every layer that they share.
    """
    return keras.initializers.HeNormal(layer_seed(seed, name))


def layer_seed(seed: int, name: str) -> int:
    """Returns the seed of one layer's initial weights."""
    return zlib.crc32(f"{seed}/{name}".encode()) % 2**31

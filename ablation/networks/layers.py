"""Layers that Keras lacks, or has only in a slower form, and what our networks share."""

import contextlib
import math
import sys
import zlib
from collections.abc import Iterator

import keras
import numpy as np
from keras import layers, ops

_TINY_PIXELS = 16


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
        # A convolution that copies: exact, and faster than a strided slice and its gradient.
        kernel = ops.eye(inputs.shape[-1], self.filters, dtype=inputs.dtype)
        return ops.conv(inputs, kernel[None, None], self.strides, padding="same")

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@keras.saving.register_keras_serializable("ablation")
class Conv2D(keras.layers.Conv2D):
    """Keras's convolution, padded "same", as one matrix product where the image is tiny.

    That is up to 4x4 pixels that a 1x1 kernel puts out, and up to the kernel's own size for a
    larger one, where every output pixel sees nearly every input pixel. Convolution kernels are made
    for larger images: in the deep stages of a ResNet at 32x32 the product is up to fifty times
    faster, see `benchmarks/README.md`.

    Raises:
        ValueError: another padding, groups or dilation, which the product does not have.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        received = self.padding, self.groups, self.dilation_rate
        if received != ("same", 1, (1, 1)):
            raise ValueError(f"Only padding 'same', 1 group, dilation (1, 1). Received: {received}")

    def convolution_op(self, inputs, kernel):
        """Convolves (batch, height, width, channels) with (height, width, channels, filters)."""
        _, height, width, channels = inputs.shape
        rows, columns, _, filters = kernel.shape
        down, across = self.strides
        if rows == columns == 1 and height * width <= _TINY_PIXELS * down * across:
            if down * across > 1:  # Pooling single pixels leaves every second one.
                inputs = ops.average_pool(inputs, 1, self.strides, padding="same")
            weights = ops.reshape(kernel, (channels, filters))
            outputs = ops.matmul(ops.reshape(inputs, (-1, channels)), weights)
            return ops.reshape(outputs, (-1, *inputs.shape[1:3], filters))
        if height > rows or width > columns:
            return super().convolution_op(inputs, kernel)
        kernel = ops.convert_to_tensor(kernel)
        tops, lefts = _first_taps(height, rows, down), _first_taps(width, columns, across)
        of_pixels = [_taps(kernel, (top, left), (height, width)) for top in tops for left in lefts]
        weights = ops.concatenate([ops.reshape(taps, (-1, filters)) for taps in of_pixels], axis=1)
        outputs = ops.matmul(ops.reshape(inputs, (-1, height * width * channels)), weights)
        return ops.reshape(outputs, (-1, len(tops), len(lefts), filters))


def _first_taps(size: int, kernel: int, strides: int) -> list[int]:
    """Returns, for each output pixel of one axis, the kernel's tap on the first input pixel."""
    outputs = -(-size // strides)
    padding = max(0, (outputs - 1) * strides + kernel - size) // 2
    return [padding - strides * output for output in range(outputs)]


def _taps(kernel, first: tuple[int, int], count: tuple[int, int]):
    """Returns so many rows and columns of a kernel, with zeros where it has none."""
    margins = [
        (max(0, -start), max(0, start + wanted - size))
        for start, wanted, size in zip(first, count, kernel.shape, strict=False)
    ]
    if any(map(any, margins)):
        kernel = ops.pad(kernel, [*margins, (0, 0), (0, 0)])
    start = [max(0, tap) for tap in first]
    # Not kernel[...]: TensorFlow's gradient of that takes longer than all convolutions together.
    return ops.slice(kernel, [*start, 0, 0], [*count, *kernel.shape[2:]])


@keras.saving.register_keras_serializable("ablation")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation of the last axis, through the fused kernel of the backend.

    Keras composes the layer from elementwise operations; the fused kernel passes over the
    activations fewer times, which `benchmarks/` shows. JAX fuses by compiling.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalises (batch, height, width, channels); the dtype stays that of the input."""
        use_batch = bool(training and self.trainable)
        match keras.backend.backend():
            case "tensorflow":
                return self._on_tensorflow(inputs, use_batch)
            case "torch":
                return self._on_torch(inputs, use_batch)
        return super().call(inputs, training=training, mask=mask)

    def _on_tensorflow(self, inputs, use_batch):
        import tensorflow as tf  # Only this backend has the kernel.

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
            # A constant where the size of a batch is known, as it is in training.
            count = inputs.shape.num_elements() or tf.cast(tf.size(inputs), variance.dtype)
            self._move(mean, variance, count / inputs.shape[-1])
        return outputs

    def _on_torch(self, inputs, use_batch):
        import torch  # Only this backend has the kernel.

        scale, offset, mean, variance = map(
            ops.convert_to_tensor, (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if use_batch:  # A running mean that forgets all at once is this batch's.
            mean, variance = torch.zeros_like(mean), torch.zeros_like(variance)
        images = torch.movedim(inputs, -1, 1)
        outputs, *_ = torch.native_batch_norm(
            images, scale, offset, mean, variance, use_batch, 1.0, self.epsilon
        )
        if use_batch:
            count = inputs.numel() // inputs.shape[-1]
            # Of one value there is no unbiased variance.
            self._move(mean, variance if count > 1 else torch.zeros_like(variance), count)
        return torch.movedim(outputs, 1, -1)

    def _move(self, mean, variance, count):
        """Adds a batch, of so many pixels, to the running statistics."""
        # The kernels return the unbiased variance; Keras keeps a running mean of the biased.
        variance = variance * ((count - 1) / count)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            value = ops.convert_to_tensor(moving)
            moving.assign(value - (value - batch) * (1 - self.momentum))


@keras.saving.register_keras_serializable("ablation")
class LogProbabilities(keras.layers.Layer):
    """The logarithm of probabilities: logits whose softmax is these probabilities.

    So a network that ends in a softmax is trained by the same loss as others, which is its
    cross-entropy.
    """

    def call(self, inputs):
        """Returns log(p), of p at least 1e-7 as in Keras's own loss."""
        return ops.log(ops.clip(ops.cast(inputs, self.compute_dtype), 1e-7, 1.0))


def bn_relu(x, name: str, relu: bool = True):
    """Applies batch normalisation and, unless told otherwise, a ReLU; of any shape, which it keeps.

    It keeps 0.9 of its running mean and adds 1e-5 to the variance.
    """
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


@keras.saving.register_keras_serializable("ablation")
class HeNormal(keras.initializers.Initializer):
    """The initial kernel of He et al. 2015 (arXiv 1502.01852, eq. 10), equal on every backend.

    Keras's own cuts the distribution off at two deviations, and draws other numbers on JAX than on
    TensorFlow.

    Args:
        seed: 0 or more.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def __call__(self, shape, dtype=None):
        """Returns a kernel of shape (..., inputs, outputs)."""
        deviation = math.sqrt(2 / math.prod(shape[:-1]))
        numbers = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        return ops.convert_to_tensor(numbers * np.float32(deviation), dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"seed": self.seed}


def he_normal(seed: int, name: str) -> HeNormal:
    """Returns the initializer of one layer.

    What it draws depends on the seed and on the layer's name only, so that two networks start
    alike in every layer that they share.
    """
    return HeNormal(layer_seed(seed, name))


def he_dense(seed: int, x, units: int, name: str, dtype: str | None = None):
    """Maps (batch, numbers) to (batch, units) by a layer whose kernel starts as in `he_normal`."""
    kernel = he_normal(seed, name)
    return layers.Dense(units, kernel_initializer=kernel, dtype=dtype, name=name)(x)


def layer_seed(seed: int, name: str) -> int:
    """Returns the seed of one layer's initial weights."""
    return zlib.crc32(f"{seed}/{name}".encode()) % 2**31


@contextlib.contextmanager
def deep_recursion() -> Iterator[None]:
    """Lets Keras walk a graph of thousands of layers, which it does one call inside another."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)

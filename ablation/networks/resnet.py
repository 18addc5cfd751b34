"""Residual networks and their plain counterparts.

He15 is He et al. 2015, arXiv 1512.03385; He16 is He et al. 2016, arXiv 1603.05027.

| arch | stem | blocks per stage | widths | block |
|---|---|---|---|---|
| 18, 34 | 7x7/2, max-pool | 2 2 2 2, 3 4 6 3 | 64 to 512 | basic |
| 50, 101, 152 | 7x7/2, max-pool | 3 4 6 3, 3 4 23 3, 3 8 36 3 | 64 to 512 | bottleneck |
| 6n + 2 | 3x3 | n n n | 16 to 64 | basic |

Every convolution is bias-free and padded "same", every kernel starts as in He et al. 2015
(arXiv 1502.01852), batch normalisation keeps 0.9 of its running mean and adds 1e-5 to the variance.
"""

from dataclasses import dataclass

import keras
from keras import layers

from ablation.networks.layers import Conv2D, ZeroPadShortcut, bn_relu, deep_recursion, he_normal
from ablation.networks.specs import ResNetSpec


@dataclass(frozen=True)
class ResNet:
    """One network and the choices that an ablation varies.

    Attributes:
        spec: family, block and depth.
        plain: leave out every shortcut and the addition it feeds, and nothing else.
        shortcut: "zero_pad", "projection", "projection_all" (He15 §3.3 options A, B, C) or
            "projection3x3" (B with 3x3 kernels). A plain net has none.
        preact: order each block BN-ReLU-convolution (He16 Fig. 4e).
        stride_on: the bottleneck's convolution that halves the image, "1x1" (the first, as in
            He15) or "3x3".
        seed: of the initial weights. A layer's weights depend on this and on its name only, so a
            plain net and its residual counterpart start alike in all that they share.
    """

    spec: ResNetSpec
    plain: bool
    shortcut: str
    preact: bool
    stride_on: str
    seed: int

    def model(self, input_shape: tuple[int, int, int], classes: int, name: str) -> keras.Model:
        """Returns the model from (batch, height, width, channels) to float32 logits."""
        inputs = keras.Input(input_shape, name="images")
        x = self._stem(inputs)
        stages = zip(self.spec.blocks, self.spec.widths, strict=True)
        for stage, (blocks, width) in enumerate(stages, start=1):
            for block in range(1, blocks + 1):
                strides = 2 if stage > 1 and block == 1 else 1
                # The stem has already activated what the very first block gets (He16, appendix).
                activated = stage == block == 1
                x = self._block(x, width, strides, activated, f"stage{stage}_block{block}")
        if self.preact:
            x = bn_relu(x, "final")
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        # Logits stay float32 under mixed precision, for the sake of the softmax.
        logits = layers.Dense(
            classes,
            kernel_initializer=he_normal(self.seed, "logits"),
            dtype="float32",
            name="logits",
        )(x)
        with deep_recursion():
            return keras.Model(inputs, logits, name=name)

    def _stem(self, x):
        """The layers before the first block: He15 Table 1 (conv1, pool), §4.2 for CIFAR-10."""
        width = self.spec.widths[0]
        if self.spec.family == "cifar":
            return bn_relu(self._conv(x, width, 3, 1, "stem_conv"), "stem")
        x = bn_relu(self._conv(x, width, 7, 2, "stem_conv"), "stem")
        return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)

    def _convolutions(self, width: int, strides: int) -> list[tuple[int, int, int]]:
        """Filters, kernel size and strides of a block's convolutions, in order (He15 Fig. 5)."""
        if self.spec.block == "basic":
            return [(width, 3, strides), (width, 3, 1)]
        on_1x1, on_3x3 = (strides, 1) if self.stride_on == "1x1" else (1, strides)
        return [(width, 1, on_1x1), (width, 3, on_3x3), (width * self.spec.expansion, 1, 1)]

    def _block(self, x, width: int, strides: int, activated: bool, name: str):
        """The convolutions of one block and, unless the net is plain, the shortcut around them."""
        raw = x
        if self.preact and not activated:
            x = bn_relu(x, f"{name}_0")
        branch = x
        convolutions = self._convolutions(width, strides)
        for i, (filters, kernel, step) in enumerate(convolutions, start=1):
            last = i == len(convolutions)
            branch = self._conv(branch, filters, kernel, step, f"{name}_{i}_conv")
            if not (self.preact and last):
                branch = bn_relu(branch, f"{name}_{i}", relu=self.preact or not last)
        if not self.plain:
            shortcut = self._shortcut(raw, x, branch.shape[-1], strides, f"{name}_shortcut")
            branch = layers.Add(name=f"{name}_add")([branch, shortcut])
        return branch if self.preact else layers.ReLU(name=f"{name}_relu")(branch)

    def _shortcut(self, raw, activated, filters: int, strides: int, name: str):
        """The path around a block (He15 §3.3).

        A projection of a pre-activation block reads the activated input and has no BN of its own,
        because the next block normalises (He16, appendix); every other path carries the raw input.
        """
        changes = strides != 1 or raw.shape[-1] != filters
        if not changes and self.shortcut != "projection_all":
            return raw
        if self.shortcut == "zero_pad":
            return ZeroPadShortcut(filters, strides, name=f"{name}_pad")(raw)
        kernel = 3 if self.shortcut == "projection3x3" else 1
        x = self._conv(activated, filters, kernel, strides, f"{name}_conv")
        return x if self.preact else bn_relu(x, name, relu=False)

    def _conv(self, x, filters: int, kernel: int, strides: int, name: str):
        return Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer=he_normal(self.seed, name),
            name=name,
        )(x)

"""Residual networks and their plain counterparts.

He15 is He et al. 2015, arXiv 1512.03385; He16 is He et al. 2016, arXiv 1603.05027.

| arch | stem | blocks per stage | widths | block |
|---|---|---|---|---|
| 18, 34 | 7x7/2, max-pool | 2 2 2 2, 3 4 6 3 | 64 to 512 | basic |
| 50, 101, 152 | 7x7/2, max-pool | 3 4 6 3, 3 4 23 3, 3 8 36 3 | 64 to 512 | bottleneck |
| 6n + 2 | 3x3 | n n n | 16 to 64 | basic |

Every convolution is padded "same" and bias-free where something normalises, every kernel starts as
in He et al. 2015 (arXiv 1502.01852), batch normalisation keeps 0.9 of its running mean and adds
1e-5 to the variance.

A part is a keyword of `resnet`, a field of `ResNet` and a line of `PARTS`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from ablation.networks.layers import (
    BatchNormalization,
    Conv2D,
    ZeroPadShortcut,
    deep_recursion,
    he_dense,
    he_normal,
    layer_seed,
)

PARTS: dict[str, Any] = {
    "plain": {
        "title": "net",
        "labels": {True: "plain", False: "residual"},
        "reference": True,
        "neutral": False,
    },
    "shortcut": {
        "labels": {
            "zero_pad": "zero_pad",
            "projection": "projection",
            "projection_all": "projection_all",
            "projection3x3": "projection3x3",
        },
        "elsewhere": "none",
        "applies": {"plain": [False]},
        # He15's own choices: option A on CIFAR-10 (§4.2), option B on ImageNet (Table 4).
        "usual": ("family", {"imagenet": "projection", "cifar": "zero_pad"}),
        "neutral": "auto",
    },
    "preact": {"neutral": False},
    "stride_on": {"neutral": "1x1", "applies": {"block": ["bottleneck"]}},
    "norm": {"neutral": "batch"},
    "activation": {"neutral": "relu"},
    "se": {"neutral": False},
    "stem": {
        "neutral": "auto",
        "usual": ("family", {"imagenet": "imagenet", "cifar": "cifar"}),
    },
    "zero_init_residual": {
        "neutral": False,
        "applies": {"plain": [False], "preact": [False], "norm": ["batch", "group", "layer"]},
    },
    "stochastic_depth": {"neutral": 0.0, "applies": {"plain": [False]}, "within": (0, 1)},
    "dropout": {"neutral": 0.0, "within": (0, 1)},
    "width": {"neutral": 1000},
}
"""What the signature of `resnet` cannot say; see `signature.Part`."""

SMALLEST_IMAGE = {
    "family": {"imagenet": 8, "cifar": 4},
    "stem": {"imagenet": 4, "cifar": 1},
}
"""Pixels that every stride-2 step can still halve: the product of what stages and stem take."""

_WIDTHS = {"imagenet": (64, 128, 256, 512), "cifar": (16, 32, 64)}
_SE_RATIO, _SE_LEAST = 16, 4


def resnet(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    family: str,
    block: str,
    blocks: Sequence[int],
    name: str,
    seed: int = 0,
    plain: bool = False,
    shortcut: Literal["auto", "zero_pad", "projection", "projection_all", "projection3x3"] = "auto",
    preact: bool = False,
    stride_on: Literal["1x1", "3x3"] = "1x1",
    norm: Literal["batch", "group", "layer", "none"] = "batch",
    activation: Literal["relu", "gelu", "silu", "leaky_relu"] = "relu",
    se: bool = False,
    stem: Literal["auto", "imagenet", "cifar"] = "auto",
    zero_init_residual: bool = False,
    stochastic_depth: float = 0.0,
    dropout: float = 0.0,
    width: int = 1000,
) -> keras.Model:
    """Builds a residual network or its plain counterpart.

    Args:
        input_shape: height, width and channels, in pixels.
        classes: number of logits.
        family: "imagenet" (He15 Table 1) or "cifar" (He15 §4.2).
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3, 1x1; He15 Fig. 5).
        blocks: number of blocks in each stage.
        name: of the depth, such as "34".
        seed: of the initial weights. A layer's weights depend on this and on its name only, so two
            nets start alike in every layer that they share.
        plain: leave out every shortcut and the addition it feeds, and nothing else.
        shortcut: "zero_pad", "projection", "projection_all" (He15 §3.3 options A, B, C),
            "projection3x3" (B with 3x3 kernels) or the family's own. A plain net has none.
        preact: order each block norm-activation-convolution (He16 Fig. 4e).
        stride_on: the bottleneck's convolution that halves the image: the first, as in He15, or
            the 3x3.
        norm: batch normalisation; group normalisation in 32 groups, fewer where a group would have
            less than two channels (Wu and He 2018, arXiv 1803.08494); layer normalisation over
            height, width and channels, which is group normalisation in one group (there, §3.1); or
            nothing, which gives every convolution a bias.
        activation: after every normalisation; leaky_relu has slope 0.01 below zero.
        se: squeeze and excite each block's branch, with a ratio of 16 (Hu et al. 2017, arXiv
            1709.01507, Fig. 3), but 4 channels or more.
        stem: "imagenet" (7x7 with stride 2, max-pool), "cifar" (3x3) or the family's own.
        zero_init_residual: start the last normalisation of each branch at a scale of 0, so that
            every block begins as its shortcut (Goyal et al. 2017, arXiv 1706.02677, §5.1).
        stochastic_depth: with what probability, 0 to below 1, training leaves out the last block's
            branch; block l of L has l / L of it (Huang et al. 2016, arXiv 1603.09382, eq. 4).
        dropout: the share, 0 to below 1, of the pooled features that training leaves out before
            the classifier (Srivastava et al. 2014, "Dropout", §4).
        width: filters in thousandths of the published ones. Inside the blocks of a stage they are
            rounded up in some and down in others, so that the parameters grow in small steps and
            two nets can be brought to the same number.

    Returns:
        A functional model, float images (batch, height, width, channels) to float32 logits.

    Raises:
        ValueError: stochastic_depth, dropout or width is out of range.
    """
    widths = tuple(filters * width / 1000 for filters in _WIDTHS[family])
    if min(widths) < 2:
        raise ValueError(f"width={width} leaves a stage with less than 2 filters")
    for part, share in (("stochastic_depth", stochastic_depth), ("dropout", dropout)):
        if not 0 <= share < 1:
            raise ValueError(f"{part} must be 0 or more and below 1, not {share}")
    usual = {key: PARTS[key]["usual"][1][family] for key in ("shortcut", "stem")}
    net = ResNet(
        block,
        tuple(blocks),
        widths,
        seed,
        plain=plain,
        shortcut=usual["shortcut"] if shortcut == "auto" else shortcut,
        preact=preact,
        stride_on=stride_on,
        norm=norm,
        activation=activation,
        se=se,
        stem=usual["stem"] if stem == "auto" else stem,
        zero_init_residual=zero_init_residual,
        stochastic_depth=stochastic_depth,
        dropout=dropout,
    )
    return net.model(input_shape, classes, f"{'plain' if plain else 'residual'}_{name}")


@dataclass(frozen=True)
class ResNet:
    """One network; see `resnet` for what each field does."""

    block: str
    blocks: tuple[int, ...]
    widths: tuple[float, ...]
    seed: int
    plain: bool
    shortcut: str
    preact: bool
    stride_on: str
    norm: str
    activation: str
    se: bool
    stem: str
    zero_init_residual: bool
    stochastic_depth: float
    dropout: float

    def model(self, input_shape: tuple[int, int, int], classes: int, name: str) -> keras.Model:
        """Returns the model from (batch, height, width, channels) to float32 logits."""
        inputs = keras.Input(input_shape, name="images")
        x = self._stem(inputs)
        stages = zip(self.blocks, self.widths, strict=True)
        number = 0
        for stage, (blocks, width) in enumerate(stages, start=1):
            for block in range(1, blocks + 1):
                number += 1
                strides = 2 if stage > 1 and block == 1 else 1
                filters = round(width), math.floor(width + (block - 0.5) / blocks)
                x = self._block(x, filters, strides, number, f"stage{stage}_block{block}")
        if self.preact:
            x = self._norm_act(x, "final")
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        if self.dropout:
            seed = layer_seed(self.seed, "dropout")
            x = layers.Dropout(self.dropout, seed=seed, name="dropout")(x)
        # Logits stay float32 under mixed precision, for the sake of the softmax.
        logits = he_dense(self.seed, x, classes, "logits", dtype="float32")
        with deep_recursion():
            return keras.Model(inputs, logits, name=name)

    def _stem(self, x):
        """The layers before the first block: He15 Table 1 (conv1, pool), §4.2 for CIFAR-10."""
        if self.stem == "cifar":
            return self._norm_act(self._conv(x, round(self.widths[0]), 3, 1, "stem_conv"), "stem")
        x = self._norm_act(self._conv(x, round(self.widths[0]), 7, 2, "stem_conv"), "stem")
        return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)

    def _convolutions(self, filters: tuple[int, int], strides: int) -> list[tuple[int, int, int]]:
        """Filters, kernel size and strides of a block's convolutions, in order (He15 Fig. 5).

        Args:
            filters: of the stage, and inside the block.
            strides: of the block.
        """
        width, inside = filters
        if self.block == "basic":
            return [(inside, 3, strides), (width, 3, 1)]
        on_1x1, on_3x3 = (strides, 1) if self.stride_on == "1x1" else (1, strides)
        return [(inside, 1, on_1x1), (inside, 3, on_3x3), (4 * width, 1, 1)]

    def _block(self, x, width: tuple[int, int], strides: int, number: int, name: str):
        """The convolutions of one block and, unless the net is plain, the shortcut around them."""
        raw = x
        # The stem has already activated what the very first block gets (He16, appendix).
        if self.preact and number > 1:
            x = self._norm_act(x, f"{name}_0")
        branch = x
        convolutions = self._convolutions(width, strides)
        for i, (filters, kernel, step) in enumerate(convolutions, start=1):
            last = i == len(convolutions)
            branch = self._conv(branch, filters, kernel, step, f"{name}_{i}_conv")
            if not (self.preact and last):
                scale = "zeros" if last and self.zero_init_residual and not self.plain else "ones"
                branch = self._norm(branch, f"{name}_{i}", scale)
                branch = branch if last else self._act(branch, f"{name}_{i}")
        if self.se:
            branch = self._squeeze_excite(branch, f"{name}_se")
        if not self.plain:
            branch = self._drop(branch, number, f"{name}_drop")
            shortcut = self._shortcut(raw, x, branch.shape[-1], strides, f"{name}_shortcut")
            branch = layers.Add(name=f"{name}_add")([branch, shortcut])
        return branch if self.preact else self._act(branch, name)

    def _shortcut(self, raw, activated, filters: int, strides: int, name: str):
        """The path around a block (He15 §3.3).

        A projection of a pre-activation block reads the activated input and is not normalised,
        because the next block normalises (He16, appendix); every other path carries the raw input.
        """
        changes = strides != 1 or raw.shape[-1] != filters
        if not changes and self.shortcut != "projection_all":
            return raw
        if self.shortcut == "zero_pad":
            return ZeroPadShortcut(filters, strides, name=f"{name}_pad")(raw)
        kernel = 3 if self.shortcut == "projection3x3" else 1
        x = self._conv(activated, filters, kernel, strides, f"{name}_conv")
        return x if self.preact else self._norm(x, name)

    def _squeeze_excite(self, x, name: str):
        """Scales each channel by what a small net makes of the means of all of them."""
        channels = x.shape[-1]
        squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
        hidden = he_dense(self.seed, squeezed, max(_SE_LEAST, channels // _SE_RATIO), f"{name}_1")
        hidden = layers.ReLU(name=f"{name}_relu")(hidden)
        scale = he_dense(self.seed, hidden, channels, f"{name}_2")
        scale = layers.Activation("sigmoid", name=f"{name}_sigmoid")(scale)
        return layers.Multiply(name=f"{name}_scale")([x, scale])

    def _drop(self, branch, number: int, name: str):
        """Leaves out the branch for some images of a batch, and scales it up for the others."""
        rate = self.stochastic_depth * number / sum(self.blocks)
        if not rate:
            return branch
        seed = layer_seed(self.seed, name)
        return layers.Dropout(rate, noise_shape=(None, 1, 1, 1), seed=seed, name=name)(branch)

    def _norm_act(self, x, name: str):
        return self._act(self._norm(x, name), name)

    def _norm(self, x, name: str, scale: str = "ones"):
        if self.norm == "none":
            return x
        if self.norm == "batch":
            return BatchNormalization(
                momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=f"{name}_bn"
            )(x)
        most = 1 if self.norm == "layer" else min(32, x.shape[-1] // 2)
        groups = next(one for one in range(most, 0, -1) if x.shape[-1] % one == 0)
        return layers.GroupNormalization(
            groups, epsilon=1e-5, gamma_initializer=scale, name=f"{name}_{self.norm}norm"
        )(x)

    def _act(self, x, name: str):
        if self.activation == "relu":
            return layers.ReLU(name=f"{name}_relu")(x)
        if self.activation == "leaky_relu":
            return layers.LeakyReLU(negative_slope=0.01, name=f"{name}_leaky_relu")(x)
        return layers.Activation(self.activation, name=f"{name}_{self.activation}")(x)

    def _conv(self, x, filters: int, kernel: int, strides: int, name: str):
        return Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            use_bias=self.norm == "none",
            kernel_initializer=he_normal(self.seed, name),
            name=name,
        )(x)

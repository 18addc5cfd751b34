"""The architectures by name: one table from depth to stages, readable without TensorFlow.

He15 is He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

SHORTCUTS = ("auto", "zero_pad", "projection", "projection_all", "projection3x3")
STRIDE_ON = ("1x1", "3x3")

Choices = dict[str, tuple[bool | str, ...]]
"""For each key that an ablation varies, the values that an architecture can be built with."""


@dataclass(frozen=True)
class ResNetSpec:
    """What distinguishes one ResNet depth from another.

    Attributes:
        family: "imagenet" (7x7 stem and max-pool, He15 Table 1) or "cifar" (3x3 stem, He15 §4.2).
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3, 1x1; He15 Fig. 5).
        blocks: number of blocks in each stage.
        widths: filters of each stage's 3x3 convolutions; a bottleneck puts out four times as many.
    """

    family: str
    block: str
    blocks: tuple[int, ...]
    widths: tuple[int, ...]

    choices: ClassVar[Choices] = {
        "plain": (False, True),
        "shortcut": SHORTCUTS,
        "preact": (False, True),
    }
    always_preact: ClassVar[bool] = False

    @property
    def default_shortcut(self) -> str:
        """The paper's own choice: option A on CIFAR-10 (§4.2), option B on ImageNet (Table 4)."""
        return "zero_pad" if self.family == "cifar" else "projection"

    @property
    def expansion(self) -> int:
        """Output channels of a block divided by its stage's width."""
        return 4 if self.block == "bottleneck" else 1

    @property
    def min_image_size(self) -> int:
        """Smallest height and width, in pixels, that every stride-2 step can still halve."""
        return 32 if self.family == "imagenet" else 4


@dataclass(frozen=True)
class SmallSpec:
    """A small net of pre-activation units, each of two 3x3 convolutions.

    Attributes:
        stem: filters of the convolution before the first unit.
        units: number of units in each stage.
        widths: filters of each stage; between stages a max-pool halves the image.
        dense: outputs of the dense layer before the logits.
    """

    stem: int
    units: tuple[int, ...]
    widths: tuple[int, ...]
    dense: int

    # It is pre-activation by definition, whatever `preact` says, and has one kind of shortcut.
    choices: ClassVar[Choices] = {
        "plain": (False, True),
        "shortcut": ("auto", "projection"),
        "preact": (False, True),
    }
    default_shortcut: ClassVar[str] = "projection"
    always_preact: ClassVar[bool] = True

    @property
    def min_image_size(self) -> int:
        """Smallest height and width, in pixels, that every max-pool can still halve."""
        return 2 ** (len(self.units) - 1)


@dataclass(frozen=True)
class BaselineSpec:
    """A known net without counterparts, to see what accuracy the protocol allows.

    Attributes:
        application: its name in keras.applications.
        min_image_size: smallest height and width, in pixels, that it takes.
    """

    application: str
    min_image_size: int = 32

    choices: ClassVar[Choices] = {"plain": (False,), "shortcut": ("auto",), "preact": (False,)}
    default_shortcut: ClassVar[str] = "none"

    @property
    def always_preact(self) -> bool:
        """Whether its blocks normalise before they convolve."""
        return self.application.startswith("DenseNet")


Spec = ResNetSpec | SmallSpec | BaselineSpec


def chooses_stride(spec: Spec) -> bool:
    """Returns whether `stride_on` changes an architecture: only a bottleneck halves in either."""
    return isinstance(spec, ResNetSpec) and spec.block == "bottleneck"


def refusal(arch: str, keys: dict[str, Any]) -> str | None:
    """Returns why an architecture cannot be built with some values, None if it can.

    Args:
        arch: a key of `ARCHS`.
        keys: values of `plain`, `shortcut` and `preact`; other keys are left alone.
    """
    spec = ARCHS[arch]
    for key, allowed in spec.choices.items():
        if keys[key] in allowed:
            continue
        value = str(keys[key]).lower()
        if isinstance(spec, BaselineSpec):
            return (
                f"{key}={value} is not for the baseline arch={arch}, which has no residual blocks; "
                f"train it without {key}, in a command of its own into the same study, and the "
                "report shows it beside the other nets."
            )
        return f"{key}={value} is not for arch={arch}. Allowed: {', '.join(map(str, allowed))}."
    return None


def _imagenet(block: str, *blocks: int) -> ResNetSpec:
    return ResNetSpec("imagenet", block, blocks, (64, 128, 256, 512))


def _cifar(depth: int) -> ResNetSpec:
    blocks = (depth - 2) // 6
    return ResNetSpec("cifar", "basic", (blocks,) * 3, (16, 32, 64))


ARCHS: dict[str, Spec] = {
    "18": _imagenet("basic", 2, 2, 2, 2),
    "34": _imagenet("basic", 3, 4, 6, 3),
    "50": _imagenet("bottleneck", 3, 4, 6, 3),
    "101": _imagenet("bottleneck", 3, 4, 23, 3),
    "152": _imagenet("bottleneck", 3, 8, 36, 3),
    **{str(depth): _cifar(depth) for depth in (20, 32, 44, 56, 110, 1202)},
    "preact15": SmallSpec(stem=8, units=(2, 2, 2), widths=(16, 32, 64), dense=128),
    "vgg16": BaselineSpec("VGG16"),
    "densenet121": BaselineSpec("DenseNet121"),
}

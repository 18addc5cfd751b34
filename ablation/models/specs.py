"""The architectures by name: one table from depth to stages, readable without TensorFlow.

He15 is He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
"""

from dataclasses import dataclass

SHORTCUTS = ("auto", "zero_pad", "projection", "projection_all", "projection3x3")
STRIDE_ON = ("1x1", "3x3")


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


def _imagenet(block: str, *blocks: int) -> ResNetSpec:
    return ResNetSpec("imagenet", block, blocks, (64, 128, 256, 512))


def _cifar(depth: int) -> ResNetSpec:
    blocks = (depth - 2) // 6
    return ResNetSpec("cifar", "basic", (blocks,) * 3, (16, 32, 64))


ARCHS: dict[str, ResNetSpec] = {
    "18": _imagenet("basic", 2, 2, 2, 2),
    "34": _imagenet("basic", 3, 4, 6, 3),
    "50": _imagenet("bottleneck", 3, 4, 6, 3),
    "101": _imagenet("bottleneck", 3, 4, 23, 3),
    "152": _imagenet("bottleneck", 3, 8, 36, 3),
} | {str(depth): _cifar(depth) for depth in (20, 32, 44, 56, 110, 1202)}

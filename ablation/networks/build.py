"""Builds a network from its name and the choices that an ablation varies."""

import keras

from ablation.networks.baselines import baseline
from ablation.networks.resnet import ResNet
from ablation.networks.small import SmallNet
from ablation.networks.specs import ARCHS, SHORTCUTS, STRIDE_ON, BaselineSpec, SmallSpec, refusal


def build(
    arch: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    plain: bool = False,
    shortcut: str = "auto",
    preact: bool = False,
    stride_on: str = "1x1",
    seed: int = 0,
) -> keras.Model:
    """Builds a network that puts out logits.

    Args:
        arch: a key of `specs.ARCHS`, such as "34".
        input_shape: height, width and channels, in pixels.
        classes: number of logits, 2 or more.
        plain: leave out every shortcut and the addition it feeds, and nothing else.
        shortcut: "auto" (the paper's choice for the family) or one of `specs.SHORTCUTS`.
        preact: pre-activation blocks, He et al. 2016; "preact15" has them either way.
        stride_on: which convolution of a bottleneck halves the image; nothing to other blocks.
        seed: of the initial weights, 0 or more.

    Returns:
        A functional model, float images (batch, height, width, channels) to float32 logits.

    Raises:
        ValueError: an argument is not allowed.

    Example:
        >>> build("20", (32, 32, 3), 10).count_params()
        271098
    """
    for name, value, allowed in (
        ("arch", arch, tuple(ARCHS)),
        ("shortcut", shortcut, SHORTCUTS),
        ("stride_on", stride_on, STRIDE_ON),
    ):
        if value not in allowed:
            raise ValueError(
                f"{name} must be one of {', '.join(allowed)}. Received: {name}={value!r}"
            )
    refused = refusal(arch, {"plain": plain, "shortcut": shortcut, "preact": preact})
    if refused:
        raise ValueError(f"{refused} Received: {plain=}, {shortcut=}, {preact=}")
    spec = ARCHS[arch]
    if min(input_shape[:2]) < spec.min_image_size:
        raise ValueError(
            f"arch={arch} needs images of {spec.min_image_size} pixels or more. "
            f"Received: input_shape={input_shape}"
        )
    if classes < 2:
        raise ValueError(f"classes must be 2 or more. Received: classes={classes}")
    if isinstance(spec, BaselineSpec):
        return baseline(spec, input_shape, classes, seed)
    name = f"{'plain' if plain else 'residual'}_{arch}"
    if isinstance(spec, SmallSpec):
        return SmallNet(spec, plain=plain, seed=seed).model(input_shape, classes, name)
    net = ResNet(
        spec,
        plain=plain,
        shortcut=spec.default_shortcut if shortcut == "auto" else shortcut,
        preact=preact,
        stride_on=stride_on,
        seed=seed,
    )
    return net.model(input_shape, classes, name)

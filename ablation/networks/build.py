"""Builds a network from its name and the levels of its parts."""

import importlib
from typing import Any

import keras

from ablation import source
from ablation.config import UserError
from ablation.networks import registry
from ablation.networks.own import RefusedError, own


def build(
    arch: str,
    input_shape: tuple[int, ...],
    classes: int,
    /,
    *,
    seed: int = 0,
    vocabulary: int | None = None,
    **parts: Any,
) -> keras.Model:
    """Builds a network that puts out logits.

    Args:
        arch: a key of `registry.ARCHS`, such as "34", or a network of the user's own, such as
            "my_nets.py:build".
        input_shape: of one input; of an image height, width and channels, in pixels.
        classes: number of outputs, 1 or more: logits of classes, or values.
        seed: of the initial weights, 0 or more.
        vocabulary: how many tokens there are, where inputs are tokens.
        **parts: levels of its parts; the others have their defaults. See `registry.Network`.

    Returns:
        A model from inputs (batch, *input_shape), float or int32 tokens, to float32 logits.

    Raises:
        ValueError: an argument is not allowed.
        RefusedError, UserError: what the user's own network raises, see `own`.

    Example:
        >>> build("20", (32, 32, 3), 10).count_params()
        271098
    """
    try:
        network = registry.find(arch)
        levels = network.settled(parts)
    except UserError as error:
        raise ValueError(f"{error} Received: {arch=}, {parts=}") from None
    smallest = network.image_size(levels)
    if len(input_shape) == 3 and min(input_shape[:2]) < smallest:
        raise ValueError(
            f"arch={arch} needs images of {smallest} pixels or more. "
            f"Received: input_shape={input_shape}"
        )
    try:
        network.check_input(input_shape, vocabulary, levels)
    except UserError as error:
        raise ValueError(f"{error} Received: {input_shape=}, {vocabulary=}") from None
    if classes < 1:
        raise ValueError(f"classes must be 1 or more. Received: classes={classes}")
    if not network.is_named:
        return own(network, input_shape, classes, seed, levels, vocabulary)
    module = importlib.import_module(f"{__package__}.{network.path.stem}")
    function = getattr(module, network.function)
    try:
        return function(input_shape, classes, name=arch, seed=seed, **network.bound, **levels)
    except ValueError as error:
        if source.is_raised_in(error, [network.path]):
            raise RefusedError(str(error)) from None
        raise

"""TrivialAugment: one random operation of random strength on each image.

Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", arXiv
2103.10158, §3 and the wide ranges of Table 7. The operations are Pillow's, as in the paper's code.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

_STRENGTHS = 31
_SHEAR, _ROTATE, _TRANSLATE, _ENHANCE = 0.99, 135.0, 32, 0.99  # Factor, degrees, pixels, factor.
_LEAST_BITS = 2


def augmented(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns images of which each went through one of `OPERATIONS`.

    Of images that are neither grey nor RGB each channel goes through it alone.

    Args:
        pixels: uint8 (images, height, width, channels), or float, which is rounded.
        rng: draws operation, strength and sign of each image, whatever is in it.
    """
    pixels = np.rint(pixels).astype(np.uint8)
    count = len(pixels)
    chosen = rng.integers(0, len(OPERATIONS), count)
    strengths = rng.integers(0, _STRENGTHS, count) / (_STRENGTHS - 1)
    signs = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    operations = list(OPERATIONS.values())
    for i, image in enumerate(pixels):
        pixels[i] = _on(image, operations[chosen[i]], strengths[i], signs[i])
    return pixels


Operation = Callable[[Image.Image, float, float], Image.Image]
"""An image, a strength from 0 to 1 and a sign."""


def _on(image: np.ndarray, operation: Operation, strength: float, sign: float) -> np.ndarray:
    if image.shape[-1] == 3:
        return np.asarray(operation(Image.fromarray(image), strength, sign))
    channels = [Image.fromarray(image[..., c]) for c in range(image.shape[-1])]
    return np.stack([np.asarray(operation(one, strength, sign)) for one in channels], axis=-1)


def _affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def _moved(image: Image.Image, strength: float, axis: int) -> float:
    """Returns by how many pixels an image moves: up to 32, but not out of what it is."""
    return int(strength * min(_TRANSLATE, image.size[axis]))


def _enhanced(kind: type) -> Operation:
    return lambda image, strength, sign: kind(image).enhance(1 + sign * strength * _ENHANCE)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, strength, sign: image,
    "autocontrast": lambda image, strength, sign: ImageOps.autocontrast(image),
    "equalize": lambda image, strength, sign: ImageOps.equalize(image),
    "rotate": lambda image, strength, sign: image.rotate(sign * strength * _ROTATE),
    "solarize": lambda image, strength, sign: ImageOps.solarize(
        image, threshold=round(256 * (1 - strength))
    ),
    "color": _enhanced(ImageEnhance.Color),
    "posterize": lambda image, strength, sign: ImageOps.posterize(
        image, 8 - round(strength * (8 - _LEAST_BITS))
    ),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear_x": lambda image, strength, sign: _affine(
        image, 1, sign * strength * _SHEAR, 0, 0, 1, 0
    ),
    "shear_y": lambda image, strength, sign: _affine(
        image, 1, 0, 0, sign * strength * _SHEAR, 1, 0
    ),
    "translate_x": lambda image, strength, sign: _affine(
        image, 1, 0, sign * _moved(image, strength, 0), 0, 1, 0
    ),
    "translate_y": lambda image, strength, sign: _affine(
        image, 1, 0, 0, 0, 1, sign * _moved(image, strength, 1)
    ),
}

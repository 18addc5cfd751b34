"""Images of any size made the size that a network gets, each in one of three ways."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

_BILINEAR = Image.Resampling.BILINEAR

RESIZES: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "stretch": lambda image, size: image.resize(size, _BILINEAR),
    "crop": lambda image, size: ImageOps.fit(image, size, _BILINEAR),
    "pad": lambda image, size: ImageOps.pad(image, size, _BILINEAR),
}
"""By what `dataset.resize` calls it: the aspect ratio is not kept; it is, and what then stands out
of the middle is cut off; it is, and what then is missing around the middle is black."""


def resized(image: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    """Returns an image in another size, bilinear.

    Args:
        image: uint8 (height, width, channels).
        size: height and width of the result, in pixels.
        how: a key of `RESIZES`.

    Returns:
        uint8 (height, width, channels).
    """
    if image.shape[:2] == size:
        return image
    bands = [image] if image.shape[-1] == 3 else list(np.moveaxis(image, -1, 0))
    made = [np.asarray(RESIZES[how](Image.fromarray(band), size[::-1])) for band in bands]
    return made[0] if image.shape[-1] == 3 else np.stack(made, axis=-1)

"""Arrays of deep integers or of floats as 8-bit images."""

from collections.abc import Callable

import numpy as np

_ROUNDING = 1e-3


class UnsuitableError(Exception):
    """A set that classifies no images, or does not say what they are; the message says why."""


def to_8_bits(dtype: np.dtype, least: float, greatest: float) -> Callable[[np.ndarray], np.ndarray]:
    """Returns how the pixels of a set of deep or of float images become 8 bits.

    One rule for the whole set, so that a dark image stays dark. Integers lose their lowest bits,
    as many as the greatest pixel has above 8. Floats are from 0 to 1 or from 0 to 255; a set
    whose greatest pixel is between is neither, and to guess would make it black.

    Args:
        dtype: of the pixels.
        least: the least pixel of the set.
        greatest: the greatest one.

    Raises:
        UnsuitableError: floats of another range.
    """
    if np.issubdtype(dtype, np.integer):
        surplus = max(0, int(greatest).bit_length() - 8)
        return lambda pixels: (pixels >> surplus).astype(np.uint8)
    if least >= -_ROUNDING and greatest <= 1 + _ROUNDING:
        factor = 255
    elif least >= 0 and 128 <= greatest <= 255:
        factor = 1
    else:
        raise UnsuitableError(
            f"its images are floats from {least:g} to {greatest:g}; "
            "only 0 to 1 and 0 to 255 can be told to be pixels"
        )
    return lambda pixels: np.rint(np.clip(pixels * factor, 0, 255)).astype(np.uint8)

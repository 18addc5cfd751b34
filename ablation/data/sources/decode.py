"""From an image file to pixels: 8 bits, grey or RGB."""

import io
from pathlib import Path

import numpy as np

from ablation.config import first_line
from ablation.data.sources.common import Example


class BrokenImageError(Exception):
    """An image that cannot be decoded; the message says why."""


def example(name: str, file: Path | io.BytesIO, label: int, channels: int) -> Example:
    """Returns a decoded image, or one without pixels and with the reason.

    Args:
        name: what to call it in a message.
        file: the encoded image.
        label: index of its class.
        channels: 1 for grey, 3 for RGB.
    """
    try:
        return Example(name, decode(file, channels), label)
    except BrokenImageError as error:
        return Example(name, None, label, str(error))


def decode(file: Path | io.BytesIO, channels: int) -> np.ndarray:
    """Returns an 8-bit image, grey or RGB, with transparency over white.

    Raises:
        BrokenImageError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as stored:
            image: Image.Image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, not scale them.
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise BrokenImageError(f"{image.mode} pixels, whose range is unknown")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
            return pixels.reshape(*pixels.shape[:2], channels)
    except (BrokenImageError, MemoryError):
        raise
    except Exception as error:  # Malformed files bring Pillow to raise nearly anything.
        raise BrokenImageError(first_line(error)) from None

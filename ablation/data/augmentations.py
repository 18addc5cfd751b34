"""What `dataset.augment` may name: one function and one line of `AUGMENTATIONS` for each.

What else a recipe does to a batch is in `augment`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Drawn:
    """What chance has drawn for the images of a batch.

    Order, flips and shifts are drawn whatever the augmentation, so that runs with different ones
    still see the same images in the same order.

    Attributes:
        flips: bool (batch,), whether to turn each image left-right.
        shifts: int (batch, 2), from 0 to twice the padding, in height and width.
        pad: int (2,), an eighth of height and of width in pixels, rounded down.
        rng: whatever else is drawn, from a stream of its own for each batch.
    """

    flips: np.ndarray
    shifts: np.ndarray
    pad: np.ndarray
    rng: np.random.Generator


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a batch, (batch, height, width, channels).

    Attributes:
        of_pixels: makes uint8 images of uint8 images, before they are normalised; None for nothing.
        of_images: makes float32 images of normalised ones, which it may change in place; None for
            nothing.
    """

    of_pixels: Callable[[np.ndarray, Drawn], np.ndarray] | None = None
    of_images: Callable[[np.ndarray, Drawn], np.ndarray] | None = None


def flip(images: np.ndarray, drawn: Drawn) -> np.ndarray:
    """Turns half of the images left-right."""
    images[drawn.flips] = images[drawn.flips, :, ::-1]
    return images


def crop_flip(images: np.ndarray, drawn: Drawn) -> np.ndarray:
    """Moves the images by up to an eighth of each side, zeros (the mean) behind, and flips them.

    He15 §4.2: of 32 pixels 4.
    """
    pad = drawn.pad
    padded = np.pad(images, ((0, 0), (pad[0], pad[0]), (pad[1], pad[1]), (0, 0)))
    # (images, height shift, width shift, channels, height, width): a view, no copy.
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[1:3], axis=(1, 2))
    cropped = windows[np.arange(len(images)), drawn.shifts[:, 0], drawn.shifts[:, 1]]
    return flip(np.ascontiguousarray(cropped.transpose(0, 2, 3, 1)), drawn)


NONE = Augmentation()

AUGMENTATIONS = {
    "none": NONE,
    "flip": Augmentation(of_images=flip),
    "crop_flip": Augmentation(of_images=crop_flip),
}

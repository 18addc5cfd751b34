"""Images: height, width and 1 to 16 channels, stored as 8 bits."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ablation.config import UserError
from ablation.data.kinds.common import (
    Affine,
    Meta,
    Noun,
    Picture,
    check_numbers,
    check_type,
    shape_of,
)
from ablation.data.pixels import UnsuitableError, to_8_bits
from ablation.data.resize import resized

CHANNELS_AT_MOST = 16
_SMALL_PIXELS = 64
_BLACK, _BRIGHT = 16, 128
"""Of 255: a split without a brighter pixel is black, where the other has bright ones."""

_ROUNDING = 1e-5
"""Of pixels from 0 to 1: a smaller deviation is that of rounded sums, so none."""


def _has_channels_in_front(shape: tuple[int, ...]) -> bool:
    """Returns whether images (images, ...) are channels x height x width, by what is plausible.

    Square ones of a few pixels could have their width for channels, but hardly a height of 1 or 3.
    """
    if len(shape) != 4:
        return False
    first, height, width = shape[1:]
    if width <= CHANNELS_AT_MOST:
        return first in (1, 3) and height == width > first
    return 0 < first <= CHANNELS_AT_MOST and first < height


class Images:
    """See `Kind`."""

    name = "images"
    noun = Noun("image", "images")
    numbers, alike = "pixels from 0 to 255", "pixel by pixel"
    refuses: tuple[str, ...] = ("dataset.vocabulary",)

    def fits(self, array: np.ndarray) -> bool:
        """Of three axes, whole numbers and what has the range of pixels; of four, all."""
        if array.ndim == 3 and array.dtype.kind == "f" and array.size:
            return bool(array.min() >= 0 and array.max() <= 255)
        return array.ndim in (3, 4)

    def read(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """Returns (images, height, width, channels)."""
        check_type(name, array, where)
        if array.ndim == 3:
            array = array[..., np.newaxis]
        in_front = _has_channels_in_front(array.shape)
        fits = array.ndim == 4 and array.shape[-1] <= CHANNELS_AT_MOST and 0 not in array.shape[1:]
        if not fits or in_front:
            hint = ""
            if in_front:
                hint = " Channels come last: np.moveaxis(x, 1, -1)."
            raise UserError(
                f"{where}: {name} must be images x height x width, or with 1 to "
                f"{CHANNELS_AT_MOST} channels behind; it is {shape_of(array)}.{hint}"
            )
        check_numbers(name, array, where, self.noun)
        return array

    def stored(
        self, arrays: Mapping[str, np.ndarray], where: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Returns how the pixels of an image become 8 bits, by the whole set."""
        (first, one), *others = arrays.items()
        for name, other in others:
            if other.shape[-1] != one.shape[-1]:
                raise UserError(
                    f"{where}: {first} has {one.shape[-1]} channels, {name} {other.shape[-1]}."
                )
            if other.dtype != one.dtype:
                raise UserError(
                    f"{where}: the images of one split are {one.dtype}, of the other "
                    f"{other.dtype}; give both the same type."
                )
        if len(one) > 1 and all(np.array_equal(image, one[0]) for image in one):
            raise UserError(
                f"{where}: all images of {first} are one and the same, so there is nothing to "
                "learn; look at how they were read."
            )
        if one.dtype.kind == "b":
            return lambda pixels: pixels.astype(np.uint8) * 255
        spans = {name: (array.min(), array.max()) for name, array in arrays.items()}
        least, greatest = min(low for low, _ in spans.values()), max(h for _, h in spans.values())
        if one.dtype.kind == "i" and least < 0:
            # Three axes of whole numbers are images unless it is said otherwise.
            signals = all(array.shape[-1] == 1 for array in arrays.values())
            hint = " If these are signals, say dataset.kind=signals." if signals else ""
            raise UserError(f"{where}: pixels are 0 or more; the least is {least}.{hint}")
        try:
            convert = to_8_bits(one.dtype, float(least), float(greatest))
        except UnsuitableError as error:
            raise UserError(f"{where}: {error}.") from None
        brightest = [int(convert(high)) for _, high in spans.values()]
        if min(brightest) < _BLACK and max(brightest) >= _BRIGHT:
            said = " and ".join(f"{name} from {a:g} to {b:g}" for name, (a, b) in spans.items())
            raise UserError(
                f"{where}: pixels have one scale in both splits, and here are {said}; divide or "
                "multiply one of them."
            )
        return convert

    def files(self, dataset: Any) -> tuple[Path, ...]:
        """Returns none."""
        return ()

    def shape(self, first: np.ndarray, dataset: Any) -> tuple[int, ...]:
        """Returns the shape of every image: what is asked for, or as the first has it."""
        return *(dataset.size or first.shape[:2]), first.shape[-1]

    def fitted(
        self, name: str, image: np.ndarray, shape: tuple[int, ...], dataset: Any
    ) -> np.ndarray:
        """Returns an image in the size that is asked for.

        Raises:
            UserError: none is asked for, and it has not the size of all others.
        """
        height, width = image.shape[:2]
        if dataset.size is None and (height, width) != shape[:2]:
            raise UserError(
                f"images differ in size: {name} has {height}x{width} pixels, the first has "
                f"{shape[0]}x{shape[1]}; set dataset.image_size=[{shape[0]},{shape[1]}] or another."
            )
        return resized(image, (shape[0], shape[1]), dataset.resize)

    def facts(
        self, train: np.ndarray, val: np.ndarray, dataset: Any, directory: Path
    ) -> dict[str, Any]:
        """Returns the size, each channel's mean and standard deviation, and the brightest pixel.

        Pixels are from 0 to 1 there, and the brightest is of 255. Writes the mean image.
        """
        total = np.zeros(train.shape[1:], np.float64)
        squares = np.zeros(train.shape[1:], np.float64)
        for start in range(0, len(train), 256):
            batch = train[start : start + 256].astype(np.float64) / 255
            total += batch.sum(axis=0)
            squares += np.square(batch).sum(axis=0)
        mean_image = total / len(train)
        np.save(directory / "mean_image.npy", mean_image.astype(np.float32))
        mean = mean_image.mean(axis=(0, 1))
        variance = squares.mean(axis=(0, 1)) / len(train) - np.square(mean)
        height, width, channels = train.shape[1:]
        return {
            "image_size": height if height == width else [height, width],
            "channels": channels,
            "mean": mean.tolist(),
            "std": np.sqrt(np.maximum(variance, 0)).tolist(),
            "brightest": int(max(train.max(), val.max())),
        }

    def affine(self, cache: Any, normalisation: str) -> Affine:
        """Returns the float32 scale and offset that normalise uint8 pixels.

        Args:
            cache: the data set, for its training images' statistics.
            normalisation: "unit" to [0, 1], "signed" to [-1, 1], "standard" to mean 0 and standard
                deviation 1 in each channel, "pixel_mean" to [0, 1] less the mean image (He15 §4.2).

        Raises:
            ValueError: the name is none of these.
        """
        scale: float | np.ndarray
        match normalisation:
            case "unit":
                scale, offset = 1 / 255, np.zeros(1)
            case "signed":
                scale, offset = 2 / 255, -np.ones(1)
            case "standard":
                std = np.array(cache.meta["std"])
                # A channel that never changes has no deviation to divide by.
                std = np.where(std < _ROUNDING, 1 / 255, std)
                scale, offset = 1 / (255 * std), -np.array(cache.meta["mean"]) / std
            case "pixel_mean":
                scale, offset = 1 / 255, -cache.mean_image()
            case _:
                raise ValueError(f"Unknown normalisation. Received: {normalisation}")
        return Affine(np.asarray(scale, np.float32), np.asarray(offset, np.float32))

    def wrong(self, found: np.ndarray, meta: Meta) -> str | None:
        """Pixels are numbers from 0 to 255."""
        if found.dtype.kind not in "uif":
            return f"an array of {found.dtype}"
        # Of a NaN neither is true.
        if not (found.min() >= 0 and found.max() <= 255):
            return f"pixels from {found.min():.4g} to {found.max():.4g}"
        return None

    def picture(self, meta: Meta) -> Picture:
        """Returns the image itself: of two channels the first, of many the first three."""
        count, remark = meta["channels"], ""
        if count not in (1, 3):
            seen = "the first in grey" if count < 3 else "the first three as red, green and blue"
            remark = f"Images have {count} channels; pictures show {seen}."
        return Picture(_draw, remark=remark)


def _draw(axes: Any, image: np.ndarray, left: float, top: float, size: float) -> None:
    """Draws one image in the middle of a square, with its aspect ratio.

    A small one keeps its pixels, a large one is smoothed as it shrinks.
    """
    height, width = (size * side / max(image.shape[:2]) for side in image.shape[:2])
    left, top = left + (size - width) / 2, top + (size - height) / 2
    extent = left, left + width, top + height, top
    interpolation = "nearest" if image.shape[0] <= _SMALL_PIXELS else "antialiased"
    axes.imshow(
        image[..., 0] if image.shape[-1] < 3 else image[..., :3],
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=extent,
        interpolation=interpolation,
        aspect="auto",
    )


KIND = Images()

"""From an image file to pixels: 8 bits, grey or RGB.

What a file's type leaves open is decided so that images of one data set stay comparable:

- Integers of more than 8 bits, grey of 16 or 32 bits and colours of 16, are scaled by their depth:
  the one that the file's type fixes (a TIFF of 9 to 15 bits, PGM and JPEG 2000, which Pillow
  scales to 16), else the one that the caller gives for the whole data set. PNG's sBIT does not
  count, because it tells how many of 16 bits are significant and not where white lies. 32-bit
  integers outside 0 to 65535 are refused.
- Floats must lie between 0 and 1, black and white. Nothing else says what white is.
- Of several frames or pages, the first counts. Transparency is laid over white.
- Malformed EXIF, or any other remark beside sound pixels, does no harm.
"""

import contextlib
import functools
import io
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin, UnidentifiedImageError

from ablation.config import UserError, first_line
from ablation.data.sources.bare import without_remarks
from ablation.data.sources.common import Example

DEPTHS = (8, 10, 12, 14, 16)
"""The bits of a grey level that cameras and scanners store in 16 bits."""

MAYBE_DEEP = {".png", ".apng", ".tif", ".tiff", ".im", ".fit", ".fits"}
"""Suffixes of grey images that may have levels of more than 8 bits without saying how many."""

_LARGE = 2**27  # Pixels; up to here a file may claim what it likes.
_BYTES_OF_GREY = "RGBA"
_PIXELS_A_BYTE = 10_000  # Deflate writes at most 8,256 pixels of one bit into a byte.
_BITS_PER_SAMPLE = 258
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BrokenImageError(Exception):
    """An image that cannot be decoded; the message says why."""


def example(
    name: str, file: Path | io.BytesIO, label: int, channels: int, depth: int = 16
) -> Example:
    """Returns a decoded image, or one without pixels and with the reason.

    Args:
        name: what to call it in a message.
        file: the encoded image.
        label: index of its class.
        channels: 1 for grey, 3 for RGB.
        depth: bits of a grey level in images that have more than 8 and do not say how many.

    Raises:
        UserError: the file cannot be read, or not for now, which says nothing of the image.
    """
    try:
        return Example(name, decode(_content(file), channels, depth), label)
    except BrokenImageError as error:
        return Example(name, None, label, str(error))
    except MemoryError:
        raise UserError(
            f"{name} does not fit into the memory that is free; make it smaller, or move it out of "
            "the data set."
        ) from None


def decode(file: io.BytesIO, channels: int, depth: int = 16) -> np.ndarray:
    """Returns an 8-bit image, grey or RGB, with transparency over white.

    Args:
        file: the encoded image.
        channels: 1 for grey, 3 for RGB.
        depth: see `example`.

    Raises:
        BrokenImageError: it cannot be decoded.
    """
    try:
        return _decode(file, channels, depth)
    except BrokenImageError:
        bare = without_remarks(file.getvalue())
        if bare == file.getvalue():
            raise
        with contextlib.suppress(BrokenImageError):
            return _decode(io.BytesIO(bare), channels, depth)
        raise


def _decode(file: io.BytesIO, channels: int, depth: int) -> np.ndarray:
    try:
        with _opened(file) as stored:
            depth = _named_depth(stored) or depth
            other = _other_byte(stored)
            stored.load()
            image: Image.Image = stored
            if image.mode == "F":
                image = _from_floats(image)
            elif _is_deep(image):
                image = _from_integers(np.asarray(image), depth, stored.info.get("transparency"))
            elif other and depth < DEPTHS[-1]:
                image = _from_bytes(image, file, other, depth)
            image = _turned(image, stored)
            if image.mode == "LAB":
                image = _from_lab(image)
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            mode = "L" if channels == 1 else "RGB"
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
            return pixels.reshape(*pixels.shape[:2], channels)
    except (BrokenImageError, MemoryError):
        raise
    except Exception as error:  # Malformed files bring Pillow to raise nearly anything.
        raise BrokenImageError(_reason(error)) from None


def deepest(files: Iterable[Path | io.BytesIO]) -> int:
    """Returns how many bits a grey level takes in the deep images of a data set; see `depth_of`.

    As many as the brightest of all its images needs, so that they keep their differences.
    """
    found = 0
    for file in files:
        found = max(found, depth_of(file))
        if found == DEPTHS[-1]:
            break
    return found or DEPTHS[-1]


def depth_of(file: Path | io.BytesIO) -> int:
    """Returns how many bits an image's levels take that may have more than 8 and does not say.

    Returns:
        The smallest of `DEPTHS` that holds its brightest level; 0 for an image of another kind
        or a broken one.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with _opened(_content(file)) as image:
            if _named_depth(image):
                return 0
            if _other_byte(image):  # Of which the upper one is there, and tells enough.
                return depth_for(int(np.asarray(image)[..., :3].max()) << 8 | 255)
            level = int(np.asarray(image).max()) if _is_deep(image) else 2**16
            return depth_for(level) if level < 2**16 else 0
    except UserError:
        raise
    except Exception:
        return 0


def depth_for(level: int) -> int:
    """Returns the smallest of `DEPTHS` that holds a grey level below 65,536."""
    return next(bits for bits in DEPTHS if level < 2**bits)


@functools.cache
def suffixes() -> frozenset[str]:
    """Returns the suffixes of the image files that are read, in lower case, with their dot."""
    known = set(_formats()) | {"MPO"}  # Several JPEGs in one file, which are opened as JPEG.
    return frozenset(
        suffix for suffix, name in Image.registered_extensions().items() if name in known
    )


@functools.cache
def _formats() -> list[str]:
    """Returns the formats of Pillow that end in pixels.

    Stubs only recognise a format, as MPEG does; EPS is a program, for Ghostscript.
    """
    Image.preinit()  # In the order in which Pillow itself tries them.
    Image.init()
    stubs = {
        name
        for name in Image.ID
        if isinstance(factory := Image.OPEN[name][0], type)
        and issubclass(factory, ImageFile.StubImageFile)
    }
    return [name for name in Image.ID if name not in stubs | {"EPS", "MPEG"}]


def _content(file: Path | io.BytesIO) -> io.BytesIO:
    """Returns what is in a file, so that Pillow's errors are all of damage, not of reading."""
    if not isinstance(file, Path):
        return file
    try:
        return io.BytesIO(file.read_bytes())
    except OSError as error:
        raise unreadable(file, error) from None


def unreadable(path: Path, error: OSError) -> UserError:
    """Returns what to say of a file or folder that cannot be read, for a reason that may pass."""
    return UserError(
        f"{str(path)!r} cannot be read ({error.strerror or first_line(error)}), so nothing was "
        "prepared; make it readable, or move it out of the data set, and give the command again."
    )


def _opened(file: io.BytesIO) -> ImageFile.ImageFile:
    """Returns an image whose header was read; raises BrokenImageError if its size cannot be."""
    # These guard servers against strangers. Here it is the user's own file.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**30
    image = Image.open(file, formats=_formats())
    pixels, size = image.width * image.height, file.getbuffer().nbytes
    if pixels > max(_LARGE, size * _PIXELS_A_BYTE):
        raise BrokenImageError("damaged: larger than so few bytes can hold")
    return image


def _turned(image: Image.Image, stored: Image.Image) -> Image.Image:
    """Returns an image as the EXIF of the stored one says that it is to be seen."""
    try:
        turn = _TURNS.get(stored.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Malformed, and beside the pixels.
        turn = None
    return image if turn is None else image.transpose(turn)


def _is_deep(image: Image.Image) -> bool:
    """Whether an image is grey with integers of more than 8 bits."""
    return image.mode == "I" or image.mode.startswith("I;")


def _named_depth(image: Image.Image) -> int | None:
    """Returns the bits of a grey level as the file names them, None if it does not."""
    if image.format in ("PPM", "JPEG2000"):  # Pillow scales their levels to 16 bits.
        return 16
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    if isinstance(bits, tuple) and bits and 8 < bits[0] < 16:
        return int(bits[0])
    return None


def _from_integers(levels: np.ndarray, depth: int, clear: object = None) -> Image.Image:
    """Returns 8-bit levels of integers, of which one may be transparent, over white."""
    levels = levels.astype(np.int64)
    if levels.min() < 0 or levels.max() >= 2**16:
        raise BrokenImageError("32-bit integers outside 0 to 65535, whose white is unknown")
    # A brighter level than the file admits is white.
    shown = np.minimum(levels >> (depth - 8), 255)
    if isinstance(clear, int):
        shown[levels == clear] = 255
    return Image.fromarray(shown.astype(np.uint8))


def _other_byte(image: ImageFile.ImageFile) -> str | None:
    """Returns how to read the lower byte of 16-bit colours, of which Pillow keeps the upper one.

    Returns:
        Pillow's name of the same layout in the other byte order, of grey levels with opacity one
        that takes each of their bytes for a colour; None where colours have 8 bits.
    """
    arguments = image.tile[0][3] if image.tile else ""
    layout = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    name, _, order = str(layout).partition(";16")
    if name == "LA" and order == "B":
        return _BYTES_OF_GREY
    orders = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    return f"{name};16{orders[order]}" if name in ("RGB", "RGBA") and order in orders else None


def _from_bytes(image: Image.Image, file: io.BytesIO, other: str, depth: int) -> Image.Image:
    """Returns an image of 16-bit colours by its depth; opacity always has all 16 bits."""
    with _opened(file) as lower:
        for i, (codec, box, offset, arguments) in enumerate(lower.tile):
            layout = (other, *arguments[1:]) if isinstance(arguments, tuple) else other
            lower.tile[i] = ImageFile._Tile(codec, box, offset, layout)
        lower.load()
        upper, bytes_below = np.asarray(image), np.asarray(lower)
    if other == _BYTES_OF_GREY:
        upper, bytes_below = bytes_below[..., [0, 0, 0]], bytes_below[..., [1, 1, 1]]
    levels = upper.astype(np.uint16) << 8 | bytes_below
    pixels = np.array(image)
    pixels[..., :3] = np.asarray(_from_integers(levels[..., :3], depth))
    return Image.fromarray(pixels)


def _from_floats(image: Image.Image) -> Image.Image:
    levels = np.asarray(image)
    if not (levels.min() >= 0 and levels.max() <= 1):  # Nor NaN.
        raise BrokenImageError("floats outside 0 to 1, whose white is unknown")
    return Image.fromarray(np.rint(levels * 255).astype(np.uint8))


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    assert converted is not None  # It is only where it was asked to convert in place.
    return converted


def _reason(error: Exception) -> str:
    """Returns why an image is broken, the same words for all that are broken alike."""
    text = first_line(error).split(" (")[0]  # In brackets stands what only this one has.
    if isinstance(error, UnidentifiedImageError):
        return "damaged, or no image"
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return "damaged: cut off"
    return f"damaged: {text}"

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.sources import decode
from ablation.data.sources.decode import BrokenImageError
from sources_support import RED, WHITE, config, examples, no_progress, save

NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def encoded(pixels, kind, **options):
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content, channels=3, depth=16):
    return decode.decode(io.BytesIO(content), channels, depth)


# What stands beside the pixels

MALFORMED = [
    b"Exif\0\0garbage",
    b"Exif\0\0II*\0",
    b"Exif\0\0M\xff\0*\0\0\0\x08\0\0",
    # A tag of 65,535 values in a file of 16; a turn that is text, or out of range.
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
]


@pytest.mark.parametrize("exif", MALFORMED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_takes_nothing_from_sound_pixels(kind, exif):
    sound = decoded(encoded(NOISE, kind))
    assert (decoded(encoded(NOISE, kind, exif=exif)) == sound).all()


TURNED = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"
"""An orientation of 3, upside down."""


@pytest.mark.parametrize(
    "segment", [b"MPF\0garbage", b"MPF\0II*\0\x08\0\0\0\x03\0", b"ICC_PROFILE\0", b""]
)
@pytest.mark.parametrize("marker", [b"\xff\xe2", b"\xff\xed", b"\xff\xfe"])
def test_malformed_segments_take_nothing_from_sound_pixels(marker, segment):
    jpeg = encoded(NOISE, "JPEG", exif=TURNED)
    added = marker + struct.pack(">H", 2 + len(segment)) + segment
    found = decoded(jpeg[:2] + added + jpeg[2:])
    assert (found == decoded(encoded(NOISE, "JPEG"))[::-1, ::-1]).all()


@pytest.mark.parametrize("name", [b"pHYs", b"iCCP", b"eXIf"])
def test_a_wrong_checksum_of_a_remark_takes_nothing_from_sound_pixels(name):
    options = {"dpi": (72, 72), "icc_profile": b"profile", "exif": TURNED}
    png = encoded(NOISE, "PNG", **options)
    place = png.index(name) + 5
    damaged = png[:place] + bytes([png[place] ^ 255]) + png[place + 1 :]
    seen = NOISE if name == b"eXIf" else NOISE[::-1, ::-1]
    assert (decoded(damaged) == seen).all()
    assert (decoded(png) == NOISE[::-1, ::-1]).all()


def test_a_wrong_checksum_of_pixels_is_damage():
    png = encoded(NOISE, "PNG", dpi=(72, 72))
    place = png.index(b"IDAT") + 50
    with pytest.raises(BrokenImageError, match="damaged"):
        decoded(png[:place] + bytes([png[place] ^ 255]) + png[place + 1 :])


def test_a_long_text_takes_nothing_from_sound_pixels():
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 5_000_000, zip=True)
    assert (decoded(encoded(NOISE, "PNG", pnginfo=text)) == NOISE).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photograph_is_turned_as_its_exif_says_whatever_its_kind(turn):
    # EXIF numbers the corner that is first in the file: 1 top left, clockwise 2, 3, 4; 5 to 8 as
    # these with rows and columns exchanged.
    seen = NOISE
    stored = {1: seen, 2: seen[:, ::-1], 3: seen[::-1, ::-1], 4: seen[::-1]}.get(turn)
    if stored is None:
        flipped = {5: seen, 6: seen[:, ::-1], 7: seen[::-1, ::-1], 8: seen[::-1]}[turn]
        stored = flipped.transpose(1, 0, 2)
    exif = Image.Exif()
    exif[0x0112] = turn
    assert (decoded(encoded(np.ascontiguousarray(stored), "PNG", exif=exif)) == seen).all()


# Kinds of pixels


def test_an_image_larger_than_pillow_allows_is_decoded():
    # 180 million pixels: above the size at which Pillow raises an error.
    large = Image.new("1", (18_000, 10_000))
    large.putpixel((0, 0), 1)
    pixels = decoded(encoded(large, "PNG"), channels=1)
    assert pixels.shape == (10_000, 18_000, 1)
    assert (pixels[0, 0, 0], pixels[0, 1, 0], pixels[-1, -1, 0]) == (255, 0, 0)


def test_a_header_that_claims_what_its_bytes_cannot_hold_is_damage():
    bmp = bytearray(encoded(NOISE, "BMP"))
    bmp[20] = 0xFF  # 16 million columns.
    with pytest.raises(BrokenImageError, match="larger than so few bytes can hold"):
        decoded(bytes(bmp))


def tiff(levels):
    return encoded(Image.fromarray(levels), "TIFF")


def test_floats_from_0_to_1_are_black_to_white():
    levels = np.array([[0, 0.25], [0.5, 1]], np.float32)
    assert decoded(tiff(levels), 1)[..., 0].tolist() == [[0, 64], [128, 255]]
    assert decoded(tiff(levels))[1, 1].tolist() == list(WHITE)


@pytest.mark.parametrize("level", [255.0, 1.01, -0.01, np.nan, np.inf])
def test_floats_of_another_range_are_left_out_with_that_reason(level):
    with pytest.raises(BrokenImageError, match="floats outside 0 to 1"):
        decoded(tiff(np.array([[0, level]], np.float32)))


def test_16_bits_in_32_are_scaled_as_16():
    levels = np.array([[0, 0x0100], [0x80FF, 0xFFFF]], np.int32)
    assert decoded(tiff(levels), 1)[..., 0].tolist() == [[0, 1], [0x80, 0xFF]]


@pytest.mark.parametrize("level", [-1, 2**16, 2**31 - 1])
def test_32_bit_integers_of_another_range_are_left_out_with_that_reason(level):
    with pytest.raises(BrokenImageError, match="32-bit integers outside 0 to 65535"):
        decoded(tiff(np.array([[0, level]], np.int32)))


@pytest.mark.parametrize(
    ("mode", "color", "kind", "rgb"),
    [
        ("1", 1, "TIFF", WHITE),
        ("LA", (0, 128), "TIFF", (127, 127, 127)),
        ("YCbCr", (76, 85, 255), "TIFF", RED),
        # sRGB's red is L 54 of 100, a 81, b 70; 8 bits hold L x 2.55, a and b + 128.
        ("LAB", (138, 209, 198), "TIFF", RED),
        ("RGBX", (1, 2, 3, 0), "TIFF", (1, 2, 3)),
        ("CMYK", (0, 255, 255, 0), "JPEG", RED),
    ],
)
def test_every_mode_becomes_rgb(mode, color, kind, rgb):
    pixels = decoded(encoded(Image.new(mode, (8, 8), color), kind))
    assert pixels[4, 4].tolist() == pytest.approx(rgb, abs=6)


def test_a_palette_with_opacity_lies_over_white():
    image = Image.new("RGBA", (8, 8), (10, 20, 30, 0)).quantize(4).convert("PA")
    assert (decoded(encoded(image, "TIFF")) == WHITE).all()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_frame_counts(kind):
    frames = [Image.new("L", (8, 8), level) for level in (10, 200, 250)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert (decoded(content) == 10).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_a_file_that_was_cut_off_is_left_out_with_a_reason(kind):
    content = encoded(NOISE, kind)
    for keep in (*range(60), len(content) // 2):
        with pytest.raises(BrokenImageError, match=r"damaged"):
            decoded(content[:keep])


def test_a_program_in_the_guise_of_an_image_is_not_run():
    with pytest.raises(BrokenImageError, match="no image"):
        decoded(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")


def test_an_image_for_which_there_is_no_memory_is_an_error_of_one_line(tmp_path, monkeypatch):
    save(tmp_path / "a.png")

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(decode, "_turned", fail)
    with pytest.raises(UserError, match=r"a\.png does not fit into the memory") as error:
        decode.example("a.png", tmp_path / "a.png", 0, 3)
    assert "\n" not in str(error.value)


# Depth


def deep_png(levels):
    """Returns 16-bit colours, (height, width, 2 to 4), as PNG, which Pillow cannot write."""

    def chunk(name, content):
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def grey_png(levels):
    return encoded(levels.astype(np.uint16), "PNG")


LEVELS = np.linspace(0, 1, 256).reshape(16, 16)


def prepared(tmp_path, contents, suffix=".png"):
    """Returns all images of a data set of these files, 256 pixels wide, by name."""
    for label in ("cats", "dogs"):
        for split in sources.SPLITS:
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for name, content in contents.items():
                (folder / f"{name}{suffix}").write_bytes(content)
    dataset = config("folder", path=str(tmp_path / "images"), image_size=16)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.left_out == []
    names = sorted(contents)
    return dict(zip(names, built.images("train")[: len(names)], strict=True))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["grey", "grey with opacity", "colour", "32 bits"])
def test_the_brightest_image_of_the_set_tells_the_depth(kind, bits, tmp_path):
    bright = np.rint(LEVELS * (2**bits - 1)).astype(np.int32)
    write = {
        "grey": grey_png,
        "grey with opacity": lambda levels: deep_png(np.dstack([levels, 65535 + 0 * levels])),
        "colour": lambda levels: deep_png(np.dstack([levels] * 3)),
        "32 bits": tiff,
    }[kind]
    # A dark image of the set is not made brighter than it is beside the others.
    contents = {"bright": write(bright), "dark": write(bright // 8)}
    found = prepared(tmp_path, contents, ".tif" if kind == "32 bits" else ".png")
    np.testing.assert_allclose(found["bright"][..., 0], LEVELS * 255, atol=1)
    np.testing.assert_allclose(found["dark"][..., 2], LEVELS * 255 / 8, atol=1)


def test_a_transparent_level_of_deep_grey_is_white():
    levels = np.rint(LEVELS * 4095).astype(np.uint16)
    shown = decoded(encoded(levels, "PNG", transparency=int(levels[3, 4])), 1, 12)[..., 0].copy()
    assert shown[3, 4] == 255
    shown[3, 4] = levels[3, 4] >> 4
    np.testing.assert_array_equal(shown, levels >> 4)


def test_opacity_has_16_bits_whatever_the_colours_have():
    colours = np.dstack([np.rint(LEVELS * 4095)] * 3 + [np.full((16, 16), 65535)])
    np.testing.assert_allclose(decoded(deep_png(colours), 1, 12)[..., 0], LEVELS * 255, atol=1)


def test_levels_that_pgm_and_jpeg_2000_scale_are_not_scaled_again(tmp_path):
    pgm = b"P5 2 1 4095\n" + np.array([0, 4095], ">u2").tobytes()
    assert decoded(pgm, 1, depth=8)[0, :, 0].tolist() == [0, 255]
    deep = np.rint(LEVELS * 65535).astype(np.uint16)
    pixels = decoded(encoded(deep, "JPEG2000"), 1, depth=8)
    np.testing.assert_allclose(pixels[..., 0], LEVELS * 255, atol=1)


def test_8_bits_beside_deep_images_stay_as_they_are(tmp_path):
    grey = np.rint(LEVELS * 255).astype(np.uint8)
    found = prepared(tmp_path, {"8": encoded(grey, "PNG"), "12": grey_png(LEVELS * 4095)})
    assert (found["8"][..., 0] == grey).all()
    np.testing.assert_allclose(found["12"][..., 0], grey, atol=1)


def test_a_broken_image_does_not_tell_the_depth(tmp_path):
    for label in ("cats", "dogs"):
        for split in sources.SPLITS:
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            (folder / "sound.png").write_bytes(grey_png(LEVELS * 4095))
            (folder / "cut.png").write_bytes(grey_png(NOISE[..., 0] * 257.0)[:100])
            (folder / "far.tif").write_bytes(tiff(np.array([[2**20]], np.int32)))
    source = sources.open_source(config("folder", path=str(tmp_path)))
    for row in examples(source, "train"):
        assert (row.image is not None) == row.name.endswith("sound.png")
        assert row.image is None or row.image.max() == 255
        assert bool(row.reason) == (row.image is None)

"""Image files without the remarks beside their pixels, for when a malformed remark hides them.

Pillow gives up a whole file for a colour profile that was cut off or a wrong checksum of a note.
EXIF stays, as it says how to turn the pixels, unless its checksum is wrong.
"""

import zlib
from collections.abc import Iterator

_JPEG = b"\xff\xd8"
_PNG = b"\x89PNG\r\n\x1a\n"


def without_remarks(content: bytes) -> bytes:
    """Returns a JPEG or PNG file with nothing but its pixels and EXIF, other files as they are."""
    if content.startswith(_JPEG):
        return _JPEG + b"".join(_segments(content))
    if content.startswith(_PNG):
        return _PNG + b"".join(_chunks(content))
    return content


def _segments(content: bytes) -> Iterator[bytes]:
    """Yields the segments of a JPEG file that decide its pixels, and its EXIF."""
    start = len(_JPEG)
    while content[start : start + 1] == b"\xff":
        marker = int.from_bytes(content[start + 1 : start + 2])
        if marker == 0xDA:  # The pixels, up to the end.
            yield content[start:]
            return
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4])
        # Applications use 0xE1 to 0xEF as they like; in 0xEE Adobe says how colours are stored.
        is_remark = marker == 0xFE or (0xE1 <= marker <= 0xEF and marker != 0xEE)
        if not is_remark or content[start + 4 : start + 10] == b"Exif\0\0":
            yield content[start:end]
        start = end


def _chunks(content: bytes) -> Iterator[bytes]:
    """Yields the chunks of a PNG file that decide its pixels, and its EXIF."""
    start = len(_PNG)
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4])
        name, chunk = content[start + 4 : start + 8], content[start:end]
        is_sound = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        # A name in capitals is of a chunk that cannot be done without; its errors are damage.
        if name[:1].isupper() or (name in (b"tRNS", b"eXIf") and is_sound):
            yield chunk
        start = end

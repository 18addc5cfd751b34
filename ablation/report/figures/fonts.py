"""The text of figures: as it is where a font of the machine can draw it, else spelled out.

Right-to-left text is up to Matplotlib, which orders and joins it from 3.11 on, and before puts its
characters one after another.
"""

import contextlib
import functools
import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from rich.cells import cell_len

from ablation.text import readable, spelled_out

_PARTS = re.compile(r"\\(?:x..|u.{4}|U.{8}|[nrt])|.")
"""Characters, and what is spelled out already, of which no half may be left."""

_LAST_RESORT = "lastresort"
"""Fonts with a box for every character, which would hide that there is no glyph."""


@dataclass(frozen=True)
class _Font:
    """A font's file, what it is, and which of the characters asked for it has."""

    path: str
    family: str
    regular: bool
    has: frozenset[str]


_NOTHING = _Font("", "", False, frozenset())


@contextlib.contextmanager
def drawing(names: Iterable[str]) -> Iterator[None]:
    """Sets Matplotlib up for figures that show some names; `drawn` then leaves most as they are.

    Args:
        names: the texts that are no part of the program.
    """
    # A matplotlibrc of the user's, which may lie in the working folder, changes no report, and a
    # `$` in a name begins no formula.
    with _quiet(), matplotlib.rc_context(_settings()):
        characters = set(unicodedata.normalize("NFC", "".join(map(readable, names))))
        missing = {one for one in characters if ord(one) not in _glyphs()}
        if missing:
            families = matplotlib.rcParams["font.family"]
            matplotlib.rcParams["font.family"] = [*families, *_families_with(missing)]
        yield


def _settings() -> Any:
    """Returns Matplotlib's own settings, without formulas in text."""
    settings = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(("backend", "interactive"))
    }
    return settings | {"text.parse_math": False, "text.usetex": False}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself that a font has no bold face, or that one of a user's settings is missing."""
    logger = logging.getLogger(font_manager.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def drawn(name: str, longest: int | None = None) -> str:
    """Returns a name as a figure can show it.

    Args:
        name: any text.
        longest: how many characters there is room for, None for any number. A longer name is
            shortened in its middle, because names often begin alike and end in a number.
    """
    known = _glyphs()
    # Composed, since Matplotlib sets an accent of its own beside its letter.
    text = unicodedata.normalize("NFC", readable(name))
    parts = [
        one if len(one) > 1 or ord(one) in known else spelled_out(one)
        for one in _PARTS.findall(text)
    ]
    if longest is None or sum(map(cell_len, parts)) <= longest:
        return "".join(parts)
    tail = _fitting(reversed(parts), longest // 2)[::-1]
    head = _fitting(parts, longest - 1 - longest // 2)
    return "".join([*head, "…", *tail])


def _fitting(parts: Iterable[str], room: int) -> list[str]:
    """Returns the first parts, of so many that they fit into the room."""
    found = []
    for part in parts:
        room -= cell_len(part)
        if room < 0:
            break
        found.append(part)
    return found


def _glyphs() -> frozenset[int]:
    """Returns the code points that the fonts of `font.family` can draw, in bold too."""
    families = matplotlib.rcParams["font.family"]
    weights = [
        tuple(
            font_manager.findfont(FontProperties(family=[family], weight=weight))
            for family in families
        )
        for weight in ("normal", "bold")
    ]
    return _covered(weights[0]) & _covered(weights[1])


@functools.cache
def _covered(paths: tuple[str, ...]) -> frozenset[int]:
    return frozenset().union(*(font_manager.get_font(path).get_charmap() for path in paths))


def _families_with(missing: set[str]) -> list[str]:
    """Returns the fewest families of the machine's fonts that together draw what they can of it.

    Every font is opened, which takes seconds where there are many, so only for what is missing.
    """
    found = [_looked_at(path, missing) for path in sorted(font_manager.findSystemFonts())]
    families: list[str] = []
    while missing:
        # Of equals an upright one of regular weight.
        best = max(found, key=lambda one: (len(one.has & missing), one.regular), default=_NOTHING)
        if not best.has & missing:
            break
        missing = missing - best.has
        font_manager.fontManager.addfont(best.path)
        families.append(best.family)
    return list(dict.fromkeys(families))


def _looked_at(path: str, characters: set[str]) -> _Font:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # A damaged file, or no font that can be scaled.
        return _NOTHING
    if not font.scalable or _LAST_RESORT in font.family_name.lower().replace(" ", ""):
        return _NOTHING
    has = frozenset(one for one in characters if _has(font, one))
    return _Font(path, font.family_name, not font.style_flags, has)


def _has(font: FT2Font, character: str) -> bool:
    """Returns whether a font draws a character; one of coloured emoji has empty outlines."""
    index = font.get_char_index(ord(character))
    if not index:
        return False
    font.set_size(12, 72)
    glyph = font.load_char(ord(character))
    return character.isspace() or glyph.width > 0

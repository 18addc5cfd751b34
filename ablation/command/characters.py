"""Characters of a command that nobody sees and nobody means."""

import shlex
import unicodedata
from collections.abc import Sequence

from ablation import keys
from ablation.command.grammar import QUOTED
from ablation.config import UserError

_COMMON = {
    "\t": "TAB",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\ufeff": "BYTE ORDER MARK",
}
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs by their category, of which nothing is seen."""


def check_characters(words: Sequence[str]) -> None:
    """Raises UserError if a word holds a character that cannot be seen or is no text.

    What stands in Hydra's quotes is meant.
    """
    for word in words:
        value = word.partition("=")[2]
        if QUOTED.fullmatch(value):
            continue
        found = [place for place in range(len(word)) if _is_invisible(word, place)]
        if found:
            raise UserError(_invisible(word, found))


def _is_invisible(word: str, place: int) -> bool:
    character = word[place]
    if character in "\u200c\u200d" and 0 < place < len(word) - 1:
        # Within an emoji or a word of some scripts these two decide what is seen.
        return word[place - 1].isascii() or word[place + 1].isascii()
    category = unicodedata.category(character)
    return character in _BLANK_LETTERS or (
        category in ("Cc", "Cf", "Zl", "Zp", "Zs") and character != " "
    )


def _invisible(word: str, places: Sequence[int]) -> str:
    first = word[places[0]]
    code = f"U+{ord(first):04X}"
    name = _COMMON.get(first) or unicodedata.name(first, "control character")
    shown = "".join(
        f"<U+{ord(one):04X}>" if place in places else one for place, one in enumerate(word)
    )
    clean = "".join(
        (" " if unicodedata.category(one) == "Zs" or one == "\t" else "")
        if place in places
        else one
        for place, one in enumerate(word)
    ).strip()
    where = "at its end" if places[0] == len(word) - 1 else f"at character {places[0] + 1}"
    key = word.partition("=")[0]
    meant = (
        f" If it is meant, put the value in quotes: {key}='\"...\"'."
        if key in keys.text_keys()
        else ""
    )
    return (
        f"{shown} holds an invisible character, {name} ({code}), {where}; "
        f"type {shlex.quote(clean)}.{meant}"
    )

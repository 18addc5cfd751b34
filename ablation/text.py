r"""Names as a person can read them: what cannot be seen or written is spelled out.

A name (of a class, a data set, a level, a folder, a file) may hold any character. Every writer
shows it as it is, but for what nobody could see or what its form cannot hold: that is spelled as
Python spells it, `\n`, `\x1b`, `\u202e`, and a byte of a file name that is no UTF-8 as `\xff`.
"""

import codecs
import difflib
import re
from collections.abc import Callable, Iterable, Sequence

READABLE = "ablation.readable"
"""What `str.encode` and a stream take as `errors`: characters they cannot hold are spelled out."""

_UNSEEN = re.compile(
    # Control characters, line separators, what turns the direction of the text around it,
    # blanks without width, surrogates. Joiners stay: emoji and several scripts need them.
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\xad\u200b\u2060\ufeff\ud800-\udfff]"
)
_EDGES = re.compile(r"^\s+|\s+$")
NAMED_AT_MOST = 20
"""Names in a line."""
_FILE_NAME_BYTES = 200
"""At most, of a file name's 255, since prefixes, endings and temporary names come on top."""


def spelled_out(text: str) -> str:
    r"""Returns a text with each of its characters spelled out, such as `\u4e2d`."""
    return "".join(map(_spelled, text))


def _spelled(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # How Python holds a byte of a file name that is no UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    return "\\x20" if character == " " else character.encode("unicode_escape").decode()


def utf8(text: str) -> str:
    """Returns a text that UTF-8 can hold, for what takes no other, such as a data frame."""
    return text.encode(errors=READABLE).decode()


def visible(text: str) -> str:
    """Returns a text in one line in which everything can be seen and written as UTF-8."""
    return _UNSEEN.sub(lambda found: spelled_out(found[0]), text)


def readable(name: str) -> str:
    """Returns a name in which everything can be seen, blanks at its ends too."""
    return _EDGES.sub(lambda found: spelled_out(found[0]), visible(name))


def named(names: Sequence[str], count: int, at_most: int = NAMED_AT_MOST) -> str:
    """Returns names in one line: the first ones, and how many more there are.

    Args:
        names: the first ones, or all.
        count: how many there are in all.
        at_most: how many to name.
    """
    shown = [readable(name) for name in names[:at_most]]
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def file_name(name: str) -> str:
    """Returns a part of a file's name that recalls a name: letters, digits, dots and `_`.

    Two names may give one; whoever needs them distinct adds what makes them so.
    """
    return beginning(re.sub(r"[^\w.]+", "_", name)) or "_"


def beginning(name: str) -> str:
    """Returns as much of a name as a file's name has room for, often all of it."""
    encoded = name.encode(errors="surrogatepass")
    if len(encoded) <= _FILE_NAME_BYTES:
        return name
    return encoded[:_FILE_NAME_BYTES].decode(errors="ignore")


def did_you_mean(
    word: str, allowed: Iterable[str], typed: Callable[[str], str] = str, most: int = 1
) -> str:
    """Returns a question for an error, after a blank; "" if the word is like none that is allowed.

    Args:
        word: what is not allowed.
        allowed: what is. Its capitals do not count here.
        typed: gives what to type for one of them.
        most: how many may have been meant.
    """
    names = {name.lower(): name for name in allowed}
    close = difflib.get_close_matches(word.lower(), names, n=most + 2, cutoff=0.7)
    # Two letters swapped is likelier than one forgotten, which is less of a change.
    close.sort(key=lambda name: sorted(name) != sorted(word.lower()))
    meant = " or ".join(typed(names[name]) for name in close[:most])
    return f" Did you mean {meant}?" if meant else ""


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled_out(error.object[error.start : error.end]), error.end


codecs.register_error(READABLE, _spell_out)

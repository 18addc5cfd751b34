"""How Hydra's grammar writes a value, and what of it a command may hold."""

import random
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

from ablation import keys
from ablation.config import UserError

WORD = re.compile(r"(\+{0,2})([A-Za-z_$][\w.$@/-]*)=(.*)", re.DOTALL)
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ELEMENT = re.compile(rf"\s*({QUOTED.pattern})\s*(?=,|$)|([^,]*)", re.DOTALL)
_FUNCTION = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\s*\((.*)\)", re.DOTALL)
_BRACKETS = {")": "(", "]": "[", "}": "{"}
TUNE = "tune."
REFERENCE = "design.reference."


def text_given(word: str) -> str | None:
    """Returns the text that a word of the form key=value gives its key."""
    key, _, value = word.partition("=")
    if QUOTED.fullmatch(value):
        return str(OverridesParser.create().parse_override(word).value())
    return None if value == "null" and keys.text_keys().get(key, True) else value


def quoted(key: str, value: str) -> str:
    """Returns key=value with Hydra's quotes around the value, ready to paste into a shell."""
    return shlex.quote(f"{key}={in_quotes(value, Quote.double)}")


def as_text(typed: str, nullable: bool) -> str:
    """Returns a text in Hydra's grammar; what is in quotes or null is in it already."""
    if QUOTED.fullmatch(typed) or (nullable and typed == "null"):
        return typed
    return in_quotes(typed, Quote.single)


def in_quotes(text: str, quote: Quote) -> str:
    """Returns a text in quotes, in which nothing of it means anything to Hydra or OmegaConf."""
    # Before a brace, a dollar sign would have OmegaConf put in another key's value.
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(escaped, quote).with_quotes()


def swept(key: str, typed: str, nullable: bool) -> str:
    """Returns one or several values, each as it was typed, in Hydra's grammar."""
    values = several(typed)
    if values is None:
        return typed
    if values == [typed.strip()]:
        return as_text(typed, nullable)
    is_path = key.endswith(("path", "dir")) and Path(typed).expanduser().exists()
    if is_path or any(map(_is_open, values)) or "" in values:
        raise UserError(_ambiguous(key, typed, values))
    return ",".join(as_text(element, nullable) for element in values)


def several(value: str) -> list[str] | None:
    """Returns the elements of a sweep, None where only Hydra knows them: of a range, a glob.

    Hydra's own functions take what is in quotes for a number again, or cannot sort it.
    """
    call = _FUNCTION.fullmatch(value)
    if not call:
        return list(elements(value))
    name, inside = call.groups()
    if name not in ("choice", "shuffle", "sort"):
        return None
    reverse = re.search(r",\s*reverse\s*=\s*(true|false)\s*$", inside, re.IGNORECASE)
    if name == "sort" and reverse:
        inside = inside[: reverse.start()]
    values = several(inside.strip())
    if values and name == "shuffle":
        random.shuffle(values)
    if values and name == "sort":
        try:
            values.sort(key=float)
        except ValueError:
            values.sort()
        if reverse and reverse[1].lower() == "true":
            values.reverse()
    return values


def elements(value: str) -> Iterator[str]:
    """Yields what stands between commas, blanks around them aside."""
    place = 0
    while place <= len(value):
        match = _ELEMENT.match(value, place)
        assert match
        yield match[1] or match[2].strip()
        place = match.end() + 1


def _is_open(text: str) -> bool:
    """Returns whether a bracket of a text has no partner in it, so that a comma divided them."""
    if QUOTED.fullmatch(text):
        return False
    waiting: list[str] = []
    for character in text:
        if character in _BRACKETS.values():
            waiting.append(character)
        elif character in _BRACKETS and (not waiting or waiting.pop() != _BRACKETS[character]):
            return True
    return bool(waiting)


def _ambiguous(key: str, typed: str, values: Sequence[str]) -> str:
    bare = [value.strip("[](){} ") for value in values if value]
    together = shlex.quote(f"{key}={','.join(bare) or 'VALUE,VALUE'}")
    others = "" if any(map(_is_open, bare)) else f"; for several, {together}"
    return (
        f"{key}={typed} may be one value or several after -m. For one, type "
        f"{quoted(key, typed)}{others}."
    )

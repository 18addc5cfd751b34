"""The words of a command, from what was typed to what Hydra reads.

Hydra's grammar makes 1.1 of 1.10 and stops at brackets, so the value of every key whose type is
text is quoted for it, and what cannot be a word of a command is answered here, in one line.
"""

import dataclasses
import functools
import re
import shlex
import types
import typing
import unicodedata
from collections.abc import Iterator, Sequence
from importlib import metadata

from hydra.core.override_parser.types import Quote, QuotedString

from ablation.config import Config, UserError

_ALONE: tuple[str, ...] = (
    "-m",
    "--multirun",
    "-h",
    "--help",
    "--hydra-help",
    "--resolve",
    "-r",
    "--run",
)
_ALONE += ("--version", "--shell-completion", "-sc", "-i", "--info")
_WITH_VALUE: tuple[str, ...] = (
    "-c",
    "--cfg",
    "-p",
    "--package",
    "-cp",
    "--config-path",
    "-cn",
    "--config-name",
)
_WITH_VALUE += ("-cd", "--config-dir", "--experimental-rerun")
_OVERRIDE = re.compile(r"(?P<sign>\+{0,2})(?P<key>[\w./@-]+)=(?P<value>.*)", re.DOTALL)
_FUNCTION = re.compile(r"(choice|range|interval|glob|sort|shuffle|tag|extend_list)\(.*\)")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_NAMES = {"\r": "carriage return", "\n": "line feed", "\t": "tab", "\0": "null"}


def arranged(words: Sequence[str]) -> list[str]:
    """Returns the words of a command as Hydra reads them: what text says stays what was typed.

    Args:
        words: of the command, without the program.

    Raises:
        UserError: a word is none that a command can have; the message shows the right spelling.
    """
    for word in words:
        _check_visible(word)
    options, overrides = _sorted_out(words)
    _check_words(overrides)
    return [*options, *(_for_hydra(word) for word in overrides)]


def version() -> str:
    """Returns the name and version of this program."""
    return f"ablation {metadata.version('ablation')}"


@functools.cache
def text_keys() -> dict[str, bool]:
    """Returns the keys whose type is text, and whether each may be null."""
    return dict(_text_keys(Config, ""))


def quoted(key: str, value: str) -> str:
    """Returns an override with its value quoted for Hydra and for the shell, ready to paste."""
    return shlex.quote(f"{key}={_quote(value)}")


def _text_keys(schema: type, prefix: str) -> Iterator[tuple[str, bool]]:
    kinds = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        kind, name = kinds[field.name], f"{prefix}{field.name}"
        choices = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
        if str in choices:
            yield name, type(None) in choices
        elif dataclasses.is_dataclass(kind):
            yield from _text_keys(typing.cast(type, kind), f"{name}.")


def _sorted_out(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the options, the one that sweeps first, where Hydra wants it, and the overrides."""
    options: list[str] = []
    overrides: list[str] = []
    waiting = iter(words)
    for word in waiting:
        name = word.partition("=")[0]
        if word in ("-m", "--multirun"):
            options.insert(0, word)
        elif word in _ALONE or (name in _WITH_VALUE and "=" in word):
            options.append(word)
        elif word in _WITH_VALUE:
            options += [word, *([following] if (following := next(waiting, None)) else [])]
        elif word.startswith("-") and len(word) > 1:
            raise UserError(_no_option(word, next(waiting, "")))
        else:
            overrides.append(word)
    return options, overrides


def _no_option(word: str, following: str) -> str:
    bare = word.lstrip("-")
    if "=" not in bare and following and not following.startswith("-") and "=" not in following:
        bare = f"{bare}={following}"
    if "=" in bare:
        return f"{word} is no option; keys have no dashes: {shlex.quote(bare)}."
    return (
        f"{word} is no option. Options: -m (sweeps), --help, --version, --cfg job; everything else "
        "is written key=value."
    )


def _check_words(words: Sequence[str]) -> None:
    """Raises UserError for words that were torn apart by blanks, or hold no value."""
    for i, word in enumerate(words):
        if word.startswith("~"):
            continue
        before, after = words[:i], words[i + 1 :]
        if "=" not in word:
            raise UserError(_torn(before, word, after))
        key, _, value = word.partition("=")
        if not key:
            raise UserError(_torn(before, word, after))
        torn = not value and after and ("=" not in after[0])
        if value.endswith(",") or torn:
            raise UserError(_torn(words[:i], word, after))
        if not value:
            raise UserError(f"{key}= has no value; write {key}=VALUE, or leave it out.")


def _torn(before: Sequence[str], word: str, after: Sequence[str]) -> str:
    """Returns what is wrong with a word that is no key=value, and how it was meant."""
    joined = word.startswith(",") or bool(before and not _is_whole(before[-1]))
    start = [before[-1]] if before and joined else []
    pieces = [*start, word]
    for piece in after:
        if "=" in piece.strip("=") and piece != "=":
            break
        pieces.append(piece)
    text = "".join(pieces)
    if "=" not in text:
        key, colon, value = text.partition(":")
        if not colon and len(pieces) == 2:
            key, value = pieces
        text = f"{key}={value}" if value else ""
    typed = " ".join(pieces)
    if not text:
        return f"{typed} is no key=value, such as arch=34, and no option; see --help."
    sweeps = "-m " if "," in text else ""
    return f"{typed} is no key=value; write it without blanks: {sweeps}{shlex.quote(text)}"


def _is_whole(word: str) -> bool:
    """Returns whether a word is a key with a value that nothing can follow."""
    key, equals, value = word.partition("=")
    return bool(key and equals and value) and not value.endswith(",")


def _for_hydra(word: str) -> str:
    """Returns an override whose text, if its key's type is text, Hydra takes as it was typed."""
    match = _OVERRIDE.fullmatch(word)
    if not match or match["key"] not in text_keys():
        return word
    value = match["value"]
    nullable = text_keys()[match["key"]]
    if _FUNCTION.fullmatch(value) or "${" in value:
        return word
    elements = [_element(one, nullable) for one in _elements(value)]
    return f"{match['sign']}{match['key']}={','.join(elements)}"


def _element(text: str, nullable: bool) -> str:
    if _QUOTED.fullmatch(text) or (nullable and text == "null"):
        return text
    return _quote(text)


def _quote(text: str) -> str:
    quote = Quote.single if '"' in text and "'" not in text else Quote.double
    return QuotedString(text=text, quote=quote).with_quotes()


def _elements(value: str) -> list[str]:
    """Returns what commas divide, but for those between quotes or brackets."""
    if "," not in value or (_QUOTED.fullmatch(value) and value.count(value[0]) == 2):
        return [value]
    parts, depth, within = [""], 0, ""
    for character in value:
        if within:
            within = "" if character == within else within
        elif character in "\"'" and not parts[-1].strip():
            within = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and not within and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth or within:
        parts = value.split(",")
    return [part.strip(" ") for part in parts]


def _check_visible(word: str) -> None:
    """Raises UserError for characters that nobody sees, where they cannot be meant."""
    for place, character in enumerate(word):
        category = unicodedata.category(character)
        at_edge = place in (0, len(word) - 1)
        odd_blank = category in ("Zs", "Zl", "Zp") and character != " "
        if category == "Cc" or (at_edge and (odd_blank or category == "Cf")):
            name = _NAMES.get(character) or unicodedata.name(character, "control character").lower()
            where = "begins with" if place == 0 else "ends in" if at_edge else "holds"
            clean = "".join(c for i, c in enumerate(word) if i != place)
            shown = clean.encode("unicode_escape").decode() if not clean.isprintable() else clean
            raise UserError(
                f"{shown} {where} an invisible character, U+{ord(character):04X} ({name}); "
                "type it without that."
            )

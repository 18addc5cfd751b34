"""Words that are no key=value: what was meant, for the error that says so."""

import re
import shlex
import unicodedata
from collections.abc import Sequence

from ablation import keys
from ablation.command.grammar import REFERENCE, TUNE, WORD
from ablation.config import COMMAND_KEYS, UserError

_LOOSE = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)\s*[:=]?\s*(.*)", re.DOTALL)
_HEAD = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)\s*([:=].*)?", re.DOTALL)
_NO_TEXT = re.compile(r"[\d.,()\[\]-]|(true|false|null)\b", re.IGNORECASE)
"""How the rest of a value begins whose key takes no text."""


def check_whole(words: Sequence[str]) -> None:
    """Raises UserError if a word is no key=value."""
    for place, word in enumerate(words):
        if not _is_whole(word) and word.startswith(REFERENCE):
            raise UserError(f"{word} is written as {REFERENCE}KEY=LEVEL.")
        if not _is_whole(word):
            raise loose(words, place)


def loose(words: Sequence[str], place: int) -> UserError:
    """Returns the error of a word that is no key=value, with the words that belong to it."""
    begin = place
    if place and _goes_on(words[place - 1], words[place]):
        begin -= 1
    end = place + 1
    while end < len(words) and not WORD.fullmatch(words[end]):
        if _head(words[end]) and words[end - 1][-1:] not in ("=", ":", ","):
            break
        end += 1
    typed = " ".join(words[begin:end])
    key = _head(words[begin])
    match = _LOOSE.fullmatch(typed)
    if match and not key and match[2] and end - begin > 1:
        return keys.unknown_key(match[1])
    if not match or not key:
        # Such as a full-width equals sign or a dash that is none.
        normal = re.sub(r"^[^\w\x00-\x7f](?=\w+$)", "-", unicodedata.normalize("NFKC", typed))
        better = f"; type {normal}" if normal != typed else "; --help lists the keys"
        return UserError(f"{typed} is not written as key=value, such as arch=34{better}.")
    value = re.sub(r"\s*,\s*", ",", match[2]).strip(",")
    if not value:
        return UserError(f"{typed} has no value; type {keys.example(key)}.")
    one, several = shlex.quote(f"{key}={value}"), shlex.quote(f"{key}={','.join(value.split())}")
    if " " not in value:
        return UserError(f"{typed} must be one word without blanks: {one}.")
    if not _takes_several(key):
        one = one if key in keys.text_keys() else f"{key}={value.split()[0]}"
        return UserError(f"{typed} must be one word: {one}.")
    if key in keys.text_keys():
        return UserError(f"{typed} must be one word: {one}, or for several values -m {several}.")
    return UserError(f"{typed} must be one word; for several values: -m {several}.")


def unknown_option(word: str, following: Sequence[str], allowed: str) -> UserError:
    """Returns the error of an option that a command does not have, with the words after it.

    `allowed` are those that it has, as they are typed.
    """
    match = _LOOSE.fullmatch(word.lstrip("-"))
    if match and match[1] in keys.known_keys() | keys.groups():
        key, value = match[1], match[2]
        if not value and following and not WORD.fullmatch(following[0]):
            value = following[0]
        typed = f"{key}={value}" if value else keys.example(key)
        return UserError(
            f"{word} is no option: keys are written without dashes, {shlex.quote(typed)}."
        )
    return UserError(
        f"unknown option {word}. Allowed: {allowed}; keys are written without dashes, such as "
        "arch=34."
    )


def _is_whole(word: str) -> bool:
    """Returns whether a word is a key with a value, or takes one away."""
    match = WORD.fullmatch(word)
    if not match:
        return word.startswith("~")
    return bool(match[3]) or match[2] not in keys.known_keys()


def _goes_on(word: str, following: str) -> bool:
    """Returns whether a word that is no key=value can belong to the value of the one before."""
    match = WORD.fullmatch(word)
    if not match or _head(following) or "=" in following or not following.strip("+"):
        return False
    key = _tuned(match[2])
    if key in keys.text_keys().keys() | keys.groups() | {"control", "design.rejected"}:
        return True
    return bool(key in keys.known_keys() and _takes_several(key) and _NO_TEXT.match(following))


def _takes_several(key: str) -> bool:
    """Returns whether a command may name several values of a key, with commas."""
    is_of_command = _tuned(key).partition(".")[0] in (*COMMAND_KEYS, "experiment")
    return not is_of_command or key in ("control", "design.rejected")


def _tuned(key: str) -> str:
    """Returns the key whose values tune.KEY names, another as it is."""
    return key if key in keys.known_keys() else key.removeprefix(TUNE)


def _head(word: str) -> str | None:
    """Returns the key that a word begins with, if it is one."""
    match = _HEAD.fullmatch(word)
    return match[1] if match and _tuned(match[1]) in keys.known_keys() | keys.groups() else None

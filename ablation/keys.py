"""The keys of a command: which there are, which are text, what each takes. No TensorFlow.

All of it is read off the typed `Config` and `conf/`.
"""

import difflib
import functools
import typing
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, is_dataclass
from typing import Any

from ablation.config import CONF_DIR, Config, UserError, flatten

_TAKES = {
    "list": "numbers in brackets, such as [0.5,0.75]",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number, such as 0.1 or 1e-3",
}


@functools.cache
def text_keys() -> Mapping[str, bool]:
    """Returns the keys whose type is text, and whether each may be null."""
    return {key: kind is not str for key, kind in _kinds(Config) if kind in (str, str | None)}


@functools.cache
def known_keys() -> Set[str]:
    """Returns every key with a value of its own."""
    return flatten(asdict(Config())).keys()


@functools.cache
def groups() -> Set[str]:
    """Returns the keys that choose a file of `conf/`."""
    return {path.name for path in CONF_DIR.iterdir() if path.is_dir()}


def unknown_key(key: str) -> UserError:
    """Returns the error of a key that is none, with those that are."""
    group, _, word = key.rpartition(".")
    keys = [name for name in known_keys() if name.rpartition(".")[0] == group]
    keys = keys or list(known_keys())
    # By the last word, since a long group's name makes any two of its keys alike.
    words = {name.rpartition(".")[2]: name for name in keys}
    close = difflib.get_close_matches(word, words, n=1)
    hint = f" Did you mean {words[close[0]]}?" if close else ""
    return UserError(
        f"unknown key {key}.{hint} Keys: {', '.join(keys)}. See python -m ablation --help."
    )


def takes(key: str) -> str:
    """Returns in words what the value of a key that is no text may be."""
    kind = str(dict(_kinds(Config))[key])
    for name, words in _TAKES.items():
        if name in kind:
            return words + (" or null" if "None" in kind else "")
    raise AssertionError(kind)


def example(key: str) -> str:
    """Returns a value that a key may have."""
    if key in groups():
        return sorted(path.stem for path in (CONF_DIR / key).glob("*.yaml"))[0]
    default = flatten(asdict(Config()))[key]
    if isinstance(default, bool):
        return "true"
    return "null" if default is None else "VALUE" if default == "???" else str(default)


def _kinds(schema: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, kind in typing.get_type_hints(schema).items():
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _kinds(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", kind

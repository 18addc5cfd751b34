"""The keys of a command: which there are, which are text, what each takes. No TensorFlow.

All of it is read off the typed `Config`, `conf/` and the signatures of the networks that the
command names.
"""

import functools
import typing
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ablation import source
from ablation.config import (
    CONF_DIR,
    OPTIONS,
    Config,
    DatasetConfig,
    UserError,
    declare,
    flatten,
    schema_of,
)
from ablation.data import sources
from ablation.designs.controls import CONTROLS
from ablation.factors import spelled
from ablation.networks import registry
from ablation.networks.registry import BARE, Network, typed
from ablation.networks.signature import Part
from ablation.text import did_you_mean

_FORMS = {
    "control": ", ".join(CONTROLS),
    "design.rejected": "KEY or KEY=LEVEL, several with commas",
}
"""What keys take that `command` reads in a form of their own."""

_WRITTEN = {
    "design.reference": "design.reference.KEY=LEVEL",
    "tune.grid": "tune.KEY=VALUE,VALUE",
}
"""How keys are written that a command does not set by their name."""

_TAKES = {
    "Any": "a whole number, two such as [96,160], or null",
    "list[str]": "names in brackets, such as [haze,road]",
    "list": "numbers in brackets, such as [0.5,0.75]",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number, such as 0.1 or 1e-3",
}


OPEN = ("parts", OPTIONS)
"""Groups of keys that a network or an optimizer decides."""

MARKS = {
    "tuning": "type what to try for each arm, such as tune.recipe.learning_rate=0.1,0.03,0.01",
    "draw": "type control=sham after -m",
}
"""Keys that nobody sets by hand, and what is typed instead."""

_MEANT = {
    "data": "dataset",
    "epoch": "epochs",
    "lr": "recipe.learning_rate",
    "model": "arch",
    "n_jobs": "hydra/launcher=joblib hydra.launcher.n_jobs",
    "net": "arch",
    "network": "arch",
    "optim": "recipe.optimizer",
    "seeds": "seed",
}
"""What other programs call a key, and what it is called here."""

_networks: list[Network] = []
"""Those that the command names."""


def admit(archs: Iterable[str]) -> None:
    """Makes keys of the parts of the networks that a command names.

    Args:
        archs: as typed; a name that nothing bears is left to `validation`.

    Raises:
        UserError: a network of the user's own cannot be found or read.
    """
    _networks.clear()
    for arch in dict.fromkeys(archs):
        if arch in registry.ARCHS or source.is_own(arch):
            _networks.append(registry.find(arch))
    if not _networks:
        _networks.append(registry.find(Config().arch))
    _declare(tuple(_parts()))


def text_keys() -> Mapping[str, bool]:
    """Returns the keys whose type is text, and whether each may be null."""
    kinds = schema().items()
    texts = {key: kind is not str for key, kind in kinds if kind in (str, str | None)}
    for name, parts in _parts().items():
        if all(part.is_text for part in parts):
            nullable = any(part.nullable for part in parts)
            texts |= {f"parts.{name}": nullable, typed(name): nullable}
    return texts


def known_keys() -> Set[str]:
    """Returns every key with a value of its own."""
    keys = [key for key in schema() if key not in (*OPEN, *MARKS)]
    for name in _parts():
        keys += [typed(name), f"parts.{name}"]
    return dict.fromkeys(keys).keys()


def full(key: str) -> str:
    """Returns a key as the configuration has it: some parts are typed without `parts.`."""
    return f"parts.{key}" if key in BARE else key


def factor(key: str, known: Iterable[str]) -> str:
    """Returns which of some factors' keys is meant; every part may be named without `parts.`."""
    return next((one for one in (key, f"parts.{key}") if one in known), key)


def help_on_parts() -> str:
    """Returns what the parts of the named networks are, their levels and defaults."""
    lines = []
    for network in _networks:
        lines.append(f"Parts of arch={network.arch}, the default first")
        width = max((len(typed(name)) for name in network.parts), default=0)
        for name, part in network.parts.items():
            levels = [spelled(part.default), *(part.allowed().split(", "))]
            lines.append(f"  {typed(name):{width}}  {', '.join(dict.fromkeys(levels))}")
        if not network.parts:
            lines.append("  none")
    return "\n".join(lines)


def help_on_sources() -> str:
    """Returns what each source of data can be asked for."""
    readers: dict[tuple[str, str], list[str]] = {}
    for name in sources.SOURCES:
        for option in sources.options(name).items():
            readers.setdefault(option, []).append(name)
    width = max(len(key) for key, _ in readers)
    lines = ["Options of data sets, dataset.KEY, by where the images come from"]
    for names in dict.fromkeys(map(tuple, readers.values())):
        lines.append(f"  {' '.join(names)}")
        lines += [
            f"    {key:{width}}  {says}" for (key, says), by in readers.items() if by == [*names]
        ]
    return "\n".join(lines)


OmegaConf.register_new_resolver("help_on_parts", help_on_parts)
OmegaConf.register_new_resolver("help_on_sources", help_on_sources)


@functools.cache
def _schema_with(parts: tuple[str, ...]) -> DictConfig:
    return schema_of(parts, sources.keys())


@functools.lru_cache(maxsize=1)
def _declare(parts: tuple[str, ...]) -> None:
    """Declares a schema unless it is the last that was: Hydra copies it each time."""
    declare(_schema_with(parts))


_declare(())


def _parts() -> dict[str, list[Part]]:
    """Returns the parts of the named networks; two of them may each have one of that name."""
    found: dict[str, list[Part]] = {}
    for network in _networks:
        for name, part in network.parts.items():
            found.setdefault(name, []).append(part)
    return found


@functools.cache
def groups() -> Set[str]:
    """Returns the keys that choose a file of `conf/`."""
    return {path.name for path in CONF_DIR.iterdir() if path.is_dir()}


def unknown_key(key: str) -> UserError:
    """Returns the error of a key that is none, with those that are."""
    group, _, word = key.rpartition(".")
    if group == "parts":
        return registry.unknown_part(word, _networks)
    if key in _parts():
        return UserError(f"unknown key {key}. It is a part of the network: parts.{key}=VALUE.")
    inside = within(group) if group else []
    if "/" in key and (with_dots := _with_dots(key)):
        return UserError(f"unknown key {key}.{with_dots}")
    # By the last word, since a long group's name makes any two of its keys alike.
    words: dict[str, list[str]] = {}
    for name in inside or known_keys():
        last = name.rpartition(".")[2]
        # A part that is typed without `parts.` has two names, of which one is enough.
        if not (name.startswith("parts.") and typed(last) != name):
            words.setdefault(last, []).append(name)
    elsewhere = [one for one in [_MEANT.get(word)] if one and one.startswith(group)]
    meant = words.get(word) or elsewhere
    if meant:
        return UserError(f"unknown key {key}; type {' or '.join(f'{one}=VALUE' for one in meant)}.")
    hint = did_you_mean(word, words, lambda one: " or ".join(words[one]))
    return UserError(
        f"unknown key {key}.{hint} Keys: {', '.join(inside or _first())}. "
        "See python -m ablation --help."
    )


def _with_dots(key: str) -> str:
    """Returns which key was meant by one with slashes, "" if it is like none."""
    typed = {"hydra/launcher": "hydra/launcher"}
    typed |= {name.replace(".", "/"): name for name in known_keys()}
    return did_you_mean(key, typed, typed.__getitem__)


def unknown_of_hydra(key: str, beside: Iterable[str]) -> UserError:
    """Returns the error of a key below `hydra.` that is none.

    Args:
        key: as it was typed.
        beside: the names in its group.
    """
    group, _, word = key.rpartition(".")
    meant = _MEANT.get(word, "")
    if group in meant:
        return UserError(f"unknown key {key}; type {meant}=VALUE.")
    names = [name for name in beside if not name.startswith("_")]
    hint = did_you_mean(word, names, f"{group}.{{}}".format)
    inside = ", ".join(f"{group}.{name}" for name in names) or "none"
    decides = ""
    if group == "hydra.launcher":
        decides = ", as hydra/launcher=NAME decides, such as hydra/launcher=joblib"
    return UserError(f"unknown key {key}.{hint} Keys of {group}: {inside}{decides}.")


def within(group: str) -> list[str]:
    """Returns the keys of a group, [] where an optimizer decides them."""
    return [key for key in known_keys() if key.rpartition(".")[0] == group]


def _first() -> Set[str]:
    """Returns the keys that are in no group, and for each group how its keys are written."""
    pairs = (key.partition(".") for key in known_keys())
    return dict.fromkeys(f"{first}.KEY" if dot else first for first, dot, _ in pairs).keys()


def takes(key: str) -> str:
    """Returns in words what the value of a key that is no text may be."""
    parts = _parts().get(full(key).removeprefix("parts."), [])
    if parts:
        return " or ".join(dict.fromkeys(part.allowed() for part in parts))
    if key in _FORMS:
        return _FORMS[key]
    if key in _WRITTEN:
        return f"nothing by itself: type {_WRITTEN[key]}"
    kind = str(schema()[key])
    for name, words in _TAKES.items():
        if name in kind:
            return words + (", or null" if "None" in kind else "")
    raise AssertionError(kind)


def example(key: str) -> str:
    """Returns how a key is typed, with a value that it may have."""
    if key.startswith("tune.") and key not in schema():
        return f"{key}=VALUE,VALUE"
    return _WRITTEN.get(key) or f"{key}={_value(key)}"


def _value(key: str) -> str:
    if key == "control":
        return next(iter(CONTROLS))
    if key in groups():
        return sorted(path.stem for path in (CONF_DIR / key).glob("*.yaml"))[0]
    parts = _parts().get(full(key).removeprefix("parts."), [])
    if parts:
        return (
            "true" if bool in parts[0].kinds else spelled((*parts[0].levels, parts[0].default)[0])
        )
    default = flatten(asdict(Config(dataset=sources.keys())))[key]
    if isinstance(default, bool):
        return "true"
    return "null" if default is None else "VALUE" if default == "???" else str(default)


@functools.cache
def schema() -> Mapping[str, Any]:
    """Returns every key of the typed configuration, with its type."""
    return dict(_kinds(Config))


def _kinds(schema: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, kind in typing.get_type_hints(schema).items():
        if is_dataclass(kind):
            kind = type(sources.keys()) if kind is DatasetConfig else kind
            assert isinstance(kind, type)
            yield from _kinds(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", kind

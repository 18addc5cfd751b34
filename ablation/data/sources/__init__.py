"""Where inputs come from. Each source hands them out raw, split by split: images, numbers, tokens.

A source is a module of this folder that names its class `SOURCE`; it owns its options, its state on
disk and its errors. One is added by a module here and a `conf/dataset/NAME.yaml`. All are imported
by every command, so that what takes time, such as TensorFlow, is imported when it is needed.
"""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from ablation.config import PLACES, DatasetConfig, UserError
from ablation.data.sources.common import SPLITS, Example, LeftOut, Source

__all__ = [
    "SOURCES",
    "SPLITS",
    "Example",
    "LeftOut",
    "Source",
    "check_places",
    "keys",
    "open_source",
    "options",
    "state",
    "typed",
    "unused",
]

_MODULES = [module.name for module in pkgutil.iter_modules(__path__)]
_FOUND = {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(_MODULES)}

SOURCES: dict[str, type[Source]] = {
    name: module.SOURCE for name, module in _FOUND.items() if hasattr(module, "SOURCE")
}
"""The sources by the name that `dataset.source` gives them, which is that of their module."""

_COMMON = frozenset(field.name for field in dataclasses.fields(DatasetConfig))


def options(source: str) -> dict[str, str]:
    """Returns what a source can be asked for beside what every data set has, and in which words."""
    found = dataclasses.fields(SOURCES[source].options)
    return {one.name: one.metadata["says"] for one in found if one.name not in _COMMON}


@functools.cache
def keys() -> DatasetConfig:
    """Returns every key that a data set of any source can have, with its default."""
    found: dict[str, Any] = {}
    for source in SOURCES.values():
        for one in dataclasses.fields(source.options):
            if one.name not in _COMMON:
                found[one.name] = one.name, one.type, dataclasses.field(default=one.default)
    made = dataclasses.make_dataclass("DatasetKeys", found.values(), bases=(DatasetConfig,))
    return made()


def typed(given: Mapping[str, Any]) -> DatasetConfig:
    """Returns the configuration of a data set with the options that its source reads.

    Where images of another source lie is left out: a command may sweep several sources.

    Args:
        given: values by key, options of other sources among them.

    Raises:
        UserError: there is no such source, or an option is set that it does not read.
    """
    source = given["source"]
    if source not in SOURCES:
        raise UserError(f"dataset.source={source} is not known. Allowed: {', '.join(SOURCES)}.")
    kind = SOURCES[source].options
    own = {one.name for one in dataclasses.fields(kind)}
    for key, value in given.items():
        if key not in own and key not in PLACES and value != getattr(keys(), key, value):
            others = [name for name in SOURCES if key in options(name)]
            raise UserError(
                f"dataset.{key}={value} is for {_datasets(others)}; dataset.source={source} takes "
                f"{', '.join(f'dataset.{one}' for one in options(source)) or 'no options'}."
            )
    return kind(**{key: value for key, value in given.items() if key in own})


def check_places(given: Sequence[Mapping[str, Any]]) -> None:
    """Raises UserError if a command says where data lies, and no source of it looks there.

    `typed` cannot tell, because it knows one data set, and a command may sweep several.

    Args:
        given: the values of each data set of the command by key.
    """
    for key in PLACES:
        reading = [name for name in SOURCES if key in options(name)]
        typed_in = [one for one in given if one.get(key) is not None]
        if typed_in and not any(one["source"] in reading for one in given):
            dataset = typed_in[0]
            raise UserError(
                f"dataset.{key}={dataset[key]} is for {_datasets(reading)}; "
                f"dataset={dataset['name']} does not read it. Name the one that is meant, or leave "
                "it out."
            )


def _datasets(sources: Sequence[str]) -> str:
    *others, last = (f"dataset={name}" for name in sources)
    return f"{', '.join(others)} and {last}" if others else last


def open_source(dataset: DatasetConfig) -> Source:
    """Opens a data set.

    Args:
        dataset: the `dataset` part of the configuration.

    Raises:
        UserError: it is not there or not usable; the message says what to do.
    """
    return SOURCES[dataset.source](dataset)


def state(dataset: DatasetConfig) -> str:
    """Returns a text that changes when what lies on disk changes; quick, and without TensorFlow.

    It is the same for two spellings of one path.

    Raises:
        UserError: the data set's own folder is missing.
    """
    return SOURCES[dataset.source].state(dataset)


def unused(dataset: DatasetConfig) -> Sequence[LeftOut]:
    """Returns what is there and no example is made of; see `Source.unused`."""
    return SOURCES[dataset.source].unused(dataset)

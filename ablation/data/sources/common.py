"""What every source has: examples, two splits, a state on disk."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ablation.config import DatasetConfig

SPLITS = ("train", "val")
OFFLINE = "dataset=digits and dataset=folder need no download."


class LeftOut(NamedTuple):
    """What a data set holds and is not used.

    Attributes:
        reason: why, the same words for all that share it.
        name: of the file or folder.
    """

    reason: str
    name: str


class Example(NamedTuple):
    """One image as it is stored.

    Attributes:
        name: what to call it in a message.
        image: uint8 (height, width, channels), or None if it is left out.
        label: index into the source's classes.
        reason: why it is left out, the same words for all that share it; "" if it is not.
    """

    name: str
    image: np.ndarray | None
    label: int
    reason: str = ""


class Source(Protocol):
    """A data set: its classes, its channels and its two splits.

    Attributes:
        options: the keys of its configuration, a subclass of `DatasetConfig` with an `option` for
            each that it adds.
        fetches: whether reading it may put on disk what its state then speaks of.
        classes: their names, in the order of their labels.
        channels: 1 for grey, 3 for RGB.
        lost: folders that would be classes if they held an image.
    """

    options: type[DatasetConfig]
    fetches: bool
    classes: tuple[str, ...]
    channels: int
    lost: tuple[str, ...]

    def __init__(self, dataset: Any): ...

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the number of examples of "train" or "val" and an iterator over them.

        Raises:
            UserError: the images cannot be had, or the splits share some.
        """

    @staticmethod
    def state(dataset: Any) -> str:
        """Returns what `sources.state` does."""

    @staticmethod
    def unused(dataset: Any) -> Sequence[LeftOut]:
        """Returns what is there and no example is made of; quick, and without TensorFlow.

        Raises:
            UserError: the data set's own folder is missing.
        """


def option(default: Any, says: str) -> Any:
    """Returns a field of a source's options.

    Args:
        default: its value where nothing is asked for; that of every source that has one so named.
        says: what `--help` says of it.
    """
    return dataclasses.field(default=default, metadata={"says": says})


def digest_of(files: Iterable[Path]) -> str:
    """Returns a digest of the names, sizes and times of files."""
    facts = [(str(file), *_size_and_time(file)) for file in files]
    return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()


def _size_and_time(file: Path) -> tuple[int, int]:
    """Returns size and modification time, zeros for a link that leads nowhere."""
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns

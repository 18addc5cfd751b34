"""What every source has: examples, two splits, a state on disk."""

import dataclasses
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ablation.config import DatasetConfig, UserError, expanded
from ablation.data.kinds import Kind

SPLITS = ("train", "val")
OFFLINE = "dataset=digits and dataset=folder need no download."
NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""Errors of a path that leads to nothing."""


class LeftOut(NamedTuple):
    """What a data set holds and is not used.

    Attributes:
        reason: why, the same words for all that share it.
        name: of the file or folder.
    """

    reason: str
    name: str


class Example(NamedTuple):
    """One input as it is stored.

    Attributes:
        name: what to call it in a message.
        image: the input as its kind stores it, of images uint8 (height, width, channels); None if
            it is left out.
        label: index into the source's classes, or of another target a row of numbers.
        reason: why it is left out, the same words for all that share it; "" if it is not.
    """

    name: str
    image: np.ndarray | None
    label: Any
    reason: str = ""


class Source(Protocol):
    """A data set: its classes, its kind of inputs and its two splits.

    Attributes:
        options: the keys of its configuration, a subclass of `DatasetConfig` with an `option` for
            each that it adds.
        fetches: whether reading it may put on disk what its state then speaks of.
        classes: their names, in the order of their labels; of another target than classes, what
            names its `target` the outputs has.
        kind: of its inputs.
        channels: of its images, 1 for grey, 3 for RGB.
        lost: folders that would be classes if they held an image.
        read: files that an opened source has read and folders that it has listed, of which its
            state does not speak.

    A source whose examples are of somebody, of whom there may be several, has `grouped`, which is
    true then.
    """

    options: type[DatasetConfig]
    fetches: bool
    classes: tuple[str, ...]
    kind: Kind
    channels: int
    lost: tuple[str, ...]
    read: tuple[Path, ...]

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
    facts = [(str(file), *size_and_time(file)) for file in files]
    return hashlib.sha256(repr(facts).encode(errors="surrogateescape")).hexdigest()


def given_file(dataset: Any, what: str) -> Path:
    """Returns the file that `dataset.path` names, links followed.

    Args:
        dataset: its configuration.
        what: the file is, for the message.

    Raises:
        UserError: nothing is named, or no file is there.
    """
    if not dataset.path:
        raise UserError(f"dataset={dataset.source} needs dataset.path, {what}.")
    path = Path(os.path.realpath(expanded("dataset.path", dataset.path)))
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno not in NO_FILE:
            raise UserError(f"dataset.path={path} cannot be read: {error.strerror}.") from None
        several = " To sweep several, put -m before the keys." if "," in dataset.path else ""
        raise UserError(f"dataset.path={path} is not there; it is {what}.{several}") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"dataset.path={path} is a folder; it must be {what}.")
    return path


def size_and_time(file: Path) -> tuple[int, int]:
    """Returns size and modification time, zeros for a link that leads nowhere."""
    try:
        facts = file.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns

"""What every source has: examples, two splits, a state on disk."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ablation.config import DatasetConfig, UserError

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
        classes: their names, in the order of their labels.
        channels: 1 for grey, 3 for RGB.
        lost: folders that would be classes if they held an image.
    """

    classes: tuple[str, ...]
    channels: int
    lost: tuple[str, ...]

    def __init__(self, dataset: DatasetConfig): ...

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the number of examples of "train" or "val" and an iterator over them.

        Raises:
            UserError: the images cannot be had, or the splits share some.
        """

    @staticmethod
    def state(dataset: DatasetConfig) -> str:
        """Returns what `sources.state` does."""

    @staticmethod
    def unused(dataset: DatasetConfig) -> Sequence[LeftOut]:
        """Returns what is there and no example is made of; quick, and without TensorFlow.

        Raises:
            UserError: the data set's own folder is missing.
        """


def reject_splits(dataset: DatasetConfig) -> None:
    """Raises UserError if TFDS splits are given to a source that makes its own."""
    if dataset.train_split or dataset.val_split:
        raise UserError(
            f"dataset={dataset.source} makes its own splits; "
            "dataset.train_split and dataset.val_split are for TFDS sets."
        )


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

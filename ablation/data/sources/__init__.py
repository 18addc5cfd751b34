"""Where images come from. Each source hands out raw uint8 images, split by split.

A module each; TensorFlow is imported only by the one that reads TensorFlow Datasets.
"""

from collections.abc import Sequence

from ablation.config import DatasetConfig
from ablation.data.sources.common import SPLITS, Example, LeftOut, Source
from ablation.data.sources.digits import Digits
from ablation.data.sources.folder import Folder
from ablation.data.sources.tfds import Tfds

__all__ = ["SOURCES", "SPLITS", "Example", "Source", "open_source", "state", "unused"]

SOURCES: dict[str, type[Source]] = {"digits": Digits, "tfds": Tfds, "folder": Folder}
"""The sources by the name that `dataset.source` gives them."""


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

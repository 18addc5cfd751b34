"""Sets of Hugging Face's `datasets`: a folder, or the hub by name."""

import importlib.util
import io
import logging
import os
import socket
import stat
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ablation.config import UserError, expanded, first_line
from ablation.data.kinds import IMAGES, KINDS
from ablation.data.naming import numbered
from ablation.data.sources.common import OFFLINE, Example, LeftOut, digest_of, option
from ablation.data.sources.decode import DEPTHS, depth_of, example, unreadable
from ablation.data.sources.splits import SplitConfig, parted
from ablation.text import readable

_INSTALL = "pip install 'ablation[huggingface]', or pip install datasets"
_WHAT = "a folder that save_to_disk wrote, or one of Parquet files or images that datasets reads"
_SAVED = ("dataset_info.json", "dataset_dict.json")
_VALS = ("validation", "val", "valid", "dev", "test")
_IMAGES, _LABELS = ("image", "img"), ("label", "labels", "class")


@dataclass
class HuggingfaceConfig(SplitConfig):
    """What a set of Hugging Face can be asked for; without `path`, `name` is that on the hub."""

    path: str | None = option(
        None, "a folder that datasets reads; null for the hub, by dataset.name"
    )
    subset: str | None = option(None, "which configuration of a set that has several")
    revision: str | None = option(None, "of a set on the hub: a tag or a commit")
    train_split: str | None = option(None, "the split to train on; null for train")
    val_split: str | None = option(None, "the split to validate on; null for validation or test")
    image_column: str | None = option(None, "the column of the images; null to find it")
    label_column: str | None = option(None, "the column of the classes; null to find it")


class Huggingface:
    """An image classification set that `datasets` reads, decoded to RGB."""

    options = HuggingfaceConfig
    read: tuple[Path, ...] = ()
    fetches = False
    kind = KINDS[IMAGES]
    channels = 3
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: HuggingfaceConfig):
        _check_package()
        self._where = f"dataset.path={dataset.path}" if dataset.path else dataset.name
        splits = _loaded(dataset, self._where)
        train, val = _chosen(splits, dataset, self._where)
        self._sets = [splits[name] for name in (train, val) if name]
        columns = self._sets[0].features
        self._image = _the_one("image", dataset.image_column, _images(columns), _IMAGES, columns)
        label = _the_one("label", dataset.label_column, _labels(columns), _LABELS, columns)
        self.classes, labels = self._labels(label)
        groups = self._groups(dataset.group) if dataset.group else None
        is_val = np.arange(len(labels)) >= len(self._sets[0]) if val else None
        self._every = labels
        self._places = parted(self.classes, labels, groups, is_val, dataset, self._where)

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and an iterator that decodes its images to RGB."""
        places = self._places[name]
        return len(places), (self._example(int(place)) for place in places)

    def _labels(self, column: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the classes and the class of each image, -1 for none."""
        feature, values = self._sets[0].features[column], self._column(column)
        known = np.array([value is not None and value != -1 for value in values], bool)
        if hasattr(feature, "names"):
            pairs = zip(values, known, strict=True)
            numbers = [value if is_known else -1 for value, is_known in pairs]
            return tuple(feature.names), np.array(numbers, np.int64)
        names = [str(value) for value, is_known in zip(values, known, strict=True) if is_known]
        classes, places = numbered(names)
        labels = np.full(len(values), -1, np.int64)
        labels[known] = places
        return classes, labels

    def _groups(self, column: str) -> np.ndarray:
        if column not in self._sets[0].features:
            raise UserError(
                f"{self._where} has no column {column}, whom each image is of (dataset.group="
                f"{column}); its columns are {', '.join(self._sets[0].features)}."
            )
        values = self._column(column)
        if None in values:
            raise UserError(f"{self._where}: row {values.index(None)} has no {column}.")
        return np.array(list(map(str, values)))

    def _column(self, name: str) -> list[Any]:
        return [value for one in self._sets for value in one.with_format(None)[name]]

    def _stored(self, place: int) -> Path | io.BytesIO | None:
        """Returns an image's file, None if the row has none."""
        first = len(self._encoded[0])
        one, row = (0, place) if place < first else (1, place - first)
        stored = self._encoded[one][row][self._image]
        if stored is None or (stored["bytes"] is None and not stored["path"]):
            return None
        return Path(stored["path"]) if stored["bytes"] is None else io.BytesIO(stored["bytes"])

    def _example(self, place: int) -> Example:
        label, name = int(self._every[place]), f"row {place}"
        stored = self._stored(place)
        if label < 0 or stored is None:
            return Example(name, None, label, "no label" if label < 0 else "no image")
        return example(name, stored, label, self.channels, self._depth)

    @cached_property
    def _encoded(self) -> list[Any]:
        """The splits' images as they are stored, so that they are decoded like any other file."""
        import datasets

        kept = [one.select_columns([self._image]) for one in self._sets]
        return [one.cast_column(self._image, datasets.Image(decode=False)) for one in kept]

    @cached_property
    def _depth(self) -> int:
        """Bits of a grey level in deep images: as many as the brightest of the data set needs."""
        found = 0
        for place in range(len(self._every)):
            stored = self._stored(place)
            found = max(found, depth_of(stored) if stored else 0)
            if found == DEPTHS[-1]:
                break
        return found or DEPTHS[-1]

    @staticmethod
    def state(dataset: HuggingfaceConfig) -> str:
        """Returns a digest of a folder's files; nothing of a set on the hub but its revision."""
        _check_package()
        if not dataset.path:
            if dataset.name == dataset.source:
                raise UserError(
                    f"dataset=huggingface needs dataset.path, {_WHAT}, or dataset.name, that of a "
                    "set on the hub."
                )
            return ""
        return digest_of(
            path for path in sorted(_folder(dataset.path).rglob("*")) if path.is_file()
        )

    @staticmethod
    def unused(dataset: HuggingfaceConfig) -> tuple[LeftOut, ...]:
        """Returns nothing, because nothing lies beside the images."""
        return ()


def _check_package() -> None:
    if importlib.util.find_spec("datasets") is None:
        raise UserError(
            f"dataset=huggingface needs the package datasets, which is not installed: {_INSTALL}."
        )


def _folder(path: str) -> Path:
    folder = Path(os.path.realpath(expanded("dataset.path", path)))
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        raise UserError(f"dataset.path={folder} is not there; it is {_WHAT}.") from None
    except OSError as error:
        raise unreadable(folder, error) from None
    if not is_folder:
        raise UserError(f"dataset.path={folder} is a file; it must be {_WHAT}.")
    return folder


def _loaded(dataset: HuggingfaceConfig, where: str) -> dict[str, Any]:
    """Returns the splits of a set by name.

    Raises:
        UserError: it cannot be loaded.
    """
    if not dataset.path and not _has_network():
        os.environ["HF_HUB_OFFLINE"] = "1"  # Its retries would take half a minute.
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    for name in ("huggingface_hub", "httpx", "fsspec"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if dataset.path:
            folder = _folder(dataset.path)
            saved = any((folder / name).is_file() for name in _SAVED)
            read = datasets.load_from_disk if saved else datasets.load_dataset
            found = read(str(folder), **({} if saved else {"name": dataset.subset}))
        else:
            found = datasets.load_dataset(dataset.name, dataset.subset, revision=dataset.revision)
    except MemoryError:
        raise
    except Exception as error:  # It has no common error, and passes on those of its parts.
        why = f"{type(error).__name__}: {first_line(error)[:300].rstrip('.')}"
        if dataset.path:
            raise UserError(f"{where} is not read by datasets ({why}).") from None
        raise UserError(
            f"dataset.name={where} is not on this machine and could not be fetched from the hub "
            f"({why}). Where there is a network, datasets.load_dataset({where!r}).save_to_disk("
            f"FOLDER) writes what dataset.path=FOLDER then reads; {OFFLINE}"
        ) from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _has_network() -> bool:
    if urllib.request.getproxies() or os.environ.get("HF_ENDPOINT"):
        return True
    try:
        return bool(socket.getaddrinfo("huggingface.co", 443))
    except OSError:
        return False


def _chosen(
    splits: dict[str, Any], dataset: HuggingfaceConfig, where: str
) -> tuple[str, str | None]:
    """Returns the split to train on, and that to validate on or None if a part of it does."""
    has = f"it has {', '.join(splits)}"
    train = dataset.train_split or (
        "train" if "train" in splits or len(splits) > 1 else next(iter(splits))
    )
    usual = [name for name in _VALS if name in splits and name != train]
    val = dataset.val_split or (usual[0] if usual else None)
    for key, name in (("train", train), ("val", val)):
        if name and name not in splits:
            raise UserError(f"{where} has no split {name} (dataset.{key}_split); {has}.")
        if name and not len(splits[name]):
            raise UserError(f"{where}: the split {name} holds no images.")
    if train == val:
        raise UserError(f"{where}: one split, {train}, cannot both train and validate; {has}.")
    others = [name for name in splits if name not in (train, val)]
    if others:
        part = val or f"a part of {train}"
        print(
            f"{where}: {train} trains and {part} validates; left out: {', '.join(others)}",
            file=sys.stderr,
        )
    return train, val


def _images(columns: Any) -> list[str]:
    import datasets

    return [name for name, feature in columns.items() if isinstance(feature, datasets.Image)]


def _labels(columns: Any) -> list[str]:
    """Returns the columns of classes, or if there are none those that may be by their name."""
    import datasets

    classes = [name for name, one in columns.items() if isinstance(one, datasets.ClassLabel)]
    return classes or [name for name in _LABELS if isinstance(columns.get(name), datasets.Value)]


def _the_one(
    what: str, asked: str | None, found: list[str], usual: tuple[str, ...], columns: Any
) -> str:
    """Returns the column that is meant.

    Raises:
        UserError: there is none, or of several nobody can tell which, or another kind is asked for.
    """
    import datasets

    kinds = [f"{readable(name)} ({type(one).__name__})" for name, one in columns.items()]
    has = f"the columns are {', '.join(kinds)}"
    key = f"dataset.{what}_column"
    if asked:
        fits = (datasets.Image,) if what == "image" else (datasets.ClassLabel, datasets.Value)
        if not isinstance(columns.get(asked), fits):
            raise UserError(f"{key}={asked} is no column of {what}s; {has}.")
        return asked
    for choice in (found, [name for name in usual if name in found][:1]):
        if len(choice) == 1:
            return choice[0]
    how = "any of several may be meant" if found else f"none holds {what}s"
    raise UserError(f"{key} must be named, because {how}: {has}.")


SOURCE = Huggingface

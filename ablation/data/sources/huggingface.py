"""Sets of Hugging Face's `datasets`: a folder, or the hub by name."""

import importlib.util
import io
import logging
import os
import socket
import stat
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ablation.config import UserError, expanded, first_line
from ablation.data.kinds import IMAGES, KINDS, kind_of
from ablation.data.sources import huggingface_columns as columns
from ablation.data.sources.columns import ColumnsConfig, counts_rows, is_index, ways_to_count
from ablation.data.sources.common import OFFLINE, Example, LeftOut, digest_of, option
from ablation.data.sources.decode import deepest, example, unreadable
from ablation.data.sources.splits import parted
from ablation.targets.cells import Cells

_INSTALL = "pip install datasets"
_WHAT = "a folder that save_to_disk wrote, or one of Parquet files or images that datasets reads"
_SAVED = ("dataset_info.json", "dataset_dict.json")
_VALS = ("validation", "val", "valid", "dev", "test")
_NO_LABEL, _FEATURES = "no label", "features"


@dataclass
class HuggingfaceConfig(ColumnsConfig):
    """What a set of Hugging Face can be asked for; without `path`, `name` is that on the hub."""

    path: str | None = option(
        None, "a folder that datasets reads; null for the hub, by dataset.name"
    )
    subset: str | None = option(None, "which configuration of a set that has several")
    revision: str | None = option(None, "of a set on the hub: a tag or a commit")
    train_split: str | None = option(None, "the split to train on; null for train")
    val_split: str | None = option(None, "the split to validate on; null for validation or test")
    image_column: str | None = option(None, "the column of the images; null to find it")
    input_column: str | None = option(
        None, "the column of other inputs, lists of numbers; null to find it, or columns of numbers"
    )
    kind: str | None = option(
        None, "images, features, signals or tokens; null to tell by the arrays"
    )
    vocabulary: str | None = option(
        None, "of tokens: a file with a word a line, or how many there are; null for those of x"
    )


class Huggingface:
    """A set that `datasets` reads: its images decoded to RGB, or numbers."""

    options = HuggingfaceConfig
    fetches = False
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: HuggingfaceConfig):
        _check_package()
        self._where = f"dataset.path={dataset.path}" if dataset.path else dataset.name
        splits = _loaded(dataset, self._where)
        train = _train_split(splits, dataset, self._where)
        of_labels = self._label_columns(dataset, splits[train].features)
        val = _val_split(splits, train, of_labels, dataset, self._where)
        self._splits = [name for name in (train, val) if name]
        self._sets = [splits[name] for name in self._splits]
        labels, self._has_label = self._labels(of_labels, dataset)
        self._every = labels
        self._inputs(dataset, {*of_labels, dataset.group})
        groups = self._groups(dataset.group) if dataset.group else None
        self.grouped = groups is not None
        is_val = np.arange(len(labels)) >= len(self._sets[0]) if val else None
        rows = np.flatnonzero(self._has_label)
        drawn = parted(
            self.classes,
            labels[rows],
            None if groups is None else groups[rows],
            None if is_val is None else is_val[rows],
            dataset,
            self._where,
            self.target,
        )
        # Rows without a label are told where they would have been.
        missing = np.flatnonzero(~self._has_label)
        beside = np.zeros(len(missing), bool) if is_val is None else is_val[missing]
        self._places = {
            name: np.sort(np.concatenate([rows[places], missing[beside == (name == "val")]]))
            for name, places in drawn.items()
        }

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and an iterator over its examples, images decoded to RGB."""
        places = self._places[name]
        return len(places), (self._example(int(place)) for place in places)

    @staticmethod
    def _label_columns(dataset: HuggingfaceConfig, there: Mapping[str, Any]) -> list[str]:
        if not dataset.label_columns:
            one = columns.the_one(
                "label", dataset.label_column, there, columns.may_be_label, columns.is_label
            )
            return [one]
        for name in dataset.label_columns:
            if not columns.is_number(there.get(name)):
                raise UserError(
                    f"dataset.label_columns: {name} is no column of numbers; {columns.held(there)}."
                )
        return dataset.label_columns

    def _labels(
        self, names: list[str], dataset: HuggingfaceConfig
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the label of each row, and whether it has one; sets what they are called."""
        cells = [[*self._cells(name)] for name in names]
        features = [one.features[names[0]] for one in self._sets]
        has = np.array([None not in of_row for of_row in zip(*cells, strict=True)], bool)
        rows = np.flatnonzero(has)
        kept = [[str(of_column[row]) for row in rows] for of_column in cells]
        for split, of_split in zip(self._splits, np.split(has, [len(self._sets[0])]), strict=False):
            if not of_split.any():
                raise UserError(
                    f"{self._where}: no row of the split {split} has a label in {', '.join(names)}."
                )
        self.target, self.classes, found = dataset.labelled(
            Cells(
                tuple(names),
                kept,
                self._where,
                lambda place: f"{self._where}: row {rows[place]}",
                dataset.label_separator,
                columns.known(features) if len(names) == 1 else None,
                len(names) == 1 and columns.is_rows(features[0]),
            )
        )
        every = np.full((len(has), *found.shape[1:]), -1, found.dtype)
        every[has] = found
        return every, has

    def _cells(self, name: str) -> Iterator[str | None]:
        """Yields the labels of a column, each split's by the names that it has for its classes."""
        for one, values in zip(self._sets, self._of_splits(name), strict=True):
            yield from columns.cells(one.features[name], values)

    def _inputs(self, dataset: HuggingfaceConfig, others: set[str | None]) -> None:
        """Finds the inputs, beside other columns; sets their kind."""
        there = {k: one for k, one in self._sets[0].features.items() if k not in others}
        has_images = any(map(columns.is_image, there.values()))
        numbers = [name for name, one in there.items() if columns.is_number(one)]
        is_table = bool(numbers) and dataset.kind == _FEATURES  # Whatever lists stand beside.
        has_lists = any(map(columns.is_rows, there.values())) and not is_table
        self.read: tuple[Path, ...] = ()
        self._image: str | None = None
        is_of_images = not dataset.input_column and dataset.kind in (None, IMAGES)
        if (
            dataset.image_column
            or (is_of_images and has_images)
            or not (dataset.input_column or has_lists or numbers)
        ):
            self._image = columns.the_one(
                "image", dataset.image_column, self._sets[0].features, *2 * (columns.is_image,)
            )
            self._check_there(self._image)
            self.kind, self.channels = KINDS[IMAGES], 3
            return
        if dataset.input_column or has_lists:
            name = columns.the_one("input", dataset.input_column, there, *2 * (columns.is_rows,))
            array = columns.rows(name, self._column(name), self._where)
            self.kind = kind_of(dataset.kind, [array])
        else:
            name = _FEATURES
            features = self._features(numbers)
            array = columns.table({k: self._column(k) for k in features}, self._where)
            self.kind = KINDS[dataset.kind or name]
        self._stored_inputs = self.kind.read(name, array, self._where)
        self._convert = self.kind.stored({name: self._stored_inputs}, self._where)
        self.channels = self._stored_inputs.shape[-1]
        self.read = self.kind.files(dataset)

    def _features(self, numbers: list[str]) -> list[str]:
        """Returns the columns of numbers but for those that number the rows, which it tells."""
        of_split = np.repeat(self._splits, list(map(len, self._sets))).tolist()
        ways = ways_to_count(range(len(of_split)), of_split)
        counting = [
            name
            for name in numbers
            if is_index(name, self._column(name)) or counts_rows(self._column(name), ways)
        ]
        if not 0 < len(counting) < len(numbers):
            return numbers
        print(
            f"{self._where}: left out, because they number the rows: {', '.join(counting)}",
            file=sys.stderr,
        )
        return [name for name in numbers if name not in counting]

    def _groups(self, column: str) -> np.ndarray:
        if column not in self._sets[0].features:
            raise UserError(
                f"{self._where} has no column {column}, whom each image is of (dataset.group="
                f"{column}); its columns are {', '.join(self._sets[0].features)}."
            )
        values = self._column(column)
        if None in values:
            raise UserError(f"{self._where}: row {values.index(None)} has no {column}.")
        # What one split has as 3 another may have as 3.0.
        return np.array([f"{one:.0f}" if _is_whole(one) else str(one) for one in values])

    def _column(self, name: str) -> list[Any]:
        return [value for values in self._of_splits(name) for value in values]

    def _of_splits(self, name: str) -> list[Any]:
        self._check_there(name)
        return [one.with_format(None)[name] for one in self._sets]

    def _check_there(self, name: str) -> None:
        """Raises UserError unless every split has a column."""
        for split, one in zip(self._splits, self._sets, strict=True):
            if name not in one.features:
                raise UserError(
                    f"{self._where}: the split {split} has no column {name}, which others have; "
                    "name the splits by dataset.train_split and dataset.val_split."
                )

    def _stored(self, place: int) -> Path | io.BytesIO | None:
        """Returns an image's file, None if the row has none."""
        first = len(self._encoded[0])
        one, row = (0, place) if place < first else (1, place - first)
        stored = self._encoded[one][row][self._image]
        if stored is None or (stored["bytes"] is None and not stored["path"]):
            return None
        return Path(stored["path"]) if stored["bytes"] is None else io.BytesIO(stored["bytes"])

    def _example(self, place: int) -> Example:
        label, name = self._every[place], f"row {place}"
        if not self._has_label[place]:
            return Example(name, None, label, _NO_LABEL)
        if self._image is None:
            return Example(name, self._convert(self._stored_inputs[place]), label)
        stored = self._stored(place)
        if stored is None:
            return Example(name, None, label, "no image")
        return example(name, stored, label, self.channels, self._depth)

    @cached_property
    def _encoded(self) -> list[Any]:
        """The splits' images as they are stored, so that they are decoded like any other file."""
        import datasets

        kept = [one.select_columns([self._image]) for one in self._sets]
        return [one.cast_column(self._image, datasets.Image(decode=False)) for one in kept]

    @cached_property
    def _depth(self) -> int:
        return deepest(filter(None, map(self._stored, range(len(self._every)))))

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
            if Path(dataset.name).is_dir():
                raise UserError(
                    f"dataset.name={dataset.name} is a folder here, which would be read instead of "
                    f"a set on the hub: say dataset.path={dataset.name}, or start elsewhere."
                )
            return ""
        return digest_of(
            path for path in sorted(_folder(dataset.path).rglob("*")) if path.is_file()
        )

    @staticmethod
    def unused(dataset: HuggingfaceConfig) -> tuple[LeftOut, ...]:
        """Returns nothing, because nothing lies beside the images."""
        return ()


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


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


def _train_split(splits: dict[str, Any], dataset: HuggingfaceConfig, where: str) -> str:
    """Returns the split to train on."""
    train = dataset.train_split or (
        "train" if "train" in splits or len(splits) > 1 else next(iter(splits))
    )
    _check_split(splits, "train", train, where)
    return train


def _val_split(
    splits: dict[str, Any],
    train: str,
    of_labels: Sequence[str],
    dataset: HuggingfaceConfig,
    where: str,
) -> str | None:
    """Returns the split to validate on, None if a part of that to train on does.

    Not asked for, it is the first of the usual names that has labels.
    """
    there = [name for name in _VALS if name in splits and name != train]
    usual = (
        [] if dataset.val_split else [one for one in there if _has_labels(splits[one], of_labels)]
    )
    val = dataset.val_split or (usual[0] if usual else None)
    if val:
        _check_split(splits, "val", val, where)
    if train == val:
        raise UserError(
            f"{where}: one split, {train}, cannot both train and validate; {_has(splits)}."
        )
    others = [name for name in splits if name not in (train, val)]
    if others:
        part = val or f"a part of {train}"
        print(
            f"{where}: {train} trains and {part} validates; left out: {', '.join(others)}",
            file=sys.stderr,
        )
    return val


def _has_labels(split: Any, of_labels: Sequence[str]) -> bool:
    """Returns whether a split has the columns of the labels, and a row with all of them."""
    if not {*of_labels} <= {*split.features} or not len(split):
        return False
    values = split.with_format(None)
    cells = (columns.cells(split.features[name], values[name]) for name in of_labels)
    return any(None not in row for row in zip(*cells, strict=True))


def _check_split(splits: dict[str, Any], key: str, name: str, where: str) -> None:
    """Raises UserError if a split is not there or empty."""
    if name not in splits:
        raise UserError(f"{where} has no split {name} (dataset.{key}_split); {_has(splits)}.")
    if not len(splits[name]):
        raise UserError(f"{where}: the split {name} is empty.")


def _has(splits: dict[str, Any]) -> str:
    return f"it has {', '.join(splits)}"


SOURCE = Huggingface

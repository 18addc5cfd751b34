"""A table with a row an input: a label, perhaps a split, and an image file or many numbers."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.config import UserError
from ablation.data.kinds import IMAGES, KINDS, Kind
from ablation.data.sources.columns import ColumnsConfig, counts_rows, is_index, ways_to_count
from ablation.data.sources.common import Example, LeftOut, digest_of, given_file, option
from ablation.data.sources.decode import MAYBE_DEEP, deepest, example
from ablation.data.sources.splits import named_splits, parted
from ablation.data.sources.table_file import read_table
from ablation.targets.cells import Cells
from ablation.targets.labels import Labels
from ablation.text import named, readable

if TYPE_CHECKING:  # Loaded late, since pandas would delay every command.
    import pandas as pd

_WHAT = "a table with a row for each image or with columns of numbers, such as labels.csv"
_NAMED_AT_MOST = 5
_DURATION = re.compile(r"-?\d+ days\b")
"""How pandas writes one."""

_FLAGS = {"true": "1", "false": "0", "": ""}
_MISSING = ("", "nan", "+nan", "-nan")
"""How a number is written that is missing, in small letters."""


@dataclass
class TableConfig(ColumnsConfig):
    """What a table can be asked for."""

    path: str | None = option(None, _WHAT)
    kind: str | None = option(None, "images or features; null to tell it by the column of images")
    path_column: str = option("path", "the column of the image files, relative to the table")
    files: str | None = option(
        None, "where the file of a path lies, such as train/{}.jpg; null for the path itself"
    )
    split_column: str = option("split", "the column that says train, val or test, if it is there")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.files is not None and "{}" not in self.files:
            raise UserError(
                f"dataset.files={self.files} must hold {{}}, where the path stands that a row has, "
                "such as train/{}.jpg."
            )


class Table:
    """Rows of a CSV or Parquet file: image files, decoded to RGB, or all other columns' numbers."""

    options = TableConfig
    read: tuple[Path, ...] = ()
    fetches = False
    channels = 3
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: TableConfig):
        listed = _Listed(dataset)
        where = listed.where
        self.kind = listed.kind
        if not listed.names:
            raise UserError(f"{where} lists no {self.kind.noun.one} to train or validate on.")
        self.target, self.classes, self._labels = dataset.labelled(listed.cells)
        self._listed = listed
        self.grouped = listed.groups is not None
        self._places = parted(
            self.classes,
            self._labels,
            listed.groups,
            listed.is_val,
            dataset,
            where,
            self.target,
        )

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and an iterator over its rows, image files decoded to RGB."""
        places = self._places[name]
        numbers = self._listed.numbers
        if numbers is not None:
            return len(places), (
                Example(self._listed.names[place], numbers[place], self._labels[place])
                for place in places
            )
        return len(places), (
            example(
                self._listed.names[place],
                self._listed.files[place],
                self._labels[place],
                self.channels,
                self._depth,
            )
            for place in places
        )

    @cached_property
    def _depth(self) -> int:
        return deepest(file for file in self._listed.files if file.suffix.lower() in MAYBE_DEEP)

    @staticmethod
    def state(dataset: TableConfig) -> str:
        """Returns a digest of the table and of the files that it lists."""
        listed = _Listed(dataset)
        return digest_of([given_file(dataset, _WHAT), *listed.files])

    @staticmethod
    def unused(dataset: TableConfig) -> list[LeftOut]:
        """Returns the rows of a third split, and columns that number the rows."""
        return _Listed(dataset).left_out


class _Listed:
    """What a table says, row by row, of those that are used.

    Attributes:
        where: the table's name, for messages.
        kind: of the inputs.
        files: of the images, none of features.
        numbers: float (rows, features), None of images.
        names: of the inputs, of images as the table has them.
        cells: of the labels.
        groups: whom each is of, None if nobody asks.
        is_val: whether each validates, None if the table does not say.
        left_out: the rows that are not used, and the columns that number them.
    """

    def __init__(self, dataset: TableConfig):
        path = given_file(dataset, _WHAT)
        self.where = readable(path.name)
        whole, numeric = read_table(path)
        is_empty = (whole == "").all(axis=1)
        frame = whole[~is_empty]
        self.kind = _kind(frame, dataset)
        numbering = _index(frame, but=dataset)
        frame = frame.drop(columns=numbering)
        labels, split = self._labels(frame, dataset), _split_column(frame, dataset)
        self._check_columns(frame, labels, dataset)
        inputs = [str(one) for one in frame if one not in {*labels, split, dataset.group}]
        unread = []
        if self.kind.name == IMAGES:
            unread = [one for one in inputs if one != dataset.path_column]
        else:
            counting = _counting(frame[inputs], frame.get(split), whole.index)
            numbering += counting
            inputs = [one for one in inputs if one not in counting]
        self.left_out = [
            *(LeftOut("a column that is not read", one) for one in unread),
            *(LeftOut("a column that numbers the rows", one) for one in numbering),
            *(LeftOut("an empty row", f"row {row}") for row in whole.index[is_empty]),
        ]
        frame, self.is_val = self._without_a_third(frame, split, dataset)
        self._rows = frame.index.tolist()
        self.cells = Cells(
            tuple(labels),
            [frame[label].tolist() for label in labels],
            self.where,
            lambda place: f"{self.where}, row {self._rows[place]}",
            dataset.label_separator,
            numeric=labels[0] in numeric,
        )
        self.groups = frame[dataset.group].to_numpy(str) if dataset.group else None
        self.files: list[Path] = []
        self.numbers = None
        if self.kind.name == IMAGES:
            self.names = frame[dataset.path_column].tolist()
            self._check_files(path.parent, dataset.files or "{}")
        else:
            self.names = [f"row {row}" for row in self._rows]
            self.numbers = self._features(frame[inputs])

    def _labels(self, frame: "pd.DataFrame", dataset: TableConfig) -> list[str]:
        """Returns the columns of the labels.

        If several labels are asked for and no column is named, those are all columns of a table of
        images that are nothing else, unless one is called label.
        """
        if dataset.label_columns or dataset.label_column:
            return dataset.label_columns or [str(dataset.label_column)]
        others = {dataset.path_column, _split_column(frame, dataset), dataset.group}
        rest = [str(column) for column in frame if column not in others]
        is_open = dataset.target == Labels.kind and self.kind.name == IMAGES
        return rest if rest and is_open and "label" not in frame else ["label"]

    def _without_a_third(
        self, frame: "pd.DataFrame", split: str, dataset: TableConfig
    ) -> tuple["pd.DataFrame", np.ndarray | None]:
        """Returns the rows to train or validate on, and whether each validates, if a table says."""
        if split not in frame:
            return frame, None
        is_val, unused = named_splits(
            frame[split].tolist(), self.where, lambda place: self._row(frame, place), split
        )
        left = frame[unused]
        is_image = self.kind.name == IMAGES
        names = left[dataset.path_column] if is_image else left.index.map("row {}".format)
        self.left_out += [LeftOut("of a third split", name) for name in names]
        return frame[~unused], is_val[~unused]

    def _row(self, frame: "pd.DataFrame", place: int) -> str:
        return f"{self.where}, row {frame.index[place]}"

    def _check_columns(
        self, frame: "pd.DataFrame", labels: list[str], dataset: TableConfig
    ) -> None:
        """Raises UserError unless every column that is needed or named is there and full."""
        key = "label_columns" if dataset.label_columns else "label_column"
        named = [("path_column", dataset.path_column)] if self.kind.name == IMAGES else []
        named += [(key, label) for label in labels]
        named += [("group", dataset.group)] if dataset.group else []
        if dataset.split_column != "split":
            named.append(("split_column", dataset.split_column))
        for key, column in named:
            self._check_column(frame, key, column)

    def _check_column(self, frame: "pd.DataFrame", key: str, column: str) -> None:
        """Raises UserError if a column is not there or has an empty cell."""
        if column not in frame:
            others = ", ".join(map(readable, frame.columns))
            raise UserError(
                f"{self.where} has no column {column}; its columns are {others}. Name the one "
                f"that is meant by dataset.{key}."
            )
        empty = np.flatnonzero(frame[column] == "")
        if len(empty):
            more = f", nor have {len(empty) - 1:,} more rows" if len(empty) > 1 else ""
            raise UserError(f"{self._row(frame, empty[0])} has no {column}{more}.")

    def _features(self, frame: "pd.DataFrame") -> np.ndarray:
        """Returns the columns as numbers; raises UserError if one holds anything else."""
        import pandas as pd

        if not len(frame.columns):
            raise UserError(f"{self.where} has no column of numbers and none of images.")
        frame = frame.apply(_as_flags)
        numbers = frame.apply(pd.to_numeric, errors="coerce").astype(float)
        is_missing = frame.apply(lambda column: column.str.lower().isin(_MISSING)).astype(bool)
        is_text = (numbers.isna() & ~is_missing).to_numpy()
        texts = [str(name) for name, wrong in zip(frame, is_text.any(axis=0), strict=True) if wrong]
        if texts:
            columns = named(texts, len(texts), _NAMED_AT_MOST)
            place, column = np.argwhere(is_text)[0]
            cell = frame.iloc[place, column]
            what, hint = _no_number(cell)
            raise UserError(
                f"{self.where}: features are numbers, but there is {what} in {columns}, the first "
                f"{cell!r} in {self.names[place]}; make numbers of it{hint} or leave it out. A "
                "column of image files is named by dataset.path_column."
            )
        wrong = np.argwhere(~np.isfinite(numbers.to_numpy()))
        if len(wrong):
            place, column = wrong[0]
            more = f", nor have {len(wrong) - 1:,} more cells" if len(wrong) > 1 else ""
            raise UserError(
                f"{self.where}, {self.names[place]} has no finite number in "
                f"{readable(str(numbers.columns[column]))}{more}."
            )
        return numbers.to_numpy()

    def _check_files(self, folder: Path, pattern: str) -> None:
        """Finds the files; raises UserError if one is not there or listed twice."""
        paths = [pattern.replace("{}", name) for name in self.names]
        self.files = [Path(os.path.normpath(folder / path)) for path in paths]
        seen: dict[Path, int] = {}
        missing = []
        for row, name, file in zip(self._rows, self.names, self.files, strict=True):
            if file in seen:
                raise UserError(
                    f"{self.where} lists {readable(name)} twice, in rows {seen[file]} and {row}."
                )
            seen[file] = row
            if not file.is_file():
                missing.append((row, file))
        if missing:
            row, file = missing[0]
            more = f", nor are {len(missing) - 1:,} more that it lists" if missing[1:] else ""
            what = "is a folder" if file.is_dir() else "is not there"
            hint = ""
            if not file.suffix:
                hint = " If names lack an ending, say dataset.files={}.jpg or train/{}.jpg."
            raise UserError(f"{self.where}, row {row}: {str(file)!r} {what}{more}.{hint}")


def _kind(frame: "pd.DataFrame", dataset: TableConfig) -> Kind:
    """Returns what the inputs are; raises UserError if they are asked to be what no table holds."""
    has_images = dataset.path_column in frame or dataset.path_column != "path" or dataset.files
    kind = KINDS[dataset.kind or (IMAGES if has_images else "features")]
    if kind.name not in (IMAGES, "features"):
        raise UserError(f"dataset.kind={dataset.kind} is not for a table: images or features.")
    return kind


def _split_column(frame: "pd.DataFrame", dataset: TableConfig) -> str:
    """Returns the column of the splits; the usual name may be written in capitals."""
    usual = [str(one) for one in frame if str(one).lower() == "split"]
    is_usual = dataset.split_column == "split" and len(usual) == 1
    return usual[0] if is_usual else dataset.split_column


def _index(frame: "pd.DataFrame", but: TableConfig) -> list[str]:
    """Returns the columns without a name that number the rows, as pandas writes its index.

    Of rows that were shuffled, chosen or put together the numbers have any order, gaps and
    repetitions. They are no feature: where rows once stood in order of their classes, they would
    give the answer away.

    Args:
        frame: the table.
        but: which may name one, as the column of something else.
    """
    named = {but.path_column, but.split_column, but.group, but.label_column}
    named |= {*(but.label_columns or ())}
    return [str(one) for one in frame if one not in named and is_index(str(one), frame[one])]


def _counting(
    features: "pd.DataFrame", splits: "pd.Series[Any] | None", whole: "pd.Index[Any]"
) -> list[str]:
    """Returns the columns of features that count the rows, unless that is all there is.

    Args:
        features: the rows that are not empty, each with its number in the file.
        splits: of each row, None if the table does not say.
        whole: the numbers of all rows.
    """
    of_splits = [""] * len(features) if splits is None else splits.tolist()
    first = whole[0] if len(whole) else 0
    ways = ways_to_count((features.index - first).tolist(), of_splits)
    found = [str(one) for one in features if counts_rows(features[one], ways)]
    return found if len(found) < len(features.columns) else []


def _no_number(cell: str) -> tuple[str, str]:
    """Returns what a cell holds that is no number, and how such a thing becomes one."""
    if _DURATION.match(cell):
        return "a duration", ", such as its seconds,"
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return "text", ""
    return "a date", ", such as days since the first,"


def _as_flags(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns a column with 1 and 0 for true and false, where it holds nothing else."""
    small = column.str.lower()
    return small.map(_FLAGS.get) if small.isin(_FLAGS).all() else column


SOURCE = Table

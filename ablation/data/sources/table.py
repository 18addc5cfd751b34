"""A table with a row an input: a label, perhaps a split, and an image file or many numbers."""

import csv
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.config import UserError, first_line
from ablation.data.facts import named
from ablation.data.kinds import IMAGES, KINDS
from ablation.data.sources.columns import ColumnsConfig, counts_rows, is_index, ways_to_count
from ablation.data.sources.common import Example, LeftOut, digest_of, given_file, option
from ablation.data.sources.decode import MAYBE_DEEP, deepest, example
from ablation.data.sources.splits import named_splits, parted
from ablation.targets.cells import Cells, listed
from ablation.targets.labels import Labels
from ablation.terminal import counted
from ablation.text import readable

if TYPE_CHECKING:  # Loaded late, since pandas would delay every command.
    import pandas as pd

_WHAT = "a table with a row for each image or with columns of numbers, such as labels.csv"
_NAMED_AT_MOST = 5
_SEPARATORS = ",;\t"
_LISTS = (list, np.ndarray)
_FLAGS = {"true": "1", "false": "0", "": ""}
_PARQUET = (".parquet", ".pq")
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
        frame, numeric = _read(path)
        is_empty = (frame == "").all(axis=1)
        first = frame.index[0] if len(frame) else 0
        empty, frame = frame.index[is_empty], frame[~is_empty]
        has_images = dataset.path_column in frame or dataset.path_column != "path" or dataset.files
        self.kind = KINDS[dataset.kind or (IMAGES if has_images else "features")]
        if self.kind.name not in (IMAGES, "features"):
            raise UserError(f"dataset.kind={dataset.kind} is not for a table: images or features.")
        split_column = _split_column(frame, dataset)
        counting = _index(frame, but=dataset)
        frame = frame.drop(columns=counting)
        labels = self._labels(frame, dataset)
        key = "label_columns" if dataset.label_columns else "label_column"
        named = [("path_column", dataset.path_column)] if self.kind.name == IMAGES else []
        named += [(key, label) for label in labels]
        named += [("group", dataset.group)] if dataset.group else []
        if dataset.split_column != "split":
            named.append(("split_column", dataset.split_column))
        for key, column in named:
            self._check_column(frame, key, column)
        others = {*labels, split_column, dataset.group}
        rest = [str(one) for one in frame if one not in others]
        self.left_out = []
        if self.kind.name == IMAGES:
            unread = [one for one in rest if one != dataset.path_column]
            self.left_out += [LeftOut("a column that is not read", one) for one in unread]
        else:
            of_splits = frame[split_column] if split_column in frame else [""] * len(frame)
            ways = ways_to_count((frame.index - first).tolist(), list(of_splits))
            counts = [one for one in rest if counts_rows(frame[one], ways)]
            counting += counts if len(counts) < len(rest) else []
            frame = frame.drop(columns=counting, errors="ignore")
        self.left_out += [LeftOut("a column that numbers the rows", one) for one in counting]
        self.left_out += [LeftOut("an empty row", f"row {row}") for row in empty]
        splits = None
        if split_column in frame:
            splits, unused = named_splits(
                frame[split_column].tolist(),
                self.where,
                lambda place: self._row(frame, place),
                split_column,
            )
            left = frame[unused]
            is_row = self.kind.name != IMAGES
            names = left.index.map("row {}".format) if is_row else left[dataset.path_column]
            self.left_out += [LeftOut("of a third split", name) for name in names]
            frame, splits = frame[~unused], splits[~unused]
        self.is_val = splits
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
            self.numbers = self._features(frame[[one for one in frame if one not in others]])

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

    def _row(self, frame: "pd.DataFrame", place: int) -> str:
        return f"{self.where}, row {frame.index[place]}"

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
            first = f"{frame.iloc[place, column]!r} in {self.names[place]}"
            raise UserError(
                f"{self.where}: features are numbers, but there is text in {columns}, the first "
                f"{first}; make numbers of it or leave it out. A column of image files is named "
                "by dataset.path_column."
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


def _read(path: Path) -> tuple["pd.DataFrame", list[str]]:
    """Returns a table as text, and the columns whose lists hold numbers.

    A cell is "" where there is none. The index is the rows' numbers, as a spreadsheet has them:
    from 2, below the names, and empty ones too.

    Raises:
        UserError: it cannot be read.
    """
    import pandas as pd

    try:
        if path.suffix.lower() in _PARQUET:
            import pyarrow.parquet  # Not by pandas, which would make an index of columns.

            frame = pyarrow.parquet.read_table(path).to_pandas(ignore_metadata=True)
            numeric = [str(name) for name, one in frame.items() if _has_lists_of_numbers(one)]
            return _text(frame, numeric).set_axis(range(2, len(frame) + 2)), numeric
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = ((place, line) for place, line in enumerate(file) if line.strip())
            above, head = next(lines, (0, ""))
        separator = max(_SEPARATORS, key=head.count)
        _check_names(path, head, separator)
        with warnings.catch_warnings():
            # What a row has more than there are columns would be dropped.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                index_col=False,
                skiprows=above,
                skip_blank_lines=False,
                skipinitialspace=True,  # Else a text in quotes behind a space keeps them.
            )
    except ImportError:
        raise UserError(
            f"dataset.path={path} is Parquet, which needs pyarrow: pip install pyarrow. A CSV file "
            "needs nothing."
        ) from None
    except UnicodeDecodeError:
        raise UserError(
            f"dataset.path={path} is no table in UTF-8; save it in that encoding, which "
            "spreadsheets call CSV UTF-8."
        ) from None
    except pd.errors.ParserWarning:
        raise UserError(
            f"dataset.path={path} is no table: {_longer(path, separator)}. The names stand in the "
            "first row."
        ) from None
    except (OSError, ValueError) as error:  # Those of pyarrow too.
        raise UserError(f"dataset.path={path} is no table: {first_line(error)}.") from None
    frame = frame.set_axis(range(above + 2, above + len(frame) + 2))
    frame = frame.rename(columns=lambda name: name.strip() or name)
    return frame.apply(lambda column: column.str.strip()) if len(frame) else frame, []


def _check_names(path: Path, head: str, separator: str) -> None:
    """Raises UserError if two columns have one name, of which pandas would rename the second."""
    cells = csv.reader([head], delimiter=separator, skipinitialspace=True)
    names = [name.strip() for name in next(cells, [])]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"dataset.path={path} has two columns with the name {readable(twice)}; rename one, or "
            "leave it out."
        )


def _longer(path: Path, separator: str) -> str:
    """Returns which row of a table has more cells than there are names, in words."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter=separator, skipinitialspace=True))
    names = next(len(row) for row in rows if row)
    for number, row in enumerate(rows, start=1):
        if len(row) > names:
            return f"row {number} has {counted(len(row), 'cell')} for {counted(names, 'name')}"
    return f"a row has more cells than there are names, {names}"


def _text(frame: "pd.DataFrame", numeric: list[str]) -> "pd.DataFrame":
    """Returns a typed table as text; a label of 3.0 is a 3 that has missing neighbours."""
    whole = frame.apply(_without_lists, args=(numeric,)).convert_dtypes()
    return whole.astype(object).where(whole.notna(), "").astype(str)


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


def _as_flags(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Returns a column with 1 and 0 for true and false, where it holds nothing else."""
    small = column.str.lower()
    return small.map(_FLAGS.get) if small.isin(_FLAGS).all() else column


def _has_lists_of_numbers(column: "pd.Series[Any]") -> bool:
    lists = [cell for cell in column if isinstance(cell, _LISTS)] if column.dtype == object else []
    every = [one for cell in lists for one in cell if one is not None]
    return bool(every) and all(isinstance(one, int | float | np.number | np.bool_) for one in every)


def _without_lists(column: "pd.Series[Any]", numeric: list[str]) -> "pd.Series[Any]":
    """Returns a column with its lists as text, so that a cell has one or several labels."""
    if column.dtype != object:
        return column
    keeps = str(column.name) in numeric  # A number that is missing is one too few.
    return column.map(
        lambda cell: (
            listed(one for one in cell if keeps or one is not None)
            if isinstance(cell, _LISTS)
            else cell
        )
    )


SOURCE = Table

"""Tables as files have them: CSV, with any usual separator, and Parquet."""

import csv
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.config import UserError, first_line
from ablation.targets.cells import listed
from ablation.terminal import counted
from ablation.text import readable

if TYPE_CHECKING:  # Loaded late, since pandas would delay every command.
    import pandas as pd

_SEPARATORS = ",;\t"
_LISTS = (list, np.ndarray)
_PARQUET = (".parquet", ".pq")


def read_table(path: Path) -> tuple["pd.DataFrame", list[str]]:
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

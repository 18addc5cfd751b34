"""What a source can be asked for whose labels lie in the columns of a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ablation.config import UserError
from ablation.data.sources.common import option
from ablation.data.sources.splits import TargetConfig
from ablation.targets import TARGETS, guessed_of_cells
from ablation.targets.cells import Cells
from ablation.targets.common import Target


@dataclass
class ColumnsConfig(TargetConfig):
    """What a source can be asked for whose labels lie in columns."""

    label_column: str | None = option(None, "the column of the labels; null for label")
    label_columns: list[str] | None = option(
        None, "columns of 0 and 1, or of values, one a label, such as [haze,road]"
    )
    label_separator: str | None = option(
        None, "what stands between several labels in one cell; null for one of | ; , or a space"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.label_columns
        names = None if names is None else [str(one) for one in names]
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise UserError(
                f"dataset.label_columns={names} must name two columns or more that differ, such as "
                "[haze,road]; a single one is named by dataset.label_column."
            )
        if names is not None and self.label_column is not None:
            raise UserError(
                f"dataset.label_column={self.label_column} and dataset.label_columns exclude each "
                "other; name one column or several."
            )
        self.label_columns = names
        if self.label_separator == "":
            raise UserError("dataset.label_separator is empty; name what is between two labels.")

    def labelled(self, cells: Cells) -> tuple[type[Target], tuple[str, ...], np.ndarray]:
        """Returns the target of some labels, the names of its outputs, and the labels themselves.

        Raises:
            UserError: they are none of the target that is asked for.
        """
        cells = cells.unfolded(self.target)
        target = TARGETS[self.target] if self.target else guessed_of_cells(cells)
        return target, *target.of_cells(cells)


def is_index(name: str, cells: Iterable[object]) -> bool:
    """Returns whether a column is an index as pandas writes it: without a name, whole numbers."""
    is_unnamed = name.startswith(("Unnamed: ", "__index_level_"))
    return is_unnamed and all(str(cell).isdecimal() for cell in cells)


def ways_to_count(rows: Sequence[int], splits: Sequence[object]) -> list[list[int]]:
    """Returns the numbers from 0 that rows may be counted by.

    Args:
        rows: the number of each in the file, from 0, among those that were left out.
        splits: the split of each, whose rows may be counted on their own.
    """
    seen: Counter[object] = Counter()
    of_split = []
    for split in splits:
        of_split.append(seen[split])
        seen[split] += 1
    return [list(rows), list(range(len(rows))), of_split]


def counts_rows(cells: Iterable[object], ways: Sequence[Sequence[int]]) -> bool:
    """Returns whether a column counts the rows in their order from 0 or 1, as an Id does.

    Args:
        cells: of the column.
        ways: of `ways_to_count`.
    """
    alive: list[tuple[Sequence[int], int]] = []
    for place, cell in enumerate(cells):
        number = _whole(cell)
        if number is None:
            return False
        if not place:
            alive = [(way, number - way[0]) for way in ways if number - way[0] in (0, 1)]
        alive = [(way, first) for way, first in alive if number - way[place] == first]
        if not alive:
            return False
    return True


def _whole(cell: object) -> int | None:
    """Returns a cell as a whole number, such as 3 or 3.0, None if it is none."""
    try:
        number = float(str(cell))
    except ValueError:
        return None
    return int(number) if number.is_integer() else None

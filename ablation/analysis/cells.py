"""Which cells of a grid are to be there, of all that a table of several commands has room for."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ablation.analysis.comparison import Comparison
from ablation.designs.registry import GRID
from ablation.records import asked
from ablation.records.asked import Planned


def to_be(comparison: Comparison, plans: Sequence[Planned]) -> frozenset[tuple] | None:
    """Returns the rows and columns that commands have asked for, None if all are.

    Each command's grid is every combination of its own levels. What only the levels of several
    commands make together, nobody has asked for, and where designs of arms alone have asked, there
    is no more than their arms. Runs of no command's grid, such as those that were typed one by one,
    are joined with every grid, since nobody has said how far theirs goes.

    Args:
        comparison: of a grid.
        plans: what commands have asked for.
    """
    names = [*comparison.rows, "column"]
    runs = comparison.runs
    cells = dict(zip(runs["run"], runs[names].itertuples(index=False, name=None), strict=True))
    asking = [one for one in plans if not asked.run_names([one]).isdisjoint(cells)]
    there = [one for one in asking if one.design == GRID]
    if not there:
        return frozenset(cells.values()) if asked.run_names(asking).issuperset(cells) else None
    keys = [_keys(comparison, name) for name in names]
    # As runs call what was typed, so that a level is known by those of other commands too.
    shown: dict[tuple[int, tuple], set[Any]] = defaultdict(set)
    typed: list[list[set[tuple]]] = []
    for number, grid in enumerate(there):
        typed.append([set() for _ in names])
        for arm, runs_of_arm in zip(grid.arms, grid.runs, strict=True):
            for place, of_column in enumerate(keys):
                # What a command does not sweep is the same for all of its runs, whatever it is.
                level = tuple((key, arm.levels.get(key, (number,))) for key in of_column)
                typed[number][place].add(level)
                shown[place, level] |= {cells[run][place] for run in runs_of_arm if run in cells}
    levels = [
        [
            set[Any]().union(*(shown[place, level] for level in of_column))
            for place, of_column in enumerate(of_grid)
        ]
        for of_grid in typed
    ]
    found = {cell for of_grid in levels for cell in itertools.product(*of_grid)}
    beside = set(cells.values()) - found
    for of_grid in levels if beside else ():
        joined = [one | {cell[place] for cell in beside} for place, one in enumerate(of_grid)]
        found |= set(itertools.product(*joined))
    return frozenset(found)


def _keys(comparison: Comparison, name: str) -> list[str]:
    """Returns the keys whose levels a column of a comparison's runs shows."""
    title = comparison.contrast if name == "column" else name
    own = comparison.parts[title].key if title in comparison.parts else title
    folded = [comparison.folded.get(level, {}) for level in comparison.runs[name].unique()]
    return sorted({own, *(key for levels in folded for key in levels)})

"""The levels of a frame's columns: in which order, in which combinations, which of them vary."""

import re
from collections.abc import Collection, Hashable, Sequence
from typing import Any

import pandas as pd

from ablation.analysis.tuning import SETTING
from ablation.config import BACKENDS, PLACES
from ablation.factors import PARTS, Label

LOCATIONS = tuple(f"dataset.{place}" for place in PLACES)
"""Where images lie: a name for them in headings and rows. What they are is their fingerprint."""

READ = "read."
"""What a column begins with that has the digest of a file which the user's own code has read."""

LIBRARY = "library."
"""And one that has the version of a library which the user's own code imports."""

_GROUPS = ("dataset", "recipe")
"""Keys that stand for a group of keys, and whose level is the group's name."""


def levels(values: pd.Series) -> list[Any]:
    """Returns the distinct values of a factor in their natural order."""
    return sorted(pd.unique(values), key=lambda value: level_key(value, BACKENDS))


def combinations(runs: pd.DataFrame, factors: Sequence[str]) -> list[tuple]:
    """Returns the combinations of levels that the runs have, in natural order."""
    if not factors:
        return [()]
    found = runs[list(factors)].drop_duplicates().itertuples(index=False, name=None)
    orders = [levels(runs[factor]) for factor in factors]
    return sorted(found, key=lambda key: [o.index(v) for o, v in zip(orders, key, strict=True)])


def level_key(value: Any, known: Sequence[Hashable] = ()) -> tuple:
    """Returns what to sort levels by: a given order first, then numbers, then text."""
    if isinstance(value, Label):
        number = float(value) if re.fullmatch(r"-?\d*\.?\d+(e[+-]?\d+)?", value) else 0.0
        return 0, value.place, number, str(value)
    if value in known:
        return 0, list(known).index(value), 0.0, ""
    try:
        return 1, 0, float(value), ""
    except (TypeError, ValueError):
        return 2, 0, 0.0, str(value)


def varying(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Returns those columns that hold more than one value, with their values."""
    values = {column: list(pd.unique(frame[column])) for column in columns}
    return {column: found for column, found in values.items() if len(found) > 1}


def key_of(column: str) -> str:
    """Returns the key of the configuration that a column of a protocol stands for."""
    return column.removeprefix("config.").removeprefix(SETTING)


def level_column(factor: str) -> str:
    """Returns the column of `Study.runs` with the configured value of a factor."""
    return f"config.{factor}.name" if factor in _GROUPS else f"config.{factor}"


def protocol_columns(runs: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Returns the configuration columns that are no factor, no part of one and not the seed."""
    own = {"config.seed", "config.draw", "config.dataset.name", "config.recipe.name"}
    own |= {f"config.{factor}" for factor in (*factors, *LOCATIONS)}
    # A part that was tuned is no level beside those that it was set to.
    own |= {f"{SETTING}{factor}" for factor in factors if not factor.startswith(PARTS)}
    # Where some arms were tuned, the setting says whether, or which value it is.
    settings = [column for column in runs.columns if column.startswith(SETTING)]
    own |= {f"config.{column.removeprefix(SETTING)}" for column in settings}
    # A data set is compared within itself, so that its keys belong to the protocol.
    grouped = tuple(
        f"{prefix}{factor}."
        for factor in factors
        if factor == "recipe"
        for prefix in ("config.", SETTING)
    )
    return [
        column
        for column in runs.columns
        if column.startswith(("config.", SETTING))
        and column not in own
        and not column.startswith(grouped)
    ]


def telling(cells: Collection[tuple]) -> list[int]:
    """Returns as few places, the first ones rather, as tell some cells apart.

    One level may follow from others, as the kind of a part does in a net without that part.

    Args:
        cells: the levels of each, in one order of factors.
    """

    def parted(by: Sequence[int]) -> int:
        return len({tuple(cell[place] for place in by) for cell in cells})

    told: list[int] = []
    for place in range(len(next(iter(cells), ()))):
        if parted([*told, place]) > parted(told):
            told.append(place)
    return told

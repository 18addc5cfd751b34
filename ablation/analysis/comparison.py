"""Which runs of a study may stand in one table, and how: rows, columns, reference."""

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from ablation.config import BACKENDS, BASELINE, OWN_ORDER
from ablation.networks.specs import ARCHS, SHORTCUTS, BaselineSpec, ResNetSpec, Spec, chooses_stride
from ablation.records import store
from ablation.text import utf8
from ablation.validation import check_contrast, find_level, unknown_level

NET_FACTORS = ("plain", "shortcut")
"""Together they say what kind of net a run is: plain, or residual with one kind of shortcut."""

LOCATIONS = ("dataset.path", "dataset.data_dir")
"""Where images lie: a name for them in headings and rows. What they are is their fingerprint."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs that share a table: one data set under one protocol.

    Attributes:
        dataset: name of the data set.
        protocol: what sets this comparison apart from others of the data set, {} if it is alone.
        contrast: the factor whose levels are the columns.
        reference: the level that the others are compared with, None if no run has it.
        rows: the factors that make a row.
        runs: the rows of `Study.runs` that belong to it, with `column` added, the contrast's level.
    """

    dataset: str
    protocol: dict[str, Any]
    contrast: str
    reference: str | None
    rows: tuple[str, ...]
    runs: pd.DataFrame

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The complete runs."""
        return self.runs[self.runs["state"] == store.COMPLETE]

    @cached_property
    def columns(self) -> list[str]:
        """The contrast's levels, the reference first."""
        found = levels(self.contrast, self.runs["column"])
        return sorted(found, key=lambda level: level != self.reference)

    @cached_property
    def others(self) -> list[str]:
        """The columns that are compared with the reference: those that share a row with it."""
        rows = self._rows_of_reference().drop_duplicates().to_dict("records")
        return [
            column
            for column in self.columns
            if column != self.reference and any(self.exists(row, column) for row in rows)
        ]

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The runs in rows that have the reference, which effects are made of."""
        return self.runs.loc[self._rows_of_reference().index]

    def difference(self, column: str) -> str:
        """Returns the name of a column minus the reference."""
        return f"{column} - {self.reference}"

    @property
    def prefix(self) -> str:
        """What stands before a level where levels do not say what they are levels of."""
        return "" if self.contrast in NET_FACTORS else f"{self.contrast} "

    @property
    def column_title(self) -> str:
        """What the columns are."""
        return "net" if self.contrast in NET_FACTORS else self.contrast

    def exists(self, row: dict[str, Any], column: str) -> bool:
        """Returns whether there can be a net of some row and column; see `specs` for which can.

        Args:
            row: values of the factors in `rows`.
            column: a level of the contrast.
        """
        cell = row | {self.column_title: column}
        if "arch" not in cell:
            return True
        spec = ARCHS[cell["arch"]]
        if "preact" in cell and (cell["preact"] == OWN_ORDER) == isinstance(spec, ResNetSpec):
            return False
        if "stride_on" in cell and (cell["stride_on"] == "none") == chooses_stride(spec):
            return False
        return "net" not in cell or _has_net(spec, cell["net"])

    def _rows_of_reference(self) -> pd.DataFrame:
        """Returns the row factors of the runs whose row has the reference."""
        frame = self.runs[list(self.rows)]
        if self.reference is None:
            return frame.iloc[:0]
        return frame[[self.exists(row, self.reference) for row in frame.to_dict("records")]]


Result = TypeVar("Result")


def once(function: Callable[[Comparison], Result]) -> Callable[[Comparison], Result]:
    """Lets a function of a comparison work once for each, for as long as the comparison lives."""
    known: WeakKeyDictionary[Comparison, Result] = WeakKeyDictionary()

    @functools.wraps(function)
    def remembering(comparison: Comparison) -> Result:
        if comparison not in known:
            known[comparison] = function(comparison)
        return known[comparison]

    return remembering


def comparisons(
    runs: pd.DataFrame,
    factors: Sequence[str],
    contrast: str = "plain",
    reference: str | None = None,
) -> list[Comparison]:
    """Splits a study into the comparisons that may each be one table.

    Args:
        runs: one row a run, as in `Study.runs`.
        factors: the study's factors.
        contrast: the factor whose levels are compared.
        reference: the level to compare with; by default plain, no shortcut, or the first level.

    Raises:
        UserError: the contrast is no factor of the study, or no run has the reference.
    """
    check_contrast(contrast, factors)
    found = []
    for dataset, of_dataset in runs.groupby("dataset", sort=False):
        of_protocols = [
            (_protocol(of_dataset, of_protocol, factors), of_protocol)
            for _, of_protocol in of_dataset.groupby("protocol", sort=False)
        ]
        # In the order of what sets them apart, not of the names of their runs.
        of_protocols.sort(key=lambda one: [level_key(value) for value in one[0].values()])
        for protocol, of_protocol in of_protocols:
            rows, columned = _rows_and_columns(of_protocol, factors, contrast)
            known = levels(contrast, columned["column"])
            its_reference = _reference(contrast, reference, known)
            found.append(
                Comparison(str(dataset), protocol, contrast, its_reference, rows, columned)
            )
    if reference and not any(one.reference for one in found):
        known = levels(contrast, pd.concat([one.runs["column"] for one in found]))
        raise unknown_level(reference, contrast, known)
    return found


def levels(factor: str, values: pd.Series) -> list[Any]:
    """Returns the distinct values of a factor in their natural order."""
    nets = ["plain", "residual", *(f"residual {kind}" for kind in SHORTCUTS), BASELINE]
    orders = {
        "arch": list(ARCHS),
        "shortcut": ["none", *SHORTCUTS, BASELINE],
        "backend": list(BACKENDS),
    }
    known = orders.get(factor, nets)
    return sorted(pd.unique(values), key=lambda value: level_key(value, known))


def combinations(runs: pd.DataFrame, factors: Sequence[str]) -> list[tuple]:
    """Returns the combinations of levels that the runs have, in natural order."""
    if not factors:
        return [()]
    found = runs[list(factors)].drop_duplicates().itertuples(index=False, name=None)
    orders = [levels(factor, runs[factor]) for factor in factors]
    return sorted(found, key=lambda key: [o.index(v) for o, v in zip(orders, key, strict=True)])


def level_key(value: Any, known: Sequence[Hashable] = ()) -> tuple:
    """Returns what to sort levels by: a given order first, then numbers, then text."""
    if value in known:
        return 0, list(known).index(value), ""
    try:
        return 1, float(value), ""
    except (TypeError, ValueError):
        return 2, 0.0, str(value)


def protocol_columns(runs: pd.DataFrame, factors: Sequence[str]) -> list[str]:
    """Returns the configuration columns that are no factor, no part of one and not the seed."""
    own = {"config.seed", "config.dataset.name", "config.recipe.name"}
    own |= {f"config.{factor}" for factor in (*factors, *LOCATIONS)}
    # A data set is compared within itself, so that its keys belong to the protocol.
    grouped = tuple(f"config.{factor}." for factor in factors if factor == "recipe")
    return [
        column
        for column in runs.columns
        if column.startswith("config.") and column not in own and not column.startswith(grouped)
    ]


def varying(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Returns those columns that hold more than one value, with their values."""
    values = {column: list(pd.unique(frame[column])) for column in columns}
    return {column: found for column, found in values.items() if len(found) > 1}


def _rows_and_columns(
    runs: pd.DataFrame, factors: Sequence[str], contrast: str
) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Returns the row factors and the runs with `net`, what kind of net, and `column`."""
    others = [f for f in factors if f not in ("arch", "dataset", contrast, *NET_FACTORS)]
    inner = ["arch", *varying(runs, others)]
    if runs.loc[runs["preact"] != OWN_ORDER, "preact"].nunique() < 2 and "preact" in inner:
        inner.remove("preact")  # It varies with the architecture alone.
    if contrast not in ("arch", *NET_FACTORS):
        inner.append(contrast)
    residual = runs[runs["arm"] == "residual"]
    several = (residual.groupby(inner)["shortcut"].nunique() > 1).any()
    of_residual = runs["arm"] + " " + runs["shortcut"] if several else runs["arm"]
    runs = runs.assign(net=runs["arm"].where(runs["arm"] != "residual", of_residual))
    rows = [name for name in inner if name != contrast]
    if contrast == "plain":
        return tuple(rows), runs.assign(column=runs["net"])
    if contrast == "shortcut":
        column = runs["shortcut"].where(runs["arm"] != BASELINE, BASELINE)
        return tuple(rows), runs.assign(column=column)
    if runs["net"].nunique() > 1:
        rows.append("net")
    rows = rows or ["net"]
    return tuple(rows), runs.assign(column=_distinct(runs[contrast].astype(str), rows))


def _distinct(names: pd.Series, rows: Sequence[str]) -> pd.Series:
    """Returns levels, such as paths, in quotes where a table has another column of that name."""
    found = names.unique()
    taken = {*rows, "dataset", "protocol"}
    taken |= {f"{one} - {other}" for one in found for other in found}
    taken |= {f"{one} {what}" for one in found for what in ("sd", "n", "note")}
    return names.where(~names.isin(taken), "'" + names + "'")


def _has_net(spec: Spec, net: str) -> bool:
    """Returns whether an architecture comes as this kind of net."""
    if isinstance(spec, BaselineSpec) or net == BASELINE:
        return isinstance(spec, BaselineSpec) and net == BASELINE
    shortcut = net.removeprefix("residual ")
    return shortcut not in SHORTCUTS or shortcut in spec.choices["shortcut"]


def _reference(contrast: str, asked: str | None, known: list[str]) -> str | None:
    if contrast in NET_FACTORS:  # Of others it may be a level like any.
        known = [level for level in known if level != BASELINE]
    if asked is None:
        usual = ["plain"] if contrast == "plain" else known[:1]
        return next((level for level in usual if level in known), None)
    return find_level(utf8(asked), known) or find_level(f"'{utf8(asked)}'", known)


def _protocol(
    of_dataset: pd.DataFrame, of_protocol: pd.DataFrame, factors: Sequence[str]
) -> dict[str, Any]:
    """Returns the keys in which the protocols of a data set differ, with this one's values."""
    if of_dataset["protocol"].nunique() == 1:
        return {}
    differing = varying(of_dataset, protocol_columns(of_dataset, factors))
    found = {key.removeprefix("config."): of_protocol[key].iloc[0] for key in differing}
    if of_dataset["fingerprint"].nunique() > 1:
        found |= _images(of_dataset, of_protocol)
    return found


def _images(of_dataset: pd.DataFrame, of_protocol: pd.DataFrame) -> dict[str, Any]:
    """Returns what images a protocol has: where they lie, or their hash if that does not say it."""
    places = list(varying(of_dataset, [f"config.{key}" for key in LOCATIONS]))
    one = of_protocol.iloc[0]
    found = {key.removeprefix("config."): one[key] for key in places}
    if not places or (of_dataset.groupby(places, dropna=False)["fingerprint"].nunique() > 1).any():
        found["images"] = str(one["fingerprint"])[:8]
    return found

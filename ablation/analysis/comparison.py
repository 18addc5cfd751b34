"""Which runs of a study may stand in one table, and how: rows, columns, reference."""

import functools
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.tuning import SETTING, ArmTuning
from ablation.config import BACKENDS, PLACES
from ablation.data.kinds import Noun, noun_of
from ablation.designs import BLOCKS, Question
from ablation.designs.controls import LESION
from ablation.designs.registry import GRID
from ablation.factors import (
    LAST,
    PARTS,
    Factor,
    Label,
    find_factor,
    find_level,
    unknown_level,
    usual_contrast,
    varying_within,
)
from ablation.records import store
from ablation.records.asked import Looked
from ablation.targets import CLASSES
from ablation.targets.common import Target
from ablation.text import utf8

LOCATIONS = tuple(f"dataset.{place}" for place in PLACES)
"""Where images lie: a name for them in headings and rows. What they are is their fingerprint."""

READ = "read."
"""What a column begins with that has the digest of a file which the user's own code has read."""

LIBRARY = "library."
"""And one that has the version of a library which the user's own code imports."""

_GROUPS = ("dataset", "recipe")
"""Keys that stand for a group of keys, and whose level is the group's name."""


@dataclass(frozen=True)
class ArmRow:
    """An arm of a design, as a table shows it.

    Attributes:
        name: what a table calls it, such as "reference" or "without se".
        role: see `designs.Arm`; "target" for a net beside the design.
        factor: what a table calls the factor that was changed, None in the first arm of its kind.
        levels: of every factor of the design, by what a table calls it.
        switches: of factors that are on or off, by their own names, whether they are on; None where
            that changes nothing.
        keys: of the factors, by what a table calls them.
        added: what it is called where it is an addition to the stripped arm. That is its name but
            of a change of the reference which is an addition too, as with two factors.
    """

    name: Label
    role: str
    factor: str | None
    levels: Mapping[str, str]
    switches: Mapping[str, bool | None] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    added: str = ""


@dataclass(frozen=True, eq=False)
class ControlArm:
    """The runs of one control of one arm.

    Attributes:
        kind: one of `designs.controls.CONTROLS`.
        of: the cell of the arm that it is the control of: levels of the rows, and the column.
        against: the cell that its score is compared with.
        name: what a table calls it.
        runs: of the control, with the columns of `Comparison.runs`; row and column are its arm's.
        facts: what else is to be known of it.
    """

    kind: str
    of: tuple
    against: tuple
    name: str
    runs: pd.DataFrame
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs that share a table: one data set under one protocol.

    A grid is a table of rows and columns. The arms of any other design are the columns of one row.

    Attributes:
        dataset: name of the data set.
        protocol: what sets this comparison apart from others of the data set, {} if it is alone.
        contrast: what a table calls the factor whose levels are the columns.
        reference: the level that the others are compared with, None if there is no other.
        rows: what a table calls the factors that make a row, each a column of `runs`.
        runs: the rows of `Study.runs` that belong to it, but for nets that do not exist; with the
            columns `rows` and `column`, the contrast's level.
        prefix: what stands before a level of the contrast, which does not say of what it is one.
        parts: the parts that make rows or the column, by what a table calls them.
        folded: for each level of such a part that names levels of other parts too, all of them.
        refused: rows and columns whose net the network's own function has refused to build.
        all_parts: of the networks of the study.
        design: its name.
        arms: of any other design than a grid, those whose net exists.
        asked: what that design asks, of the arms by their place.
        unbuilt: why there is no reference or no stripped arm that others are made of, by its role.
        target: what the labels of its runs say.
        metric: what `score` is.
        margin: below which a difference does not matter, None if none was given.
        missing: the names of runs that a grid has planned and that have no files yet.
        looked: how its seeds were bought by looking at the results, None if they were not.
        tuned: what was tuned for its arms.
        controls: what stands beside its arms; no question is asked of them.
        to_be: rows and columns that are to have runs, None if all are; see `cells`.
    """

    dataset: str
    protocol: dict[str, Any]
    contrast: str
    reference: str | None
    rows: tuple[str, ...]
    runs: pd.DataFrame
    prefix: str
    parts: dict[str, Factor]
    folded: dict[str, dict[str, str]]
    refused: frozenset[tuple]
    all_parts: tuple[Factor, ...]
    design: str = GRID
    arms: tuple[ArmRow, ...] = ()
    asked: tuple[Question, ...] = ()
    unbuilt: Mapping[str, str] = field(default_factory=dict)
    target: Target = CLASSES
    metric: Metric = ACCURACY
    margin: float | None = None
    missing: tuple[str, ...] = ()
    looked: Looked | None = None
    tuned: tuple[ArmTuning, ...] = ()
    controls: tuple[ControlArm, ...] = ()
    to_be: frozenset[tuple] | None = None

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The complete runs."""
        return self.runs[self.runs["state"] == store.COMPLETE]

    @cached_property
    def checked(self) -> pd.DataFrame:
        """The complete runs of arms and controls, which must have had one budget."""
        beside = [
            one.runs[one.runs["state"] == store.COMPLETE]
            for one in self.controls
            if one.kind != LESION
        ]
        # An arm that is as large as another's control stands here once.
        return (
            pd.concat([self.complete, *beside]).drop_duplicates("run") if beside else self.complete
        )

    @cached_property
    def noun(self) -> Noun:
        """What its inputs are called."""
        return noun_of(self.complete["kind"].unique())

    @cached_property
    def columns(self) -> list[str]:
        """The contrast's levels, the reference first; or the arms."""
        if self.arms:
            return [arm.name for arm in self.arms]
        found = levels(self.runs["column"])
        return sorted(found, key=lambda level: level != self.reference)

    @cached_property
    def chosen(self) -> dict[tuple, dict[str, Any]]:
        """What was chosen for each row and column whose arm was tuned, by key."""
        keys = [column for column in self.runs.columns if column.startswith("tuned.")]
        if not keys:
            return {}
        found: dict[tuple, dict[str, Any]] = {}
        names = [*self.rows, "column"]
        for *cell, arm in self.runs[[*names, "tuned_arm"]].itertuples(index=False, name=None):
            known = next((one for one in self.tuned if one.record.arm == arm), None)
            if known:
                found.setdefault(tuple(cell), known.record.values)
        return found

    @property
    def tuned_keys(self) -> list[str]:
        """What was tuned for its arms."""
        return list(dict.fromkeys(key for one in self.tuned for key in one.record.keys))

    @cached_property
    def others(self) -> list[str]:
        """The columns that are compared with the reference: those that share a row with it."""
        rows = self._rows_of_reference().drop_duplicates().to_dict("records")
        reference = str(self.reference)
        return [
            column
            for column in self.columns
            if column != reference
            and any(self.exists(row, reference) and self.exists(row, column) for row in rows)
        ]

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The runs in rows that have the reference, which effects are made of."""
        return self.runs.loc[self._rows_of_reference().index]

    @property
    def built_reference(self) -> str | None:
        """The reference; None too if its net could not be built, and its row is another arm's."""
        return None if "reference" in self.unbuilt else self.reference

    def difference(self, column: str) -> str:
        """Returns the name of a column minus the reference."""
        return f"{column} - {self.reference}"

    def exists(self, row: dict[str, Any], column: str) -> bool:
        """Returns whether there is to be a net of some row and column.

        That is one that can be built and that a command has asked for, if that is on record.

        Args:
            row: values of the factors in `rows`.
            column: a level of the contrast.
        """
        is_asked = self.to_be is None or (*(row[name] for name in self.rows), column) in self.to_be
        return is_asked and self._can_be(row, column)

    def _can_be(self, row: dict[str, Any], column: str) -> bool:
        if (*(row[name] for name in self.rows), column) in self.refused:
            return False
        named = row | {self.contrast: column}
        cell = {"arch": named["arch"]} if "arch" in named else {}
        for name, factor in self.parts.items():
            cell |= self.folded.get(named[name], {factor.key: named[name]})
        factors = {factor.key: factor for factor in self.all_parts}
        return all(factors[key].fits(cell) for key in cell if key != "arch")

    def _rows_of_reference(self) -> pd.DataFrame:
        """Returns the row factors of the runs whose row has the reference."""
        frame = self.runs[list(self.rows)]
        if self.reference is None:
            return frame.iloc[:0]
        # A row whose reference nobody has asked for still has what rows are compared by.
        return frame[[self._can_be(row, self.reference) for row in frame.to_dict("records")]]


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
    parts: Mapping[str, Factor],
    contrast: str | None = None,
    reference: str | None = None,
) -> list[Comparison]:
    """Splits a study into the comparisons that may each be one table.

    Args:
        runs: one row a run, as in `Study.runs`.
        factors: keys of the study's factors.
        parts: those of them that are parts of networks, by key.
        contrast: the factor whose levels are compared; by default see `usual_contrast`.
        reference: the level to compare with; by default the contrast's own, or the first.

    Raises:
        UserError: the contrast is no factor of the study, or no run has the reference.
    """
    key = find_factor(contrast, factors) if contrast else usual_factor(runs, factors, parts)
    found = []
    for dataset, of_dataset in runs.groupby("dataset", sort=False):
        for of_protocol, protocol in protocol_of(of_dataset, factors):
            if (of_protocol["state"] != store.REFUSED).any():
                layout = _Layout(of_protocol, factors, parts, key)
                found.append(layout.comparison(str(dataset), protocol, reference))
    if reference and found and not any(one.reference for one in found):
        known = levels(pd.concat([one.runs["column"] for one in found]))
        raise unknown_level(reference, key, known)
    return found


def usual_factor(runs: pd.DataFrame, factors: Sequence[str], parts: Mapping[str, Factor]) -> str:
    """Returns the key of the factor whose levels are compared if nobody names one."""
    return usual_contrast(_varying_parts(runs, parts), _varying_within_data(runs, factors))


def protocol_of(
    of_dataset: pd.DataFrame, factors: Sequence[str]
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Returns the runs of each protocol of a data set, with what sets it apart from the others."""
    found = [
        (of_protocol, _protocol(of_dataset, of_protocol, factors))
        for _, of_protocol in of_dataset.groupby("protocol", sort=False)
    ]
    # In the order of what sets them apart, not of the names of their runs.
    return sorted(found, key=lambda one: [level_key(value) for value in one[1].values()])


def _varying_parts(runs: pd.DataFrame, parts: Mapping[str, Factor]) -> dict[str, bool]:
    rows = runs[["arch", *parts]].drop_duplicates().to_dict("records")
    return varying_within((row.pop("arch"), row) for row in rows)


def _varying_within_data(runs: pd.DataFrame, factors: Sequence[str]) -> dict[str, bool]:
    keys = [key for key in factors if key not in BLOCKS]
    rows = runs[["dataset", *keys]].drop_duplicates().to_dict("records")
    return varying_within((row.pop("dataset"), row) for row in rows)


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


def key_of(column: str) -> str:
    """Returns the key of the configuration that a column of a protocol stands for."""
    return column.removeprefix("config.").removeprefix(SETTING)


def varying(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Returns those columns that hold more than one value, with their values."""
    values = {column: list(pd.unique(frame[column])) for column in columns}
    return {column: found for column, found in values.items() if len(found) > 1}


_OF_TABLES = (
    *("parameters", "multiply_adds", "peak_memory_bytes", "shared", "of_reference"),
    *("mean", "sd", "n", "loss", "failed", "missing", "chosen", "edge", "tied", "runs"),
)
"""Columns of tables that have those of the row factors too: of costs, starts and tuning."""


class _Layout:
    """Which factors of some runs make rows, and what their columns are.

    A part that hangs on another, such as which kind of branch a net with branches has, makes no
    rows of its own: its levels stand beside those of the other.

    Args:
        runs: of one data set under one protocol.
        factors: keys of the study's factors.
        parts: those of them that are parts, by key.
        contrast: key of the factor whose levels are the columns.
    """

    def __init__(
        self,
        runs: pd.DataFrame,
        factors: Sequence[str],
        parts: Mapping[str, Factor],
        contrast: str,
    ):
        self._runs = runs
        self._parts = parts
        self._contrast = contrast
        self._folded: dict[str, dict[str, str]] = {}
        others = [key for key in factors if key not in ("arch", "dataset", "seed", contrast)]
        varies = _varying_parts(runs, parts)
        several = [key for key in parts if key in others and varies[key]]
        rows = ["arch"] if contrast != "arch" else []
        whole = [*several, contrast]
        inner = {
            key: parent
            for key in several
            if (parent := next((one for one in parts[key].within if one in whole), None))
        }
        rows += [key for key in several if key not in inner]
        rows += list(varying(runs, [key for key in others if key not in parts]))
        # The contrast may hang on a part: then its levels say which of that part's there is.
        outer = parts[contrast].within if contrast in parts else []
        self._rows = [key for key in rows if key not in outer]
        if not self._rows:
            self._rows = [next((key for key in parts if key != contrast), "dataset")]
        for key, parent in inner.items():
            self._fold(key, parent, rows)

    def _fold(self, key: str, parent: str, rows: Sequence[str]) -> None:
        """Puts the levels of a part beside those of the part that it hangs on."""
        frame = self._runs
        applies = pd.Series([level.applies for level in frame[key]], index=frame.index)
        groups = [name for name in rows if name != parent]
        if not (frame[applies].groupby([*groups, parent])[key].nunique() > 1).any():
            return
        folded = [
            outer.beside(
                inner if inner.speaks else Label(f"{self._title(key)} {inner}", inner.place)
            )
            if there
            else outer
            for outer, inner, there in zip(frame[parent], frame[key], applies, strict=True)
        ]
        for label, outer, inner in zip(folded, frame[parent], frame[key], strict=True):
            before = self._folded.get(outer, {parent: outer})
            self._folded[label] = before | ({key: inner} if label != outer else {})
        self._runs = frame.assign(**{parent: pd.Series(folded, frame.index, object)})

    def _title(self, key: str) -> str:
        return self._parts[key].title if key in self._parts else key

    def comparison(
        self, dataset: str, protocol: dict[str, Any], reference: str | None
    ) -> Comparison:
        """Returns the comparison of the runs."""
        runs, contrast = self._runs, self._contrast
        names = {key: self._title(key) for key in (*self._rows, contrast)}
        taken = {*runs.columns, *_OF_TABLES, "dataset", "protocol", "column"} - names.keys()
        for key, name in names.items():
            if name != key and (name in taken or list(names.values()).count(name) > 1):
                names[key] = key
        columns = runs[contrast]
        if contrast not in self._parts:
            texts = [one if isinstance(one, Label) else str(one) for one in columns]
            columns = pd.Series(texts, columns.index, object)
        quoted = _distinct(columns, [names[key] for key in self._rows])
        for level, shown in zip(columns, quoted, strict=True):
            if contrast in self._parts and shown != level:
                self._folded[shown] = self._folded.get(level, {contrast: level})
        columns = quoted
        shown = {names[key]: runs[key] for key in self._rows} | {"column": columns}
        runs = runs.assign(**shown)
        there = runs["state"] != store.REFUSED
        rows = tuple(names[key] for key in self._rows)
        refused = runs.loc[~there, [*rows, "column"]].itertuples(index=False, name=None)
        column = runs.loc[there, "column"]
        speaks = all(getattr(level, "speaks", False) for level in column)
        return Comparison(
            dataset,
            protocol,
            names[contrast],
            self._reference(reference, levels(column)),
            rows,
            runs[there],
            "" if speaks else f"{names[contrast]} ",
            {names[key]: self._parts[key] for key in names if key in self._parts},
            self._folded,
            frozenset(refused),
            tuple(self._parts.values()),
        )

    def _reference(self, asked: str | None, known: list[str]) -> str | None:
        # A network that has no such part stands beside the others and not among them.
        if self._contrast in self._parts:
            known = [level for level in known if getattr(level, "place", 0) < LAST]
        if asked is not None:
            return find_level(utf8(asked), known) or find_level(f"'{utf8(asked)}'", known)
        if len(known) < 2:
            return None
        part = self._parts.get(self._contrast)
        if not part:
            return known[0]
        # The reference may have several kinds, by a part that hangs on it; of these its own.
        kinds = {
            level: self._folded[level]
            for level in known
            if self._folded.get(level, {}).get(self._contrast) == part.reference
        }
        if kinds and part.reference not in known:
            return max(kinds, key=lambda level: self._of_reference(kinds[level]))
        return part.first(known)

    def _of_reference(self, cell: Mapping[str, str]) -> int:
        """Returns how many parts of a cell have the level that others are compared with."""
        return sum(level == self._parts[key].reference for key, level in cell.items())


def _distinct(names: pd.Series, rows: Sequence[str]) -> pd.Series:
    """Returns levels, such as paths, in quotes where a table has another column of that name."""
    found = names.unique()
    taken = {*rows, "dataset", "protocol"}
    taken |= {f"{one} - {other}" for one in found for other in found}
    taken |= {f"{one} {what}" for one in found for what in ("sd", "n", "note")}
    known = {name: name for name in found if name not in taken}
    for name in set(found) - known.keys():
        quoted = f"'{name}'"
        known[name] = Label(quoted, name.place, name.speaks) if isinstance(name, Label) else quoted
    return pd.Series([known[name] for name in names], names.index, object)


def _protocol(
    of_dataset: pd.DataFrame, of_protocol: pd.DataFrame, factors: Sequence[str]
) -> dict[str, Any]:
    """Returns the keys in which the protocols of a data set differ, with this one's values."""
    if of_dataset["protocol"].nunique() == 1:
        return {}
    differing = varying(of_dataset, protocol_columns(of_dataset, factors))
    found = {key_of(key): _known(of_protocol[key].iloc[0]) for key in differing}
    if of_dataset["fingerprint"].nunique() > 1:
        found |= _images(of_dataset, of_protocol)
    return found


def _images(of_dataset: pd.DataFrame, of_protocol: pd.DataFrame) -> dict[str, Any]:
    """Returns what images a protocol has: where they lie, or their hash if that does not say it."""
    places = list(varying(of_dataset, [f"config.{key}" for key in LOCATIONS]))
    one = of_protocol.iloc[0]
    found = {key.removeprefix("config."): _known(one[key]) for key in places}
    if not places or (of_dataset.groupby(places, dropna=False)["fingerprint"].nunique() > 1).any():
        found["images"] = str(one["fingerprint"])[:8]
    return found


def _known(value: Any) -> Any:
    """Returns a value of a frame, which has NaN for none beside texts or numbers."""
    return None if isinstance(value, float) and math.isnan(value) else value


def level_column(factor: str) -> str:
    """Returns the column of `Study.runs` with the configured value of a factor."""
    return f"config.{factor}.name" if factor in _GROUPS else f"config.{factor}"

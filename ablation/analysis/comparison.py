"""Runs of a study that stand in one table."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import pandas as pd

from ablation.analysis.levels import levels
from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.tuning import ArmTuning
from ablation.data.kinds import Noun, noun_of
from ablation.designs import Question
from ablation.designs.controls import LESION
from ablation.designs.registry import GRID
from ablation.factors import Factor, Label
from ablation.records import store
from ablation.records.asked import Looked
from ablation.targets import CLASSES
from ablation.targets.common import Target


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

"""Which runs of a study may stand in one table, and how: rows, columns, reference."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.levels import LOCATIONS, key_of, level_key, levels, protocol_columns, varying
from ablation.designs import BLOCKS
from ablation.factors import (
    LAST,
    Factor,
    Label,
    find_factor,
    find_level,
    unknown_level,
    usual_contrast,
    varying_within,
)
from ablation.records import store
from ablation.text import utf8

_OF_TABLES = (
    *("parameters", "multiply_adds", "peak_memory_bytes", "shared", "of_reference"),
    *("mean", "sd", "n", "loss", "failed", "missing", "chosen", "edge", "tied", "runs"),
)
"""Columns of tables that have those of the row factors too: of costs, starts and tuning."""


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

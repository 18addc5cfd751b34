"""What changed between two studies, cell by cell."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ablation.analysis.levels import (
    LIBRARY,
    LOCATIONS,
    READ,
    key_of,
    level_column,
    level_key,
    protocol_columns,
    telling,
    varying,
)
from ablation.analysis.metrics import Metric
from ablation.analysis.study import Study
from ablation.analysis.tables import NO_SCORE
from ablation.factors import PARTS
from ablation.records import asked, store
from ablation.report.cells import Cells
from ablation.terminal import counted

_HEADING = "{} after the final epoch{}"
NOTE = (
    "Means over the seeds that each study has, ± their standard deviation; the difference is of "
    "means, not paired, and has no verdict."
)

SAME_PROTOCOL = "The same keys, data, code and machine."

_OF_DIGEST = 12


@dataclass(frozen=True)
class Difference:
    """How two studies differ.

    Attributes:
        names: of both.
        keys: what makes a cell, and what a table calls it.
        cells: the table of cells.
        protocol: the keys in which they differ, without rows if there are none.
        problems: what could not be read.
        heading: what the numbers are.
        beside: which runs of them are in no cell, a sentence for each study that has some.
    """

    names: tuple[str, str]
    keys: Mapping[str, str]
    cells: Cells
    protocol: Cells
    problems: tuple[str, ...]
    heading: str
    beside: tuple[str, ...] = ()
    note: str = NOTE
    same_protocol: str = SAME_PROTOCOL

    @property
    def title(self) -> str:
        """What is compared with what."""
        return f"{self.names[1]} against {self.names[0]}"

    @staticmethod
    def cell_values(runs: pd.DataFrame, key: str) -> pd.Series:
        """Returns the value that each run has of what makes a cell, as text."""
        column = key if key in runs else level_column(key)
        found = runs[column] if column in runs else pd.Series(None, runs.index)
        return found.astype(object).where(found.notna(), "").astype(str)


def difference(one: Study, other: Study) -> Difference:
    """Returns how two studies differ: in protocol, and in each cell.

    Args:
        one: the study to compare with.
        other: the study that is compared.
    """
    names = one.directory.name, other.directory.name
    if names[0] == names[1]:
        names = str(one.directory), str(other.directory)
    return Difference(
        names,
        _called(_cell_keys(one, other), names),
        _cells(one, other, names),
        _protocol(one, other, names),
        tuple(
            f"{name}: {problem}"
            for name, study in zip(names, (one, other), strict=True)
            for problem in study.problems
        ),
        _heading(_metrics(one, other)),
        tuple(_beside(one, names[0])) + tuple(_beside(other, names[1])),
    )


def _beside(study: Study, name: str) -> Iterator[str]:
    """Yields how many runs of a study are compared with none, and of what kind they are."""
    counts = {
        "of controls": len(study.control_runs),
        "that tune": len(store.tuning_directories(study.directory)),
    }
    told = [f"{counted(count, 'run')} {kind}" for kind, count in counts.items() if count]
    if told:
        yield f"In no cell: {' and '.join(told)} of {name}."


def _metrics(*studies: Study) -> list[Metric]:
    """Returns what the scores of some studies are, each once."""
    found: dict[tuple[str, str], Metric] = {}
    for study in studies:
        for _, runs in study.runs.groupby("target", sort=False):
            metric = study.metric_of(runs)
            found[_kind(metric)] = metric
    return list(found.values())


def _kind(metric: Metric) -> tuple[str, str]:
    """Returns what two scores must have in common to be subtracted."""
    return metric.name, metric.unit


def _heading(metrics: Sequence[Metric]) -> str:
    if len(metrics) != 1:
        return _HEADING.format("Scores", "")
    metric = metrics[0]
    title = f"{metric.title[0].upper()}{metric.title[1:]}"
    said = _HEADING.format(title, f", {metric.unit}" if metric.unit else "")
    return said if metric.higher_is_better else f"{said}; lower is better"


def _protocol(one: Study, other: Study, names: tuple[str, str]) -> Cells:
    prefixes = ("config.", "provenance.", READ, LIBRARY)
    keys = [key for key in one.runs.columns if key.startswith(prefixes)]
    keys += [key for key in other.runs.columns if key.startswith(prefixes) and key not in keys]
    keys += ["fingerprint"]
    left = {f"config.{key}" for key in _cell_keys(one, other)}
    left |= {"config.dataset.name", "config.seed"}
    if _values(one.runs, "fingerprint") == _values(other.runs, "fingerprint"):
        left |= {f"config.{key}" for key in LOCATIONS}  # The same images, wherever they lie.
    factors = {f"config.{key}" for key in _varied(one, other)}
    rows, common = [], list(_common(one, other))
    for key in (key for key in keys if key not in left):
        whole = _values(one.runs, key), _values(other.runs, key)
        pairs = {cell: (_values(a, key), _values(b, key)) for cell, a, b in common}
        differing = {cell: pair for cell, pair in pairs.items() if pair[0] != pair[1]}
        if key in factors and common:  # A level of a cell that one study has alone is of no other.
            everywhere = len(differing) == len(common) and len({*differing.values()}) == 1
            whole = next(iter(differing.values())) if everywhere else ("", "")
        if whole[0] != whole[1]:
            rows.append([_said(key), *whole])
        else:  # What both studies have may be on other arms, such as a rate that was tuned.
            rows += [[f"{_said(key)} of {cell}", *pair] for cell, pair in differing.items()]
    codes = [_code(study) for study in (one, other)]
    for module in dict.fromkeys([*codes[0], *codes[1]]):
        digests = [code.get(module, "") for code in codes]
        if digests[0] != digests[1]:
            rows.append([f"code of {module}", *map(_short, digests)])
    return Cells(["key", *names], rows)


def _said(key: str) -> str:
    """Returns what a column of the runs is called among the differences of protocol."""
    for begins, what in ((READ, "the file "), (LIBRARY, "the library "), ("config.", "")):
        if key.startswith(begins):
            return what + key.removeprefix(begins)
    return key


def _code(study: Study) -> dict[str, str]:
    """Returns the digest of each module of the user's own that the runs of a study have."""
    values = {
        str(one) for key in study.runs if key.startswith("config.") for one in study.runs[key]
    }
    return {
        f"{module} ({function})": digest
        for function, modules in asked.current_sources(study.directory).items()
        if function in values
        for module, digest in modules.items()
    }


def _common(one: Study, other: Study) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Yields the cells that both studies have: what each is called, and its runs in both."""
    factors = _cell_keys(one, other)
    sides = [_groups(study, factors) for study in (one, other)]
    common = sorted(sides[0].keys() & sides[1].keys())
    told = telling(common)
    for cell in common:
        levels = (f"{factors[place].removeprefix(PARTS)} {cell[place]}" for place in told)
        yield ", ".join(levels) or cell[0], sides[0][cell], sides[1][cell]


def _values(runs: pd.DataFrame, key: str) -> str:
    if key not in runs:
        return ""
    return ", ".join(sorted({_short(str(value)) for value in runs[key].dropna()}))


def _short(value: str) -> str:
    """Returns as much of a SHA-256 as tells it from others."""
    return value[:_OF_DIGEST] if re.fullmatch(r"[0-9a-f]{64}", value) else value


def _cell_keys(one: Study, other: Study) -> list[str]:
    """Returns what makes a cell: as few keys as tell the cells of each study apart.

    What tells none apart is protocol. It may be the network, of which each study has one, or follow
    from other keys, as the kind of a part does from whether there is one.
    """
    keys = _varied(one, other)
    places = {place for study in (one, other) for place in telling(_groups(study, keys).keys())}
    told = {keys[place] for place in places} | {"dataset"}
    if _levels("arch", one) == _levels("arch", other):
        told.add("arch")  # For the reader.
    return [key for key in keys if key in told]


def _varied(one: Study, other: Study) -> list[str]:
    """Returns every factor of either study that varies in one of them."""
    factors = dict.fromkeys([*one.factors, *other.factors, *_inner(one), *_inner(other)])
    parts = one.parts | other.parts
    several = [
        factor for factor in factors if factor not in parts or len(_levels(factor, one, other)) > 1
    ]
    return list(dict.fromkeys(["dataset", "arch", *several]))


def _levels(factor: str, *studies: Study) -> set[str]:
    return {level for study in studies if factor in study.runs for level in study.runs[factor]}


def _inner(study: Study) -> list[str]:
    """Returns the keys that differ inside one study, which its cells must therefore tell apart."""
    differing = varying(study.runs, protocol_columns(study.runs, study.factors))
    several = study.runs["dataset"].nunique() > 1
    return [key_of(key) for key in differing if not (several and key.startswith("config.dataset."))]


def _cells(one: Study, other: Study, names: tuple[str, str]) -> Cells:
    keys = _cell_keys(one, other)
    sides = [_groups(study, keys) for study in (one, other)]
    cells = sorted(set(sides[0]) | set(sides[1]), key=lambda cell: [level_key(v) for v in cell])
    mixed = len(_metrics(one, other)) > 1
    rows = []
    for cell in cells:
        found = [
            _Side(side[cell], study.metric_of(side[cell])) if cell in side else None
            for study, side in zip((one, other), sides, strict=True)
        ]
        shown = [side.shown(mixed) if side else "missing" for side in found]
        rows.append([*cell, *shown, _subtracted(found, mixed)])
    return Cells([*_called(keys, names).values(), *names, "difference"], rows)


def _called(keys: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Returns what a table calls each key: a part without `parts.`, unless a study is called so."""
    taken = {*keys, *names, "study", "difference"}
    short = {key: key.removeprefix(PARTS) for key in keys}
    return {key: name if name not in taken else key for key, name in short.items()}


@dataclass(frozen=True)
class _Side:
    """The runs of one study in a cell, and what their score is."""

    runs: pd.DataFrame
    metric: Metric

    @property
    def scores(self) -> pd.Series:
        complete = self.runs["state"] == store.COMPLETE
        return self.runs.loc[complete, "score"].dropna().astype(float)

    def shown(self, with_unit: bool) -> str:
        """Returns the mean of the scores and their spread, or why there is none."""
        if self.scores.empty:
            states = self.runs["state"].unique()
            return ", ".join(NO_SCORE if one == store.COMPLETE else one for one in states)
        shown = self.metric.number(self.scores.mean())
        if len(self.scores) > 1:
            shown += f" ± {self.metric.number(self.scores.std())}"
        unit = f" {self.metric.unit}" if with_unit and self.metric.unit else ""
        return f"{shown}{unit} (n={len(self.scores)})"


def _subtracted(found: Sequence[_Side | None], with_unit: bool) -> str:
    """Returns the difference of two means, nothing where one is missing or is of another kind."""
    one, other = found
    if one is None or other is None or _kind(one.metric) != _kind(other.metric):
        return ""
    write = one.metric.difference if with_unit else one.metric.signed
    difference = other.scores.mean() - one.scores.mean()
    return "" if pd.isna(difference) else write(difference)


def _groups(study: Study, keys: list[str]) -> dict[tuple, pd.DataFrame]:
    columns = [key if key in study.runs else level_column(key) for key in keys]
    frame = study.runs.reindex(columns=columns).astype(object)
    cells = frame.where(frame.notna(), "").astype(str).itertuples(index=False, name=None)
    return dict(iter(study.runs.groupby(pd.Series(list(cells), index=study.runs.index))))

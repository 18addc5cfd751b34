"""What the scripts of a page draw: the runs, their curves, predictions and layers, as JSON.

Numbers have six significant digits, as many as a float32 holds; NaN and infinite ones are null.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.metrics import Metric
from ablation.analysis.study import Study
from ablation.analysis.tables import ablation_table
from ablation.factors import as_numbers, spelled
from ablation.records import store
from ablation.records.standing import Standing
from ablation.report import judged
from ablation.report.difference import Difference
from ablation.report.gallery import MATRIX_CLASSES_AT_MOST, Gallery, spread
from ablation.targets import TARGETS
from ablation.targets.common import Target
from ablation.text import readable, visible

COSTS = {
    "trainable": "parameters",
    "multiply_adds": "multiply-adds",
    "seconds_per_epoch": "seconds an epoch",
    "seconds": "seconds of training",
    "peak_memory_bytes": "peak memory, bytes",
}

_NUMBERS_AT_MOST = 30_000
"""Of the curves of a hundred runs, some 0.3 MB, and in proportion of more."""
_LAYER_NUMBERS_AT_MOST = 60_000
_RUNS_AT_MOST = 2000
_LOGS_OF_ALL_UP_TO = 200
_LOG_LINES = 12


@dataclass(frozen=True)
class Content:
    """What the scripts draw.

    Attributes:
        data: as JSON has it.
        remarks: what was left out, a sentence each.
    """

    data: dict[str, Any]
    remarks: tuple[str, ...]


def for_scripts(
    study: Study,
    comparisons: Sequence[Comparison],
    galleries: Sequence[Gallery | None],
    live: Standing | None,
) -> Content:
    """Returns what the scripts draw of a study.

    Args:
        study: the study.
        comparisons: its comparisons, in order.
        galleries: the predictions that are shown of each.
        live: where the sweep stands that trains the runs; None if none does.
    """
    runs = shown(study.all_runs)
    remarks = []
    if len(runs) < len(study.all_runs):
        remarks.append(
            f"This page has {len(runs):,} of {len(study.all_runs):,} runs, those without a result "
            "first; report/runs.csv and report/history.csv have all."
        )
    place_of = {name: place for place, name in enumerate(runs["run"])}
    drawn, every = _curves(study.history, place_of)
    if every > 1:
        remarks.append(
            f"The curves show every {_nth(every)} epoch and the last; report/history.csv has all."
        )
    data = {
        "study": readable(study.directory.name),
        "live": live and asdict(live),
        "costs": COSTS,
        "every": every,
        "runs": _runs(runs, lambda name: study.directory / name),
        "curves": drawn,
        "chapters": [
            _chapter(study, comparison, gallery, place_of)
            for comparison, gallery in zip(comparisons, galleries, strict=True)
        ],
    } | _configurations(runs, comparisons)
    return Content(data, tuple(remarks))


def shown(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the runs that a page has room for, those without a result first."""
    if len(runs) <= _RUNS_AT_MOST:
        return runs
    incomplete = runs["state"] != store.COMPLETE
    kept = pd.concat([runs[incomplete], runs[~incomplete]]).head(_RUNS_AT_MOST)
    return kept.sort_index()


def _runs(runs: pd.DataFrame, folder_of: Callable[[str], Path]) -> list[dict[str, Any]]:
    keys = ["seed", "steps_per_epoch", "score", *COSTS]
    after_epochs = dict.fromkeys(name for one in kinds(runs) for name in judged.curves(one))
    keys += [name for name in after_epochs if name in runs and name not in keys]
    columns = {key: _numbers(runs[key]) for key in keys}
    all_logs = len(runs) <= _LOGS_OF_ALL_UP_TO
    found = []
    for place, (name, state, reason) in enumerate(
        runs[["run", "state", "reason"]].itertuples(index=False, name=None)
    ):
        one = {"name": readable(name), "state": state, "reason": readable(reason)}
        one |= {key: values[place] for key, values in columns.items()}
        if all_logs or state != store.COMPLETE:
            lines = store.log_tail(folder_of(name), _LOG_LINES)
            one["log"] = [visible(line) for line in lines]
        found.append(one)
    return found


def _curves(history: pd.DataFrame, place_of: dict[str, int]) -> tuple[dict[str, list], int]:
    """Returns for each column of a history the values of each run, and of how many epochs one."""
    places = history["run"].map(place_of)
    history = history[places.notna()]
    every = 1
    room = _NUMBERS_AT_MOST * max(1.0, len(place_of) / 100)
    columns = [name for name in history.columns if name != "run"]
    while len(history) // every * len(columns) > room:
        every += 1
    if every > 1:
        last = history.groupby("run", sort=False)["epoch"].transform("max")
        history = history[(history["epoch"] % every == 0) | (history["epoch"] == last)]
    found: dict[str, list] = {name: [[] for _ in place_of] for name in (*columns, "elapsed")}
    for run, rows in history.groupby("run", sort=False):
        place = place_of[str(run)]
        for key in columns:
            found[key][place] = _numbers(rows[key])
        if every == 1:
            found["elapsed"][place] = _numbers(rows["seconds"].cumsum())
    return found, every


def _chapter(
    study: Study,
    comparison: Comparison,
    gallery: Gallery | None,
    place_of: dict[str, int],
) -> dict[str, Any]:
    runs = comparison.runs[comparison.runs["run"].isin(place_of)]
    column = "arm" if comparison.arms else comparison.contrast
    factors = {name: runs[name] for name in comparison.rows if runs[name].nunique() > 1}
    factors[column] = runs["column"]
    if comparison.arms:
        levels = {str(arm.name): arm.levels for arm in comparison.arms}
        for key in comparison.arms[0].levels:
            factors.setdefault(key, runs["column"].map(lambda arm, k=key: levels[str(arm)][k]))
    known = {column: comparison.columns}
    if not comparison.arms:
        table = ablation_table(comparison)
        known |= {name: list(dict.fromkeys(table[name])) for name in comparison.rows}
    drawn = _drawn(runs, factors, column, known, comparison.metric, place_of)
    return (
        drawn
        | _judged(comparison.target)
        | {
            "reference": comparison.built_reference and readable(comparison.built_reference),
            "confusion": _confusion(gallery),
            "layers": _layers(study, comparison, place_of),
        }
    )


def _judged(target: Target) -> dict[str, Any]:
    """Returns the columns of a history, and those that are drawn beside each other."""
    (_, losses), (_, others) = judged.pairs(target).items()
    called = judged.name(target.of_epochs)
    own = ["accuracies", f"{called}, training and validation", others]
    both = [["losses", "loss, training and validation", losses]]
    return {"metrics": judged.curves(target), "pairs": [*both, own] if len(others) > 1 else both}


def kinds(runs: pd.DataFrame) -> list[Target]:
    """Returns the targets of some runs, without a unit."""
    return [TARGETS[kind]() for kind in runs["target"].unique()]


def _drawn(
    runs: pd.DataFrame,
    factors: dict[str, pd.Series],
    column: str,
    known: Mapping[str, Sequence[Any]],
    metric: Metric,
    place_of: dict[str, int],
) -> dict[str, Any]:
    """Returns what curves and points are made of: runs, and their level of each factor.

    Args:
        runs: of the chapter.
        factors: of each its levels, run by run.
        column: the factor that colours tell apart.
        known: of factors whose order is that of a table, their levels.
        metric: what `score` is.
        place_of: where each run stands among all.
    """
    factors = {**factors, "seed": runs["seed"]}
    orders = {name: _ordered(values, known.get(name)) for name, values in factors.items()}
    return {
        "column": readable(column),
        "score": {
            "title": metric.title,
            "unit": metric.unit,
            "points": metric.points,
            "scale": metric.scale,
            "digits": metric.digits,
            "higher": metric.higher_is_better,
        },
        "runs": [place_of[name] for name in runs["run"]],
        "factors": [
            {
                "name": readable(name),
                "levels": [readable(str(level)) for level in orders[name]],
                "numbers": as_numbers(orders[name]),
                "of": [orders[name].index(value) for value in values],
            }
            for name, values in factors.items()
        ],
    }


def together(one: Study, other: Study, names: tuple[str, str]) -> Study:
    """Returns the runs of two studies as those of one, named with the study before them.

    Args:
        one: a study.
        other: another.
        names: of both.
    """
    runs, histories = [], []
    for study, name in zip((one, other), names, strict=True):
        runs.append(study.runs.assign(run=name + "/" + study.runs["run"], _study=name))
        histories.append(study.history.assign(run=name + "/" + study.history["run"]))
    return replace(
        one,
        runs=pd.concat(runs, ignore_index=True),
        history=pd.concat(histories, ignore_index=True),
    )


def both(one: Study, other: Study, difference: Difference) -> dict[str, Any]:
    """Returns what there is to draw of two studies beside each other."""
    merged = together(one, other, difference.names)
    runs = shown(merged.runs)
    place_of = {name: place for place, name in enumerate(runs["run"])}
    folders = {
        f"{name}/{run}": study.directory / run
        for study, name in zip((one, other), difference.names, strict=True)
        for run in study.runs["run"]
    }
    drawn, every = _curves(merged.history, place_of)
    factors = {
        name: difference.cell_values(runs, key)
        for key, name in difference.keys.items()
        if difference.cell_values(runs, key).nunique() > 1
    }
    factors["study"] = runs["_study"]
    chapter = _drawn(runs, factors, "study", {"study": difference.names}, one.metric, place_of)
    chapter |= _judged(one.target_of(one.runs))
    chapter |= {"reference": difference.names[0], "confusion": None, "layers": None, "behind": {}}
    return {
        "study": readable(difference.title),
        "live": None,
        "costs": COSTS,
        "every": every,
        "runs": _runs(runs, folders.__getitem__),
        "curves": drawn,
        "chapters": [chapter],
    } | _configurations(runs, [])


def _ordered(values: pd.Series, known: Sequence[Any] | None) -> list[Any]:
    """Returns the levels that occur, in the order of a table."""
    if known is not None:
        there = set(values)
        return [level for level in known if level in there]
    found = list(dict.fromkeys(values))
    numbers = as_numbers(found)
    if numbers:
        return [found[place] for place in np.argsort(numbers, kind="stable")]
    return found


def _configurations(runs: pd.DataFrame, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Returns what all runs have in common, and for each run what it alone has and departs in."""
    keys = [key for key in runs.columns if key.startswith("config.")]
    texts = runs[keys].astype(object).where(runs[keys].notna(), None)
    texts.columns = [key.removeprefix("config.") for key in keys]
    same = {key for key in texts if texts[key].map(_said).nunique() == 1}
    reference = _references(runs, comparisons)
    rows = {
        name: {key: _said(value) for key, value in row.items()}
        for name, row in zip(runs["run"], texts.to_dict("records"), strict=True)
    }
    own, departs = [], []
    for name in runs["run"]:
        row, other = rows[name], rows.get(reference.get(name, ""), {})
        own.append({key: row[key] for key in row if key not in same})
        departs.append(
            {key: other[key] for key in row if other and row[key] != other[key] and key != "seed"}
        )
    first = rows[runs["run"].iloc[0]]
    return {
        "configuration": {key: first[key] for key in first if key in same},
        "own": own,
        "departs": departs,
    }


def _said(value: Any) -> str:
    return "" if value is None else readable(spelled(value))


def _references(runs: pd.DataFrame, comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Returns for each run the one of the reference that it is to be held against."""
    found: dict[str, str] = {}
    shown = set(runs["run"])
    for comparison in comparisons:
        of_reference = comparison.runs[comparison.runs["column"] == comparison.built_reference]
        of_reference = of_reference[of_reference["run"].isin(shown)]
        if of_reference.empty:
            continue
        keys = [*comparison.rows, "seed"]
        by_cell: dict[tuple, str] = {}
        for row in of_reference[[*keys, "run"]].itertuples(index=False, name=None):
            by_cell.setdefault(row[:-1], row[-1])
            by_cell.setdefault(row[:-2], row[-1])
        for row in comparison.runs[[*keys, "run"]].itertuples(index=False, name=None):
            other = by_cell.get(row[:-1]) or by_cell.get(row[:-2])
            if other:
                found.setdefault(row[-1], other)
    return found


def _confusion(gallery: Gallery | None) -> dict[str, Any] | None:
    if not gallery or not gallery.cells or gallery.target.is_row:
        return None
    if len(gallery.classes) > MATRIX_CLASSES_AT_MOST:
        return None
    return {
        "classes": [readable(name) for name in gallery.classes],
        "cells": [
            {
                "row": readable(cell.row),
                "column": readable(str(cell.column)),
                "seeds": len(cell.by_seed),
                "counts": cell.confusion(len(gallery.classes)).tolist(),
            }
            for cell in gallery.cells
        ],
    }


def _layers(
    study: Study, comparison: Comparison, place_of: dict[str, int]
) -> dict[str, Any] | None:
    """Returns what `diagnostics=true` measured, of the first and last epoch if all are too many."""
    runs = comparison.complete
    runs = runs[runs["run"].isin(place_of)]
    frames = {}
    for name in runs["run"]:
        if not (study.directory / name / "diagnostics.csv").exists():
            continue
        with contextlib.suppress(OSError, ValueError):  # The figures say so.
            frames[name] = study.diagnostics(name)
    if not frames:
        return None
    known = sorted(set().union(*(frame["epoch"] for frame in frames.values())))
    layers = max(frame.groupby("epoch").size().max() for frame in frames.values())
    room = max(2, int(_LAYER_NUMBERS_AT_MOST / (2 * layers * len(frames))))
    epochs = spread(known, room)
    if 2 * layers * len(frames) * len(epochs) > 5 * _LAYER_NUMBERS_AT_MOST:
        frames = dict(list(frames.items())[:50])
    found: dict[str, Any] = {"epochs": [int(epoch) for epoch in epochs], "runs": []}
    for name, frame in frames.items():
        first = frame[frame["epoch"] == frame["epoch"].min()]
        by_epoch = dict(iter(frame.groupby("epoch")))
        found["runs"].append(
            {
                "run": place_of[name],
                "layer": [readable(str(layer)) for layer in first["layer"]],
                "depth": _numbers(first["depth"]),
                "kernel": [str(kernel) for kernel in first["kernel"]],
                "values": {
                    key: [
                        _numbers(by_epoch[epoch][key]) if epoch in by_epoch else []
                        for epoch in epochs
                    ]
                    for key in ("response_sd", "gradient_norm")
                },
            }
        )
    return found


def _numbers(values: Iterable[Any]) -> list[float | int | None]:
    return [number(value) for value in values]


def number(value: Any) -> float | int | None:
    """Returns a number for JSON with six significant digits, None for what is none."""
    if value is None or not math.isfinite(value):
        return None
    if value == int(value) and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.6g}")


def _nth(count: int) -> str:
    return {2: "second", 3: "third"}.get(count, f"{count}th")

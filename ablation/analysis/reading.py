"""Reads a study back from its run directories, as data frames. Imports no TensorFlow."""

import contextlib
import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ablation import source, targets
from ablation.analysis.levels import (
    LIBRARY,
    LOCATIONS,
    READ,
    key_of,
    level_column,
    protocol_columns,
    varying,
)
from ablation.analysis.study import Study
from ablation.analysis.tuning import SET, SETTING, TUNED, of_run, read_all
from ablation.config import RECORD_KEY, UserError, first_line, flatten, result_keys
from ablation.data.kinds import IMAGES, noun_of
from ablation.designs.controls import LESION
from ablation.factors import ABSENT, LAST, PARTS, Factor, Label, labels, of_parts, spelled
from ablation.records import asked, controls, durable, store, tuning
from ablation.records.asked import Planned
from ablation.records.controls import Control
from ablation.records.identity import NEUTRAL
from ablation.records.provenance import CONFOUNDS
from ablation.records.tuning import Tuned
from ablation.targets.common import Target
from ablation.terminal import counted
from ablation.text import named, utf8

_OF_THE_RUN = (
    "initial",
    "skill",
    "chance",
    "by_chance",
    "val_counts",
    "imbalance",
    "caveats",
    "uncounted",
    "kind",
)

_NAMED_AT_MOST = 3
_OF_DATA = ("val_images", "val_fingerprint", "val_counts")

RESULTS = (
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "trainable",
    "total",
    "multiply_adds",
    "epochs",
    "steps",
    "steps_per_epoch",
    "examples_seen",
    "schedule_completed",
    "train_images",
    "val_images",
    "shared_images",
    "train_fingerprint",
    "val_fingerprint",
    "order_sha256",
    "weights_sha256",
    "resumed_from_epoch",
    "seconds_per_epoch",
    "seconds",
    "peak_memory_bytes",
)
"""The numbers of `result.json`, and the digests of what they rest on."""


def load(directory: str | Path) -> Study:
    """Reads a study.

    Args:
        directory: such as "runs/main".

    Raises:
        UserError: there is no study in it.
    """
    directory = Path(directory).resolve()
    records = tuning.tuned(directory)
    plans = tuple(asked.designs(directory))
    superseded = _superseded(records, plans) - set(asked.typed_alone(directory))
    paths = store.run_directories(directory)
    read = _read_runs(directory, [path for path in paths if path.name not in superseded], records)
    problems = read.problems
    if not read.rows:
        found = " but those that tune" if store.tuning_directories(directory) else ""
        found += f"; unreadable: {'; '.join(problems)}" if problems else ""
        raise UserError(f"{store.without_runs(directory)}{found}.")
    frame = pd.DataFrame(read.rows)
    _settle_numbers(frame, read.rows)
    _settle_settings(frame)
    _settle_images(frame)
    # The columns of a result are there even if no run is complete yet.
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, *RESULTS, *_OF_THE_RUN])))
    parts = of_parts(read.networks)
    _add_labels(frame, read.rows, parts)
    factors = ["arch", *parts]
    factors += _other_factors(frame, asked.factors(directory), factors, problems)
    if "recipe" in factors:
        frame["recipe"] += _departures(frame, factors)
    frame["protocol"] = _protocols(frame, factors)
    history = _history_frame(read.histories)
    frame["history_epochs"] = frame["run"].map(history["run"].value_counts()).fillna(0).astype(int)
    beside = tuple(controls.controls(directory))
    # What a command has asked for as an arm too is both.
    stands_beside = frame["run"].isin({one.run for one in beside})
    is_control = stands_beside & ~frame["run"].isin(asked.run_names(plans))
    # A sham is never an arm, with or without a record of what it is the sham of.
    unknown = list(frame["run"][(frame["config.draw"] != 0) & ~is_control])
    is_control |= frame["run"].isin(unknown)
    frame["score"], frame["score_of_chance"] = math.nan, math.nan
    left_out = {path.name for path in paths} - {*frame["run"]}
    study = Study(
        directory,
        tuple(factors),
        parts,
        frame[~is_control].reset_index(drop=True),
        history,
        tuple(problems),
        plans,
        read.targets | _targets_of_lesions(read.targets, beside),
        looked=asked.looked(directory),
        tuned=read_all(directory, records),
        superseded=tuple(path.name for path in paths if path.name in superseded),
        controls=beside,
        control_runs=_with_lesions(frame[stands_beside | is_control], frame, beside, directory),
        uncontrolled=(*controls.without(directory, left_out), *map(_without_record, unknown)),
    )
    return replace(
        study,
        runs=study.scored(study.runs)[0],
        control_runs=study.scored(study.control_runs)[0],
    )


def _without_record(sham: str) -> str:
    return (
        f"{sham} has other initial weights (control=sham), and study.json no longer says beside "
        "which run; the command that trained it writes that down again"
    )


@dataclass
class _Read:
    """What the folders of runs hold.

    Attributes:
        rows: of the table of runs, of those that can be read and are of the code as it is.
        networks: the parts of every network, by arch.
        targets: by run.
        histories: of the runs that have one, by run.
        edited: the runs of code that is another now, by the names of those functions.
        problems: what cannot be read or is left out, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    histories: dict[str, pd.DataFrame] = field(default_factory=dict)
    edited: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _read_runs(directory: Path, paths: Iterable[Path], records: list[Tuned]) -> _Read:
    """Reads the runs of a study; `records` are those of tuning."""
    read, sources = _Read(), asked.current_sources(directory)
    archs: dict[tuple[str, str], str] = {}
    for path in paths:
        stored = store.Stored(path)
        try:
            row = _read_run(path.name, stored)
            config = stored.config()
            row |= of_run(path.name, config, row["fingerprint"] or "", records)
            code = source.code_by_name(config)
            edited = [name for name in code if code[name] != sources.get(name)]
            if edited:
                read.edited.setdefault(", ".join(edited), []).append(path.name)
                continue
            # A file may be typed in several ways, such as by its place on another machine.
            record = config[RECORD_KEY]
            own = (config["arch"].rpartition(":")[2], json.dumps(record["source"], sort_keys=True))
            arch = archs.setdefault(own, config["arch"]) if record["source"] else config["arch"]
            row["config.arch"] = arch
            read.networks[arch] = record["parts"]
            read.targets[path.name] = row.pop("_target")
            read.rows.append(row)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            read.problems.append(f"{path.name}: {type(error).__name__}: {first_line(error)}")
            continue
        try:
            read.histories[path.name] = _read_history(stored)
        except (OSError, ValueError) as error:
            read.problems.append(f"{path.name}: history.csv: {first_line(error)}")
    for functions, names in read.edited.items():
        were, are = ("was", "is") if len(names) == 1 else ("were", "are")
        read.problems.append(
            f"{functions} was edited since {counted(len(names), 'run')} {were} trained, which "
            f"{are} left out: {named(names, len(names), _NAMED_AT_MOST)}"
        )
    return read


def _targets_of_lesions(
    targets: Mapping[str, Target], beside: Iterable[Control]
) -> dict[str, Target]:
    """Returns what the labels of each lesion say, which are those of the run that it is of."""
    of = {one.run: str(one.facts.get("against")) for one in beside if one.kind == LESION}
    return {lesion: targets[run] for lesion, run in of.items() if run in targets}


def _with_lesions(
    trained: pd.DataFrame, frame: pd.DataFrame, beside: Iterable[Control], directory: Path
) -> pd.DataFrame:
    """Returns the runs of controls with a row for each lesion, made of the run that it is of."""
    rows = []
    for one in beside:
        of_full = frame[frame["run"] == one.facts.get("against")]
        if one.kind != LESION or of_full.empty:
            continue
        with contextlib.suppress(OSError, ValueError):
            result = durable.read_json(directory / one.run / "result.json")
            unfit = result.pop("unfit", None)
            state = {"run": one.run, "state": store.REFUSED if unfit else store.COMPLETE}
            of_trained = [key for key in frame if key.startswith("val_") and key not in _OF_DATA]
            of_trained += ["score", "skill", "seconds", "trainable", "total", "multiply_adds"]
            known = {key: value for key, value in result.items() if key in frame}
            known["score"] = result.get("val_accuracy", math.nan)
            row = of_full.iloc[0].to_dict() | dict.fromkeys(of_trained, math.nan) | known | state
            rows.append(row | {"reason": unfit or ""})
    found = trained.reset_index(drop=True)
    if not rows:
        return found
    return pd.concat([found, pd.DataFrame(rows, columns=frame.columns)], ignore_index=True)


def _add_labels(
    frame: pd.DataFrame, runs: list[dict[str, Any]], parts: Mapping[str, Factor]
) -> None:
    """Adds the columns of the architecture and of every part of a network."""
    absent = Label(ABSENT, LAST, True)
    columns = {
        key: [Label(TUNED, 1) if f"{SETTING}{key}" in row else row.get(key, absent) for row in runs]
        for key in parts
    }
    columns["arch"] = [Label(row["config.arch"], 1 + row["place"]) for row in runs]
    for key, levels_of_runs in columns.items():
        # As they are, since pandas would take a label for any text.
        frame[key] = pd.Series(levels_of_runs, frame.index, object)


def _other_factors(
    frame: pd.DataFrame, asked_for: Iterable[str], known: Iterable[str], problems: list[str]
) -> list[str]:
    """Adds the column of every factor that is no part of a network; returns those factors."""
    found = []
    for factor in asked_for:
        name = level_column(factor)
        if factor in known:
            continue
        if name not in frame:
            problems.append(f"study.json: {factor} is no key of the runs, so it is no factor")
            continue
        found.append(factor)
        name = f"{SETTING}{factor}" if f"{SETTING}{factor}" in frame else name
        # A missing value is a level like others, which no grouping may drop.
        values = frame[name].astype(object).where(frame[name].notna(), spelled(None))
        frame[factor] = pd.Series([_level(factor, one) for one in values], frame.index, object)
    return found


def _level(factor: str, value: Any) -> Any:
    """Returns a level of a factor that is no part; first in order is that which changes nothing."""
    text = spelled(value) if isinstance(value, bool) else value
    is_ours = factor.startswith(("recipe.", "dataset."))  # Frameworks have an order of their own.
    if is_ours and isinstance(text, str) and text == spelled(NEUTRAL.get(factor, ...)):
        return Label(text, 1)
    return text


def _settle_numbers(frame: pd.DataFrame, runs: list[dict[str, Any]]) -> None:
    """Gives whole numbers of the configuration back, of which None beside them made decimals."""
    for column in frame.select_dtypes(float):
        known = [run.get(column) for run in runs]
        if column.startswith("config.") and any(isinstance(value, int) for value in known):
            frame[column] = pd.Series(known, frame.index, object)


def _settle_settings(frame: pd.DataFrame) -> None:
    """Fills in to which value the others set a key that was tuned for some arms."""
    for column in [name for name in frame.columns if name.startswith(SETTING)]:
        key = column.removeprefix(SETTING)
        # What a part is set to is a level; a table of its own is only for what was tuned.
        values = SET if key.startswith(PARTS) else frame[f"config.{key}"]
        frame[column] = frame[column].where(frame[column].notna(), values)


def _settle_images(frame: pd.DataFrame) -> None:
    """Fills in which images a run has, and gives each set of images one name for where it lies."""
    # A run that failed before it saw its data belongs with those of its data set that did, but for
    # those whose data another key, such as the image size, makes others.
    places = [f"config.{key}" for key in LOCATIONS]
    of_data = [name for name in frame.columns if name.startswith("config.dataset.")]
    fingerprints = frame.groupby(of_data, dropna=False, sort=False)["fingerprint"]
    frame["fingerprint"] = fingerprints.transform(lambda known: known.ffill().bfill())
    # One folder may be typed in several ways, such as imgs and ./imgs: the first run's is its name.
    for place in places:
        first = frame.groupby(["config.dataset.name", "fingerprint"])[place].transform("first")
        frame[place] = first.where(first.notna(), frame[place])


def _superseded(records: Iterable[Tuned], plans: Iterable[Planned]) -> set[str]:
    """Returns the runs of earlier choices that no command without tuning has asked for too."""
    found, kept = set[str](), set[str]()
    for one in records:
        found |= set(one.superseded)
        kept |= set(one.runs)
        kept |= asked.run_names(
            plan for plan in plans if {*plan.fixed, *plan.levels} >= set(one.keys)
        )
    return found - kept


def _departures(frame: pd.DataFrame, factors: list[str]) -> pd.Series:
    """Returns what sets runs apart that name one recipe but changed some of its keys."""
    names = frame["config.recipe.name"]
    keys = [
        f"{SETTING}{key}" if f"{SETTING}{key}" in frame else f"config.{key}"
        for key in map(key_of, frame.columns)
        if key.startswith("recipe.") and key not in factors and f"config.{key}" in frame
    ]
    keys = list(dict.fromkeys(keys))
    texts = pd.Series("", index=frame.index)
    for _, runs in frame.groupby(names):
        differing = varying(runs, keys)
        for run, row in runs[list(differing)].iterrows() if differing else ():
            settings = (f"{key.rpartition('.')[2]}={spelled(value)}" for key, value in row.items())
            texts[run] = f" ({', '.join(settings)})"
    return texts


def _read_run(name: str, stored: store.Stored) -> dict[str, Any]:
    """Returns the row of a run in the table of runs, and its target as "_target".

    Raises:
        OSError, ValueError, KeyError, TypeError, YAMLError: its files cannot be read.
    """
    name.encode()  # A frame takes no other, and no run is named so.
    status = stored.status
    row: dict[str, Any] = {"run": name, "state": status.state, "reason": status.reason or ""}
    row |= _of_config(stored.config())
    facts, outputs = None, ()
    with contextlib.suppress(FileNotFoundError):
        provenance = stored.json("provenance.json")
        row |= _of_provenance(provenance)
        facts, outputs = provenance.get("target"), provenance.get("classes") or ()
    target = targets.of(facts, outputs, (facts or {}).get("unit", ""))
    row |= {"target": target.kind, "_target": target}
    if status.state == store.COMPLETE:
        row |= _of_result(stored.json("result.json"), target)
    return {key: utf8(value) if type(value) is str else value for key, value in row.items()}


def _of_config(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ValueError("config.yaml holds no configuration")
    if RECORD_KEY not in config:
        raise ValueError("config.yaml is of an earlier edition, train the run anew")
    record = config[RECORD_KEY]
    keys = flatten(result_keys(config))
    # What a run does not know was added later, and until then all runs had its neutral level.
    keys |= {key: level for key, level in NEUTRAL.items() if key not in keys}
    keys |= {key: config["dataset"].get(key.removeprefix("dataset.")) for key in LOCATIONS}
    of_keys = {
        f"config.{key}": str(value) if isinstance(value, list) else value
        for key, value in keys.items()
    }
    return {
        "family": record["family"],
        "place": record["place"],
        **labels(config["parts"], record["parts"]),
        "seed": config["seed"],
        **of_keys,
        "config.recipe.name": config["recipe"]["name"],
        "fingerprint": None,
    }


def _of_provenance(provenance: Mapping[str, Any]) -> dict[str, Any]:
    facts = flatten({key: provenance.get(key) or "" for key in (*CONFOUNDS, "earlier")})
    read, libraries = provenance.get("read") or {}, provenance.get("libraries") or {}
    return {
        "fingerprint": provenance.get("fingerprint"),
        **{f"provenance.{key}": str(value) for key, value in facts.items()},
        **{f"{READ}{file}": str(digest) for file, digest in read.items()},
        **{f"{LIBRARY}{name}": str(version) for name, version in libraries.items()},
    }


def _of_result(result: Mapping[str, Any], target: Target) -> dict[str, Any]:
    kind = result.get("kind", IMAGES)
    judged = [*RESULTS, *target.history, *(f"val_{name}" for name in target.metrics)]
    row = {key: result[key] for key in judged if key in result}
    row |= target.standing(result, noun_of([kind]))
    row["initial"] = result.get("initial")
    if result.get("starts"):  # Of few networks: the column is there only if it says anything.
        row["starts"] = result["starts"]
    return row | {"uncounted": ", ".join(result.get("uncounted", ())), "kind": kind}


def _read_history(stored: store.Stored) -> pd.DataFrame:
    """Returns the columns of `history.csv`, float64, without rows if there is none."""
    try:
        lines = stored.read("history.csv").decode().splitlines()
    except FileNotFoundError:
        lines = []
    reader = csv.DictReader(lines)
    columns = list(reader.fieldnames or store.HISTORY_COLUMNS)
    rows = [[row.get(column) for column in columns] for row in reader]
    return pd.DataFrame(np.array(rows, float).reshape(len(rows), len(columns)), columns=columns)


def _history_frame(histories: dict[str, pd.DataFrame]) -> pd.DataFrame:
    columns = dict.fromkeys(store.HISTORY_COLUMNS)
    for one in histories.values():
        columns |= dict.fromkeys(one.columns)
    # As arrays, since pandas takes a second to join ten thousand frames.
    known = [
        one if len(one.columns) == len(columns) else one.reindex(columns=list(columns))
        for one in histories.values()
    ]
    rows = [*(one.to_numpy() for one in known), np.empty((0, len(columns)))]
    frame = pd.DataFrame(np.concatenate(rows), columns=list(columns))
    names = np.repeat(np.array(list(histories), object), [len(one) for one in histories.values()])
    frame.insert(0, "run", pd.Series(names, dtype=str))
    return frame


def _protocols(frame: pd.DataFrame, factors: list[str]) -> pd.Series:
    """Returns for each run the values of all that is neither factor nor seed, as one text."""
    columns = protocol_columns(frame, factors)
    of_images = [factor for factor in factors if factor.startswith("dataset")]
    if (
        of_images == ["dataset"]
        or (
            # Levels such as another image size have images of their own, but each only one set.
            frame.groupby(of_images)["fingerprint"].nunique() > 1
        ).any()
    ):
        columns.append("fingerprint")
    texts = ["; ".join(map(str, row)) for row in frame[columns].itertuples(index=False)]
    return pd.Series(texts, index=frame.index)

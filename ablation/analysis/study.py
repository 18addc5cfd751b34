"""A study read back from its run directories, as data frames. Imports no TensorFlow."""

import contextlib
import csv
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ablation import source, targets
from ablation.analysis import tables
from ablation.analysis.arms import arm_comparisons, derived, not_within_others, widest
from ablation.analysis.audit import Audit, audit
from ablation.analysis.comparison import (
    LOCATIONS,
    Comparison,
    comparisons,
    key_of,
    levels,
    protocol_columns,
    varying,
)
from ablation.analysis.controls import of_comparison
from ablation.analysis.metrics import Metric
from ablation.analysis.tuning import SETTING, ArmTuning, of_run, read_all
from ablation.config import RECORD_KEY, UserError, first_line, flatten, result_keys
from ablation.data.kinds import IMAGES, noun_of
from ablation.designs.controls import LESION
from ablation.designs.registry import GRID
from ablation.factors import ABSENT, LAST, Factor, Label, labels, of_parts
from ablation.records import asked, controls, store, tuning
from ablation.records.asked import Looked, Planned
from ablation.records.controls import Control
from ablation.records.identity import NEUTRAL
from ablation.records.predictions import Predictions
from ablation.records.provenance import CONFOUNDS
from ablation.records.tuning import Tuned
from ablation.targets import CLASSES, all_metrics, find_metric
from ablation.targets.common import Target
from ablation.text import file_name, utf8

_GROUPS = ("dataset", "recipe")
"""Keys that stand for a group of keys, and whose level is the group's name."""

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

_STANDING = ("chance", "by_chance", "val_counts")

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


@dataclass(frozen=True)
class Study:
    """Everything that a study's run directories hold.

    Attributes:
        directory: of the study.
        factors: the keys that may differ between the cells of one table.
        parts: those of them that are parts of networks, by key.
        runs: one row a run: its name, state and reason; a column for each factor, `seed` and
            `family`; `protocol`, equal for runs that may share a table; every configuration key by
            its dotted name below "config."; the numbers of
            `result.json`; what of `provenance.json` can change a result, below "provenance."; the
            data's `fingerprint`; `history_epochs`, how many are in its history; `target`, the kind
            of its labels; `skill`, by which a run is told to be near chance (accuracy, R²), and
            `chance`, that of an answer that looks at no image; `imbalance`, how many times as
            many training images the largest class has as the smallest; `caveats`, of
            labels that the scores say nothing of.
        history: one row a run and finished epoch: `run` and the columns of `history.csv`.
        problems: what could not be read, one line each.
        designs: that commands have asked for, the last one last.
        targets: what the labels of each run say.
        measure: what metric the `score` of a run is, None for that of its target.
        own_metric: the same if it is the user's own.
        margin: below which a difference does not matter, in the unit in which tables show it; None
            if none was given.
        looked: how seeds were bought by looking at the results, None if none was.
        tuned: what was tuned for its arms; no tuning run is one of `runs`.
        superseded: runs of arms that were tuned again and got another value; none of `runs`.
        controls: what stands beside the arms, run by run.
        control_runs: their runs, which are none of `runs`, with the same columns.
    """

    directory: Path
    factors: tuple[str, ...]
    parts: dict[str, Factor]
    runs: pd.DataFrame
    history: pd.DataFrame
    problems: tuple[str, ...]
    designs: tuple[Planned, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    measure: str | None = None
    own_metric: Metric | None = None
    margin: float | None = None
    looked: Looked | None = None
    tuned: tuple[ArmTuning, ...] = ()
    superseded: tuple[str, ...] = ()
    controls: tuple[Control, ...] = ()
    control_runs: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def all_runs(self) -> pd.DataFrame:
        """The rows of `runs` and `control_runs`, in the order of their names."""
        trained = self.control_runs
        if len(trained):  # A lesion is judged and not trained.
            trained = trained[~trained["run"].str.contains("/")]
        if trained.empty:
            return self.runs
        return pd.concat([self.runs, trained]).sort_values("run", ignore_index=True)

    @property
    def complete(self) -> pd.DataFrame:
        """The rows of `runs` that are complete."""
        return self.runs[self.runs["state"] == store.COMPLETE]

    @property
    def metric(self) -> Metric:
        """What the `score` of a run is; of several kinds of labels, that of the first run."""
        return self.metric_of(self.runs)

    def target_of(self, runs: pd.DataFrame) -> Target:
        """Returns what the labels of some runs say, as the first that knows it has it."""
        found = [self.targets[run] for run in runs["run"] if run in self.targets]
        return next((one for one in found if one.outputs), found[0] if found else CLASSES)

    def metric_of(self, runs: pd.DataFrame) -> Metric:
        """Returns what the `score` of some runs is."""
        target = self.target_of(runs)
        return self.own_metric or target.metrics.get(self.measure or "", target.metric)

    def measured(self, name: str | None = None, margin: float | None = None) -> "Study":
        """Returns the study with another metric for its `score`, which takes no training.

        Args:
            name: of the metric, None for that of the labels; see `metrics.find`. Runs whose labels
                have no such metric keep their own.
            margin: below which a difference does not matter, in the unit in which tables show it.

        Raises:
            UserError: there is no such metric, it is not for these labels, or the user's own does
                not work.
        """
        is_own = name is not None and name not in all_metrics()
        own = find_metric(name) if name is not None and is_own else None
        whole = replace(self, measure=name, own_metric=own, margin=margin)
        if name is None and self.measure is None:
            return whole
        known = dict.fromkeys(
            one
            for _, of_kind in self.all_runs.groupby("target", sort=False)
            for one in self.target_of(of_kind).metrics
        )
        if name is not None and not own and name not in known:
            raise UserError(
                f"report.metric={name} is not for what these runs predict. Allowed: "
                f"{', '.join(known)}, or a function of your own, such as my_metrics.py:f."
            )
        of_arms, problems, lacking = whole.scored(self.runs)
        of_controls, _, more = whole.scored(self.control_runs)
        problems, lacking = [*self.problems, *problems], [*lacking, *more]
        if lacking:
            complete = [*self.runs["state"], *self.control_runs["state"]].count(store.COMPLETE)
            first = f"{lacking[0]}{' and others' if len(lacking) > 1 else ''}"
            problems.append(
                f"{whole.metric.name}: {len(lacking)} of {complete} complete runs have no readable "
                f"class probabilities ({first}); rerun=all trains them anew"
            )
        return replace(whole, runs=of_arms, control_runs=of_controls, problems=tuple(problems))

    def scored(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[str]]:
        """Returns runs with their scores, what has no such metric, and the runs that lack one."""
        runs, problems, lacking = frame.copy(), list[str](), list[str]()
        if runs.empty:
            return runs, problems, lacking
        runs["score"], runs["score_of_chance"] = math.nan, math.nan
        for _, of_kind in frame.groupby("target", sort=False):
            metric = self.metric_of(of_kind)
            if self.measure is not None and not self.own_metric and metric.name != self.measure:
                data = ", ".join(map(str, of_kind["dataset"].unique()))
                problems.append(
                    f"{self.measure}: it is not for {data}, of which {metric.name} is shown"
                )
            scores, missing = self._scores(of_kind, metric)
            lacking += missing
            runs.loc[of_kind.index, "score"] = scores
            runs.loc[of_kind.index, "score_of_chance"] = self._chances(of_kind, metric)
        return runs, problems, lacking

    def _scores(self, runs: pd.DataFrame, metric: Metric) -> tuple[pd.Series, list[str]]:
        """Returns what a metric is of some runs, NaN if not complete, and those that lack it."""
        column, lacking = f"val_{metric.name}", list[str]()
        if metric is not self.own_metric and column in runs:  # It is in every result.
            return runs[column].astype(float), lacking
        found = pd.Series(math.nan, runs.index)
        for place, run in runs.loc[runs["state"] == store.COMPLETE, "run"].items():
            try:
                said = self.probabilities(run)
            except (OSError, ValueError):
                lacking.append(run)
                continue
            found[place] = metric.function(said.labels, said.probabilities)
        return found, lacking

    def _chances(self, runs: pd.DataFrame, metric: Metric) -> pd.Series:
        """Returns what a metric is of an answer that looks at no image, NaN if nobody knows."""
        known = runs[list(_STANDING)].to_dict("records")
        complete = runs["state"] == store.COMPLETE
        found = [
            self.targets[run].chance(metric, one) if ended and run in self.targets else math.nan
            for run, one, ended in zip(runs["run"], known, complete, strict=True)
        ]
        return pd.Series(found, runs.index, float)

    @property
    def levels(self) -> dict[str, list[Any]]:
        """The levels of each factor that the runs have, in their natural order."""
        return {factor: levels(self.runs[factor]) for factor in self.factors}

    @property
    def reference(self) -> dict[str, Any]:
        """The level of each factor that others are compared with unless another is asked for."""
        usual = {factor: known[0] for factor, known in self.levels.items()}
        own = {key: part.reference for key, part in self.parts.items()}
        return usual | {key: level for key, level in own.items() if level in self.levels[key]}

    @property
    def protocols(self) -> pd.Series:
        """How many runs there are of each protocol."""
        return self.runs["protocol"].value_counts()

    def comparisons(
        self,
        contrast: str | None = None,
        reference: str | None = None,
        design: str | None = None,
    ) -> list[Comparison]:
        """Returns the comparisons that may each be one table.

        Args:
            contrast: of a grid; see `comparison.comparisons`.
            reference: of a grid.
            design: whose arms are shown; by default the widest that the runs fill among those that
                commands have asked for, a grid where a contrast or reference is given.

        Raises:
            UserError: no factor has two levels, so that the design has no arms.
        """
        found = self._comparisons(contrast, reference, design)
        return [
            replace(
                one,
                target=self.target_of(one.runs),
                metric=self.metric_of(one.runs),
                margin=self._margin(one.runs),
                missing=self._missing(one),
                looked=self.looked,
                tuned=self._tuned(one),
                controls=of_comparison(one, self.controls, self.control_runs),
            )
            for one in found
        ]

    def _margin(self, runs: pd.DataFrame) -> float | None:
        return None if self.margin is None else self.margin / self.metric_of(runs).scale

    def _tuned(self, comparison: Comparison) -> tuple[ArmTuning, ...]:
        """Returns what was tuned for the arms of a comparison."""
        if "tuned_arm" not in comparison.runs:
            return ()
        arms = set(comparison.runs["tuned_arm"].dropna())
        return tuple(one for one in self.tuned if one.record.arm in arms)

    def _missing(self, comparison: Comparison) -> tuple[str, ...]:
        """Returns the runs that a grid has planned and that have no files yet."""
        if comparison.arms:
            return ()  # Its arms say so themselves.
        there = set(comparison.runs["run"])
        of_dataset = f"-{file_name(comparison.dataset)}-s"
        grids = [_names([one]) for one in self.designs if one.design == GRID]
        planned = set[str]().union(*(names for names in grids if names & there)) - there
        return tuple(
            sorted(
                name
                for name in planned
                if of_dataset in name and not (self.directory / name).exists()
            )
        )

    def _comparisons(
        self,
        contrast: str | None,
        reference: str | None,
        design: str | None,
    ) -> list[Comparison]:
        """Returns them without metric and margin."""
        if design is None:
            chosen = widest(self.designs, self.runs)
            design = GRID if contrast or reference or not chosen else chosen.design
        plans = not_within_others([one for one in self.designs if one.design == design])
        if design == GRID:
            of_grids = _names(plans)
            elsewhere = _names(one for one in self.designs if one.design != GRID)
            # What stands in another design alone would tear holes into a grid.
            runs = self.runs
            if of_grids:
                runs = runs[~runs["run"].isin(elsewhere - of_grids)]
            return comparisons(runs, self.factors, self.parts, contrast, reference)
        plans = plans or list(derived(design, self.runs, self.factors, self.parts))
        found = [
            one
            for planned in plans
            for one in arm_comparisons(planned, self.runs, self.factors, self.parts)
        ]
        if not found:
            raise UserError(
                f"report.design={design}: no factor of this study has two levels to compare."
            )
        return found

    def audit(
        self, contrast: str | None = None, reference: str | None = None, design: str | None = None
    ) -> list[Audit]:
        """Returns what the audit of each comparison found; see `comparisons`."""
        return [audit(comparison) for comparison in self.comparisons(contrast, reference, design)]

    def table(
        self, contrast: str | None = None, reference: str | None = None, design: str | None = None
    ) -> pd.DataFrame:
        """Returns the ablation tables of all comparisons, one below the other."""

        def make(comparison: Comparison) -> pd.DataFrame:
            arms = tables.arms_table if comparison.arms else tables.ablation_table
            return arms(comparison)

        return self._concatenated(make, contrast, reference, design)

    def effects(
        self, contrast: str | None = None, reference: str | None = None, design: str | None = None
    ) -> pd.DataFrame:
        """Returns the answer to every question of all comparisons: one row each."""
        return self._concatenated(tables.effects_table, contrast, reference, design)

    def predictions(self, run: str) -> pd.DataFrame:
        """Returns what a run takes the validation inputs for, read from its directory.

        Returns:
            One row an input in stored order. Of classes `label`, `predicted` (their numbers) and
            `confidence` (0 to 1); of values and several labels `true K` and `predicted K` for
            output K, from 0: values in their unit, of labels 0 or 1 and the logarithm of the odds.

        Raises:
            OSError, ValueError: the run has no predictions, or they are damaged.
        """
        if self.targets.get(run, CLASSES).is_row:
            said = self.probabilities(run)
            both = (("true", said.labels), ("predicted", said.probabilities))
            return pd.DataFrame(
                {
                    f"{what} {place}": column
                    for what, array in both
                    for place, column in enumerate(array.T)
                }
            )
        columns = ("label", "predicted", "confidence")
        try:
            with np.load(self.directory / run / "predictions.npz") as stored:
                return pd.DataFrame({name: stored[name] for name in columns})
        except (EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"predictions.npz: {first_line(error)}") from None

    def probabilities(self, run: str) -> Predictions:
        """Returns what a run gives every class, or says of each output, read from its directory.

        Raises:
            OSError, ValueError: the run has no predictions, or they are damaged or without
                probabilities.
        """
        try:
            with np.load(self.directory / run / "predictions.npz") as stored:
                return self.targets.get(run, CLASSES).unpacked(dict(stored))
        except (EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"predictions.npz: {first_line(error)}") from None

    def diagnostics(self, run: str) -> pd.DataFrame:
        """Returns what `diagnostics=true` measured in a run, read from its directory.

        Returns:
            One row an epoch (0 is before training) and convolution: `run` and the columns of
            `diagnostics.csv`.

        Raises:
            OSError, ValueError: the run has no diagnostics, or they are damaged.
        """
        frame = pd.read_csv(self.directory / run / "diagnostics.csv")
        if tuple(frame.columns) != store.DIAGNOSTIC_COLUMNS:
            raise ValueError("diagnostics.csv: not the columns that were written")
        frame.insert(0, "run", run)
        return frame

    def _concatenated(
        self,
        make: Callable[[Comparison], pd.DataFrame],
        contrast: str | None,
        reference: str | None,
        design: str | None,
    ) -> pd.DataFrame:
        parts = []
        for one in self.comparisons(contrast, reference, design):
            frame = make(one).copy()
            frame.insert(0, "protocol", str(one.protocol or ""))
            frame.insert(0, "dataset", one.dataset)
            parts.append(frame)
        return pd.concat(parts, ignore_index=True)


def load(directory: str | Path) -> Study:
    """Reads a study.

    Args:
        directory: such as "runs/main".

    Raises:
        UserError: there is no study in it.
    """
    directory = Path(directory).resolve()
    runs: list[dict[str, Any]] = []
    networks: dict[str, dict[str, Any]] = {}
    histories: dict[str, pd.DataFrame] = {}
    of_runs: dict[str, Target] = {}
    problems = []
    sources = asked.current_sources(directory)
    records = tuning.tuned(directory)
    plans = tuple(asked.designs(directory))
    superseded = _superseded(records, plans)
    paths = store.run_directories(directory)
    left_out = tuple(path.name for path in paths if path.name in superseded)
    for path in (path for path in paths if path.name not in superseded):
        stored = store.Stored(path)
        try:
            row = _read_run(path.name, stored)
            config = stored.config()
            row |= of_run(path.name, config, records)
            code = source.code_by_name(config)
            edited = [name for name in code if code[name] != sources.get(name)]
            if edited:
                problems.append(f"{path.name}: left out, {', '.join(edited)} was edited since")
                continue
            networks[config["arch"]] = config[RECORD_KEY]["parts"]
            of_runs[path.name] = row.pop("_target")
            runs.append(row)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            problems.append(f"{path.name}: {type(error).__name__}: {first_line(error)}")
            continue
        try:
            histories[path.name] = _read_history(stored)
        except (OSError, ValueError) as error:
            problems.append(f"{path.name}: history.csv: {first_line(error)}")
    if not runs:
        found = " but those that tune" if store.tuning_directories(directory) else ""
        found += f"; unreadable: {'; '.join(problems)}" if problems else ""
        raise UserError(f"{directory} holds no runs{found}.")
    frame = pd.DataFrame(runs)
    _settle_settings(frame)
    _settle_images(frame)
    # The columns of a result are there even if no run is complete yet.
    frame = frame.reindex(columns=list(dict.fromkeys([*frame.columns, *RESULTS, *_OF_THE_RUN])))
    parts = of_parts(networks)
    _add_labels(frame, runs, parts)
    factors = ["arch", *parts]
    factors += _other_factors(frame, asked.factors(directory), factors, problems)
    if "recipe" in factors:
        frame["recipe"] += _departures(frame, factors)
    frame["protocol"] = _protocols(frame, factors)
    history = _history_frame(histories)
    frame["history_epochs"] = frame["run"].map(history["run"].value_counts()).fillna(0).astype(int)
    beside = tuple(controls.controls(directory))
    # What a command has asked for as an arm too is that.
    is_control = frame["run"].isin({one.run for one in beside} - _names(plans))
    frame["score"], frame["score_of_chance"] = math.nan, math.nan
    study = Study(
        directory,
        tuple(factors),
        parts,
        frame[~is_control].reset_index(drop=True),
        history,
        tuple(problems),
        plans,
        of_runs,
        looked=asked.looked(directory),
        tuned=read_all(directory, records),
        superseded=left_out,
        controls=beside,
        control_runs=_with_lesions(frame[is_control], frame, beside, directory),
    )
    return replace(
        study,
        runs=study.scored(study.runs)[0],
        control_runs=study.scored(study.control_runs)[0],
    )


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
            result = store.read_json(directory / one.run / "result.json")
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
    columns = {key: [row.get(key, absent) for row in runs] for key in parts}
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
        frame[factor] = frame[name].astype(object).where(frame[name].notna(), "none")
    return found


def _settle_settings(frame: pd.DataFrame) -> None:
    """Fills in to which value the others set a key that was tuned for some arms."""
    for column in [name for name in frame.columns if name.startswith(SETTING)]:
        values = frame[f"config.{column.removeprefix(SETTING)}"]
        frame[column] = frame[column].where(frame[column].notna(), values)


def _settle_images(frame: pd.DataFrame) -> None:
    """Fills in which images a run has, and gives each set of images one name for where it lies."""
    # A run that failed before it saw its data belongs with those of its data set that did.
    places = [f"config.{key}" for key in LOCATIONS]
    fingerprints = frame.groupby(["config.dataset.name", *places], dropna=False)["fingerprint"]
    frame["fingerprint"] = fingerprints.transform(lambda known: known.ffill().bfill())
    # One folder may be typed in several ways, such as imgs and ./imgs: the first run's is its name.
    for place in places:
        first = frame.groupby(["config.dataset.name", "fingerprint"])[place].transform("first")
        frame[place] = first.where(first.notna(), frame[place])


def _names(plans: Iterable[Planned]) -> set[str]:
    """Returns the names of all runs of some designs."""
    return {name for planned in plans for arm in planned.runs for name in arm}


def _superseded(records: Iterable[Tuned], plans: Iterable[Planned]) -> set[str]:
    """Returns the runs of earlier choices that no command without tuning has asked for too."""
    found, kept = set[str](), set[str]()
    for one in records:
        found |= set(one.superseded)
        kept |= set(one.runs)
        kept |= _names(plan for plan in plans if {*plan.fixed, *plan.levels} >= set(one.keys))
    return found - kept


def level_column(factor: str) -> str:
    """Returns the column of `Study.runs` with the configured value of a factor."""
    return f"config.{factor}.name" if factor in _GROUPS else f"config.{factor}"


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
            settings = (f"{key.rpartition('.')[2]}={value}" for key, value in row.items())
            texts[run] = f" ({', '.join(settings)})"
    return texts


def _read_run(name: str, stored: store.Stored) -> dict[str, Any]:
    status = stored.status
    config = stored.config()
    if not isinstance(config, dict):
        raise ValueError("config.yaml holds no configuration")
    if RECORD_KEY not in config:
        raise ValueError("config.yaml is of an earlier edition, train the run anew")
    network = config[RECORD_KEY]["parts"]
    keys = flatten(result_keys(config))
    # What a run does not know was added later, and until then all runs had its neutral level.
    keys |= {key: level for key, level in NEUTRAL.items() if key not in keys}
    keys |= {key: config["dataset"].get(key.removeprefix("dataset.")) for key in LOCATIONS}
    name.encode()  # A frame takes no other, and no run is named so.
    row = {
        "run": name,
        "state": status.state,
        "reason": status.reason or "",
        "family": config[RECORD_KEY]["family"],
        "place": config[RECORD_KEY]["place"],
        **labels(config["parts"], network),
        "seed": config["seed"],
        **{
            f"config.{key}": str(value) if isinstance(value, list) else value
            for key, value in keys.items()
        },
        "config.recipe.name": config["recipe"]["name"],
        "fingerprint": None,
    }
    facts_of_target, outputs = None, ()
    with contextlib.suppress(FileNotFoundError):
        provenance = stored.json("provenance.json")
        row["fingerprint"] = provenance.get("fingerprint")
        facts_of_target, outputs = provenance.get("target"), provenance.get("classes") or ()
        facts = flatten({key: provenance.get(key) or "" for key in (*CONFOUNDS, "earlier")})
        row |= {f"provenance.{key}": str(value) for key, value in facts.items()}
    target = targets.of(facts_of_target, outputs, (facts_of_target or {}).get("unit", ""))
    row |= {"target": target.kind, "_target": target}
    if status.state == store.COMPLETE:
        result = stored.json("result.json")
        judged = [*RESULTS, *target.history, *(f"val_{name}" for name in target.metrics)]
        row |= {key: result[key] for key in judged if key in result}
        row |= target.standing(result, noun_of([result.get("kind", IMAGES)]))
        row["initial"] = result.get("initial")
        row["uncounted"] = ", ".join(result.get("uncounted", ()))
        row["kind"] = result.get("kind", IMAGES)
    return {key: utf8(value) if type(value) is str else value for key, value in row.items()}


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

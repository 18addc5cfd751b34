"""A study as data frames, and what may be asked of it. Imports no TensorFlow."""

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis import cells, tables
from ablation.analysis.arms import arm_comparisons, derived, not_within_others, widest
from ablation.analysis.audit import Audit, audit
from ablation.analysis.comparison import Comparison
from ablation.analysis.controls import of_comparison
from ablation.analysis.layout import comparisons, usual_factor
from ablation.analysis.levels import levels, telling
from ablation.analysis.metrics import Metric
from ablation.analysis.tuning import ArmTuning
from ablation.config import UserError, check_margin, first_line
from ablation.designs.registry import DESIGNS, GRID
from ablation.factors import Factor, find_factor, spelled
from ablation.records import asked, store
from ablation.records.asked import Looked, Planned
from ablation.records.controls import Control
from ablation.records.predictions import Predictions
from ablation.targets import CLASSES, all_metrics, check_metric, find_metric
from ablation.targets.common import Target
from ablation.terminal import counted
from ablation.text import did_you_mean, file_name

_STANDING = ("chance", "by_chance", "val_counts")


@dataclass(frozen=True, repr=False)
class Study:
    """Everything that a study's run directories hold.

    Attributes:
        directory: of the study.
        factors: the keys that may differ between the cells of one table.
        parts: those of them that are parts of networks, by key.
        runs: one row a run of an arm: its name, state and reason; a column for each factor, `seed`
            and `family`; `protocol`, equal for runs that may share a table; every configuration key
            by its dotted name below "config."; the numbers of
            `result.json`; what of `provenance.json` can change a result, below "provenance."; the
            data's `fingerprint`; `history_epochs`, how many are in its history; `target`, the kind
            of its labels; `skill`, by which a run is told to be near chance (accuracy, R²), and
            `chance`, that of an answer that looks at no image; `imbalance`, how many times as
            many training images the largest class has as the smallest; `caveats`, of
            labels that the scores say nothing of.
        history: one row a run and finished epoch: `run` and the columns of `history.csv`, of
            `all_runs`. Those of arms alone are `history[history["run"].isin(runs["run"])]`.
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
        control_runs: their runs, with the columns of `runs`, of which a few may be arms too.
        uncontrolled: in words what was asked for as a control and is none.
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
    uncontrolled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        runs = f"{counted(len(self.runs), 'run')}, {len(self.complete)} complete"
        names = [name for name, known in self.levels.items() if len(known) > 1]
        told = telling(set(self.runs[names].astype(str).itertuples(index=False, name=None)))
        varied = [names[place] for place in told]
        return f"<Study {self.directory}: {runs}; {', '.join(varied) or 'nothing'} varied>"

    @property
    def all_runs(self) -> pd.DataFrame:
        """The rows of `runs` and `control_runs` that were trained, in the order of their names.

        They are what `history` has epochs of. A lesion is judged and not trained.
        """
        trained = self.control_runs
        if len(trained):
            is_arm = trained["run"].isin(self.runs["run"])
            trained = trained[~trained["run"].str.contains("/") & ~is_arm]
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
            UserError: there is no such metric, it is not for these labels, the user's own does not
                work, or the margin is no positive number.
        """
        check_margin(margin)
        is_own = name is not None and name not in all_metrics()
        own = find_metric(name) if name is not None and is_own else None
        whole = replace(self, measure=name, own_metric=own, margin=margin)
        if name is None and self.measure is None:
            return whole
        kinds = self.all_runs.groupby("target", sort=False)
        check_metric(name, (self.target_of(of_kind) for _, of_kind in kinds))
        of_arms, problems, lacking = whole.scored(self.runs)
        of_controls, _, more = whole.scored(self.control_runs)
        if own:
            whole = replace(whole, own_metric=own.fitting(of_arms["score"].to_numpy(float)))
        problems, lacking = [*self.problems, *problems], lacking | more
        both = pd.concat([self.runs, self.control_runs]).drop_duplicates("run")
        complete = int((both["state"] == store.COMPLETE).sum())
        for metric in dict.fromkeys(lacking.values()):
            runs = [run for run, of_run in lacking.items() if of_run == metric]
            first = f"{runs[0]}{' and others' if len(runs) > 1 else ''}"
            problems.append(
                f"{metric}: {len(runs)} of {complete} complete runs have no readable predictions "
                f"({first}); rerun=all trains them anew"
            )
        return replace(whole, runs=of_arms, control_runs=of_controls, problems=tuple(problems))

    def scored(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], dict[str, str]]:
        """Returns runs with their scores, what has no such metric, and which runs lack which."""
        runs, problems, lacking = frame.copy(), list[str](), dict[str, str]()
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
            lacking |= dict.fromkeys(missing, metric.name)
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
        # A metric of the user's own may have the name of another one, and of classes alone it can
        # say itself what chance is.
        own = metric is self.own_metric
        able = {run for run, target in self.targets.items() if not (own and target.is_row)}
        found = [
            self.targets[run].chance(metric, one) if ended and run in able else math.nan
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
        return usual | {key: part.first(self.levels[key]) for key, part in self.parts.items()}

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
            reference: of a grid; "null" is that level of the contrast, if it has it.
            design: whose arms are shown; by default the widest that the runs fill among those that
                commands have asked for, a grid where a contrast or reference is given.

        Raises:
            UserError: the design is not known, no factor has two levels, so that it has no arms, or
                none of them has a run.
        """
        if design is not None and design not in DESIGNS:
            raise UserError(f"design={design} is not known. Allowed: {', '.join(DESIGNS)}.")
        if reference is not None:
            reference = spelled(reference)
            if reference == spelled(None) and not self._has_null(contrast):
                reference = None
        found = self._comparisons(contrast, reference, design)
        return [
            replace(
                one,
                target=self.target_of(one.runs),
                metric=self.metric_of(one.runs),
                margin=self._margin(one.runs),
                missing=self._missing(one),
                to_be=None if one.arms else cells.to_be(one, self.designs),
                looked=self.looked,
                tuned=self._tuned(one),
                controls=of_comparison(one, self.controls, self.control_runs),
            )
            for one in found
        ]

    def _has_null(self, contrast: str | None) -> bool:
        """Returns whether null is a level of a factor, by default of that which is compared."""
        if contrast:
            key = find_factor(contrast, self.factors)
        else:
            key = usual_factor(self.runs, self.factors, self.parts)
        return spelled(None) in map(spelled, self.levels.get(key, ()))

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
        grids = [asked.run_names([one]) for one in self.designs if one.design == GRID]
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
            of_grids = asked.run_names(plans)
            elsewhere = asked.run_names(one for one in self.designs if one.design != GRID)
            # What stands in another design alone would tear holes into a grid.
            runs = self.runs
            if of_grids:
                runs = runs[~runs["run"].isin(elsewhere - of_grids)]
            return comparisons(runs, self.factors, self.parts, contrast, reference)
        plans = plans or list(derived(design, self.runs, self.factors, self.parts))
        if not plans:
            raise UserError(
                f"report.design={design}: no factor of this study has two levels to compare."
            )
        if asked.run_names(plans).isdisjoint(self.runs["run"]):
            raise UserError(
                f"report.design={design}: no run of this study is one of its arms; design={design} "
                "trains them."
            )
        return [
            one
            for planned in plans
            for one in arm_comparisons(planned, self.runs, self.factors, self.parts)
        ]

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
            UserError: the study has no such run.
            OSError, ValueError: the run has no predictions, or they are damaged.
        """
        self._check_run(run)
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
            UserError: the study has no such run.
            OSError, ValueError: the run has no predictions, or they are damaged or without
                probabilities.
        """
        self._check_run(run)
        try:
            with np.load(self.directory / run / "predictions.npz") as stored:
                return self.targets.get(run, CLASSES).unpacked(dict(stored))
        except (EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"predictions.npz: {first_line(error)}") from None

    def diagnostics(self, run: str) -> pd.DataFrame:
        """Returns what `diagnostics=true` measured in a run, read from its directory.

        Returns:
            One row an epoch (0 is before training) and measured layer: `run` and the columns of
            `diagnostics.csv`.

        Raises:
            UserError: the study has no such run.
            OSError, ValueError: the run has no diagnostics, or they are damaged.
        """
        self._check_run(run)
        path = self.directory / run / "diagnostics.csv"
        if not path.exists():
            raise FileNotFoundError(f"{run} has no diagnostics; train it with diagnostics=true")
        frame = pd.read_csv(path)
        if tuple(frame.columns) != store.DIAGNOSTIC_COLUMNS:
            raise ValueError("diagnostics.csv: not the columns that were written")
        frame.insert(0, "run", run)
        return frame

    def _check_run(self, run: str) -> None:
        """Raises UserError unless a run, or a lesion of one, is of this study."""
        known = {*self.runs["run"], *self.control_runs.get("run", ())}
        if run not in known:
            raise UserError(
                f"{run} is no run of {self.directory}.{did_you_mean(str(run), sorted(known))} "
                'study.runs["run"] has their names.'
            )

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
        if not parts:  # As where no network could be built.
            return pd.DataFrame(columns=["dataset", "protocol"])
        return pd.concat(parts, ignore_index=True)

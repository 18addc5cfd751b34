"""All runs of one command, from the plan to the report.

A sweep is planned as a whole before its first job starts, so that a bad value in the last cell
stops it at once. Then the run directories are watched and the report is kept up to date. The jobs
themselves are Hydra's business, so any of its launchers will do; see `launching`.
"""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from omegaconf import DictConfig

from ablation import keys, recipes
from ablation.config import (
    UserError,
    flatten,
)
from ablation.data import cache, sources
from ablation.designs import BLOCKS
from ablation.designs.controls import CAPACITY, LESION
from ablation.records import asked, store
from ablation.records import claims as recorded
from ablation.records import controls as recorded_controls
from ablation.records.asked import Planned
from ablation.records.controls import Control
from ablation.records.identity import identity_keys
from ablation.records.standing import Standing
from ablation.records.store import Run, Status
from ablation.report import PAGE
from ablation.running import arms, checks, controls, plan, remarks, runner
from ablation.running.jobs import Expansion
from ablation.running.progress import Monitor
from ablation.running.tuning import Decided, Tuning
from ablation.running.until import Buying
from ablation.targets import check_metric
from ablation.terminal import counted, open_console
from ablation.validation import validated

PLANNED = "planned"
"""The key by which a job is told the identity of the run that it was planned as."""


def command_line() -> str:
    """Returns the command as the user typed it, in a launcher's worker too."""
    typed = shlex.join(["python", "-m", "ablation", *sys.argv[1:]])
    return os.environ.setdefault("ABLATION_COMMAND", typed)


def begun() -> str:
    """Returns when the sweep began, in a launcher's worker too; like the times in `Status`."""
    return os.environ.setdefault("ABLATION_BEGUN", store.now())


def planned_as(run: Run) -> str:
    """Returns the override that tells a job which run it was planned as."""
    return f"+{PLANNED}='{run.identity}'"


class Sweep:
    """All runs of one command, from the plan to the report.

    Args:
        configs: the resolved configuration of each job.
        expansion: the design that they are the jobs of, None of a single run.
        decided: with which values its arms were chosen to be trained, None if nothing is tuned.

    Raises:
        UserError: a value is not allowed.
    """

    def __init__(
        self,
        configs: list[dict[str, Any]],
        expansion: Expansion | None = None,
        decided: Decided | None = None,
    ):
        swept = expansion.swept if expansion else []
        checks.check_swept(swept)
        self._without_effect = dict.fromkeys(remarks.without_effect(configs))
        self._configs = [validated(config) for config in configs]
        sources.check_places([config["dataset"] for config in configs])
        unread = recipes.without_effect([config["recipe"] for config in configs])
        self._without_effect |= dict.fromkeys(unread)
        checks.check_sweeps(self._configs[0], expansion)
        checks.check_backends(self._configs)
        self._swept = swept
        self._expansion = expansion
        self._decided = decided
        self._reasons = decided.reasons if decided else []
        self._console = open_console(stderr=True)
        self._directory = store.study_directory(self._configs[0])
        self._report = self._configs[0].report
        known = list(checks.known_configs(self._configs, self._directory))
        checks.check_comparison(self._configs[0], expansion, known, self._directory)
        self._claims = checks.read_claims(self._configs, expansion, known, self._directory)
        self._metric = ""  # Known with the data.
        self._of_jobs: list[Run] = []
        self._runs: list[Run] = []
        self._buying: Buying | None = None
        self._monitor: Monitor | None = None
        self._figures: Sequence[Sequence[Any]] = ()

    def _called(self) -> dict[str, str]:
        """Returns what tells a run from others where its name does not, by that name."""
        return arms.of_runs(self._expansion, self._of_jobs) if self._expansion else {}

    def prepare(self) -> None:
        """Makes sure that every data set lies ready, which the identity of a run needs.

        Raises:
            UserError: a data set cannot be had, is smaller than a batch, or has no labels that
                `report.metric` is for.
        """
        of_data = {runner.data_key(config): config for config in self._configs}.values()
        for config in of_data:
            runner.prepare(config.dataset, config.cache_dir)
        self._keep(runner.resolve(self._configs))
        if self._expansion:
            checks.check_arms(self._configs[0].design.name, self._expansion, self._of_jobs)
        targets = []
        for config in of_data:
            data = cache.find(config.dataset, config.cache_dir)
            assert data
            targets.append(data.target(config.dataset))
        check_metric(self._report.metric, targets)
        self._metric = self._report.metric or targets[0].metric.name

    def _keep(self, runs: list[Run]) -> None:
        """Takes the runs of the jobs, in order, for those of the sweep."""
        self._of_jobs = runs
        self._configs = [run.config for run in runs]
        # Cells that name the same network in different words are one run.
        named = {run.name: run for run in self._of_jobs}
        turns: dict[int, int] = {}
        for run in runs:
            turns.setdefault(run.config.seed, len(turns))
        # All that is trained of one seed comes before the next one, controls too.
        self._runs = sorted(named.values(), key=lambda run: turns[run.config.seed])
        if self._expansion and self._expansion.until:
            design, at_most = self._configs[0].design.name, self._expansion.until
            self._buying = Buying(self._directory, self._report, design, self._runs, at_most)

    @property
    def plans_only(self) -> bool:
        """Whether the command wants to know what would be trained, and no more."""
        return bool(self._configs[0].plan)

    def tuning(self, composed: DictConfig, given: dict[str, Any]) -> Tuning | None:
        """Returns what the command tunes, None if nothing; it is not prepared yet.

        Args:
            composed: what Hydra composed for the command as a whole.
            given: what every run has beside that.

        Raises:
            UserError: something cannot be tuned, or not so.
        """
        if not self._configs[0].tune.grid:
            return None
        assert self._expansion
        of_arms = replace(self._expansion, jobs=self._expansion.of_arms)
        return Tuning(composed, of_arms, self._configs[0], given)

    def begin_tuning(self, tuning: Tuning) -> list[tuple[str, ...]]:
        """Puts on record what is tried, and starts to watch.

        Returns:
            The overrides of each trial that is due.

        Raises:
            UserError: the study's folder cannot be written.
        """
        try:
            sources: dict[str, dict[str, str]] = {}
            for run in tuning.runs:
                sources |= run.sources
            asked.add(self._directory, self._swept, sources, report=self._report)
            recorded.register(self._directory, self._claims, self._metric)
            tuning.record()
        except OSError as error:
            raise UserError(f"{self._directory} cannot be written: {error}") from None
        self._tell_remarks()
        self._say(tuning.said())
        due = tuning.due
        nothing = lambda standing: None  # noqa: E731  # A trial changes no table.
        self._monitor = Monitor(
            [tuning.runs[i] for i in due], self._console, nothing, nothing, called=tuning.called()
        )
        self._monitor.start()
        return [(*tuning.words[place], planned_as(tuning.runs[place])) for place in due]

    def end_tuning(self, tuning: Tuning) -> Decided | None:
        """Chooses a value for each arm; returns None if trials were stopped from outside."""
        assert self._monitor
        ends = [(run, runner.wait_or_take_over(run, command_line())) for run in tuning.runs]
        self._monitor.stop()
        stopped = [(run, status) for run, status in ends if not status.is_final]
        if stopped:
            self._say(*remarks.on_ends(stopped))
            self._say("Nothing is chosen before all tuning runs have ended.")
            return None
        decided = tuning.decide()
        self._say(*(f"tuned: {line}" for line in decided.said))
        return decided

    def plan(self, workers: int, tuning: Tuning | None = None) -> None:
        """Prints what would be trained and how long that would take.

        Args:
            workers: runs that are trained at a time.
            tuning: what is tuned before, None if nothing is.
        """
        self._say(*self._without_effect)
        self._tell_design()
        rerun = self._configs[0].rerun
        if tuning:
            self._say(tuning.said())
            runs, unchosen, self._reasons = tuning.expected()
            self._keep([*runs, *self._controls_of(runs)])
            self._say(*dict.fromkeys(filter(None, self._reasons)))
            if unchosen:
                self._say(
                    f"Nothing is chosen yet for {counted(unchosen, 'arm')}, whose runs are planned "
                    "with a value at which most are to be trained."
                )
        trials = tuning.runs if tuning else []
        without = self._unchosen()
        planned = [*trials, *(run for run in self._runs if run.name not in without)]
        called = self._called() | (tuning.called() if tuning else {})
        seconds = plan.show(planned, rerun, workers, bool(self._buying), called)
        if self._buying:
            for line in plan.until(self._buying, self._runs, seconds, workers):
                print(line)

    def portions(self, workers: int) -> Iterator[list[tuple[str, ...]]]:
        """Yields the overrides of the jobs to be trained next, of all or of seeds by looking.

        Args:
            workers: runs that are trained at a time.

        Raises:
            UserError: the study's folder cannot be written.
        """
        places = self.begin()
        if not self._buying:
            yield self._words(places)
            return
        begun = {run.name for run in self._buying.bought}
        first = [place for place in places if self._of_jobs[place].name in begun]
        if first:
            yield self._words(first)
        goes_on = True
        while goes_on:
            if self._buying.bought:
                if any(status.state == store.INTERRUPTED for _, status in self._ends()):
                    return  # What stopped them would stop the next ones too.
                goes_on, said = self._buying.look()
                self._say(said)
            before = {run.name for run in self._buying.bought}
            if not goes_on or not self._buying.buy(workers):
                return
            self._record()
            new = {run.name for run in self._buying.bought} - before
            yield self._words([place for place in places if self._of_jobs[place].name in new])

    def _words(self, places: Sequence[int]) -> list[tuple[str, ...]]:
        """Returns the overrides of some jobs, each with the run that it was planned as."""
        assert self._expansion
        jobs = self._expansion.jobs
        return [(*jobs[place].words, planned_as(self._of_jobs[place])) for place in places]

    def begin(self) -> list[int]:
        """Says what will be trained and starts to watch.

        Returns:
            The places of the jobs that are due.

        Raises:
            UserError: the study's folder cannot be written.
        """
        self._record()
        recorded.register(self._directory, self._claims, self._metric)
        without = self._unchosen()
        statuses = self._statuses(self._runs, without)
        due = [one for one in statuses if one[0].name not in without and self._is_due(one[1])]
        if not self._decided:  # Else it was said before the trials.
            self._tell_remarks()
        kept = [one for one in statuses if one not in due]
        self._say(*remarks.on_kept(kept))
        counts = Counter(status.state for _, status in due)
        states = f" ({', '.join(f'{n} {state}' for state, n in counts.items())})" if due else ""
        self._say(
            f"{self._directory}: {counted(len(self._runs), 'run')}, "
            f"{'at most ' if self._buying else ''}{len(due)} to train{states}"
        )
        self._monitor = Monitor(
            [run for run, _ in due],
            self._console,
            lambda standing: self._write_report(standing=standing),
            self._write_page,
            bool(self._buying),
            self._called(),
        )
        if due:
            page = self._directory / PAGE
            self._say(f"To look on: {page}")
        self._monitor.start()
        names = [run.name for run in self._of_jobs]
        return [names.index(run.name) for run, _ in due]

    def _is_due(self, status: Status) -> bool:
        return runner.is_due(status, self._configs[0].rerun)

    def _unchosen(self) -> set[str]:
        """Returns the names of the runs for whose arms no value could be chosen."""
        if not any(self._reasons):
            return set()
        assert self._expansion
        reasons = self._reasons
        controls = (job.control for job in self._expansion.jobs if job.control)
        whose = [*range(len(reasons)), *(control.of for control in controls)]
        of_jobs = zip(self._of_jobs, whose, strict=True)
        return {run.name for run, place in of_jobs if reasons[place]}

    def _statuses(self, runs: Sequence[Run], without: Set[str]) -> list[tuple[Run, Status]]:
        """Returns how runs stand, but for controls that never begin: their arm has no value."""
        found = ((run, store.read_status(run.directory)) for run in runs)
        return [one for one in found if one[0].name not in without or one[1].state != store.PENDING]

    def _ends(self) -> list[tuple[Run, Status]]:
        """Returns how the runs ended, when all have: goes on with those whose process has died."""
        begun = self._statuses(self._trained, self._unchosen())
        return [(run, runner.wait_or_take_over(run, command_line())) for run, _ in begun]

    def _record(self) -> None:
        """Puts on record what the command asks for.

        Raises:
            UserError: the study's folder cannot be written.
        """
        try:
            sources: dict[str, dict[str, str]] = {}
            for run in self._runs:
                sources |= run.sources
            alone = () if self._expansion else [run.name for run in self._runs]
            asked.add(self._directory, self._swept, sources, self._planned(), alone, self._report)
            if self._decided:
                self._decided.put(self._of_jobs[: len(self._decided.reasons)], self._trained)
            recorded_controls.put(self._directory, list(self._controls()))
            if self._expansion:
                self._put_without(
                    {
                        kind: {self._of_jobs[place].name: line for place, line in lines.items()}
                        for kind, lines in self._expansion.uncontrolled.items()
                    }
                )
            if self._buying:
                self._buying.record()
        except OSError as error:
            raise UserError(f"{self._directory} cannot be written: {error}") from None

    @property
    def _trained(self) -> list[Run]:
        """The runs of the command but for those of seeds that nobody has decided to train."""
        return self._buying.bought if self._buying else self._runs

    def _tell_remarks(self) -> None:
        """Says what of the command has no effect, what will be slow, and what its design is."""
        self._say(*self._without_effect, *remarks.on_environment(self._runs))
        self._tell_design()

    def _tell_design(self) -> None:
        """Says what the design of the command asks, and what stands beside its arms."""
        self._say(*remarks.on_design(self._configs[0], self._expansion))

    def _lesion(self) -> None:
        """Judges the trained full networks with parts switched off, as far as they are there."""
        if LESION not in self._configs[0].control or not self._expansion:
            return
        design, trained = self._configs[0].design.name, {run.name for run in self._trained}
        found = controls.lesions(self._expansion, self._of_jobs, design, trained)
        self._say(*dict.fromkeys(found.said.values()))
        recorded_controls.put(self._directory, found.controls)
        self._put_without({LESION: found.said})

    def _put_without(self, said: dict[str, dict[str, str]]) -> None:
        """Puts on record why arms have no control: of kinds, a line for the run of each."""
        assert self._expansion
        arms = {run.name for run in self._of_jobs[: len(self._expansion.of_arms)]}
        recorded_controls.put_without(self._directory, said, arms)

    @property
    def widens(self) -> bool:
        """Whether the command asks for arms that are widened."""
        return bool({CAPACITY, LESION} & {*self._configs[0].control})

    def widened(self) -> Expansion:
        """Returns the jobs with those of arms that are widened; says which, and which are not.

        Raises:
            UserError: a network cannot be widened, or the design has no full one.
        """
        assert self._expansion
        design = self._configs[0].design.name
        expansion, asked_for = self._expansion, self._configs[0].control
        if CAPACITY in asked_for:
            found = controls.widened(expansion, self._of_jobs, design)
            self._say(*found.said)
            expansion = found.expansion
        if LESION in asked_for:
            expansion = controls.keeping(expansion, self._of_jobs, design)
        return expansion

    def _controls_of(self, runs: Sequence[Run]) -> list[Run]:
        """Returns the controls of the arms' runs, whatever those were tuned to."""
        assert self._expansion
        jobs = [
            replace(job, config=asdict(run.config))
            for run, job in zip(runs, self._expansion.of_arms, strict=True)
        ]
        found = controls.again(self._expansion, jobs)[len(jobs) :]
        return runner.resolve([validated(job.config) for job in found])

    def _controls(self) -> Iterator[Control]:
        """Yields the controls that are trained, for the record."""
        if not self._expansion:
            return
        trained = {run.name for run in self._trained} - self._unchosen()
        for run, job in zip(self._of_jobs, self._expansion.jobs, strict=True):
            if job.control and run.name in trained:
                of = self._of_jobs[job.control.of].name
                against = job.control.against
                facts = job.control.facts
                if against is not None:
                    facts = facts | {"against": self._of_jobs[against].name}
                yield Control(job.control.kind, run.name, of, facts)

    def _planned(self) -> Planned | None:
        """Returns the design of the command, for the record."""
        if not self._expansion:
            return None
        config, space = self._configs[0], self._expansion.space
        # What is tuned is fixed for no arm but by its own trials.
        tuned = {keys.full(one.partition("=")[0]) for one in config.tune.grid}
        runs: dict[int, dict[str, None]] = {}
        trained = {run.name for run in self._trained}
        for run, job in zip(self._of_jobs, self._expansion.jobs, strict=True):
            if job.control:
                continue
            runs.setdefault(job.arm, {}).update({run.name: None} if run.name in trained else {})
        fixed = {
            key: value
            for key, value in flatten(identity_keys(asdict(config))).items()
            if key not in (*space.levels, *tuned)
            and key.split(".")[0] not in (*BLOCKS, *space.levels)
        }
        arms = tuple(tuple(runs[arm]) for arm in sorted(runs))
        return Planned(config.design.name, space.levels, space.rejected, fixed, arms)

    def end(self) -> bool:
        """Writes and prints the report; returns whether every run is complete."""
        assert self._monitor
        ends = self._ends()
        self._monitor.stop()
        self._lesion()
        self._write_report(partial(print, flush=True))
        print(f"Report: {self._directory / 'report.md'}")
        print(f"Page:   {self._directory / PAGE}")
        told = [(run, status) for run, status in ends if status.state != store.COMPLETE]
        left = [(run, status) for run, status in told if status.state != store.REFUSED]
        self._say(*remarks.on_ends(told))
        if any(status.state in (store.FAILED, store.DIVERGED) for _, status in left):
            self._say("The same command with rerun=failed tries these again.")
        complete = (run for run, status in ends if status.state == store.COMPLETE)
        self._say(*remarks.on_weights(complete))
        return not left

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True, highlight=False)

    def _write_report(
        self, tell: Callable[[str], object] | None = None, standing: Standing | None = None
    ) -> None:
        # Imported here, because pandas and Matplotlib would delay every plan and every error.
        from ablation.report.write import write_report

        self._figures = write_report(self._directory, self._report, tell, standing)

    def _write_page(self, standing: Standing | None) -> None:
        from ablation.report.write import write_page

        write_page(self._directory, self._report, self._figures, standing)

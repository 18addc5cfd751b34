"""Fair tuning: every arm tries the same values before its runs, and is trained with its best.

`tune.recipe.learning_rate=0.1,0.03` gives each arm the same trials, on seeds and on a split of the
training images that no reported run has. What is tried and chosen is on record before a run that
rests on it begins, and follows from the trials alone, so that whoever stops a command anywhere and
starts it again comes to the same choice.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from omegaconf import DictConfig

from ablation.analysis.metrics import ACCURACY
from ablation.config import Config, TuneConfig, UserError, flatten
from ablation.factors import spelled
from ablation.records import durable, store, tuning
from ablation.records.store import Run, Status
from ablation.records.tuning import Tuned, arm_of
from ablation.running import runner, tuned_values
from ablation.running.jobs import Expansion, Job, check_count, configurations, parsed
from ablation.terminal import counted
from ablation.validation import validated


@dataclass(frozen=True)
class _Arm:
    """What is tried for the jobs of one arm on one data set.

    Attributes:
        words: that these jobs have in common.
        levels: of the factors of the command.
        trials: for each combination of values its runs, one a seed.
    """

    words: tuple[str, ...]
    levels: dict[str, str]
    trials: list[list[Run]]

    @property
    def runs(self) -> list[Run]:
        """All of its trials."""
        return [run for trial in self.trials for run in trial]


class Tuning:
    """The trials of a command, and what follows from them; ready when it is prepared.

    Args:
        composed: what Hydra composed for the command as a whole.
        expansion: the runs that it asks for.
        config: of one of them, for the keys of the command.
        given: what every run of the command has beside what Hydra composes.

    Attributes:
        runs: all trials, those of one value and seed for every arm before the next ones; known
            once it is prepared.
        words: of each of them, as Hydra takes it; likewise.

    Raises:
        UserError: something cannot be tuned, or not so.
    """

    def __init__(
        self,
        composed: DictConfig,
        expansion: Expansion,
        config: Config,
        given: Mapping[str, Any],
    ):
        self._name = composed.hydra.job.config_name
        self._tune = config.tune
        self._given = dict(given)
        self._expansion = expansion
        self._rerun = config.rerun
        self._study = store.study_directory(config)
        self._grid = tuned_values.grid(self._tune, expansion)
        arms = len({job.without_seed for job in expansion.jobs})
        values = math.prod(map(len, self._grid.values()))
        check_count(arms * values * self._tune.seeds, what="tuning run")
        self._combinations = list(itertools.product(*self._grid.values()))
        firsts = {job.without_seed: job for job in reversed(expansion.jobs)}
        self._jobs = list(reversed(firsts.values()))
        self._seeds = [store.TUNING_SEEDS + number for number in range(self._tune.seeds)]
        self._words = [
            (*_others(job.words, self._tune), *values, f"seed={seed}", *self._of_trials)
            for job in self._jobs
            for values in self._combinations
            for seed in self._seeds
        ]
        configs = configurations(self._name, self._words)
        self._configs = [validated(one | self._given) for one in configs]

    def prepare(self) -> None:
        """Makes sure that the data of every trial lies ready, which its identity needs.

        Raises:
            UserError: it cannot be had, or two values come to the same trial.
        """
        for config in {runner.data_key(config): config for config in self._configs}.values():
            runner.prepare(config.dataset, config.cache_dir)
        self._arms, words = self._planned()
        in_order = sorted(
            (run for arm in self._arms for run in arm.runs),
            key=lambda run: self._turns[run.name],
        )
        self.runs = list({run.name: run for run in in_order}.values())
        self.words = [words[run.name] for run in self.runs]

    def _planned(self) -> tuple[list[_Arm], dict[str, tuple[str, ...]]]:
        """Returns what is tried for each arm, and the overrides of each trial by its name."""
        runs = runner.resolve(self._configs)
        self._turns: dict[str, tuple[int, int]] = {}
        arms, left = [], iter(runs)
        for job in self._jobs:
            trials = [[next(left) for _ in self._seeds] for _ in self._combinations]
            arms.append(_Arm(job.without_seed, job.levels, trials))
            for place, trial in enumerate(trials):
                for number, run in enumerate(trial):
                    self._turns.setdefault(run.name, (number, place))
            self._check_read(arms[-1])
        words = dict(zip((run.name for run in runs), self._words, strict=True))
        return arms, words

    @property
    def _of_trials(self) -> list[str]:
        epochs = [] if self._tune.epochs is None else [f"epochs={self._tune.epochs}"]
        return [f"tuning={self._tune.share}", *epochs]

    def _check_read(self, arm: _Arm) -> None:
        """Raises UserError if two combinations of values come to the same trial."""
        known: dict[str, tuple[str, ...]] = {}
        for values, trial in zip(self._combinations, arm.trials, strict=True):
            other = known.setdefault(trial[0].name, values)
            if other != values:
                where = "".join(f" with {key}={level}" for key, level in arm.levels.items())
                one = next(a for a, b in zip(other, values, strict=True) if a != b)
                key = one.partition("=")[0]
                raise UserError(
                    f"tune.{key}: {' and '.join(_differing(other, values))} come to the same run"
                    f"{where}, where {key} changes nothing; leave it out, or name others."
                )

    @property
    def due(self) -> list[int]:
        """The places of the trials that are to be trained."""
        return [
            place
            for place, run in enumerate(self.runs)
            if runner.is_due(store.read_status(run.directory), self._rerun)
        ]

    def called(self) -> dict[str, str]:
        """Returns the values that each trial tries, such as "learning_rate=0.1", by its run."""
        short = [", ".join(map(_short, values)) for values in self._combinations]
        return {
            run.name: tried
            for arm in self._arms
            for tried, trial in zip(short, arm.trials, strict=True)
            for run in trial
        }

    def said(self) -> str:
        """Returns what is tried, in words."""
        one = self.runs[0].config
        whole = f"{counted(len(self._combinations), 'value')} of {' and '.join(self._grid)}"
        if len(self._grid) > 1:
            whole = f"{len(self._combinations)} combinations of {' and '.join(self._grid)}"
        epochs = sorted({run.config.epochs for run in self.runs})
        return (
            f"tuning: {whole} for {counted(len(self._arms), 'arm')}, "
            f"{counted(self._tune.seeds, 'seed')} each, "
            f"{counted(epochs[0], 'epoch') if len(epochs) == 1 else 'epochs as their runs'}, "
            f"judged by {one.tuning:.3g} of the training data: "
            f"{counted(len(self.runs), 'tuning run')}, {len(self.due)} to train"
        )

    def record(self) -> None:
        """Puts on record, before they are trained, what is tried for arms that are new."""
        known = tuning.tuned(self._study)
        new = [one for one in self._records() if not tuning.earlier(known, one)]
        tuning.put(self._study, new)

    def _records(self) -> Iterator[Tuned]:
        """Yields of each arm what is tried, without a choice."""
        for arm in self._arms:
            first, grid = arm.trials[0][0], self._typed(arm)
            yield Tuned(
                arm_of(
                    first.described | {"epochs": self._epochs(arm)}, tuple(grid), first.fingerprint
                ),
                arm.levels,
                grid,
                self._tune.share,
                tuple(run.config.seed for run in arm.trials[0]),
                first.config.epochs,
                tuple(tuple(run.name for run in trial) for trial in arm.trials),
            )

    def _epochs(self, arm: _Arm) -> int:
        """Returns the epochs of the runs of an arm, which its trials may not have."""
        return next(
            job.config["epochs"] for job in self._expansion.jobs if job.without_seed == arm.words
        )

    def _typed(self, arm: _Arm) -> dict[str, tuple[Any, ...]]:
        """Returns the values of each key as the configurations of an arm's trials have them."""
        found: dict[str, dict[str, Any]] = {key: {} for key in self._grid}
        for values, trial in zip(self._combinations, arm.trials, strict=True):
            flat = flatten(asdict(trial[0].config))
            for key, word in zip(self._grid, values, strict=True):
                value = flat.get(key, word.partition("=")[2])  # A part may change nothing.
                found[key][word] = tuple(value) if isinstance(value, list) else value
        return {key: tuple(of_word.values()) for key, of_word in found.items()}

    def decide(self) -> "Decided":
        """Chooses a value for each arm and puts it on record.

        Every trial has ended.

        Returns:
            The runs that the command asked for, each with its arm's value.
        """
        # Imported here, since a report's statistics would delay every error.
        from ablation.analysis import tuning as trials

        records, reasons, chosen, said = [], {}, {}, []
        known = tuning.tuned(self._study)
        for arm, record in zip(self._arms, self._records(), strict=True):
            found = trials.read(self._study, record)
            place = trials.best(found)
            records.append(replace(record, chosen=place))
            said.append(_told(records[-1], found, tuning.earlier(known, record)))
            chosen[arm.words] = self._combinations[place or 0]
            if place is None:
                reasons[arm.words] = trials.why_not(found)
        tuning.put(self._study, records)
        jobs = self._with_values(chosen)
        return Decided(
            replace(self._expansion, jobs=jobs),
            [reasons.get(job.without_seed) for job in self._expansion.jobs],
            records,
            [arm.words for arm in self._arms],
            [job.without_seed for job in self._expansion.jobs],
            tuple(said),
        )

    def expected(self) -> tuple[list[Run], int, list[str | None]]:
        """Returns the runs that the command asked for with the values that are on record.

        Those of an arm without one have the value at which most would have to be trained.

        Returns:
            A run for each job; for how many arms nothing is chosen yet; and of each job why there
            is no value to train it with, None if there is one or will be.
        """
        # Imported here, since a report's statistics would delay every error.
        from ablation.analysis import tuning as trials

        known = tuning.tuned(self._study)
        chosen, open_arms, reasons = {}, [], {}
        for arm, record in zip(self._arms, self._records(), strict=True):
            before = tuning.earlier(known, record)
            same = before and (before.grid, before.trials) == (record.grid, record.trials)
            statuses = [store.read_status(run.directory) for run in arm.runs]
            if before and same and before.chosen is not None:
                chosen[arm.words] = self._combinations[before.chosen]
            elif any(runner.is_due(one, self._rerun) for one in statuses):
                open_arms.append(arm.words)
            else:  # The command would decide by what is there.
                tried = trials.read(self._study, record)
                place = trials.best(tried)
                chosen[arm.words] = self._combinations[place or 0]
                if place is None:
                    reasons[arm.words] = f"{record.named}: {trials.why_not(tried)}"
        most = dict.fromkeys(open_arms, -1)
        found: dict[tuple[str, ...], list[Run]] = {}
        for values in self._combinations:
            runs = self._resolved(chosen | dict.fromkeys(open_arms, values))
            for words in [arm.words for arm in self._arms]:
                own = self._of_arm(runs, words)
                due = sum(runner.is_due(store.read_status(r.directory), self._rerun) for r in own)
                if words not in found or due > most.get(words, due):
                    found[words], most[words] = own, due
        left = {words: iter(runs) for words, runs in found.items()}
        jobs = self._expansion.jobs
        of_jobs = [next(left[job.without_seed]) for job in jobs]
        return of_jobs, len(open_arms), [reasons.get(job.without_seed) for job in jobs]

    def _of_arm(self, runs: Sequence[Run], words: tuple[str, ...]) -> list[Run]:
        pairs = zip(runs, self._expansion.jobs, strict=True)
        return [run for run, job in pairs if job.without_seed == words]

    def _resolved(self, chosen: Mapping[tuple[str, ...], tuple[str, ...]]) -> list[Run]:
        configs = [validated(job.config | self._given) for job in self._with_values(chosen)]
        return runner.resolve(configs)

    def _with_values(self, chosen: Mapping[tuple[str, ...], tuple[str, ...]]) -> list[Job]:
        jobs = self._expansion.jobs
        words = [(*job.words, *chosen[job.without_seed]) for job in jobs]
        configs = configurations(self._name, words)
        return [
            replace(job, words=of_job, config=config)
            for job, of_job, config in zip(jobs, words, configs, strict=True)
        ]


@dataclass(frozen=True)
class Decided:
    """What follows from the trials.

    Attributes:
        expansion: the runs of the command, each with the value that was chosen for its arm.
        reasons: of each of its jobs why there is none to train it with, None if there is.
        said: in words, a line an arm.
    """

    expansion: Expansion
    reasons: list[str | None]
    _records: list[Tuned]
    _of_records: list[tuple[str, ...]]
    _of_jobs: list[tuple[str, ...]]
    said: tuple[str, ...]

    def put(self, runs: Sequence[Run], trained: Sequence[Run]) -> None:
        """Puts on record which runs rest on a choice, and ends those that have none.

        Args:
            runs: of every job, in order.
            trained: those of them that are to be trained.
        """
        names = {run.name for run in trained}
        of_arm: dict[tuple[str, ...], dict[str, None]] = {}
        for run, arm, reason in zip(runs, self._of_jobs, self.reasons, strict=True):
            if run.name not in names:
                continue
            of_arm.setdefault(arm, {})[run.name] = None
            status = store.read_status(run.directory)
            if reason and (status.state == store.PENDING or tuning.is_unchosen(status)):
                durable.make_directory(run.directory)
                durable.write_yaml(run.directory / "config.yaml", run.described)
                store.write_status(run.directory, Status().ended(store.FAILED, reason))
            elif tuning.is_unchosen(status):
                store.write_status(run.directory, Status())  # Now there is a value.
        study = store.study_directory(runs[0].config)
        tuning.put(
            study,
            [
                replace(record, runs=tuple(of_arm.get(arm, ())))
                for record, arm in zip(self._records, self._of_records, strict=True)
            ],
        )


def _others(words: Sequence[str], tune: TuneConfig) -> list[str]:
    """Returns the overrides of a job that its trials have too; nobody needs their weights."""
    own = ("seed=", "keep_checkpoints=", *(("epochs=",) if tune.epochs is not None else ()))
    return [word for word in words if not word.startswith(own)]


def _short(word: str) -> str:
    """Returns an override with the last part of its key alone, and its value as one types it."""
    (override,) = parsed([word])
    key, _, typed = word.partition("=")
    value = override.value()
    typed = spelled(value) if isinstance(value, (bool, str)) else typed
    return f"{key.rpartition('.')[2]}={typed}"


def _differing(one: Sequence[str], other: Sequence[str]) -> list[str]:
    pairs = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    return [", ".join(words) for words in zip(*pairs, strict=True)]


def _told(record: Tuned, found: Sequence[Any], before: Tuned | None) -> str:
    """Returns what was chosen for an arm, and what is to be said of it."""
    from ablation.analysis import tuning as trials

    if record.chosen is None:
        return f"{record.named}: {trials.why_not(found)}"
    if all(trial.refused for trial in found):
        return f"{record.named}: nothing to choose, there is no such net"
    values = ", ".join(f"{key}={spelled(value)}" for key, value in record.values.items())
    trial = found[record.chosen]
    metric, score = trial.target.of_epochs, trial.target.of_epochs.value(trial.mean)
    # Of accuracies it goes without saying.
    called = "" if metric is ACCURACY else f"{metric.title.removeprefix('validation ')} "
    said = [f"{record.named}: {values}, {called}{score} of the data that judges"]
    edges = trials.at_edge(record.grid, record.values)
    if edges:
        said.append(f"the best {' and '.join(edges)} is at the edge of what was tried")
    if trials.ties(found, record.chosen):
        said.append("others score as well")
    if before and before.values and before.values != record.values:
        was = ", ".join(f"{key}={spelled(value)}" for key, value in before.values.items())
        said.append(f"decided anew, it was {was}")
    return "; ".join(said)

"""What Hydra calls: `job` for each run, the callback for a single run, `sweep` for several."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation.config import (
    SWEEPER,
    UserError,
    to_plain,
)
from ablation.designs.registry import GRID
from ablation.designs.registry import find as find_design
from ablation.records import store
from ablation.running import children, controls, runner
from ablation.running.jobs import Expansion, expand
from ablation.running.sweep import PLANNED, Sweep, begun, command_line
from ablation.running.tuning import Tuning
from ablation.terminal import EXIT_RUNS_MISSING, EXIT_USER_ERROR
from ablation.validation import explain, validated


def job(config: DictConfig) -> None:
    """Trains one run, unless that is already done. Never raises for a run that fails.

    Nor does it train what nobody has planned, when code or data have changed since the sweep began:
    the run that was planned then is left for the sweep to say so; see `training.changed`.
    """
    # With hydra.job.chdir=true it has moved, and every path is as it was typed.
    os.chdir(HydraConfig.get().runtime.cwd)
    given = {"threads": threads(config.threads, HydraConfig.get())}
    typed = to_plain(config)
    planned = typed.pop(PLANNED, None)
    try:
        one = validated(typed | given)
        runner.prepare(one.dataset, one.cache_dir)  # The cache may be gone since the sweep began.
        (run,) = runner.resolve([one])
    except UserError as error:
        print(f"ablation: {error}", file=sys.stderr)
        return
    if planned not in (None, run.identity):
        return
    status = store.read_status(run.directory)
    # Several jobs of a sweep may name one network in different words.
    anew = not (status.is_final and (status.start or "") >= begun())
    if anew and runner.is_due(status, run.config.rerun):
        runner.train(run, command_line(), status)


class StudyCallback(Callback):
    """Plans and reports a single run. Named in `conf/config.yaml`, called by Hydra."""

    def __init__(self) -> None:
        self._sweep: Sweep | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the sweep, whose thread stays here when a launcher ships the callback."""
        return {"_sweep": None}

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Plans the run."""
        with _errors_end_the_program():
            find_design(config.design.name)
            if config.design.name != GRID:
                raise UserError(
                    f"design={config.design.name} trains several runs: put -m before the keys, and "
                    "name the levels of each, such as epochs=5,10."
                )
            for key in ("reference", "rejected"):
                if config.design[key]:
                    raise UserError(
                        f"design.{key} is of the arms of a sweep: put -m before the keys, and name "
                        "several levels, or leave it out."
                    )
            self._sweep = Sweep([to_plain(config) | own_threads(config)])
            self._sweep.prepare()
            if self._sweep.plans_only:
                self._sweep.plan(1)
                sys.exit(0)
            if not self._sweep.begin():
                # Hydra would still launch the job.
                sys.exit(0 if self._sweep.end() else EXIT_RUNS_MISSING)

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Reports the run."""
        assert self._sweep
        with _errors_end_the_program():
            if not self._sweep.end():
                sys.exit(EXIT_RUNS_MISSING)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuses a sweeper that would train without plan and report, and what is no launcher."""
        with _errors_end_the_program():
            if OmegaConf.select(config, "hydra.sweeper._target_") != SWEEPER:
                raise UserError("sweeps are planned by ablation itself; leave out hydra/sweeper.")
            if not OmegaConf.select(config, "hydra.launcher._target_"):
                raise UserError("a launcher is chosen by its name: hydra/launcher=joblib.")


def sweep(config: DictConfig, launcher: Launcher, batch_size: int | None) -> list[Any]:
    """Plans, trains and reports the runs of a design.

    Hydra takes a tenth of a second to compose a job, so that those of finished runs, of which a
    grown study has many, are not launched at all.

    Args:
        config: what Hydra composed for the sweep as a whole.
        launcher: of the jobs.
        batch_size: how many jobs it is given at a time, None for all.

    Returns:
        What the launcher returned of each batch.

    Raises:
        UserError: a value is not allowed.
    """
    _check_sizes(config.hydra.launcher, batch_size)
    expansion = expand(config)
    begun()
    given = own_threads(config)
    at_a_time = workers(config.hydra.launcher)
    expansion = controls.added(expansion, list(config.control))
    whole, tuning = _prepared(expansion, config, given)
    if whole.widens:
        expansion = whole.widened()
        whole, tuning = _prepared(expansion, config, given)
    if whole.plans_only:
        whole.plan(at_a_time, tuning)
        return []
    with _Launching(launcher, batch_size, at_a_time) as launching:
        if tuning:
            launching.launch(whole.begin_tuning(tuning))
            decided = whole.end_tuning(tuning)
            if not decided:
                sys.exit(EXIT_RUNS_MISSING)
            expansion = replace(expansion, jobs=controls.again(expansion, decided.expansion.jobs))
            whole = Sweep([job.config | given for job in expansion.jobs], expansion, decided)
            whole.prepare()
        for due in whole.portions(at_a_time):
            launching.launch(due)
    if not whole.end():
        sys.exit(EXIT_RUNS_MISSING)
    return launching.returned


def _check_sizes(launcher: DictConfig, batch_size: int | None) -> None:
    """Raises UserError if a launcher cannot be given so many jobs at a time."""
    if OmegaConf.select(launcher, "n_jobs") == 0:
        raise UserError("hydra.launcher.n_jobs=0 must be 1 or more, or -1 for all cores.")
    if batch_size is not None and batch_size < 1:
        raise UserError(
            f"hydra.sweeper.max_batch_size={batch_size} must be 1 or more, or null for all."
        )


class _Launching(contextlib.ExitStack):
    """Gives jobs to a launcher; closed, what it needed for that is closed too.

    Attributes:
        returned: what the launcher returned of each batch.
    """

    def __init__(self, launcher: Launcher, batch_size: int | None, at_a_time: int):
        super().__init__()
        self.returned: list[Any] = []
        self._launcher, self._batch_size, self._at_a_time = launcher, batch_size, at_a_time

    def launch(self, due: Sequence[Sequence[str]]) -> None:
        """Trains runs, each given by its overrides."""
        if due and self._at_a_time > 1 and not self.returned:
            self.enter_context(children.for_workers())
        size = self._batch_size or len(due) or 1
        for first in range(0, len(due), size):
            batch = [list(words) for words in due[first : first + size]]
            done = sum(map(len, self.returned))
            results = self._launcher.launch(batch, initial_job_idx=done)
            for result in results:
                _ = result.return_value  # Raises what the job raised.
            self.returned.append(results)


def _prepared(
    expansion: Expansion, config: DictConfig, given: dict[str, Any]
) -> tuple[Sweep, Tuning | None]:
    """Returns the sweep of a command and what it tunes, their data sets ready.

    All that is typed is judged before the first of them is downloaded.
    """
    whole = Sweep([job.config | given for job in expansion.jobs], expansion)
    tuning = whole.tuning(config, given)
    whole.prepare()
    if tuning:
        tuning.prepare()
    return whole, tuning


def threads(asked: int, hydra: Any) -> int:
    """Returns the threads of a run: as asked for, else the cores that its launcher gives a job.

    Args:
        asked: the key `threads`.
        hydra: Hydra's own part of the configuration.
    """
    if hydra.mode == RunMode.RUN:
        return asked or _cores()  # No launcher has a part in a single run.
    launcher = hydra.launcher
    given = OmegaConf.select(launcher, "cpus_per_task")  # submitit
    if "ray" in launcher:
        given = OmegaConf.select(launcher, "ray.remote.num_cpus") or 1  # Ray's own default
    return asked or int(given or max(1, _cores() // workers(launcher)))


def own_threads(config: DictConfig) -> dict[str, int]:
    """Returns the threads of every run of a command.

    Args:
        config: what Hydra composed for the command as a whole.
    """
    return {"threads": threads(config.threads, config.hydra)}


def workers(launcher: DictConfig) -> int:
    """Returns how many jobs a launcher runs at a time on this machine, as far as it says."""
    jobs = OmegaConf.select(launcher, "n_jobs") or 1  # joblib; -1 means all cores
    return jobs if jobs > 0 else _cores()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Not on macOS.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _errors_end_the_program() -> Iterator[None]:
    """Turns errors into SystemExit, the only one that Hydra lets a callback raise."""
    try:
        yield
    except (UserError, HydraException, OSError, OmegaConfBaseException) as error:
        print(f"ablation: {explain(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except Exception:
        traceback.print_exc()
        sys.exit(EXIT_USER_ERROR)

"""Runs one cell at one seed in a child process of its own. Imports no TensorFlow.

A child of its own means that memory, seeds and threads of one run never reach the next, and that
a crash takes one run only.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ablation import environment, import_path, source, targets
from ablation.config import Config, DatasetConfig, UserError
from ablation.data import cache, kinds
from ablation.data.tuning_split import of_run
from ablation.networks import registry
from ablation.orders import PrepareOrder, TrainOrder, written
from ablation.records import asked, durable, locks, store, tuning
from ablation.records.store import NetworkRecord, Run, Status
from ablation.running import children
from ablation.running.worker import EXIT_BUSY, EXIT_DISK, OF_THE_DISK
from ablation.training import hang

_POLL_SECONDS = 0.5


def resolve(configs: Sequence[Config]) -> list[Run]:
    """Returns the runs that configurations stand for, each data set and network looked at once.

    Only with its data is it known which loss a configuration has that names none.

    Raises:
        UserError: a data set has not been prepared, holds fewer images than a batch, or smaller
            ones than a network takes.
    """
    data: dict[str, cache.Cache] = {}
    networks: dict[str, NetworkRecord] = {}
    codes: dict[str, dict[str, dict[str, str]]] = {}
    checked: set[str] = set()
    runs = []
    for config in configs:
        key = data_key(config)
        if key not in data:
            found = cache.find(config.dataset, config.cache_dir)
            if found is None:
                raise UserError(f"the data set {config.dataset.name} has not been prepared.")
            data[key] = found
        config = targets.settled(config, data[key].target(config.dataset))
        found, size = data[key], config.recipe.batch_size
        if config.tuning:
            of_share = f"{key} {config.tuning}"
            if of_share not in data:
                data[of_share] = of_run(config, found)
            found = data[of_share]
        count = found.count("train")
        if size > count:
            kept = " that tune.share leaves" if config.tuning else ""
            raise UserError(
                f"recipe.batch_size={size} is more than the {count} training "
                f"{found.kind.noun.many}{kept}; "
                f"use recipe.batch_size={count} or less."
            )
        net = json.dumps([config.arch, config.parts])
        if net not in networks:
            networks[net] = registry.record(config)
        # Known only now of inputs that keep the shape that they are stored in.
        vocabulary = data[key].meta.get("vocabulary")
        shape = data[key].input_shape
        registry.find(config.arch).check_input(shape, vocabulary, config.parts)
        config = kinds.settled(config, data[key].kind)
        own = json.dumps([config.dataset.augment, config.recipe.loss])
        if own not in codes:
            codes[own] = source.codes(config)
        together = json.dumps([config.arch, own])
        if together not in checked:
            source.check_together(config)
            checked.add(together)
        runs.append(Run(config, networks[net], data[key].fingerprint, codes[own]))
    return runs


def data_key(config: Config) -> str:
    """Returns what tells the data set of one configuration from that of another."""
    return json.dumps([asdict(config.dataset), config.cache_dir])


def prepare(dataset: DatasetConfig, cache_dir: str) -> None:
    """Makes sure that a data set lies ready, in a child process, since TFDS loads TensorFlow.

    Raises:
        UserError: it cannot be had; the child has said why, or the folder is missing.
    """
    if cache.is_ready(dataset, cache_dir):
        return
    order = written(PrepareOrder(dataset, cache_dir))
    child = subprocess.run(
        import_path.command("ablation.data"),
        input=order,
        text=True,
        env=environment.quiet(environment.inherited()),
    )
    if child.returncode:
        killed = f" ({_signal(child.returncode)})" if child.returncode < 0 else ""
        raise UserError(
            f"dataset={dataset.name} could not be prepared{killed}, so nothing was trained."
        )


def is_due(status: Status, rerun: str) -> bool:
    """Returns whether a run in this state is to be trained.

    Args:
        status: of the run.
        rerun: "none" trains what is missing or was interrupted, "failed" also what failed or
            diverged, "all" everything.
    """
    if rerun == "all" or tuning.is_unchosen(status):  # Which says nothing of the run itself.
        return True
    if status.state in (store.FAILED, store.DIVERGED):
        return rerun == "failed"
    return status.state not in (store.COMPLETE, store.REFUSED)


def train(run: Run, command: str, before: Status) -> Status:
    """Trains a run in a child process, waits for it and returns its state.

    A run that hangs is started once more, where it then goes on.

    Args:
        run: the run.
        command: the command line that asked for it, for the record.
        before: its status when that was decided; nothing is trained if it has another one now.

    Raises:
        KeyboardInterrupt: passed on after the child has ended.
    """
    if _attempt(run, command, before, run.config.rerun == "all"):
        print(f"{run.name} hung and is started once more.", file=sys.stderr)
        _attempt(run, command, store.read_status(run.directory), anew=False, last=True)
    return store.read_status(run.directory)


def _attempt(run: Run, command: str, before: Status, anew: bool, last: bool = False) -> bool:
    """Trains a run once and records its death; returns whether it hung.

    Args:
        run: the run.
        command: for the record.
        before: see `train`.
        anew: whether what it has is forgotten first.
        last: whether a run that hangs now has failed.
    """
    _check_study(run)
    durable.make_directory(run.directory)
    order = TrainOrder(run, command, anew, before.attempt, before.state)
    begun = time.monotonic()
    with one_gpu() as visible:
        variables = environment.child(run.config) | visible
        ended = children.run("ablation.running.worker", written(order), variables)
    if ended.code == EXIT_BUSY:
        return False
    _check_study(run)
    found = hang.found(run.directory) if ended.code == hang.EXIT else None
    seconds = time.monotonic() - begun
    _record_death(run, before, ended.code, ended.complaint, found, last, seconds)
    return found is not None


def _check_study(run: Run) -> None:
    """Raises UserError if the study is gone: a new one in its place would hide what is trained."""
    study = run.directory.parent
    if not asked.is_recorded(study):  # Hydra may have made the folder anew.
        raise UserError(
            f"{study} was moved or removed while it was trained; move it back, and the same "
            "command goes on."
        )


@contextlib.contextmanager
def one_gpu() -> Iterator[dict[str, str]]:
    """Takes a GPU for one run, where there are several, and waits for one while all are taken.

    Yields:
        The environment variable that shows the run this GPU alone; {} where there is no choice.
    """
    gpus_here = gpus()
    if len(gpus_here) < 2:
        yield {}
        return
    while True:
        for gpu in gpus_here:
            lock = FileLock(Path(tempfile.gettempdir()) / f"ablation-{os.getuid()}-gpu-{gpu}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield {"CUDA_VISIBLE_DEVICES": gpu}
            finally:
                lock.release()
            return
        time.sleep(_POLL_SECONDS)


def gpus() -> list[str]:
    """Returns the GPUs that this process may use, without loading a framework."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    return [str(i) for i in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


def wait_or_take_over(run: Run, command: str) -> Status:
    """Waits for a run that another process trains, and goes on with it if that process dies.

    A sweep passes over what others are training; this is how it comes back in the end.

    Returns:
        How the run ended.
    """
    while True:
        while not locks.is_free(run.directory):
            time.sleep(_POLL_SECONDS)
        status = store.read_status(run.directory)
        if not status.is_abandoned:
            return status
        status = train(run, command, status)
        # Of several that wait one is the quickest, and the others wait for that one.
        if status.state != store.RUNNING and locks.is_free(run.directory):
            return status


def _record_death(
    run: Run,
    before: Status,
    code: int,
    complaint: str,
    hung: str | None = None,
    last: bool = False,
    seconds: float | None = None,
) -> None:
    """Records the end of a child that could not record it, or did not even begin.

    Args:
        run: the run.
        before: its status before the child was started.
        code: with which the child ended.
        complaint: what it wrote before its log was open.
        hung: how it hung, or None.
        last: whether it will not be started again.
        seconds: that the child lived.
    """
    status = store.read_status(run.directory)
    if code == 0 or not (status.is_abandoned or status == before):
        return
    gone = not run.directory.exists()
    durable.make_directory(run.directory)
    with contextlib.suppress(Timeout), locks.run_lock(run.directory).acquire(timeout=1):
        if gone:
            ended = status.ended(store.INTERRUPTED, "its folder was moved or removed")
        elif hung:
            ended = status.ended(store.FAILED if last else store.INTERRUPTED, hung)
        else:
            ended = _death(status, code, complaint)
        store.write_status(run.directory, replace(ended, seconds=seconds))


def _death(status: Status, code: int, complaint: str) -> Status:
    if code < 0:
        return status.ended(store.INTERRUPTED, _signal(code))
    if 0 <= code - EXIT_DISK < len(OF_THE_DISK):
        return status.ended(store.INTERRUPTED, os.strerror(OF_THE_DISK[code - EXIT_DISK]))
    last = complaint.splitlines()[-1] if complaint else "see log.txt"
    return status.ended(store.FAILED, f"ended with exit code {code}: {last}")


def _signal(code: int) -> str:
    """Returns by which signal a child was killed, from its exit code below 0."""
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{hint}"

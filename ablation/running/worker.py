"""The child process that trains one run and keeps its directory.

Started by `ablation.running.children`, as a fork or as `python -m ablation.running.worker`; the
order is a `TrainOrder`. When the parent ends, the child ends too.
"""

import contextlib
import errno
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

from filelock import Timeout

from ablation import opened, source
from ablation.config import UserError, first_line
from ablation.orders import TrainOrder, obey, read_train_order
from ablation.records import durable, locks, saves, store
from ablation.records.store import Run
from ablation.running import log
from ablation.training import hang
from ablation.training.changed import changed

EXIT_FAILED = 4
"""Not 1, with which faulthandler ends a run that hangs; see `training.hang`."""

EXIT_BUSY = 3
"""Another process trains this run."""

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EROFS)
"""Errors that are no fault of a run: the same command goes on once they are mended."""

EXIT_DISK = 100
"""And the place of an error in `OF_THE_DISK`: it came where not even a status could be written."""

_WITHOUT_DATA = store.INTERRUPTED, "its data set was removed from cache_dir while it was started"
_HDF5_SAYS = re.compile(r"\berrno = (\d+)")  # In errors that have no number of their own.
_LOCK_SECONDS = 2.0  # Longer than the moment for which a reader tries the lock.


def work(line: str) -> tuple[int, str]:
    """Trains a run; returns the exit code, and no answer, because all is in the run's directory.

    Args:
        line: a `TrainOrder`.
    """
    return _train_ordered(read_train_order(line)), ""


def _train_ordered(order: TrainOrder) -> int:
    run = order.run
    try:
        durable.make_directory(run.directory)
        with locks.run_lock(run.directory).acquire(timeout=_LOCK_SECONDS):
            status = store.read_status(run.directory)
            ended = status.is_final and status.state != order.state
            if ended or status.attempt != order.attempt:
                return 0  # Another process was quicker, however that ended.
            return _attempt(run, order.command, order.anew)
    except Timeout:
        return EXIT_BUSY
    except OSError as error:
        of_disk = _of_the_disk(error)
        if not of_disk:
            raise
        return EXIT_DISK + OF_THE_DISK.index(of_disk)


def _attempt(run: Run, command: str, anew: bool) -> int:
    """Trains a run whose lock is held and records how that ended."""
    directory = run.directory
    status = store.read_status(directory)
    log.to(directory / "log.txt")
    _die_first()
    hang.watch(run.config.hang_after)
    durable.remove_unfinished(directory)
    if anew:
        store.forget(directory)
    status, begun = status.begun(), time.monotonic()
    print(f"--- attempt {status.attempt}, {status.start}, process {os.getpid()}", flush=True)
    try:
        # An earlier attempt may have been stopped just after it had stored its result.
        finished = store.Stored(directory).damage is None
        if not finished:
            durable.write_yaml(directory / "config.yaml", run.described)
        store.write_status(directory, status)
        end = _train(run, command) if not finished else (store.COMPLETE, None)
    except source.RAISED as error:
        traceback.print_exc()
        of_disk = _of_the_disk(error)
        if of_disk:
            end = store.INTERRUPTED, os.strerror(of_disk)
        else:
            end = store.FAILED, _reason(error, run)
    status = status.ended(*end, time.monotonic() - begun)
    hang.stop()
    log.bound(directory / "log.txt")
    (directory / "progress.json").unlink(missing_ok=True)
    if status.is_final and status.state != store.FAILED:
        # Before the run counts as complete, so that a complete run never keeps a checkpoint. One
        # that diverged would go on just before that, and diverge again.
        shutil.rmtree(directory / "checkpoint", ignore_errors=True)
        durable.sync(directory)
    store.write_status(directory, status)
    return 0 if status.state in (store.COMPLETE, store.REFUSED) else EXIT_FAILED


def _of_the_disk(error: BaseException | None) -> int:
    """Returns the number of the disk's error that is, or is behind, another; 0 if there is none."""
    while error:
        number = error.errno if isinstance(error, OSError) else None
        said = _HDF5_SAYS.search(str(error))
        if number is None and said:
            number = int(said[1])
        if number in OF_THE_DISK:
            return number
        error = error.__cause__ or error.__context__
    return 0


def _keep_source(run: Run) -> None:
    """Copies the user's code into the run, so that its weights can be loaded after an edit."""
    for key, located in source.own_code(run.config).items():
        folder = run.directory / store.SOURCE / ("" if key == "arch" else key)
        files = source.files_by_name(located)
        for name, path in files.items():
            place = folder.joinpath(*name.split("."))
            # By its name, since it may lie anywhere; a package without a file gets one, so that
            # the copy is not found in part where the package itself lies.
            packages = [folder.joinpath(*one.split(".")) for one in _parents(name, files)]
            is_package = path.name == "__init__.py"
            copy = place / path.name if is_package else place.with_name(f"{place.name}.py")
            durable.make_directory(copy.parent)
            durable.write_bytes(copy, path.read_bytes())
            for package in packages:
                durable.write_text(package / "__init__.py", "")


def _parents(name: str, files: Collection[str]) -> list[str]:
    """Returns the packages of a module that have no file of their own."""
    parts = name.split(".")
    above = (".".join(parts[:count]) for count in range(1, len(parts)))
    return [one for one in above if one not in files]


def _reason(error: BaseException, run: Run) -> str:
    """Returns an error in one line; one of the user's code with its file and line."""
    if isinstance(error, UserError):
        return first_line(error)
    own = source.own_code(run.config).values()
    if not own:
        return f"{type(error).__name__}: {first_line(error)}"
    return source.user_error(error, [path for one in own for path in source.local_modules(one)])


def _train(run: Run, command: str) -> tuple[str, str | None]:
    """Trains and stores the result; returns the state in which it ended, and why."""
    # Imported only now, because Keras and its backend take seconds and print to the log.
    from ablation.data import cache
    from ablation.networks.own import RefusedError
    from ablation.records import provenance
    from ablation.training.callbacks import DivergenceError
    from ablation.training.train import train

    directory = run.directory
    data = cache.find(run.config.dataset, run.config.cache_dir)
    if data is None:
        return _WITHOUT_DATA
    if what := changed(run, data.fingerprint):
        # As it was, it may come back.
        return store.INTERRUPTED, f"{what} changed after the sweep had begun; start it again."
    facts = {
        "fingerprint": run.fingerprint,
        "image_shape": data.input_shape,
        "classes": data.meta["classes"],
    } | provenance.collect(run.config, command)
    if "vocabulary" in data.meta:
        facts["vocabulary"] = data.meta["vocabulary"]
    target = data.target(run.config.dataset)
    if target.is_row:
        facts["target"] = {**target.facts, "unit": target.unit}
    if saves.checkpoints(directory / "checkpoint"):
        facts["earlier"] = provenance.earlier(directory / "provenance.json", facts)
    durable.write_json(directory / "provenance.json", facts)
    _keep_source(run)
    try:
        result = train(run.config, data, directory)
    except DivergenceError as divergence:
        return store.DIVERGED, str(divergence)
    except RefusedError as refusal:
        return store.REFUSED, str(refusal)
    except FileNotFoundError:
        if cache.find(run.config.dataset, run.config.cache_dir):
            raise
        return _WITHOUT_DATA
    _record_read(directory, facts)
    durable.write_json(directory / "result.json", result | {"files": store.file_digests(directory)})
    return store.COMPLETE, None


def _record_read(directory: Path, facts: dict[str, Any]) -> None:
    """Adds to the provenance which files the user's code has read, which is known only afterwards.

    Args:
        directory: of the run.
        facts: its provenance.
    """
    if read := opened.digests(Path.cwd()):
        durable.write_json(directory / "provenance.json", facts | {"read": read})


def _die_first() -> None:
    """Lets Linux kill this process, not the sweep that started it, when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    sys.exit(obey(work))

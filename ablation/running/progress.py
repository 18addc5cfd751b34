"""Shows where a study stands, by reading its run directories.

So it works the same whoever trains: this process, another one, or a launcher's workers.
"""

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ablation.records import durable, locks, saves, store
from ablation.records.standing import Standing, Training
from ablation.records.store import Run
from ablation.terminal import counted, duration

_NOT_JUDGED = ("epoch", "step", "steps_per_epoch", "learning_rate", "seconds")
_POLL_SECONDS = 0.5
_PAUSE_SECONDS = 10.0
"""Between two looks, at most, however long a look takes."""
_SHARE = 0.05
"""Of the time: what looking at the runs may take, and as much each the report and its page."""
_SETTLED_SECONDS = 2.0
"""Longer than the tick of any file system's clock, within which two changes look like one."""


class Monitor:
    """Watches runs from a thread: live lines on a terminal, a line for each epoch elsewhere.

    Args:
        runs: the runs that are to be trained.
        console: where to write.
        on_ended: called, in the thread, with where the sweep stands (None once it stops), after
            runs have ended, but not so often that it would take more than a small share of the
            time.
        on_step: the same after a run has begun or finished an epoch.
        at_most: whether perhaps not all of the runs will be trained.
        called: what tells runs from others beside their names, by name.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        console: Console,
        on_ended: Callable[[Standing | None], object],
        on_step: Callable[[Standing | None], object],
        at_most: bool = False,
        called: Mapping[str, str] | None = None,
    ):
        self._at_most = "at most " if at_most else ""
        self._runs = runs
        self._called = {
            run.name: f"{run.name} ({called[run.name]})"
            if called and run.name in called
            else run.name
            for run in runs
        }
        self._console = console
        self._ends = _Told(on_ended)
        self._steps = _Told(on_step)
        self._open = {run.name: run for run in runs}
        # A run that is trained again is over when it ends anew, not because it ended before.
        self._ends_before = {run.name: store.read_status(run.directory).end for run in runs}
        self._epochs = {run.name: len(store.read_history(run.directory)[0]) for run in runs}
        # What these have is forgotten as soon as they begin.
        self._forgotten = {run.name for run in runs if run.config.rerun == "all"}
        self._epochs_at_start = sum(
            max(rows, saves.resumable(run.directory / "checkpoint", rows).passed)
            for run, rows in zip(runs, self._epochs.values(), strict=True)
            if run.name not in self._forgotten
        )
        self._running: dict[str, Run] = {}
        self._seen: dict[str, int] = {}
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        # A report takes seconds, in which the terminal goes on.
        self._telling: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()
        # However the program ends, the terminal gets its cursor back.
        atexit.register(self._give_up)

    def stop(self) -> None:
        """Shows the last state and ends; the report is then the caller's."""
        atexit.unregister(self._give_up)
        self._stop.set()
        self._thread.join()

    def _give_up(self) -> None:
        # Whoever interrupts this too has been told how to go on.
        with contextlib.suppress(KeyboardInterrupt):
            self.stop()
            if self._ends.due:
                self._tell(self._ends, None)
            elif self._ends.done or self._steps.done:
                # Whoever looks on learns that nothing trains any more.
                self._tell(self._steps, None)

    def _watch(self) -> None:
        live = Live(console=self._console, auto_refresh=False, transient=True)
        pause = _POLL_SECONDS
        with live if self._console.is_terminal else _Nothing():
            while True:
                stopping = self._stop.wait(pause)
                start = time.monotonic()
                self._poll(stopping)
                pause = min(_PAUSE_SECONDS, max(_POLL_SECONDS, _rest(time.monotonic() - start)))
                if self._console.is_terminal:
                    live.update(self._table(), refresh=True)
                busy = self._telling is not None and self._telling.is_alive()
                if stopping:
                    if self._telling:
                        self._telling.join()
                    return
                for told in () if busy else (self._ends, self._steps):
                    if told.due and time.monotonic() >= told.rest_until:
                        # Before it begins: what ends while it is at work is told by the next.
                        told.due = False
                        order = told, self.standing()
                        self._telling = threading.Thread(target=self._tell, args=order, daemon=True)
                        self._telling.start()
                        break

    def _poll(self, everything: bool) -> None:
        for run in list(self._open.values()):
            if everything or self._has_changed(run):
                self._look_at(run)

    def _has_changed(self, run: Run) -> bool:
        """Returns whether a file was replaced in a run's directory since it was looked at."""
        try:
            changed = run.directory.stat().st_mtime_ns
        except OSError:
            return False
        if self._seen.get(run.name) == changed:
            return False
        if time.time_ns() - changed > _SETTLED_SECONDS * 1e9:
            self._seen[run.name] = changed
        return True

    def _look_at(self, run: Run) -> None:
        self._report_epochs(run)
        status = store.read_status(run.directory)
        if status.state == store.RUNNING and run.name not in self._running:
            self._running[run.name] = run
            self._forgotten.discard(run.name)
            self._steps.due = True
        stopped = status.state == store.INTERRUPTED and status.end is not None
        if (status.is_final or stopped) and status.end != self._ends_before[run.name]:
            # One that hung was stopped and goes on.
            self._ends_before[run.name] = status.end
            if not stopped:
                del self._open[run.name]
                self._forgotten.discard(run.name)
            self._running.pop(run.name, None)
            self._ends.due = True
            reason = f": {status.reason}" if status.reason else ""
            self._console.print(
                f"{self._called[run.name]}  {status.state}{reason}", highlight=False, soft_wrap=True
            )

    def _tell(self, told: "_Told", standing: Standing | None) -> None:
        start = time.monotonic()
        try:
            told.action(standing)
        except Exception as error:
            # The runs go on; whoever ends the sweep meets the error again.
            self._console.print(
                f"The report could not be written: {error}", highlight=False, soft_wrap=True
            )
        told.done = True
        end = time.monotonic()
        told.rest_until = end + _rest(end - start)

    def standing(self) -> Standing:
        """Returns where the sweep stands."""
        training = []
        for run in self._running.values():
            if not locks.is_free(run.directory):
                training.append(_training(run, self._epochs[run.name], self._called[run.name]))
        done, total = len(self._runs) - len(self._open), len(self._runs)
        awaited = {
            name: self._called[name]
            for name in self._open
            if name in self._running or not self._ends_before[name]
        }
        return Standing(store.now(), done, total, self._time_left(), training, awaited)

    def _report_epochs(self, run: Run) -> None:
        rows, _ = store.read_history(run.directory)
        if not self._console.is_terminal:
            for row in rows[self._epochs[run.name] :]:
                self._console.print(
                    f"{self._called[run.name]}  epoch {row['epoch']}/{run.config.epochs}  "
                    f"{'  '.join(_judged(row))}  {row['seconds']:.1f} s",
                    highlight=False,
                    soft_wrap=True,
                )
        if len(rows) != self._epochs[run.name]:
            self._steps.due = True
        self._epochs[run.name] = len(rows)

    def _table(self) -> Table:
        """One line for the study and one for each run that is being trained."""
        lines = Table.grid(padding=(0, 2))
        done, total = len(self._runs) - len(self._open), len(self._runs)
        lines.add_row("study", f"{done}/{total} runs", self._time_left())
        for run in self._running.values():
            if locks.is_free(run.directory):
                continue
            progress = _progress(run.directory)
            if progress:
                lines.add_row(
                    self._called[run.name],
                    f"epoch {progress['epoch']}/{run.config.epochs}",
                    f"step {progress['step']}/{progress['steps_per_epoch']}",
                    *_judged(progress),
                )
            else:
                lines.add_row(self._called[run.name], "starting")
        return lines

    def _time_left(self) -> str:
        """Time left if the remaining epochs take as long as those seen so far."""
        of_runs = {
            run.name: 0 if run.name in self._forgotten else self._epochs[run.name]
            for run in self._runs
        }
        finished = sum(of_runs.values())
        # One that failed has no more to come.
        total = finished + sum(run.config.epochs - of_runs[run.name] for run in self._open.values())
        for run in self._running.values():
            progress = _progress(run.directory)
            if progress and progress["epoch"] == self._epochs[run.name] + 1:
                finished += progress["step"] / progress["steps_per_epoch"]
        trained = finished - self._epochs_at_start
        if trained < 0.5:
            return "time left: measuring"
        seconds = (time.monotonic() - self._start) / trained * (total - finished)
        return f"time left: {self._at_most}{duration(seconds)}"


def _rest(seconds: float) -> float:
    """Returns how long to rest after work of so many seconds, so that it keeps to its share."""
    return seconds * (1 / _SHARE - 1)


class _Told:
    """Something that is called when it is due, and then rests.

    Args:
        action: what is called.
    """

    def __init__(self, action: Callable[[Standing | None], object]):
        self.action = action
        self.due = self.done = False
        self.rest_until = 0.0


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def _training(run: Run, finished: int, name: str) -> Training:
    epochs, progress = run.config.epochs, _progress(run.directory)
    if not progress or progress["epoch"] <= finished:
        said = f"{finished} of {counted(epochs, 'epoch')}" if finished else "starting"
        return Training(name, epochs, finished, said)
    share = progress["step"] / progress["steps_per_epoch"]
    said = (
        f"epoch {progress['epoch']}/{epochs}, step {progress['step']}/"
        f"{progress['steps_per_epoch']}, loss {progress['loss']:.4f}"
    )
    return Training(name, epochs, round(progress["epoch"] - 1 + share, 3), said)


def _progress(directory: Path) -> dict | None:
    try:
        return durable.read_json(directory / "progress.json")
    except (OSError, ValueError):
        return None


def _judged(row: Mapping[str, Any]) -> list[str]:
    """Returns the losses and metrics of an epoch, or of its steps so far, in words."""
    return [f"{key} {value:.4f}" for key, value in row.items() if key not in _NOT_JUDGED]

"""Ends a run that hangs: one that makes no step for long, measured by its own steps.

The standard library's faulthandler counts the time in a thread that needs nothing of Python, so
that a deadlock in a library's own code is found too. It leaves the stack of every thread in the
run's log.
"""

import faulthandler
import sys
import time
from pathlib import Path

from ablation.records import store

EXIT = 1
"""The exit code of a process that faulthandler ends."""

_STEPS = 50
"""A step that takes as long as so many of the longest one before has hung."""

_STARTS = 6
"""To open the data, build the network and trace it may take so many times as long as a step."""

_ARMED_EVERY = 1.0  # Seconds, since to arm it starts a thread.
_SAYS = "Timeout ("
_TAIL = 2000  # Lines of a log; the stacks of a framework's threads come after that one.


class _Watch:
    """What is known of the steps of this process."""

    def __init__(self, least: int):
        self.least = least
        self.longest = 0.0
        self.last = self.armed = time.monotonic()
        self.began = False


_watching: _Watch | None = None


def watch(least: int) -> None:
    """Begins to watch this process, whose standard error is the run's log.

    Args:
        least: seconds that a step may take whatever the others took, 0 to watch nothing.
    """
    global _watching
    _watching = _Watch(least) if least else None
    if _watching:
        _arm(_STARTS * least)


def step() -> None:
    """Tells that this process has made a step."""
    if not _watching:
        return
    now = time.monotonic()
    if _watching.began:  # The first one also traced the network.
        _watching.longest = max(_watching.longest, now - _watching.last)
    first, _watching.began, _watching.last = not _watching.began, True, now
    if first or now - _watching.armed > min(_ARMED_EVERY, _watching.least / 2):
        _watching.armed = now
        _arm(max(_watching.least, _STEPS * _watching.longest))


def stop() -> None:
    """Watches this process no longer."""
    global _watching
    _watching = None
    faulthandler.cancel_dump_traceback_later()


def found(directory: Path) -> str | None:
    """Returns in words how the latest attempt of a run hung, None if its log says nothing of it."""
    lines = store.log_tail(directory, _TAIL)
    starts = [place for place, line in enumerate(lines) if line.startswith("--- attempt ")]
    latest = lines[starts[-1] :] if starts else lines
    said = next((line for line in latest if line.startswith(_SAYS)), None)
    if said is None:
        return None
    waited = said.removeprefix(_SAYS).partition(")")[0].partition(".")[0]
    return f"hung: no step for {waited}; the end of log.txt says where it stood"


def _arm(seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr.fileno())

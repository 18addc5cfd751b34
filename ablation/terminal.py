"""What every command gives to a terminal: exit codes, words for numbers, and no greetings."""

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from ablation.text import READABLE

EXIT_RUNS_MISSING = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def accept_any_text() -> None:
    """Lets standard output and error take every character, for the start of a command.

    A terminal may be ASCII or Latin-1, and a name hold anything; what the terminal has no character
    for is spelled out, so that no command ends because of a name.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # A notebook's or a test's may be another.
            stream.reconfigure(errors=READABLE)


def open_console(**options: Any) -> Console:
    """Returns a console that shows text as it is: in a name, [b] and :cat: mean nothing.

    Args:
        options: of `rich.console.Console`.
    """
    return Console(markup=False, emoji=False, **options)


def counted(count: int, what: str) -> str:
    """Returns a number and what it counts, such as "1 run" or "2,000 runs"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def duration(seconds: float) -> str:
    """Returns seconds as hours:minutes:seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def import_quietly(framework: str) -> None:
    """Imports a framework without its greeting.

    TensorFlow greets every import with lines about its build, and some of them come before it
    reads the log level, so standard error is closed for that while.

    Args:
        framework: "tensorflow", "jax" or "torch".
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        importlib.import_module(framework)
    finally:
        os.dup2(kept, 2)
        os.close(kept)

"""What every command gives to a terminal: exit codes, words for numbers, and no greetings."""

import importlib
import io
import os
import sys
from collections.abc import Callable
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


def exit_code(name: str, work: Callable[[], int]) -> int:
    """Does what a command is there for; returns its exit code, after a line if something is wrong.

    Args:
        name: of the command, with which the line begins.
        work: returns the exit code if nothing is wrong.
    """
    from ablation.config import UserError

    accept_any_text()
    try:
        code = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        close_output()
        return EXIT_RUNS_MISSING
    except (UserError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return code


def say(text: str) -> None:
    """Prints at once; nothing more if whoever reads has had enough, such as `head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        close_output()


def close_output() -> None:
    """Lets what is still printed go nowhere, since nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


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

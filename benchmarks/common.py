"""What every benchmark needs: the machine in words, a measured child process, a markdown table."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hydra import compose, initialize_config_dir

import ablation.keys  # noqa: F401  # Which makes the keys known to Hydra.
from ablation.config import CONF_DIR, Config, to_plain
from ablation.machine import instructions, processor
from ablation.typed_config import typed_config

PACKAGES = ("hydra-core", "omegaconf", "pandas", "matplotlib", "scipy", "PyYAML")


@dataclass(frozen=True)
class Measured:
    """What a child process took.

    Attributes:
        seconds: wall time from its start to its end.
        answered: wall time from its start to its first line on standard output, or to its end.
        peak_bytes: the largest resident memory of it and of the processes that it waited for.
        output: what it printed to standard output.
    """

    seconds: float
    answered: float
    peak_bytes: int
    output: str


def machine(packages: Sequence[str] = PACKAGES) -> str:
    """Returns the hardware and the versions in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    return (
        f"{os.cpu_count()} cores of {processor()} ({instructions()}), {memory:.0f} GiB; "
        f"{platform.system()}, Python {platform.python_version()}, {versions}."
    )


def measure(
    command: Sequence[str], folder: Path, expected: int = 0, **environment: str
) -> Measured:
    """Runs a command to its end in a fresh process.

    Args:
        command: what to run; "python" stands for this interpreter.
        folder: the working directory.
        expected: the exit code that it must end with.
        environment: variables to add.

    Raises:
        RuntimeError: it ended with another exit code; the message holds its standard error.
    """
    words = [sys.executable if word == "python" else word for word in command]
    with (folder / "errors.txt").open("w+") as errors:
        start = time.perf_counter()
        child = subprocess.Popen(
            words,
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert child.stdout
        output = child.stdout.readline()
        answered = time.perf_counter() - start
        output += child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if child.returncode != expected:
            raise RuntimeError(f"{command} ended with {child.returncode}: {errors.read()[-2000:]}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Measured(seconds, answered, usage.ru_maxrss * unit, output)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def composed(overrides: Sequence[str]) -> Config:
    """Returns the configuration of one run, typed.

    Args:
        overrides: as on the command line.
    """
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return typed_config(to_plain(compose("config", overrides=list(overrides))))

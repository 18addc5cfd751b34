"""Starts the child process of a run: warm where that can be, cold elsewhere.

To load a framework takes seconds, and each run has a process of its own. So on Linux a server
loads it once, before the framework has any thread, and each run is a fork of that: the standard
library's forkserver. Memory, seeds, threads and crashes of one run still never reach the next, and
the bits of its result are the same. Elsewhere, and where a run needs another environment than the
server was started with, such as another backend, its process is made from nothing.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait

from ablation import import_path
from ablation.running import environment, worker

_AT_START = (*environment.SET_ASIDE, "GLIBC_", "LD_", "MALLOC_", "OPENBLAS_", "PYTHON")
"""Beginnings of the names of variables that decide something when a process starts."""

_LATER = ("CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "NPROC", "XLA_FLAGS")
"""Those of them that a framework reads only when it begins to compute."""

WARM = sys.platform == "linux"
"""Whether runs are forked from a server here; elsewhere libraries do not outlast a fork."""

_server: dict[str, str] | None = None
"""What of its environment decides how the server of this process has started."""


def run(order: str, variables: dict[str, str]) -> tuple[int, str]:
    """Runs the worker; returns its exit code and what it complained of before its log was open.

    Args:
        order: for the worker, one line.
        variables: the environment of the child.

    Raises:
        KeyboardInterrupt: passed on after the child has ended.
    """
    return (_run_warm if _is_served(variables) else _run_cold)(order, variables)


def _is_served(variables: dict[str, str]) -> bool:
    """Returns whether a server has the environment that a child needs; starts the first one."""
    global _server
    if not WARM:
        return False
    needed = {name: value for name, value in variables.items() if _is_early(name)}
    if _server is None:
        multiprocessing.get_context("forkserver").set_forkserver_preload([f"{__package__}.preload"])
        _server = needed
    if needed != _server:
        return False
    # The server would import from the working folder first, and each run has a path of its own.
    with _environment(variables | {"PYTHONSAFEPATH": "1"}):
        forkserver.ensure_running()  # Starts it anew if it was killed.
    return True


def _is_early(name: str) -> bool:
    return name.startswith(_AT_START) and name not in _LATER


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Gives this process an environment for as long as it takes to start another."""
    own = dict(os.environ)
    environment.become(variables)
    try:
        yield
    finally:
        environment.become(own)


def _run_warm(order: str, variables: dict[str, str]) -> tuple[int, str]:
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(order, variables, sender))
    child.start()
    sender.close()
    try:
        child.join()
        with contextlib.suppress(EOFError):
            return child.exitcode or 0, receiver.recv().strip()
        return child.exitcode or 0, ""
    finally:
        if child.is_alive():
            child.kill()
            child.join()
        receiver.close()
        child.close()


def _work(order: str, variables: dict[str, str], complaints: Connection) -> None:
    """Is what a fork of the server does."""
    os.setsid()  # Ctrl-C reaches the parent alone, which then ends the child.
    environment.become(variables)
    code = worker.EXIT_FAILED
    try:
        code = worker.work(order, _wait_for_parent)
    except Exception:
        complaints.send(traceback.format_exc())
    sys.exit(code)


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])


def _run_cold(order: str, variables: dict[str, str]) -> tuple[int, str]:
    child = subprocess.Popen(
        import_path.command("ablation.running.worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=variables,
        text=True,
        # Ctrl-C reaches the parent alone, which then ends the child.
        start_new_session=True,
    )
    assert child.stdin and child.stderr
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(f"{order}\n")
            child.stdin.flush()
        complaint = child.stderr.read().strip()
        child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stdin.close()
        child.stderr.close()
    return child.returncode, complaint

"""Starts the child processes that train and measure: warm where that can be, cold elsewhere.

To load a framework takes seconds, and each run has a process of its own. So on Linux a server
loads it once, before the framework has any thread, and each run is a fork of that: the standard
library's forkserver. Memory, seeds, threads and crashes of one run still never reach the next, and
the bits of its result are the same. Elsewhere, and where a run needs another environment than the
server was started with, such as another backend, its process is made from nothing.

The workers of a launcher are processes too. Those on the machine of the command leave it to the
command to start their children, so that one server does for all: see `for_workers`.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ablation import environment, import_path, source
from ablation.config import UserError
from ablation.orders import end_with

_AT_START = (*environment.SET_ASIDE, "GLIBC_", "LD_", "MALLOC_", "OPENBLAS_", "PYTHON")
"""Beginnings of the names of variables that decide something when a process starts."""

_LATER = ("CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "NPROC", "XLA_FLAGS")
"""Those of them that a framework reads only when it begins to compute."""

WARM = sys.platform == "linux"
"""Whether runs are forked from a server here; elsewhere libraries do not outlast a fork."""

_ADDRESS = "ABLATION_CHILDREN"
"""The variable that tells the workers of a launcher where the command listens."""

_MOST = 20_000  # Characters that a pipe holds until somebody reads them.

_looking = threading.Lock()
"""Who looks after a child. Of two threads that look at once one misreads how it ended, and Python
looks after all children when it starts one."""

_of_the_server = threading.Lock()
_server: dict[str, str] | None = None
"""What of its environment decides how the server of this process has started."""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: its exit code, below 0 that of a signal.
        answer: what its module is there to say, if anything.
        complaint: what it wrote before its log was open, or instead of an answer.
    """

    code: int
    answer: str = ""
    complaint: str = ""


def run(module: str, order: str, variables: dict[str, str]) -> Ended:
    """Starts a child, waits for it and returns how it ended.

    Args:
        module: what the child does: its `work(order)` returns an exit code and an answer, and as a
            program it obeys, see `ablation.orders`.
        order: one line.
        variables: the environment of the child.

    Raises:
        KeyboardInterrupt: passed on after the child has ended.
    """
    # A worker on another machine has the variable too, but there is no such socket.
    start = _ask_command if Path(os.environ.get(_ADDRESS, "")).is_socket() else _run_warm
    own = {name: value for name, value in variables.items() if name != _ADDRESS}
    return start(module, order, own) or _run_cold(module, order, own)


def answer(module: str, order: str, variables: dict[str, str]) -> str:
    """Returns what a child answers; see `run`.

    Raises:
        UserError: it could not, with the reason.
    """
    ended = run(module, order, variables)
    if ended.code:
        last = (ended.complaint.splitlines() or [f"exit code {ended.code}"])[-1]
        raise UserError(ended.answer or last)
    return ended.answer


@contextlib.contextmanager
def for_workers() -> Iterator[None]:
    """Starts children for the workers of a launcher that begin here in the meantime."""
    with contextlib.ExitStack() as stack:
        # Only this user may enter the folder, and so reach the socket.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ablation-"))
        address = str(Path(folder, "children"))
        with contextlib.suppress(OSError):  # The path is too long: each has a server then.
            asked = stack.enter_context(_Asked(address, _Asking))
            stack.callback(asked.stop)
            threading.Thread(target=asked.serve_forever, args=[0.1], daemon=True).start()
            os.environ[_ADDRESS] = address
            stack.callback(os.environ.pop, _ADDRESS)
        yield


class _Asked(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens to workers; closed, it ends their children and waits for them."""

    request_queue_size = 128

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.workers: set[socket.socket] = set()

    def stop(self) -> None:
        """Listens no more, and gives up the children that still work."""
        self.shutdown()
        for worker in list(self.workers):
            with contextlib.suppress(OSError):  # It has just ended.
                worker.shutdown(socket.SHUT_RD)


class _Asking(socketserver.StreamRequestHandler):
    """One child for one worker, which gives it up by closing its side."""

    server: _Asked

    def handle(self) -> None:
        """Starts the child that is asked for, and answers with how it ended."""
        self.server.workers.add(self.request)
        order = self.rfile.readline()
        if order:  # Else the worker is gone already.
            module, line, variables = json.loads(order)
            ended = _run_warm(module, line, variables, self.request)
            with contextlib.suppress(OSError):  # It is gone now.
                self.wfile.write(f"{json.dumps(ended and asdict(ended))}\n".encode())
        self.server.workers.discard(self.request)


def _ask_command(module: str, order: str, variables: dict[str, str]) -> Ended | None:
    with socket.socket(socket.AF_UNIX) as command:
        try:
            command.connect(os.environ[_ADDRESS])
        except OSError:  # The command was killed; its socket is still there.
            return Ended(-signal.SIGKILL)
        answer = command.makefile()
        try:
            command.sendall(f"{json.dumps([module, order, variables])}\n".encode())
            line = answer.readline()
        except BaseException:
            command.shutdown(socket.SHUT_WR)
            answer.readline()  # The child has ended.
            raise
    if not line:  # The command is gone, and its children with it.
        return Ended(-signal.SIGKILL)
    ended = json.loads(line)
    return ended and Ended(**ended)


def _is_served(variables: dict[str, str]) -> bool:
    """Returns whether a server has the environment that a child needs; starts the first one."""
    global _server
    if not WARM:
        return False
    needed = {name: value for name, value in variables.items() if _is_early(name)}
    with _of_the_server:  # Several workers may ask at once.
        if _server is None:
            preload = [f"{__package__}.preload"]
            multiprocessing.get_context("forkserver").set_forkserver_preload(preload)
            _server = needed
        if needed != _server:
            return False
        # The server would import from the working folder first, and each run has its own path.
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


def _run_warm(
    module: str,
    order: str,
    variables: dict[str, str],
    given_up: socket.socket | None = None,
) -> Ended | None:
    """Forks a child from the server, if it has the right environment.

    Args:
        module: see `run`.
        order: the same.
        variables: the same.
        given_up: if something comes from there, the child is ended.
    """
    if not _is_served(variables):
        return None
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(module, order, variables, sender))
    with _looking:
        child.start()
    sender.close()
    try:
        ends: list[Any] = [child.sentinel, given_up] if given_up else [child.sentinel]
        said: tuple[str, ...] = ()
        # Read while it lives: what is more than a pipe holds would keep it from its end.
        if receiver in wait([*ends, receiver]):
            with contextlib.suppress(EOFError):
                said = receiver.recv()
            wait(ends)
        return Ended(_ended(child), *said)
    finally:
        _ended(child)
        receiver.close()
        child.close()


def _ended(child: Any) -> int:
    """Returns the exit code of a process, which is ended if it has not."""
    with _looking:
        if child.is_alive():
            child.kill()
        child.join()
        return child.exitcode or 0


def _work(module: str, order: str, variables: dict[str, str], answers: Connection) -> None:
    """Is what a fork of the server does."""
    os.setsid()  # Ctrl-C reaches the parent alone, which then ends the child.
    environment.become(variables)
    parent = multiprocessing.parent_process()
    assert parent
    end_with(lambda: wait([parent.sentinel]))
    code, answer, complaint = 1, "", ""
    try:
        code, answer = importlib.import_module(module).work(order)
    except source.RAISED:
        complaint = traceback.format_exc()[-_MOST:].strip()
    if answer or complaint:
        answers.send((answer, complaint))
    sys.exit(code)


def _run_cold(module: str, order: str, variables: dict[str, str]) -> Ended:
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(
            import_path.command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=variables,
            text=True,
            # Ctrl-C reaches the parent alone, which then ends the child.
            start_new_session=True,
        )
        assert child.stdin and child.stdout
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(f"{order}\n")
                child.stdin.flush()
            answer = child.stdout.read().strip()
            child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            child.stdin.close()
            child.stdout.close()
        complaints.seek(0)
        return Ended(child.returncode, answer, complaints.read().strip())

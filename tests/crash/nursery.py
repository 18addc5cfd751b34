"""Trains runs in children that strace watches, and that it kills or lets fail where it is told to.

    python nursery.py

Reads one JSON object a line from standard input: `order` (as a worker gets it), `strace` (its
options, {pid} for the child's number) or null, and `trace` (where strace writes). Answers each with
one line: the exit code, and the signal if there was one.

The framework is imported once, before it has threads, and each run is a fork of that: a run takes
two seconds instead of ten.
"""

import itertools
import json
import math
import os
import subprocess
import sys


def main():
    from ablation.orders import obey
    from ablation.running import worker
    from ablation.training import checkpoint, spacing, train  # noqa: F401 (imports the framework)

    # Every epoch is saved, and the first within too, so that every attempt makes the same calls.
    spacing.SHARE = math.inf
    asked_steps = itertools.count(1)  # Each child has its own.
    spacing.Spacing.due_within = lambda _: next(asked_steps) == 1
    save = checkpoint.Checkpoint.save

    def save_and_wait(self, position, seconds=0.0):
        save(self, position, seconds)
        if position.steps:  # While it is written, the end of the epoch would not be saved.
            self._wait()

    checkpoint.Checkpoint.save = save_and_wait

    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        order_end, order = os.pipe()
        go_end, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(order)
            os.close(go)
            os.read(go_end, 1)
            os.dup2(order_end, 0)
            sys.stdin = os.fdopen(0, closefd=False)
            code = 70
            try:
                code = obey(worker.work)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(code)
        os.close(order_end)
        os.close(go_end)
        watcher = _watch(child, asked)
        os.write(order, (asked["order"] + "\n").encode())
        os.write(go, b"g")
        _, status = os.waitpid(child, 0)
        os.close(order)
        os.close(go)
        if watcher:
            watcher.wait()
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _watch(child, asked):
    """Returns strace once it is attached, None if none is asked for."""
    if asked["strace"] is None:
        return None
    words = [word.replace("{pid}", str(child)) for word in asked["strace"]]
    command = ["strace", "-f", "-p", str(child), "-o", asked["trace"], *words]
    watcher = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while "attached" not in (line := watcher.stderr.readline()):
        if not line:
            raise RuntimeError("strace cannot attach")
    return watcher


if __name__ == "__main__":
    main()

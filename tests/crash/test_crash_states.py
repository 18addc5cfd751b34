"""Every point at which a run can be killed, fail or lose power: the same command ends the same.

make faults                                   all of them; a few are in every test run
CRASH_STATES=40 python -m pytest tests/crash  40 of each kind, evenly spread
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from ablation import environment, import_path, targets
from ablation.data import cache
from ablation.orders import TrainOrder, written
from ablation.records import durable, saves, store
from ablation.records.durable import make_directory
from ablation.running import runner
from support import run_of
from traces import CALLS, disks, operations

HERE = Path(__file__).parent
KEYS = ("epochs=3", "recipe.batch_size=512", "dataset.image_size=8", "keep_checkpoints=2")
FAILURES = ("ENOSPC", "EDQUOT", "EIO")
MAY_FAIL = ("openat", "write", "pwrite64", "fsync", "rename", "mkdir")
SOME = int(os.environ.get("CRASH_STATES", "4"))
"""States of each kind that every test run tries; of each failure of a disk fewer."""

strace = shutil.which("strace")
pytestmark = pytest.mark.skipif(not strace, reason="strace is not installed")


def _strace_attaches():
    with subprocess.Popen(["sleep", "5"]) as sleeper:
        done = subprocess.run(
            [strace, "-p", str(sleeper.pid), "-e", "inject=nanosleep:error=EINTR:when=1"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        sleeper.kill()
    return "attach" in done.stderr and "not permitted" not in done.stderr


class Runs:
    """One run that is trained again and again, each time under another misfortune."""

    def __init__(self, run, variables):
        self.run = run
        self.study = run.directory.parent
        # As it is installed or from a checkout, the package is found as in every child.
        self._nursery = subprocess.Popen(
            [*import_path.command("ablation")[:-2], str(HERE / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )
        assert json.loads(self._nursery.stdout.readline()) == "ready"

    def close(self):
        self._nursery.stdin.close()
        self._nursery.wait(timeout=60)

    def clear(self):
        shutil.rmtree(self.study, ignore_errors=True)
        make_directory(self.study)

    def attempt(self, *words, trace="/dev/null"):
        """Starts the run as a sweep would, and records a death as a sweep would."""
        before = store.read_status(self.run.directory)
        order = written(TrainOrder(self.run, "command", False, before.attempt, before.state))
        asked = {"order": order, "strace": list(words) or None, "trace": str(trace)}
        self._nursery.stdin.write(json.dumps(asked) + "\n")
        self._nursery.stdin.flush()
        code = json.loads(self._nursery.stdout.readline())
        if code != 3:
            runner._record_death(self.run, before, code, "")
        return code

    def recover(self):
        """The same command once more, with rerun=failed if the run says why it failed."""
        status = store.read_status(self.run.directory)
        failed = status.state == store.FAILED
        assert not failed or status.reason
        assert failed or status.state in (store.PENDING, store.INTERRUPTED, store.COMPLETE)
        if status.state != store.COMPLETE:
            self.attempt()
        return self.facts(), failed

    def facts(self):
        """What must not depend on any misfortune."""
        directory = self.run.directory
        status = store.read_status(directory)
        assert status.state == store.COMPLETE, status
        history = pd.read_csv(directory / "history.csv").drop(columns="seconds")
        # The lock and the log are not synced: of a complete run a power cut may take them.
        kept = (path for path in directory.rglob("*") if path.name not in (".lock", "log.txt"))
        names = sorted(str(path.relative_to(directory)) for path in kept)
        weights = durable.read_json(directory / "result.json")["weights_sha256"]
        return weights, history.to_csv(index=False), names


@pytest.fixture(scope="module")
def runs(config, cache_dir, tmp_path_factory):
    if not _strace_attaches():
        pytest.skip("strace may not attach to processes here")
    folder = tmp_path_factory.mktemp("crash")
    made = config(
        f"arch={HERE / 'tiny_net.py'}:build", *KEYS, f"runs_dir={folder}", f"cache_dir={cache_dir}"
    )
    data = cache.prepare(made.dataset, made.cache_dir, lambda *_: None)
    made = targets.settled(made, data.target(made.dataset))
    found = Runs(run_of(made, data.fingerprint), environment.child(made))
    yield found
    found.close()


@pytest.fixture(scope="module")
def clean(runs, tmp_path_factory):
    """What a run leaves that nothing happens to, and every operation on its files."""
    runs.clear()
    trace = tmp_path_factory.mktemp("trace") / "trace"
    runs.attempt("-y", "-xx", "-s", "100000000", "-e", f"trace={CALLS}", trace=trace)
    return runs.facts(), operations(trace, runs.study)


def _points(done):
    """Every call on every file, of several writes of one file the first, a middle and the last."""
    writes = Counter(operation.path for call, operation in done if call == "write")
    for call, operation in done:
        several = writes[operation.path]
        if call == "write" and operation.nth not in (1, (several + 1) // 2, several):
            continue
        yield call, operation


def _spread(states, some=SOME):
    step = max(1, len(states) // some)
    return states[step // 2 :: step]


def _inject(runs, call, operation, what):
    """The options of strace that make one call on one file of the next attempt go wrong."""
    path = operation.path.replace(f"-{_process(operation.path)}-", "-{pid}-")
    return "-P", path, "-e", f"trace={call}", "-e", f"inject={call}:{what}:when={operation.nth}"


def _process(path):
    """The number of the process that writes a temporary file."""
    name = Path(path).name
    return name.split("-")[1] if name.startswith(".writing-") else "none"


def _tell(kind, tried, counts):
    told = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"\n{kind}: {tried} crash states tried, {told}, lost: 0", file=sys.stderr)


WHATS = ["signal=KILL", *(f"error={one}" for one in FAILURES)]


@pytest.mark.parametrize("what", WHATS)
def test_at_some_calls(runs, clean, what):
    share = _spread if what == WHATS[0] else partial(_spread, some=SOME * 2 // 3)
    _try_calls(runs, clean, what, share)


@pytest.mark.faults
@pytest.mark.parametrize("what", WHATS)
def test_at_every_call(runs, clean, what):
    _try_calls(runs, clean, what, list)


def _try_calls(runs, clean, what, share):
    expected, done = clean
    points = [point for point in _points(done) if what == "signal=KILL" or point[0] in MAY_FAIL]
    shown = share(points)
    counts, reasons = Counter(), set()
    for call, operation in shown:
        runs.clear()
        code = runs.attempt(*_inject(runs, call, operation, what))
        reasons.add(store.read_status(runs.run.directory).reason)
        found, failed = runs.recover()
        assert found == expected, (call, operation, what)
        # A disk fails no run.
        assert not failed or what == WHATS[0], (call, operation, what, reasons)
        counts["ended by it" if code else "survived at once"] += 1
        counts["needed rerun=failed"] += failed
    assert counts["ended by it"] > 0.5 * len(shown)
    if what != WHATS[0]:
        # The reason is one line, such as "Disk quota exceeded".
        error = os.strerror(getattr(errno, what.partition("=")[2]))
        assert any(error in reason for reason in reasons if reason), reasons
    _tell(f"{what}, of {len(points):,}", len(shown), counts)


def _promised(done):
    """The epoch after which a run goes on at the least: the last finished one, or the one before.

    The last one whose row is in the history may have no checkpoint yet, and that of the one before
    may just be being written.
    """
    rows = sum(
        operation.call == "rename" and operation.to.endswith("history.csv") for _, operation in done
    )
    return max(0, rows - 2)


def test_after_some_power_cuts(runs, clean):
    _cut_power(runs, clean, lambda states: [*_spread(states), states[-1]])


@pytest.mark.faults
def test_after_every_power_cut(runs, clean):
    _cut_power(runs, clean, list)


def _cut_power(runs, clean, share):
    expected, done = clean
    found = list(disks([operation for _, operation in done], runs.study))
    assert len(found) > 50
    counts = Counter()
    shown = share(found)
    for end, lost, tree in shown:
        runs.clear()
        for path, content in tree.items():
            place = runs.study / path
            if content is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_bytes(content)
        rows, _ = store.read_history(runs.run.directory)
        resumes = saves.resumable(runs.run.directory / "checkpoint", len(rows))
        ended = store.Stored(runs.run.directory).damage is None
        assert ended or resumes.epochs >= _promised(done[:end]), (end, lost)
        facts, failed = runs.recover()
        assert not failed and facts == expected, (end, lost)
        if resumes.steps:
            counts["went on within an epoch"] += 1
        else:
            counts["went on after one" if resumes.epochs else "began anew or were complete"] += 1
    # Few states may miss the moment between a checkpoint within an epoch and the next.
    assert len(shown) < len(found) or counts["went on within an epoch"]
    _tell(f"power cut, of {len(found):,}", len(shown), counts)

"""A sweep killed dozens of times at random moments equals one that was left alone.

make faults
"""

import json
import os
import random
import signal
import subprocess
import time

import pandas as pd
import pytest

from ablation.records import store
from support import start_sweep, tiny

KILLS = 50
SWEEP = ("-m", *tiny(20), "plain=true,false", "seed=0,1")


def _start(folder, cache_dir):
    return start_sweep(*SWEEP, cwd=folder, cache_dir=cache_dir)


def _children(parent):
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout
    return [int(process) for process in listed.split()]


def _descendants(sweep):
    """The servers of a sweep and the children that train, each a list of processes."""
    servers = _children(sweep)
    return servers, [one for server in servers for one in _children(server) if _trains(one)]


def _trains(process):
    """Whether a process trains: it leads a session of its own."""
    try:
        return os.getsid(process) == process
    except ProcessLookupError:
        return False


def _kill(process, number):
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def _facts(folder):
    """What must not depend on kills: each run's weights, history and files."""
    facts = {}
    for directory in store.run_directories(folder / "runs" / "main"):
        history = pd.read_csv(directory / "history.csv").drop(columns="seconds")
        facts[directory.name] = (
            json.loads((directory / "result.json").read_text())["weights_sha256"],
            history.to_csv(index=False),
            sorted(path.name for path in directory.iterdir()),
        )
    return facts


@pytest.mark.faults
def test_fifty_kills_lose_nothing(cache_dir, tmp_path):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    alone.mkdir()
    killed.mkdir()
    assert _start(alone, cache_dir).wait(600) == 0
    rng = random.Random(0)
    kills = {"parent": 0, "server": 0, "child": 0, "all": 0}
    starts = 0
    while sum(kills.values()) < KILLS:
        starts += 1
        sweep = _start(killed, cache_dir)
        while sweep.poll() is None and sum(kills.values()) < KILLS:
            time.sleep(rng.uniform(0.5, 9))
            target = rng.choice(list(kills))
            servers, children = _descendants(sweep.pid)
            while target == "child" and not children and sweep.poll() is None:
                time.sleep(0.05)
                servers, children = _descendants(sweep.pid)
            victims = {"parent": [sweep.pid], "server": servers, "child": children}
            victims["all"] = [sweep.pid, *servers, *children]
            number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            hits = [_kill(process, number) for process in victims[target]]
            kills[target] += any(hits)
            if target in ("parent", "all"):
                sweep.wait(60)
        sweep.wait(600)
        if all(_is_complete(path) for path in store.run_directories(killed / "runs" / "main")):
            # Everything is trained already: begin again, so that the kills go on.
            for path in store.run_directories(killed / "runs" / "main"):
                store.forget(path)
    ended = _start(killed, cache_dir).wait(600)
    directories = store.run_directories(killed / "runs" / "main")
    assert ended == 0, [store.read_status(directory) for directory in directories]
    facts = _facts(killed)
    lost = [name for name, fact in _facts(alone).items() if facts.get(name) != fact]
    print(f"\nkills {kills}, sweeps started {starts}, runs {len(facts)}, lost {len(lost)}")
    assert not lost
    assert facts.keys() == _facts(alone).keys()


def _is_complete(directory):
    return store.read_status(directory).state == store.COMPLETE

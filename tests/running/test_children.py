"""A run is a process of its own, whether it is forked from a server or made from nothing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ablation import targets
from ablation.data import cache
from ablation.orders import TrainOrder, written
from ablation.records import store
from ablation.running import children, environment
from support import TINY, run_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux")


@pytest.fixture
def ordered(config, cache_dir, tmp_path):
    made = config(*TINY, f"runs_dir={tmp_path}", f"cache_dir={cache_dir}")
    data = cache.prepare(made.dataset, made.cache_dir, lambda *_: None)
    made = targets.settled(made, data.target(made.dataset))
    run = run_of(made, data.fingerprint)
    order = written(TrainOrder(run, "command", False, 0, store.PENDING))
    return run, order, environment.child(made)


def _weights(run):
    return store.read_json(run.directory / "result.json")["weights_sha256"]


def test_warm_and_cold_give_the_same_bits(ordered):
    run, order, variables = ordered
    assert children._is_served(variables)
    found = []
    for start in (children._run_warm, children._run_cold, children._run_warm):
        assert start(order, variables) == (0, "")
        found.append(_weights(run))
        shutil.rmtree(run.directory)
    assert len(set(found)) == 1


def test_a_crash_of_one_run_is_its_own(ordered):
    run, order, variables = ordered
    ended = []
    thread = threading.Thread(target=lambda: ended.append(children.run(order, variables)))
    thread.start()
    process = _process(run)
    assert os.getsid(process) == process
    # Of two processes Linux kills the one with more of it when memory runs out.
    assert int(Path(f"/proc/{process}/oom_score_adj").read_text()) >= 500
    os.kill(process, signal.SIGKILL)
    thread.join(60)
    assert ended == [(-signal.SIGKILL, "")]
    before = store.read_status(run.directory)
    again = written(TrainOrder(run, "command", False, before.attempt, before.state))
    assert children.run(again, variables) == (0, "")
    assert store.read_status(run.directory).state == store.COMPLETE


def _process(run):
    """The process that trains a run, as soon as its log names it."""
    for _ in range(1200):
        lines = store.log_tail(run.directory, 10)
        if lines:
            return int(lines[0].rpartition(" ")[2])
        time.sleep(0.05)
    raise AssertionError("it did not begin")


def test_what_went_wrong_before_the_log_is_told(ordered):
    _, _, variables = ordered
    code, complaint = children.run("no order", variables)
    assert code == 1 and "JSONDecodeError" in complaint


def test_another_environment_is_no_fork_of_this_one(ordered):
    _, _, variables = ordered
    assert children._is_served(variables)
    assert children._is_served(variables | {"CUDA_VISIBLE_DEVICES": "1"})
    assert not children._is_served(variables | {"KERAS_BACKEND": "jax"})
    assert not children._is_served(variables | {"MALLOC_ARENA_MAX": "7"})


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_no_thread_of_a_framework_is_there_to_be_lost_in_a_fork(backend, config, cache_dir):
    code = """
import os
from pathlib import Path
out = os.dup(1)
import ablation.running.preload, sys
assert "ablation.training.train" in sys.modules
names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
os.write(out, "\\n".join(names).encode())
"""
    made = config(*TINY, f"backend={backend}", f"cache_dir={cache_dir}")
    if backend != "tensorflow":
        pytest.importorskip(backend)
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment.child(made) | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    names = found.stdout.split()
    allowed = "jemalloc_bg_thd"  # Of an allocator that a machine may put before every program.
    own = [name for name in names if name != allowed]
    assert len(own) == 1, names


def test_the_server_ends_with_its_parent(ordered):
    _, _, variables = ordered
    code = """
import sys
from multiprocessing import forkserver
from ablation.running import children
variables = dict(line.split("=", 1) for line in sys.stdin.read().split("\\0") if line)
assert children._is_served(variables)
print(forkserver._forkserver._forkserver_pid, flush=True)
"""
    pairs = "\0".join(f"{key}={value}" for key, value in variables.items())
    done = subprocess.run([sys.executable, "-c", code], input=pairs, capture_output=True, text=True)
    server = int(done.stdout)
    for _ in range(600):
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the server lives on")

"""A run is a process of its own, whether it is forked from a server or made from nothing."""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

import pytest

from ablation import environment, targets
from ablation.data import cache
from ablation.orders import MeasureOrder, TrainOrder, written
from ablation.records import durable, store
from ablation.running import children
from ablation.running.children import Ended
from support import TINY, run_of

WORKER = "ablation.running.worker"
CHATTY = """
import keras
def build(input_shape, classes):
    print("{}")
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(classes)
    ])
"""

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
    return durable.read_json(run.directory / "result.json")["weights_sha256"]


def test_warm_and_cold_give_the_same_bits(ordered):
    run, order, variables = ordered
    assert children._is_served(variables)
    found = []
    for start in (children._run_warm, children._run_cold, children._run_warm):
        assert start(WORKER, order, variables) == Ended(0)
        found.append(_weights(run))
        shutil.rmtree(run.directory)
    assert len(set(found)) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_crash_of_one_run_is_its_own(end, ordered):
    run, order, variables = ordered
    ended = []
    thread = threading.Thread(target=lambda: ended.append(children.run(WORKER, order, variables)))
    thread.start()
    process = _process(run)
    assert os.getsid(process) == process
    # Of two processes Linux kills the one with more of it when memory runs out.
    assert int(Path(f"/proc/{process}/oom_score_adj").read_text()) >= 500
    os.kill(process, end)
    thread.join(60)
    assert ended == [Ended(-end)]
    before = store.read_status(run.directory)
    again = written(TrainOrder(run, "command", False, before.attempt, before.state))
    assert children.run(WORKER, again, variables) == Ended(0)
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
    for start in (children._run_warm, children._run_cold):
        ended = start(WORKER, "no order", variables)
        assert ended.code == 1 and not ended.answer
        assert ended.complaint.splitlines()[-1].startswith("json.decoder.JSONDecodeError")


def test_what_is_measured_is_answered_and_what_a_network_prints_is_not(ordered, tmp_path):
    run, _, variables = ordered
    net = tmp_path / "chatty_net.py"
    net.write_text(CHATTY)
    config = replace(run.config, arch=f"{net}:build", parts={})
    order = written(MeasureOrder(config, time.monotonic()))
    for start in (children._run_warm, children._run_cold):
        ended = start("ablation.training.measure", order, variables)
        assert ended.answer, ended.complaint
        assert json.loads(ended.answer)["trainable"] == 64 * 10 + 10


def test_an_answer_may_be_longer_than_a_pipe_holds(ordered):
    _, _, variables = ordered
    ended = children._run_warm("long_answer", "1000000", variables)
    assert ended == Ended(0, "x" * 1_000_000)


def test_another_environment_is_no_fork_of_this_one(ordered):
    _, _, variables = ordered
    assert children._is_served(variables)
    assert children._is_served(variables | {"CUDA_VISIBLE_DEVICES": "1"})
    assert not children._is_served(variables | {"KERAS_BACKEND": "jax"})
    assert not children._is_served(variables | {"MALLOC_ARENA_MAX": "7"})


ASKED = """
import json, os, sys
from ablation.running import children
order = json.loads(sys.stdin.readline())
print("asks", flush=True)
print(json.dumps(vars(children.run(*order))), flush=True)
"""


@pytest.fixture
def worker():
    """Starts what a worker of a launcher does: it asks the command for a child."""
    started = []

    def start(*order):
        worker = subprocess.Popen(
            [sys.executable, "-c", ASKED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(worker)
        worker.stdin.write(f"{json.dumps(order)}\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "asks\n"
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.communicate()


def test_workers_have_their_children_forked_from_the_server_of_the_command(ordered, worker):
    run, order, variables = ordered
    with children.for_workers():
        asks = worker(WORKER, order, variables | {"ABLATION_CHILDREN": "elsewhere"})
        process = _process(run)
        server = forkserver._forkserver._forkserver_pid
        assert (
            int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]) == server
        )
        assert json.loads(asks.stdout.readline()) == vars(Ended(0))
        told = worker(WORKER, "no order", variables)
        assert "JSONDecodeError" in json.loads(told.stdout.readline())["complaint"]
        # What the server of the command cannot be is made from nothing, by the worker.
        other = variables | {"MALLOC_ARENA_MAX": "7"}
        told = worker("ablation.training.measure", "no order", other)
        assert "JSONDecodeError" in json.loads(told.stdout.readline())["complaint"]
    assert "ABLATION_CHILDREN" not in os.environ


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_child_of_a_worker_ends_with_it(end, ordered, worker):
    run, order, variables = ordered
    with children.for_workers():
        asks = worker(WORKER, order, variables)
        process = _process(run)
        asks.send_signal(end)
        asks.wait(60)
        assert _is_gone(process)


def test_children_of_workers_end_when_no_more_are_to_be_started(ordered, worker):
    run, order, variables = ordered
    with children.for_workers():
        asks = worker(WORKER, order, variables)
        process = _process(run)
    assert _is_gone(process)
    assert json.loads(asks.stdout.readline())["code"] == -signal.SIGKILL


def test_without_the_command_no_child_is_started(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/children"
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(address)
        monkeypatch.setenv("ABLATION_CHILDREN", address)
        assert children.run(WORKER, "no order", {}) == Ended(-signal.SIGKILL)


def test_a_folder_with_too_long_a_name_leaves_workers_to_themselves(
    ordered, worker, tmp_path, monkeypatch
):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    _, _, variables = ordered
    with children.for_workers():
        assert "ABLATION_CHILDREN" not in os.environ
        told = worker(WORKER, "no order", variables)
        assert "JSONDecodeError" in json.loads(told.stdout.readline())["complaint"]


def _is_gone(process):
    for _ in range(600):
        if not Path(f"/proc/{process}").exists():
            return True
        time.sleep(0.05)
    return False


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
    # Not importorskip: jax sets variables, which the tests after this one would inherit.
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
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
    for _ in range(2400):  # It may still load the framework, beside whatever else is tested.
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the server lives on")


def test_threads_that_look_after_children_at_once_misread_none(ordered, monkeypatch):
    _, _, variables = ordered
    whole, reading = forkserver.read_signed, set()

    def read(descriptor):
        # Else it takes many hundred children until a second one reads what the first is to.
        if descriptor not in reading:
            reading.add(descriptor)
            time.sleep(0.3)
            reading.discard(descriptor)
        return whole(descriptor)

    monkeypatch.setattr(forkserver, "read_signed", read)
    codes = []

    def work():
        for _ in range(3):
            codes.append(children._run_warm("exits_with", "7", variables).code)

    assert children._is_served(variables)
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [7] * 18

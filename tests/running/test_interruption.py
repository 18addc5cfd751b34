"""Whatever stops a sweep, the same command goes on with it and ends as if nothing had happened."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time

import pandas as pd
import pytest

from ablation.records import durable, locks, store
from support import TINY, start_sweep, tiny

LONG = (*tiny(12), "plain=false", "keep_checkpoints=5", "diagnostics=true")


@pytest.fixture(scope="module")
def start(cache_dir):
    """Starts a sweep and leaves it running."""

    def begin(*arguments, cwd):
        return start_sweep(*arguments, cwd=cwd, cache_dir=cache_dir, stderr=subprocess.PIPE)

    return begin


@pytest.fixture(scope="module")
def untouched(cli, tmp_path_factory):
    """The run that nothing ever stopped."""
    folder = tmp_path_factory.mktemp("untouched")
    assert cli(*LONG, cwd=folder).returncode == 0
    return _only_run(folder)


def _only_run(folder):
    (directory,) = store.run_directories(folder / "runs" / "main")
    return directory


def _files(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def _wait_for(condition, seconds=300):
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def _wait_for_checkpoint(folder):
    def saved():
        return any((folder / "runs" / "main").glob("*/checkpoint/epoch-*.npz"))

    _wait_for(saved)
    return _only_run(folder)


def _child(directory):
    """Process id of the latest attempt, from the first line of its log."""
    lines = (directory / "log.txt").read_text().splitlines()
    return int([line for line in lines if line.startswith("--- attempt")][-1].split()[-1])


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _assert_same(directory, untouched):
    results = [json.loads((path / "result.json").read_text()) for path in (directory, untouched)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    histories = [
        pd.read_csv(path / "history.csv").drop(columns="seconds") for path in (directory, untouched)
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    assert _files(directory) == _files(untouched)
    for kept in (untouched / "weights").iterdir():
        assert (directory / "weights" / kept.name).read_bytes() == kept.read_bytes()
    measured = [(path / "diagnostics.csv").read_bytes() for path in (directory, untouched)]
    assert measured[0] == measured[1]


def test_a_killed_child_is_recorded_and_goes_on_from_its_checkpoint(
    cli, start, untouched, tmp_path
):
    sweep = start(*LONG, cwd=tmp_path)
    directory = _wait_for_checkpoint(tmp_path)
    os.kill(_child(directory), signal.SIGKILL)
    _, printed = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "interrupted" in printed and "SIGKILL" in printed
    assert store.read_status(directory).reason.startswith("killed by SIGKILL")

    assert cli(*LONG, cwd=tmp_path).returncode == 0
    assert json.loads((directory / "result.json").read_text())["resumed_from_epoch"] >= 1
    _assert_same(directory, untouched)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stopped_sweep_ends_its_child_and_says_how_to_go_on(
    cli, start, untouched, tmp_path, name
):
    sweep = start(*LONG, cwd=tmp_path)
    directory = _wait_for_checkpoint(tmp_path)
    child = _child(directory)
    sweep.send_signal(getattr(signal, name))
    _, printed = sweep.communicate(timeout=300)
    assert sweep.returncode == 130
    assert "the same command goes on" in printed and "python -m ablation arch=8" in printed
    assert "Traceback" not in printed
    assert not _is_alive(child)
    assert store.read_status(directory).state == store.INTERRUPTED

    assert cli(*LONG, cwd=tmp_path).returncode == 0
    _assert_same(directory, untouched)


def test_a_child_does_not_outlive_a_killed_parent(cli, start, untouched, tmp_path):
    sweep = start(*LONG, cwd=tmp_path)
    directory = _wait_for_checkpoint(tmp_path)
    child = _child(directory)
    sweep.kill()
    sweep.communicate(timeout=300)
    _wait_for(lambda: not _is_alive(child), seconds=10)
    assert locks.is_free(directory)

    assert cli(*LONG, cwd=tmp_path).returncode == 0
    _assert_same(directory, untouched)


def _small_files():
    """Lets no file grow beyond half a megabyte, which a checkpoint does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


def test_a_disk_without_room_is_named_and_costs_nothing_that_was_finished(cli, untouched, tmp_path):
    done = cli(*LONG, cwd=tmp_path, before=_small_files)
    assert done.returncode == 1
    directory = _only_run(tmp_path)
    status = store.read_status(directory)
    assert status.state == store.INTERRUPTED
    assert "File too large" in status.reason and "File too large" in done.stderr
    assert not list(directory.glob("checkpoint/*"))
    assert (tmp_path / "runs" / "main" / "report.md").exists()

    assert cli(*LONG, cwd=tmp_path).returncode == 0
    _assert_same(directory, untouched)


def test_two_sweeps_at_once_train_each_run_once(start, tmp_path):
    sweeps = [
        start("-m", *TINY, f"plain={arms}", "seed=0,1", cwd=tmp_path)
        for arms in ("true,false", "false,true")
    ]
    for sweep in sweeps:
        _, printed = sweep.communicate(timeout=120)
        assert sweep.returncode == 0, printed
    directories = store.run_directories(tmp_path / "runs" / "main")
    assert len(directories) == 4
    for directory in directories:
        assert store.read_status(directory).attempt == 1
        assert (directory / "log.txt").read_text().count("--- attempt") == 1


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(
            (n, h)
            for n in ("history.csv", "config.yaml")
            for h in ("truncated", "missing", "altered")
        ),
        *((n, h) for n in ("status.json", "result.json") for h in ("truncated", "missing")),
    ],
)
def test_a_damaged_run_is_named_and_not_complete(untouched, tmp_path, name, how):
    copy = tmp_path / "main" / untouched.name
    shutil.copytree(untouched, copy)
    content = (copy / name).read_bytes()
    (copy / name).unlink()
    if how != "missing":
        half = content[: len(content) // 2]
        (copy / name).write_bytes(half if how == "truncated" else content + b"\n")
    status = store.read_status(copy)
    assert status.state in (store.INTERRUPTED, store.PENDING)
    if (name, how) != ("status.json", "missing"):
        assert name in status.reason


def test_the_same_command_repairs_a_damaged_run(cli, untouched, tmp_path):
    folder = tmp_path / "runs" / "main"
    shutil.copytree(untouched, folder / untouched.name)
    history = folder / untouched.name / "history.csv"
    history.write_bytes(history.read_bytes()[:100])
    shown = cli("runs/main", cwd=tmp_path, module="ablation.report")
    assert "damaged file (history.csv" in shown.stdout
    done = cli(*LONG, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    _assert_same(folder / untouched.name, untouched)


def test_a_result_that_was_stored_before_the_end_is_not_trained_again(cli, untouched, tmp_path):
    folder = tmp_path / "runs" / "main"
    shutil.copytree(untouched, folder / untouched.name)
    directory = _only_run(tmp_path)
    status = json.loads((directory / "status.json").read_text())
    durable.write_json(directory / "status.json", status | {"state": "running", "end": None})
    before = (directory / "history.csv").stat().st_mtime_ns
    assert cli(*LONG, cwd=tmp_path).returncode == 0
    assert (directory / "history.csv").stat().st_mtime_ns == before
    assert store.read_status(directory).state == store.COMPLETE

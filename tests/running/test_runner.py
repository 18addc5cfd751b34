import errno
import os
import threading

import pytest

from ablation.orders import TrainOrder, written
from ablation.records import asked, durable, locks, store
from ablation.records.store import Status
from ablation.running import children, runner, worker
from ablation.running.children import Ended
from support import run_of


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (store.PENDING, {"none", "failed", "all"}),
        (store.INTERRUPTED, {"none", "failed", "all"}),
        (store.FAILED, {"failed", "all"}),
        (store.DIVERGED, {"failed", "all"}),
        (store.COMPLETE, {"all"}),
    ],
)
def test_what_each_rerun_trains(state, due):
    status = Status(state, attempt=1)
    assert {rerun for rerun in ("none", "failed", "all") if runner.is_due(status, rerun)} == due


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))


def test_each_child_sees_a_gpu_of_its_own(two_gpus):
    with runner.one_gpu() as first, runner.one_gpu() as second:
        assert {first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]} == {"3", "5"}


def test_a_child_waits_for_a_gpu_to_be_free(two_gpus):
    got = []

    def third():
        with runner.one_gpu() as variables:
            got.append(variables)

    with runner.one_gpu(), runner.one_gpu():
        waiting = threading.Thread(target=third)
        waiting.start()
        waiting.join(1)
        assert not got
    waiting.join(10)
    assert got[0]["CUDA_VISIBLE_DEVICES"] in ("3", "5")


@pytest.mark.parametrize("visible", ["", "0"])
def test_without_a_choice_nothing_is_set(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with runner.one_gpu() as variables:
        assert variables == {}


@pytest.mark.parametrize("error", worker.OF_THE_DISK)
def test_a_disk_that_keeps_even_the_status_from_being_written_is_no_fault_of_the_run(
    error, config, tmp_path, monkeypatch
):
    run = run_of(config(f"runs_dir={tmp_path}"))

    def broken(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(durable, "make_directory", broken)
    code, _ = worker.work(written(TrainOrder(run, "command", False, 0, store.PENDING)))
    monkeypatch.undo()
    begun = Status().begun()
    ended = runner._death(begun, code, "")
    assert (ended.state, ended.reason) == (store.INTERRUPTED, os.strerror(error))
    assert runner.is_due(ended, "none")


def test_an_error_of_the_disk_is_known_behind_another_and_in_the_words_of_hdf5():
    full = OSError(errno.ENOSPC, "No space left on device")
    behind = ValueError("the weights could not be saved")
    behind.__cause__ = full
    of_hdf5 = RuntimeError("Can't decrement id ref count (file write failed: errno = 122, error")
    found = [worker._of_the_disk(one) for one in (full, behind, of_hdf5)]
    assert found == [errno.ENOSPC, errno.ENOSPC, errno.EDQUOT]
    others = (FileNotFoundError(errno.ENOENT, "x"), RuntimeError("errno = 2"), ValueError("x"))
    assert not any(worker._of_the_disk(one) for one in others)


def test_of_several_that_wait_for_a_run_one_goes_on_with_it_and_the_others_wait(
    config, tmp_path, monkeypatch
):
    run = run_of(config(f"runs_dir={tmp_path}"))
    free = iter([True, False, False, True])
    states = iter([Status().begun().ended(store.COMPLETE), Status()][::-1])
    monkeypatch.setattr(runner, "_POLL_SECONDS", 0)
    monkeypatch.setattr(locks, "is_free", lambda _: next(free))
    monkeypatch.setattr(store, "read_status", lambda _: next(states))
    # Another one was quicker and trains it.
    monkeypatch.setattr(runner, "train", lambda *_: Status().begun())
    assert runner.wait_or_take_over(run, "command").state == store.COMPLETE


def test_what_another_sweep_has_finished_meanwhile_is_not_begun_again(
    stored_run, config, tmp_path, monkeypatch
):
    directory = stored_run()
    run = run_of(config(f"runs_dir={tmp_path}"), "d1")
    assert run.directory == directory
    asked.add(tmp_path / "main", [])

    def obeys(module, order, variables):
        return Ended(*worker.work(order))

    monkeypatch.setattr(children, "run", obeys)
    # When it was decided to train the run, it was not complete yet.
    status = runner.train(run, "command", Status())
    assert (status.state, status.attempt) == (store.COMPLETE, 1)

import io
import os
import threading
import time

import pytest
from rich.console import Console

from ablation.records import durable, locks, store
from ablation.records.store import Status
from ablation.running import progress
from ablation.running.progress import Monitor
from support import run_of


@pytest.fixture
def runs(config, tmp_path):
    return [run_of(config(f"seed={seed}", f"runs_dir={tmp_path}"), "data") for seed in (0, 1)]


@pytest.fixture
def printed():
    return io.StringIO()


def _end(run):
    run.directory.mkdir(parents=True, exist_ok=True)
    store.write_status(run.directory, Status().begun().ended(store.FAILED, "why"))


def _wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_an_end_is_told_and_the_next_one_waits_for_its_share_of_the_time(
    runs, printed, monkeypatch
):
    monkeypatch.setattr(progress, "_rest", lambda seconds: 0.0 if seconds < 0.2 else 1e6)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    told = []
    monitor = Monitor(
        runs,
        Console(file=printed),
        lambda _: told.append(printed.getvalue()) or time.sleep(0.3),
        lambda _: None,
    )
    monitor.start()
    for i, run in enumerate(runs):
        _end(run)
        _wait_until(lambda name=run.name: f"{name}  failed: why" in printed.getvalue())
        _wait_until(lambda: told)
        assert len(told) == 1, i
    monitor.stop()
    assert len(told) == 1
    assert runs[0].name in told[0]


def test_what_happens_while_a_report_is_written_is_shown_and_told_by_the_next(
    runs, printed, monkeypatch
):
    monkeypatch.setattr(progress, "_rest", lambda _: 0.0)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    told, go_on = [], threading.Event()

    def write(standing):
        told.append(standing.done)
        assert go_on.wait(30)

    monitor = Monitor(runs, Console(file=printed), write, lambda _: None)
    monitor.start()
    for run in runs:
        _end(run)
        _wait_until(lambda name=run.name: f"{name}  failed: why" in printed.getvalue())
        _wait_until(lambda: told)
    assert told == [1]
    go_on.set()
    _wait_until(lambda: told == [1, 2])
    monitor.stop()


def test_a_rest_keeps_the_work_to_its_share():
    assert 2 / (2 + progress._rest(2)) == pytest.approx(0.05)


def test_a_report_that_cannot_be_written_stops_nothing(runs, printed, monkeypatch):
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)

    def fail(_):
        raise OSError("no room")

    monitor = Monitor(runs, Console(file=printed), fail, fail)
    monitor.start()
    for run in runs:
        _end(run)
        _wait_until(lambda name=run.name: name in printed.getvalue())
    monitor.stop()
    assert "could not be written: no room" in printed.getvalue()


def test_only_what_has_changed_is_read(runs, printed, monkeypatch):
    begun, pending = runs
    begun.directory.mkdir(parents=True)
    store.write_status(begun.directory, Status().begun())
    os.utime(begun.directory, (1e9, 1e9))
    monitor = Monitor(runs, Console(file=printed), lambda _: None, lambda _: None)
    looked = []
    original = store.read_status
    monkeypatch.setattr(
        store, "read_status", lambda path: looked.append(path.name) or original(path)
    )
    for _ in range(3):
        monitor._poll(everything=False)
    assert looked == [begun.name]
    _end(pending)
    # It has just changed, and may change again within the same tick of the clock.
    pending_looks = monitor._has_changed(pending), monitor._has_changed(pending)
    assert pending_looks == (True, True)
    monitor._poll(everything=False)
    assert pending.name in looked and f"{pending.name}  failed" in printed.getvalue()


def test_runs_that_are_trained_anew_count_from_their_beginning(stored_run, config, tmp_path):
    for seed in (0, 1):
        stored_run(f"seed={seed}")
    words = f"runs_dir={tmp_path}", "rerun=all"
    runs = [run_of(config(*words, f"seed={seed}"), "d1") for seed in (0, 1)]
    monitor = Monitor(runs, Console(file=io.StringIO()), lambda _: None, lambda _: None)
    assert monitor._time_left() == "time left: measuring"
    assert not monitor.standing().awaited  # They still have the state of their first training.
    monitor._start -= 100  # Seconds ago.
    with locks.run_lock(runs[0].directory):
        store.write_status(runs[0].directory, Status().begun())
        monitor._look_at(runs[0])
    assert set(monitor.standing().awaited) == {runs[0].name}
    assert "0:01:40" in monitor._time_left()  # Half of the epochs took a hundred seconds.


def test_epochs_that_will_never_be_trained_take_no_time(runs, printed):
    monitor = Monitor(runs, Console(file=printed), lambda _: None, lambda _: None)
    monitor._start -= 100
    for run, rows in zip(runs, (1, run_epochs := runs[1].config.epochs), strict=True):
        _end(run)
        columns = ",".join(store.HISTORY_COLUMNS)
        lines = [f"{epoch},1,1,1,1,1,1" for epoch in range(1, rows + 1)]
        durable.write_text(run.directory / "history.csv", "\n".join([columns, *lines]) + "\n")
        monitor._look_at(run)
    assert run_epochs > 1 and "0:00:00" in monitor._time_left()


def test_a_run_that_hung_and_goes_on_is_still_in_training(runs, printed):
    monitor = Monitor(runs, Console(file=printed), lambda _: None, lambda _: None)
    (run, _) = runs
    run.directory.mkdir(parents=True)
    begun = Status().begun()
    store.write_status(run.directory, begun.ended(store.INTERRUPTED, "no step for 60 s"))
    monitor._look_at(run)
    monitor._look_at(run)
    assert printed.getvalue().count("interrupted: no step") == 1
    assert monitor.standing().done == 0
    with locks.run_lock(run.directory):
        store.write_status(run.directory, begun.begun())
        monitor._look_at(run)
        assert [one.name for one in monitor.standing().training] == [run.name]
        assert set(monitor.standing().awaited) == {one.name for one in runs}

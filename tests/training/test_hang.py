"""A run that makes no step for long is ended, recorded and started once more."""

import pytest

from ablation.records import store
from ablation.training import hang

NETWORK = """
import pathlib, time, keras

def build(input_shape, classes):
    image = keras.Input(input_shape)
    attempts = pathlib.Path("attempts")
    attempts.write_text(attempts.read_text() + "." if attempts.exists() else ".")
    if len(attempts.read_text()) <= {hangs}:
        time.sleep(600)
    return keras.Model(image, keras.layers.Dense(classes)(keras.layers.Flatten()(image)))
"""


@pytest.mark.parametrize(("hangs", "state", "code"), [(1, store.COMPLETE, 0), (2, store.FAILED, 1)])
def test_a_run_that_hangs_is_started_once_more(hangs, state, code, cli, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK.format(hangs=hangs))
    ended = cli("arch=net.py:build", "epochs=1", "hang_after=2", cwd=tmp_path)
    assert ended.returncode == code
    assert ended.stderr.count("hung and is started once more") == 1
    (run,) = store.run_directories(tmp_path / "runs" / "main")
    status = store.read_status(run)
    assert (status.state, status.attempt) == (state, 2)
    if state == store.FAILED:
        assert "no step for 0:00:12" in (status.reason or "")
        assert "no step for 0:00:12" in ended.stdout
    log = (run / "log.txt").read_text()
    assert log.count("Timeout (") == hangs and "net.py" in log  # Where it stood.


@pytest.fixture
def clock(monkeypatch):
    """A clock to be moved, and the seconds that were given to each next step."""

    class Clock:
        def __init__(self):
            self.now = 0.0
            self.given = []

        def step_after(self, seconds):
            self.now += seconds
            hang.step()
            return self.given[-1]

    made = Clock()
    monkeypatch.setattr("time.monotonic", lambda: made.now)
    monkeypatch.setattr(hang, "_arm", made.given.append)
    yield made
    hang.stop()


def test_a_step_is_measured_against_the_longest_of_its_own(clock):
    hang.watch(600)
    assert clock.given == [3600]
    assert clock.step_after(1000) == 600  # It traced the network, which says nothing of a step.
    assert clock.step_after(5) == 600
    assert clock.step_after(20) == 1000
    assert clock.step_after(5) == 1000


def test_a_process_that_is_not_watched_may_take_its_time(clock):
    hang.watch(0)
    hang.step()
    assert clock.given == []


def test_what_another_attempt_said_is_not_of_this_one(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("--- attempt 1, now\nTimeout (0:10:00)!\nThread 1\n")
    assert "0:10:00" in (hang.found(tmp_path) or "")
    log.write_text(log.read_text() + "--- attempt 2, now\nValueError\n")
    assert hang.found(tmp_path) is None

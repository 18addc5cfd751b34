"""A study, a run or the cache, whose folder is moved away while it is trained."""

import shutil
import time

import pytest

from ablation import targets
from ablation.data import cache
from ablation.records import durable, store
from ablation.running import worker
from support import TINY, run_of, start_sweep, tiny

KEYS = ("-m", *tiny(12), "plain=true,false")


def _wait_for(started, study, name):
    """Returns the first run of a sweep that has a file, as soon as it has."""
    end = time.monotonic() + 200
    while started.poll() is None and time.monotonic() < end:
        for run in study.glob("*-s0-*"):
            if (run / name).exists():
                return run
        time.sleep(0.05)
    raise AssertionError("waited in vain")


@pytest.fixture
def sweep(tmp_path, cache_dir):
    """A sweep that is in its first run, and where that run lies."""
    started = start_sweep(*KEYS, cwd=tmp_path, cache_dir=cache_dir, stderr=-1)
    study = tmp_path / "runs" / "main"
    yield started, study, _wait_for(started, study, "history.csv")
    started.kill()


def test_a_study_that_is_gone_is_not_begun_again(sweep, tmp_path):
    started, study, run = sweep
    study.rename(tmp_path / "moved")
    _, said = started.communicate(timeout=200)
    assert started.returncode == 2
    assert f"ablation: {study.relative_to(tmp_path)} was moved or removed" in said
    assert not store.run_directories(study)
    assert (tmp_path / "moved" / run.name / "history.csv").exists()


def test_a_run_that_is_gone_stops_no_other(sweep, tmp_path):
    started, study, run = sweep
    run.rename(tmp_path / run.name)
    _, said = started.communicate(timeout=200)
    assert started.returncode == 1
    assert f"interrupted: {run.name}: its folder was moved or removed" in said
    states = {one.name: store.read_status(one).state for one in store.run_directories(study)}
    assert states.pop(run.name) == store.INTERRUPTED
    assert list(states.values()) == [store.COMPLETE]


def test_a_cache_that_is_gone_is_prepared_anew(cli, tmp_path):
    arguments, cache = (*tiny(1), "plain=true,false"), tmp_path / "cache"
    started = start_sweep("-m", *arguments, cwd=tmp_path, cache_dir=cache, stderr=-1)
    study = tmp_path / "runs" / "main"
    _wait_for(started, study, "log.txt")
    shutil.rmtree(cache)
    _, said = started.communicate(timeout=200)
    ends = {one.name: store.read_status(one) for one in store.run_directories(study)}
    assert len(ends) == 2, said
    for end in ends.values():
        assert end.state == store.COMPLETE or "removed from cache_dir" in (end.reason or ""), said
    again = cli("-m", *arguments, f"cache_dir={cache}", cwd=tmp_path, cold=True)
    assert again.returncode == 0, again.stderr
    assert {store.read_status(study / name).state for name in ends} == {store.COMPLETE}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ("the data set", ""),
        ("the code of arch", "def build(input_shape, classes):\n    return 1\n"),
        ("the code of arch", "def build("),
    ],
)
def test_what_changed_since_a_sweep_began_ends_no_run_as_failed(config, tmp_path, changed, code):
    net = tmp_path / "net.py"
    net.write_text("def build(input_shape, classes):\n    ...\n")
    words = ("dataset.image_size=8", f"runs_dir={tmp_path}", f"cache_dir={tmp_path / 'cache'}")
    made = config(f"arch={net}:build", *words)
    data = cache.prepare(made.dataset, made.cache_dir, lambda *_: None)
    made = targets.settled(made, data.target(made.dataset))
    run = run_of(made, data.fingerprint if "code" in changed else "another")
    durable.make_directory(run.directory)
    if "code" in changed:
        net.write_text(code)
    state, reason = worker._train(run, "command")
    assert state == store.INTERRUPTED
    assert reason.startswith(changed) and "changed after the sweep had begun; start it" in reason


def test_a_cache_that_goes_while_it_is_opened_ends_no_run_as_failed(config, tmp_path, monkeypatch):
    cache_dir = tmp_path / "cache"
    made = config(*TINY, f"runs_dir={tmp_path}", f"cache_dir={cache_dir}")
    data = cache.prepare(made.dataset, made.cache_dir, lambda *_: None)
    run = run_of(targets.settled(made, data.target(made.dataset)), data.fingerprint)
    durable.make_directory(run.directory)

    def missing(*_):
        raise FileNotFoundError("train_images.npy")

    monkeypatch.setattr("ablation.training.train.train", missing)
    with pytest.raises(FileNotFoundError):  # Of a file that is not of the data.
        worker._train(run, "command")

    def gone(*_):
        shutil.rmtree(cache_dir)
        missing()

    monkeypatch.setattr("ablation.training.train.train", gone)
    state, reason = worker._train(run, "command")
    assert state == store.INTERRUPTED and "removed from cache_dir" in reason


EDITS = """
import keras

def build(input_shape, classes, *, wide: bool = True):
    with open(__file__, "a") as file:
        file.write("{}")
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    return keras.Model(image, keras.layers.Dense(classes)(x))
"""


@pytest.mark.parametrize("edit", ["edited = True\\n", "edited ="])
def test_code_that_is_edited_in_a_sweep_is_not_trained_as_runs_of_its_own(cli, tmp_path, edit):
    (tmp_path / "net.py").write_text(EDITS.format(edit))
    keys = "arch=net.py:build", "parts.wide=true,false", "dataset.image_size=8", "epochs=1"
    done = cli("-m", *keys, cwd=tmp_path)
    assert done.returncode == 1
    runs = store.run_directories(tmp_path / "runs" / "main")
    ends = sorted((store.read_status(run).state, store.read_status(run).reason) for run in runs)
    assert [state for state, _ in ends] == [store.COMPLETE, store.INTERRUPTED], done.stderr
    assert "the code of arch=net.py:build changed after the sweep had begun" in ends[1][1]

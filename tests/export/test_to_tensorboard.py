"""Studies exported to TensorBoard, read back by its own reader."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from ablation.factors import spelled
from ablation.records import store
from ablation.text import visible
from nasty import NAMES
from stored_exports import finish, history, passing, rows, run_in, write_history

pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
# Lets its reader do without TensorFlow, which takes seconds to load.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.plugins.hparams import api_pb2, metadata  # noqa: E402
from tensorboard.util.tensor_util import make_ndarray  # noqa: E402

from ablation.export import tensorboard  # noqa: E402


@pytest.fixture
def write(read, tmp_path):
    return lambda: tensorboard.export(read(), str(tmp_path / "logs"), passing)


def _reader(folder):
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return reader


def _points(reader, tag):
    return [(one.step, make_ndarray(one.tensor_proto).item()) for one in reader.Tensors(tag)]


def _plugin(reader, tag):
    return reader.SummaryMetadata(tag).plugin_data.content


def _single(numbers):
    with np.errstate(over="ignore"):
        return np.array(list(numbers)).astype("float32")


def _files(folder):
    """Every file with all that would tell that it was touched."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_curves_equal_the_history_in_single_precision(folder, write, tmp_path):
    written = write()
    assert written.changed == 7 and written.look == f"tensorboard --logdir {tmp_path / 'logs'}"
    for directory in store.run_directories(folder):
        reader = _reader(tmp_path / "logs" / directory.name)
        if not (directory / "history.csv").exists():
            assert not [tag for tag in reader.Tags()["tensors"] if tag.startswith("curves/")]
            continue
        expected = history(directory)
        for name in store.HISTORY_COLUMNS[1:]:
            points = _points(reader, f"curves/{name}")
            assert [step for step, _ in points] == [row["epoch"] for row in expected]
            assert np.array_equal(
                np.array([value for _, value in points], "float32"),
                _single(row[name] for row in expected),
                equal_nan=True,
            )


def test_the_relative_time_of_a_curve_is_that_of_training(folder, write, tmp_path):
    write()
    directory = run_in(folder, store.COMPLETE)
    reader = _reader(tmp_path / "logs" / directory.name)
    times = [one.wall_time for one in reader.Tensors("curves/loss")]
    seconds = [row["seconds"] for row in history(directory)]
    assert np.diff(times) == pytest.approx(seconds[1:], abs=1e-6)


def test_hyperparameters_and_results_are_in_the_tab_for_them(read, write, tmp_path):
    write()
    root = _reader(tmp_path / "logs")
    experiment = metadata.parse_experiment_plugin_data(_plugin(root, metadata.EXPERIMENT_TAG))
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics[:2] == ["final/val_accuracy", "final/val_loss"]
    columns = {info.name: info for info in experiment.hparam_infos}
    shown = [name for name, info in columns.items() if info.differs]
    assert {"arm", "state", "parts.plain", "seed"} <= set(shown)
    assert "recipe.learning_rate" in columns and "recipe.learning_rate" not in shown
    assert columns["seed"].domain_interval.max_value == 4
    statuses = {}
    for run in read().runs:
        reader = _reader(tmp_path / "logs" / run.name)
        start = metadata.parse_session_start_info_plugin_data(
            _plugin(reader, metadata.SESSION_START_INFO_TAG)
        )
        values = {key: getattr(one, one.WhichOneof("kind")) for key, one in start.hparams.items()}
        assert values == {"arm": run.arm, "state": run.state} | dict(run.hyperparameters) | run.cost
        assert values.keys() <= columns.keys()
        assert start.group_name == run.name
        if metadata.SESSION_END_INFO_TAG in reader.Tags()["tensors"]:
            end = metadata.parse_session_end_info_plugin_data(
                _plugin(reader, metadata.SESSION_END_INFO_TAG)
            )
            statuses[run.state] = end.status
        for tag, value in run.final.items():
            assert _points(reader, tag) == [(5, np.float32(value))]
    assert statuses == {
        store.COMPLETE: api_pb2.STATUS_SUCCESS,
        store.FAILED: api_pb2.STATUS_FAILURE,
        store.DIVERGED: api_pb2.STATUS_FAILURE,
    }


def test_a_column_of_two_types_is_text(read, tmp_path):
    study = read()
    levels = (True, 0.5, 3, "none", True, True, True)
    runs = [
        replace(run, hyperparameters=dict(run.hyperparameters) | {"parts.odd": level})
        for run, level in zip(study.runs, levels, strict=True)
    ]
    tensorboard.export(replace(study, runs=tuple(runs)), str(tmp_path / "logs"), passing)
    for run, level in zip(runs, levels, strict=True):
        reader = _reader(tmp_path / "logs" / run.name)
        start = metadata.parse_session_start_info_plugin_data(
            _plugin(reader, metadata.SESSION_START_INFO_TAG)
        )
        assert start.hparams["parts.odd"].string_value == spelled(level)


def test_what_a_run_is_can_be_read_as_text(folder, write, tmp_path):
    write()
    directory = run_in(folder, store.FAILED)
    ((_, text),) = _points(_reader(tmp_path / "logs" / directory.name), "about")
    lines = text.decode().splitlines()
    assert "    state: failed" in lines and "    reason: no memory" in lines


def test_twice_is_as_good_as_once(write, tmp_path):
    write()
    before = _files(tmp_path / "logs")
    assert len(before) == 8
    assert write().changed == 0
    assert _files(tmp_path / "logs") == before


def test_a_run_that_grew_has_the_new_points_and_the_old_ones_once(folder, write, tmp_path):
    write()
    before = _files(tmp_path / "logs")
    directory = run_in(folder, store.INTERRUPTED)
    finish(directory)
    assert write().changed == 1
    after = _files(tmp_path / "logs")
    new, old = after.keys() - before.keys(), before.keys() - after.keys()
    # The run's own file, and the one that says what the columns are.
    assert {path.parent.name for path in new | old} == {directory.name, ""}
    assert len(after) == len(before)
    reader = _reader(tmp_path / "logs" / directory.name)
    expected = [(int(row["epoch"]), np.float32(row["loss"])) for row in history(directory)]
    assert _points(reader, "curves/loss") == expected and len(expected) == 5
    assert _points(reader, "final/val_accuracy") == [(5, 0.875)]


def test_a_run_that_was_trained_anew_replaces_the_one_before(folder, write, tmp_path):
    write()
    directory = run_in(folder, store.COMPLETE)
    write_history(directory, rows(5, seed=77))
    assert write().changed == 1
    reader = _reader(tmp_path / "logs" / directory.name)
    expected = [(int(row["epoch"]), np.float32(row["loss"])) for row in rows(5, seed=77)]
    assert _points(reader, "curves/loss") == expected


def test_what_an_export_left_midway_is_put_right(folder, write, tmp_path):
    write()
    before = _files(tmp_path / "logs")
    place = tmp_path / "logs" / run_in(folder, store.COMPLETE).name
    (file,) = place.iterdir()
    content = file.read_bytes()
    file.rename(file.with_name("events.out.tfevents.00.ablation"))
    file.with_name("events.out.tfevents.11.ablation").write_bytes(b"half")
    file.with_name("ablation.new").write_bytes(b"half")
    assert write().changed == 1
    (file,) = place.iterdir()
    assert file.read_bytes() == content
    after = _files(tmp_path / "logs")
    others = {path for path in before if path.parent.name != place.name}
    assert {path: after[path] for path in others} == {path: before[path] for path in others}


def test_what_others_put_into_the_folder_stays(folder, write, tmp_path):
    place = tmp_path / "logs" / run_in(folder, store.COMPLETE).name
    place.mkdir(parents=True)
    (place / "events.out.tfevents.123.host").write_bytes(b"mine")
    write()
    write()
    assert (place / "events.out.tfevents.123.host").read_bytes() == b"mine"


def test_any_name_can_be_exported(read, tmp_path):
    study = read()
    runs = [
        replace(study.runs[0], name=f"r{place}", arm=visible(name), dataset=visible(name))
        for place, name in enumerate(NAMES.values())
    ]
    tensorboard.export(replace(study, runs=tuple(runs)), str(tmp_path / "logs"), passing)
    for run in runs:
        ((_, text),) = _points(_reader(tmp_path / "logs" / run.name), "about")
        assert f"    arm: {run.arm}" in text.decode()

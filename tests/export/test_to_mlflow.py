"""Studies exported to MLflow, read back by its own client."""

import math
import shutil
import sys
from dataclasses import replace

import pytest

from ablation.config import UserError
from ablation.records import store
from ablation.text import visible
from nasty import NAMES
from stored_exports import finish, history, passing, rows, run_in, write_history

pytest.importorskip("mlflow", reason="needs the extra mlflow")

from mlflow.tracking import MlflowClient

from ablation.export import mlflow


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables, which take seconds to make."""
    pytest.importorskip("sqlalchemy", reason="needs the extra mlflow")
    path = tmp_path_factory.mktemp("mlflow") / "store.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(params=["sqlite", "file"])
def uri(request, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    if request.param == "file":
        return f"file:{tmp_path / 'store'}"
    shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "store.db")
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def write(read, uri):
    return lambda: mlflow.export(read(), uri, "ablation", passing)


@pytest.fixture
def found(uri):
    """Returns the client and what is in the experiment, by the names of the runs."""

    def find():
        client = MlflowClient(tracking_uri=uri)
        number = client.get_experiment_by_name("ablation").experiment_id
        runs = client.search_runs([number], max_results=1000)
        assert len({run.info.run_name for run in runs}) == len(runs)
        return client, {run.info.run_name: run for run in runs}

    return find


def _points(client, run, name):
    points = client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in points)


def _everything(client, runs):
    """All that MLflow knows of runs, in a form that compares; a NaN there is no equal of itself."""
    known = {}
    for name, run in runs.items():
        metrics = {
            metric: client.get_metric_history(run.info.run_id, metric)
            for metric in run.data.metrics
        }
        points = {
            metric: [(one.step, one.timestamp, str(one.value)) for one in history]
            for metric, history in metrics.items()
        }
        known[name] = vars(run.info), run.data.params, run.data.tags, points
    return known


def _infinite_as_stored(uri, value):
    largest = sys.float_info.max
    return max(-largest, min(value, largest)) if "sqlite" in uri else value


def test_curves_equal_the_history(folder, write, found, uri):
    assert write().changed == 7
    client, runs = found()
    for directory in store.run_directories(folder):
        expected = history(directory) if (directory / "history.csv").exists() else []
        for name in store.HISTORY_COLUMNS[1:]:
            points = [
                (int(row["epoch"]), row[name])
                if math.isnan(row[name])
                else (int(row["epoch"]), _infinite_as_stored(uri, row[name]))
                for row in expected
            ]
            assert str(_points(client, runs[directory.name], name)) == str(points)


def test_the_study_is_a_run_with_its_runs_below(read, write, found):
    write()
    _, runs = found()
    parent = runs.pop("main")
    assert parent.info.status == "FINISHED" and "mlflow.parentRunId" not in parent.data.tags
    assert parent.data.tags[
        "ablation.states"
    ] == "4 complete, 1 diverged, 1 failed, 1 interrupted" or (
        sorted(parent.data.tags["ablation.states"].split(", "))
        == ["1 diverged", "1 failed", "1 interrupted", "4 complete"]
    )
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    study = read()
    statuses = {}
    for run in study.runs:
        there = runs[run.name]
        statuses[run.state] = there.info.status
        assert there.info.start_time == round(1000 * run.start)
        assert there.info.end_time == round(1000 * run.end)
        assert there.data.tags.items() >= {f"ablation.{k}": v for k, v in run.facts.items()}.items()
        assert there.data.params.keys() == run.hyperparameters.keys()
        assert there.data.params["recipe.learning_rate"] == "0.01"
        assert there.data.params["deterministic"] == "true"
        assert there.data.metrics.items() >= {**run.final, **run.cost}.items()
    assert statuses == {
        store.COMPLETE: "FINISHED",
        store.FAILED: "FAILED",
        store.DIVERGED: "FAILED",
        store.INTERRUPTED: "KILLED",
    }


def test_twice_is_as_good_as_once(write, found):
    write()
    before = _everything(*found())
    assert len(before) == 8
    assert write().changed == 0
    assert _everything(*found()) == before


def test_a_run_that_grew_has_the_new_points_and_the_old_ones_once(folder, write, found):
    write()
    _, before = found()
    directory = run_in(folder, store.INTERRUPTED)
    finish(directory)
    assert write().changed == 1
    client, runs = found()
    run = runs[directory.name]
    assert run.info.run_id == before[directory.name].info.run_id
    assert run.info.status == "FINISHED" and run.data.tags["ablation.state"] == "complete"
    assert "ablation.reason" not in run.data.tags
    expected = [(int(row["epoch"]), row["loss"]) for row in history(directory)]
    assert _points(client, run, "loss") == expected and len(expected) == 5
    assert run.data.metrics["final/val_accuracy"] == 0.875
    assert runs.keys() == before.keys()
    assert write().changed == 0


def test_a_diverged_run_that_grew_keeps_what_is_no_number_once(folder, write, found):
    write()
    directory = run_in(folder, store.DIVERGED)
    write_history(directory, [*history(directory), rows(4)[3]])
    write()
    client, runs = found()
    points = _points(client, runs[directory.name], "loss")
    assert [step for step, _ in points] == [1, 2, 3, 4]
    assert math.isnan(points[2][1])


def test_a_run_that_was_trained_anew_replaces_the_one_before(folder, write, found):
    write()
    _, before = found()
    directory = run_in(folder, store.COMPLETE)
    write_history(directory, rows(5, seed=77))
    assert write().changed == 1
    client, runs = found()
    assert runs.keys() == before.keys()
    assert runs[directory.name].info.run_id != before[directory.name].info.run_id
    expected = [(row["epoch"], row["loss"]) for row in rows(5, seed=77)]
    assert _points(client, runs[directory.name], "loss") == expected


def test_a_result_that_is_no_more_is_not_shown(folder, write, found):
    write()
    directory = run_in(folder, store.COMPLETE)
    (directory / "result.json").write_text("{")
    write()
    _, runs = found()
    assert not [name for name in runs[directory.name].data.metrics if name.startswith("final/")]
    assert "damaged" in runs[directory.name].data.tags["ablation.reason"]


def test_an_export_that_was_stopped_midway_is_gone_on_with(folder, read, write, found, uri):
    def stopped(runs):
        yield from runs[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mlflow.export(read(), uri, "ablation", stopped)
    client, runs = found()
    one = next(run for name, run in runs.items() if name != "main")
    client.delete_tag(one.info.run_id, "ablation.digest")  # As if it had no time for it.
    before = _points(client, one, "loss")
    assert write().changed == 5
    client, runs = found()
    assert len(runs) == 8
    assert _points(client, runs[one.info.run_name], "loss") == before


def test_what_a_user_adds_stays(folder, write, found):
    write()
    client, runs = found()
    directory = run_in(folder, store.INTERRUPTED)
    run = runs[directory.name]
    client.set_tag(run.info.run_id, "mlflow.note.content", "look here")
    client.log_metric(run.info.run_id, "own", 3.0)
    client.log_param(run.info.run_id, "own", "x")
    finish(directory)
    write()
    _, runs = found()
    run = runs[directory.name]
    assert run.data.tags["mlflow.note.content"] == "look here"
    assert run.data.metrics["own"] == 3.0 and run.data.params["own"] == "x"


def test_a_parent_that_was_deleted_is_made_again(write, found):
    write()
    client, runs = found()
    client.delete_run(runs["main"].info.run_id)
    write()
    _, runs = found()
    parent = runs.pop("main")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}


def test_two_studies_share_an_experiment(read, uri):
    study = read()
    for name in ("it's", 'a "b"'):
        runs = [replace(run, study=name) for run in study.runs]
        mlflow.export(replace(study, name=name, runs=tuple(runs)), uri, "ablation", passing)
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name("ablation").experiment_id
    assert len(client.search_runs([number])) == 16


def test_any_name_can_be_exported(read, uri, found):
    study = read()
    runs = [
        replace(study.runs[0], name=f"r{place}", arm=visible(name), dataset=visible(name))
        for place, name in enumerate(NAMES.values())
    ]
    odd = replace(study, runs=tuple(runs))
    mlflow.export(odd, uri, "ablation", passing)
    _, there = found()
    for run in runs:
        assert there[run.name].data.tags["ablation.arm"] == run.arm
    assert mlflow.export(odd, uri, "ablation", passing).changed == 0


def test_many_points_go_in_several_requests(read, uri, found):
    study = read()
    count = 400
    run = replace(
        study.runs[0],
        epochs=tuple(range(1, count + 1)),
        clock=(0.0,) * count,
        curves={name: tuple(i / 7 for i in range(count)) for name in store.HISTORY_COLUMNS[1:]},
        hyperparameters={f"k{i}": i for i in range(250)},
    )
    mlflow.export(replace(study, runs=(run,)), uri, "ablation", passing)
    client, there = found()
    for name in store.HISTORY_COLUMNS[1:]:
        values = [value for _, value in _points(client, there[run.name], name)]
        assert values == list(run.curves[name])
    assert len(there[run.name].data.params) == 250


def test_a_deleted_experiment_is_told(write, found, uri):
    write()
    client, _ = found()
    client.delete_experiment(client.get_experiment_by_name("ablation").experiment_id)
    with pytest.raises(UserError, match="cannot be used"):
        write()

"""What every tracker gets of a study."""

import math

import pytest

from ablation.analysis.reading import load
from ablation.export.exported import exported
from ablation.records import asked, store
from stored_exports import finish, history, run_in, write_history


def _by_state(study):
    return {run.state: run for run in study.runs}


def test_every_run_is_there_with_its_curves_as_they_were_written(folder, read):
    study = read()
    assert study.name == "main"
    assert [run.name for run in study.runs] == [one.name for one in store.run_directories(folder)]
    for run in study.runs:
        written = history(folder / run.name) if run.state != store.FAILED else []
        assert run.epochs == tuple(int(row["epoch"]) for row in written)
        for name in store.HISTORY_COLUMNS[1:]:
            expected = [row[name] for row in written]
            assert str(list(run.curves[name])) == str(expected)  # No number equals itself there.


def test_tags_say_what_a_run_is(read):
    study = read()
    failed = _by_state(study)[store.FAILED]
    assert failed.facts == {
        "study": "main",
        "arm": "arch=20 plain=false",
        "dataset": "digits",
        "seed": "4",
        "state": "failed",
        "reason": "no memory",
        "identity": failed.name[-8:],
        "run": failed.name,
    }
    assert "reason" not in _by_state(study)[store.COMPLETE].facts
    assert {run.arm for run in study.runs} == {"arch=20 plain=false", "arch=20 plain=true"}


def test_hyperparameters_are_the_keys_that_have_a_value(read):
    run = read().runs[0]
    assert run.hyperparameters["recipe.learning_rate"] == 0.01
    assert run.hyperparameters["seed"] == run.seed and type(run.seed) is int
    assert "recipe.clipnorm" not in run.hyperparameters


def test_a_number_is_called_the_same_whatever_runs_stand_beside_it(stored_run, tmp_path):
    stored_run("arch=20", "recipe.clipnorm=2")
    (alone,) = exported(load(tmp_path / "main")).runs
    stored_run("arch=20")
    stored_run("arch=vgg16")
    runs = {run.name: run for run in exported(load(tmp_path / "main")).runs}
    assert repr(runs[alone.name].hyperparameters) == repr(alone.hyperparameters)
    assert alone.hyperparameters["recipe.clipnorm"] == 2


def test_only_a_complete_run_has_a_result(read):
    for run in read().runs:
        complete = run.state == store.COMPLETE
        assert ("final/val_accuracy" in run.final) == complete
        assert ("cost/multiply_adds" in run.cost) == complete
    run = _by_state(read())[store.COMPLETE]
    assert run.cost["cost/trainable"] == 1000 and run.final["final/val_loss"] == 0.6


def test_an_arm_of_a_design_has_its_name(stored_design):
    named = {"parts.plain": [False, True], "parts.se": [True, False]}
    folder = stored_design("leave_one_out", named, lambda levels, seed: 0.5, "arch=20")
    arms = [run.arm for run in exported(load(folder)).runs]
    assert sorted(arms) == ["plain", "reference", "without se"]


def test_a_factor_of_any_kind_names_an_arm(stored_run, tmp_path):
    for rate in (0.1, 0.2):
        stored_run("arch=20", "dataset=cifar10", f"recipe.learning_rate={rate}")
    stored_run("arch=20", "recipe.learning_rate=0.1")
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    arms = {run.arm for run in exported(load(tmp_path / "main")).runs}
    assert arms == {
        "arch=20 dataset=cifar10 recipe.learning_rate=0.1",
        "arch=20 dataset=cifar10 recipe.learning_rate=0.2",
        "arch=20 dataset=digits recipe.learning_rate=0.1",
    }


def test_a_digest_changes_with_the_run_and_with_nothing_else(folder, read):
    before = {run.name: run.digest for run in read().runs}
    assert {run.name: run.digest for run in read().runs} == before
    directory = run_in(folder, store.INTERRUPTED)
    finish(directory)
    after = {run.name: run.digest for run in read().runs}
    assert [name for name in after if after[name] != before[name]] == [directory.name]


def test_the_clock_adds_up_what_the_epochs_took(read):
    run = _by_state(read())[store.DIVERGED]
    assert run.clock[0] == run.start + run.curves["seconds"][0]
    assert all(map(math.isfinite, run.clock))


@pytest.mark.parametrize("content", ["{", '{"start": 3, "end": "yesterday"}', "[]"])
def test_a_damaged_status_leaves_the_run_without_times(folder, read, content):
    directory = run_in(folder, store.COMPLETE)
    (directory / "status.json").write_text(content)
    (run,) = [run for run in read().runs if run.name == directory.name]
    assert run.start is None and run.end is None and len(run.clock) == 5


def test_a_row_without_an_epoch_is_left_out(folder, read):
    directory = run_in(folder, store.COMPLETE)
    written = history(directory)
    written[2]["epoch"] = "nan"
    write_history(directory, written)
    (run,) = [run for run in read().runs if run.name == directory.name]
    assert run.epochs == (1, 2, 4, 5) and len(run.curves["loss"]) == 4


@pytest.mark.parametrize(
    ("kind", "tracked"), [("value", "mae"), ("labels", "mean_average_precision")]
)
def test_a_study_is_exported_before_its_first_epoch_whatever_its_labels(
    stored_run, tmp_path, kind, tracked
):
    facts = {"target": {"kind": kind}, "classes": ["a", "b"]}
    directory = stored_run(state=store.FAILED, reason="no memory", provenance=facts)
    (directory / "history.csv").unlink()
    (run,) = exported(load(tmp_path / "main")).runs
    assert run.epochs == () and run.curves[f"val_{tracked}"] == ()

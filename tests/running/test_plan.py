from dataclasses import replace

import pytest

from ablation.config import UserError
from ablation.records import durable, store
from ablation.records.saves import Position
from ablation.records.store import Status
from ablation.running import plan
from support import run_of

COST = {
    "trainable": 1,
    "multiply_adds": 1,
    "steps_per_epoch": 10,
    "import_seconds": 4.0,
    "start_seconds": 10.0,
    "epoch_seconds": 60.0,
    "checkpoint_seconds": 2.0,
    "peak_memory_bytes": 2**30,
}


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr("ablation.running.children.WARM", True)
    names = []

    def measure(run):
        names.append(run.name)
        slow = run.config.precision == "mixed_bfloat16"
        return COST | ({"epoch_seconds": 100.0} if slow else {})

    monkeypatch.setattr(plan, "_measure", measure)
    return names


def _run(config, tmp_path, *overrides):
    return run_of(config(*overrides, f"runs_dir={tmp_path}"), "data")


def _interrupted(run, epochs, saved):
    """Writes what a run leaves that was killed after so many epochs."""
    (run.directory / "checkpoint").mkdir(parents=True)
    (run.directory / "checkpoint" / saved.file_name).touch()
    rows = [dict.fromkeys(store.HISTORY_COLUMNS, 1) | {"epoch": e + 1} for e in range(epochs)]
    durable.write_csv(run.directory / "history.csv", store.HISTORY_COLUMNS, rows)
    store.write_status(run.directory, Status().begun())


def test_a_run_takes_its_start_its_epochs_and_the_checkpoints_between(
    config, tmp_path, measured, capsys
):
    plan.show([_run(config, tmp_path)], "none", workers=1)
    # 10 + 5 x 60 + 4 x 2 seconds
    assert "0:05:18" in capsys.readouterr().out


def test_what_a_name_does_not_say_stands_beside_it(config, tmp_path, measured, capsys):
    run = _run(config, tmp_path)
    plan.show([run], "none", 1, called={run.name: "mixup=0.2"})
    assert f"{run.name} │ mixup=0.2 │" in capsys.readouterr().out


def test_where_each_process_is_made_from_nothing_it_loads_a_framework(
    config, tmp_path, measured, capsys, monkeypatch
):
    monkeypatch.setattr("ablation.running.children.WARM", False)
    plan.show([_run(config, tmp_path)], "none", workers=1)
    assert "0:05:22" in capsys.readouterr().out


def test_what_is_saved_is_not_counted_again(config, tmp_path, measured, capsys):
    run = _run(config, tmp_path)
    _interrupted(run, epochs=3, saved=Position(3))
    plan.show([run], "none", workers=1)
    shown = capsys.readouterr().out
    # 10 + 2 x 60 + 2 seconds
    assert "continued after epoch 3" in shown and "0:02:12" in shown
    plan.show([run], "all", workers=1)
    assert "0:05:18" in capsys.readouterr().out


def test_of_an_epoch_that_is_begun_the_rest_is_counted(config, tmp_path, measured, capsys):
    run = _run(config, tmp_path)
    _interrupted(run, epochs=3, saved=Position(3, 5, 10))
    plan.show([run], "none", workers=1)
    shown = capsys.readouterr().out
    # 10 + 1.5 x 60 + 0.5 x 2 seconds
    assert "continued in epoch 4, after step 5" in shown and "0:01:41" in shown
    assert " 15 " in shown


def test_long_epochs_are_saved_within(config, tmp_path, measured, capsys):
    plan.show([_run(config, tmp_path, "precision=mixed_bfloat16")], "none", workers=1)
    # 10 + 5 x 100 + (5 x 100 / 60 - 1) x 2 seconds
    assert "0:08:45" in capsys.readouterr().out


def test_a_checkpoint_beyond_the_history_is_not_counted(config, tmp_path, measured, capsys):
    run = _run(config, tmp_path)
    _interrupted(run, epochs=1, saved=Position(2))
    plan.show([run], "none", workers=1)
    assert "0:05:18" in capsys.readouterr().out


def test_workers_share_the_time(config, tmp_path, measured, capsys):
    runs = [_run(config, tmp_path, f"seed={seed}") for seed in range(4)]
    plan.show(runs, "none", workers=2)
    assert "4 of 4 runs to train, 2 at a time, about 0:10:36 in all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "times"),
    [("seed=1", 1), ("epochs=9", 1), ("recipe.learning_rate=1", 1), ("threads=1", 2)],
)
def test_a_network_is_timed_once(config, tmp_path, measured, key, times):
    plan.show([_run(config, tmp_path), _run(config, tmp_path, key)], "none", workers=1)
    assert len(measured) == times + 1  # And once in the other precision.


def test_precisions_that_a_few_steps_cannot_tell_apart_are_not_told_apart(
    config, tmp_path, monkeypatch, capsys
):
    def measure(run):
        slow = run.config.precision == "mixed_bfloat16"
        return COST | {"epoch_seconds": 10.5 if slow else 10.0}

    monkeypatch.setattr(plan, "_measure", measure)
    plan.show([_run(config, tmp_path)], "none", workers=1)
    assert "No precision is clearly the faster here: an epoch of" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["float32", "mixed_bfloat16"])
def test_the_faster_precision_is_named(config, tmp_path, measured, capsys, given):
    run = _run(config, tmp_path, f"precision={given}")
    plan.show([run], "none", workers=1)
    assert "precision=float32 is the faster here" in capsys.readouterr().out
    assert len(measured) == 2


@pytest.mark.parametrize(
    ("free", "workers", "said"),
    [
        (1.5, 1, ""),
        (0.5, 1, "Memory: a run may need 1.0 GiB, and 0.5 GiB are free; use a smaller"),
        (1.5, 2, "Memory: 2 runs at a time may need 2.0 GiB, and 1.5 GiB are free; train fewer"),
        (1.5, 1000, "Memory: 4 runs at a time may need 4.0 GiB"),
        (None, 2, ""),
    ],
)
def test_too_little_memory_is_said(
    config, tmp_path, measured, capsys, monkeypatch, free, workers, said
):
    given = None if free is None else int(free * 2**30)
    monkeypatch.setattr("ablation.machine.free_memory_bytes", lambda: given)
    plan.show([_run(config, tmp_path, f"seed={s}") for s in range(4)], "none", workers=workers)
    shown = capsys.readouterr().out
    assert said in shown and bool(said) == ("Memory:" in shown)


def test_two_data_sets_of_one_name_are_timed_apart(config, tmp_path, measured):
    run = _run(config, tmp_path)
    plan.show([run, replace(run, fingerprint="others")], "none", workers=1)
    assert len(measured) == 3  # And one in the other precision.


def test_one_run_that_fails_hides_no_other(config, tmp_path, monkeypatch, measured, capsys):
    whole = plan._measure

    def measure(run):
        if run.config.arch == "56":
            raise UserError("net.py, line 3: NameError")
        return whole(run)

    monkeypatch.setattr(plan, "_measure", measure)
    runs = [_run(config, tmp_path, f"arch={arch}") for arch in ("20", "56")]
    plan.show(runs, "none", 1)
    said = capsys.readouterr().out
    assert "1 of 2 runs to train" in said and "NameError" in said
    with pytest.raises(UserError, match=r"cannot be trained: net\.py, line 3"):
        plan.show(runs[1:], "none", 1)


def test_a_run_that_failed_before_is_left_and_not_tried(config, tmp_path, measured, capsys):
    run = _run(config, tmp_path)
    run.directory.mkdir(parents=True)
    store.write_status(run.directory, Status().begun().ended(store.FAILED, "broken"))
    plan.show([run, _run(config, tmp_path, "seed=1")], "none", 1)
    assert "left (failed)" in capsys.readouterr().out
    assert run.name not in measured


@pytest.mark.parametrize("cost", [UserError("net.py, line 7: TypeError"), {"refused": "no"}])
def test_a_network_for_one_precision_alone_is_planned(
    config, tmp_path, monkeypatch, measured, capsys, cost
):
    whole = plan._measure

    def measure(run):
        if run.config.precision == "float32":
            return whole(run)
        if isinstance(cost, UserError):
            raise cost
        return cost

    monkeypatch.setattr(plan, "_measure", measure)
    plan.show([_run(config, tmp_path)], "none", workers=1)
    said = capsys.readouterr().out
    assert "1 of 1 run to train" in said
    why = "no" if isinstance(cost, dict) else "net.py, line 7: TypeError"
    assert "precision=mixed_bfloat16 does not do for 34-residual" in said and why in said

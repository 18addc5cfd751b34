"""`tune.KEY=...`, from the command line to the report."""

import json
import re
import shutil
import signal
import time
from dataclasses import replace

import pandas as pd
import pytest
from hydra import initialize_config_dir

from ablation.analysis.reading import load
from ablation.analysis.tables import comparison_effects
from ablation.config import CONF_DIR
from ablation.records import asked, store, tuning
from ablation.running.tuning import _short
from support import start_sweep

NET = """
import keras

def build(input_shape, classes, *, loud: bool = False, bad: bool = False):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    # The louder its input, the smaller the rate that a net wants; the bad one has none.
    x = keras.layers.Rescaling(1e30 if bad else 30.0 if loud else 1.0)(x)
    x = keras.layers.Dense(32, activation="relu", name="hidden")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""
KEYS = ("arch=net.py:build", "dataset.image_size=8", "epochs=2")
ARMS = ("-m", *KEYS, "parts.loud=false,true")
TUNED = (*ARMS, "tune.recipe.learning_rate=0.3,0.03,0.003", "seed=0,1,2")


def _names(study):
    return [path.name for path in study.glob("*/") if re.search(r"-[st]\d+-", path.name)]


def _weights(study):
    """The digest of the weights of every run of a study, tuning runs too."""
    found = [*store.run_directories(study), *store.tuning_directories(study)]
    return {
        path.name: json.loads((path / "result.json").read_text())["weights_sha256"]
        for path in found
    }


def _chosen(study):
    return {one.named: one.values.get("recipe.learning_rate") for one in tuning.tuned(study)}


def _report(study):
    return json.loads((study / "report.json").read_text())


@pytest.fixture(scope="module")
def trained(cli, tmp_path_factory):
    """A study of two arms that were tuned: (its folder, what was printed)."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "net.py").write_text(NET)
    done = cli(*TUNED, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.fixture
def copied(trained, tmp_path):
    """That study, to be changed."""
    shutil.copytree(trained[0] / "runs", tmp_path / "runs")
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def test_every_arm_tries_the_same_and_is_trained_with_its_own_best(trained):
    folder, done = trained
    study = folder / "runs" / "main"
    quiet, loud = _chosen(study).values()
    assert quiet == 0.3 and loud < 0.1
    assert len(store.tuning_directories(study)) == 6 and len(store.run_directories(study)) == 6
    assert "6 tuning runs, 6 to train" in done.stderr
    assert "tuned: parts.loud=false: recipe.learning_rate=0.3" in done.stderr
    for path in store.run_directories(study):
        config = store.Stored(path).config()
        assert config["recipe"]["learning_rate"] == (loud if config["parts"]["loud"] else quiet)
        assert config["seed"] in (0, 1, 2) and config["tuning"] == 0


def test_a_tuning_run_sees_no_validation_image_and_none_of_the_seeds(trained):
    study = trained[0] / "runs" / "main"
    own = store.run_directories(study)[0]
    facts = json.loads((own / "result.json").read_text())
    for path in store.tuning_directories(study):
        result = json.loads((path / "result.json").read_text())
        assert result["train_images"] + result["val_images"] == facts["train_images"]
        assert result["val_fingerprint"] != facts["val_fingerprint"]
        assert store.Stored(path).config()["seed"] == store.TUNING_SEEDS


def test_reports_show_what_was_tried_and_certify_it(trained):
    folder, done = trained
    study = folder / "runs" / "main"
    markdown, page = ((study / f"report.{form}").read_text() for form in ("md", "html"))
    for text in (done.stdout, markdown, page):
        assert "Equal tuning: PASS" in text and "is at the edge of what was tried" in text
        assert not re.search(r"digits-t\d+-", text)
    assert "![tuning-digits](report/tuning-digits.png)" in markdown
    assert 'id="tuning-table-0"' in page and "Scores of the tuning runs" in page
    (comparison,) = _report(study)["comparisons"]
    assert comparison["certificate"]["equal_tuning"] and comparison["certificate"]["equal_budget"]
    assert comparison["tuning"]["grid"] == {"recipe.learning_rate": ["0.3", "0.03", "0.003"]}
    (row,) = comparison["table"]
    assert row["false n"] == row["true n"] == 3
    assert [row["false recipe.learning_rate"], row["true recipe.learning_rate"]] == list(
        _chosen(study).values()
    )
    table = pd.read_csv(study / "report" / "tuning-digits.csv")
    assert len(table) == 6 and table["chosen"].sum() == 2
    for _, arm in table.groupby("column"):
        assert arm.loc[arm["chosen"], "mean"].item() == arm["mean"].max()
    for name, mean in zip(table["runs"], table["mean"], strict=True):
        assert json.loads((study / name / "result.json").read_text())["val_accuracy"] == mean
    runs = pd.read_csv(study / "report" / "runs.csv")
    assert len(runs) == 6 and set(runs["setting.recipe.learning_rate"]) == {"tuned"}
    checklist = (study / "report" / "checklist.md").read_text()
    assert "6 tuning runs (6 complete)" in checklist and "Equal tuning: PASS" in checklist


def test_the_same_command_trains_and_chooses_nothing_anew(copied, cli):
    before = _weights(copied / "runs" / "main")
    done = cli(*TUNED, cwd=copied)
    assert done.returncode == 0 and "decided anew" not in done.stderr
    assert "epoch 1/2" not in done.stderr and "6 runs, 0 to train" in done.stderr
    assert _weights(copied / "runs" / "main") == before


def test_a_reported_run_is_the_one_that_a_user_types_by_hand(trained, cli, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    study = trained[0] / "runs" / "main"
    rate = _chosen(study)["parts.loud=true"]
    done = cli(*KEYS, "parts.loud=true", f"recipe.learning_rate={rate}", "seed=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert _weights(tmp_path / "runs" / "main").items() <= _weights(study).items()


def test_a_run_by_hand_with_the_chosen_value_is_one_of_the_tuned_arm(copied, cli):
    study = copied / "runs" / "main"
    done = cli(*KEYS, "recipe.learning_rate=0.3", "seed=3", cwd=copied)
    assert done.returncode == 0, done.stderr
    (comparison,) = _report(study)["comparisons"]
    assert comparison["table"][0]["false n"] == 4 and comparison["certificate"]["equal_tuning"]


def test_what_was_not_tuned_stands_apart_and_that_is_said(copied, cli):
    done = cli(*ARMS, "recipe.learning_rate=0.03", cwd=copied)
    assert done.returncode == 0, done.stderr
    tuned, other = sorted(_report(copied / "runs" / "main")["comparisons"], key=str, reverse=True)
    if "tuning" not in tuned:
        tuned, other = other, tuned
    assert tuned["protocol"] == {"recipe.learning_rate": "tuned"}
    assert other["protocol"] == {"recipe.learning_rate": 0.03} and "tuning" not in other
    assert tuned["table"][0]["true n"] == 3 and other["table"][0]["true n"] == 1
    assert "Tuned and not tuned:" in (copied / "runs" / "main" / "report.md").read_text()


def test_an_arm_that_joins_later_has_its_trials_and_the_others_keep_theirs(copied, cli):
    study = copied / "runs" / "main"
    before = _weights(study)
    wider = ("parts.bad=false,true", "report.contrast=loud")
    done = cli(*TUNED, *wider, cwd=copied)
    # The bad ones diverge at every rate: their cells have failed, with the reason.
    assert done.returncode == 1
    assert "12 tuning runs, 6 to train" in done.stderr and "12 runs, 0 to train" in done.stderr
    reason = "no value could be chosen, because every tuning run (3) failed: diverged:"
    assert reason in done.stdout and "3 failed" in done.stdout
    assert (
        before.items()
        <= {
            name: json.loads((study / name / "result.json").read_text())["weights_sha256"]
            for name in before
        }.items()
    )
    assert "Equal tuning: PASS" in done.stdout and "so no value was chosen" in done.stdout
    again = cli(*TUNED, *wider, "rerun=failed", cwd=copied)
    assert again.returncode == 1 and "12 runs, 0 to train" in again.stderr
    assert again.stderr.count("diverged: training loss") >= 6


def test_another_grid_decides_anew_and_says_so(copied, cli):
    study = copied / "runs" / "main"
    before = _chosen(study)
    done = cli(
        *ARMS,
        "tune.recipe.learning_rate=0.3,0.03,0.003,1",
        "tune.epochs=2",
        "seed=0,1,2",
        cwd=copied,
    )
    assert done.returncode == 0, done.stderr
    assert "8 tuning runs, 2 to train" in done.stderr
    assert _chosen(study)["parts.loud=true"] == before["parts.loud=true"]
    done = cli(*ARMS, "tune.recipe.learning_rate=0.03,0.001", "seed=0,1,2", cwd=copied)
    assert done.returncode == 0, done.stderr
    assert "decided anew, it was recipe.learning_rate=0.3" in done.stderr
    assert _chosen(study)["parts.loud=false"] == 0.03
    (comparison,) = _report(study)["comparisons"]
    assert comparison["table"][0]["false n"] == 3
    assert "of an earlier choice stand in no table" in (study / "report.md").read_text()
    # And back again, where everything is there already.
    done = cli(*TUNED, cwd=copied)
    assert done.returncode == 0 and "epoch 1/2" not in done.stderr
    assert _chosen(study) == before


def test_unequal_tuning_fails_its_certificate(copied, cli):
    study = copied / "runs" / "main"
    done = cli(*KEYS, "-m", "parts.loud=true", "tune.recipe.learning_rate=0.1,0.003", cwd=copied)
    assert done.returncode == 0, done.stderr
    assert "Equal tuning: FAIL" in done.stdout and "values tried:" in done.stdout
    done = cli(*TUNED, cwd=copied)
    assert "Equal tuning: PASS" in done.stdout
    shutil.rmtree(store.tuning_directories(study)[0])
    done = cli("runs/main", module="ablation.report", cwd=copied)
    assert "Equal tuning: FAIL" in done.stdout and "1 of 3 tuning runs are missing" in done.stdout
    assert not _report(study)["comparisons"][0]["certificate"]["equal_tuning"]


def test_a_plan_counts_tuning_runs_and_runs_and_trains_nothing(copied, cli):
    before = _names(copied / "runs" / "main")
    done = cli(*TUNED, "tune.seeds=2", "plan=true", cwd=copied)
    assert done.returncode == 0, done.stderr
    # The second tuning seed of three values and two arms, and whatever they then choose.
    assert "12 of 18 runs to train" in done.stdout
    assert len(re.findall(r"-t\d-\w+ *│ learning_rate=0\.03 *│", done.stdout)) == 4
    assert "Nothing is chosen yet for 2 arms" in done.stderr
    assert _names(copied / "runs" / "main") == before
    done = cli(*TUNED, "plan=true", cwd=copied)
    assert "0 of 12 runs to train" in done.stdout


def test_a_command_that_is_killed_goes_on_to_the_same_end(trained, cli, cache_dir, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    study = tmp_path / "runs" / "main"
    for runs_there in (2, 8):  # Once while it tunes, once while it trains.
        sweep = start_sweep(*TUNED, cwd=tmp_path, cache_dir=cache_dir)
        end = time.monotonic() + 120
        while len(_names(study)) < runs_there:
            assert sweep.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    done = cli(*TUNED, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    whole = trained[0] / "runs" / "main"
    assert _weights(study) == _weights(whole)
    assert tuning.tuned(study) == tuning.tuned(whole)


def test_a_design_with_seeds_until_decided_is_tuned_once(cli, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    done = cli(
        *ARMS,
        "design=leave_one_out",
        "tune.recipe.learning_rate=0.3,0.003",
        "tune.epochs=1",
        "tune.share=0.2",
        "seed=until(6)",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    study = tmp_path / "runs" / "main"
    assert len(store.tuning_directories(study)) == 4 and len(store.run_directories(study)) == 12
    assert "after 6 seeds:" in done.stderr
    (comparison,) = _report(study)["comparisons"]
    assert comparison["certificate"]["looked"]["order"] == list(range(6))
    assert [row["tuned recipe.learning_rate"] for row in comparison["table"]] == [0.3, 0.003]
    assert comparison["tuning"]["epochs"] == 1 and comparison["tuning"]["share"] == 0.2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tune.recipe.learning_rte=1,2"], "Did you mean recipe.learning_rate?"),
        (["tune.learning_rate=1,2"], "Did you mean tune.recipe.learning_rate?"),
        (["tune.shre=0.2"], "Did you mean tune.share?"),
        (["tune.recipe.learning_rate=0.1"], "names one value"),
        (["tune.recipe.learning_rate=0.1,1e-1"], "names one value"),
        (["tune.recipe.learning_rate=[0.1,0.2]"], "brackets: tune.recipe.learning_rate=0.1,0.2."),
        (["tune.recipe.milestones=[0.1,0.2]"], "set it by recipe.milestones=[0.1,0.2]."),
        (["tune.recipe.learning_rate"], "tune.recipe.learning_rate=VALUE,VALUE"),
        (["tune.recipe.learning_rate=0.1,", "0.2"], "tune.recipe.learning_rate=0.1,0.2"),
        (["tune.recipe.learning_rate=0.1,fast"], "recipe.learning_rate=fast"),
        (["tune.recipe.learning_rate=0.1,-1"], "must be a positive number"),
        (["tune.recipe.learning_rate=1,2", "recipe.learning_rate=1"], "the command sets"),
        (["tune.recipe.learning_rate=1,2", "recipe.learning_rate=1,2"], "is a factor"),
        (["tune.parts.loud=true,false"], "parts.loud is a factor of this command"),
        (["tune.recipe.learning_rate=1,2", "tune.share=1"], "more than 0 and below 1"),
        (["tune.recipe.learning_rate=1,2", "tune.share=0.001"], "none to judge by"),
        (["tune.recipe.learning_rate=1,2", "tune.share=0.99"], "that tune.share leaves"),
        (["tune.recipe.learning_rate=1,2", "tune.share=0.1,0.2"], "cannot be swept"),
        (["tune.recipe.learning_rate=1,2", "tune.seeds=0"], "must be from 1 to 1,000"),
        (["tune.recipe.learning_rate=1,2", "tune.seeds=100000000000"], "must be from 1 to 1,000"),
        (["tune.recipe.learning_rate=range(0.1,50,0.1)", "tune.seeds=1000"], "000 tuning runs"),
        (["tune.recipe.learning_rate=range(2,1)"], "names no value; a range ends before"),
        (["tune.recipe.learning_rate=1,2", "tune.epochs=0"], "must be 1 or more"),
        (["tune.recipe.learning_rate=1,2", "seed=1000000000"], "are those of tuning runs"),
        (["tune.share=0.2"], "such as tune.recipe.learning_rate="),
        (["tune.recipe.options.beta_1=0.5,0.6"], "changes nothing"),
        (["tune.recipe.milestones=[0.5],[0.6]"], "changes nothing"),
        (["tune.seed=1,2"], "seed cannot be tuned"),
        (["tune.dataset.path=a,b"], "dataset.path cannot be tuned"),
        (["tuning=0.1"], "is not set by hand"),
    ],
)
def test_what_cannot_be_tuned_is_answered_in_one_line(cli, tmp_path, words, said):
    (tmp_path / "net.py").write_text(NET)
    done = cli(*ARMS, *words, cwd=tmp_path)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert said in last and last.startswith("ablation: ") and "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "main" / "study.json").exists()


@pytest.mark.parametrize(
    ("tuned", "said"),
    [
        ("recipe.learning_rte=1,2", "Did you mean recipe.learning_rate?"),
        ("recipe.learning_rate=1,-2", "recipe.learning_rate=-2.0 must be a positive number"),
        ("parts.plain=true,maybe", "maybe"),
    ],
)
def test_what_is_wrong_is_told_before_a_data_set_is_looked_for(cli, tmp_path, tuned, said):
    words = "arch=8,20", "dataset=cifar10", f"dataset.data_dir={tmp_path}"
    done = cli("-m", *words, f"tune.{tuned}", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr
    assert "downloaded" not in done.stderr


def test_tuning_asks_for_several_runs(cli, tmp_path):
    done = cli("arch=20", "tune.recipe.learning_rate=1,2", cwd=tmp_path)
    assert done.returncode == 2 and "put -m before the keys" in done.stderr


def test_a_damaged_record_is_named(copied, cli):
    path = copied / "runs" / "main" / "study.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"tuning": [{"arm": 1}]}))
    done = cli("runs/main", module="ablation.report", cwd=copied)
    assert done.returncode == 2 and "tuning does not say what was tried" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_trial_is_called_by_its_values_as_they_are_typed():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        assert _short("parts.loud=True") == "loud=true"  # As Hydra writes it.
        assert _short("recipe.learning_rate=0.30") == "learning_rate=0.30"
        assert _short("dataset.augment='none'") == "augment=none"


def test_two_data_sets_of_one_name_are_two_arms(cli, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    for name, sign in (("a", 1), ("b", -1)):
        rows = [f"{sign * (i % 3)},{i % 7},{'xyz'[i % 3]}" for i in range(90)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["one,two,label", *rows]))
    keys = "arch=net.py:build", "dataset=table", "dataset.path=a.csv,b.csv", "epochs=1"
    done = cli("-m", *keys, "tune.recipe.learning_rate=0.1,0.01", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "runs" / "main"
    assert len(tuning.tuned(study)) == 2
    report = (study / "report.md").read_text()
    assert "2 runs: 2 complete" in report and "(2 arms:" in report
    assert "Chosen anew" not in report


def test_a_run_of_two_choices_is_shown_for_the_last(stored_run, tmp_path):
    names = {}
    asked.add(tmp_path / "main", ["parts.plain"])
    for plain in ("true", "false"):
        for seed in (0, 1):
            run = stored_run(f"plain={plain}", f"seed={seed}", "recipe.learning_rate=0.1")
            names.setdefault(plain, []).append(run.name)
    for keys in (("learning_rate",), ("learning_rate", "momentum")):
        grid = {f"recipe.{key}": (0.1 if key == "learning_rate" else 0.9,) for key in keys}
        tuning.put(
            tmp_path / "main",
            [
                tuning.Tuned(f"{plain}{keys}", {"plain": plain}, grid, 0.1, (9,), 1, ((),), 0, of)
                for plain, of in names.items()
            ],
        )
    (comparison,) = load(tmp_path / "main").comparisons()
    assert set(comparison.runs["tuned_arm"]) == {
        f"{plain}{('learning_rate', 'momentum')}" for plain in names
    }


def test_a_part_that_was_tuned_makes_no_rows(stored_run, tmp_path):
    study = tmp_path / "main"
    asked.add(study, ["parts.plain"])
    records = []
    for place, (plain, se) in enumerate((("true", "false"), ("false", "true"))):
        arm = f"plain={plain}"
        runs = [stored_run(arm, f"parts.se={se}", f"seed={seed}") for seed in range(3)]
        names = tuple(run.name for run in runs)
        grid = {"parts.se": (False, True)}
        records.append(tuning.Tuned(arm, {}, grid, 0.1, (9,), 1, ((), ()), place, names))
    tuning.put(study, records)
    loaded = load(study)
    (comparison,) = loaded.comparisons()
    assert comparison.rows == ("arch",)
    assert [one.n for one in comparison_effects(comparison)] == [3]
    assert {*comparison.runs["tuned.parts.se"]} == {False, True}
    # One that was set by hand stands in a table of its own.
    for plain in ("true", "false"):
        stored_run(f"plain={plain}", "parts.se=false", "seed=7")
    assert len(load(study).comparisons()) == 2


def test_a_run_that_was_typed_alone_stays_whatever_is_chosen_later(stored_run, tmp_path):
    typed = stored_run("plain=true", "recipe.learning_rate=0.1")
    chosen = stored_run("plain=true", "recipe.learning_rate=0.4")
    study = tmp_path / "main"
    grid = {"recipe.learning_rate": (0.1, 0.4)}
    record = tuning.Tuned("arm", {}, grid, 0.1, (9,), 1, ((), ()), 0, (typed.name,))
    asked.add(study, [])
    tuning.put(study, [record])
    tuning.put(study, [replace(record, chosen=1, runs=(chosen.name,))])
    assert list(load(study).runs["run"]) == [chosen.name]
    asked.add(study, [], alone=[typed.name])
    assert sorted(load(study).runs["run"]) == sorted([typed.name, chosen.name])


def test_two_arms_may_share_a_trial(tmp_path):
    grid = {"recipe.optimizer": ("sgd", "adam")}
    trials = {"0": (("sgd of 0",), ("adam of both",)), "0.9": (("sgd of 0.9",), ("adam of both",))}
    asked.add(tmp_path, [])
    for chosen in ({"0": 1, "0.9": 0}, {"0": 0, "0.9": 1}):
        made = [
            tuning.Tuned(
                of, {}, grid, 0.1, (9,), 1, trials[of], chosen[of], (f"{of} {chosen[of]}",)
            )
            for of in trials
        ]
        assert not any(tuning.earlier(made[:1], one) for one in made[1:])
        tuning.put(tmp_path, made)
        assert {one.arm: one.chosen for one in tuning.tuned(tmp_path)} == chosen
    assert [one.superseded for one in tuning.tuned(tmp_path)] == [("0 1",), ("0.9 0",)]


def test_where_no_value_can_be_chosen_nothing_is_trained_until_one_is_typed(cli, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    arms = ("-m", *KEYS, "parts.bad=true", "parts.loud=false,true", "seed=0")
    tuned = (*arms, "tune.recipe.learning_rate=0.3,0.03", "control=sham")
    done = cli(*tuned, cwd=tmp_path)
    assert done.returncode == 1 and "no value could be chosen" in done.stderr
    assert "0 to train" in done.stderr and "draw1" not in done.stderr
    assert not [name for name in _names(tmp_path / "runs" / "main") if "draw" in name]
    done = cli(*tuned, "plan=true", cwd=tmp_path)
    assert "0 of 4 runs to train" in done.stdout and "no value could be chosen" in done.stderr
    # Nobody has tuned here, and the runs have never begun.
    done = cli(*arms, "recipe.learning_rate=0.3", "plan=true", cwd=tmp_path)
    assert "2 of 2 runs to train" in done.stdout
    done = cli(*arms, "recipe.learning_rate=0.3", cwd=tmp_path)
    assert "2 runs, 2 to train" in done.stderr and "diverged: net.build" in done.stderr

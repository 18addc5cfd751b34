"""What a user meets on the command line."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from ablation.config import CONF_DIR, Config, flatten
from ablation.data.__main__ import main as prepare_data
from ablation.networks.registry import ARCHS
from ablation.records import store
from support import TINY, tiny


def _directories(study):
    return store.run_directories(study)


def _files(study):
    return {path.name: path.read_bytes() for path in (study / "report").iterdir()}


def _choices(group):
    return [path.stem for path in (CONF_DIR / group).glob("*.yaml")]


def test_help_shows_keys_choices_and_commands(cli, tmp_path):
    shown = cli("--help", cwd=tmp_path, cold=True).stdout
    groups = [path for folder in ("dataset", "recipe", "experiment") for path in _choices(folder)]
    keys = [key.rpartition(".")[2] for key in flatten(asdict(Config()))]
    # What control=sham sets is no key to type.
    for word in {*groups, *keys, *ARCHS} - {"name", "source", "draw"}:
        assert re.search(rf"(?<![\w.]){word}(?!\w)", shown), word
    assert shown.count("  python -m ablation -m ") + shown.count("  python -m ablation arch") >= 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["arch=35"], ["arch=35", "34", "1202"]),
        (["-m", "arch=34,35"], ["arch=35", "34", "1202"]),
        (["arch=vgg16", "plain=true"], ["plain is no part of arch=vgg16", "Parts: none"]),
        (["parts.nrom=group"], ["parts.nrom", "Did you mean parts.norm?"]),
        (["norm=group"], ["unknown key norm", "parts.norm=VALUE"]),
        (["arch=nets.py:build"], ["no file", "nets.py"]),
        (["arch=nets.py"], ["names no function"]),
        (["-m", "keep_checkpoints=1,2"], ["keep_checkpoints", "cannot be swept"]),
        (["archh=34"], ["archh", "Did you mean arch?"]),
        (["plian=true"], ["plian", "Did you mean plain?"]),
        (["dataset.pth=~/x"], ["dataset.pth", "Did you mean dataset.path?"]),
        (["arch=34,50"], ["arch=34,50", "python -m ablation -m"]),
        (["arch==34"], ["Type arch=34."]),
        (["arch", "=", "34"], ["arch = 34", "arch=34."]),
        (["--arch=34"], ["--arch=34", "without dashes, arch=34."]),
        (["epochs=5\r"], ["epochs=5<U+000D>", "CARRIAGE RETURN", "type epochs=5."]),
        (["epochs=5)"], ["epochs takes a whole number"]),
        (["recipe.milestones=[0.5"], ["recipe.milestones takes numbers", "[0.5,0.75]"]),
        (["recipe.clipnorm=~"], ["recipe.clipnorm takes a number", "or null"]),
        (["plain=true)"], ["plain takes false, true"]),
        (["hydra.sweep.dir=~/x"], ["'hydra.sweep.dir=\"~/x\"'"]),
        (["dataset=folder", "dataset.path=~/a (b)={c},#"], ["a (b)={c},#", "is not there: name"]),
        (["study=a b"], ["study=a b", "' ' is none of them"]),
        (["recipe.lr=1"], ["recipe.lr", "recipe.learning_rate"]),
        (["dataset=cifar"], ["dataset=cifar is not", "cifar10", "digits"]),
        (["plain=maybe"], ["plain=maybe", "false, true"]),
        (["epochs=0"], ["epochs=0", "1 or more"]),
        (["recipe.learning_rate=-1"], ["recipe.learning_rate=-1", "positive"]),
        (["dataset.image_size=16"], ["image_size=16", "too small", "arch=34"]),
        (["dataset=folder"], ["dataset.path"]),
        (["dataset=folder", "dataset.path=nowhere"], ["nowhere is not there: name a folder"]),
        (["dataset=tfds"], ["dataset.name"]),
        (["dataset=arrays"], ["dataset=arrays needs dataset.path"]),
        (["dataset=arrays", "dataset.path=no.npz"], ["no.npz is not there"]),
        (["dataset=table"], ["dataset=table needs dataset.path"]),
        (["dataset=table", "dataset.path=no.csv"], ["no.csv is not there"]),
        (["dataset=function"], ["dataset.name", "my_data.py:load"]),
        (["dataset=function", "dataset.name=no.py:load"], ["There is no file", "no.py"]),
        (["dataset=huggingface"], ["needs dataset.path"]),
        (
            ["dataset.path=my_images"],
            ["dataset.path=my_images is for", "dataset=folder", "=digits"],
        ),
        (["dataset.data_dir=my_sets"], ["dataset.data_dir=my_sets is for dataset=tfds;"]),
        (["dataset=folder", "dataset.group=who"], ["dataset.group=who is for dataset=arrays"]),
        (["-m", "dataset.image_size=32,[96,x]"], ["image_size=[96, 'x'] is no size"]),
        (["recipe.milestones=[0.5"], ["recipe.milestones=[0.5"]),
        (["-m", "dataset.train_split=train[:9,9:]"], ["'dataset.train_split=\"train[:9,9:]\"'"]),
        (["-m", "plain=true,false", "report.reference=huge"], ["huge", "plain, residual"]),
        (["report.contrast=epoch"], ["report.contrast=epoch", "arch, plain"]),
        (["-m", "arch=34,50", "--cfg", "job"], ["--cfg", "leave out -m"]),
        (["+epoch=7"], ["unknown key epoch", "type epochs=VALUE"]),
        (["~preact"], ["preact cannot be taken away"]),
        (["-m", "experiment=cifar10_10k,cifar10_course"], ["experiment cannot be swept"]),
        (["recipe=[sgd,adam]"], ["recipe=[sgd,adam] is no choice", "-m"]),
        (["recipe=null"], ["recipe=null is no choice"]),
        (["-m", "seed=range(2,2)"], ["seed=range(2,2) names no value"]),
        (["design.name=nope"], ["design.name=nope is not known"]),
        (["design.reference.plain=false"], ["design.reference is of the arms", "put -m before"]),
        (["design.rejected=plain"], ["design.rejected is of the arms", "leave it out"]),
        (
            ["-m", "plain=true,false", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
            ["n_jobs=0 must be 1 or more"],
        ),
        (["-m", "plain=true,false", "hydra.sweeper.max_batch_size=0"], ["or null for all"]),
        (["-m", "plain=true,false", "hydra.sweeper.max_batch_size=x"], ["max_batch_size=x"]),
        (["-m", "plain=true,false", "hydra.sweeper.until=x"], ["hydra.sweeper.until=x"]),
        (["-m", "plain=true,false", "hydra.launcher=null"], ["hydra/launcher=joblib"]),
        (["-m", "plain=true,false", "hydra.launcher=3"], ["hydra/launcher=joblib"]),
        (["-m", "recipe.learning_rate=interval(0,1)"], ["interval() names no values"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(cli, tmp_path, arguments, words):
    done = cli(*arguments, cwd=tmp_path, cold="arch=35" in words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_design_whose_arms_are_one_run_asks_nothing(cli, tmp_path):
    done = cli("-m", *TINY, "recipe.name=a,b", "design=leave_one_out", cwd=tmp_path)
    assert done.returncode == 2
    # What was said before is of the data, which a run is identified by.
    assert "asks nothing: recipe.name changes no result here" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_backend_that_is_not_installed_is_one_line_and_leaves_nothing(cli, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import sys; sys.modules['jax'] = None")
    work = tmp_path / "work"
    work.mkdir()
    done = cli("-m", "arch=20", "backend=tensorflow,jax", cwd=work, PYTHONPATH=str(site))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "backend=jax is not installed: pip install jax" in done.stderr
    assert not list(work.iterdir())


def test_a_batch_larger_than_the_data_is_refused_and_leaves_nothing(cli, tmp_path):
    done = cli("arch=20", "recipe.batch_size=2000", cwd=tmp_path)
    assert done.returncode == 2
    assert "1437 training images; use recipe.batch_size=1437 or less" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_metric_of_other_labels_is_refused_before_anything_is_trained(cli, tmp_path):
    done = cli("arch=20", "report.metric=mae", cwd=tmp_path)
    assert done.returncode == 2
    assert "report.metric=mae is not for what these runs predict. Allowed: acc" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_study_prints_its_table_and_where_the_report_is(tiny_study):
    _, done = tiny_study
    assert "| arch | plain" in done.stdout
    assert "Equal budget: PASS" in done.stdout
    assert "runs/main/report.md" in done.stdout
    assert done.stderr.count("epoch 2/2") == 2


def test_a_run_directory_holds_what_the_design_promises(tiny_study):
    study, _ = tiny_study
    for directory in _directories(study):
        files = {path.name for path in directory.iterdir()}
        assert files == {
            ".lock",
            "config.yaml",
            "history.csv",
            "log.txt",
            "provenance.json",
            "predictions.npz",
            "result.json",
            "status.json",
        }
        result = json.loads((directory / "result.json").read_text())
        assert (result["epochs"], result["steps"], result["examples_seen"]) == (2, 10, 2560)
        assert sum(result["train_per_class"]) == 1437 and sum(result["val_per_class"]) == 360
        assert result["trainable"] == 75_002  # 288 less than with three input channels
        provenance = json.loads((directory / "provenance.json").read_text())
        assert provenance["command"].startswith("python -m ablation -m arch=8")
        assert provenance["packages"]["tensorflow"]


def test_predictions_agree_with_the_accuracy_of_the_result(tiny_study):
    study, _ = tiny_study
    for directory in _directories(study):
        with np.load(directory / "predictions.npz") as stored:
            right = stored["label"] == stored["predicted"]
            assert len(right) == 360
            assert (stored["confidence"] > 0.1).all()
        result = json.loads((directory / "result.json").read_text())
        assert right.mean() == pytest.approx(result["val_accuracy"])


def test_the_report_has_every_table_and_figure(tiny_study):
    study, _ = tiny_study
    report = (study / "report.md").read_text()
    for part in (
        "Equal budget: PASS",
        "multiply-adds",
        "optimizer steps",
        "## Runs",
        "no claim is made",
        "Below each stands what it is taken for.",  # No "most seeds" of one.
    ):
        assert part in report
    for name in ("predictions-digits", "changed-digits", "examples-digits"):
        assert f"(report/{name}.png)" in report
        assert (study / "report" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    for name in (
        "final-digits",
        "effects-digits",
        "loss-digits",
        "accuracy-digits",
        "confusion-digits",
    ):
        assert f"(report/{name}.png)" in report
        assert (study / "report" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert "<svg" in (study / "report" / f"{name}.svg").read_text()
    table = pd.read_csv(study / "report" / "ablation-digits.csv")
    assert table["residual - plain"][0] == pytest.approx(table["residual"][0] - table["plain"][0])
    assert set(pd.read_csv(study / "report" / "cost-digits.csv")["column"]) == {"plain", "residual"}
    assert len(pd.read_csv(study / "report" / "runs.csv")) == 2
    assert len(pd.read_csv(study / "report" / "history.csv")) == 4


def test_the_same_command_again_trains_nothing(cli, tiny_study):
    study, _ = tiny_study

    def written():
        paths = [*study.glob("*-s0-*/history.csv")]
        return {path: path.stat().st_mtime_ns for path in paths}

    before = written()
    done = cli("-m", *TINY, "plain=false,true", cwd=study.parents[1], cold=True)
    assert done.returncode == 0
    assert done.stderr.count("complete already, not trained again") == 2
    assert "| arch | plain" in done.stdout
    assert written() == before


def test_diagnostics_change_no_weight_and_are_no_reason_to_train_again(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    done = cli(*TINY, "plain=true", "diagnostics=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (measured,) = _directories(tmp_path / "runs" / "main")
    (plain,) = study.glob("8-plain-*")
    assert measured.name == plain.name
    results = [json.loads((path / "result.json").read_text()) for path in (measured, plain)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    rows = pd.read_csv(measured / "diagnostics.csv")
    assert rows["epoch"].value_counts().to_dict() == {0: 7, 1: 7, 2: 7}
    assert "responses-digits.png" in (tmp_path / "runs" / "main" / "report.md").read_text()

    (measured / "diagnostics.csv").unlink()
    again = cli(*TINY, "plain=true", "diagnostics=true", cwd=tmp_path)
    assert "not trained again, so without diagnostics; rerun=all" in again.stderr


def test_a_single_run_joins_the_study_and_is_trained_once(cli, tiny_study):
    study, _ = tiny_study
    done = cli(*TINY, "plain=true", cwd=study.parents[1], cold=True)
    assert done.returncode == 0
    assert "complete already" in done.stderr
    assert "| arch | plain" in done.stdout
    assert len(_directories(study)) == 2
    assert [path.name for path in study.parents[1].iterdir()] == ["runs"]


def test_the_report_is_rebuilt_without_tensorflow(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    shutil.rmtree(copy / "report")
    (copy / "report.md").unlink()
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not wanted here')")
    done = cli(str(copy), cwd=tmp_path, module="ablation.report", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert _files(copy) == _files(study)


def test_a_folder_without_runs_is_no_study(cli, tmp_path):
    done = cli(str(tmp_path / "none"), cwd=tmp_path, module="ablation.report")
    assert done.returncode == 2
    assert "is no folder; name a study's, such as runs/main" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_same_seed_gives_the_same_weights_twice_and_in_every_history(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    done = cli(*TINY, "plain=false", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (first,) = study.glob("8-residual-*")
    (second,) = (tmp_path / "runs" / "main").glob("8-residual-*")
    assert first.name == second.name
    results = [json.loads((path / "result.json").read_text()) for path in (first, second)]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    histories = [
        pd.read_csv(path / "history.csv").drop(columns="seconds") for path in (first, second)
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)


def test_a_diverged_run_leaves_its_reason_and_the_study_goes_on(cli, tmp_path):
    done = cli("-m", *tiny(1), "plain=true,false", "recipe.learning_rate=1e30", cwd=tmp_path)
    assert done.returncode == 1
    states = [
        json.loads(path.read_text()) for path in (tmp_path / "runs" / "main").glob("*/status.json")
    ]
    assert [status["state"] for status in states] == ["diverged", "diverged"]
    assert not list((tmp_path / "runs" / "main").glob("*/checkpoint"))
    assert all("loss became" in status["reason"] for status in states)
    assert "diverged" in done.stdout
    assert "rerun=failed" in done.stderr
    again = cli("-m", *tiny(1), "plain=true,false", "recipe.learning_rate=1e30", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.count("not trained again") == 2
    report = (tmp_path / "runs" / "main" / "report.md").read_text()
    assert "The last lines of" in report and "--- attempt 1" in report
    keys = *tiny(1), "plain=true", "recipe.learning_rate=1e30", "rerun=failed"
    assert cli(*keys, cwd=tmp_path).returncode == 1
    # A single run that is not tried again is as much missing as one of a sweep.
    assert cli(*keys[:-1], cwd=tmp_path).returncode == 1
    attempts = {
        path.name.split("-")[1]: store.read_status(path).attempt
        for path in _directories(tmp_path / "runs" / "main")
    }
    assert attempts == {"plain": 2, "residual": 1}


def test_rerun_all_trains_a_finished_run_anew_and_gets_the_same(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    (finished,) = study.glob("8-plain-*")
    directory = tmp_path / "runs" / "main" / finished.name
    shutil.copytree(finished, directory)
    before = json.loads((directory / "result.json").read_text())
    # One network in two words, which is trained once; and -m wherever it stands.
    done = cli(*TINY, "plain=true", "-m", "shortcut=auto,zero_pad", "rerun=all", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert store.read_status(directory).attempt == 2
    after = json.loads((directory / "result.json").read_text())
    assert after["weights_sha256"] == before["weights_sha256"]


def test_a_data_set_that_cannot_be_had_says_how_to_get_it(cli, tmp_path):
    # Without a network, wherever the test runs.
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def offline(*_): raise socket.gaierror(-2, 'Name or service not known')\n"
        "socket.getaddrinfo = offline\n"
    )
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    done = cli(
        "dataset=cats_vs_dogs",
        f"dataset.data_dir={tmp_path / 'none'}",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
        **proxies,
    )
    assert done.returncode == 2
    for words in ("cats_vs_dogs", "could not be downloaded", "dataset.data_dir", "dataset=digits"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "none").exists() and not (tmp_path / "runs").exists()


def test_describe_prints_the_summary_and_the_stages(cli, tmp_path):
    done = cli("arch=50", "plain=true", cwd=tmp_path, module="ablation.describe", cold=True)
    assert done.returncode == 0, done.stderr
    assert "stage4_block3_3_bn" in done.stdout
    assert "20,745,674" in done.stdout  # 10 classes, less 6,272 for the one grey channel
    assert "none" in done.stdout and "identity" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_describe_rejects_what_the_study_rejects(cli, tmp_path):
    done = cli("arch=51", cwd=tmp_path, module="ablation.describe")
    assert done.returncode == 2
    assert "arch=51" in done.stderr and "Traceback" not in done.stderr


def test_a_plan_trains_nothing_and_says_what_it_would_do(cli, tmp_path):
    # Brackets are no markup.
    keys = (*TINY, "plain=true,false", "diagnostics=true", "runs_dir='a[/b]'")
    done = cli("-m", *keys, "plan=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Plan of a[/b]/main" in done.stdout
    assert done.stdout.count("trained") == 2
    assert "75,002" in done.stdout
    assert "2 of 2 runs to train" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--help"], 0, "Choices"),
        (["archh=34"], 2, "Did you mean arch?"),
        (["-m", "arch=20,35"], 2, "arch=35"),
        (["-m", *TINY, "plain=true,false", "plan=true"], 0, "reused"),
    ],
)
def test_what_should_answer_at_once_imports_nothing_slow(
    cli, tiny_study, tmp_path, arguments, code, word
):
    study, _ = tiny_study
    for name in ("tensorflow", "keras", "pandas", "scipy", "matplotlib"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not wanted here')")
    done = cli(*arguments, cwd=study.parents[1], PYTHONPATH=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert word in done.stdout + done.stderr


@pytest.mark.parametrize("module", ["ablation", "ablation.report"])
def test_whoever_has_read_enough_may_close_the_pipe(tiny_study, tmp_path, module):
    study, _ = tiny_study
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / "report.md").unlink()
    words = ["--help"] if module == "ablation" else ["study"]
    command = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    command.stdout.close()
    _, said = command.communicate(timeout=300)
    assert not said
    # What a report is there for is written all the same.
    assert (tmp_path / "study" / "report.md").exists() == (module == "ablation.report")


def test_a_report_finds_a_folder_in_the_home_folder(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    shutil.copytree(study, tmp_path / "study")
    done = cli("~/study", cwd=tmp_path, module="ablation.report", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_two_studies_are_compared_cell_by_cell(cli, tiny_study, tmp_path):
    study, _ = tiny_study
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    done = cli(str(study), str(copy), cwd=tmp_path, module="ablation.report")
    assert done.returncode == 0, done.stderr
    assert "The same keys, data, code and machine." in done.stdout
    assert done.stdout.count("+0.00") == 2


def test_a_study_is_not_compared_with_itself(cli, tiny_study, tmp_path):
    (tmp_path / "other").symlink_to(tiny_study[0])
    done = cli(str(tiny_study[0]), "./other", cwd=tmp_path, module="ablation.report")
    assert done.returncode == 2
    assert done.stderr.endswith("main and other are one folder; name two studies.\n")
    assert not done.stdout


def test_a_command_key_cannot_be_swept(cli, tmp_path):
    done = cli("-m", "study=a,b", cwd=tmp_path)
    assert done.returncode == 2
    assert "study" in done.stderr and "cannot be swept" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["ablation", "ablation.report", "ablation.describe"])
def test_the_version_is_ours(cli, tmp_path, module):
    done = cli("--version", cwd=tmp_path, module=module, cold=True)
    assert (done.returncode, done.stdout) == (0, f"ablation {metadata.version('ablation')}\n")


def test_text_and_command_are_what_was_typed_all_the_way(cli, tmp_path):
    keys = ("study=1.10", "runs_dir=r=[1],{a} ${b}", "dataset.name=1e3")
    done = cli(*tiny(1), *keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = tmp_path / "r=[1],{a} ${b}" / "1.10"
    (directory,) = _directories(study)
    config = store.Stored(directory).config()
    assert (config["study"], config["dataset"]["name"]) == ("1.10", "1e3")
    command = json.loads((directory / "provenance.json").read_text())["command"]
    assert shlex.split(command)[3:] == [*tiny(1), *keys]
    # The folder of a report may look like an option.
    again = cli("r=[1],{a} ${b}/1.10", cwd=tmp_path, module="ablation.report")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report.contrst=arch"], ["report.contrst=arch", "report.contrast"]),
        (["--report.contrast=arch"], ["without dashes: report.contrast=arch."]),
        (["report.contrast", "=", "arch"], ["one word without blanks: report.contrast=arch."]),
        (["report.reference="], ["report.reference= has no value"]),
        (["report.contrast=arch\r"], ["CARRIAGE RETURN", "type report.contrast=arch."]),
        (["a=b/runs/main"], ["a=b/runs/main", "no folder of that name"]),
        (["report.contrast=size"], ["report.contrast=size", "Allowed: arch, plain"]),
        (["report.reference=huge"], ["report.reference=huge", "plain, residual"]),
        (["contrast=arch"], ["contrast", "report.contrast"]),
        (["report.metric=accuracy", "report.metric=log_loss"], ["report.metric is given 2 times"]),
        (["other", "third"], ["one study, or two"]),
    ],
)
def test_a_wrong_report_option_is_one_line(cli, tiny_study, tmp_path, arguments, words):
    done = cli(str(tiny_study[0]), *arguments, cwd=tmp_path, module="ablation.report")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_a_study_grows_from_a_full_model_without_each_part_into_a_grid(cli, tmp_path):
    keys = *TINY, "plain=false,true", "parts.se=true,false"
    done = cli("-m", "design=leave_one_out", *keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "design=leave_one_out, each part changed alone: 3 arms, 2 questions" in done.stderr
    assert "3 runs, 3 to train" in done.stderr
    assert done.stdout.startswith("Against the reference (")
    assert "| **reference** " in done.stdout and "| without se " in done.stdout
    report = tmp_path / "runs" / "main" / "report"
    table = pd.read_csv(report / "ablation-digits.csv")
    assert table["arm"].tolist() == ["reference", "plain", "without se"]
    done = cli("-m", *keys, "report.contrast=se", cwd=tmp_path)
    assert "4 runs, 1 to train" in done.stderr
    assert "| se true − false" in done.stdout
    again = cli("main", cwd=tmp_path / "runs", module="ablation.report")
    assert again.stdout.startswith("As the command that trained last asked: report.contrast=se (")
    assert "| se true − false" in again.stdout
    again = cli(
        "main", "report.design=leave_one_out", cwd=tmp_path / "runs", module="ablation.report"
    )
    assert "| without se " in again.stdout


def test_a_design_of_a_single_run_is_refused(cli, tmp_path):
    done = cli("design=leave_one_out", "arch=20", "plain=true", cwd=tmp_path)
    assert done.returncode == 2
    assert "put -m before the keys" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_prepares_data_says_that_it_is_not_run_by_hand(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert prepare_data() == 2
    assert capsys.readouterr().err.startswith("ablation.data is not run by hand")


def test_a_sweeper_of_another_kind_is_refused(cli, tmp_path):
    done = cli("-m", "arch=34,50", "hydra/sweeper=basic", cwd=tmp_path)
    assert done.returncode == 2
    assert "leave out hydra/sweeper" in done.stderr
    assert not list(tmp_path.iterdir())

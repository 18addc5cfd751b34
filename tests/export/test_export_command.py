"""The command line of exports: `python -m ablation.export`."""

import importlib.util
import shutil
import socket
import sys
import time

import pytest

from ablation.records import asked, store, tuning
from ablation.records.tuning import Tuned
from stored_exports import run_in

MODULE = "ablation.export"
TARGETS = {"tensorboard": "logs", "mlflow": "file:store", "wandb": "offline"}


@pytest.fixture
def export(cli, folder, tmp_path):
    """Runs the command in the folder that holds `main`."""
    return lambda *words, **more: cli(*words, cwd=tmp_path, module=MODULE, **more)


@pytest.fixture(params=TARGETS)
def target(request):
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"needs the extra {request.param}")
    return request.param


def _inside(code, words):
    """What runs the command after some other code, and says what it has loaded."""
    return (
        f"import runpy, sys; {code}\n"
        f"sys.argv = ['export', *{list(words)!r}]\n"
        "try: runpy.run_module('ablation.export', run_name='__main__')\n"
        "finally: print(sorted({'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)))"
    )


def _line(done):
    assert done.returncode == 2, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("ablation.export: "), done.stderr
    return lines[0]


def test_it_says_what_it_wrote_where_and_how_to_see_it(export, target):
    words = ("main", f"{target}={TARGETS[target]}")
    done = export(*words)
    assert done.returncode == 0 and not done.stderr, done.stderr
    (line,) = done.stdout.splitlines()
    assert "7 runs of main" in line and "7 written and 0 as they were" in line
    command = {"tensorboard": "tensorboard --logdir logs", "mlflow": "mlflow ui", "wandb": "sync"}
    assert command[target] in line
    assert "0 written and 7 as they were" in export(*words).stdout


def test_several_targets_take_one_command(export, tmp_path):
    for name in ("tensorboard", "mlflow"):
        pytest.importorskip(name, reason=f"needs the extra {name}")
    done = export("main", "tensorboard=a b", "mlflow=file:store", "mlflow.experiment=parts")
    assert "tensorboard --logdir 'a b'" in done.stdout and "experiment parts of" in done.stdout
    assert len(list((tmp_path / "a b").glob("*/events*"))) == 7


def test_no_framework_is_loaded(cli, folder, tmp_path, target):
    words = ("main", f"{target}={TARGETS[target]}")
    done = cli(cwd=tmp_path, code=_inside("", words))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", TARGETS)
def test_a_library_that_is_not_there_is_named(cli, folder, tmp_path, name):
    words = ("main", f"{name}={TARGETS[name]}")
    done = cli(cwd=tmp_path, code=_inside(f"sys.modules[{name!r}] = None", words))
    assert f"pip install {name}" in _line(done)
    assert {path.name for path in tmp_path.iterdir()} == {"main"}


def test_a_database_without_its_library_is_told(cli, folder, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    words = ("main", "mlflow=sqlite:///store.db")
    done = cli(cwd=tmp_path, code=_inside("sys.modules['sqlalchemy'] = None", words))
    assert "pip install sqlalchemy" in _line(done)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "FOLDER"),
        (["main"], "name where to export to: tensorboard=FOLDER"),
        (["tensorboard=logs"], "name one study"),
        (["main", "other", "tensorboard=logs"], "Received: 2"),
        (["main", "tensorbord=logs"], "unknown target tensorbord=logs"),
        (["main", "tensorboard"], "tensorboard=FOLDER"),
        (["main", "tensorboard="], "tensorboard=FOLDER"),
        (["main", "--tensorboard=logs"], "without dashes: tensorboard=logs"),
        (["main", "--loud", "tensorboard=logs"], "unknown target --loud"),
        (["main", "tensorboard=a", "tensorboard=b"], "given twice"),
        (["main", "tensorboard=a", "mlflow.experiment=b"], "mlflow.experiment goes with"),
        (["main", "tensorboard=a\u200b"], "ZERO WIDTH SPACE"),
        (["nothing", "tensorboard=logs"], "nothing is no folder"),
        ([".", "tensorboard=logs"], "holds studies, main; name one, such as"),
        (["main", "mlflow=runs.db"], "mlflow=sqlite:///runs.db"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(export, tmp_path, words, named):
    assert named in _line(export(*words))
    assert {path.name for path in tmp_path.iterdir()} == {"main"}


def test_a_file_in_the_place_of_a_folder_is_told(export, tmp_path):
    pytest.importorskip("tensorboard", reason="needs an extra")
    (tmp_path / "file").write_text("mine")
    line = _line(export("main", "tensorboard=file"))
    assert "tensorboard=file is a file or lies in one; name a folder" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write into")
@pytest.mark.parametrize(
    "word", ["tensorboard=/proc/none", "mlflow=file:/proc/none", "mlflow=sqlite:////proc/none/a.db"]
)
def test_a_place_that_cannot_be_written_is_told(export, word):
    pytest.importorskip(word.partition("=")[0], reason="needs an extra")
    line = _line(export("main", word))
    assert word in line and "/proc/none" in line


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write into")
def test_a_folder_for_wandb_that_cannot_be_written_is_told(export):
    pytest.importorskip("wandb", reason="needs the extra wandb")
    assert "/proc/none" in _line(export("main", "wandb=offline", WANDB_DIR="/proc/none"))


def test_what_is_no_store_is_told(export, tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    (tmp_path / "text.db").write_text("no database, but long enough to be taken for one" * 99)
    assert "not a database" in _line(export("main", "mlflow=sqlite:///text.db"))
    assert "foo://bar" in _line(export("main", "mlflow=foo://bar"))


def test_a_server_that_is_not_there_is_told(export):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert "does not answer" in _line(export("main", f"mlflow=http://127.0.0.1:{port}"))


def test_a_server_that_says_nothing_is_not_waited_for(export):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        uri = f"mlflow=http://127.0.0.1:{silent.getsockname()[1]}"
        done = export("main", uri, MLFLOW_HTTP_REQUEST_TIMEOUT="1")
    assert "does not answer" in _line(done)
    assert time.monotonic() - start < 60


def test_a_damaged_run_is_told_and_the_others_are_exported(export, folder, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    damaged = run_in(folder, store.COMPLETE)
    (damaged / "config.yaml").write_text("- nothing")
    done = export("main", "tensorboard=logs")
    assert done.returncode == 0
    assert damaged.name in done.stderr and "6 runs" in done.stdout
    assert not (tmp_path / "logs" / damaged.name).exists()


def test_runs_that_tuned_or_are_of_an_earlier_choice_are_counted(export, folder):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    complete = run_in(folder, store.COMPLETE)
    trials = ("20-digits-t0-0123abcd", "20-digits-t1-0123abce")
    for name in trials:
        shutil.copytree(complete, folder / name)
    grid = {"recipe.learning_rate": (0.1,)}
    record = Tuned("a" * 8, {}, grid, 0.2, (0, 1), 5, (trials,), superseded=(complete.name,))
    asked.add(folder, ["parts.plain"])
    tuning.put(folder, [record])
    said = export("main", "tensorboard=logs").stdout
    assert "6 runs of main" in said
    assert "; left out: 2 tuning runs and 1 run of an earlier choice. To see them" in said


def test_the_help_names_every_target(export):
    done = export("--help")
    assert done.returncode == 0
    assert all(f"{name}=" in done.stdout for name in TARGETS)
    assert "python -m ablation.export runs/main tensorboard=logs" in done.stdout

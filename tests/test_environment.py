import json
import os

import pytest

from ablation import environment
from ablation.config import BACKENDS
from ablation.records import durable
from support import TINY


@pytest.fixture(autouse=True)
def user(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {"PATH": "/bin", "HOME": str(tmp_path)})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_child_gets_its_backend_and_what_the_user_has_set(config, backend):
    os.environ |= {"KERAS_BACKEND": "other", "TFDS_DATA_DIR": "/data", "CUDA_VISIBLE_DEVICES": "1"}
    variables = environment.child(config(f"backend={backend}"))
    assert (variables["KERAS_BACKEND"], variables["PATH"]) == (backend, "/bin")
    assert (variables["TFDS_DATA_DIR"], variables["CUDA_VISIBLE_DEVICES"]) == ("/data", "1")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "variable",
    [
        "TF_ENABLE_ONEDNN_OPTS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_SET_ONEDNN_FPMATH_MODE",
        "ONEDNN_MAX_CPU_ISA",
        "DNNL_DEFAULT_FPMATH_MODE",
        "XLA_FLAGS",
        "JAX_ENABLE_X64",
        "JAX_DEFAULT_MATMUL_PRECISION",
        "KERAS_MAX_EPOCHS",
        "KERAS_HOME",
        "OMP_NUM_THREADS",
        "NPY_DISABLE_CPU_FEATURES",
        "NVIDIA_TF32_OVERRIDE",
        "PYTHONHASHSEED",
        "PYTHONPATH",
        "PYTHONOPTIMIZE",
    ],
)
def test_no_variable_that_changes_rounding_reaches_a_child(config, backend, variable):
    without = environment.child(config(f"backend={backend}"))
    os.environ[variable] = "0"
    assert environment.child(config(f"backend={backend}")) == without


def test_what_is_set_aside_is_told_with_its_value():
    os.environ |= {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "OMP_NUM_THREADS": "4",
        "TF_CPP_MIN_LOG_LEVEL": "0",
    }
    assert environment.set_aside() == {"OMP_NUM_THREADS": "4", "TF_ENABLE_ONEDNN_OPTS": "0"}
    os.environ |= {"TF_ENABLE_ONEDNN_OPTS": "1"}  # As it is set anyway.
    assert environment.set_aside() == {"OMP_NUM_THREADS": "4"}


def test_onednn_is_on_whatever_the_processor(config):
    assert environment.child(config())["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_every_setting_has_a_reason():
    settings = [*environment.NUMERICAL, *environment.ALLOCATOR]
    assert all(setting.reason for setting in settings) and all(environment.SET_ASIDE.values())


def test_an_allocator_of_the_users_own_stays(config):
    os.environ["MALLOC_ARENA_MAX"] = "8"
    assert environment.child(config())["MALLOC_ARENA_MAX"] == "8"


def test_keras_reads_settings_of_the_projects_own_although_someone_changed_them(config, tmp_path):
    file = tmp_path / "cache" / "keras" / "keras.json"
    for damaged in (None, "{}", '{"floatx": "float64"}', "no json"):
        if damaged is not None:
            file.write_text(damaged)
        home = environment.child(config(f"cache_dir={tmp_path / 'cache'}"))["KERAS_HOME"]
        assert home == str(file.parent)
        assert json.loads(file.read_text())["floatx"] == "float32"


def test_jax_takes_threads_and_determinism_from_its_environment(config):
    variables = environment.child(config("backend=jax", "threads=3"))
    assert variables["NPROC"] == "3"
    assert variables["XLA_FLAGS"] == "--xla_gpu_deterministic_ops=true"
    variables = environment.child(config("backend=jax", "deterministic=false"))
    assert "NPROC" not in variables and "XLA_FLAGS" not in variables


def test_torch_takes_what_deterministic_products_on_a_gpu_need_from_its_environment(config):
    key = "CUBLAS_WORKSPACE_CONFIG"
    assert environment.child(config("backend=torch"))[key] == ":4096:8"
    assert key not in environment.child(config("backend=torch", "deterministic=false"))
    assert key not in environment.child(config("backend=tensorflow"))


@pytest.mark.parametrize(
    ("backend", "key", "shared", "whole"),
    [
        ("jax", "XLA_PYTHON_CLIENT_PREALLOCATE", "false", "true"),
        ("tensorflow", "TF_FORCE_GPU_ALLOW_GROWTH", "true", "false"),
    ],
)
def test_a_gpu_is_left_to_others_unless_the_user_says_otherwise(
    config, monkeypatch, backend, key, shared, whole
):
    monkeypatch.delenv(key, raising=False)
    assert environment.child(config(f"backend={backend}"))[key] == shared
    monkeypatch.setenv(key, whole)
    assert environment.child(config(f"backend={backend}"))[key] == whole


SHADOWING = ("statistics", "random", "keras", "tensorflow", "numpy", "yaml", "pandas", "torch")


def test_nothing_outside_the_configuration_decides_a_result(cli, tiny_study, tmp_path, monkeypatch):
    """The bits of a run are those of the same run in another folder, home and environment."""
    monkeypatch.undo()
    (like,) = tiny_study[0].glob("8-plain-*")
    home, library, folder = (tmp_path / name for name in ("home", "library", "folder"))
    (home / ".keras").mkdir(parents=True)
    settings = {"floatx": "float64", "epsilon": 1e-3, "backend": "jax"}
    settings |= {"image_data_format": "channels_first"}
    (home / ".keras" / "keras.json").write_text(json.dumps(settings))
    for place in (library, folder):
        place.mkdir()
        for name in SHADOWING if place is folder else ("statistics", "random"):
            (place / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    done = cli(
        *TINY,
        "plain=true",
        "hydra.job.chdir=true",
        "hydra.run.dir=elsewhere",
        cwd=folder,
        HOME=str(home),
        PYTHONPATH=str(library),
        TF_ENABLE_ONEDNN_OPTS="0",
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="1",
        TF_NUM_INTRAOP_THREADS="1",
        PYTHONOPTIMIZE="2",
    )
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs" / "main").glob("8-plain-*")
    assert run.name == like.name
    ours, theirs = (durable.read_json(one / "result.json") for one in (run, like))
    assert ours["weights_sha256"] == theirs["weights_sha256"]
    told = "TF_ENABLE_ONEDNN_OPTS=0"
    assert told in done.stderr
    facts, others = (durable.read_json(one / "provenance.json") for one in (run, like))
    assert facts["environment"] == others["environment"]
    assert facts["environment"]["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert not list(folder.glob("**/elsewhere/**/result.json"))

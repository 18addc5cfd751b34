import os

import pytest

from ablation import backends


@pytest.fixture(autouse=True)
def user(monkeypatch):
    monkeypatch.setattr(os, "environ", {"PATH": "/bin"})


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_child_gets_its_backend_and_what_the_user_has_set(config, backend):
    os.environ["KERAS_BACKEND"] = "torch"
    variables = backends.environment(config(f"backend={backend}"))
    assert (variables["KERAS_BACKEND"], variables["PATH"]) == (backend, "/bin")


def test_jax_takes_threads_and_determinism_from_its_environment(config):
    os.environ["XLA_FLAGS"] = "--xla_dump_to=here"
    variables = backends.environment(config("backend=jax", "threads=3"))
    assert variables["NPROC"] == "3"
    assert variables["XLA_FLAGS"] == "--xla_dump_to=here --xla_gpu_deterministic_ops=true"
    variables = backends.environment(config("backend=jax", "deterministic=false"))
    assert "NPROC" not in variables
    assert variables["XLA_FLAGS"] == "--xla_dump_to=here"


def test_jax_leaves_a_gpu_to_others_unless_the_user_says_otherwise(config):
    key = "XLA_PYTHON_CLIENT_PREALLOCATE"
    assert backends.environment(config("backend=jax"))[key] == "false"
    os.environ[key] = "true"
    assert backends.environment(config("backend=jax"))[key] == "true"

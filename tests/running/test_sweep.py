import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

from ablation import machine
from ablation.running import launching, remarks, runner
from support import run_of


def _hydra(launcher, mode=RunMode.MULTIRUN):
    return OmegaConf.create({"mode": mode, "launcher": launcher})


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(launching, "_cores", lambda: 8)


@pytest.mark.parametrize(
    ("launcher", "threads"),
    [
        ({}, 8),
        ({"n_jobs": 2}, 4),
        ({"n_jobs": 16}, 1),
        ({"n_jobs": -1}, 1),
        ({"cpus_per_task": 3}, 3),
        ({"ray": {"remote": {"num_cpus": 2}}}, 2),
        ({"ray": {"remote": {"num_cpus": None}}}, 1),
    ],
)
def test_a_run_gets_its_share_of_the_cores(eight_cores, launcher, threads):
    assert launching.threads(0, _hydra(launcher)) == threads
    assert launching.threads(5, _hydra(launcher)) == 5


def test_a_single_run_gets_all_cores_whatever_the_launcher(eight_cores):
    assert launching.threads(0, _hydra({"n_jobs": 2}, RunMode.RUN)) == 8


@pytest.mark.parametrize(
    ("precision", "lacks", "gpus", "told"),
    [
        ("mixed_bfloat16", True, [], True),
        ("mixed_bfloat16", True, ["0"], False),
        ("mixed_bfloat16", False, [], False),
        ("float32", True, [], False),
    ],
)
def test_a_precision_that_this_processor_lacks_is_told(
    config, monkeypatch, precision, lacks, gpus, told
):
    monkeypatch.setattr(machine, "lacks_bfloat16", lambda: lacks)
    monkeypatch.setattr(runner, "gpus", lambda: gpus)
    said = " ".join(remarks.on_environment([run_of(config(f"precision={precision}"), "data")]))
    assert ("mixed_bfloat16 will be slow" in said) == told

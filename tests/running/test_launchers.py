"""Hydra's launchers, each started for real on this machine."""

import pytest
import yaml

from ablation.records import store
from support import tiny

SWEEP = ("-m", *tiny(1), "plain=true,false")


def _threads(study):
    configs = [path / "config.yaml" for path in store.run_directories(study)]
    return [yaml.safe_load(config.read_text())["threads"] for config in configs]


@pytest.mark.parametrize(
    ("plugin", "arguments"),
    [
        ("hydra_joblib_launcher", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
        (
            "hydra_submitit_launcher",
            ["hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=1"],
        ),
        (
            "hydra_ray_launcher",
            [
                "hydra/launcher=ray",
                "+hydra.launcher.ray.init.num_cpus=2",
                "+hydra.launcher.ray.init.include_dashboard=false",
                "+hydra.launcher.ray.init._node_ip_address=127.0.0.1",
            ],
        ),
    ],
)
def test_a_sweep_under_the_launcher_is_watched_and_reported(cli, tmp_path, plugin, arguments):
    pytest.importorskip(f"hydra_plugins.{plugin}")
    # Ray starts half a dozen processes, which took minutes where other tests had the cores.
    done = cli(*SWEEP, *arguments, cwd=tmp_path, cold=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1") == 2
    assert "| 8 " in done.stdout
    study = tmp_path / "runs" / "main"
    assert [store.read_status(path).state for path in store.run_directories(study)] == [
        store.COMPLETE,
        store.COMPLETE,
    ]
    if plugin != "hydra_joblib_launcher":  # Its two jobs share what cores there are.
        assert _threads(study) == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_cell_that_fails_under_a_launcher_makes_the_sweep_fail(cli, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    done = cli(
        "-m",
        *tiny(1),
        "hydra/launcher=joblib",
        "recipe.learning_rate=1e-3,1e30",
        "plain=false",
        cwd=tmp_path,
        cold=True,
    )
    assert done.returncode == 1
    assert "diverged" in done.stdout
    assert "(n=1)" in done.stdout

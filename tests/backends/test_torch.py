"""PyTorch against TensorFlow: the same run, as far as rounding lets it be."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablation.records import store
from few_steps import few_steps
from support import TINY

pytest.importorskip("torch", reason="needs PyTorch")


@pytest.fixture(scope="module")
def run(cli, tmp_path_factory):
    """A run that is trained where whoever tries to load TensorFlow is ended at once."""
    room = tmp_path_factory.mktemp("torch")
    (room / "tensorflow.py").write_text("raise SystemExit('TensorFlow was loaded')")
    keys = ("plain=false", "backend=torch", "diagnostics=true")
    done = cli("-m", *TINY, *keys, cwd=room, PYTHONPATH=str(room))
    assert done.returncode == 0, done.stderr
    (directory,) = store.run_directories(room / "runs" / "main")
    return directory


def test_a_run_needs_no_tensorflow(run):
    assert store.read_status(run).state == store.COMPLETE
    packages = json.loads((run / "provenance.json").read_text())["packages"]
    assert packages["torch"] and packages["keras"]


def test_the_curves_are_those_of_tensorflow(run, tiny_study):
    (tensorflow,) = tiny_study[0].glob("8-residual-*")
    ours, theirs = (json.loads((path / "result.json").read_text()) for path in (run, tensorflow))
    equal = ("trainable", "total", "multiply_adds", "steps", "examples_seen", "order_sha256")
    assert [ours[key] for key in equal] == [theirs[key] for key in equal]

    ours, theirs = (pd.read_csv(path / "history.csv") for path in (run, tensorflow))
    np.testing.assert_allclose(ours["learning_rate"], theirs["learning_rate"], rtol=1e-6)
    for loss in ("loss", "val_loss"):
        # As between JAX and TensorFlow.
        assert ours[loss][0] == pytest.approx(theirs[loss][0], rel=0.01)
        assert ours[loss][1] == pytest.approx(theirs[loss][1], rel=0.05)


def test_the_first_measurement_of_the_layers_is_that_of_tensorflow(run, cli, tmp_path):
    done = cli("-m", *TINY, "plain=false", "diagnostics=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tensorflow,) = store.run_directories(tmp_path / "runs" / "main")
    ours, theirs = (pd.read_csv(path / "diagnostics.csv") for path in (run, tensorflow))
    assert list(ours["layer"]) == list(theirs["layer"])
    before = ours["epoch"] == 0
    for column in ("response_sd", "gradient_norm"):
        np.testing.assert_allclose(ours[column][before], theirs[column][before], rtol=1e-3)


@pytest.mark.parametrize("recipe", ["sgd_clip", "adam"])
def test_the_first_steps_are_those_of_tensorflow(recipe, cli, cache_dir, config, tmp_path):
    # A low rate keeps rounding from growing.
    keys = (*TINY, f"recipe={recipe}", "recipe.learning_rate=0.001", "recipe.weight_decay=0.01")
    order = {"config": asdict(config(*keys, "backend=torch")), "cache_dir": str(cache_dir)}
    script = Path(few_steps.__code__.co_filename).read_text()
    done = cli(json.dumps(order), "torch.npz", code=script, cwd=tmp_path, KERAS_BACKEND="torch")
    assert done.returncode == 0, done.stderr
    theirs = few_steps(config(*keys), cache_dir)
    with np.load(tmp_path / "torch.npz") as ours:
        assert set(ours) == set(theirs)
        np.testing.assert_allclose(ours["losses"][0], theirs["losses"][0], rtol=1e-5)
        np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e-3)
        for before in (name for name in theirs if name.startswith("before/")):
            after = before.replace("before/", "after/")
            np.testing.assert_array_equal(ours[before], theirs[before])
            if recipe != "adam":  # Its first steps are as long where a gradient is rounding only.
                way = np.linalg.norm(theirs[after] - theirs[before])
                assert np.linalg.norm(ours[after] - theirs[after]) < 0.05 * way, after


def test_optimizers_step_as_their_tests_say(cli):
    """PyTorch has classes of its own for them, one of which is made anew for the L2 penalty."""
    file = Path(__file__).parents[1] / "training" / "test_optimizers.py"
    chosen = "penalty or norm or those_of_keras or first_step or serialisation"
    done = cli(
        str(file), "-q", "-k", chosen, module="pytest", cwd=file.parent, KERAS_BACKEND="torch"
    )
    assert done.returncode == 0, done.stdout


def test_all_weights_step_at_once(cli, config, tmp_path):
    """As in Keras's own optimizers for PyTorch; one class made of them steps one by one."""
    names = ("sgd", "adam", "adamw")
    recipes = [config("recipe=adam", f"recipe.optimizer={name}").recipe for name in names]
    order = json.dumps([asdict(recipe) for recipe in recipes])
    done = cli(order, code=AT_ONCE, cwd=tmp_path, KERAS_BACKEND="torch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True"] * len(names)


AT_ONCE = """
import json, sys
import keras, torch
from ablation.config import RecipeConfig
from ablation.training.optimizers import build_optimizer

for recipe in json.loads(sys.argv[1]):
    weights = [keras.Variable([1.0, 2.0]) for _ in range(50)]
    optimizer = build_optimizer(RecipeConfig(**recipe), 10)
    optimizer.build(weights)
    with torch.profiler.profile() as profile:
        optimizer.apply([torch.ones(2) for _ in weights], weights)
    print(any(event.name.startswith("aten::_foreach") for event in profile.events()))
"""

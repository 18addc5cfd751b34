"""JAX against TensorFlow: the same run, as far as rounding lets it be."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ablation import environment
from ablation.records import store
from few_steps import few_steps
from support import TINY

pytest.importorskip("jax")

_MEASURE = """
import json, sys
from ablation.config import Config
from ablation.typed_config import typed_config
from ablation.training.measure import measure
json.dump(measure(typed_config(json.loads(sys.argv[1]))), sys.stdout)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of two classes, told apart by brightness: 256 images to train, 40 to validate."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for split, count in (("train", 128), ("val", 20)):
        for label, low in (("dark", 0), ("light", 100)):
            (root / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(low, low + 156, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def runs(cli, folder, tmp_path_factory):
    """Runs on two data sets, trained where whoever tries to load TensorFlow is ended at once."""
    room = tmp_path_factory.mktemp("jax")
    (room / "tensorflow.py").write_text("raise SystemExit('TensorFlow was loaded')")
    arguments = ("plain=false", "backend=jax", "dataset=digits,folder", f"dataset.path={folder}")
    done = cli("-m", *TINY, *arguments, cwd=room, PYTHONPATH=str(room))
    assert done.returncode == 0, done.stderr
    found = store.run_directories(room / "runs" / "main")
    return {directory.name.split("-")[2]: directory for directory in found}


@pytest.mark.parametrize("dataset", ["digits", "folder"])
def test_a_run_needs_no_tensorflow(runs, dataset):
    assert store.read_status(runs[dataset]).state == store.COMPLETE
    packages = json.loads((runs[dataset] / "provenance.json").read_text())["packages"]
    assert packages["jax"] and packages["jaxlib"] and packages["keras"]


def test_the_curves_are_those_of_tensorflow(runs, tiny_study):
    (tensorflow,) = tiny_study[0].glob("8-residual-*")
    ours, theirs = (
        json.loads((directory / "result.json").read_text())
        for directory in (runs["digits"], tensorflow)
    )
    equal = ("trainable", "total", "multiply_adds", "steps", "examples_seen", "order_sha256")
    assert [ours[key] for key in equal] == [theirs[key] for key in equal]

    ours, theirs = (pd.read_csv(path / "history.csv") for path in (runs["digits"], tensorflow))
    np.testing.assert_allclose(ours["learning_rate"], theirs["learning_rate"], rtol=1e-6)
    for loss in ("loss", "val_loss"):
        # Rounding grows from step to step, here after five and ten of them. TensorFlow with
        # another number of threads differs from itself as much.
        assert ours[loss][0] == pytest.approx(theirs[loss][0], rel=0.01)
        assert ours[loss][1] == pytest.approx(theirs[loss][1], rel=0.05)


def test_the_first_steps_are_those_of_tensorflow(cli, cache_dir, config, tmp_path):
    # A low rate keeps rounding from growing.
    keys = (*TINY, "recipe.learning_rate=0.001", "recipe.weight_decay=0.01")
    order = {"config": asdict(config(*keys, "backend=jax")), "cache_dir": str(cache_dir)}
    script = Path(few_steps.__code__.co_filename).read_text()
    done = cli(
        json.dumps(order), "jax.npz", code=script, cwd=tmp_path, KERAS_BACKEND="jax", NPROC="2"
    )
    assert done.returncode == 0, done.stderr
    theirs = few_steps(config(*keys), cache_dir)
    with np.load(tmp_path / "jax.npz") as ours:
        assert set(ours) == set(theirs)
        np.testing.assert_allclose(ours["losses"][0], theirs["losses"][0], rtol=1e-5)
        np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=2e-4)
        for before in (name for name in theirs if name.startswith("before/")):
            after = before.replace("before/", "after/")
            np.testing.assert_array_equal(ours[before], theirs[before])
            # Seen: 0.7 % of the way that a weight went, and as much between TensorFlow with one
            # thread and with two.
            way = np.linalg.norm(theirs[after] - theirs[before])
            assert np.linalg.norm(ours[after] - theirs[after]) < 0.05 * way, after


def test_a_plan_measures_what_is_trained(runs, cli, cache_dir, config, tmp_path):
    keys = config(*TINY, "plain=false", "backend=jax", f"cache_dir={cache_dir}")
    order = json.dumps(asdict(keys))
    done = cli(order, code=_MEASURE, cwd=tmp_path, **environment.child(keys))
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    trained = json.loads((runs["digits"] / "result.json").read_text())
    assert measured["trainable"] == trained["trainable"]
    assert measured["epoch_seconds"] > 0 and measured["start_seconds"] > 0

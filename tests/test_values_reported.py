"""A study of values, from the command line to its report."""

import json

import pytest

import ablation

NET = """
import keras

def build(input_shape, classes, *, wide: bool = True):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    if wide:
        x = keras.layers.Dense(16, activation="relu", name="wide")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="head")(x))

def load():
    import numpy as np
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (80, 8, 8)).astype(np.uint8)
    return x, 20 + x.mean(axis=(1, 2)) / 10
"""


def test_a_study_of_values_speaks_of_their_error_in_their_unit(cli, tmp_path):
    (tmp_path / "ink.py").write_text(NET)
    keys = (
        "-m",
        "arch=ink.py:build",
        "parts.wide=true,false",
        "dataset=function",
        "dataset.name=ink.py:load",
        "dataset.unit=°C",
        "epochs=2",
        "recipe.batch_size=16",
        "seed=0,1",
    )
    done = cli(*keys, cwd=tmp_path)
    assert "1 value in °C" in done.stderr and "mae " in done.stderr
    study = tmp_path / "runs" / "main"
    report = (study / "report.md").read_text()
    assert "Validation mean absolute error, °C" in report and "lower is better" in report
    assert "accura" not in report.lower() and "against_true-" in report
    assert "Always answering the mean of the training values would score" in report
    (run, *_) = sorted(study.glob("*-s0-*"))
    result = json.loads((run / "result.json").read_text())
    assert result["val_mae"] <= result["val_rmse"] and result["by_chance"]["r2"] == 0
    said = ablation.load(study).predictions(run.name)
    error = (said["predicted 0"] - said["true 0"]).abs().mean()
    assert error == pytest.approx(result["val_mae"], rel=1e-5)
    header = (run / "history.csv").read_text().splitlines()[0]
    assert header == "epoch,loss,mae,val_loss,val_mae,learning_rate,seconds"
    again = cli(*keys, "recipe.loss=mse", "report.metric=r2", cwd=tmp_path)
    assert "0 to train" in again.stderr
    assert "Validation R²" in (study / "report.md").read_text()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_tells_the_error_of_training_in_the_unit(backend, cli, tmp_path):
    pytest.importorskip(backend)
    (tmp_path / "ink.py").write_text(NET.replace("/ 10", "* 10"))
    keys = ("arch=ink.py:build", "dataset=function", "dataset.name=ink.py:load", "epochs=10")
    done = cli(*keys, "recipe.batch_size=32", f"backend={backend}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs" / "main").glob("*-s0-*")
    header, *rows = (line.split(",") for line in (run / "history.csv").read_text().splitlines())
    trained = [float(row[header.index("mae")]) for row in rows]
    # Of standardised values it would be about 1: their deviation is about 90 here.
    assert 20 < trained[-1] < trained[0]

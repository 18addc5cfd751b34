"""`control=lesion`, from the command line to the report."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

import ablation
from ablation import targets
from ablation.data import cache
from ablation.orders import LesionOrder, written
from ablation.records import controls, store
from ablation.running.controls import _in_parts_alone
from ablation.training import lesion
from support import run_of

NET = """
import keras

def build(input_shape, classes, *, wide: bool = True, bottleneck: bool = False):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(32, activation="relu", name="hidden")(x)
    if wide:
        x = keras.layers.Dense(32, activation="relu", name="second")(x)
    if bottleneck:
        x = keras.layers.Dense(8, name="narrow")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""
COMMAND = (
    *("-m", "arch=net.py:build", "dataset.image_size=8", "epochs=2", "design=leave_one_out"),
    *("parts.wide=true,false", "parts.bottleneck=false,true", "control=lesion"),
)


@pytest.fixture(scope="module")
def trained(cli, tmp_path_factory):
    """A study with lesions: (its folder, what was printed)."""
    folder = tmp_path_factory.mktemp("lesioned")
    (folder / "net.py").write_text(NET)
    done = cli(*COMMAND, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def _lesions(study):
    """Returns for each lesion its record and its result, by the part that is switched off."""
    found = [one for one in controls.controls(study) if one.kind == "lesion"]
    results = [json.loads((study / one.run / "result.json").read_text()) for one in found]
    without = ["wide" if "val_accuracy" in one else "bottleneck" for one in results]
    return dict(zip(without, zip(found, results, strict=True), strict=True))


def test_a_lesion_is_the_trained_network_without_the_layer(trained, cache_dir):
    folder, _ = trained
    study = folder / "runs" / "main"
    record, result = _lesions(study)["wide"]
    run = study / record.facts["against"]
    network = ablation.load_model(run)
    layers = network.layers[-1]
    pixels = keras.Input(network.input_shape[1:])
    x = keras.layers.Flatten()(network.layers[-2](pixels))
    skipped = keras.Model(pixels, layers.get_layer("out")(layers.get_layer("hidden")(x)))
    data = cache.find_fingerprint(
        store.Stored(run).json("provenance.json")["fingerprint"], cache_dir
    )
    outputs = skipped.predict(np.asarray(data.images("val"), np.float32), verbose=0)
    right = np.mean(np.argmax(outputs, -1) == data.labels("val"))
    assert result["val_accuracy"] == pytest.approx(right, abs=1e-6)
    assert result["val_accuracy"] != json.loads((run / "result.json").read_text())["val_accuracy"]


def test_layers_that_nobody_trained_are_said_and_give_no_number(trained):
    folder, _ = trained
    _, result = _lesions(folder / "runs" / "main")["bottleneck"]
    assert "narrow" in result["unfit"] and "untrained" in result["unfit"]
    report = (folder / "runs" / "main" / "report.md").read_text()
    assert f"after training ({result['unfit']})" in report


def test_the_report_names_both_apart_and_nothing_is_judged_twice(trained, cli):
    folder, _ = trained
    report = (folder / "runs" / "main" / "report.md").read_text()
    assert "Ablated, trained so from the start" in report
    assert "lesioned, that is switched off in the trained reference and not retrained" in report
    files = sorted((folder / "runs" / "main").rglob("lesions/**/result.json"))
    before = [file.stat().st_mtime_ns for file in files]
    assert len(before) == 2
    assert cli(*COMMAND, cwd=folder).returncode == 0
    assert [file.stat().st_mtime_ns for file in files] == before


def test_an_arm_that_is_best_at_another_rate_differs_in_parts_alone_too(config):
    tuned = "tune.grid=['recipe.learning_rate=0.1']"
    words = [("plain=false", "recipe.learning_rate=0.1"), ("plain=true", "recipe.learning_rate=1")]
    full, without = (run_of(config(*of, tuned)) for of in words)
    assert _in_parts_alone(without, full)
    assert not _in_parts_alone(without, run_of(config(*words[0], tuned, "epochs=7")))
    full, without = (run_of(config(*of)) for of in words)
    assert not _in_parts_alone(without, full)


FRAGILE = """
import keras

def build(input_shape, classes, *, first: bool = True, second: bool = True):
    if not first:
        raise TypeError("not without the first")
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    if second:
        x = keras.layers.Dense(16, activation="relu", name="second")(x)
    x = keras.layers.Dense(16, name="last")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""


def test_an_arm_that_cannot_be_built_takes_no_other_lesion_away(cli, tmp_path):
    (tmp_path / "net.py").write_text(FRAGILE)
    parts = "parts.first=true,false", "parts.second=true,false"
    keys = "arch=net.py:build", "design=leave_one_out", "dataset.image_size=8", "epochs=1"
    done = cli("-m", *keys, *parts, "control=lesion", cwd=tmp_path)
    assert done.returncode == 1
    said = "could not be judged as net.build-first_false: net.py, line 6: TypeError: not without"
    assert said in done.stderr
    study = tmp_path / "runs" / "main"
    assert len(list(study.glob("*/lesions/*/result.json"))) == 1
    assert len(list(study.glob("*/lesions/*"))) == 1


def test_code_or_data_that_have_changed_are_not_judged(config, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    made = config(f"arch={tmp_path / 'net.py'}:build", "dataset.image_size=8")
    made = replace(made, runs_dir=str(tmp_path), cache_dir=str(tmp_path / "cache"))

    def answered(fingerprint):
        return lesion.work(written(LesionOrder(run_of(made, fingerprint), {})))

    assert answered("data") == (1, "its data set was removed from cache_dir")
    data = cache.prepare(made.dataset, made.cache_dir, lambda *_: None)
    made = targets.settled(made, data.target(made.dataset))
    assert answered("another") == (1, "the data set changed after it was trained")
    order = written(LesionOrder(run_of(made, data.fingerprint), {}))
    (tmp_path / "net.py").write_text(NET.replace("32", "33"))
    code, told = lesion.work(order)
    assert code == 1 and told.startswith("the code of arch=") and "changed after it was" in told

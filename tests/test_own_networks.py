"""A network of the user's own, from the command line, in a folder outside the checkout."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from ablation.analysis import reading
from ablation.analysis.starts import shared
from ablation.records import store
from support import TINY

NETS = """
import json
from pathlib import Path
from typing import Literal

import keras
from helpers.convolutions import conv
from keras import layers


def build(input_shape, classes, *, se: bool = True, norm: Literal["batch", "none"] = "batch"):
    if norm == "none" and not se:
        raise ValueError("nothing is left to learn")
    x = inputs = keras.Input(input_shape)
    for _ in range(json.loads(Path(__file__).with_name("cfg.json").read_text())):
        x = conv(x, 8)
        if norm == "batch":
            x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        if se:
            s = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(x))
            x = layers.Multiply()([x, layers.Dense(8, activation="sigmoid")(s)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


class Subclassed(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten, self.dense = layers.Flatten(), layers.Dense(classes)

    def call(self, x):
        return self.dense(self.flatten(x))


def subclassed(input_shape, classes, *, fails: bool = False):
    if fails:
        return undefined_name
    return Subclassed(classes)


def sequential(input_shape, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(classes)])
"""
HELPER = """from keras import layers


def conv(x, filters):
    return layers.Conv2D(filters, 3, strides=2, padding="same")(x)
"""
KEYS = ("epochs=1", *TINY[2:])
SWEEP = ("-m", "arch=nets.py:build", "parts.se=true,false", "parts.norm=batch,none", *KEYS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "nets.py").write_text(NETS)
    (folder / "cfg.json").write_text("2")
    (folder / "helpers").mkdir()
    (folder / "helpers" / "convolutions.py").write_text(HELPER)
    return folder


@pytest.fixture(scope="module")
def swept(cli, folder):
    done = cli(*SWEEP, cwd=folder, cold=True)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "main", done


def test_parts_are_compared_and_a_refused_arm_is_neither_hole_nor_failure(swept):
    directory, done = swept
    loaded = reading.load(directory)
    (found,) = loaded.comparisons()
    assert (found.contrast, found.columns, found.rows) == (
        "se",
        ["true", "false"],
        ("arch", "norm"),
    )
    assert loaded.audit()[0].holes == () and loaded.audit()[0].passes
    assert loaded.runs["state"].value_counts().to_dict() == {"complete": 3, "refused": 1}
    assert "refused: nets.build-se_false-norm_none" in done.stderr
    assert "nothing is left to learn" in done.stderr
    notes = pd.DataFrame(loaded.table()).set_index("norm")["false note"]
    assert notes.to_dict() == {"batch": "", "none": "–"}


def test_a_file_that_a_network_reads_is_on_record(swept):
    digest = hashlib.sha256(b"2").hexdigest()
    for status in swept[0].glob("*/status.json"):
        if json.loads(status.read_text())["state"] == store.COMPLETE:
            provenance = json.loads(status.with_name("provenance.json").read_text())
            assert provenance["read"] == {"cfg.json": digest}


def test_a_network_that_ends_in_a_softmax_is_trained_on_its_probabilities(swept):
    histories = reading.load(swept[0]).history
    # Cross-entropy of ten classes before anything is learnt, not of a softmax of a softmax.
    assert histories["val_loss"].between(2.2, 2.5).all()


def test_arms_start_alike_in_all_that_they_share(swept):
    initial = {}
    for path in store.run_directories(swept[0]):
        if store.read_status(path).state == store.COMPLETE:
            config = store.Stored(path).config()["parts"]
            initial[config["se"], config["norm"]] = store.Stored(path).json("result.json")[
                "initial"
            ]
    sizes = {key: sum(size for _, size in one) for key, one in initial.items()}
    full, without_se = initial[True, "batch"], initial[False, "batch"]
    assert shared(full, without_se) == sizes[False, "batch"]
    assert shared(full, initial[True, "none"]) == sizes[True, "none"]


def test_the_same_command_trains_nothing_and_a_comment_changes_nothing(cli, folder, swept):
    helper = folder / "helpers" / "convolutions.py"
    helper.write_text("# A comment.\n" + HELPER)
    assert "4 runs, 0 to train" in cli(*SWEEP, cwd=folder).stderr


def test_an_edit_two_imports_away_makes_runs_obsolete(cli, folder, swept):
    helper = folder / "helpers" / "convolutions.py"
    helper.write_text(HELPER.replace("strides=2", "strides=1"))
    try:
        done = cli("arch=nets.py:build", *KEYS, "plan=true", cwd=folder)
    finally:
        helper.write_text(HELPER)
    assert "1 of 1 run to train" in done.stdout, done.stderr
    assert done.stdout.count("is obsolete: nets.py:build has changed (helpers.convolutions)") == 4


def test_several_own_networks_and_a_named_one_stand_in_one_study(cli, folder):
    archs = "arch=nets.py:sequential,nets.py:subclassed,20"
    done = cli("-m", archs, "parts.fails=true,false", "study=three", *KEYS, cwd=folder)
    assert done.returncode == 1
    failed = "failed: nets.subclassed-fails_true"
    assert failed in done.stderr
    lines = (folder / "nets.py").read_text().splitlines()
    line = 1 + next(place for place, one in enumerate(lines) if "undefined_name" in one)
    assert f"nets.py, line {line}: NameError: name 'undefined_name' is not" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "parts.fails is no part of arch=20" in done.stderr
    states = reading.load(folder / "runs" / "three").runs["state"].value_counts().to_dict()
    assert states == {"complete": 3, "failed": 1}
    log = yaml.safe_load((folder / "runs" / "three" / "study.json").read_text())
    assert set(log["sources"]) == {"nets.py:sequential", "nets.py:subclassed"}


def test_help_and_describe_know_the_parts_of_an_own_network(cli, folder):
    helped = cli("--help", "arch=nets.py:build", cwd=folder)
    assert "Parts of arch=nets.py:build" in helped.stdout
    assert "parts.norm  batch, none" in helped.stdout
    described = cli("arch=nets.py:build", "parts.se=false", module="ablation.describe", cwd=folder)
    assert described.returncode == 0, described.stderr
    assert "multiply-adds of one image" in described.stdout
    refused = cli(
        "arch=nets.py:build",
        "parts.se=false",
        "parts.norm=none",
        module="ablation.describe",
        cwd=folder,
    )
    assert refused.returncode == 2 and "nothing is left to learn" in refused.stderr

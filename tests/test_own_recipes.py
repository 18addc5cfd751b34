"""Recipes, augmentations and losses of the user's own, from the command line, in a folder outside
the checkout."""

import pandas as pd
import pytest
import yaml

NET = """
import keras

def build(input_shape, classes):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    return keras.Model(image, keras.layers.Dense(classes)(x))
"""
KEYS = "arch=net.py:build", "dataset.image_size=8", "recipe.batch_size=256", "epochs=1"
OWN = """
import numpy as np
from keras import ops


def noise(images, rng):
    return np.clip(images + rng.normal(0, 9, images.shape), 0, 255)


def narrower(images, rng):
    return images[:, 1:]


def brier(labels, logits):
    return ops.sum((ops.softmax(logits) - labels) ** 2, axis=-1)


def broken(labels, logits):
    return ops.softmaxx(logits)
"""
RECIPE = """
name: mine
optimizer: lion
learning_rate: 1e-3
batch_size: 64
schedule: one_cycle
warmup_fraction: 0.3
options:
  beta_2: 0.98
"""
EXPERIMENT = """# @package _global_
defaults:
  - override /recipe: mine

study: tricks
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      recipe.ema: 0,0.9
"""
DATA = "name: pets\nsource: digits\n"


@pytest.fixture
def folder(tmp_path):
    for place, text in {
        "net.py": NET,
        "own.py": OWN,
        "my_conf/recipe/mine.yaml": RECIPE,
        "my_conf/experiment/tricks.yaml": EXPERIMENT,
        "my_conf/dataset/pets.yaml": DATA,
    }.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    return tmp_path


def configs(study):
    return [yaml.safe_load(file.read_text()) for file in sorted(study.glob("*/config.yaml"))]


def test_a_folder_of_ones_own_has_recipes_data_sets_and_studies(cli, folder):
    keys = *KEYS, "dataset=pets"
    done = cli("--config-dir", "my_conf", "experiment=tricks", *keys, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = configs(folder / "runs" / "tricks")
    assert sorted(config["recipe"]["ema"] for config in found) == [0, 0.9]
    for config in found:
        assert config["dataset"]["name"] == "pets"
        assert config["recipe"]["optimizer"] == "lion"
        assert config["recipe"]["options"] == {"beta_2": 0.98}


def test_a_name_that_no_folder_has_is_one_line(cli, folder):
    done = cli("--config-dir", "my_conf", "recipe=mines", cwd=folder)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "recipe=mines is not known" in done.stderr and "he2015_cifar, mine, sgd" in done.stderr
    assert not (folder / "runs").exists()


def test_an_edit_trains_anew_and_a_comment_or_another_folder_does_not(cli, folder):
    own = "dataset.augment=own.py:noise", "recipe.loss=own.py:brier"
    done = cli(*KEYS, *own, cwd=folder)
    assert done.returncode == 0, done.stderr
    study = folder / "runs" / "main"
    (run,) = (path.parent for path in study.glob("*/config.yaml"))
    for key in ("dataset.augment", "recipe.loss"):
        assert (run / "source" / key / "own.py").read_text() == OWN
    history = pd.read_csv(run / "history.csv")
    # Of ten classes a Brier score is at most 2, and at chance 0.9.
    assert history["val_loss"].between(0, 2).all()

    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "own.py").write_text(f"# A comment.\n{OWN}")
    there = [word.replace("own.py", "elsewhere/own.py") for word in own]
    assert "1 run, 0 to train" in cli(*KEYS, *there, cwd=folder).stderr
    (folder / "own.py").write_text(OWN.replace("0, 9", "0, 5"))
    plan = cli(*KEYS, *own, "plan=true", cwd=folder)
    assert f"{run.name} is obsolete: own.py:noise has changed (own)" in plan.stdout + plan.stderr
    assert "│ trained " in plan.stdout


def test_what_goes_wrong_in_them_is_told_and_the_others_go_on(cli, folder):
    done = cli("-m", *KEYS, "dataset.augment=none,own.py:narrower", cwd=folder)
    assert done.returncode == 1
    assert "dataset.augment=own.py:narrower returned an array (" in done.stderr
    assert "Traceback" not in done.stderr
    needless = "recipe=adam", "recipe.momentum=0.9", "recipe.milestones=[0.5]"
    done = cli(*KEYS, *needless, "recipe.loss=own.py:broken", cwd=folder)
    assert done.returncode == 1
    assert "recipe.loss=own.py:broken: own.py, line 19: AttributeError" in done.stderr
    # And what changes nothing is said.
    assert "recipe.momentum changes nothing with recipe.optimizer=adam\n" in done.stderr
    assert "recipe.milestones changes nothing with recipe.schedule=constant\n" in done.stderr

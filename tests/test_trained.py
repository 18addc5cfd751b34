"""The network of a run as a notebook gets it."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import ablation
from ablation import trained as trained_networks
from ablation.config import RECORD_KEY, UserError
from ablation.data import cache
from ablation.records import store

KEYS = (
    "arch=preact15",
    "epochs=2",
    "recipe=adam",
    "dataset.image_size=8",
    "dataset.normalisation=pixel_mean",
    "plain=false",
)


@pytest.fixture(scope="module")
def trained(cli, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    done = cli(*KEYS, "keep_checkpoints=1", "precision=mixed_bfloat16", cwd=folder)
    assert done.returncode == 0, done.stderr
    (directory,) = store.run_directories(folder / "runs" / "main")
    return directory, done


def test_a_loaded_network_predicts_what_the_run_predicted(trained, config, cache_dir):
    directory, _ = trained
    model = ablation.load_model(directory)
    assert keras.config.dtype_policy().name == "float32"
    data = cache.find(config(*KEYS).dataset, cache_dir)
    pixels = data.images("val")
    assert pixels.dtype == np.uint8
    predicted = model.predict(pixels, verbose=0).argmax(axis=1)
    with np.load(directory / "predictions.npz") as stored:
        first, second = np.sort(stored["log_probability"].astype(float))[:, -1:-3:-1].T
        # With bfloat16 a batch of another size may round a tie to the other side.
        clear = first - second > 0.1
        np.testing.assert_array_equal(predicted[clear], stored["predicted"][clear])
    assert clear.mean() > 0.9


def test_settings_of_the_users_own_keras_change_no_network(trained, config, cache_dir):
    directory, _ = trained
    pixels = cache.find(config(*KEYS).dataset, cache_dir).images("val")[:32]
    expected = ablation.load_model(directory).predict(pixels, verbose=0)
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    try:
        found = ablation.load_model(directory).predict(pixels, verbose=0)
        assert keras.config.floatx() == "float16"
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(found, expected)


def test_earlier_weights_can_be_asked_for(trained):
    directory, _ = trained
    first, last = (ablation.load_model(directory, epoch).get_weights() for epoch in (1, 2))
    assert any(not np.array_equal(one, other) for one, other in zip(first, last, strict=True))


@pytest.mark.parametrize(("epoch", "words"), [(3, ["1, 2", "keep_checkpoints"]), (0, ["1, 2"])])
def test_weights_that_were_not_kept_are_refused_with_those_that_were(trained, epoch, words):
    with pytest.raises(UserError) as error:
        ablation.load_model(trained[0], epoch)
    assert all(word in str(error.value) for word in words)


def test_a_run_without_weights_says_how_to_keep_them(stored_run):
    with pytest.raises(UserError, match="keep_checkpoints=K"):
        ablation.load_model(stored_run())


def test_a_run_that_did_not_end_well_says_how_it_ended(stored_run):
    directory = stored_run(state=store.DIVERGED, reason="training loss became nan at step 3")
    with pytest.raises(UserError, match=r"keeps none; it is diverged \(training loss became nan"):
        ablation.load_model(directory)


def test_what_is_no_run_is_told_as_what_it_is(stored_run, tmp_path):
    run = stored_run()
    (tmp_path / "empty").mkdir()
    for place, words in (
        (tmp_path / "none", "none is no folder; name a run's"),
        (run / "status.json", "status.json is a file; name a run's folder"),
        (run.parent, f"main is a study; name one of its runs, such as {run}."),
        (tmp_path / "empty", "empty is no run's folder, as it has no config.yaml"),
    ):
        with pytest.raises(UserError) as error:
            ablation.load_model(place)
        assert words in str(error.value) and "keep_checkpoints" not in str(error.value)


def test_a_finished_run_is_not_trained_again_for_weights_that_it_lacks(trained, cli):
    directory, _ = trained
    again = (*KEYS, "precision=mixed_bfloat16")
    (directory / "weights" / "epoch-1.weights.h5").rename(directory / "aside")
    done = cli(*again, "keep_checkpoints=1", cwd=directory.parents[2])
    (directory / "aside").rename(directory / "weights" / "epoch-1.weights.h5")
    assert done.returncode == 0
    assert "complete already, not trained again" in done.stderr
    assert "no weights of epoch 1," in done.stderr and "rerun=all" in done.stderr
    assert "no weights" not in cli(*again, cwd=directory.parents[2]).stderr


def test_the_package_offers_it_without_loading_tensorflow():
    code = "import ablation, sys; ablation.load_model; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


OWN = """
import keras
from nets.parts import head

def build(input_shape, classes, *, width: int = 4) -> keras.Model:
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, head(keras.layers.Dense(width)(x), classes))
"""
PARTS = """
import keras

def head(x, classes):
    return keras.layers.Dense(classes)(keras.layers.ReLU()(x))
"""
SCRIPT = """
import sys
import numpy as np
import ablation

model = ablation.load_model(sys.argv[1])
print(model.predict(np.full((1, 8, 8, 1), 100, np.uint8), verbose=0).tolist())
"""


def test_a_users_network_is_loaded_as_it_was_trained(cli, tmp_path):
    nets = tmp_path / "nets"
    nets.mkdir()
    (nets / "__init__.py").write_text("")
    (nets / "own.py").write_text(OWN)
    (nets / "parts.py").write_text(PARTS)
    # Another function of the user's in a file of the same name, whose copy lies beside.
    (tmp_path / "own.py").write_text("def alike(images, rng):\n    return images\n")
    keys = "arch=nets/own.py:build", "epochs=1", "dataset.image_size=8", "keep_checkpoints=1"
    keys += ("dataset.augment=own.py:alike",)
    done = cli(*keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (directory,) = store.run_directories(tmp_path / "runs" / "main")
    before = cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout
    assert before.startswith("[[")
    # Another net two imports away, and then none at all.
    (nets / "parts.py").write_text(PARTS.replace("ReLU", "Softmax"))
    assert cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout == before
    for file in nets.iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    nets.rmdir()
    assert cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout == before


@pytest.mark.parametrize(
    ("arch", "imports"),
    [
        ("ns.own:build", "from .parts import head"),
        ("ns/own.py:build", "from ns.parts import head"),
        ("elsewhere/own.py:build", "from ns.parts import head"),
    ],
)
def test_a_network_is_loaded_from_its_copy_wherever_its_modules_lay(cli, tmp_path, arch, imports):
    own = OWN.replace("from nets.parts import head", imports)
    assert imports in own
    for folder in ("ns", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(own)
    (tmp_path / "ns" / "parts.py").write_text(PARTS)
    keys = f"arch={arch}", "epochs=1", "dataset.image_size=8", "keep_checkpoints=1"
    done = cli(*keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (directory,) = store.run_directories(tmp_path / "runs" / "main")
    before = cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout
    assert before.startswith("[[")
    (tmp_path / "ns" / "parts.py").write_text(PARTS.replace("ReLU", "Softmax"))
    assert cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout == before
    shutil.rmtree(tmp_path / "ns")
    assert cli(str(directory), code=SCRIPT, cwd=tmp_path).stdout == before


VERSION = """
import keras

def build(input_shape, classes) -> keras.Model:
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(4, activation="relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes)(x))
"""
VERSIONS = """
import random, sys
import keras, numpy as np
import ablation

keras.utils.set_random_seed(1)
expected = random.random(), np.random.random()
keras.utils.set_random_seed(1)
for run in sys.argv[1:]:
    layers = ablation.load_model(run).layers[-1].layers
    print([layer.activation.__name__ for layer in layers if hasattr(layer, "activation")])
print((random.random(), np.random.random()) == expected, "nets" in sys.modules)
"""


def test_two_versions_of_a_network_are_loaded_side_by_side(cli, tmp_path):
    keys = "arch=nets.py:build", "epochs=1", "dataset.image_size=8", "keep_checkpoints=1"
    runs = []
    for kind in ("relu", "tanh"):
        (tmp_path / "nets.py").write_text(VERSION.replace("relu", kind))
        done = cli(*keys, f"study={kind}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        runs += store.run_directories(tmp_path / "runs" / kind)
    said = cli(*map(str, runs), *map(str, runs), code=VERSIONS, cwd=tmp_path).stdout
    assert said.splitlines() == [*["['relu', 'linear']", "['tanh', 'linear']"] * 2, "True False"]


@pytest.mark.parametrize(
    ("arch", "code", "copy"),
    [
        ("nets/own.py:build", ["nets", "nets.own", "nets.parts"], "nets/own.py"),
        ("gone/nets/own.py:build", ["nets", "nets.own"], "nets/own.py"),
        ("my_nets:build", ["my_nets", "my_nets.parts"], "my_nets/__init__.py"),
        ("my_nets.own:build", ["my_nets", "my_nets.own", "own"], "my_nets/own.py"),
        ("~/own.py:build", ["own", "parts"], "own.py"),
    ],
)
def test_the_copy_of_a_network_is_found_by_what_it_was_imported_as(tmp_path, arch, code, copy):
    for name in ("nets/own.py", "my_nets/__init__.py", "my_nets/own.py", "own.py", "parts.py"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    config = {"arch": arch, RECORD_KEY: {"source": dict.fromkeys(code, "edited since")}}
    assert trained_networks._arch(tmp_path, config) == f"{tmp_path / 'source' / copy}:build"

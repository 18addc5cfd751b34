import hashlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import ablation.networks
from ablation.networks import registry
from ablation.networks.build import build

IMAGENET = ["18", "34", "50", "101", "152"]
DEPTHS = [*IMAGENET, "8", "14", "20", "32", "44", "56", "110", "1202"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"arch": "35"}, ["arch='35'", *DEPTHS]),
        (
            {"shortcut": "identity"},
            ["'shortcut': 'identity'", "auto", "zero_pad", "projection_all", "projection3x3"],
        ),
        ({"stride_on": "2x2"}, ["'stride_on': '2x2'", "1x1", "3x3"]),
        ({"arch": "18", "input_shape": (31, 64, 3)}, ["(31, 64, 3)", "32 pixels"]),
        ({"arch": "50", "input_shape": (64, 28, 1)}, ["(64, 28, 1)", "32 pixels"]),
        ({"arch": "20", "input_shape": (3, 32, 3)}, ["(3, 32, 3)", "4 pixels"]),
        ({"arch": "preact15", "input_shape": (28, 3, 1)}, ["(28, 3, 1)", "4 pixels"]),
        ({"arch": "vgg16", "input_shape": (31, 32, 1)}, ["(31, 32, 1)", "32 pixels"]),
        ({"arch": "vgg16", "plain": True}, ["plain is no part of arch=vgg16", "Parts: none"]),
        ({"arch": "densenet121", "preact": True}, ["preact is no part of arch=densenet121"]),
        (
            {"arch": "preact15", "shortcut": "zero_pad"},
            ["shortcut is no part of arch=preact15", "Parts: plain"],
        ),
        ({"classes": 0}, ["classes=0", "1 or more"]),
    ],
    ids=str,
)
def test_a_bad_argument_is_named_beside_what_is_allowed(changed, told):
    usual = {"arch": "20", "input_shape": (32, 32, 3), "classes": 10}
    first = [changed.get(name, value) for name, value in usual.items()]
    parts = {name: level for name, level in changed.items() if name not in usual}
    with pytest.raises(ValueError, match="Received") as caught:
        build(*first, **parts)
    for text in told:
        assert text in str(caught.value)


@pytest.mark.parametrize(("arch", "smallest"), [("18", 32), ("50", 32), ("20", 4), ("110", 4)])
def test_the_smallest_image_ends_as_one_pixel(arch, smallest):
    model = build(arch, (smallest, smallest, 1), 2)
    assert model.get_layer("pool").input.shape[1:3] == (1, 1)
    assert model.input_shape == (None, smallest, smallest, 1)
    assert model.output_shape == (None, 2)


@pytest.mark.parametrize("arch", DEPTHS)
def test_auto_stands_for_the_papers_option(arch):
    assert registry.find(arch).settled({})["shortcut"] == (
        "projection" if arch in IMAGENET else "zero_pad"
    )


@pytest.mark.parametrize(("arch", "option"), [("20", "zero_pad"), ("18", "projection")])
@pytest.mark.parametrize("preact", [False, True])
def test_auto_builds_the_papers_option(arch, option, preact):
    auto, named = (
        build(arch, (32, 32, 3), 10, shortcut=shortcut, preact=preact).get_config()
        for shortcut in ("auto", option)
    )
    assert auto == named


def named_weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    for path, values in ours.items():
        np.testing.assert_array_equal(values, theirs[path])


@pytest.mark.parametrize("shortcut", ["zero_pad", "projection"])
def test_building_again_gives_the_same_names_and_weights(shortcut):
    first = build("20", (32, 32, 3), 10, shortcut=shortcut)
    build("32", (32, 32, 3), 10, preact=True)
    keras.layers.Conv2D(3, 3)(keras.Input((8, 8, 3)))
    keras.utils.set_random_seed(7)
    again = build("20", (32, 32, 3), 10, shortcut=shortcut)
    assert first.get_config() == again.get_config()
    assert_same(named_weights(first), named_weights(again))


def digest(model):
    parts = hashlib.sha256()
    for path, values in named_weights(model).items():
        parts.update(path.encode() + values.tobytes())
    return parts.hexdigest()


def test_another_process_starts_from_the_same_weights():
    # Each run of a study trains in a process of its own.
    script = "import test_build as t; print(t.digest(t.build('20', (8, 8, 3), 10, seed=3)))"
    paths = [Path(__file__).parent, Path(ablation.networks.__file__).parents[2]]
    child = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == digest(build("20", (8, 8, 3), 10, seed=3))


@pytest.mark.parametrize("shortcut", ["zero_pad", "projection"])
def test_another_seed_gives_other_kernels_in_every_layer(shortcut):
    zero, one = (
        named_weights(build("20", (8, 8, 3), 10, shortcut=shortcut, seed=seed)) for seed in (0, 1)
    )
    kernels = [path for path in zero if path.endswith("kernel")]
    assert len(kernels) >= 20
    for path in kernels:
        assert not np.isclose(zero[path], one[path]).all()
        correlation = np.corrcoef(zero[path].ravel(), one[path].ravel())[0, 1]
        assert abs(correlation) < 6 / np.sqrt(zero[path].size)


def test_the_image_size_and_the_classes_leave_the_other_weights():
    small, large = (
        named_weights(build("20", (size, size, 3), classes)) for size, classes in ((8, 2), (32, 10))
    )
    for path in small:
        if not path.startswith("logits"):
            np.testing.assert_array_equal(small[path], large[path])


@pytest.mark.parametrize(
    "variant",
    [{"shortcut": "zero_pad"}, {"shortcut": "projection", "preact": True}, {"plain": True}],
    ids=str,
)
def test_a_saved_model_predicts_the_same(variant, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, 8, 8, 3)).astype("float32")
    model = build("20", (8, 8, 3), 10, **variant)
    for _ in range(3):
        model(images, training=True)  # Moves the running statistics off their start.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(named_weights(model), named_weights(loaded))
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-6)

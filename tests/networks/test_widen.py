"""Networks with as many parameters as another has, found by counting."""

import json

import pytest

from ablation.networks.build import build
from ablation.networks.widen import WITHIN, widened, work

SHAPE = (32, 32, 3)


def _parameters(arch, **parts):
    return sum(w.numpy().size for w in build(arch, SHAPE, 10, **parts).trainable_weights)


@pytest.mark.parametrize("arch", ["18", "20"])
def test_a_resnet_of_usual_width_is_the_published_one(arch):
    assert _parameters(arch, width=1000) == _parameters(arch)


def test_half_the_width_is_about_a_quarter_of_the_parameters():
    assert _parameters("20", width=500) / _parameters("20") == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_any_width_can_be_normalised_in_groups(norm):
    assert _parameters("20", width=1037, norm=norm) > _parameters("20", norm=norm)


def test_a_net_without_squeeze_excitation_gets_its_parameters_back():
    full, own = _parameters("20", se=True), _parameters("20")
    assert own < (1 - WITHIN) * full
    level, parameters = widened(lambda width: _parameters("20", width=width), 1000, own, full)
    assert level > 1000 and abs(parameters - full) <= WITHIN * full


def test_the_closest_width_is_taken_and_few_are_counted():
    asked = []

    def count(width):
        asked.append(width)
        return 10 * width * width

    assert widened(count, 10, 1000, 2500) == (16, 2560)  # 15 gives 2,250.
    assert widened(count, 1, 10, 10 * 40**2) == (40, 16000)
    assert len(asked) < 30


def test_widths_that_a_network_refuses_are_passed_over():
    def count(width):
        return None if width % 4 else 10 * width

    assert widened(count, 4, 40, 123) == (12, 120)


@pytest.mark.parametrize(
    ("step", "start", "target", "level"),
    [(32, 96, 160, 160), (64, 192, 320, 320), (64, 64, 512, 512), (100, 100, 700, 700)],
)
def test_the_closest_of_widths_far_apart_is_found(step, start, target, level):
    def count(width):
        return None if width % step else width**2

    assert widened(count, start, start**2, target**2) == (level, target**2)


def test_a_network_of_a_few_widths_has_the_closest_of_them(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    described = {"arch": f"{tmp_path}/net.py:build", "shape": [4], "classes": 2, "vocabulary": None}
    full = described | {"parts": {"width": 16, "more": True}}
    search = described | {"parts": {"width": 16, "more": False}, "target": full}
    order = {"backend": "tensorflow", "searches": [search | {"levels": [16, 48, 64]}, search]}
    code, said = work(json.dumps(order))
    listed, searched = json.loads(said)
    assert not code and listed == searched
    assert (listed["level"], listed["target"]) == (48, 16 * 5 + 17 * 16 + 17 * 2)


NET = """
from typing import Literal
import keras

def build(input_shape, classes, *, width: Literal[16, 48, 64] = 16, more: bool = True):
    x = inputs = keras.Input(input_shape)
    x = keras.layers.Dense(width)(x)
    if more:
        x = keras.layers.Dense(width)(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))
"""


def test_a_network_that_grows_no_further_comes_as_close_as_it_can():
    assert widened(lambda width: min(width, 20), 10, 10, 100) == (20, 20)

"""A trained network's values in another that lacks a part of it."""

import keras
import numpy as np
import pytest

from ablation.networks.pairing import transplant


def _net(*, gate=True, name="hidden", units=8, bias=True):
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(8, activation="relu", name="first")(x)
    if gate:
        x = keras.layers.Dense(8, name="gate")(x)
    x = keras.layers.Dense(units, name=name, use_bias=bias)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.Dense(3, name="out")(x))


def _trained(**parts):
    model = _net(**parts)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if "seed" not in variable.name:
            variable.assign(rng.normal(size=variable.shape) ** 2)
    return model


def test_all_that_is_left_has_its_trained_values_running_statistics_too():
    trained, lesioned = _trained(), _net(gate=False)
    assert transplant(lesioned, trained) == ""
    for layer in lesioned.layers:
        if layer.weights:
            kind = type(layer)
            same = next(
                one
                for one in trained.layers
                if type(one) is kind and (one.name == layer.name or "batch" in one.name)
            )
            for ours, theirs in zip(layer.get_weights(), same.get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_the_same_network_says_the_same():
    trained, again = _trained(), _net()
    assert transplant(again, trained) == ""
    images = np.random.default_rng(1).random((5, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(trained(images).numpy(), again(images).numpy())


def test_what_nobody_trained_is_named():
    trained = _trained()
    said = transplant(_net(name="other"), trained)
    assert said == "these weights would be untrained: other kernel, other bias"
    wider = transplant(_net(units=9), trained)
    assert "hidden kernel" in wider and "out kernel" in wider
    assert "untrained: hidden kernel" in transplant(_net(), _trained(bias=False))


def _attending(blocks, *, positions):
    x = inputs = keras.Input((5, 8))
    if positions:
        x = keras.layers.Dense(8, name="positions")(x)
    for _ in range(blocks):
        x = keras.layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("blocks", [1, 3])
def test_names_that_several_layers_have_are_taken_by_their_place(blocks):
    trained, lesioned = (_attending(blocks, positions=does) for does in (True, False))
    assert transplant(lesioned, trained) == ""
    for ours, theirs in zip(lesioned.layers[1:], trained.layers[2:], strict=True):
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def _alike(*, without=None):
    x = inputs = keras.Input((8,))
    for place in range(6):
        if place != without:
            x = keras.layers.Dense(8)(x)
    return keras.Model(inputs, x)


def test_of_layers_that_nothing_tells_apart_none_is_taken_for_another():
    trained = _alike()
    assert transplant(_alike(), trained) == ""
    said = transplant(_alike(without=3), trained)
    assert "nobody can tell which trained layers these are" in said
    assert said.endswith("give each layer a name")

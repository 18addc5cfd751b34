"""The parts of the ResNets: what each adds, counted by hand, and where it changes nothing."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from ablation.networks import registry
from ablation.networks.build import build

SHAPE = (32, 32, 3)
CHANNELS = {"20": (16,) * 7 + (32,) * 6 + (64,) * 6, "34": None}
"""Of each convolution of the main path."""


def _trainable(**parts):
    model = build("20", SHAPE, 10, **parts)
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _kinds(model):
    return {type(layer) for layer in model.layers}


@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
def test_every_norm_has_a_scale_and_a_shift_for_each_channel(norm):
    assert _trainable(norm=norm) == _trainable()


def test_without_a_norm_every_convolution_has_a_bias_instead():
    # One number a channel instead of two.
    assert _trainable() - _trainable(norm="none") == sum(CHANNELS["20"])
    model = build("20", SHAPE, 10, norm="none")
    assert not _kinds(model) & {layers.BatchNormalization, layers.GroupNormalization}


@pytest.mark.parametrize(
    ("norm", "groups"), [("group", {16: 8, 32: 16, 64: 32}), ("layer", {16: 1, 32: 1, 64: 1})]
)
def test_groups_have_two_channels_or_more_and_a_layer_is_one_group(norm, groups):
    model = build("20", SHAPE, 10, norm=norm)
    norms = [one for one in model.layers if isinstance(one, layers.GroupNormalization)]
    assert len(norms) == 19
    assert {one.output.shape[-1]: one.groups for one in norms} == groups


@pytest.mark.parametrize("preact", [False, True])
def test_squeeze_excitation_adds_two_dense_layers_to_each_block(preact):
    # Channels / 16, but 4 or more: of 16, 32 and 64 channels, 4 each.
    added = sum(3 * (c * 4 + 4 + 4 * c + c) for c in (16, 32, 64))
    assert _trainable(se=True, preact=preact) - _trainable(preact=preact) == added
    model = build("20", SHAPE, 10, se=True, preact=preact)
    assert sum(isinstance(layer, layers.Multiply) for layer in model.layers) == 9


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "leaky_relu"])
def test_the_activation_is_the_one_that_was_asked_for_and_costs_nothing(activation):
    model = build("20", SHAPE, 10, activation=activation)
    assert model.count_params() == build("20", SHAPE, 10).count_params()
    names = [layer.name for layer in model.layers]
    assert sum(name.endswith(f"_{activation}") for name in names) == 19


def test_the_stems_change_places():
    cifar_on_34 = build("34", SHAPE, 10, stem="cifar").get_layer("stage4_block3_add").output.shape
    assert cifar_on_34 == (None, 4, 4, 512)
    assert build("34", SHAPE, 10).get_layer("stage4_block3_add").output.shape == (None, 1, 1, 512)
    assert build("20", SHAPE, 10, stem="imagenet").get_layer("stem_pool").output.shape[1:3] == (
        8,
        8,
    )


@pytest.mark.parametrize(
    ("arch", "stem", "smallest"),
    [("34", "cifar", 8), ("34", "auto", 32), ("20", "imagenet", 16), ("20", "auto", 4)],
)
def test_the_smallest_image_hangs_on_the_stem(arch, stem, smallest):
    model = build(arch, (smallest, smallest, 1), 2, stem=stem)
    assert model.get_layer("pool").input.shape[1:3] == (1, 1)
    with pytest.raises(ValueError, match=f"{smallest} pixels"):
        build(arch, (smallest - 1, smallest, 1), 2, stem=stem)


def test_zero_init_makes_every_block_its_shortcut_at_the_start():
    model = build("20", SHAPE, 10, zero_init_residual=True)
    images = np.random.default_rng(0).random((2, *SHAPE), np.float32)
    first = keras.Model(model.input, model.get_layer("stem_relu").output)
    last = keras.Model(model.input, model.get_layer("stage1_block3_relu").output)
    np.testing.assert_allclose(first(images), last(images), rtol=1e-6)
    usual = build("20", SHAPE, 10)
    first = keras.Model(usual.input, usual.get_layer("stem_relu").output)
    last = keras.Model(usual.input, usual.get_layer("stage1_block3_relu").output)
    assert np.abs(first(images) - last(images)).max() > 0.1


def test_stochastic_depth_drops_whole_branches_by_the_linear_rule():
    model = build("20", SHAPE, 10, stochastic_depth=0.5)
    drops = [one for one in model.layers if isinstance(one, layers.Dropout)]
    assert [one.rate for one in drops] == pytest.approx([0.5 * block / 9 for block in range(1, 10)])
    kept = np.asarray(drops[-1](np.ones((400, 2, 2, 3), np.float32), training=True))
    assert set(np.unique(kept)) == {0.0, 2.0}
    assert (kept.reshape(400, -1).std(axis=1) == 0).all()
    assert 0.4 < (kept[:, 0, 0, 0] > 0).mean() < 0.6


def test_dropout_leaves_out_single_features_before_the_classifier():
    model = build("20", SHAPE, 10, dropout=0.25)
    layer = model.get_layer("dropout")
    assert layer.rate == 0.25 and model.get_layer("logits").input is layer.output
    kept = np.asarray(layer(np.ones((400, 64), np.float32), training=True))
    np.testing.assert_allclose(np.unique(kept), [0, 4 / 3], rtol=1e-6)
    assert 0.73 < (kept > 0).mean() < 0.77
    assert not [one for one in build("20", SHAPE, 10).layers if isinstance(one, layers.Dropout)]


@pytest.mark.parametrize("part", ["stochastic_depth", "dropout"])
def test_a_rate_out_of_range_is_refused(part):
    with pytest.raises(ValueError, match=rf"parts\.{part}=1\.0 .*0 or more and below 1"):
        build("20", SHAPE, 10, **{part: 1.0})


@pytest.mark.parametrize(
    ("arch", "given", "changes_nothing"),
    [
        ("34", {"plain": True, "shortcut": "zero_pad"}, "shortcut"),
        ("34", {"plain": True, "stochastic_depth": 0.1}, "stochastic_depth"),
        ("34", {"stride_on": "3x3"}, "stride_on"),
        ("20", {"norm": "none", "zero_init_residual": True}, "zero_init_residual"),
        ("20", {"preact": True, "zero_init_residual": True}, "zero_init_residual"),
    ],
)
def test_where_a_part_changes_nothing_the_net_is_one_and_the_same(arch, given, changes_nothing):
    network = registry.find(arch)
    settled = network.settled(given)
    assert changes_nothing not in settled
    without = {key: level for key, level in given.items() if key != changes_nothing}
    assert settled == network.settled(without)
    one, other = (build(arch, SHAPE, 2, **parts).get_config() for parts in (given, without))
    assert one == other

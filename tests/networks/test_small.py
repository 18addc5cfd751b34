import itertools

import numpy as np
import pytest
from keras.layers import Add, Conv2D, Dense, Flatten, MaxPooling2D, ReLU
from test_resnet import lead_up, of_type, sources, types, weights

from ablation.networks.build import build
from ablation.networks.layers import BatchNormalization

SHAPE, CLASSES = (28, 28, 1), 10


@pytest.fixture(scope="module")
def arms():
    return [build("preact15", SHAPE, CLASSES, plain=plain) for plain in (True, False)]


def test_plain_is_one_chain_without_addition(arms):
    plain, _ = arms
    assert not of_type(plain, Add)
    for before, layer in itertools.pairwise(plain.layers):
        assert sources(layer) == [before]


def test_plain_is_the_residual_net_less_additions_and_shortcuts(arms):
    plain, residual = arms
    assert len(of_type(residual, Add)) == 6
    path = lead_up(residual.layers[-1], len(plain.layers) - 1 + 6)
    kept = [layer for layer in path if not isinstance(layer, Add)] + residual.layers[-1:]
    assert [x.get_config() for x in plain.layers] == [x.get_config() for x in kept]
    for ours, theirs in zip(plain.layers, kept, strict=True):
        for one, other in zip(weights(ours), weights(theirs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_unit_is_pre_activation_with_a_projection_where_the_width_changes(arms):
    _, residual = arms
    order = [BatchNormalization, ReLU, Conv2D] * 2
    for i, add in enumerate(of_type(residual, Add)):
        branch = lead_up(add, len(order))
        (before,), (_, around) = sources(branch[0]), sources(add)
        assert types(branch) == order
        assert [conv.kernel_size for conv in branch if type(conv) is Conv2D] == [(3, 3), (3, 3)]
        if i % 2:
            assert around is before
        else:
            assert (type(around), around.kernel_size) == (Conv2D, (1, 1))
            assert sources(around) == [before]


def test_stem_pools_and_head_are_as_documented(arms):
    for model in arms:
        assert types(model.layers[1:3]) == [Conv2D, ReLU]
        assert [pool.name for pool in of_type(model, MaxPooling2D)] == [
            "stage1_pool",
            "stage2_pool",
        ]
        assert types(model.layers[-4:]) == [Flatten, Dense, ReLU, Dense]
        assert all(conv.use_bias for conv in of_type(model, Conv2D))
        assert len(of_type(model, Conv2D)) - 3 * (model is arms[1]) + 2 == 15


def test_every_kernel_starts_from_seed_and_name(arms):
    for model in arms:
        kernels = [layer.kernel.numpy() for layer in of_type(model, (Conv2D, Dense))]
        assert len({kernel.ravel()[:8].tobytes() for kernel in kernels}) == len(kernels)
        for kernel in kernels:
            deviation = np.sqrt(2 / np.prod(kernel.shape[:-1]))
            assert kernel.std() == pytest.approx(deviation, rel=4 / np.sqrt(kernel.size))
    again, other = (build("preact15", SHAPE, CLASSES, seed=seed) for seed in (0, 1))
    for layer in of_type(again, (Conv2D, Dense)):
        first, differing = (model.get_layer(layer.name) for model in (arms[1], other))
        np.testing.assert_array_equal(layer.kernel, first.kernel)
        assert not np.isclose(layer.kernel, differing.kernel).all()


@pytest.mark.parametrize("size", [4, 5, 28, 33])
def test_images_from_four_pixels_give_finite_logits(size):
    images = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")
    for plain in (True, False):
        logits = build("preact15", (size, size, 3), CLASSES, plain=plain)(images).numpy()
        assert logits.shape == (2, CLASSES) and np.isfinite(logits).all()


@pytest.mark.usefixtures("mixed_bfloat16")
def test_logits_and_weights_stay_float32_under_mixed_precision():
    model = build("preact15", (8, 8, 1), CLASSES)
    assert model(np.ones((2, 8, 8, 1), "float32"), training=True).dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers[1:-1]} == {"bfloat16"}

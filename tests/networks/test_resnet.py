import itertools

import keras
import numpy as np
import pytest
from keras.layers import Add, Dense, GlobalAveragePooling2D, MaxPooling2D, ReLU

from ablation.networks.build import build
from ablation.networks.cost import count
from ablation.networks.layers import BatchNormalization, Conv2D, ZeroPadShortcut

SHAPE, CLASSES = (32, 32, 3), 10
BLOCKS = {"20": 9, "18": 8, "50": 16}
CONVS = {"20": 2, "18": 2, "50": 3}
VARIANTS = [
    ("20", "zero_pad"),
    ("20", "projection"),
    ("18", "projection3x3"),
    ("18", "projection_all"),
    ("50", "projection"),
]


def sources(layer):
    """The layers that feed it."""
    return [x._keras_history.operation for x in keras.tree.flatten(layer.input)]


def consumers(model, layer):
    return [other for other in model.layers[1:] if layer in sources(other)]


def lead_up(layer, length):
    """The `length` layers before it in order, not by way of shortcuts."""
    layers = []
    for _ in range(length):
        layer = sources(layer)[0]
        layers.insert(0, layer)
    return layers


def of_type(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def types(layers):
    return [type(layer) for layer in layers]


def weights(layer):
    return [weight.numpy() for weight in layer.weights]


@pytest.fixture(
    scope="module",
    params=[(*variant, preact) for variant in VARIANTS for preact in (False, True)],
    ids=lambda param: "-".join(map(str, param)),
)
def arms(request):
    """A variant, its plain net and its residual net."""
    arch, shortcut, preact = request.param
    plain, residual = (
        build(arch, SHAPE, CLASSES, plain=plain, shortcut=shortcut, preact=preact)
        for plain in (True, False)
    )
    return request.param, plain, residual


def test_plain_is_one_chain_without_addition_or_shortcut(arms):
    _, plain, _ = arms
    assert not of_type(plain, (Add, ZeroPadShortcut))
    for before, layer in itertools.pairwise(plain.layers):
        assert sources(layer) == [before]


def test_residual_adds_once_per_block(arms):
    (arch, *_), _, residual = arms
    assert len(of_type(residual, Add)) == BLOCKS[arch]


def test_plain_is_the_residual_net_less_additions_and_shortcuts(arms):
    _, plain, residual = arms
    additions = len(of_type(residual, Add))
    path = lead_up(residual.layers[-1], len(plain.layers) - 1 + additions)
    kept = [layer for layer in path if not isinstance(layer, Add)] + residual.layers[-1:]
    assert types(plain.layers) == types(kept)
    assert [x.get_config() for x in plain.layers] == [x.get_config() for x in kept]
    assert [[(w.path, w.shape) for w in x.weights] for x in plain.layers] == [
        [(w.path, w.shape) for w in x.weights] for x in kept
    ]


def test_both_arms_start_from_the_same_weights(arms):
    _, plain, residual = arms
    for layer in plain.layers:
        for ours, theirs in zip(
            weights(layer), weights(residual.get_layer(layer.name)), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_only_zero_pad_gives_both_arms_equal_counts(arms):
    (_, shortcut, _), plain, residual = arms
    same_parameters = (
        count(plain).trainable == count(residual).trainable
        and count(plain).total == count(residual).total
    )
    assert same_parameters == (shortcut == "zero_pad")


def check_he15_block(add, arch, shortcut, first):
    order = [Conv2D, BatchNormalization, ReLU] * CONVS[arch]
    branch = lead_up(add, len(order) - 1)
    (before,), (_, around) = sources(branch[0]), sources(add)
    assert types(branch) == order[:-1]
    assert type(before) is (MaxPooling2D if first and arch != "20" else ReLU)
    if around is not before and shortcut == "zero_pad":
        assert (type(around), sources(around)) == (ZeroPadShortcut, [before])
    elif around is not before:
        (conv,) = sources(around)
        assert types([conv, around]) == [Conv2D, BatchNormalization]
        assert sources(conv) == [before]


def check_he16_block(add, arch, shortcut, first):
    """He16 Fig. 4e; its shortcut carries what no block has activated."""
    order = [BatchNormalization, ReLU, Conv2D] * CONVS[arch]
    if first:  # The stem has activated what it gets.
        order = order[2:]
    branch = lead_up(add, len(order))
    (before,), (_, around) = sources(branch[0]), sources(add)
    assert types(branch) == order
    stem = ReLU if arch == "20" else MaxPooling2D
    assert type(before) is (stem if first else Add)
    if around is not before and shortcut == "zero_pad":
        assert (type(around), sources(around)) == (ZeroPadShortcut, [before])
    elif around is not before:
        assert type(around) is Conv2D
        assert sources(around) == sources(branch[order.index(Conv2D)])


def test_every_block_has_its_papers_order(arms):
    (arch, shortcut, preact), _, model = arms
    for i, add in enumerate(of_type(model, Add)):
        check = check_he16_block if preact else check_he15_block
        check(add, arch, shortcut, first=i == 0)


def test_only_preact_leaves_sums_to_the_next_block_and_activates_before_pooling(arms):
    (_, _, preact), _, model = arms
    after = [BatchNormalization, ReLU] if preact else [ReLU]
    tail = model.layers[-3 - len(after) :]
    assert types(tail) == [Add, *after, GlobalAveragePooling2D, Dense]
    assert lead_up(tail[-1], len(tail) - 1) == tail[:-1]
    for add in of_type(model, Add):
        assert (types(consumers(model, add)) == [ReLU]) == (not preact)


def test_both_arms_map_images_to_finite_logits(arms):
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    for model in arms[1:]:
        logits = model(images).numpy()
        assert logits.shape == (2, CLASSES)
        assert np.isfinite(logits).all()
        assert logits.std() > 0


@pytest.mark.parametrize(("stride_on", "strided"), [("1x1", 0), ("3x3", 1)])
def test_a_bottleneck_halves_the_image_in_the_named_convolution(stride_on, strided):
    model = build("50", SHAPE, CLASSES, stride_on=stride_on)
    halving = []
    for i, add in enumerate(of_type(model, Add)):
        branch = lead_up(add, 8)
        convs = [layer for layer in branch if type(layer) is Conv2D]
        assert [conv.kernel_size for conv in convs] == [(1, 1), (3, 3), (1, 1)]
        strides = [conv.strides for conv in convs]
        if strides != [(1, 1)] * 3:
            assert [j for j, step in enumerate(strides) if step == (2, 2)] == [strided]
            halving.append(i)
    assert halving == [3, 3 + 4, 3 + 4 + 6]


def test_every_convolution_is_bias_free(arms):
    for model in arms[1:]:
        assert not any(conv.use_bias for conv in of_type(model, Conv2D))


def test_every_kernel_starts_as_in_he_et_al(arms):
    for model in arms[1:]:
        for layer in of_type(model, (Conv2D, Dense)):
            kernel = layer.kernel.numpy()
            fan_in = np.prod(kernel.shape[:-1])
            # Of n draws the sample's own error is about 0.7 / sqrt(n).
            assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=4 / np.sqrt(kernel.size))
            assert abs(kernel.mean()) < 5 * np.sqrt(2 / fan_in / kernel.size)
            # Normal, not cut off: one draw in twenty lies beyond two deviations.
            assert kernel.size < 1000 or np.abs(kernel).max() > 2.5 * np.sqrt(2 / fan_in)


def test_no_two_kernels_start_alike(arms):
    for model in arms[1:]:
        kernels = [layer.kernel.numpy() for layer in of_type(model, (Conv2D, Dense))]
        assert len({kernel.ravel()[:8].tobytes() for kernel in kernels}) == len(kernels)


def test_batch_normalisation_is_as_documented(arms):
    for model in arms[1:]:
        norms = of_type(model, keras.layers.BatchNormalization)
        assert {type(norm) for norm in norms} == {BatchNormalization}
        assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}


def test_outputs_are_logits():
    model = build("20", (8, 8, 3), CLASSES)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    pooled = np.asarray(keras.Model(model.input, model.layers[-1].input)(images))
    kernel, bias = weights(model.layers[-1])
    np.testing.assert_allclose(model(images), pooled @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("mixed_bfloat16")
@pytest.mark.parametrize("preact", [False, True])
def test_logits_and_weights_stay_float32_under_mixed_precision(preact):
    model = build("20", (8, 8, 3), CLASSES, preact=preact)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    assert model(images, training=True).dtype == "float32"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    between = model.layers[1:-1]
    assert {layer.compute_dtype for layer in between} == {"bfloat16"}
    assert {layer.output.dtype for layer in between} == {"bfloat16"}

import random

import keras
import numpy as np
import pytest
from keras import layers

from ablation.analysis.starts import shared
from ablation.networks import pairing
from ablation.networks.pairing import initial_digests, pair


def _norm(x, norm):
    if norm == "batch":
        return layers.BatchNormalization()(x)
    return layers.GroupNormalization(4)(x) if norm == "group" else x


def _excited(x):
    gate = layers.Dense(2, activation="relu")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(x.shape[-1], activation="sigmoid")(gate)
    return x * layers.Reshape((1, 1, x.shape[-1]))(gate)


def _block(x, width, se, shortcut, norm, first, bias):
    """A bottleneck whose third convolution and projection have one shape, if x has 4 channels."""
    options = {"use_bias": bias, "padding": "same"}

    def branch():
        y = x
        for filters, kernel in ((4, 1), (4, 3), (width, 1)):
            y = layers.Conv2D(filters, kernel, **options)(y)
            y = layers.ReLU()(_norm(y, norm)) if filters != width else _norm(y, norm)
        return _excited(y) if se else y

    def around():
        if not shortcut or x.shape[-1] == width:
            return x
        return _norm(layers.Conv2D(width, 1, **options)(x), norm)

    if first == "branch":
        y = branch()
        z = around()
    else:  # Made in another order, which is not the order of the graph.
        z = around()
        y = branch()
    return layers.ReLU()(layers.Add()([y, z]) if shortcut else y)


def _net(se=True, shortcut=True, norm="batch", blocks=3, first="branch", bias=False, dropout=True):
    """A residual net whose layers have the names and random draws that Keras gives them."""
    inputs = keras.Input((6, 6, 3))
    x = _norm(layers.Conv2D(4, 3, padding="same", use_bias=bias)(inputs), norm)
    for _ in range(blocks):
        x = _block(x, 8, se, shortcut, norm, first, bias)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.5)(x) if dropout else x
    return keras.Model(inputs, layers.Dense(3)(x))


def _paired(build, seed=0, reference=None, **parts):
    """A network after others were built, as in a process of its own, and its reference."""
    random.seed(seed)
    against = build(**(reference or {}))
    model = build(**parts)
    pair(model, against, seed)
    return model, against


def _kernels(model):
    return [one for one in model.trainable_variables if len(one.shape) > 1]


def _equal(a, b):
    """How many parameters of kernels, which are drawn, start equal."""
    return shared(
        *(
            [
                found
                for found, one in zip(initial_digests(m), m.trainable_variables, strict=True)
                if len(one.shape) > 1
            ]
            for m in (a, b)
        )
    )


def _size(model):
    return sum(int(np.prod(one.shape)) for one in _kernels(model))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"se": False},
        {"shortcut": False},
        {"norm": "none"},
        {"norm": "group"},
        {"blocks": 2},
        {"bias": True},
        {"dropout": False},
        {"first": "shortcut"},
        {"se": False, "shortcut": False, "norm": "none", "first": "shortcut", "bias": True},
    ],
    ids=str,
)
def test_every_kernel_of_a_net_without_some_parts_starts_as_in_the_reference(parts):
    model, reference = _paired(_net, **parts)
    assert _equal(model, reference) == _size(model) > 0
    unpaired = _net(**parts)
    assert _equal(unpaired, reference) == 0


def test_the_reference_itself_is_untouched_and_constants_stay():
    random.seed(1)
    reference, model = _net(), _net(se=False)
    before = [keras.ops.convert_to_numpy(one.value) for one in reference.weights]
    gammas = [one for one in model.trainable_variables if one.name == "gamma"]
    gammas[0].assign(gammas[0] * 0)
    pair(model, reference, 0)
    assert not keras.ops.convert_to_numpy(gammas[0].value).any()
    for value, one in zip(before, reference.weights, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(one.value))


def _forked(shortcut=True, branch=True):
    """A sum of two dense layers of one shape, one of them with a ReLU."""
    inputs = keras.Input((4,))
    paths = [layers.Dense(4)(inputs)] if shortcut else []
    paths += [layers.ReLU()(layers.Dense(4)(inputs))] if branch else []
    return keras.Model(inputs, layers.Dense(2)(layers.Add()(paths) if paths[1:] else paths[0]))


@pytest.mark.parametrize("left_out", ["shortcut", "branch"])
def test_what_surrounds_a_layer_tells_it_from_another_of_its_shape(left_out):
    model, reference = _paired(_forked, **{left_out: False})
    # By depth, as Keras sorts them, the layer in front of the ReLU comes first.
    on_branch, around = (kernel.numpy() for kernel in _kernels(reference)[:2])
    kernel = _kernels(model)[0].numpy()
    assert np.array_equal(kernel, on_branch) == (left_out == "shortcut")
    assert np.array_equal(kernel, around) == (left_out == "branch")


def test_what_the_reference_lacks_is_alike_in_all_that_have_it():
    one, reference = _paired(_net, seed=3, reference={"se": False}, norm="none")
    layers.Dense(5)  # Names and draws shift.
    two, _ = _paired(_net, seed=3, reference={"se": False}, shortcut=False)
    assert _equal(two, reference) < _size(two)
    assert _equal(one, two) == _size(two)
    other_seed, _ = _paired(_net, seed=4, reference={"se": False}, norm="none")
    assert _equal(one, other_seed) == 0


def test_what_is_drawn_anew_is_drawn_as_before_and_moves_no_generator():
    random.seed(0)
    reference, model = _net(se=False), _net()
    state = random.getstate(), np.random.get_state()[1].tolist()
    before = [keras.ops.convert_to_numpy(one.value) for one in _kernels(model)]
    pair(model, reference, 0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state
    assert len({one.numpy().tobytes() for one in _kernels(model)}) == len(before)
    for value, one in zip(before, _kernels(model), strict=True):
        assert one.numpy().std() == pytest.approx(value.std(), rel=1)
        assert abs(one.numpy()).max() <= np.sqrt(6 / sum(_fans(value.shape)))


def _fans(shape):
    return [int(np.prod(shape[:-2])) * width for width in shape[-2:]]


def test_other_initializers_and_other_widths_are_not_shared():
    def build(kind="he_normal", width=4):
        dense = [layers.Dense(width, kernel_initializer=kind), layers.Dense(7)]
        return keras.Sequential([keras.Input((5,)), *dense])

    model, reference = _paired(build, kind="glorot_uniform")
    assert _equal(model, reference) == 4 * 7
    model, reference = _paired(build, width=6)
    assert _equal(model, reference) == 0


def test_dropout_draws_alike():
    def build(dense=True):
        kept = [layers.Dense(5)] if dense else []
        return keras.Sequential([keras.Input((5,)), *kept, layers.Dropout(0.5)])

    model, reference = _paired(build, dense=False)
    states = [net.layers[-1].seed_generator.state.numpy().tolist() for net in (model, reference)]
    assert states[0] == states[1]


class Squeeze(layers.Layer):
    """A composite layer with a weight of its own."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.inner = layers.Dense(width)

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1], 2), initializer="glorot_uniform")
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * keras.ops.mean(self.scale)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Subclassed(keras.Model):
    def __init__(self, squeeze=True, backwards=False):
        super().__init__()
        self.squeeze = Squeeze(6) if squeeze else None
        made = [lambda: setattr(self, "first", layers.Dense(6))]
        made.append(lambda: setattr(self, "last", layers.Dense(2)))
        for make in reversed(made) if backwards else made:
            make()

    def call(self, x):
        x = self.first(x)
        return self.last(self.squeeze(x) if self.squeeze else x)


def _subclassed(**parts):
    model = Subclassed(**parts)
    model(keras.ops.ones((1, 4)))
    return model


@pytest.mark.parametrize("parts", [{}, {"squeeze": False}, {"backwards": True}], ids=str)
def test_subclassed_networks_share_their_layers(parts):
    model, reference = _paired(_subclassed, **parts)
    assert _equal(model, reference) == _size(model) > 0


def test_weights_of_a_composite_layer_itself_are_drawn_anew_too():
    one, reference = _paired(_subclassed, reference={"squeeze": False})
    two, _ = _paired(_subclassed, reference={"squeeze": False}, backwards=True)
    assert _equal(one, reference) == 4 * 6 + 6 * 2
    assert _equal(one, two) == _size(one) == 4 * 6 + 6 * 2 + 6 * 6 + 6 * 2


def _nested(inner=3, head=True):
    inputs = keras.Input((4,))
    block = keras.Sequential([layers.Dense(4, activation="relu") for _ in range(inner)])
    x = block(inputs) + inputs
    shared_twice = layers.Dense(4)
    x = shared_twice(shared_twice(x))
    return keras.Model(inputs, layers.Dense(2)(x) if head else x)


@pytest.mark.parametrize("parts", [{}, {"inner": 1}, {"head": False}], ids=str)
def test_nested_networks_and_layers_used_twice_share_theirs(parts):
    model, reference = _paired(_nested, **parts)
    assert _equal(model, reference) == _size(model) > 0


def _named(parts=("a", "b", "c")):
    inputs = x = keras.Input((4,))
    for name in parts:
        x = layers.Dense(4, name=name)(x)
    return keras.Model(inputs, x)


def test_names_that_an_author_gave_decide_first():
    model, reference = _paired(_named, parts=("c", "a"))
    for name in ("a", "c"):
        kernels = [net.get_layer(name).kernel.numpy() for net in (model, reference)]
        np.testing.assert_array_equal(*kernels)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ValueError, match="has no weights yet"):
        pair(keras.Sequential([layers.Dense(3)]), _named(), 0)


def test_shared_counts_each_parameter_once():
    a = [("0f", 9), ("0f", 9), ("77", 4)]
    assert shared(a, [["0f", 9], ["77", 4], ["12", 4]]) == 13
    assert shared(a, a) == 22
    assert shared(a, []) == 0


def test_digests_tell_shapes_and_bytes_apart():
    digests = initial_digests(_named())
    assert [size for _, size in digests] == [16, 4] * 3
    assert len({code for code, _ in digests}) == 4  # Three kernels, and biases all alike.


@pytest.mark.parametrize("size", [8, 72, 144])
@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace"])
def test_two_draws_of_one_distribution_are_no_work_of_an_author(size, draw):
    rng = np.random.default_rng(0)
    draws = getattr(rng, draw)(size=(2000, 2, size))
    assert all(pairing._are_drawn_alike(one, other) for one, other in draws)


@pytest.mark.parametrize("factor", [-1, 0.1, 5])
def test_a_draw_that_was_multiplied_or_widened_is(factor):
    one, other = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32)
    assert not pairing._are_drawn_alike(one, factor * one)
    assert pairing._are_drawn_alike(one, factor * other) == (factor == -1)

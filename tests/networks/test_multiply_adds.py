"""Each kind of layer is counted as a hand counts it."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.ops import matmul

from ablation.networks.multiply_adds import count_multiply_adds


def counted(shape, *parts):
    model = keras.Sequential([keras.Input(shape), *parts])
    return count_multiply_adds(model)


# fmt: off
BY_HAND = [
    ((8, 8, 2), lambda: layers.Conv2D(5, 3, strides=2, padding="same"), 4 * 4 * 3 * 3 * 2 * 5),
    ((8, 8, 4), lambda: layers.Conv2D(6, 3, groups=2), 6 * 6 * 3 * 3 * 2 * 6),
    ((8, 8, 4), lambda: layers.Conv2D(6, 3, dilation_rate=2, padding="same"), 8 * 8 * 9 * 4 * 6),
    ((10, 2), lambda: layers.Conv1D(5, 3), 8 * 3 * 2 * 5),
    ((4, 4, 4, 2), lambda: layers.Conv3D(5, 3, padding="same"), 64 * 27 * 2 * 5),
    ((4, 4, 2), lambda: layers.Conv2DTranspose(5, 3, strides=2), 4 * 4 * 3 * 3 * 5 * 2),
    ((8, 8, 4), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), 36 * 9 * 4 * 2),
    ((8, 8, 4), lambda: layers.SeparableConv2D(6, 3, padding="same"), 64 * (9 * 4 + 4 * 6)),
    ((7,), lambda: layers.Dense(5), 7 * 5),
    ((3, 7), lambda: layers.Dense(5), 3 * 7 * 5),
    ((3, 8), lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 4)), 3 * 8 * 2 * 4),
    ((3, 8), lambda: layers.EinsumDense("...x,xy->...y", 5), 3 * 8 * 5),
    ((6, 3), lambda: layers.LSTM(4), 6 * (3 * 16 + 4 * 16)),
    ((6, 3), lambda: layers.GRU(4, return_sequences=True), 6 * (3 * 12 + 4 * 12)),
    ((6, 3), lambda: layers.SimpleRNN(4), 6 * (3 * 4 + 4 * 4)),
    ((6, 3), lambda: layers.Bidirectional(layers.LSTM(4)), 2 * 6 * (3 * 16 + 4 * 16)),
    ((6, 3), lambda: layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)]),
        6 * ((3 + 4) * 16 + (4 + 2) * 8)),
    ((5, 6, 6, 2), lambda: layers.ConvLSTM2D(3, 3, padding="same"), 5 * 36 * (9 * 2 + 9 * 3) * 12),
    ((6, 3), lambda: layers.TimeDistributed(layers.Dense(4)), 6 * 3 * 4),
    ((4, 8, 8, 2), lambda: layers.TimeDistributed(layers.Conv2D(5, 3)), 4 * 36 * 9 * 2 * 5),
    ((9,), lambda: layers.Embedding(10, 4), 0),
    ((8, 8, 2), lambda: layers.BatchNormalization(), 0),
    ((8, 8, 2), lambda: layers.LayerNormalization(), 0),
    ((8, 8, 2), lambda: layers.LayerNormalization(axis=(1, 2, 3)), 0),
    ((8, 8, 2), lambda: layers.PReLU(), 0),
    ((8, 8, 2), lambda: layers.AveragePooling2D(2), 0),
]
# fmt: on


@pytest.mark.parametrize(
    ("shape", "make", "expected"),
    BY_HAND,
    ids=[make.__code__.co_names[1] for _, make, _ in BY_HAND],
)
def test_each_kind_of_layer(shape, make, expected):
    found = counted(shape, make())
    assert (found.total, found.uncounted) == (expected, {})


def test_attention_counts_its_projections_scores_and_values():
    tokens = keras.Input((5, 8))
    attended = layers.MultiHeadAttention(2, 3, value_dim=4)(tokens, tokens)
    found = count_multiply_adds(keras.Model(tokens, attended))
    projections = 5 * 8 * 2 * (3 + 3 + 4) + 5 * (2 * 4) * 8
    assert found.total == projections + 2 * 5 * 5 * (3 + 4)
    grid = keras.Input((6, 5, 8))
    axial = layers.MultiHeadAttention(2, 3, attention_axes=(2,))(grid, grid)
    found = count_multiply_adds(keras.Model(grid, axial))
    assert found.total == 6 * 5 * 8 * 2 * 3 * 4 + 2 * 6 * (5 * 5) * (3 + 3)
    grouped = layers.GroupQueryAttention(3, 4, 2)(tokens, tokens)
    found = count_multiply_adds(keras.Model(tokens, grouped))
    assert found.total == 5 * 8 * 3 * (4 + 2 + 2 + 4) + 4 * 5 * 5 * (3 + 3)
    query, mask = keras.Input((3, 8)), ops.ones((1, 3, 5))
    for masked in ({}, {"attention_mask": mask}, {"query_mask": mask[:, :, 0]}):
        named = layers.MultiHeadAttention(2, 4)(query=query, value=tokens, **masked)
        found = count_multiply_adds(keras.Model([query, tokens], named))
        projections = (3 + 5 + 5) * 8 * 2 * 4 + 3 * (2 * 4) * 8
        assert found.total == projections + 2 * 3 * 5 * (4 + 4)
    simple = layers.Attention()([tokens, tokens])
    assert count_multiply_adds(keras.Model(tokens, simple)).total == 5 * 5 * (8 + 8)


def test_operations_in_the_graph_of_a_functional_model():
    tokens = keras.Input((5, 8))
    scores = ops.einsum("bij,bkj->bik", tokens, tokens)
    model = keras.Model(tokens, ops.matmul(scores, tokens))
    assert count_multiply_adds(model).total == 5 * 5 * 8 + 5 * 5 * 8
    two = keras.Model(tokens, layers.Dot(axes=2)([tokens, tokens]))
    assert count_multiply_adds(two).total == 5 * 5 * 8


def test_each_operation_in_a_graph_and_in_a_layer():
    images, heads = keras.Input((8, 8, 4)), keras.Input((5, 2, 3))
    kernel = np.ones((3, 3, 4, 2), "float32")
    cases = [
        (images, lambda x: ops.depthwise_conv(x, kernel, padding="same"), 64 * 9 * 4 * 2),
        (
            images,
            lambda x: ops.separable_conv(x, kernel, np.ones((1, 1, 8, 6), "float32")),
            36 * (9 * 4 * 2 + 8 * 6),
        ),
        (
            images,
            lambda x: ops.conv_transpose(x, np.ones((3, 3, 5, 4), "float32"), 2),
            64 * 9 * 5 * 4,
        ),
        (heads, lambda x: ops.dot_product_attention(x, x, x), 2 * 5 * 5 * (3 + 3)),
        (heads, lambda x: matmul(x, np.ones((3, 7), "float32")), 5 * 2 * 3 * 7),
    ]
    for given, function, expected in cases:
        assert count_multiply_adds(keras.Model(given, function(given))).total == expected
        own = keras.Model(given, Calls(function)(given))
        assert count_multiply_adds(own).total == expected + 3 * 3


class Calls(keras.Layer):
    """A layer of a user's own, of a layer and of an operation that it calls by any name."""

    def __init__(self, function):
        super().__init__()
        self.function, self.inside = function, layers.Dense(3)

    def call(self, x):
        self.inside(ops.ones((1, 3)))
        return self.function(x)


def test_a_shared_layer_counts_each_time_it_is_called():
    images, conv = keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="shared")
    found = count_multiply_adds(keras.Model(images, conv(conv(images))))
    assert found.by_layer["shared"] == 2 * 64 * 9 * 3 * 3


def test_a_nested_model_counts_below_its_name():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(6), layers.Dense(2)], name="inner")
    outer = keras.Sequential([keras.Input((3,)), layers.Dense(4, name="first"), inner])
    assert count_multiply_adds(outer).by_layer == {"first": 12, "inner": 24 + 12}


class Mixer(keras.Layer):
    """A layer of a user's own, of layers and of an operation."""

    def __init__(self):
        super().__init__(name="mixer")
        self.inside = layers.Dense(4)

    def call(self, x):
        return ops.matmul(self.inside(x), ops.transpose(x, (0, 2, 1)))


class OwnWeights(keras.Layer):
    """A layer that multiplies by weights of its own in a way that nobody can see."""

    def build(self, shape):
        self.own = self.add_weight(shape=(shape[-1], 5))

    def call(self, x):
        return x @ self.own


class Crossed(keras.Layer):
    """A layer that multiplies values with values by the sign."""

    def call(self, x):
        return x @ ops.transpose(x, (0, 2, 1))


def test_a_layer_of_the_users_own_counts_what_it_calls():
    found = counted((3, 4), Mixer())
    assert (found.total, found.uncounted) == (3 * 4 * 4 + 3 * 3 * 4, {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: OwnWeights(name="odd"),
        lambda: Crossed(name="odd"),
        lambda: layers.Lambda(lambda x: x, name="odd"),
        lambda: layers.RNN(type("Cell", (layers.SimpleRNNCell,), {})(4), name="odd"),
    ],
    ids=["own weights", "the sign", "Lambda", "own cell"],
)
def test_what_cannot_be_counted_is_named(make):
    layer = make()
    found = counted((3, 4), layers.Dense(4), layer)
    assert found.uncounted == {"odd": type(layer).__name__}
    assert found.total == 3 * 4 * 4


def test_what_meets_examples_of_any_size_is_named():
    tokens = keras.Input((None, 4))
    found = count_multiply_adds(keras.Model(tokens, layers.Dense(2, name="any")(tokens)))
    assert (found.total, found.uncounted) == (0, {"any": "Dense"})

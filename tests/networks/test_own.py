"""A network of the user's own as it is built, in this process."""

import keras
import numpy as np
import pytest

from ablation.analysis.starts import shared
from ablation.config import UserError
from ablation.networks.build import build
from ablation.networks.own import STARTS
from ablation.networks.pairing import initial_digests

HEAD = """
import keras
import numpy as np
from keras import layers
"""


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Writes a file of networks; returns what builds its function `build` for 8x8 images."""
    monkeypatch.chdir(tmp_path)

    def write(code):
        (tmp_path / "nets.py").write_text(HEAD + code)
        return lambda **parts: build("nets.py:build", (8, 8, 1), 3, **parts)

    return write


PRETRAINED = """
def build(input_shape, classes, *, units: int = 8, pretrained: bool = True, gain: float = 1.0,
          deep: bool = True):
    x = inputs = keras.Input(input_shape)
    x = features = layers.Dense(units, name="features")(layers.Flatten()(x))
    x = layers.Dense(16, name="middle")(x)
    x = layers.Dense(16)(x) if deep else x
    model = keras.Model(inputs, layers.Dense(classes, name="head")(x))
    if pretrained:
        kernel = np.random.default_rng(units).normal(size=(64, units))
        model.get_layer("features").kernel.assign(kernel)
    kernel = model.get_layer("middle").kernel
    kernel.assign(kernel * gain)
    return model
"""


def _kernel(model, layer):
    return model.get_layer(layer).kernel.numpy()


def test_weights_that_the_function_sets_stay_and_are_no_other_arms(built):
    network = built(PRETRAINED)
    full, large, drawn = network(), network(units=16), network(pretrained=False)
    expected = np.random.default_rng(16).normal(size=(64, 16))
    np.testing.assert_allclose(_kernel(large, "features"), expected, rtol=1e-6)
    assert abs(_kernel(drawn, "features")).max() < np.sqrt(6 / (64 + 8))
    for model in (large, drawn):
        np.testing.assert_array_equal(_kernel(model, "head"), _kernel(full, "head"))
    said = "the function itself sets weights of features"
    assert [list(getattr(one, STARTS)) for one in (full, large, drawn)] == [[], [], [said]]


@pytest.mark.parametrize("deep", [True, False])
def test_weights_that_were_changed_after_their_draw_stay(deep, built):
    network = built(PRETRAINED)
    full, scaled = network(), network(gain=5.0, deep=deep)
    assert _kernel(scaled, "middle").std() == pytest.approx(
        5 * _kernel(full, "middle").std(), rel=0 if deep else 0.2, abs=1e-6
    )
    np.testing.assert_array_equal(_kernel(scaled, "head"), _kernel(full, "head"))
    assert list(getattr(scaled, STARTS)) == ["the function itself sets weights of middle"]


def test_nothing_is_said_of_networks_whose_weights_are_all_drawn(built):
    network = built(PRETRAINED.replace("pretrained: bool = True", "pretrained: bool = False"))
    full, other = network(), network(deep=False)
    assert list(getattr(other, STARTS)) == []
    digests = initial_digests(other)
    assert shared(initial_digests(full), digests) == sum(size for _, size in digests)


OF_ITS_OWN = """
class Net(keras.Model):
    def METHOD(self, *args, **kwargs):
        return RETURNED

def build(input_shape, classes):
    inputs = keras.Input(input_shape)
    outputs = layers.Dense(classes)(layers.Flatten()(inputs))
    return Net(inputs, outputs)
"""


@pytest.mark.parametrize("method", ["train_step", "test_step", "predict_step", "compute_loss"])
def test_a_model_with_its_own_step_is_refused(method, built):
    network = built(OF_ITS_OWN.replace("METHOD", method).replace("RETURNED", "None"))
    with pytest.raises(UserError, match=f"Net has its own {method}, which is not used here"):
        network()


def test_a_functional_model_with_its_own_call_does_what_that_says(built):
    code = OF_ITS_OWN.replace("METHOD", "call")
    returned = "keras.ops.softmax(2 * super().call(*args, **kwargs))"
    model = built(code.replace("RETURNED", returned))()
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    layer = next(one for one in model.layers if type(one).__name__ == "Net")
    dense = next(one for one in layer.layers if one.weights)
    expected = 2 * images.reshape(4, -1) @ dense.kernel.numpy()
    found = model(images).numpy()
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("of_softmax", [False, True])
def test_a_head_that_begins_with_equal_shares_is_told_from_a_softmax(built, of_softmax):
    code = """
def build(input_shape, classes):
    shares = keras.initializers.Constant(1 / classes)
    head = layers.Dense(classes, kernel_initializer="zeros", bias_initializer=shares)
    inputs = keras.Input(input_shape)
    x = head(layers.Flatten()(inputs))
    return keras.Model(inputs, END)
"""
    model = built(code.replace("END", "layers.Softmax()(x)" if of_softmax else "x"))()
    found = model(np.zeros((1, 8, 8, 1), np.float32)).numpy()
    expected = np.log(1 / 3) if of_softmax else 1 / 3
    np.testing.assert_allclose(found, np.full((1, 3), expected), rtol=1e-6)


DECLARED = """
def build(input_shape, classes, *, vocabulary: int = 0):
    inputs = keras.Input(input_shape, dtype="DTYPE")
    x = layers.Embedding(vocabulary, 4)(inputs) if vocabulary else inputs
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))
"""


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_an_input_that_would_cut_off_decimals_is_refused(dtype, built):
    with pytest.raises(UserError, match=f"has an input of {dtype}, which cannot hold floats, norm"):
        built(DECLARED.replace("DTYPE", dtype))()


@pytest.mark.parametrize(
    ("dtype", "vocabulary", "holds"),
    [
        ("uint8", 256, True),
        ("uint8", 257, False),
        ("int32", 1000, True),
        ("float32", 1000, True),
        ("bfloat16", 1000, False),
    ],
)
def test_an_input_of_tokens_holds_all_of_them(dtype, vocabulary, holds, built):
    built(DECLARED.replace("DTYPE", dtype))

    def network():
        return build("nets.py:build", (6,), 3, vocabulary=vocabulary)

    if holds:
        assert network().output_shape == (None, 3)
    else:
        with pytest.raises(UserError, match=f"{dtype}, which cannot hold {vocabulary} tokens"):
            network()


ENDS = """
class Subclassed(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flatten, self.head = layers.Flatten(), layers.Dense(classes)

    def call(self, x):
        return keras.ops.sigmoid(self.head(self.flatten(x)))

def build(input_shape, classes, *, end: str = ""):
    if end == "subclassed":
        return Subclassed(classes)
    inputs = keras.Input(input_shape)
    x = layers.Flatten()(inputs)
    x = layers.LayerNormalization()(layers.Dense(4, activation="relu")(x))
    if end == "zero":
        x = layers.Dense(classes, kernel_initializer="zeros")(x)
    elif end == "positive":
        small, half = keras.initializers.RandomNormal(0, 1e-3), keras.initializers.Constant(0.5)
        x = layers.Dense(classes, kernel_initializer=small, bias_initializer=half)(x)
    else:
        x = layers.Dense(classes)(x)
    if end == "activation":
        x = layers.Activation("sigmoid")(x)
    elif end == "operation":
        x = keras.ops.sigmoid(x)
    elif end == "nested":
        x = keras.Sequential([keras.Input((classes,)), layers.Activation("hard_sigmoid")])(x)
    elif end == "relu":
        x = layers.ReLU()(x)
    return keras.Model(inputs, x)
"""


@pytest.mark.parametrize("end", ["activation", "operation", "nested", "subclassed"])
@pytest.mark.parametrize("classes", [1, 3])
def test_a_network_that_ends_in_a_sigmoid_is_refused(end, classes, built):
    built(ENDS)
    with pytest.raises(UserError, match="as behind a sigmoid"):
        build("nets.py:build", (8, 8, 1), classes, end=end)


@pytest.mark.parametrize("end", ["linear", "zero", "positive", "relu"])
@pytest.mark.parametrize("classes", [1, 3])
def test_logits_that_are_small_by_chance_are_no_probabilities(end, classes, built):
    built(ENDS)
    model = build("nets.py:build", (8, 8, 1), classes, end=end)
    head = [one for one in model.layers if one.weights][-1]
    biases = head.bias.numpy()
    assert (biases == (0.5 if end == "positive" else 0)).all()  # Weights are as before.


def test_a_module_that_is_imported_while_a_network_is_built_belongs_to_the_code(built, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "units_of_a_net.py").write_text("UNITS = 3")
    network = built(
        "import sys\ndef build(input_shape, classes):\n"
        f"    sys.path.append({str(tmp_path / 'far')!r})\n    import units_of_a_net\n"
        "    return keras.Sequential([layers.Flatten(), layers.Dense(units_of_a_net.UNITS)])\n"
    )
    with pytest.raises(UserError, match=r"nets\.py imports units_of_a_net from"):
        network()


FULL = """
def build(input_shape, classes, *, res: bool = True, deep: bool = True):
    if res and deep:
        WRONG
    return keras.Sequential([layers.Flatten(), layers.Dense(classes)])
"""


def test_a_full_network_that_is_refused_is_said(built):
    model = built(FULL.replace("WRONG", 'raise ValueError("not both")'))(res=False)
    said = "no layer: the function refuses the full network (not both)"
    assert list(getattr(model, STARTS)) == [said]


def test_an_error_in_the_full_network_is_no_refusal(built):
    network = built(FULL.replace("WRONG", "undefined"))
    with pytest.raises(UserError, match=r"the full network, .*: nets\.py, line 8: NameError"):
        network(res=False)


def test_a_network_has_one_input(built):
    network = built(
        "def build(input_shape, classes):\n"
        "    inputs = [keras.Input(input_shape), keras.Input((3,))]\n"
        "    x = layers.Concatenate()([layers.Flatten()(one) for one in inputs])\n"
        "    return keras.Model(inputs, layers.Dense(classes)(x))\n"
    )
    with pytest.raises(UserError, match=r"arch=nets\.py:build has 2 inputs; a network has one\."):
        network()


@pytest.mark.parametrize("name", ["", ', name="head"'])
def test_a_layer_that_all_networks_would_share_is_refused(name, built):
    network = built(
        f"HEAD = layers.Dense(3{name})\nACTIVATION = layers.ReLU()\n\n"
        "def build(input_shape, classes):\n    inputs = keras.Input(input_shape)\n"
        "    x = ACTIVATION(layers.Dense(4)(layers.Flatten()(inputs)))\n"
        "    return keras.Model(inputs, HEAD(x))\n"
    )
    with pytest.raises(UserError, match=r"nets\.py makes the layer HEAD when it is imported"):
        network()


def test_a_layer_without_weights_may_be_made_on_import(built):
    network = built(
        "ACTIVATION = layers.ReLU()\n\n"
        "def build(input_shape, classes, *, deep: bool = True):\n"
        "    inside = [layers.Dense(4)] if deep else []\n"
        "    inside += [ACTIVATION, layers.Dense(classes)]\n"
        "    return keras.Sequential([layers.Flatten(), *inside])\n"
    )
    assert network(deep=False).output_shape[-1] == 3


@pytest.mark.usefixtures("mixed_bfloat16")
def test_a_network_computes_in_the_precision_of_its_run(built):
    model = built(PRETRAINED)()
    layer = model.get_layer("features")
    assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")
    assert (model.outputs[0].dtype, keras.config.dtype_policy().name) == (
        "float32",
        "mixed_bfloat16",
    )

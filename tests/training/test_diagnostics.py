import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from ablation.networks.build import build
from ablation.records import saves, store
from ablation.training.diagnostics import Diagnostics
from ablation.training.train import weights_digest

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(70, 8, 8, 1)).astype(np.float32)
LABELS = rng.integers(0, 10, 70).astype(np.int32)


class Batches:
    """Stands for TrainBatches: one batch, larger than what is measured."""

    def epoch(self, epoch):
        yield IMAGES, LABELS


def _model(**choices):
    model = build("20", (8, 8, 1), 10, **choices)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def _measure(model, path, finished=0, epochs=()):
    callback = Diagnostics(path, model, Batches(), saves.Position(finished))
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in epochs:
        callback.on_epoch_end(epoch)
    return list(csv.DictReader(path.read_text().splitlines()))


def _outputs(model, name):
    """What a layer puts out for the measured images, as in a training step."""
    probe = keras.Model(model.inputs[0], model.get_layer(name).output)
    values = [variable.value for variable in probe.trainable_variables]
    frozen = [variable.value for variable in probe.non_trainable_variables]
    outputs, _ = probe.stateless_call(values, frozen, IMAGES[:64], training=True)
    return np.asarray(outputs)


def test_a_response_is_what_batch_normalisation_puts_out_before_relu_and_addition(tmp_path):
    model = _model()
    # As built every response has deviation 1, whichever output one takes.
    model.get_layer("stage2_block1_2_bn").gamma.assign(np.linspace(0, 3, 32))
    rows = {row["layer"]: row for row in _measure(model, tmp_path / "d.csv")}
    for layer in ("stage2_block1_2", "stage3_block3_1"):
        expected = _outputs(model, f"{layer}_bn").std()
        assert float(rows[f"{layer}_conv"]["response_sd"]) == pytest.approx(expected, rel=1e-4)
    assert float(rows["stage2_block1_2_conv"]["response_sd"]) > 1.5


def test_a_pre_activation_net_responds_with_the_convolution_itself(tmp_path):
    for plain in (True, False):
        model = _model(preact=True, plain=plain)
        rows = {r["layer"]: r for r in _measure(model, tmp_path / f"{plain}.csv")}
        for layer in ("stage1_block1_1_conv", "stage2_block2_2_conv"):
            expected = _outputs(model, layer).std()
            assert float(rows[layer]["response_sd"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_so_does_one_with_another_normalisation(norm, tmp_path):
    model = _model(preact=True, plain=True, norm=norm)
    rows = {row["layer"]: row for row in _measure(model, tmp_path / "d.csv")}
    expected = _outputs(model, "stage2_block1_1_conv").std()
    found = float(rows["stage2_block1_1_conv"]["response_sd"])
    assert found == pytest.approx(expected, rel=1e-4)
    assert abs(found - 1) > 0.01  # Which it would be behind a normalisation.


def test_a_gradient_is_that_of_a_training_step(tmp_path):
    model = _model(plain=True)
    rows = {row["layer"]: row for row in _measure(model, tmp_path / "d.csv")}
    convolutions = [model.get_layer(name) for name in rows]
    with tf.GradientTape() as tape:
        loss = model.loss(LABELS[:64], model(IMAGES[:64], training=True))
    gradients = tape.gradient(loss, [layer.kernel.value for layer in convolutions])
    for layer, gradient in zip(convolutions, gradients, strict=True):
        norm = float(tf.norm(gradient))
        assert float(rows[layer.name]["gradient_norm"]) == pytest.approx(norm, rel=1e-3)


def test_measuring_changes_nothing_of_the_model(tmp_path):
    model = _model()
    before = weights_digest(model)
    _measure(model, tmp_path / "d.csv", epochs=(0,))
    assert weights_digest(model) == before


def test_depth_counts_the_main_path_and_no_shortcut(tmp_path):
    rows = _measure(_model(shortcut="projection"), tmp_path / "d.csv")
    assert tuple(rows[0]) == store.DIAGNOSTIC_COLUMNS
    depths = [row["depth"] for row in rows if not row["layer"].endswith("_shortcut_conv")]
    assert depths == [str(depth) for depth in range(1, 20)]
    shortcuts = [row for row in rows if row["layer"].endswith("_shortcut_conv")]
    assert [(row["depth"], row["kernel"]) for row in shortcuts] == [("", "1x1")] * 2


def test_a_gate_is_no_layer_of_the_main_path(tmp_path):
    rows = {row["layer"]: row for row in _measure(_model(se=True), tmp_path / "d.csv")}
    assert rows["stage1_block1_se_1"]["depth"] == rows["stage1_block1_se_2"]["depth"] == ""
    assert rows["stage3_block3_2_conv"]["depth"] == "19"


def test_a_resumed_run_keeps_the_rows_of_finished_epochs_and_makes_the_others_anew(tmp_path):
    model, path = _model(), tmp_path / "d.csv"
    whole = _measure(model, path, epochs=(0, 1))
    text = path.read_text()
    assert sorted({row["epoch"] for row in whole}) == ["0", "1", "2"]
    _measure(model, path, finished=1, epochs=(1,))
    assert path.read_text() == text
    _measure(model, path, epochs=(0, 1))
    assert path.read_text() == text


@pytest.mark.parametrize("content", ["", "epoch,layer\nnone,x\n", "layer\nx\n"])
def test_damaged_rows_begin_anew(content, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(content)
    rows = _measure(_model(), path, finished=1, epochs=(1,))
    assert {row["epoch"] for row in rows} == {"2"}


def _compiled(model):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _response(row, outputs):
    """A row's response beside the deviation of what a layer puts out."""
    return float(row["response_sd"]), pytest.approx(np.asarray(outputs).std(), rel=1e-4)


def test_layers_of_every_kind_with_a_kernel_are_measured_but_for_the_classifier(tmp_path):
    shaped = layers.Reshape((64, 1)), layers.Conv1D(3, 3, name="line"), layers.Reshape((62, 3, 1))
    convolutions = (
        layers.SeparableConv2D(2, 3, padding="same", name="separable"),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.Conv2DTranspose(2, (2, 1), name="transpose"),
    )
    dense = layers.Flatten(), layers.Dense(5, name="hidden"), layers.Dense(10, name="logits")
    model = keras.Sequential([keras.Input((8, 8, 1)), *shaped, *convolutions, *dense])
    rows = _measure(_compiled(model), tmp_path / "d.csv")
    assert [(row["layer"], row["depth"], row["kernel"]) for row in rows] == [
        ("line", "1", "3"),
        ("separable", "2", "3x3"),
        ("depthwise", "3", "3x3"),
        ("transpose", "4", "2x1"),
        ("hidden", "5", "dense"),
    ]
    assert all(float(row["response_sd"]) > 0 < float(row["gradient_norm"]) for row in rows)


@pytest.mark.parametrize(
    "norm", [layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization]
)
def test_an_unnamed_normalisation_directly_behind_a_layer_makes_its_response(norm, tmp_path):
    # One of the images themselves, and an activation that passes on what it gets, say nothing.
    before = [keras.Input((8, 8, 1)), layers.BatchNormalization(), layers.Conv2D(4, 3)]
    behind = [layers.Activation("linear"), norm(**({"groups": 2} if "Group" in str(norm) else {}))]
    end = [layers.ReLU(), layers.Flatten(), layers.Dense(10)]
    model = _compiled(keras.Sequential([*before, *behind, *end]))
    behind[1].gamma.assign([0.0, 1, 2, 3])
    (row,) = _measure(model, tmp_path / "d.csv")
    value, expected = _response(row, _outputs(model, behind[1].name))
    assert value == expected
    assert value > 1.5


def test_a_normalisation_of_a_sum_makes_all_of_them_prepare_what_comes_behind(tmp_path):
    inputs = keras.Input((8, 8, 1))
    first = layers.Conv2D(4, 3, padding="same")(inputs)
    second = layers.Conv2D(4, 3, padding="same")(layers.BatchNormalization()(first))
    x = layers.BatchNormalization()(layers.Add()([first, second]))
    model = _compiled(keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x))))
    for row in _measure(model, tmp_path / "d.csv"):
        value, expected = _response(row, _outputs(model, row["layer"]))
        assert value == expected


class Subclassed(keras.Model):
    """No graph: a layer called twice, one never called, and a sum without a layer."""

    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(4, 3, padding="same", name="first")
        self.norm = layers.BatchNormalization()
        self.twice = layers.Conv2D(4, 3, padding="same", name="twice")
        self.never = layers.Conv2D(4, 3, name="never")
        self.never.build((None, 8, 8, 4))
        self.logits = layers.Dense(10)

    def call(self, x):
        x = self.norm(self.first(x))
        x = x + self.twice(self.twice(x))
        return self.logits(keras.ops.mean(x, axis=(1, 2)))


def test_a_subclassed_network_is_measured_without_a_graph(tmp_path):
    model = Subclassed()
    model(IMAGES[:1])
    model.norm.gamma.assign([0.0, 1, 2, 3])
    before = weights_digest(model)
    rows = {row["layer"]: row for row in _measure(_compiled(model), tmp_path / "d.csv")}
    assert weights_digest(model) == before
    assert "call" not in vars(model.first)
    with tf.GradientTape() as tape:
        first = model.norm(model.first(IMAGES[:64]), training=True)
        once = model.twice(first)
        again = model.twice(once)
        logits = model.logits(keras.ops.mean(first + again, axis=(1, 2)))
        loss = model.loss(LABELS[:64], logits)
    value, expected = _response(rows["first"], first)
    assert value == expected
    value, expected = _response(rows["twice"], np.stack([once, again]))
    assert value == expected
    norm = float(tf.norm(tape.gradient(loss, model.twice.kernel.value)))
    assert float(rows["twice"]["gradient_norm"]) == pytest.approx(norm, rel=1e-3)
    assert (rows["never"]["response_sd"], rows["never"]["gradient_norm"]) == ("", "")
    assert list(rows) == ["first", "twice", "never"]


def test_layers_inside_other_models_are_measured_and_a_frozen_one_has_no_gradient(tmp_path):
    part = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3, name="inner")])
    recurrent = [layers.Reshape((36, 4)), layers.LSTM(3), layers.Dense(10)]
    model = keras.Sequential([keras.Input((8, 8, 1)), part, *recurrent])
    part.layers[0].trainable = False
    (row,) = _measure(_compiled(model), tmp_path / "d.csv")
    value, expected = _response(row, part(IMAGES[:64]))
    assert value == expected
    assert (row["layer"], row["gradient_norm"]) == ("inner", "")


@keras.saving.register_keras_serializable()
class HeadFirst(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = layers.Dense(10, name="head")
        self.second = layers.Dense(6, name="second")
        self.first = layers.SpectralNormalization(layers.Dense(5, name="first"))

    def call(self, x):
        x = keras.ops.reshape(x, (-1, 64))
        return self.head(self.second(self.first(x)))


def test_depth_is_the_order_of_calls_and_a_wrapped_kernel_counts_once(tmp_path):
    model = HeadFirst()
    model(IMAGES[:1])
    rows = _measure(_compiled(model), tmp_path / "d.csv")
    assert [(row["layer"], row["depth"]) for row in rows] == [("first", "1"), ("second", "2")]
    assert all(float(row["gradient_norm"]) > 0 for row in rows)

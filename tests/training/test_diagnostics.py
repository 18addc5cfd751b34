import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablation.networks.build import build
from ablation.records import store
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


def _measure(model, path, preact=False, finished=0, epochs=()):
    callback = Diagnostics(path, model, Batches(), finished=finished, preact=preact)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch in epochs:
        callback.on_epoch_end(epoch)
    return list(csv.DictReader(path.read_text().splitlines()))


def _outputs(model, name):
    """What a layer puts out for the measured images, as in a training step."""
    probe = keras.Model(model.input, model.get_layer(name).output)
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
        rows = {r["layer"]: r for r in _measure(model, tmp_path / f"{plain}.csv", preact=True)}
        for layer in ("stage1_block1_1_conv", "stage2_block2_2_conv"):
            expected = _outputs(model, layer).std()
            assert float(rows[layer]["response_sd"]) == pytest.approx(expected, rel=1e-4)


def test_a_gradient_is_that_of_a_training_step(tmp_path):
    model = _model(plain=True)
    rows = {row["layer"]: row for row in _measure(model, tmp_path / "d.csv")}
    layers = [model.get_layer(name) for name in rows]
    with tf.GradientTape() as tape:
        loss = model.loss(LABELS[:64], model(IMAGES[:64], training=True))
    gradients = tape.gradient(loss, [layer.kernel.value for layer in layers])
    for layer, gradient in zip(layers, gradients, strict=True):
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

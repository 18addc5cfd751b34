"""Validation is prediction: one traced function, and every image counts once."""

import keras
import numpy as np
import pytest

from ablation.training.predicting import Validation

CLASSES = 3


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(image)
    # A penalty is no part of how well a network does.
    outputs = keras.layers.Dense(CLASSES, kernel_regularizer="l2", activity_regularizer="l2")(flat)
    made = keras.Model(image, outputs)
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


def _batches(*sizes):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((sum(sizes), 4, 4, 1)).astype(np.float32)
    labels = rng.integers(0, CLASSES, sum(sizes)).astype(np.int32)
    ends = np.cumsum(sizes)[:-1]
    return list(zip(np.split(images, ends), np.split(labels, ends), strict=True))


@pytest.mark.parametrize("sizes", [(5,), (4, 4), (4, 4, 1), (4, 3)])
def test_the_score_is_that_of_every_image_once(model, sizes):
    batches = _batches(*sizes)
    calls = []
    judging = Validation(batches, [lambda: calls.append(1)])
    judging.set_model(model)
    logs = {"loss": 1.0}
    judging.on_epoch_end(0, logs)
    images = np.concatenate([images for images, _ in batches])
    kernel, bias = (weight.numpy() for weight in model.weights)
    logits = images.reshape(len(images), -1) @ kernel + bias
    labels = np.concatenate([labels for _, labels in batches])
    chosen = logits[np.arange(len(labels)), labels]
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen)
    assert logs["val_loss"] == pytest.approx(expected, rel=1e-5)
    assert logs["val_accuracy"] == np.mean(logits.argmax(axis=1) == labels)
    found, outputs = judging.latest
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_allclose(outputs, logits, rtol=1e-4, atol=1e-5)
    assert len(calls) == len(sizes)


def test_a_smaller_last_batch_is_not_traced_anew(model):
    judging = Validation(_batches(4, 4, 1))
    judging.set_model(model)
    for _ in range(2):
        judging.predict()
    assert model.predict_function.experimental_get_tracing_count() == 1


class LessTheMean(keras.layers.Layer):
    """Takes the mean of the batch away, in validation too."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0, keepdims=True)


def test_what_fills_a_smaller_last_batch_is_of_its_own_images(model):
    image = keras.Input((4, 4, 1))
    of_batch = keras.Model(image, model(LessTheMean()(image)))
    of_batch.compile("sgd")
    images = np.arange(8, dtype=np.float32)[:, None, None, None] + np.ones((1, 4, 4, 1), np.float32)
    labels = np.zeros(8, np.int32)
    # Two images in a batch of six: filled thrice, they have their own mean.
    judging = Validation([(images[:6], labels[:6]), (images[6:], labels[6:])])
    judging.set_model(of_batch)
    _, outputs = judging.predict()
    np.testing.assert_allclose(outputs[6:], of_batch(images[6:]), rtol=1e-4, atol=1e-5)

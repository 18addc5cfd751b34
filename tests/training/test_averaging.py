"""The moving average of the weights: by hand, in validation, and in what is kept."""

import keras
import numpy as np
import pytest

from ablation.training.averaging import averaged, swap
from ablation.training.callbacks import KeptWeights
from ablation.training.predicting import Validation

MOMENTUM, STEPS, CLASSES = 0.75, 4, 2


@pytest.fixture
def model():
    return new_model()


def new_model(use_ema=True):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    made = keras.Model(inputs, keras.layers.Dense(CLASSES)(inputs))
    optimizer = keras.optimizers.SGD(0.1, use_ema=use_ema, ema_momentum=MOMENTUM)
    made.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    made.optimizer.build(made.trainable_variables)
    return made


class Seen(keras.callbacks.Callback):
    """Keeps the kernel after every training step and in every validation."""

    def __init__(self):
        super().__init__()
        self.trained, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.trained.append(self.model.get_weights()[0])

    def in_validation(self):
        self.validated.append(self.model.get_weights()[0])


def given():
    rng = np.random.default_rng(0)
    return rng.random((8, 3), np.float32), np.arange(8) % CLASSES


def fit(model, seen=None, *callbacks, epochs=1):
    images, labels = given()
    seen = seen or Seen()
    validation = Validation([(images, labels)], [seen.in_validation])
    model.fit(
        images,
        labels,
        batch_size=8 // STEPS,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[validation, seen, *callbacks],
    )
    return validation


def average(weights):
    """By hand: it begins as the weights after the first step."""
    found = weights[0]
    for one in weights[1:]:
        found = MOMENTUM * found + (1 - MOMENTUM) * one
    return found


def test_validation_and_what_is_left_are_the_average(model):
    seen = Seen()
    validation = fit(model, seen, epochs=2)
    first, both = average(seen.trained[:STEPS]), average(seen.trained)
    np.testing.assert_allclose(seen.validated, [first, both], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], both, rtol=1e-5)
    # What is kept as predictions are those of the average too, and so is what comes of it later.
    _, outputs = validation.latest
    np.testing.assert_allclose(outputs, given()[0] @ both + model.get_weights()[1], rtol=1e-4)
    np.testing.assert_allclose(validation.predict()[1], outputs, rtol=1e-6)


def test_a_validation_changes_no_bit_of_the_weights_that_train(model):
    """Keras's own callback rounds here."""
    seen, alone = Seen(), Seen()
    fit(model, seen, epochs=3)
    other = new_model(use_ema=False)
    fit(other, alone, epochs=3)
    assert np.array_equal(seen.trained, alone.trained)


def test_two_exchanges_leave_everything_as_it_was(model):
    fit(model)
    model.layers[1].kernel.assign_add(np.ones((3, CLASSES)))
    before = [np.array(one) for one in (*model.variables, *model.optimizer.variables)]
    swap(model)
    assert not np.array_equal(model.get_weights()[0], before[0])
    swap(model)
    after = [*model.variables, *model.optimizer.variables]
    assert all(
        np.array_equal(one, np.array(other)) for one, other in zip(before, after, strict=True)
    )


def test_an_error_leaves_the_weights_that_train(model):
    fit(model)
    model.layers[1].kernel.assign_add(np.ones((3, CLASSES)))
    before = model.get_weights()[0]
    with pytest.raises(OSError), averaged(model):
        assert not np.array_equal(model.get_weights()[0], before)
        raise OSError
    assert np.array_equal(model.get_weights()[0], before)


def test_kept_weights_are_the_average(model, tmp_path):
    seen = Seen()
    fit(model, seen, KeptWeights(tmp_path, [1], 0), epochs=2)
    again = new_model()
    again.load_weights(tmp_path / "epoch-1.weights.h5")
    np.testing.assert_allclose(again.get_weights()[0], seen.validated[0], rtol=1e-6)


def test_without_an_average_nothing_is_exchanged():
    model = new_model(use_ema=False)
    before = model.get_weights()
    with averaged(model):
        assert all(map(np.array_equal, before, model.get_weights()))

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablation.config import UserError
from ablation.recipes import optimizers
from ablation.training.optimizers import build_optimizer


def _recipe(config, *overrides):
    return config(*overrides).recipe


def test_weight_decay_is_the_gradient_of_an_l2_penalty_with_momentum(config):
    recipe = _recipe(
        config, "recipe.schedule=constant", "recipe.learning_rate=0.1", "recipe.weight_decay=0.5"
    )
    weight = keras.Variable([2.0])
    optimizer = build_optimizer(recipe, total_steps=10)
    expected, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        optimizer.apply([keras.ops.array([gradient])], [weight])
        velocity = 0.9 * velocity - 0.1 * (gradient + 0.5 * expected)
        expected += velocity
    assert weight.numpy()[0] == pytest.approx(expected, rel=1e-6)


def test_gradients_are_clipped_to_their_norm_before_the_decay(config):
    recipe = _recipe(config, "recipe=sgd_clip", "recipe.weight_decay=0.1")
    weight = keras.Variable([1.0, 1.0])
    build_optimizer(recipe, 10).apply([keras.ops.array([30.0, 40.0])], [weight])
    clipped = np.array([0.6, 0.8])
    np.testing.assert_allclose(weight.numpy(), 1 - 0.01 * (clipped + 0.1), rtol=1e-6)


def test_adam_takes_its_rate_as_first_step(config):
    weight = keras.Variable([1.0])
    build_optimizer(_recipe(config, "recipe=adam"), 10).apply([keras.ops.array([7.0])], [weight])
    assert weight.numpy()[0] == pytest.approx(1 - 1e-3, rel=1e-5)


@pytest.mark.parametrize(
    ("overrides", "keras_optimizer"),
    [
        (["recipe=adam", "recipe.optimizer=lion"], keras.optimizers.Lion(1e-3)),
        (
            ["recipe=adam", "recipe.optimizer=adamw", "recipe.weight_decay=0.1"],
            keras.optimizers.AdamW(1e-3, weight_decay=0.1),
        ),
        (
            ["recipe=adam", "recipe.optimizer=nadam", "recipe.options.beta_1=0.8"],
            keras.optimizers.Nadam(1e-3, beta_1=0.8),
        ),
        (
            ["recipe=sgd_clip", "recipe.momentum=0.9", "recipe.options.nesterov=true"],
            keras.optimizers.SGD(0.01, 0.9, nesterov=True, clipnorm=1),
        ),
        (["recipe=sgd_clip"], keras.optimizers.SGD(0.01, clipnorm=1)),
        (["recipe=sgd_clip", "recipe.momentum=0.9"], keras.optimizers.SGD(0.01, 0.9, clipnorm=1)),
        (["recipe=adam"], keras.optimizers.Adam(1e-3)),
    ],
    ids=["lion", "adamw", "nadam", "nesterov", "sgd", "momentum", "adam"],
)
def test_the_steps_are_those_of_keras(config, overrides, keras_optimizer):
    gradients = np.random.default_rng(0).standard_normal((5, 3, 4), np.float32)
    results = []
    for optimizer in (build_optimizer(_recipe(config, *overrides), 10), keras_optimizer):
        weight = keras.Variable(np.ones((3, 4), np.float32))
        for gradient in gradients:
            optimizer.apply([keras.ops.array(gradient)], [weight])
        results.append(weight.numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_he2015_has_the_papers_settings(config):
    recipe = _recipe(config, "recipe=he2015_cifar")
    assert (recipe.batch_size, recipe.momentum, recipe.weight_decay) == (128, 0.9, 1e-4)
    dataset = config("recipe=he2015_cifar", "dataset=cifar10").dataset
    assert (dataset.augment, dataset.normalisation) == ("crop_flip", "pixel_mean")


def test_sgd_clip_is_a_constant_hundredth_clipped_to_one(config):
    recipe = _recipe(config, "recipe=sgd_clip")
    optimizer = build_optimizer(recipe, 10)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    assert optimizer.clipnorm == 1.0
    assert optimizer.momentum == 0.0


def test_the_optimizer_survives_serialisation(config):
    optimizer = build_optimizer(_recipe(config), 100)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_of_keras_takes_a_step_and_keeps_an_average(name, config):
    recipe = _recipe(config, "recipe=adam", f"recipe.optimizer={name}", "recipe.ema=0.5")
    weight = keras.Variable(np.ones((3, 4), np.float32))
    optimizer = build_optimizer(recipe, 10)
    for _ in range(2):
        optimizer.apply([keras.ops.ones((3, 4))], [weight])
    assert np.isfinite(weight.numpy()).all() and not np.array_equal(weight.numpy(), np.ones((3, 4)))
    assert optimizer.use_ema and len(optimizer._model_variables_moving_average) == 1


@pytest.mark.parametrize("name", sorted(set(optimizers.names()) - {"sgd"}))
def test_other_weight_decay_shrinks_every_weight_by_rate_times_decay(name, config):
    """Beside the step, which is left out here: arXiv 1711.05101, Algorithm 2."""
    recipe = _recipe(config, "recipe=adam", f"recipe.optimizer={name}", "recipe.learning_rate=0.1")
    moved = []
    for decay in (0.0, 0.5):
        weights = [keras.Variable(np.full(shape, 2.0, np.float32)) for shape in ((3, 4), (4,))]
        optimizer = build_optimizer(replace(recipe, weight_decay=decay), 10)
        optimizer.build(weights)
        optimizer._apply_weight_decay(weights)
        moved += [weight.numpy().ravel()[0] for weight in weights]
    np.testing.assert_allclose(moved, [2, 2, 1.9, 1.9], rtol=1e-6)


def test_muon_decays_nothing_unasked(config):
    """Keras's own default is 0.004 for either kind of weight."""
    optimizer = build_optimizer(_recipe(config, "recipe=adam", "recipe.optimizer=muon"), 10)
    assert optimizer.weight_decay is None and optimizer.adam_weight_decay is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("clipvalue", [0.5, 0.5, 0.3]),
        # The norm of 3, 4 and 0.3 is 5.009.
        ("global_clipnorm", np.array([3, 4, 0.3]) * 0.5 / 5.009),
    ],
)
def test_gradients_are_clipped_by_value_and_by_the_norm_of_all(key, expected, config):
    overrides = ["recipe=sgd_clip", "recipe.learning_rate=1", "recipe.clipnorm=null"]
    recipe = _recipe(config, *overrides, f"recipe.{key}=0.5")
    weights = [keras.Variable([0.0, 0.0]), keras.Variable([0.0])]
    gradients = [keras.ops.array([3.0, 4.0]), keras.ops.array([0.3])]
    build_optimizer(recipe, 10).apply(gradients, weights)
    found = -np.concatenate([weight.numpy() for weight in weights])
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_an_option_that_keras_refuses_is_told_in_a_line(config):
    recipe = _recipe(config, "recipe=adam", "recipe.optimizer=lion", "recipe.options.beta_1=0")
    with pytest.raises(UserError, match=r"recipe\.optimizer=lion: Argument `beta_1` must be"):
        build_optimizer(recipe, 10)


@pytest.mark.parametrize(
    "overrides",
    [
        ["recipe.optimizer=rmsprop"],
        ["recipe.optimizer=adam", "recipe.options.amsgrad=true"],
        ["recipe.optimizer=sgd", "recipe.clipvalue=0.002"],
        ["recipe.optimizer=sgd", "recipe.clipnorm=0.01"],
    ],
)
def test_a_token_that_occurs_twice_has_one_gradient(overrides, config):
    """TensorFlow leaves an embedding's gradient as an entry for each occurrence."""
    recipe = _recipe(config, "recipe=adam", *overrides)
    start = np.ones((5, 2), np.float32)
    found = []
    for whole in (False, True):
        table = keras.Variable(start)
        with tf.GradientTape() as tape:
            looked_up = tf.gather(table.value, [0, 1, 1, 1])
            loss = tf.reduce_sum(looked_up * [[1.0, -2.0], [3, 1], [-1, 2], [5, 4]])
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        optimizer = build_optimizer(recipe, 10)
        optimizer.apply([tf.convert_to_tensor(gradient) if whole else gradient], [table])
        found.append(table.numpy())
    assert (found[0][:2] != start[:2]).all()
    np.testing.assert_array_equal(*found)


def test_schedule_free_adamw_is_that_of_its_paper(config):
    """Defazio et al. 2024, arXiv 2405.15682, Algorithm 1, in NumPy."""
    recipe = _recipe(
        config, "recipe=adam", "recipe.optimizer=schedulefreeadamw", "recipe.learning_rate=0.1"
    )
    weight = keras.Variable([1.0, -2.0])
    optimizer = build_optimizer(recipe, 10)
    z = x = np.array([1.0, -2.0])
    second, rng = 0.0, np.random.default_rng(0)
    for step in range(1, 7):
        gradient = rng.normal(size=2)
        optimizer.apply([keras.ops.array(gradient, "float32")], [weight])
        second = 0.999 * second + 0.001 * gradient**2
        z = z - 0.1 * gradient / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        x = x + (z - x) / step
        np.testing.assert_allclose(weight.numpy(), 0.1 * z + 0.9 * x, rtol=1e-5)

from dataclasses import replace

import keras
import numpy as np
import pytest

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

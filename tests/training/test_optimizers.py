import keras
import numpy as np
import pytest

from ablation.training.optimizers import build_optimizer, build_schedule


def _recipe(config, *overrides):
    return config(*overrides).recipe


def _rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


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
        (["recipe=sgd_clip"], keras.optimizers.SGD(0.01, clipnorm=1)),
        (["recipe=sgd_clip", "recipe.momentum=0.9"], keras.optimizers.SGD(0.01, 0.9, clipnorm=1)),
        (["recipe=adam"], keras.optimizers.Adam(1e-3)),
    ],
    ids=["sgd", "momentum", "adam"],
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


def test_cosine_climbs_over_the_warm_up_and_falls_to_zero_with_the_run(config):
    recipe = _recipe(config, "recipe.learning_rate=0.4", "recipe.warmup_fraction=0.1")
    schedule = build_schedule(recipe, total_steps=100)
    rates = _rates(schedule, [0, 5, 10, 55, 100])
    np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.2, 0], atol=1e-7)


def test_cosine_without_warm_up_starts_at_the_rate(config):
    recipe = _recipe(config, "recipe.learning_rate=0.4", "recipe.warmup_fraction=0")
    np.testing.assert_allclose(_rates(build_schedule(recipe, 100), [0, 50]), [0.4, 0.2], atol=1e-7)


def test_he2015_divides_by_ten_at_32k_and_48k_of_64k_iterations(config):
    schedule = build_schedule(_recipe(config, "recipe=he2015_cifar"), total_steps=64_000)
    steps = [0, 399, 400, 31_999, 32_000, 47_999, 48_000, 63_999]
    expected = [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(_rates(schedule, steps), expected, rtol=1e-6)


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

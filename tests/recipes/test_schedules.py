import keras
import numpy as np
import pytest

from ablation.recipes.schedules import SCHEDULES


def _recipe(config, *overrides):
    return config(*overrides).recipe


def _built(recipe, steps):
    return SCHEDULES[recipe.schedule].build(recipe, steps)


def _rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_cosine_climbs_over_the_warm_up_and_falls_to_zero_with_the_run(config):
    recipe = _recipe(config, "recipe.learning_rate=0.4", "recipe.warmup_fraction=0.1")
    schedule = _built(recipe, 100)
    rates = _rates(schedule, [0, 5, 10, 55, 100])
    np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.2, 0], atol=1e-7)


def test_cosine_without_warm_up_starts_at_the_rate(config):
    recipe = _recipe(config, "recipe.learning_rate=0.4", "recipe.warmup_fraction=0")
    np.testing.assert_allclose(_rates(_built(recipe, 100), [0, 50]), [0.4, 0.2], atol=1e-7)


def test_he2015_divides_by_ten_at_32k_and_48k_of_64k_iterations(config):
    schedule = _built(_recipe(config, "recipe=he2015_cifar"), 64_000)
    steps = [0, 399, 400, 31_999, 32_000, 47_999, 48_000, 63_999]
    expected = [0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    np.testing.assert_allclose(_rates(schedule, steps), expected, rtol=1e-6)


def test_linear_climbs_over_the_warm_up_and_falls_to_zero_with_the_run(config):
    keys = ["recipe.schedule=linear", "recipe.learning_rate=0.4", "recipe.warmup_fraction=0.2"]
    schedule = _built(_recipe(config, *keys, "recipe.warmup_learning_rate=0.1"), 100)
    rates = _rates(schedule, [0, 10, 20, 60, 100, 120])
    np.testing.assert_allclose(rates, [0.1, 0.25, 0.4, 0.2, 0, 0], atol=1e-7)


def test_linear_without_warm_up_starts_at_the_rate(config):
    keys = ["recipe.schedule=linear", "recipe.learning_rate=0.4", "recipe.warmup_fraction=0"]
    rates = _rates(_built(_recipe(config, *keys), 100), [0, 25, 100])
    np.testing.assert_allclose(rates, [0.4, 0.3, 0], atol=1e-7)


def test_a_warm_up_of_all_steps_ends_at_the_rate(config):
    keys = ["recipe.schedule=linear", "recipe.learning_rate=0.4", "recipe.warmup_fraction=0.95"]
    rates = _rates(_built(_recipe(config, *keys), 10), range(11))
    np.testing.assert_allclose(rates, np.linspace(0, 0.4, 11), atol=1e-7)


def test_one_cycle_is_that_of_pytorch(config):
    """There the first step counts as one, so the same peak and end need another length."""
    torch = pytest.importorskip("torch")
    keys = ["recipe.schedule=one_cycle", "recipe.learning_rate=0.4", "recipe.warmup_fraction=0.3"]
    schedule = _built(_recipe(config, *keys), 100)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.4, total_steps=101, pct_start=31 / 101, cycle_momentum=False
    )
    expected = []
    for _ in range(101):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 101:
            theirs.step()
    np.testing.assert_allclose(_rates(schedule, range(101)), expected, rtol=1e-4, atol=1e-7)
    assert np.argmax(expected) == 30 and max(expected) == pytest.approx(0.4)
    assert expected[0] == pytest.approx(0.4 / 25) and expected[-1] == pytest.approx(0.4 / 25e4)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_few_steps_has_finite_rates(name, steps, config):
    keys = [f"recipe.schedule={name}", "recipe.milestones=[0.5,0.75]", "recipe.warmup_fraction=0.3"]
    schedule = _built(_recipe(config, *keys), steps)
    rates = [schedule] if isinstance(schedule, float) else _rates(schedule, range(steps + 1))
    assert np.isfinite(rates).all() and min(rates) >= 0


@pytest.mark.parametrize("name", ["linear", "one_cycle"])
def test_a_schedule_survives_serialisation(name, config):
    schedule = _built(_recipe(config, f"recipe.schedule={name}"), 100)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert again.get_config() == schedule.get_config()

"""What is read off Keras's source is what Keras itself says."""

import inspect
import subprocess
import sys

import keras
import pytest

from ablation.recipes import optimizers, settled, without_effect

NAMED = ["sgd", "adam", "adamw", "lion", "muon", "lamb", "rmsprop", "nadam"]
NAMED += ["adagrad", "adadelta", "adamax", "adafactor", "ftrl"]


def _signature(name):
    return inspect.signature(getattr(keras.optimizers, optimizers.class_name(name))).parameters


def test_every_optimizer_of_keras_is_there_and_nothing_else():
    public = vars(keras.optimizers).values()
    kinds = [one for one in public if isinstance(one, type)]
    takes = [one for one in kinds if "learning_rate" in inspect.signature(one).parameters]
    base = keras.optimizers.Optimizer
    assert set(optimizers.names()) == {one.__name__.lower() for one in takes if one is not base}
    assert set(NAMED) <= set(optimizers.names())


@pytest.mark.parametrize("name", optimizers.names())
def test_options_have_the_names_and_defaults_of_the_constructor(name):
    theirs = _signature(name)
    for option, default in optimizers.options(name).items():
        assert theirs[option].default == default and type(theirs[option].default) is type(default)
    others = set(optimizers.OF_RECIPE) | {"weight_decay", "adam_weight_decay", "name", "kwargs"}
    others |= {"momentum"} if name == "sgd" else set()
    left_out = set(theirs) - set(optimizers.options(name)) - others
    assert left_out <= {"exclude_layers", "relative_step"}, "an option that no command can set"


@pytest.mark.parametrize(
    "rate", [0.1, 5.0, keras.optimizers.schedules.ExponentialDecay(5.0, 2, 0.5)]
)
def test_the_relative_step_of_adafactor_changes_nothing(rate):
    found = []
    for relative in (True, False):
        weight = keras.Variable([[3.0, 4.0], [5.0, 6.0]])
        optimizer = keras.optimizers.Adafactor(rate, relative_step=relative)
        for gradient in (0.5, -2.0, 1.0):
            optimizer.apply([keras.ops.full((2, 2), gradient)], [weight])
        found.append(keras.ops.convert_to_numpy(weight).tolist())
    assert found[0] == found[1]


def test_the_parent_reads_them_without_loading_keras():
    script = (
        "import sys; from ablation.recipes import optimizers; "
        "assert optimizers.options('adamw')['beta_1'] == 0.9; assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_changes_nothing_counts_as_not_set(config):
    recipe = vars(
        config(
            "recipe.optimizer=lion",
            "recipe.schedule=one_cycle",
            "recipe.warmup_learning_rate=0.1",
            "recipe.options.beta_1=0.8",
            "recipe.options.nesterov=true",
        ).recipe
    )
    found = settled(recipe)
    assert found["momentum"] == 0 and found["warmup_learning_rate"] == 0
    assert found["warmup_fraction"] == 0.1 and found["options"] == {"beta_1": 0.8}
    assert recipe["options"] == {"beta_1": 0.8, "nesterov": True}


def test_what_changes_nothing_is_said_once_a_key(config):
    recipes = [
        vars(config(f"recipe.optimizer={name}", f"recipe.schedule={schedule}").recipe)
        for name in ("sgd", "lion", "rmsprop")
        for schedule in ("cosine", "constant")
    ]
    assert list(without_effect(recipes)) == [
        "recipe.warmup_fraction changes nothing with recipe.schedule=constant",
        "recipe.momentum changes nothing with recipe.optimizer=lion,rmsprop; "
        "recipe.options.momentum is that of rmsprop",
    ]
    assert not list(without_effect(recipes[:1]))

import subprocess
import sys

import pytest

from ablation.config import CONF_DIR, UserError, flatten, identity_keys, validate


def _stem(path):
    return path.stem


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["arch=35"], ["arch=35", "34", "1202"]),
        (["shortcut=skip"], ["shortcut=skip", "zero_pad"]),
        (["epochs=0"], ["epochs=0", "1 or more"]),
        (["seed=-1"], ["seed=-1"]),
        (["study=../other"], ["study", "letters"]),
        (["backend=torch"], ["backend=torch", "tensorflow", "jax"]),
        (["precision=float8"], ["precision=float8", "mixed_bfloat16"]),
        (["dataset.image_size=31"], ["image_size=31", "arch=34", "32 or more"]),
        (["arch=20", "dataset.image_size=3"], ["image_size=3", "arch=20", "4 or more"]),
        (["arch=vgg16", "dataset.image_size=28"], ["image_size=28", "arch=vgg16", "32 or more"]),
        (["arch=preact15", "dataset.image_size=3"], ["image_size=3", "preact15", "4 or more"]),
        (["arch=vgg16", "plain=true"], ["plain=true", "arch=vgg16", "command of its own"]),
        (["arch=densenet121", "preact=true"], ["preact=true", "arch=densenet121"]),
        (["arch=vgg16", "shortcut=projection"], ["shortcut=projection", "arch=vgg16"]),
        (["arch=preact15", "shortcut=zero_pad"], ["shortcut=zero_pad", "auto, projection"]),
        (["keep_checkpoints=-1"], ["keep_checkpoints=-1", "0 or more"]),
        (["dataset.augment=blur"], ["dataset.augment=blur", "crop_flip"]),
        (["dataset.normalisation=x"], ["dataset.normalisation=x", "pixel_mean"]),
        (["recipe.learning_rate=-0.1"], ["recipe.learning_rate=-0.1", "positive"]),
        (["recipe.learning_rate=nan"], ["recipe.learning_rate=nan", "positive"]),
        (["recipe.batch_size=0"], ["recipe.batch_size=0"]),
        (["recipe.momentum=1"], ["recipe.momentum=1"]),
        (["recipe.clipnorm=0"], ["recipe.clipnorm=0"]),
        (["recipe.schedule=step"], ["recipe.milestones"]),
        (["recipe.milestones=[0.75,0.5]"], ["ascending"]),
        (["recipe=he2015_cifar", "recipe.warmup_fraction=0.6"], ["warmup_fraction=0.6", "[0.5"]),
        (["seed=4294967296"], ["seed=4294967296", "below 4.29497e+09"]),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(config, overrides, words):
    with pytest.raises(UserError) as error:
        validate(config(*overrides))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("dataset", sorted((CONF_DIR / "dataset").glob("*.yaml")), ids=_stem)
@pytest.mark.parametrize("recipe", sorted((CONF_DIR / "recipe").glob("*.yaml")), ids=_stem)
def test_every_data_set_and_recipe_is_valid(config, dataset, recipe):
    name = ["dataset.name=fashion_mnist"] if dataset.stem == "tfds" else []
    validate(config(f"dataset={dataset.stem}", f"recipe={recipe.stem}", *name))


def test_a_recipe_is_the_same_on_every_data_set(config):
    one, other = (config("dataset=mnist", f"recipe={name}") for name in ("sgd", "he2015_cifar"))
    assert one["dataset"] == other["dataset"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["shortcut=auto"], ["shortcut=projection"]),
        (["arch=20", "shortcut=auto"], ["arch=20", "shortcut=zero_pad"]),
        (["plain=true", "shortcut=zero_pad"], ["plain=true", "shortcut=projection"]),
        (["arch=34", "stride_on=1x1"], ["arch=34", "stride_on=3x3"]),
        (["arch=preact15", "preact=true"], ["arch=preact15", "preact=false"]),
        (["arch=preact15", "shortcut=auto"], ["arch=preact15", "shortcut=projection"]),
        (["arch=preact15", "plain=true"], ["arch=preact15", "plain=true", "shortcut=projection"]),
        (["arch=vgg16", "stride_on=1x1"], ["arch=vgg16", "stride_on=3x3"]),
        (["keep_checkpoints=0"], ["keep_checkpoints=2"]),
        (["study=a"], ["study=b"]),
        (["threads=1"], ["threads=2"]),
        (["rerun=all"], []),
        (["dataset.data_dir=/a"], ["dataset.data_dir=/b"]),
        (["recipe.name=other"], []),
        (["recipe=adam", "recipe.momentum=0.9"], ["recipe=adam"]),
        (["recipe=adam", "recipe.warmup_fraction=0.1"], ["recipe=adam"]),
        (["recipe.milestones=[0.5]"], []),
    ],
)
def test_words_that_change_no_result_keep_the_identity(config, one, other):
    assert identity_keys(config(*one)) == identity_keys(config(*other))


@pytest.mark.parametrize(
    "override",
    [
        "arch=50",
        "plain=true",
        "shortcut=zero_pad",
        "preact=true",
        "seed=1",
        "epochs=6",
        "backend=jax",
        "precision=mixed_bfloat16",
        "deterministic=false",
        "dataset.image_size=40",
        "dataset.augment=flip",
        "recipe.learning_rate=0.1",
        "recipe.weight_decay=0",
    ],
)
def test_whatever_changes_the_result_changes_the_identity(config, override):
    assert identity_keys(config(override)) != identity_keys(config())


def test_the_bottleneck_has_a_choice_of_stride(config):
    one, other = (identity_keys(config("arch=50", f"stride_on={s}")) for s in ("1x1", "3x3"))
    assert one != other


def test_flatten_joins_nested_keys_by_dots():
    assert flatten({"a": 1, "b": {"c": {"d": 2}}}) == {"a": 1, "b.c.d": 2}


def test_nothing_of_the_parent_process_imports_keras_or_a_backend():
    modules = "ablation.__main__, ablation.report.write, ablation.worker, ablation.data.cache"
    code = f"import {modules}, sys; print({{'tensorflow', 'jax', 'keras'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr

import subprocess
import sys
from dataclasses import asdict

import pytest

from ablation.config import flatten
from ablation.records.identity import identity_keys


def test_a_recipe_is_the_same_on_every_data_set(config):
    one, other = (config("dataset=mnist", f"recipe={name}") for name in ("sgd", "he2015_cifar"))
    assert one.dataset == other.dataset


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["shortcut=auto"], ["shortcut=projection"]),
        (["arch=20", "shortcut=auto"], ["arch=20", "shortcut=zero_pad"]),
        (["plain=true", "shortcut=zero_pad"], ["plain=true", "shortcut=projection"]),
        (["arch=34", "stride_on=1x1"], ["arch=34", "stride_on=3x3"]),
        (["plain=true", "parts.stochastic_depth=0.2"], ["plain=true"]),
        (["parts.norm=none", "parts.zero_init_residual=true"], ["parts.norm=none"]),
        (["arch=20", "parts.stem=cifar"], ["arch=20"]),
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
    assert identity_keys(asdict(config(*one))) == identity_keys(asdict(config(*other)))


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
    assert identity_keys(asdict(config(override))) != identity_keys(asdict(config()))


def test_the_bottleneck_has_a_choice_of_stride(config):
    one, other = (
        identity_keys(asdict(config("arch=50", f"stride_on={s}"))) for s in ("1x1", "3x3")
    )
    assert one != other


def test_flatten_joins_nested_keys_by_dots():
    assert flatten({"a": 1, "b": {"c": {"d": 2}}}) == {"a": 1, "b.c.d": 2}


def test_nothing_of_the_parent_process_imports_keras_or_a_backend():
    modules = (
        "ablation.__main__, ablation.report.write, ablation.running.worker, ablation.data.cache"
    )
    heavy = {"tensorflow", "jax", "torch", "keras"}
    code = f"import {modules}, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr

"""The named studies in conf/experiment/."""

import re
import shlex
from contextlib import contextmanager

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from ablation import command
from ablation.config import CONF_DIR, to_plain
from ablation.running.jobs import expand
from ablation.running.sweep import Sweep

FILES = sorted((CONF_DIR / "experiment").glob("*.yaml"))


def header(file):
    """The comment at the top, line by line; a line that ends in a backslash goes on."""
    lines = file.read_text().splitlines()[1:]
    bare = [line.removeprefix("#").strip() for line in lines[: lines.index("defaults:")]]
    return "\n".join(bare).replace("\\\n", "").splitlines()


def commands(file):
    prefix = "python -m ablation "
    return [
        shlex.split(line.removeprefix(prefix), comments=True)
        for line in header(file)
        if line.startswith(prefix)
    ]


@contextmanager
def planned(arguments):
    """The cells of a command and the keys that it sweeps, while the command line's Hydra lives."""
    overrides = command.arranged([argument for argument in arguments if argument != "-m"])
    if "-m" in arguments:
        overrides = command.arranged(arguments)[1:]
    mode = RunMode.MULTIRUN if "-m" in arguments else RunMode.RUN
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = GlobalHydra.instance().hydra.compose_config("config", overrides, mode)
        if config.hydra.mode == RunMode.MULTIRUN or "-m" in arguments:
            expansion = expand(config)
            yield [job.config for job in expansion.jobs], expansion
        else:
            yield [to_plain(config)], None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_command_in_a_header_is_a_valid_study(file):
    found = commands(file)
    assert f"experiment={file.stem}" in found[0]
    for arguments in found:
        assert f"experiment={file.stem}" in arguments
        with planned(arguments) as (cells, expansion):
            Sweep(cells, expansion)  # Validates every cell.
        assert {cell["study"] for cell in cells} == {file.stem}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_header_says_what_it_is_in_lines_that_fit(file):
    first, *_ = header(file)
    assert re.match(r"[A-Z].+", first)
    assert all(len(line) <= 100 for line in file.read_text().splitlines())


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("mnist_preact", {("preact15", True), ("preact15", False)}),
        ("mnist_baselines", {("vgg16", False), ("densenet121", False)}),
        ("cats_vs_dogs_course", {(a, p) for a in ("34", "50") for p in (True, False)}),
        ("he2015_cifar10", {(a, p) for a in ("20", "32", "44", "56") for p in (True, False)}),
    ],
)
def test_the_nets_of_a_study(name, cells):
    with planned([f"experiment={name}"]) as (found, _):
        pass
    assert {(cell["arch"], cell["parts"].get("plain", False)) for cell in found} == cells


def test_the_published_recipes_are_what_the_studies_train_by():
    def keys(name):
        with planned([f"experiment={name}"]) as (cells, _):
            return cells[0]

    mnist = keys("mnist_preact")
    assert (mnist["dataset"]["image_size"], mnist["epochs"]) == (28, 10)
    assert (mnist["recipe"]["learning_rate"], mnist["recipe"]["batch_size"]) == (1e-3, 32)
    adam = keys("cifar10_resnet50_adam")
    assert (adam["recipe"]["learning_rate"], adam["recipe"]["batch_size"]) == (2e-4, 50)
    assert (adam["dataset"]["normalisation"], adam["keep_checkpoints"]) == ("signed", 10)
    course = keys("cats_vs_dogs_course")
    assert (course["dataset"]["augment"], course["recipe"]["clipnorm"]) == ("none", 1.0)
    assert keys("shortcuts")["design"]["name"] == "leave_one_out"
    assert keys("he2016_preact")["report"]["contrast"] == "preact"
    # He15 §4.2: 64,000 iterations of 128 images.
    assert keys("he2015_cifar10")["epochs"] * (50_000 // 128) == pytest.approx(64_000, rel=0.001)

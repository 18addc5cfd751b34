"""The networks of trained runs, for use outside of a study."""

import contextlib
import os
import random
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from ablation import source
from ablation.config import RECORD_KEY, UserError, first_line
from ablation.records import saves, store

if TYPE_CHECKING:
    import keras

_EXAMPLE = "runs/main/vgg16-digits-s0-0123abcd"


def load_model(directory: str | Path, epoch: int | None = None) -> "keras.Model":
    """Returns the network of a run with weights that `keep_checkpoints` kept.

    Args:
        directory: of the run, such as "runs/main/vgg16-digits-s0-0123abcd".
        epoch: after which the weights were kept; None for the latest.

    Returns:
        A functional model from inputs as they are stored, such as images (batch, height, width,
        channels) with pixels from 0 to 255, to float32 logits (batch, classes), of values to these
        in the unit of the data. It normalises as the run did; the network is its last layer.

    Raises:
        UserError: there is no such run, or it has no such weights.

    Example:
        >>> ablation.load_model("runs/main/vgg16-digits-s0-0123abcd", epoch=10).summary()
    """
    directory = Path(directory)
    if not (directory / "config.yaml").exists():
        raise UserError(_no_run(directory))
    kept = saves.kept_weights(directory / "weights")
    if not kept or (epoch is not None and epoch not in kept):
        found = f"only after epoch {', '.join(map(str, sorted(kept)))}" if kept else "none"
        raise UserError(
            f"{directory} keeps {found}{_how_it_ended(directory)}. Weights are kept by runs with "
            "keep_checkpoints=K, after every K epochs and the last."
        )
    try:
        stored = store.Stored(directory)
        config, facts = stored.config(), stored.json("provenance.json")
        with np.load(directory / "normalisation.npz") as archive:
            normalised = dict(archive)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, yaml.YAMLError) as error:
        raise UserError(f"{directory} cannot be read: {first_line(error)}") from None

    if "keras" not in sys.modules:  # A module of PyTorch needs the backend that it had.
        os.environ.setdefault("KERAS_BACKEND", config["backend"])
    import keras  # Takes seconds, which the command line must not wait for.

    if config["backend"] == "torch" != keras.config.backend() and config[RECORD_KEY]["source"]:
        raise UserError(
            f"{directory} was trained with backend=torch, and this process has Keras with "
            f"{keras.config.backend()}: start Python with KERAS_BACKEND=torch."
        )

    from ablation.networks.build import build

    code = config[RECORD_KEY]["source"]
    with _generators_kept(), _modules_set_aside(code), _as_trained(config["precision"]):
        network = build(
            _arch(directory, config),
            tuple(facts["image_shape"]),
            len(facts["classes"]),
            seed=config["seed"],
            vocabulary=facts.get("vocabulary"),
            **config["parts"],
        )
        network.load_weights(kept[max(kept) if epoch is None else epoch])
        learned = facts.get("target") or {}
        if "std" in learned:
            outputs = keras.layers.Rescaling(learned["std"], learned["mean"], dtype="float32")
            network = keras.Model(network.inputs, outputs(network.outputs[0]), name=network.name)
        if not normalised:
            return network
        is_image = len(facts["image_shape"]) == 3
        name, dtype = ("pixels", "float32") if is_image else ("inputs", _widest())
        stored = keras.Input(facts["image_shape"], name=name, dtype=dtype)
        inputs = keras.layers.Rescaling(**normalised, dtype=dtype)(stored)
        return keras.Model(stored, network(inputs), name=network.name)


def _how_it_ended(directory: Path) -> str:
    """Returns in what state a run is that has not been trained to its end, and why."""
    status = store.read_status(directory)
    if status.state == store.COMPLETE:
        return ""
    return f"; it is {status.state}{f' ({status.reason})' if status.reason else ''}"


def _no_run(place: Path) -> str:
    """Returns in words what a place is instead of a run's folder."""
    if not place.exists():
        return f"{place} is no folder; name a run's, such as {_EXAMPLE}."
    if not place.is_dir():
        return f"{place} is a file; name a run's folder, such as {_EXAMPLE}."
    runs = store.run_directories(place)
    if runs:
        return f"{place} is a study; name one of its runs, such as {runs[0]}."
    return f"{place} is no run's folder, as it has no config.yaml; name one, such as {_EXAMPLE}."


def _arch(directory: Path, config: dict[str, Any]) -> str:
    """Returns what to build: a user's network as it was trained, whatever it is now."""
    arch, code = config["arch"], config[RECORD_KEY]["source"]
    if not code:
        return str(arch)
    with contextlib.suppress(UserError):
        if source.digests(source.locate(arch)) == code:
            return str(arch)
    named, _, function = str(arch).rpartition(":")
    dotted = "." + named.replace("/", ".").removesuffix(".py").removesuffix(".__init__")
    # What it was imported as: a file may lie in a package, or its name be that of others too.
    for module in sorted(code, key=len, reverse=True):
        place = directory / store.SOURCE / module.replace(".", "/")
        for copy in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if dotted.endswith(f".{module}") and copy.exists():
                return f"{copy}:{function}"
    raise UserError(f"{directory}: {arch} was edited since, and the run keeps no copy of it.")


def _widest() -> str:
    """Returns the floats in which runs standardise numbers, if the backend has them."""
    from keras import config

    return "float32" if config.backend() == "jax" else "float64"


@contextlib.contextmanager
def _generators_kept() -> Iterator[None]:
    """Lets the user's random numbers go on as if no network had been built in here."""
    before, arrays = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    drawn = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(arrays)
        if torch:
            torch.set_rng_state(drawn)


@contextlib.contextmanager
def _modules_set_aside(names: Mapping[str, str]) -> Iterator[None]:
    """Lets a user's code be imported as it was in the run, whatever is imported already.

    Args:
        names: that its modules are imported as.
    """
    parents = {name[:place] for name in names for place, mark in enumerate(name) if mark == "."}
    # A package without a file of its own goes on where it was found first.
    all_names = {*names, *(one for one in parents if _has_no_file(one))}
    before = {name: sys.modules.pop(name) for name in all_names if name in sys.modules}
    entries = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = entries
        for name in all_names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _has_no_file(module: str) -> bool:
    return module in sys.modules and getattr(sys.modules[module], "__file__", None) is None


@contextlib.contextmanager
def _as_trained(precision: str) -> Iterator[None]:
    """Lets Keras build as it did in the run, whatever the user's own keras.json says."""
    from keras import config

    user = config.floatx(), config.image_data_format(), config.dtype_policy()
    try:
        config.set_floatx("float32")
        config.set_image_data_format("channels_last")
        config.set_dtype_policy(precision)
        yield
    finally:
        config.set_floatx(user[0])
        config.set_image_data_format(user[1])
        config.set_dtype_policy(user[2])

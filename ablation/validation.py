"""What a command may say, and the one line that answers what it may not. No TensorFlow.

Hydra rejects what is not of the right type; here is what is out of range or does not go together.
"""

import importlib.util
import math
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import BooleanNode, DictConfig, FloatNode, IntegerNode, StringNode
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ablation import keys, source, targets
from ablation.command.grammar import quoted
from ablation.config import (
    BACKENDS,
    OPTIONS,
    Config,
    DatasetConfig,
    RecipeConfig,
    ReportConfig,
    UserError,
    check_margin,
    expanded,
    first_line,
    flatten,
)
from ablation.data import sources
from ablation.data.augmentations import AUGMENTATIONS
from ablation.data.kinds import KINDS
from ablation.designs import controls
from ablation.designs.registry import DESIGNS, GRID
from ablation.factors import spelled
from ablation.networks import registry
from ablation.networks.registry import ARCHS, BARE
from ablation.recipes import optimizers
from ablation.recipes.losses import LOSSES
from ablation.recipes.schedules import SCHEDULES
from ablation.text import did_you_mean
from ablation.typed_config import typed_config

RESIZES = ("stretch", "crop", "pad")
NORMALISATIONS = ("unit", "signed", "standard", "pixel_mean")
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("float32", "mixed_bfloat16")
RERUNS = ("none", "failed", "all")
SORTS = ("named", "effect")


_OWN = ", or a network of your own, such as my_nets.py:build"
_OWN_AUGMENT = ", or a function of your own, such as my_augment.py:f"
_OWN_LOSS = ", or a function of your own, such as my_loss.py:f"

_TO_SWEEP = " To sweep, put -m before the keys: python -m ablation -m ..."

_BELOW_1 = ("beta_1", "beta_2", "adam_beta_1", "adam_beta_2", "momentum", "rho")
"""Options of optimizers that are the share of a moving average which stays."""


def validated(given: Mapping[str, Any]) -> Config:
    """Checks every value that needs no look at the data, and settles the network's parts.

    Of the parts that were given, those that the network does not have are left out: they are for
    another one of the same command.

    Args:
        given: the resolved configuration, as `to_plain` returns it.

    Returns:
        The configuration, typed, with every part that changes something; see
        `registry.Network.settled`.

    Raises:
        UserError: a value is not allowed; the message names the key, the value and what is allowed.
    """
    _check_keys(given)
    config = typed_config(given)
    if not source.is_own(config.arch):
        _one_of("arch", config.arch, tuple(ARCHS), _OWN)
    _one_of("backend", config.backend, BACKENDS)
    if importlib.util.find_spec(config.backend) is None:
        raise UserError(
            f"backend={config.backend} is not installed: pip install {config.backend}, "
            f"or use another of {', '.join(BACKENDS)}."
        )
    _one_of("precision", config.precision, PRECISIONS)
    _one_of("rerun", config.rerun, RERUNS)
    _at_least("epochs", config.epochs, 1)
    _within("seed", config.seed, 0, 2**32)
    for name in config.control:
        _one_of("control", name, tuple(controls.CONTROLS))
    _at_least("threads", config.threads, 0)
    _at_least("keep_checkpoints", config.keep_checkpoints, 0)
    _at_least("hang_after", config.hang_after, 0)
    _check_study(config.study)
    network = registry.find(config.arch)
    known = {name: level for name, level in config.parts.items() if name in network.parts}
    parts = network.settled(known)
    _validate_dataset(config.dataset)
    if config.dataset.size:
        network.check_image(config.dataset.size, parts)
    _validate_places(config)
    _validate_recipe(config.recipe)
    return replace(config, parts=parts)


def _check_study(study: str) -> None:
    """Raises UserError unless a study's name is one that can name a folder on every machine."""
    wrong = [one for one in study if not (one in "._-" or unicodedata.category(one)[0] in "LMN")]
    if wrong:
        reason = f"{wrong[0]!r} is none of them"
    elif not study or study[0] in ".-":
        reason = "it begins with a letter, a digit or '_'"
    else:
        return
    raise UserError(
        f"study={study} names a folder in runs_dir, of letters, digits, '.', '_' and '-': {reason}."
    )


def check_report(options: ReportConfig) -> None:
    """Checks what a report is asked for, but for levels and factors, which hang on the study.

    Raises:
        UserError: a value is not allowed, or the user's own metric does not import.
    """
    if options.design is not None:
        _one_of("report.design", options.design, tuple(DESIGNS))
    _one_of("report.sort", options.sort, SORTS)
    check_margin(options.margin)
    if options.design not in (None, GRID) and (options.contrast or options.reference):
        raise UserError("report.contrast and report.reference are for report.design=grid.")
    if options.metric is not None:
        targets.find_metric(options.metric)


def _check_keys(config: Mapping[str, Any]) -> None:
    """Raises UserError if a key was added or taken away, which Hydra's + and ~ can do."""
    open_groups = tuple(f"{group}." for group in keys.OPEN)
    given = {key for key in flatten(config) if not key.startswith(open_groups)}
    known = keys.schema().keys() - set(keys.OPEN)
    for key in given - known:
        raise keys.unknown_key(key)
    options = {
        f"dataset.{key}" for key in vars(sources.keys()).keys() - vars(DatasetConfig()).keys()
    }
    for key in known - given - options:
        raise UserError(f"{key} cannot be taken away.")


def _validate_dataset(dataset: DatasetConfig) -> None:
    kind = getattr(dataset, "kind", None)
    if kind is not None:
        _one_of("dataset.kind", kind, tuple(KINDS))
    _one_of("dataset.resize", dataset.resize, RESIZES)
    if not _is_function("dataset.augment", dataset.augment):
        _one_of("dataset.augment", dataset.augment, tuple(AUGMENTATIONS), _OWN_AUGMENT)
    _one_of("dataset.normalisation", dataset.normalisation, NORMALISATIONS)


def _validate_places(config: Config) -> None:
    """Raises UserError if what is written would lie in a file or among images that are read."""
    for key in ("runs_dir", "cache_dir"):
        place = expanded(key, getattr(config, key))
        there = next(filter(os.path.exists, (place, *place.parents)), place)
        if there.exists() and not there.is_dir():
            what = "a file" if there.is_file() else "no folder"
            raise UserError(f"{key}={getattr(config, key)}: {there} is {what}; name a folder.")
    path = getattr(config.dataset, "path", None)
    if not path:
        return
    for key in ("runs_dir", "cache_dir"):
        try:
            images = expanded("dataset.path", path).resolve()
            place = expanded(key, getattr(config, key)).resolve()
        except RuntimeError:  # A link to itself: whoever opens it says so.
            continue
        # What is hidden is never read as images.
        if place.is_relative_to(images) and not any(
            part.startswith(".") for part in place.relative_to(images).parts
        ):
            raise UserError(
                f"{key}={getattr(config, key)} lies inside dataset.path={path}, "
                f"where it would become data; set it to a folder outside, such as "
                f"{key}={images.parent / key.removesuffix('_dir')}."
            )


def _validate_recipe(recipe: RecipeConfig) -> None:
    if recipe.optimizer not in ("sgd", "adam"):  # Others are looked for in Keras.
        _one_of("recipe.optimizer", recipe.optimizer, optimizers.names())
    _validate_options(recipe)
    _one_of("recipe.schedule", recipe.schedule, tuple(SCHEDULES))
    _one_of("recipe.class_weights", recipe.class_weights, CLASS_WEIGHTS)
    # Whether it is one for these labels is known when the data are.
    if recipe.loss is not None and not _is_function("recipe.loss", recipe.loss):
        _one_of("recipe.loss", recipe.loss, tuple(LOSSES), _OWN_LOSS)
    _at_least("recipe.batch_size", recipe.batch_size, 1)
    _positive("recipe.learning_rate", recipe.learning_rate)
    _positive("recipe.milestone_factor", recipe.milestone_factor)
    _validate_clipping(recipe)
    for key in ("momentum", "warmup_fraction", "ema", "label_smoothing"):
        _within(f"recipe.{key}", getattr(recipe, key), 0, 1)
    for key in ("weight_decay", "warmup_learning_rate", "mixup", "cutmix"):
        _within(f"recipe.{key}", getattr(recipe, key), 0, math.inf)
    if not 0 <= recipe.random_erasing <= 1:
        raise UserError(
            f"recipe.random_erasing={recipe.random_erasing} is a probability, from 0 to 1."
        )
    stones = recipe.milestones
    if any(not 0 < stone < 1 for stone in stones) or stones != sorted(set(stones)):
        raise UserError(
            f"recipe.milestones={stones} must be ascending shares of the training, "
            "each between 0 and 1, such as [0.5,0.75]."
        )
    for key, example in SCHEDULES[recipe.schedule].needs:
        if not getattr(recipe, key):
            raise UserError(
                f"recipe.schedule={recipe.schedule} needs recipe.{key}, such as {example}."
            )
    SCHEDULES[recipe.schedule].check(recipe)


def _is_function(key: str, name: str) -> bool:
    """Returns whether a name is one of a function of the user's own; raises if it is not there."""
    if not source.is_own(name):
        return False
    try:
        source.locate(name, key)
    except UserError as error:
        said = str(error) if key in str(error) else f"{key}={name}: {error}"
        raise UserError(f"{said}{_TO_SWEEP if ',' in name else ''}") from None
    return True


def _validate_options(recipe: RecipeConfig) -> None:
    """Raises UserError for an option that no optimizer has, or a value that one does not take."""
    if not recipe.options:
        return
    read = optimizers.options(recipe.optimizer)
    for name, value in recipe.options.items():
        key = f"{OPTIONS}.{name}"
        if name not in read:
            _check_option(name, recipe.optimizer)
            continue  # It is for another optimizer of the same command.
        default, number = read[name], isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(default, bool):
            takes, fits = "true or false", isinstance(value, bool)
        elif name.endswith("_steps"):
            takes, fits = "a whole number", number and isinstance(value, int)
        else:
            takes, fits = "a number", number and math.isfinite(value)
        if not fits:
            raise UserError(f"{key}={spelled(value)} must be {takes}, such as {spelled(default)}.")
        if name in _BELOW_1:
            _within(key, value, 0, 1)
        if name.startswith("epsilon"):
            _positive(key, value)


def _check_option(name: str, optimizer: str) -> None:
    """Raises UserError unless some optimizer has an option."""
    if any(name in optimizers.options(one) for one in optimizers.names()):
        return
    read = optimizers.options(optimizer)
    hint = did_you_mean(name, read, f"{OPTIONS}.{{}}".format)
    raise UserError(
        f"unknown key {OPTIONS}.{name}.{hint} Options of {optimizer}: {', '.join(read) or 'none'}."
    )


def _validate_clipping(recipe: RecipeConfig) -> None:
    clips = ("clipnorm", "clipvalue", "global_clipnorm")
    given = [key for key in clips if getattr(recipe, key) is not None]
    for key in given:
        _positive(f"recipe.{key}", getattr(recipe, key))
    if len(given) > 1:
        named = " and ".join(f"recipe.{key}" for key in given)
        raise UserError(f"{named} exclude each other; set all but one to null.")


_IN_FILE = re.compile(r"In '(.+)': (\w+) raised while composing config:$")
"""How Hydra's message begins of a file that cannot be merged with the others."""

_NODES = {
    BooleanNode: "true or false",
    FloatNode: "a number",
    IntegerNode: "a whole number",
    StringNode: "a text",
}
"""What a key of Hydra's own takes, by how OmegaConf holds its value."""

_OF_FILES = {"recipe.name": "sgd", "dataset.source": "folder"}
"""Keys that every file of their group sets, each with an example."""

_MERGING = "Error merging override "
"""How Hydra's message begins of a value that has not the type of its key."""


def explain(error: Exception) -> str:
    """Returns one line that says what is wrong with a command and what is allowed.

    Args:
        error: a UserError, or what Hydra or OmegaConf raised while it read the command.
    """
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    if isinstance(cause, MissingMandatoryValue):
        return _missing(str(key))
    first = first_line(error)
    in_file = _IN_FILE.match(first)
    if in_file:
        return _unsuited(in_file[1], in_file[2] == ConfigKeyError.__name__, str(error))
    if "Ambiguous value for argument" in first:
        return f"{first}. To sweep, put -m before the keys: python -m ablation -m ..."
    if "does not support sweep type" in first:
        return "interval() names no values; write them out, such as key=0.01,0.1, or use range()."
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    word = first.removeprefix(_MERGING)
    if word != first:
        is_hydras = word.lstrip("+").startswith("hydra.")
        return _of_hydra(word, cause) if is_hydras else _unreadable(word)
    if key and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        if key.startswith("hydra."):
            return str(keys.unknown_of_hydra(key, map(str, cause.parent_node or ())))
        return str(keys.unknown_key(key))
    if isinstance(error, MissingConfigException):
        return _no_choice(first, error.missing_cfg_file or "", list(error.options or []))
    return f"{first}: {first_line(cause)}" if cause is not error else first


def _missing(key: str) -> str:
    """Says of a key that nothing sets where it is set."""
    group, _, leaf = key.partition(".")
    if key in _OF_FILES:  # Nobody types these, so that it is a file of the user's own.
        return (
            f"{key} is missing: the file that {group}=NAME chooses has no line {leaf}:, such as "
            f"{leaf}: {_OF_FILES[key]}."
        )
    example = f", such as {key}=fashion_mnist or my_data.py:load" if key == "dataset.name" else ""
    return f"{key} has no default and must be given{example}."


_SPAN = re.compile(r"(\d+)(?:-|:|\.\.\.?)(\d+)")
"""How the first and last of several numbers are written elsewhere."""

_SPELLED_AT_MOST = 10

_LAUNCHERS = {
    "joblib": "hydra-joblib-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
    "ray": "hydra-ray-launcher",
}
"""The launchers of Hydra's that this project knows, and the package of each."""


def _no_choice(first: str, file: str, options: list[str]) -> str:
    """Returns what a key that chooses a file of `conf/` may be, and what its value may mean."""
    group, _, name = file.rpartition("/")
    if not group or not options:
        return first
    hint = ""
    if group == "dataset":
        hint = (
            f", or one of TensorFlow Datasets: dataset=tfds dataset.name={name}. A folder of your "
            "own is dataset=folder dataset.path=FOLDER"
        )
    elif group == "recipe" and name in optimizers.names():
        hint = f". An optimizer is chosen by recipe.optimizer={name}"
    elif group == "hydra/launcher" and name in _LAUNCHERS:
        return f"{group}={name} is not installed: pip install {_LAUNCHERS[name]}."
    meant = did_you_mean(name, options, f"{group}={{}}".format)
    return f"{group}={name} is not known.{meant} Allowed: {', '.join(options)}{hint}."


def _unsuited(file: str, is_unknown: bool, said: str) -> str:
    """Returns what is wrong with a value in a file of `conf/`, by what Hydra said of it."""
    key = re.search(r"full_key: (\S+)", said)
    second = said.split("\n")[1].strip().rstrip(".")
    if not key:
        return f"{file}.yaml: {second}."
    if is_unknown:
        return f"{file}.yaml: {keys.unknown_key(key[1])}"
    takes = f" {key[1]} takes {keys.takes(key[1])}." if key[1] in keys.known_keys() else ""
    return f"{file}.yaml: {key[1]}: {second}.{takes}"


def _of_hydra(word: str, cause: Exception) -> str:
    """Returns what a key of Hydra's own takes, whose value has not its type."""
    node, key = getattr(cause, "child_node", None), word.partition("=")[0].lstrip("+")
    if isinstance(node, DictConfig):
        return _of_group(word, key, [f"{key}.{name}" for name in map(str, node)])
    for kind, takes in _NODES.items():
        if isinstance(node, kind):
            return f"{word} cannot be read; {key} takes {takes}."
    return f"{word} cannot be read: {first_line(cause).rstrip('.')}."


def _of_group(word: str, group: str, inside: list[str]) -> str:
    return (
        f"{word} cannot be read: {group} is a group of keys, each with a value of its own: "
        f"{', '.join(inside)}."
    )


def _unreadable(word: str) -> str:
    """Returns how a word is written that Hydra's grammar has no meaning for."""
    key, _, value = word.partition("=")
    bare = key.rpartition("parts.")[2]
    if bare in BARE:  # As it was typed, or could have been.
        key, word = bare, word.replace(f"parts.{bare}", bare, 1)
    name = key.lstrip("+~")
    if name.startswith("hydra"):
        return f"{word} cannot be read; in quotes it is text: {quoted(key, value)}."
    if name.startswith(f"{OPTIONS}."):
        return f"{word} cannot be read; an option is true, false or a number."
    inside = [f"{OPTIONS}.NAME"] if name == OPTIONS else keys.within(name)
    if inside and name not in keys.groups():
        return _of_group(word, name, inside)
    if name not in keys.known_keys() | keys.groups():
        return str(keys.unknown_key(name))
    if name in keys.text_keys().keys() | keys.groups():
        return f"{word} cannot be read; if it is one value, type {quoted(key, value)}."
    return f"{word} cannot be read; {name} takes {keys.takes(name)}.{_several(key, value)}"


def _several(key: str, value: str) -> str:
    """Returns how the numbers from one to another are swept, "" of what does not mean them."""
    span = _SPAN.fullmatch(value)
    if not span or int(span[1]) >= int(span[2]):
        return ""
    first, end = int(span[1]), int(span[2]) + 1
    if end - first <= _SPELLED_AT_MOST:
        swept = f"{key}={','.join(map(str, range(first, end)))}"
    else:
        swept = f"'{key}=range({first},{end})'"  # A shell would read the brackets.
    return f" To sweep several: -m {swept}."


def _one_of(key: str, value: str, allowed: tuple[str, ...], others: str = "") -> None:
    if value in allowed:
        return
    bare = value.strip("[](), =")
    meant = hint = ""
    if bare in allowed:
        hint = f" Type {key}={bare}."
    elif re.search(r"[,(]", value):
        hint = _TO_SWEEP
    else:
        meant = did_you_mean(value, allowed, f"{key}={{}}".format)
    raise UserError(
        f"{key}={value} is not known.{meant} Allowed: {', '.join(allowed)}{others}.{hint}"
    )


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{key}={value} must be {least} or more.")


def _positive(key: str, value: float) -> None:
    if not (0 < value < math.inf):
        raise UserError(f"{key}={value} must be a positive number.")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not (low <= value < high):
        upper = f" and below {high:.12g}" if high < math.inf else ", and finite"
        raise UserError(f"{key}={value} must be {low:g} or more{upper}.")

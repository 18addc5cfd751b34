"""The typed configuration and its validation, readable without TensorFlow.

`conf/` holds what a study sets, this module every key's type, limits and default. Hydra rejects
what is not of the right type, `validate` what is out of range.
"""

import difflib
import functools
import importlib.util
import math
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from ablation.models.specs import (
    ARCHS,
    SHORTCUTS,
    STRIDE_ON,
    BaselineSpec,
    ResNetSpec,
    chooses_stride,
    refusal,
)

AUGMENTATIONS = ("none", "flip", "crop_flip")
BACKENDS = ("tensorflow", "jax")
NORMALISATIONS = ("unit", "signed", "standard", "pixel_mean")
OPTIMIZERS = ("sgd", "adam")
PRECISIONS = ("float32", "mixed_bfloat16")
RERUNS = ("none", "failed", "all")
SCHEDULES = ("constant", "cosine", "step")
SOURCES = ("digits", "tfds", "folder")

CELL_KEYS = ("arch", "plain", "shortcut", "preact", "dataset")
"""The factors of every study; keys that a command sweeps join them."""

COMMAND_KEYS = (
    "study",
    "plan",
    "rerun",
    "threads",
    "keep_checkpoints",
    "diagnostics",
    "runs_dir",
    "cache_dir",
    "report",
)
"""Keys of the command as a whole: where things lie and how the work is done; no result depends
on them."""

BASELINE = "baseline"
"""The arm of nets that stand beside an ablation and not in it."""

OWN_ORDER = "own"
"""What `preact` is for a net that has no choice of its block order."""

_NOT_IDENTITY_IN = {"dataset": ("data_dir", "path"), "recipe": ("name",)}

_PACKAGE = Path(__file__).resolve().parent
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""conf/ lies beside the package in a checkout and inside it in a wheel."""


class UserError(Exception):
    """What a user can put right: the message is shown as it is, without a traceback."""


@dataclass
class DatasetConfig:
    """Which images, and what is done to them before the network sees them."""

    name: str = MISSING
    source: str = MISSING
    train_split: str | None = None
    val_split: str | None = None
    image_size: int = 32
    data_dir: str | None = None
    path: str | None = None
    augment: str = "none"
    normalisation: str = "unit"


@dataclass
class RecipeConfig:
    """The optimizer, its schedule and the batch size."""

    name: str = MISSING
    optimizer: str = MISSING
    learning_rate: float = MISSING
    batch_size: int = MISSING
    momentum: float = 0.0
    weight_decay: float = 0.0
    clipnorm: float | None = None
    schedule: str = "constant"
    warmup_fraction: float = 0.0
    warmup_learning_rate: float = 0.0
    milestones: list[float] = field(default_factory=list)
    milestone_factor: float = 0.1


@dataclass
class ReportConfig:
    """What the report compares."""

    contrast: str = "plain"
    reference: str | None = None


@dataclass
class Config:
    """Everything a command may set; `conf/config.yaml` explains each key."""

    arch: str = "34"
    plain: bool = False
    shortcut: str = "auto"
    preact: bool = False
    stride_on: str = "1x1"
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    epochs: int = 5
    seed: int = 0
    study: str = "main"
    backend: str = "tensorflow"
    precision: str = "float32"
    deterministic: bool = True
    threads: int = 0
    keep_checkpoints: int = 0
    diagnostics: bool = False
    plan: bool = False
    rerun: str = "none"
    runs_dir: str = "runs"
    cache_dir: str = MISSING
    report: ReportConfig = field(default_factory=ReportConfig)


ConfigStore.instance().store(name="schema", node=Config)
OmegaConf.register_new_resolver("expanduser", lambda path: str(Path(path).expanduser()))


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Returns the resolved configuration as nested dicts, without Hydra's own part.

    Raises:
        MissingMandatoryValue: a key without a default was not given.
    """
    keys = [str(key) for key in config if key != "hydra"]
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(config, keys), resolve=True, throw_on_missing=True
    )
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def validate(config: dict[str, Any]) -> None:
    """Checks every value that needs no look at the data.

    Args:
        config: the resolved configuration, as `to_plain` returns it.

    Raises:
        UserError: a value is not allowed; the message names the key, the value and what is allowed.
    """
    _check_keys(config)
    _one_of("arch", config["arch"], tuple(ARCHS))
    _one_of("shortcut", config["shortcut"], SHORTCUTS)
    _one_of("stride_on", config["stride_on"], STRIDE_ON)
    _one_of("backend", config["backend"], BACKENDS)
    if importlib.util.find_spec(config["backend"]) is None:
        raise UserError(
            f"backend={config['backend']} is not installed: pip install {config['backend']}, "
            f"or use another of {', '.join(BACKENDS)}."
        )
    _one_of("precision", config["precision"], PRECISIONS)
    _one_of("rerun", config["rerun"], RERUNS)
    _at_least("epochs", config["epochs"], 1)
    _within("seed", config["seed"], 0, 2**32)
    _at_least("threads", config["threads"], 0)
    _at_least("keep_checkpoints", config["keep_checkpoints"], 0)
    if not re.fullmatch(r"[\w][\w.-]*", config["study"]):
        raise UserError(
            f"study={config['study']!r} cannot name a folder; "
            "use letters, digits, '.', '_' and '-'."
        )
    refused = refusal(config["arch"], config)
    if refused:
        raise UserError(refused)
    _validate_dataset(config["dataset"], config["arch"])
    _validate_recipe(config["recipe"])


def _check_keys(config: dict[str, Any]) -> None:
    """Raises UserError if a key was added or taken away, which Hydra's + and ~ can do."""
    given, known = flatten(config).keys(), _known_keys()
    for key in given - known:
        raise UserError(_unknown_key(key))
    for key in known - given:
        raise UserError(f"{key} cannot be taken away.")


@functools.cache
def _known_keys() -> Set[str]:
    return flatten(asdict(Config())).keys()


def _validate_dataset(dataset: dict[str, Any], arch: str) -> None:
    _one_of("dataset.source", dataset["source"], SOURCES)
    _one_of("dataset.augment", dataset["augment"], AUGMENTATIONS)
    _one_of("dataset.normalisation", dataset["normalisation"], NORMALISATIONS)
    smallest = ARCHS[arch].min_image_size
    if dataset["image_size"] < smallest:
        raise UserError(
            f"dataset.image_size={dataset['image_size']} is too small for arch={arch}, "
            f"which halves the image until nothing is left; use dataset.image_size={smallest} "
            f"or more{', or a CIFAR-style net such as arch=20' if smallest > 4 else ''}."
        )


def _validate_recipe(recipe: dict[str, Any]) -> None:
    _one_of("recipe.optimizer", recipe["optimizer"], OPTIMIZERS)
    _one_of("recipe.schedule", recipe["schedule"], SCHEDULES)
    _at_least("recipe.batch_size", recipe["batch_size"], 1)
    _positive("recipe.learning_rate", recipe["learning_rate"])
    _positive("recipe.milestone_factor", recipe["milestone_factor"])
    if recipe["clipnorm"] is not None:
        _positive("recipe.clipnorm", recipe["clipnorm"])
    _within("recipe.momentum", recipe["momentum"], 0, 1)
    _within("recipe.warmup_fraction", recipe["warmup_fraction"], 0, 1)
    for key in ("weight_decay", "warmup_learning_rate"):
        _within(f"recipe.{key}", recipe[key], 0, math.inf)
    stones = recipe["milestones"]
    if any(not 0 < stone < 1 for stone in stones) or stones != sorted(set(stones)):
        raise UserError(
            f"recipe.milestones={stones} must be ascending shares of the training, "
            "each between 0 and 1, such as [0.5,0.75]."
        )
    if recipe["schedule"] == "step" and not stones:
        raise UserError("recipe.schedule=step needs recipe.milestones, such as [0.5,0.75].")
    if recipe["schedule"] == "step" and recipe["warmup_fraction"] >= stones[0]:
        raise UserError(
            f"recipe.warmup_fraction={recipe['warmup_fraction']} must be below the first of "
            f"recipe.milestones={stones}."
        )


def check_contrast(contrast: str, factors: Sequence[str]) -> None:
    """Raises UserError unless the levels of a factor can be compared."""
    allowed = [factor for factor in factors if factor not in ("dataset", "seed")]
    if contrast not in allowed:
        raise UserError(
            f"report.contrast={contrast} is not a factor of this study. "
            f"Allowed: {', '.join(allowed)}."
        )


def check_reference(reference: str | None, contrast: str, configs: Iterable[dict]) -> None:
    """Raises UserError unless one of some configurations has this level of a contrast."""
    if reference is None:
        return
    known: dict[str, None] = {}
    for config in configs:
        known |= dict.fromkeys(_levels(config, contrast))
        if _same_level(reference) in map(_same_level, known):
            return
    raise UserError(
        f"report.reference={reference} is no level of {contrast}. Allowed: {', '.join(known)}."
    )


def _levels(config: dict[str, Any], contrast: str) -> list[str]:
    """Returns what a run may be called in a table whose columns are the levels of a contrast."""
    keys = flatten(identity_keys(config))
    if contrast == "plain":
        side = arm(config)
        return [side, f"{side} {keys['shortcut']}"] if side == "residual" else [side]
    return [str(config["recipe"]["name"] if contrast == "recipe" else keys[contrast])]


def _same_level(level: str) -> str | float:
    """Returns what two spellings of a level have in common, such as 0.1 and 1e-1."""
    try:
        return float(level)
    except ValueError:
        return level.lower()


def result_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a configuration that decides the result."""
    keys = {key: value for key, value in config.items() if key not in COMMAND_KEYS}
    for group, left_out in _NOT_IDENTITY_IN.items():
        keys[group] = {key: value for key, value in config[group].items() if key not in left_out}
    return keys


def identity_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Returns `result_keys` in one canonical form.

    Two commands that name the same network in different words get the same keys: `auto` becomes
    the shortcut that it stands for, a plain net has none, a basic block no choice of stride. Nets
    that are no ResNets have an order of their own, whatever `preact` says. Of a recipe, what its
    optimizer or schedule does not read counts as not set.
    """
    keys = result_keys(config)
    spec = ARCHS[config["arch"]]
    if config["plain"]:
        keys["shortcut"] = "none"
    elif config["shortcut"] == "auto":
        keys["shortcut"] = spec.default_shortcut
    if not chooses_stride(spec):
        keys["stride_on"] = "none"
    if not isinstance(spec, ResNetSpec):
        keys["preact"] = OWN_ORDER
    defaults = vars(RecipeConfig())
    keys["recipe"] |= {key: defaults[key] for key in _unread(config["recipe"])}
    return keys


def _unread(recipe: dict[str, Any]) -> set[str]:
    """Returns the keys of a recipe that change nothing, whatever they are."""
    unread = set()
    if recipe["optimizer"] == "adam":
        unread |= {"momentum"}
    if recipe["schedule"] == "constant":
        unread |= {"warmup_fraction", "warmup_learning_rate"}
    if not recipe["warmup_fraction"]:
        unread |= {"warmup_learning_rate"}
    if recipe["schedule"] != "step":
        unread |= {"milestones", "milestone_factor"}
    return unread


def arm(config: dict[str, Any]) -> str:
    """Returns on which side of the ablation a net stands: "plain", "residual" or BASELINE."""
    if isinstance(ARCHS[config["arch"]], BaselineSpec):
        return BASELINE
    return "plain" if config["plain"] else "residual"


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested keys joined by dots, as they are written on the command line."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, or its type if it has none."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def explain(error: Exception) -> str:
    """Returns one line that says what is wrong with a command and what is allowed.

    Args:
        error: a UserError, or what Hydra or OmegaConf raised while it read the command.
    """
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    if isinstance(cause, MissingMandatoryValue):
        example = f", such as {key}=fashion_mnist" if key == "dataset.name" else ""
        return f"{key} has no default and must be given{example}."
    first = first_line(error)
    if "Ambiguous value for argument" in first:
        return f"{first}. To sweep, put -m before the keys: python -m ablation -m ..."
    if "does not support sweep type" in first:
        return "interval() names no values; write them out, such as key=0.01,0.1, or use range()."
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override} cannot be read: {first}. A value with brackets, commas or spaces "
            "needs quotes of its own: 'dataset.train_split=\"train[:80%]\"'."
        )
    if key and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _unknown_key(key)
    if isinstance(error, MissingConfigException):
        options = ", ".join(error.options or [])
        return f"{first.rstrip('.')}. Allowed: {options}."
    return f"{first}: {first_line(cause)}" if cause is not error else first


def _unknown_key(key: str) -> str:
    group, _, word = key.rpartition(".")
    keys = [name for name in _known_keys() if name.rpartition(".")[0] == group]
    keys = keys or list(_known_keys())
    # By the last word, since a long group's name makes any two of its keys alike.
    words = {name.rpartition(".")[2]: name for name in keys}
    close = difflib.get_close_matches(word, words, n=1)
    hint = f" Did you mean {words[close[0]]}?" if close else ""
    return f"unknown key {key}.{hint} Keys: {', '.join(keys)}. See python -m ablation --help."


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{key}={value} is not known. Allowed: {', '.join(allowed)}.")


def _at_least(key: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{key}={value} must be {least} or more.")


def _positive(key: str, value: float) -> None:
    if not (0 < value < math.inf):
        raise UserError(f"{key}={value} must be a positive number.")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not (low <= value < high):
        upper = f" and below {high:g}" if high < math.inf else ", and finite"
        raise UserError(f"{key}={value} must be {low:g} or more{upper}.")

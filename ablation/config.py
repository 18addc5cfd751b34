"""The typed configuration: every key with its type and default, and what identifies a run.

`conf/` holds what a study sets; `validation` says what is out of range. No TensorFlow.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

BACKENDS = ("tensorflow", "jax", "torch")
SWEEPER = "hydra_plugins.ablation_sweeper.DesignSweeper"
CELL_KEYS = ("arch", "dataset")
"""The factors of every study, like each part of a network; keys that a command sweeps join them."""

COMMAND_KEYS = (
    "design",
    "tune",
    "control",
    "study",
    "claims",
    "plan",
    "rerun",
    "threads",
    "keep_checkpoints",
    "hang_after",
    "diagnostics",
    "runs_dir",
    "cache_dir",
    "report",
)
"""Keys of the command as a whole: where things lie and how the work is done; no result depends
on them."""

RECORD_KEY, CODE_KEY = "network", "code"
"""What a run's config.yaml has beside the configuration: what is on record of its network, and the
code of the user's other functions."""

OWN_KEYS = ("dataset.augment", "recipe.loss")
"""Keys that may name a function of the user's own, as `arch` may."""

CROSS_ENTROPY = "cross_entropy"

OPTIONS = "recipe.options"
"""The group whose keys an optimizer decides, as a network decides those of `parts`."""

SAID = ("target", "unit")
"""Options of data sets that say what its labels are: the fingerprint of the data has it."""

PLACES = ("path", "data_dir")
"""Options of data sets that say where it lies, in whatever source: no result depends on them."""

_PACKAGE = Path(__file__).resolve().parent
CONF_DIR = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""conf/ lies beside the package in a checkout and inside it in a wheel."""


class UserError(Exception):
    """What a user can put right: the message is shown as it is, without a traceback."""


@dataclass
class DatasetConfig:
    """Which images, and what is done to them before the network sees them.

    Each source has a subclass, which adds the options that it reads; see `ablation.data.sources`.

    Attributes:
        name: what the data set is called.
        source: where it comes from.
        image_size: height and width in pixels, one number if they are equal, None as stored. Typed
            loosely, because OmegaConf has no union with a list.
        resize: how images get that size; see `ablation.data.resize`.
        augment: see `ablation.data.pipeline`.
        normalisation: see `ablation.data.pipeline`.

    Raises:
        UserError: `image_size` is none.
    """

    name: str = MISSING
    source: str = MISSING
    image_size: Any = 32
    resize: str = "stretch"
    augment: str = "none"
    normalisation: str = "unit"

    def __post_init__(self) -> None:
        given = self.image_size
        sides = list(given) if isinstance(given, list | tuple) else [given, given]
        if given is None:
            return
        if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
            raise UserError(
                f"dataset.image_size={given} is no size in pixels: a whole number such as 32, "
                "height and width such as [96,160], or null for that of the stored images."
            )
        # One spelling of a square, as an identity names it.
        self.image_size = sides[0] if sides[0] == sides[1] else sides

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels, None for that of the stored images."""
        one = self.image_size
        return None if one is None else (one[0], one[1]) if isinstance(one, list) else (one, one)


@dataclass
class RecipeConfig:
    """How a network is trained; `docs/recipes.md` explains each key."""

    name: str = MISSING
    optimizer: str = MISSING
    learning_rate: float = MISSING
    batch_size: int = MISSING
    momentum: float = 0.0
    weight_decay: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    ema: float = 0.0
    schedule: str = "constant"
    warmup_fraction: float = 0.0
    warmup_learning_rate: float = 0.0
    milestones: list[float] = field(default_factory=list)
    milestone_factor: float = 0.1
    loss: str | None = None
    label_smoothing: float = 0.0
    class_weights: str = "none"
    mixup: float = 0.0
    cutmix: float = 0.0
    random_erasing: float = 0.0
    trivial_augment: bool = False


@dataclass
class DesignConfig:
    """Which arms a sweep has; see `ablation.designs`.

    Attributes:
        name: of the design.
        reference: levels to take for the first, each as KEY=LEVEL.
        rejected: what a cumulative design tries and does not keep, KEY or KEY=LEVEL.
    """

    name: str = "grid"
    reference: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)


@dataclass
class TuneConfig:
    """What is tuned for each arm before its runs; `docs/tuning.md` explains it.

    Attributes:
        grid: the values that are tried, each key as KEY=VALUE,VALUE; written tune.KEY=VALUE,VALUE.
        share: of the training images, those that judge a trial and that it does not train on.
        seeds: of every trial.
        epochs: of a trial, None for those of the runs.
    """

    grid: list[str] = field(default_factory=list)
    share: float = 0.1
    seeds: int = 1
    epochs: int | None = None


@dataclass
class ReportConfig:
    """What the report compares."""

    metric: str | None = None
    margin: float | None = None
    design: str | None = None
    sort: str = "named"
    pdf: bool = False
    contrast: str | None = None
    reference: str | None = None


def check_margin(margin: object) -> None:
    """Raises UserError unless a margin is a positive number, or None."""
    if margin is None:
        return
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < math.inf:
        raise UserError(f"report.margin={margin} must be a positive number, or null for none.")


@dataclass
class Config:
    """Everything a command may set; `conf/config.yaml` explains each key."""

    design: DesignConfig = field(default_factory=DesignConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    control: list[str] = field(default_factory=list)
    arch: str = "34"
    parts: dict[str, Any] = field(default_factory=dict)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    epochs: int = 5
    seed: int = 0
    tuning: float = 0.0
    draw: int = 0
    study: str = "main"
    claims: str | None = None
    backend: str = "tensorflow"
    precision: str = "float32"
    deterministic: bool = True
    threads: int = 0
    keep_checkpoints: int = 0
    hang_after: int = 600
    diagnostics: bool = False
    plan: bool = False
    rerun: str = "none"
    runs_dir: str = "runs"
    cache_dir: str = MISSING
    report: ReportConfig = field(default_factory=ReportConfig)


def schema_of(parts: Iterable[str], dataset: DatasetConfig) -> DictConfig:
    """Returns what Hydra checks a configuration by, with all that can be asked for.

    Args:
        parts: of the networks that a command names.
        dataset: the options of every source, with their defaults.
    """
    schema = OmegaConf.structured(Config(parts=dict.fromkeys(parts, MISSING), dataset=dataset))
    OmegaConf.set_struct(schema.recipe.options, False)  # `validation` knows which there are.
    return schema


def declare(schema: DictConfig) -> None:
    """Lets Hydra check every configuration by a schema from now on."""
    ConfigStore.instance().store(name="schema", node=schema)


@dataclass
class SweeperConfig:
    """What Hydra's sweeper is given; see `DesignSweeper`."""

    _target_: str = SWEEPER
    max_batch_size: int | None = None
    params: Any = None
    until: int = 0


ConfigStore.instance().store(group="hydra/sweeper", name="ablation", node=SweeperConfig)
OmegaConf.register_new_resolver("expanduser", lambda path: str(expanded("runs_dir", path)))


def expanded(key: str, path: str | Path) -> Path:
    """Returns a path with its ~ replaced by the home folder.

    Args:
        key: that sets the path, for the message.
        path: as it was given.

    Raises:
        UserError: it is empty, or there is no such home folder.
    """
    if not str(path):
        raise UserError(f"{key} is empty; name a folder, such as {key}=/some/folder.")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{key}={path} begins with a home folder that is not known (is HOME set?); "
            f"name a folder without ~, such as {key}=/some/folder."
        ) from None


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Returns the resolved configuration as nested dicts, without Hydra's own part.

    Of the parts it holds those that were given.

    Raises:
        MissingMandatoryValue: a key without a default was not given.
    """
    resolved = {}
    for key in map(str, config):
        if key in ("hydra", "parts"):
            continue
        # One by one, because a copy without the others would not convert what ${...} stands for.
        value = config[key]
        is_group = OmegaConf.is_config(value)
        resolved[key] = (
            OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
            if is_group
            else value
        )
    if "parts" in config:
        given = [name for name in config.parts if not OmegaConf.is_missing(config.parts, name)]
        resolved["parts"] = {name: config.parts[name] for name in given}
    return resolved


def result_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a configuration that decides the result.

    Args:
        config: of nested dicts, that of a run's config.yaml too.
    """
    left_out = (*COMMAND_KEYS, RECORD_KEY, CODE_KEY)
    keys = {key: value for key, value in config.items() if key not in left_out}
    for group, others in {"dataset": (*PLACES, *SAID), "recipe": ("name",)}.items():
        keys[group] = {key: value for key, value in config[group].items() if key not in others}
    return keys


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested keys joined by dots, as they are written on the command line."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type if it has none."""
    return str(error).strip().split("\n")[0] or type(error).__name__

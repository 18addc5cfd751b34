"""The configuration of every job of a sweep, before its first job starts.

Hydra takes tens of milliseconds to compose one job, minutes for ten thousand. So each combination
of choices (`dataset=`, `recipe=`, ...) is composed once by Hydra; the jobs that share it differ in
single keys, which OmegaConf converts to their types as it would there. Whatever is not that simple
is left to Hydra, and so is every error, which therefore reads the same.
"""

import copy
import functools
import itertools
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hydra import compose

# Private, so that pyproject.toml allows Hydra 1.3 only.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType, RangeSweep
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation import keys
from ablation.config import UserError, to_plain
from ablation.designs import BLOCKS, Arm, Space, seeds, with_reference
from ablation.designs.registry import CUMULATIVE, GRID
from ablation.designs.registry import find as find_design
from ablation.factors import spelled
from ablation.terminal import counted

_DEPENDENT = re.compile(r"\$\{(?!oc\.env:)")
"""An interpolation that may read another key, so that one key can change several values."""

RUNS_AT_MOST = 20_000
"""That a command may name: so many are planned in half a minute, and more were not meant."""


@dataclass(frozen=True)
class Change:
    """What makes a control of a job.

    Attributes:
        kind: of control; see `designs.controls`.
        of: the place of the job that it is the control of.
        keys: that are changed, joined by dots, with their values.
        facts: what a report is to know of it.
        against: the place of the job that it is compared with; None if that is its own.
    """

    kind: str
    of: int
    keys: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)
    against: int | None = None


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        words: its overrides, as Hydra takes them.
        arm: the place of its arm in the design.
        levels: of the factors, by key, as they were typed.
        config: resolved.
        control: of what it is a control, and how; None if it is a job of an arm.
    """

    words: tuple[str, ...]
    arm: int
    levels: dict[str, str]
    config: dict[str, Any]
    control: Change | None = None

    @property
    def without_seed(self) -> tuple[str, ...]:
        """Its overrides but for the seed: what the jobs of one arm on one data set share."""
        return tuple(word for word in self.words if not word.startswith("seed="))


@dataclass(frozen=True)
class Expansion:
    """What a command sweeps.

    Attributes:
        jobs: of the arms, all of one seed before those of the next, then those of controls.
        swept: the keys that the command varies.
        space: the factors and their levels, as they were typed.
        until: at most how many seeds are trained until its questions are decided, 0 where all are.
        uncontrolled: of kinds of controls, in words, why the job of an arm has none, by its place.
    """

    jobs: list[Job]
    swept: list[str]
    space: Space
    until: int = 0
    uncontrolled: dict[str, dict[int, str]] = field(default_factory=dict)

    @property
    def of_arms(self) -> list[Job]:
        """The jobs that are no controls."""
        return [job for job in self.jobs if not job.control]


def expand(config: DictConfig) -> Expansion:
    """Returns every job of a sweep with its resolved configuration.

    Args:
        config: what Hydra composed for the sweep as a whole.

    Raises:
        UserError: the design cannot be made of the swept keys.
    """
    design = config.design
    arms_of = find_design(design.name).arms
    arguments, at_most = _arguments(config)
    overrides = parsed(arguments)
    # Of a key that is typed twice the later one counts.
    last = {one.key_or_group: one for one in overrides}
    swept = [key for key, one in last.items() if one.is_sweep_override()]
    words = values_of(overrides)
    factors = {key: known for key, known in words.items() if key in swept and key not in BLOCKS}
    by_text = {key: {_typed(word): word for word in known} for key, known in factors.items()}
    space = with_reference(
        {key: list(texts) for key, texts in by_text.items()},
        _references(map(str, design.reference), factors),
        [_rejected(str(one), factors) for one in design.rejected],
    )
    if design.name != GRID and all(len(levels) < 2 for levels in space.levels.values()):
        raise UserError(
            f"design={design.name} needs a key with several values, such as epochs=5,10; "
            "seed and dataset are no factors of a design."
        )
    of_each_arm = math.prod(len(words.get(key, [""])) for key in BLOCKS)
    if design.name == GRID:  # Whose combinations may be too many to be listed.
        check_count(of_each_arm * math.prod(map(len, space.levels.values())))
    arms = arms_of(space)
    check_count(of_each_arm * len(arms))
    jobs = _jobs(config.hydra.job.config_name, arms, words, by_text)
    if design.rejected and design.name != CUMULATIVE:
        raise UserError(
            f"design.rejected={','.join(map(str, design.rejected))} is for design={CUMULATIVE}, "
            f"which goes by steps; design={design.name} has none. Leave it out."
        )
    if design.reference and design.name == GRID:
        (first, *_) = map(str, design.reference)
        raise UserError(
            f"design.reference.{first} is for a design with a reference, such as "
            "design=leave_one_out; in a grid report.reference=LEVEL names the level that the "
            "others are compared with, as its table calls it."
        )
    if at_most and len(arms) < 2:
        raise UserError(
            f"seed=until({at_most}) trains seeds until questions are decided, and a single arm "
            "asks none: name several levels, such as arch=34,50."
        )
    return Expansion(jobs, swept, space, at_most)


def _arguments(config: DictConfig) -> tuple[list[str], int]:
    """Returns the overrides of a sweep, its experiment's before the command's own, and `until`."""
    params = dict(config.hydra.sweeper.get("params") or {})
    at_most = config.hydra.sweeper.get("until") or 0
    count = seeds.until(str(params.get("seed", "")))
    if count:
        params["seed"] = f"range({count})"
    arguments = [f"{key}={value}" for key, value in params.items()]
    # As they stand: to resolve them would take off what keeps a text's ${...} a text.
    typed = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(typed, list)
    arguments += typed
    if count and not any(word.startswith("seed=") for word in typed):
        at_most = count
    return arguments, at_most


def _jobs(
    config_name: str,
    arms: Sequence[Arm],
    words: Mapping[str, Sequence[str]],
    by_text: Mapping[str, Mapping[str, str]],
) -> list[Job]:
    """Returns the jobs of all arms, for each seed and data set that the command names.

    Args:
        config_name: of the primary configuration.
        arms: of the design.
        words: the overrides of every value of each key.
        by_text: of each factor the override of a level.
    """
    blocks = [words.get(key, [None]) for key in reversed(BLOCKS)]
    found, places, named = [], [], []
    for block in itertools.product(*blocks):
        chosen = dict(zip(reversed(BLOCKS), block, strict=True))
        for place, arm in enumerate(arms):
            its = chosen | {key: by_text[key][level] for key, level in arm.levels.items()}
            found.append(tuple(its.get(key) or known[0] for key, known in words.items()))
            places.append(place)
            data = chosen["dataset"] if len(blocks[1]) > 1 else None
            levels = {"dataset": _typed(data)} if data else {}
            named.append(levels | {key: spelled(level) for key, level in arm.levels.items()})
    composed = configurations(config_name, found)
    return [Job(*one) for one in zip(found, places, named, composed, strict=True)]


def _references(typed: Iterable[str], factors: Iterable[str]) -> dict[str, str]:
    """Returns the level that is typed for the reference of each factor."""
    found: dict[str, str] = {}
    for one in typed:
        name, _, level = one.partition("=")
        key = keys.factor(name, factors)
        if key in found:
            raise UserError(
                f"design.reference.{name} is given 2 times: {found[key]} and {level}. Give it once."
            )
        found[key] = level
    return found


def _rejected(typed: str, factors: Iterable[str]) -> str:
    key, equals, level = typed.partition("=")
    return f"{keys.factor(key, factors)}{equals}{level}"


def values_of(overrides: Sequence[Override]) -> dict[str, list[str]]:
    """Returns the override of every value of each key, in the order typed.

    Raises:
        UserError: a key has no value, or more than there may be runs.
    """
    found: dict[str, list[str]] = {}
    for override in overrides:
        value = override.value()
        if isinstance(value, RangeSweep):
            _check_range(value, str(override.input_line))
        (jobs,) = BasicSweeper.split_arguments([override], None)
        found[override.key_or_group] = list(dict.fromkeys(word for job in jobs for word in job))
        if not jobs:
            raise UserError(f"{override.input_line} names no value; {_hint(value)}.")
    return found


def _hint(empty: Any) -> str:
    """Returns how what names no value is written."""
    if isinstance(empty, Glob):
        return "glob() finds files of conf/, such as recipe=glob(*)"
    if isinstance(empty, RangeSweep):
        return "a range ends before its end, such as range(1,4) for 1,2,3"
    return "write the values between the brackets, such as shuffle(1,2,3)"


def _check_range(of: RangeSweep, word: str) -> None:
    """Raises UserError if a range cannot be counted out, or holds more than there may be runs."""
    ends = [Decimal(str(one)) for one in (of.start, of.stop, of.step)]
    if not all(map(Decimal.is_finite, ends)) or not ends[2]:
        raise UserError(
            f"{word} cannot be counted out; it is written range(START,END,STEP), with a step that "
            "is not 0."
        )
    start, end, step = map(Fraction, ends)
    check_count(math.ceil((end - start) / step), word)


def check_count(count: int, of: str = "the command", what: str = "run") -> None:
    """Raises UserError if there are more runs than a command may have."""
    if count > RUNS_AT_MOST:
        said = counted(count, what) if count < 10**15 else f"{Decimal(count):.0e} {what}s"
        raise UserError(
            f"{of} names {said}, more than the {RUNS_AT_MOST:,} that one command "
            "may have; name fewer values, or give several commands."
        )


def _typed(word: str) -> str:
    """Returns the value of an override as its user typed it."""
    return spelled(parsed([word])[0].value())


def configurations(config_name: str, jobs: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """Returns what Hydra composes for each job, resolved.

    Args:
        config_name: of the primary configuration.
        jobs: the overrides of each job.
    """
    words = list(dict.fromkeys(word for job in jobs for word in job))
    overrides = dict(zip(words, parsed(words), strict=True))
    groups = {key for key in {one.key_or_group for one in overrides.values()} if _is_group(key)}
    choices = {word for word in words if overrides[word].key_or_group in groups}
    if not all(_is_simple(overrides[word], word in choices) for word in words):
        return [_composed(config_name, job) for job in jobs]
    templates: dict[tuple[str, ...], _Template] = {}
    found = []
    for job in jobs:
        chosen = tuple(word if word in choices else overrides[word].key_or_group for word in job)
        if chosen not in templates:
            templates[chosen] = _Template(config_name, job)
        values = [overrides[word] for word in job if word not in choices]
        filled = templates[chosen].filled(values)
        found.append(_composed(config_name, job) if filled is None else filled)
    return found


class _Template:
    """A composed job, into which the values of the jobs that make the same choices are filled.

    Args:
        config_name: of the primary configuration.
        job: the overrides of the job that is composed.
    """

    def __init__(self, config_name: str, job: Sequence[str]):
        self._config = compose(config_name, overrides=list(job))
        self._plain = to_plain(self._config)
        self._is_fixed = not _DEPENDENT.search(OmegaConf.to_yaml(self._config))
        self._converted: dict[str | None, Any] = {}

    def filled(self, values: Sequence[Override]) -> dict[str, Any] | None:
        """Returns the configuration with other values, None if that is left to Hydra.

        Args:
            values: an override of every key by which the jobs may differ.
        """
        if not self._is_fixed:
            return None
        filled_in = copy.deepcopy(self._plain)
        try:
            for override in values:
                *path, leaf = override.key_or_group.split(".")
                group = functools.reduce(operator.getitem, path, filled_in)
                if isinstance(group[leaf], dict):
                    return None
                group[leaf] = self._value(override)
        except (OmegaConfBaseException, KeyError, TypeError):
            return None
        return filled_in

    def _value(self, override: Override) -> Any:
        """Returns an override's value as the type of its key."""
        if override.input_line not in self._converted:
            OmegaConf.update(self._config, override.key_or_group, override.value())
            value = OmegaConf.select(self._config, override.key_or_group)
            is_list = OmegaConf.is_list(value)
            self._converted[override.input_line] = (
                OmegaConf.to_container(value) if is_list else value
            )
        return copy.copy(self._converted[override.input_line])


def _composed(config_name: str, job: Sequence[str]) -> dict[str, Any]:
    return to_plain(compose(config_name, overrides=list(job)))


def parsed(words: Sequence[str]) -> list[Override]:
    """Returns overrides, as Hydra takes them."""
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(list(words))


def _is_group(key: str) -> bool:
    return bool(GlobalHydra.instance().config_loader().get_group_options(key))


def _is_simple(override: Override, chooses: bool) -> bool:
    """Returns whether an override only chooses a group's member or only sets a value."""
    if override.type is not OverrideType.CHANGE or override.package is not None:
        return False
    value = override.value()
    return isinstance(value, str) if chooses else _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return "${" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)

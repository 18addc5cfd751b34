"""The files of `conf/` and of folders like it that a command chooses by name."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation import keys
from ablation.command.grammar import several
from ablation.config import CONF_DIR, UserError, flatten

_GLOBAL = re.compile(r"\s*#\s*@package\s+_global_\s*$", re.MULTILINE)
_WHOLE = ("dataset", "recipe", "design")
"""Groups whose files are written to be taken as they are."""


def archs(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Yields the networks that a command names, by itself or in the experiment that it chooses."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key == "arch":
            yield from (bare.strip("\"'") for bare in several(value) or [])
    for typed in experiments(words, options):
        for key in ("arch", "hydra.sweeper.params.arch"):
            yield from several(str(typed.get(key, ""))) or []


def experiments(words: Sequence[str], options: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields what the chosen experiment sets, and then each of those that it is made of."""
    for path, group in _chosen_files(words, options):
        if group == "experiment":
            yield _written(path)


def check_choices(words: Sequence[str], options: Sequence[str]) -> None:
    """Raises UserError if a typed choice, such as recipe=adam, would be mixed with an experiment's.

    The keys of an experiment come after those of a choice, which it was written beside another of.
    """
    typed = [word.partition("=")[0].lstrip("+") for word in words]
    for path, group in _chosen_files(words, options):
        content = _written(path) if group == "experiment" else {}
        own = set(_made_of(content.get("defaults"), group))
        for word in words:
            choice = word.partition("=")[0]
            sets = [key for key in content if key.startswith(f"{choice}.") and key not in typed]
            if choice in _WHOLE and sets and word not in own:
                named = ", ".join(f"{key}={content[key]}" for key in sets)
                raise UserError(
                    f"experiment={path.stem} sets {named}, which would be mixed with {word}: type "
                    f"{'this key' if len(sets) == 1 else 'these keys'} too, or leave out {word}."
                )


def check_files(words: Sequence[str], options: Sequence[str]) -> None:
    """Raises UserError if YAML takes a text of a chosen file, such as 1.10, for something else."""
    for path, group in _chosen_files(words, options):
        _check_file(path, group)


def _written(path: Path) -> dict[str, Any]:
    """Returns what a file of `conf/` sets, as it is typed; {} of what `_check_file` refuses."""
    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValueError):
        return flatten(dict(yaml.load(path.read_text("utf-8"), yaml.BaseLoader) or {}))
    return {}


def _chosen_files(words: Sequence[str], options: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yields the files of `conf/` and of other such folders that a command chooses by name.

    Those come after it that a chosen file is made of.
    """
    folders = [CONF_DIR, *_config_dirs(options)]
    waiting, seen = list(words), set[Path]()
    while waiting:
        group, _, choices = waiting.pop(0).partition("=")
        names = several(choices) or [] if group in keys.groups() else []
        for path in (folder / group / f"{name}.yaml" for name in names for folder in folders):
            if path.is_file() and path not in seen:
                seen.add(path)
                yield path, group
                waiting += _made_of(_written(path).get("defaults"), group)


def _made_of(defaults: Any, group: str) -> Iterator[str]:
    """Yields as words what the defaults of a file of a group choose."""
    for one in defaults if isinstance(defaults, list) else []:
        if isinstance(one, str):
            of, _, name = one.rpartition("/")
            yield f"{of.strip('/') or group}={name}"
        elif isinstance(one, dict):
            for key, name in one.items():
                yield f"{str(key).removeprefix('override ').strip('/ ')}={name}"


def _config_dirs(options: Sequence[str]) -> Iterator[Path]:
    for place, word in enumerate(options):
        name, is_pair, value = word.partition("=")
        if name in ("-cd", "--config-dir"):
            yield Path(value if is_pair else options[place + 1])


def _check_file(path: Path, group: str) -> None:
    try:
        written = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as such.") from None
    prefix = "" if "@package _global_" in written else f"{group}."
    if group == "experiment" and not _GLOBAL.match(written):
        raise UserError(f"{path}: an experiment begins with the line `# @package _global_`.")
    try:
        typed = flatten(dict(yaml.load(written, yaml.BaseLoader) or {}), prefix)
        read = flatten(dict(OmegaConf.to_container(OmegaConf.create(written))), prefix)  # type: ignore
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: no YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, OmegaConfBaseException, TypeError, ValueError):
        return  # Hydra says what is wrong with it.
    for key in keys.text_keys().keys() & read.keys():
        if isinstance(read[key], list):
            raise UserError(
                f"{path}: {key} is one text; levels to sweep stand in hydra.sweeper.params, "
                f"{key}: {','.join(map(str, typed[key]))}."
            )
        if read[key] is not None and str(read[key]) != typed[key]:
            raise UserError(
                f"{path}: YAML reads {key}: {typed[key]} as {read[key]}; "
                f"put the text in quotes: '{typed[key]}'."
            )

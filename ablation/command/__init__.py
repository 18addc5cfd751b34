"""The words of a command as the user typed them, made ready for Hydra. No TensorFlow.

Hydra's grammar reads `study=1.10` as a number and `dataset.path=~/photos` not at all. So the value
of a key whose type is text is put in Hydra's quotes before Hydra sees it, and words that are no
`key=value` are answered here with the spelling that is.
"""

import re
import shlex
from collections.abc import Sequence

# Private, so that pyproject.toml allows Hydra 1.3 only.
from hydra._internal.utils import get_args_parser

from ablation import keys
from ablation.command.characters import check_characters
from ablation.command.files import archs, check_choices, check_files, experiments
from ablation.command.grammar import REFERENCE, TUNE, WORD, as_text, several, swept
from ablation.command.lists import of_controls, of_design, of_seeds, of_tuning
from ablation.command.loose import check_whole, unknown_option
from ablation.config import COMMAND_KEYS, UserError

_COMPLETION = re.compile(r"(install|uninstall|query)=(bash|fish|zsh)")
_COMMANDS = ("describe", "export", "report", "watch")
"""What is run by a command of its own, such as `python -m ablation.report`."""


def arranged(words: Sequence[str]) -> list[str]:
    """Returns the words of `python -m ablation` as Hydra takes them, options first.

    Raises:
        UserError: a word cannot be read; the message says how it is written.
    """
    check_characters(words)
    if words and words[0] in _COMMANDS:
        typed = shlex.join(["python", "-m", f"ablation.{words[0]}", *words[1:]])
        raise UserError(f"{words[0]} is a command of its own: {typed}.")
    if words and words[0] == "guide":
        raise UserError("guide takes nothing else: python -m ablation guide.")
    options, rest = _separated(words)
    names = {word.partition("=")[0] for word in options}
    multirun, shown = names & {"-m", "--multirun"}, names & {"-c", "--cfg", "-i", "--info"}
    if multirun and shown:
        raise UserError("--cfg and --info show the keys of one run; leave out -m.")
    modes = multirun | shown | names & {"-r", "--run", "-sc", "--shell-completion"}
    if len(modes) > 1:
        raise UserError(f"{' and '.join(sorted(modes))} exclude each other; give one of them.")
    completes = names & {"-sc", "--shell-completion"}
    if completes and sum(map(bool, map(_COMPLETION.fullmatch, rest))) != 1:
        raise UserError(
            f"{' '.join(completes)} takes one of install=SHELL, uninstall=SHELL and query=SHELL; "
            "SHELL is bash, fish or zsh."
        )
    if "--resolve" in names and not names & {"-c", "--cfg", "-h", "--help"}:
        raise UserError("--resolve goes with --cfg: --cfg job --resolve.")
    keys.admit(archs(rest, options))
    rest = [_without_sign(word) for word in rest]
    check_files(rest, options)
    check_whole(rest)
    chosen = list(experiments(rest, options))
    check_choices(rest, options)
    modes_of_files = {one.get("hydra.mode") for one in chosen}
    sweeps = bool(multirun) or "hydra.mode=MULTIRUN" in rest or "MULTIRUN" in modes_of_files
    rest = of_controls(of_tuning(of_seeds(rest, sweeps), sweeps, chosen), sweeps)
    return [*options, *overrides(of_design(rest, chosen), sweeps)]


def without_options(words: Sequence[str]) -> list[str]:
    """Returns the words of `python -m ablation.describe` as Hydra takes them.

    Raises:
        UserError: a word cannot be read; the message says how it is written.
    """
    check_characters(words)
    keys.admit(archs(words, ()))
    for place, word in enumerate(words):
        if word.startswith("-"):
            raise unknown_option(word, words[place + 1 :], "--help, --version")
    return overrides(of_design([_without_sign(word) for word in words]))


def overrides(words: Sequence[str], sweeps: bool = False) -> list[str]:
    """Returns words of the form key=value as Hydra takes them.

    Args:
        words: as typed, without options.
        sweeps: whether commas, ranges and globs stand for several values.

    Raises:
        UserError: a word cannot be read; the message says how it is written.
    """
    check_whole(words)
    check_once(words)
    return [_override(word, sweeps) for word in words]


def check_once(words: Sequence[str]) -> None:
    """Raises UserError if a key is given twice, of which Hydra takes the last."""
    given: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            given.setdefault(keys.full(key.lstrip("+~")), []).append(value)
    for key, values in given.items():
        if len(values) > 1:
            sweep = f"; to sweep: python -m ablation -m {key}={','.join(dict.fromkeys(values))}"
            of_command = key.partition(".")[0] in COMMAND_KEYS
            raise UserError(
                f"{key} is given {len(values)} times: {' and '.join(values)}. Give it once"
                f"{'' if of_command else sweep}."
            )


def _separated(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the options, with their values, and the other words."""
    options: list[str] = []
    rest: list[str] = []
    known = get_args_parser()._option_string_actions
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        name, is_pair, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        if name not in known:
            keys.admit(archs(words, ()))  # One of their parts may be meant.
            raise unknown_option(word, remaining, "-m, --cfg job, --help, --version")
        options.append(word)
        action = known[name]
        if action.nargs == 0 or is_pair:
            continue
        choices = list(action.choices or [])
        value = remaining[0] if remaining else ""
        if action.nargs == "?" and value not in choices:
            options.append(str(action.const))  # Or it takes the next key for its value.
            continue
        if not value or (choices and value not in choices):
            raise UserError(f"{word} needs a value: {' or '.join(choices) or 'a name'}.")
        options.append(remaining.pop(0))
    return options, rest


def _without_sign(word: str) -> str:
    """Returns a word without the ++ that changes nothing before a key that is there.

    Raises:
        UserError: it has another sign of Hydra's, which nothing can be meant by here.
    """
    match = WORD.fullmatch(word)
    if not match:
        return word
    sign, typed, value = match.groups()
    key, at, package = typed.partition("@")
    if key in keys.MARKS:
        return f"{key}={value}"
    chooses = key in keys.groups()
    there = chooses or key in keys.known_keys() or key.startswith((TUNE, REFERENCE))
    bare = f"{key}={value}"
    if chooses and at:
        raise UserError(f"{word} cannot be read; leave out @{package}: {shlex.quote(bare)}.")
    if there and (sign == "+" or (chooses and sign)):
        raise UserError(
            f"{word} cannot be read: {key} is a key already; leave out the {sign}: "
            f"{shlex.quote(bare)}."
        )
    return bare if there and not at else word


def _override(word: str, sweeps: bool) -> str:
    match = WORD.fullmatch(word)
    if not match:
        name = word.removeprefix("~").partition("=")[0]
        known = keys.known_keys() | keys.schema().keys()
        if any(f"{key}.".startswith(f"{keys.full(name)}.") for key in known):
            raise UserError(f"{name} cannot be taken away; leave out {word}.")
        return word
    prefix, key, value = match.groups()
    elements = several(value) or [] if sweeps else [value]
    if any(element.strip("\"'") == "???" for element in elements):
        raise UserError(f"{word} cannot be given: ??? stands for a value that is missing.")
    if _chooses(key):
        if value in ("", "null") or value.startswith("["):
            raise UserError(
                f"{word} is no choice; name one, or several with commas after -m, or leave it out."
            )
        nullable = False
    elif key in keys.text_keys():
        nullable = keys.text_keys()[key]
    else:
        return f"{prefix}{keys.full(key)}={value}"
    if sweeps:
        return f"{prefix}{keys.full(key)}={swept(key, value, nullable)}"
    return f"{prefix}{keys.full(key)}={as_text(value, nullable)}"


def _chooses(key: str) -> bool:
    """Returns whether a key chooses a file, of `conf/` or of Hydra's own."""
    group = key.partition("@")[0]
    return group in keys.groups() or group == "hydra" or "/" in group

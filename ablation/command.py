"""The words of a command as the user typed them, made ready for Hydra. No TensorFlow.

Hydra's grammar reads `study=1.10` as a number and `dataset.path=~/photos` not at all. So the value
of a key whose type is text is put in Hydra's quotes before Hydra sees it, and words that are no
`key=value` are answered here with the spelling that is.
"""

import argparse
import contextlib
import random
import re
import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import yaml

# Private, so that pyproject.toml allows Hydra 1.3 only.
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ablation import keys
from ablation.config import COMMAND_KEYS, CONF_DIR, TuneConfig, UserError, flatten
from ablation.designs import seeds

_WORD = re.compile(r"(\+{0,2})([A-Za-z_$][\w.$@/-]*)=(.*)", re.DOTALL)
_LOOSE = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)\s*[:=]?\s*(.*)", re.DOTALL)
_HEAD = re.compile(r"\+{0,2}([A-Za-z_][\w.]*)\s*([:=].*)?", re.DOTALL)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ELEMENT = re.compile(rf"\s*({_QUOTED.pattern})\s*(?=,|$)|([^,]*)", re.DOTALL)
_FUNCTION = re.compile(r"(choice|glob|interval|range|shuffle|sort|tag)\s*\((.*)\)", re.DOTALL)
_GLOBAL = re.compile(r"\s*#\s*@package\s+_global_\s*$", re.MULTILINE)
_COMPLETION = re.compile(r"(install|uninstall|query)=(bash|fish|zsh)")
_REFERENCE = "design.reference."
_REJECTED = "design.rejected="
_WHOLE = ("dataset", "recipe", "design")
"""Groups whose files are written to be taken as they are."""

_TUNE = "tune."
_COMMANDS = ("describe", "export", "report", "watch")
"""What is run by a command of its own, such as `python -m ablation.report`."""

_NO_TEXT = re.compile(r"[\d.,()\[\]-]|(true|false|null)\b", re.IGNORECASE)
"""How the rest of a value begins whose key takes no text."""

_BRACKETS = {")": "(", "]": "[", "}": "{"}
_COMMON = {
    "\t": "TAB",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\ufeff": "BYTE ORDER MARK",
}
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs by their category, of which nothing is seen."""


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
    swept, shown = names & {"-m", "--multirun"}, names & {"-c", "--cfg", "-i", "--info"}
    if swept and shown:
        raise UserError("--cfg and --info show the keys of one run; leave out -m.")
    modes = swept | shown | names & {"-r", "--run", "-sc", "--shell-completion"}
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
    keys.admit(_archs(rest, options))
    rest = [_without_sign(word) for word in rest]
    _check_files(rest, options)
    _check_whole(rest)
    chosen = list(_experiments(rest, options))
    _check_choices(rest, options)
    sweeps = "hydra.mode=MULTIRUN" in rest or any(
        one.get("hydra.mode") == "MULTIRUN" for one in chosen
    )
    rest = _of_tuning(_of_seeds(rest, sweeps or bool(swept)), sweeps or bool(swept), chosen)
    rest = _of_controls(rest, sweeps or bool(swept))
    return [*options, *overrides(_of_design(rest, chosen), sweeps or bool(swept))]


def _of_seeds(words: Sequence[str], sweeps: bool) -> list[str]:
    """Returns the words with seed=until(N) as what Hydra takes: all seeds, and how many at most."""
    found = []
    for word in words:
        key, _, value = word.partition("=")
        if key != "seed" and re.match(r"until\s*\(", value):
            raise UserError(f"{word} cannot be read: until() is for seeds, such as seed=until(20).")
        count = seeds.until(value) if key == "seed" else None
        if count is None:
            found.append(word)
        elif not sweeps:
            raise UserError(
                f"{word} trains seeds until questions are decided, and a single arm asks none: put "
                "-m before the keys and name several levels, such as -m arch=34,50."
            )
        else:
            found += [f"seed=range({count})", f"hydra.sweeper.until={count}"]
    return found


def _beside(typed: Sequence[str], key: str, chosen: Sequence[dict[str, Any]]) -> list[str]:
    """Returns typed pairs after those of an experiment's list that are of other keys."""
    there: list[Any] = next((one[key] for one in chosen if isinstance(one.get(key), list)), [])
    own = {keys.full(pair.partition("=")[0]) for pair in typed}
    others = [pair for pair in map(str, there) if keys.full(pair.partition("=")[0]) not in own]
    return [*others, *typed]


def _of_tuning(
    words: Sequence[str], sweeps: bool, chosen: Sequence[dict[str, Any]] = ()
) -> list[str]:
    """Returns the words with those of what is tuned as the list that Hydra takes.

    Args:
        words: as they were typed.
        sweeps: whether the command is a sweep.
        chosen: what the chosen experiments set, the first one first.
    """
    grid, others = [], []
    for word in words:
        key, _, value = word.partition("=")
        if key in (*keys.MARKS, "tune"):
            said = keys.MARKS.get(key, keys.MARKS["tuning"])
            raise UserError(f"{key} is not set by hand; {said}.")
        if not key.startswith(_TUNE) or key.removeprefix(_TUNE) in vars(TuneConfig()):
            others.append(word)
        elif not value:
            raise UserError(f"{word} is written as {key}=VALUE,VALUE.")
        elif not sweeps:
            raise UserError(f"{word} trains several runs: put -m before the keys.")
        else:
            grid.append(word.removeprefix(_TUNE))
    if grid:
        grid = _beside(grid, "tune.grid", chosen)
        others.append(f"tune.grid=[{','.join(_in_quotes(one, Quote.single) for one in grid)}]")
    return others


def _of_controls(words: Sequence[str], sweeps: bool) -> list[str]:
    """Returns the words with control=NAME,NAME as the list that Hydra takes."""
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        names = [name for name in _elements(value.strip("[] ")) if name]
        if key == "control" and equals:
            if names and not sweeps:
                raise UserError(
                    f"{word} is beside the arms of a sweep: put -m before the keys and name "
                    "several levels, such as -m arch=34,50."
                )
            word = f"control=[{','.join(_text(name, False) for name in dict.fromkeys(names))}]"
        found.append(word)
    return found


def _of_design(words: Sequence[str], chosen: Sequence[dict[str, Any]] = ()) -> list[str]:
    """Returns the words with those about a design as the lists that Hydra takes.

    Args:
        words: as they were typed.
        chosen: what the chosen experiments set, the first one first.
    """
    lists: dict[str, list[str]] = {}
    others = []
    for word in words:
        if word.startswith(_REFERENCE):
            if not _WORD.fullmatch(word) or word.endswith("="):
                raise UserError(f"{word} is written as {_REFERENCE}KEY=LEVEL.")
            lists.setdefault("design.reference", []).append(word.removeprefix(_REFERENCE))
        elif word.startswith(_REJECTED):
            inside = word.removeprefix(_REJECTED).strip("[]")
            named = [one.strip("\"'") for one in _elements(inside)]
            lists.setdefault("design.rejected", []).extend(filter(None, named))
        else:
            others.append(word)
    if "design.reference" in lists:
        typed = lists["design.reference"]
        lists["design.reference"] = _beside(typed, "design.reference", chosen)
    for key, texts in lists.items():
        others.append(f"{key}=[{','.join(_in_quotes(text, Quote.single) for text in texts)}]")
    return others


def overrides(words: Sequence[str], sweeps: bool = False) -> list[str]:
    """Returns words of the form key=value as Hydra takes them.

    Args:
        words: as typed, without options.
        sweeps: whether commas, ranges and globs stand for several values.

    Raises:
        UserError: a word cannot be read; the message says how it is written.
    """
    _check_whole(words)
    check_once(words)
    return [_override(word, sweeps) for word in words]


def _check_whole(words: Sequence[str]) -> None:
    """Raises UserError if a word is no key=value."""
    for place, word in enumerate(words):
        if not _is_whole(word) and word.startswith(_REFERENCE):
            raise UserError(f"{word} is written as {_REFERENCE}KEY=LEVEL.")
        if not _is_whole(word):
            raise loose(words, place)


def check_once(words: Sequence[str]) -> None:
    """Raises UserError if a key is given twice, of which Hydra takes the last."""
    given: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            given.setdefault(keys.full(key.lstrip("+~")), []).append(value)
    for key, values in given.items():
        if len(values) > 1:
            swept = f"; to sweep: python -m ablation -m {key}={','.join(dict.fromkeys(values))}"
            of_command = key.partition(".")[0] in COMMAND_KEYS
            raise UserError(
                f"{key} is given {len(values)} times: {' and '.join(values)}. Give it once"
                f"{'' if of_command else swept}."
            )


def without_options(words: Sequence[str]) -> list[str]:
    """Returns the words of `python -m ablation.describe` as Hydra takes them.

    Raises:
        UserError: a word cannot be read; the message says how it is written.
    """
    check_characters(words)
    keys.admit(_archs(words, ()))
    for place, word in enumerate(words):
        if word.startswith("-"):
            raise _unknown_option(word, words[place + 1 :], "--help, --version")
    return overrides(_of_design([_without_sign(word) for word in words]))


def _without_sign(word: str) -> str:
    """Returns a word without the ++ that changes nothing before a key that is there.

    Raises:
        UserError: it has another sign of Hydra's, which nothing can be meant by here.
    """
    match = _WORD.fullmatch(word)
    if not match:
        return word
    sign, typed, value = match.groups()
    key, at, package = typed.partition("@")
    if key in keys.MARKS:
        return f"{key}={value}"
    chooses = key in keys.groups()
    there = chooses or key in keys.known_keys() or key.startswith((_TUNE, _REFERENCE))
    bare = f"{key}={value}"
    if chooses and at:
        raise UserError(f"{word} cannot be read; leave out @{package}: {shlex.quote(bare)}.")
    if there and (sign == "+" or (chooses and sign)):
        raise UserError(
            f"{word} cannot be read: {key} is a key already; leave out the {sign}: "
            f"{shlex.quote(bare)}."
        )
    return bare if there and not at else word


def text(word: str) -> str | None:
    """Returns the text that a word of the form key=value gives its key."""
    key, _, value = word.partition("=")
    if _QUOTED.fullmatch(value):
        return str(OverridesParser.create().parse_override(word).value())
    return None if value == "null" and keys.text_keys().get(key, True) else value


def version() -> str:
    """Returns what `--version` prints."""
    return f"ablation {metadata.version('ablation')}"


class Parser(argparse.ArgumentParser):
    """Of a command that takes no keys of Hydra's; its errors are UserErrors, told in one line.

    Args:
        module: that is run, such as "ablation.report".
        description: what it does.
        epilog: its options and examples.
    """

    def __init__(self, module: str, description: str | None, epilog: str):
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--version", action="version", version=version())

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{message}. See {self.prog} --help.")


def guide() -> str:
    """Returns one page on how to plan, run, resume and read a study."""
    return (Path(__file__).parent / "guide.txt").read_text("utf-8")


def check_characters(words: Sequence[str]) -> None:
    """Raises UserError if a word holds a character that cannot be seen or is no text.

    What stands in Hydra's quotes is meant.
    """
    for word in words:
        value = word.partition("=")[2]
        if _QUOTED.fullmatch(value):
            continue
        found = [place for place in range(len(word)) if _is_invisible(word, place)]
        if found:
            raise UserError(_invisible(word, found))


def _is_invisible(word: str, place: int) -> bool:
    character = word[place]
    if character in "\u200c\u200d" and 0 < place < len(word) - 1:
        # Within an emoji or a word of some scripts these two decide what is seen.
        return word[place - 1].isascii() or word[place + 1].isascii()
    category = unicodedata.category(character)
    return character in _BLANK_LETTERS or (
        category in ("Cc", "Cf", "Zl", "Zp", "Zs") and character != " "
    )


def _invisible(word: str, places: Sequence[int]) -> str:
    first = word[places[0]]
    code = f"U+{ord(first):04X}"
    name = _COMMON.get(first) or unicodedata.name(first, "control character")
    shown = "".join(
        f"<U+{ord(one):04X}>" if place in places else one for place, one in enumerate(word)
    )
    clean = "".join(
        (" " if unicodedata.category(one) == "Zs" or one == "\t" else "")
        if place in places
        else one
        for place, one in enumerate(word)
    ).strip()
    where = "at its end" if places[0] == len(word) - 1 else f"at character {places[0] + 1}"
    key = word.partition("=")[0]
    meant = (
        f" If it is meant, put the value in quotes: {key}='\"...\"'."
        if key in keys.text_keys()
        else ""
    )
    return (
        f"{shown} holds an invisible character, {name} ({code}), {where}; "
        f"type {shlex.quote(clean)}.{meant}"
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
            keys.admit(_archs(words, ()))  # One of their parts may be meant.
            raise _unknown_option(word, remaining, "-m, --cfg job, --help, --version")
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


def _unknown_option(word: str, following: Sequence[str], allowed: str) -> UserError:
    match = _LOOSE.fullmatch(word.lstrip("-"))
    if match and match[1] in keys.known_keys() | keys.groups():
        key, value = match[1], match[2]
        if not value and following and not _WORD.fullmatch(following[0]):
            value = following[0]
        typed = f"{key}={value}" if value else keys.example(key)
        return UserError(
            f"{word} is no option: keys are written without dashes, {shlex.quote(typed)}."
        )
    return UserError(
        f"unknown option {word}. Allowed: {allowed}; keys are written without dashes, such as "
        "arch=34."
    )


def _is_whole(word: str) -> bool:
    """Returns whether a word is a key with a value, or takes one away."""
    match = _WORD.fullmatch(word)
    if not match:
        return word.startswith("~")
    return bool(match[3]) or match[2] not in keys.known_keys()


def loose(words: Sequence[str], place: int) -> UserError:
    """Returns the error of a word that is no key=value, with the words that belong to it."""
    begin = place
    if place and _goes_on(words[place - 1], words[place]):
        begin -= 1
    end = place + 1
    while end < len(words) and not _WORD.fullmatch(words[end]):
        if _head(words[end]) and words[end - 1][-1:] not in ("=", ":", ","):
            break
        end += 1
    typed = " ".join(words[begin:end])
    key = _head(words[begin])
    match = _LOOSE.fullmatch(typed)
    if match and not key and match[2] and end - begin > 1:
        return keys.unknown_key(match[1])
    if not match or not key:
        # Such as a full-width equals sign or a dash that is none.
        normal = re.sub(r"^[^\w\x00-\x7f](?=\w+$)", "-", unicodedata.normalize("NFKC", typed))
        better = f"; type {normal}" if normal != typed else "; --help lists the keys"
        return UserError(f"{typed} is not written as key=value, such as arch=34{better}.")
    value = re.sub(r"\s*,\s*", ",", match[2]).strip(",")
    if not value:
        return UserError(f"{typed} has no value; type {keys.example(key)}.")
    one, several = shlex.quote(f"{key}={value}"), shlex.quote(f"{key}={','.join(value.split())}")
    if " " not in value:
        return UserError(f"{typed} must be one word without blanks: {one}.")
    if not _takes_several(key):
        one = one if key in keys.text_keys() else f"{key}={value.split()[0]}"
        return UserError(f"{typed} must be one word: {one}.")
    if key in keys.text_keys():
        return UserError(f"{typed} must be one word: {one}, or for several values -m {several}.")
    return UserError(f"{typed} must be one word; for several values: -m {several}.")


def _goes_on(word: str, following: str) -> bool:
    """Returns whether a word that is no key=value can belong to the value of the one before."""
    match = _WORD.fullmatch(word)
    if not match or _head(following) or "=" in following or not following.strip("+"):
        return False
    key = _tuned(match[2])
    if key in keys.text_keys().keys() | keys.groups() | {"control", "design.rejected"}:
        return True
    return bool(key in keys.known_keys() and _takes_several(key) and _NO_TEXT.match(following))


def _takes_several(key: str) -> bool:
    """Returns whether a command may name several values of a key, with commas."""
    is_of_command = _tuned(key).partition(".")[0] in (*COMMAND_KEYS, "experiment")
    return not is_of_command or key in ("control", "design.rejected")


def _tuned(key: str) -> str:
    """Returns the key whose values tune.KEY names, another as it is."""
    return key if key in keys.known_keys() else key.removeprefix(_TUNE)


def _head(word: str) -> str | None:
    """Returns the key that a word begins with, if it is one."""
    match = _HEAD.fullmatch(word)
    return match[1] if match and _tuned(match[1]) in keys.known_keys() | keys.groups() else None


def _override(word: str, sweeps: bool) -> str:
    match = _WORD.fullmatch(word)
    if not match:
        name = word.removeprefix("~").partition("=")[0]
        known = keys.known_keys() | keys.schema().keys()
        if any(f"{key}.".startswith(f"{keys.full(name)}.") for key in known):
            raise UserError(f"{name} cannot be taken away; leave out {word}.")
        return word
    prefix, key, value = match.groups()
    elements = _several(value) or [] if sweeps else [value]
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
        return f"{prefix}{keys.full(key)}={_swept(key, value, nullable)}"
    return f"{prefix}{keys.full(key)}={_text(value, nullable)}"


def _chooses(key: str) -> bool:
    """Returns whether a key chooses a file, of `conf/` or of Hydra's own."""
    group = key.partition("@")[0]
    return group in keys.groups() or group == "hydra" or "/" in group


def _swept(key: str, typed: str, nullable: bool) -> str:
    """Returns one or several values, each as it was typed, in Hydra's grammar."""
    elements = _several(typed)
    if elements is None:
        return typed
    if elements == [typed.strip()]:
        return _text(typed, nullable)
    is_path = key.endswith(("path", "dir")) and Path(typed).expanduser().exists()
    if is_path or any(map(_is_open, elements)) or "" in elements:
        raise UserError(_ambiguous(key, typed, elements))
    return ",".join(_text(element, nullable) for element in elements)


def _several(value: str) -> list[str] | None:
    """Returns the elements of a sweep, None where only Hydra knows them: of a range, a glob.

    Hydra's own functions take what is in quotes for a number again, or cannot sort it.
    """
    call = _FUNCTION.fullmatch(value)
    if not call:
        return list(_elements(value))
    name, inside = call.groups()
    if name not in ("choice", "shuffle", "sort"):
        return None
    reverse = re.search(r",\s*reverse\s*=\s*(true|false)\s*$", inside, re.IGNORECASE)
    if name == "sort" and reverse:
        inside = inside[: reverse.start()]
    elements = _several(inside.strip())
    if elements and name == "shuffle":
        random.shuffle(elements)
    if elements and name == "sort":
        try:
            elements.sort(key=float)
        except ValueError:
            elements.sort()
        if reverse and reverse[1].lower() == "true":
            elements.reverse()
    return elements


def _elements(value: str) -> Iterator[str]:
    """Yields what stands between commas, blanks around them aside."""
    place = 0
    while place <= len(value):
        match = _ELEMENT.match(value, place)
        assert match
        yield match[1] or match[2].strip()
        place = match.end() + 1


def _is_open(text: str) -> bool:
    """Returns whether a bracket of a text has no partner in it, so that a comma divided them."""
    if _QUOTED.fullmatch(text):
        return False
    waiting: list[str] = []
    for character in text:
        if character in _BRACKETS.values():
            waiting.append(character)
        elif character in _BRACKETS and (not waiting or waiting.pop() != _BRACKETS[character]):
            return True
    return bool(waiting)


def _ambiguous(key: str, typed: str, elements: Sequence[str]) -> str:
    bare = [element.strip("[](){} ") for element in elements if element]
    several = shlex.quote(f"{key}={','.join(bare) or 'VALUE,VALUE'}")
    others = "" if any(map(_is_open, bare)) else f"; for several, {several}"
    return (
        f"{key}={typed} may be one value or several after -m. For one, type "
        f"{quoted(key, typed)}{others}."
    )


def quoted(key: str, value: str) -> str:
    """Returns key=value with Hydra's quotes around the value, ready to paste into a shell."""
    return shlex.quote(f"{key}={_in_quotes(value, Quote.double)}")


def _archs(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Yields the networks that a command names, by itself or in the experiment that it chooses."""
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        if key == "arch":
            yield from (bare.strip("\"'") for bare in _several(value) or [])
    for typed in _experiments(words, options):
        for key in ("arch", "hydra.sweeper.params.arch"):
            yield from _several(str(typed.get(key, ""))) or []


def _experiments(words: Sequence[str], options: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields what the chosen experiment sets, and then each of those that it is made of."""
    for path, group in _chosen_files(words, options):
        if group == "experiment":
            yield _written(path)


def _check_choices(words: Sequence[str], options: Sequence[str]) -> None:
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


def _written(path: Path) -> dict[str, Any]:
    """Returns what a file of `conf/` sets, as it is typed; {} of what `_check_file` refuses."""
    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, ValueError):
        return flatten(dict(yaml.load(path.read_text("utf-8"), yaml.BaseLoader) or {}))
    return {}


def _check_files(words: Sequence[str], options: Sequence[str]) -> None:
    """Raises UserError if YAML takes a text of a chosen file, such as 1.10, for something else."""
    for path, group in _chosen_files(words, options):
        _check_file(path, group)


def _chosen_files(words: Sequence[str], options: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yields the files of `conf/` and of other such folders that a command chooses by name.

    Those come after it that a chosen file is made of.
    """
    folders = [CONF_DIR, *_config_dirs(options)]
    waiting, seen = list(words), set[Path]()
    while waiting:
        group, _, choices = waiting.pop(0).partition("=")
        names = _several(choices) or [] if group in keys.groups() else []
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


def _text(typed: str, nullable: bool) -> str:
    """Returns a text in Hydra's grammar; what is in quotes or null is in it already."""
    if _QUOTED.fullmatch(typed) or (nullable and typed == "null"):
        return typed
    return _in_quotes(typed, Quote.single)


def _in_quotes(text: str, quote: Quote) -> str:
    # Before a brace, a dollar sign would have OmegaConf put in another key's value.
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(escaped, quote).with_quotes()

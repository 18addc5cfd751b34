"""Claims: what a study is expected to show, as sentences that a program can hold against it.

    se=true > se=false at arch=56 by 2 points
    batch = group at arch=20 within 0.5
    norm=none > norm=batch
    reference > without se, capacity by 1 point
    reference = reference, sham at arch=20 within 0.5

A claim compares two levels of one factor, or two arms of a design; behind a comma stands the
control of an arm that is meant in its place. No framework and no data frames here, since a wrong
sentence is answered before anything is trained.
"""

import hashlib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ablation.config import UserError, first_line
from ablation.designs.controls import CONTROLS
from ablation.factors import PARTS, find_level

GRAMMAR = (
    "LEVEL > LEVEL [at KEY=LEVEL, ...] [by NUMBER], or LEVEL = LEVEL [at KEY=LEVEL, ...] "
    "within NUMBER; a control of an arm is LEVEL, CONTROL"
)
_SENTENCE = re.compile(
    r"(?P<one>.+?) (?P<sign>[>=]) (?P<other>.+?)(?: at (?P<at>.+?))?"
    r"(?: (?P<word>by|within) (?P<number>\S+)(?: points?)?)?"
)
_COMMA = re.compile(r",(?![^\[]*\])")
"""What stands between keys, and not within a level such as [96, 160]."""
_OWN_WORDS = re.compile(r"[<>]|(^| )(at|by|within)( |$)")
_NOT_COMPARED = ("dataset", "seed")


@dataclass(frozen=True)
class Side:
    """One of the two levels, or of the two arms of a design that has names for them.

    Attributes:
        key: of its factor as it was written, None if the level says it.
        level: as it was written.
        control: which of its arm's controls is meant, "" for the arm itself.
    """

    key: str | None
    level: str
    control: str = ""

    @property
    def name(self) -> str:
        """What a table calls it, if the level is the name of an arm."""
        return self.of(self.level)

    def of(self, arm: str) -> str:
        """Returns what this side is called if the arm is."""
        return f"{arm}, {self.control}" if self.control else arm


@dataclass(frozen=True)
class Claim:
    """A sentence.

    Attributes:
        text: as it was written, blanks aside.
        one, other: whose scores are compared.
        at: the keys that are held, with their levels.
        by: how much higher the first is at least, in the unit of the table; 0 for any.
        within: how far apart they are at most, None of a claim that one is higher.
    """

    text: str
    one: Side
    other: Side
    at: tuple[tuple[str, str], ...] = ()
    by: float = 0.0
    within: float | None = None


@dataclass(frozen=True)
class File:
    """A file of claims.

    Attributes:
        claims: in order.
        digest: SHA-256 of the file.
        content: as it is written.
    """

    claims: tuple[Claim, ...]
    digest: str
    content: bytes


def read(path: Path) -> File:
    """Reads a file of claims: a list of sentences in YAML.

    Raises:
        UserError: it cannot be read, or a sentence is none; one line says which and why.
    """
    try:
        content = path.read_bytes()
        found = yaml.safe_load(content.decode())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        why = getattr(error, "problem", None) or first_line(error)
        raise UserError(f"{path}: {where}no YAML ({why}); write '- ' before each claim.") from None
    if not isinstance(found, list) or not found:
        raise UserError(f"{path} must be a list of claims, '- ' before each: {GRAMMAR}.")
    claims: list[Claim] = []
    for place, text in enumerate(found, 1):
        if not isinstance(text, str):
            raise UserError(
                f"{path}, claim {place}: {text!r} is no sentence; in quotes it is. Write {GRAMMAR}."
            )
        try:
            claim = parsed(text)
        except UserError as error:
            raise UserError(f"{path}, claim {place}: {error}") from None
        if claim in claims:
            raise UserError(f"{path}, claim {place}: {claim.text} is said twice.")
        claims.append(claim)
    return File(tuple(claims), hashlib.sha256(content).hexdigest(), content)


def parsed(text: str) -> Claim:
    """Returns the claim that a sentence makes.

    Raises:
        UserError: it makes none.
    """
    said = " ".join(text.split())
    match = _SENTENCE.fullmatch(said)
    if not match:
        raise UserError(f"{said!r} is no claim. Write {GRAMMAR}.")
    number = _number(said, match["number"]) if match["word"] else None
    word = {">": "by", "=": "within"}[match["sign"]]
    if match["word"] not in (None, word):
        raise UserError(f"{said!r}: {match['sign']} goes with {word}. Write {GRAMMAR}.")
    if match["sign"] == "=" and number is None:
        raise UserError(f"{said!r}: = goes with within NUMBER, such as within 0.5.")
    one, other = (_side(said, match[name]) for name in ("one", "other"))
    if one.key and other.key and not _may_be_one(one.key, other.key):
        raise UserError(f"{said!r} compares {one.key} with {other.key}; name one key.")
    if one.name == other.name:
        raise UserError(f"{said!r} compares {one.name} with itself.")
    at = tuple(_held(said, pair) for pair in _COMMA.split(match["at"])) if match["at"] else ()
    if len(dict(at)) < len(at):
        raise UserError(f"{said!r} names a key twice after at.")
    if match["sign"] == ">":
        return Claim(said, one, other, at, by=number or 0.0)
    return Claim(said, one, other, at, within=number)


def _number(said: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{said!r}: {text} is no number above 0, such as 0.5.")
    return number


def _side(said: str, text: str) -> Side:
    arm, comma, control = (part.strip() for part in text.rpartition(","))
    control = control if comma and control in CONTROLS else ""
    key, equals, level = (arm if control else text).rpartition("=")
    if _OWN_WORDS.search(text) or (equals and not (key and level)):
        raise UserError(f"{said!r}: {text} is no level. Write {GRAMMAR}.")
    return Side(key if equals else None, level, control)


def _held(said: str, text: str) -> tuple[str, str]:
    key, _, level = (part.strip() for part in text.partition("="))
    if level.startswith("["):
        level = re.sub(r"\s*,\s*", ", ", level)
    if not (key and level):
        raise UserError(f"{said!r}: {text.strip()} after at is not written as KEY=LEVEL.")
    return key, level


def compared(
    claim: Claim, levels: Mapping[str, Sequence[str]], arms: Sequence[str] = ()
) -> tuple[str, str, str]:
    """Returns the key of the factor that a claim compares, and its two levels as they are known.

    Args:
        claim: the claim.
        levels: of every factor, by key, as they are spelled.
        arms: what the arms of designs are called, to be named where there are no such levels.

    Raises:
        UserError: no factor has both levels, or several have.
    """
    # Of two spellings the longer one says more.
    named = max((claim.one.key or "", claim.other.key or ""), key=len)
    keys = [key for key in levels if key not in _NOT_COMPARED]
    if named:
        keys = [factor(claim, named, keys)]
    able = []
    for key in keys:
        one, other = (find_level(side.level, levels[key]) for side in (claim.one, claim.other))
        if one and other:
            able.append((key, one, other))
    if len(able) == 1:
        return able[0]
    what = f"{claim.one.level} and {claim.other.level}"
    if claim.one.level == claim.other.level:
        what = claim.one.level
    if able:
        several = " or ".join(short(key) for key, _, _ in able)
        raise UserError(
            f"{claim.text!r}: {what} may be levels of {several}; write which, such as "
            f"{short(able[0][0])}={claim.one.level}."
        )
    known = [f"{short(key)}: {', '.join(levels[key])}" for key in keys if levels[key]]
    known += [f"arms: {', '.join(arms)}"] if arms else []
    if any("," in side.level for side in (claim.one, claim.other)):
        known.append(f"behind a comma: {', '.join(CONTROLS)}")
    raise UserError(f"{claim.text!r}: no factor has the levels {what}. Known: {'; '.join(known)}.")


def are_arms(claim: Claim, arms: Collection[str]) -> bool:
    """Returns whether a claim compares two arms by their names."""
    return all(not side.key and side.level in arms for side in (claim.one, claim.other))


def factor(claim: Claim, named: str, known: Sequence[str]) -> str:
    """Returns the key that is meant, which may be written without what stands before its dots.

    Raises:
        UserError: there is none, or several are meant.
    """
    for able in (
        [key for key in known if key in (named, PARTS + named)],
        [key for key in known if key.rpartition(".")[2] == named],
    ):
        if len(able) == 1:
            return able[0]
    raise UserError(
        f"{claim.text!r}: {named} is no key of this study. Known: {', '.join(map(short, known))}."
    )


def held(claim: Claim, levels: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Returns what a claim holds, by key and as it is known.

    Args:
        claim: the claim.
        levels: of every key that may be held, as they are spelled.

    Raises:
        UserError: a key or level is not known.
    """
    found = {}
    for named, text in claim.at:
        key = factor(claim, named, [key for key in levels if key != "seed"])
        level = find_level(text, levels[key])
        if level is None:
            raise UserError(
                f"{claim.text!r}: {text} is no level of {short(key)}. "
                f"Known: {', '.join(levels[key])}."
            )
        found[key] = level
    return found


def check(
    claim: Claim,
    levels: Mapping[str, Sequence[str]],
    swept: Sequence[str],
    arms: Sequence[str] = (),
    controls: Sequence[str] = (),
) -> None:
    """Raises UserError unless a study can answer a claim.

    Args:
        claim: the claim.
        levels: of every key that may be held, as they are spelled.
        swept: the keys that are factors.
        arms: what the arms of designs are called.
        controls: the kinds of controls that stand beside the arms.
    """
    for side in (claim.one, claim.other):
        if side.control and side.control not in controls:
            there = f" Controls there are: {', '.join(controls)}." if controls else ""
            raise UserError(
                f"{claim.text!r}: nothing trains {side.name}; add "
                f"control={','.join([*controls, side.control])} to the command.{there}"
            )
    fixed = held(claim, levels)
    if are_arms(claim, arms):
        return
    key, _, _ = compared(claim, {key: levels[key] for key in swept if key in levels}, arms)
    if key in fixed:
        raise UserError(f"{claim.text!r} compares {short(key)} and holds it too.")


def _may_be_one(one: str, other: str) -> bool:
    """Returns whether two spellings may be of one key, such as se and parts.se."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def short(key: str) -> str:
    """Returns a key as a claim may write it."""
    return key.removeprefix(PARTS)

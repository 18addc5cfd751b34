"""Designs: which arms a study has, and which questions it asks of them.

A design is a module with two functions, `arms` and `questions`. It knows neither networks nor
results, so that what is missing, what Holm's correction counts and what a table looks like are
known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ablation.config import UserError
from ablation.factors import find_level, spelled

BLOCKS = ("dataset", "seed")
"""What every arm is trained on and with, whatever the design: neither is compared."""


@dataclass(frozen=True)
class Space:
    """The factors that a command names, with their levels.

    Attributes:
        levels: of each factor, by key and in the order named; the reference is the first.
        rejected: what a cumulative design tries and does not keep: factors, or single levels as
            KEY=LEVEL.
    """

    levels: Mapping[str, tuple[Any, ...]]
    rejected: tuple[str, ...] = ()

    @property
    def reference(self) -> dict[str, Any]:
        """The first level of every factor."""
        return {key: levels[0] for key, levels in self.levels.items()}

    @property
    def stripped(self) -> dict[str, Any]:
        """The last level of every factor."""
        return {key: levels[-1] for key, levels in self.levels.items()}


@dataclass(frozen=True)
class Arm:
    """One assignment of levels to all factors.

    Attributes:
        levels: of every factor, by key.
        role: "reference", "stripped", or what was done to an arm before it: "changed", "added",
            "step", "rejected"; "cell" in a grid.
        factor: key of the factor that was changed, None in the first arm of its kind.
    """

    levels: Mapping[str, Any]
    role: str
    factor: str | None = None


@dataclass(frozen=True)
class Question:
    """A difference between arms that is asked for before anything is trained.

    Attributes:
        kind: such as "change", "step" or "interaction".
        terms: weights of arms; the answer is the sum of the arms' scores so weighted.
        added: of an addition and of an interaction the factors that are added to a stripped arm,
            each with the arm that has it alone.
    """

    kind: str
    terms: tuple[tuple[float, int], ...]
    added: tuple[tuple[str, int], ...] = ()


class Design(Protocol):
    """What a module of this package offers."""

    TITLE: str
    """What it asks, in a few words."""

    def arms(self, space: Space) -> list[Arm]:
        """Returns the arms, in the order in which a table shows them."""

    def questions(self, space: Space) -> list[Question]:
        """Returns what is asked of them, by their places."""


def difference(kind: str, one: int, other: int) -> Question:
    """Returns the question how much more one arm scores than another."""
    return Question(kind, ((1.0, one), (-1.0, other)))


def once(questions: Iterable[Question]) -> list[Question]:
    """Returns each question once, though several ask for one difference, or for its opposite."""
    found: dict[frozenset[tuple[float, int]], Question] = {}
    for one in questions:
        terms = frozenset(one.terms)
        if frozenset((-weight, place) for weight, place in terms) in found:
            continue
        known = found.setdefault(terms, one)
        of_others = tuple(added for added in one.added if added not in known.added)
        found[terms] = replace(known, added=known.added + of_others)
    return list(found.values())


def with_reference(
    named: Mapping[str, Sequence[Any]], reference: Mapping[str, str], rejected: Sequence[str] = ()
) -> Space:
    """Returns the space of the factors that a command names.

    Args:
        named: the levels of each factor, in the order named.
        reference: for some factors the level to take for the first, as it was typed.
        rejected: of a cumulative design what is not kept, KEY or KEY=LEVEL.

    Raises:
        UserError: a factor or level of `reference` or `rejected` is not named.
    """

    def level_of(what: str, key: str, typed: str) -> Any:
        texts = {spelled(level): level for level in named[key]}
        found = find_level(typed, texts)
        if found is None:
            raise UserError(
                f"{what}={typed} is no level that the command names. Allowed: {', '.join(texts)}."
            )
        return texts[found]

    of_rejected = [one.partition("=")[0] for one in rejected]
    for what, keys in (("design.reference", reference), ("design.rejected", of_rejected)):
        for key in keys:
            if key not in named:
                why = "the command does not sweep"
                why = "makes blocks of runs and is no factor of a design" if key in BLOCKS else why
                raise UserError(
                    f"{what} names {key}, which {why}. "
                    f"Allowed: {', '.join(named) or 'nothing, for no key is swept'}."
                )
    levels = {}
    for key, known in named.items():
        first = known[0]
        if key in reference:
            first = level_of(f"design.reference.{key}", key, reference[key])
        levels[key] = (first, *(level for level in known if level != first))
    not_kept = []
    for key, equals, level in (one.partition("=") for one in rejected):
        if equals:
            level = spelled(level_of(f"design.rejected={key}", key, level))
            _check_step(key, level, levels[key])
        not_kept.append(f"{key}{equals}{level}")
    return Space(levels, tuple(not_kept))


def _check_step(key: str, level: str, levels: Sequence[Any]) -> None:
    """Raises UserError if a level that is not kept is no step, but where the steps start."""
    steps = [spelled(one) for one in levels[1:]]
    if level not in steps:
        raise UserError(
            f"design.rejected={key}={level} is the level that the steps start from. "
            f"Allowed: {', '.join(steps) or 'none'}."
        )

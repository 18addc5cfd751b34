"""What a study compares: factors and their levels. Knows no network and no framework."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablation.config import UserError, flatten
from ablation.text import did_you_mean, readable

PARTS = "parts."
"""What the key of every part begins with."""

ABSENT = "as it is"
"""The level of a part in a network that has no such part."""


LAST = 10**6


class Label(str):
    """A level of a part as tables show it, which knows its place among the others.

    Attributes:
        place: in the natural order of levels; 0 where a part changes nothing, `LAST` where there is
            no such part.
        speaks: whether it says by itself of what it is a level.
    """

    place: int
    speaks: bool

    def __new__(cls, text: str, place: int = 0, speaks: bool = False) -> "Label":
        """Returns a label."""
        made = super().__new__(cls, text)
        made.place, made.speaks = place, speaks
        return made

    def __reduce__(self) -> tuple:
        return Label, (str(self), self.place, self.speaks)

    @property
    def applies(self) -> bool:
        """Whether a part has this level, and not none."""
        return 0 < self.place < LAST

    def beside(self, other: "Label") -> "Label":
        """Returns one label of two factors, of which the other lies within this one."""
        return Label(f"{self} {other}", 1000 * self.place + other.place, self.speaks)


@dataclass(frozen=True)
class Factor:
    """A part of networks whose levels a study compares.

    Attributes:
        key: of the configuration, such as "parts.norm".
        title: what a table calls it.
        reference: the level that the others are compared with, if some run has it.
        usual: the level that this stands for, as "auto" does in each network for another.
        applies: for each architecture that has it, other parts and their levels, at all of which it
            changes something.
        levels: for each architecture that has it, what tables call its levels there, by how each is
            typed; none if any will do.
        elsewhere: its level where it changes nothing.
    """

    key: str
    title: str
    reference: str
    elsewhere: str
    usual: str = ""
    applies: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    levels: dict[str, dict[str, Label]] = field(default_factory=dict)

    def first(self, known: Sequence[str]) -> str:
        """Returns which of some levels, in natural order, the others are compared with."""
        if self.reference in known:
            return next(level for level in known if level == self.reference)
        changes_nothing = getattr(known[0], "place", None) == 0
        usual = [] if changes_nothing else [level for level in known if level == self.usual]
        return next(iter([*usual, known[0]]))

    @property
    def within(self) -> list[str]:
        """The parts on whose levels it hangs whether it changes anything."""
        return list(dict.fromkeys(key for one in self.applies.values() for key in one))

    def fits(self, cell: Mapping[str, str]) -> bool:
        """Returns whether there can be a network with its level beside the others of a cell.

        Args:
            cell: levels of "arch" and of parts, its own among them.
        """
        arch, level = cell.get("arch"), cell[self.key]
        if arch is None:
            return True
        if arch not in self.applies:
            return level == ABSENT
        if level == ABSENT:
            return False
        known = self.levels[arch].values()
        conditions = self.applies[arch]
        if level == self.elsewhere and level not in known:
            there = [key for key in conditions if key in cell]
            sure = len(there) == len(conditions)
            return not (sure and all(cell[key] in conditions[key] for key in there))
        if any(key in cell and cell[key] not in levels for key, levels in conditions.items()):
            return False
        return not known or level in known


def in_words(factor: str, level: Any) -> str:
    """Returns a level as sentences name it: with its factor, unless it says itself of what it is.

    Args:
        factor: as tables call it.
        level: of it.
    """
    shown = readable(str(level))
    alone = getattr(level, "speaks", False) and not is_absent(level)
    return shown if alone else f"{factor} {shown}"


def as_numbers(levels: Sequence[Any]) -> list[float] | None:
    """Returns levels as numbers, None if one of them is none; true and false are none."""
    try:
        numbers = [math.nan if isinstance(one, bool) else float(one) for one in levels]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def is_absent(level: Any) -> bool:
    """Returns whether a level says that a network has no such part."""
    return isinstance(level, Label) and level.place == LAST


def spelled(level: Any) -> str:
    """Returns a level as it is typed."""
    if level is None:
        return "null"
    return str(level).lower() if isinstance(level, bool) else str(level)


def in_short(level: float) -> str:
    """Returns a number as tables show it: 0, and not the 0.0 of its type, with all its digits."""
    short = f"{level:g}"
    return short if float(short) == level else spelled(level)


def label(facts: Mapping[str, Any], level: Any) -> Label:
    """Returns what tables call a level of a part.

    Args:
        facts: what is on record of the part; see `registry.Network.record`.
        level: as the configuration has it.
    """
    typed = [type(one) for one in facts["levels"]]
    place = next(
        (i for i, one in enumerate(facts["levels"]) if typed[i] is type(level) and one == level),
        len(typed),
    )
    for known, text in facts["labels"]:
        if type(known) is type(level) and known == level:
            return Label(text, 1 + place, True)
    return Label(spelled(level), 1 + place)


def labels(parts: Mapping[str, Any], network: Mapping[str, Mapping[str, Any]]) -> dict[str, Label]:
    """Returns the label of every part of a network, by its key.

    Args:
        parts: the levels of those that change something.
        network: what is on record of each of its parts.
    """
    return {
        PARTS + name: label(facts, parts[name]) if name in parts else Label(facts["elsewhere"])
        for name, facts in network.items()
    }


def of_parts(networks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Factor]:
    """Returns the factors that the parts of networks are, by key.

    Args:
        networks: for each architecture, what is on record of each of its parts.
    """
    found: dict[str, Factor] = {}
    for arch, parts in networks.items():
        for name, facts in parts.items():
            reference = label(facts, facts["reference"])
            usual = label(facts, facts["usual"]) if "usual" in facts else reference
            factor = found.setdefault(
                PARTS + name,
                Factor(PARTS + name, facts["title"], reference, facts["elsewhere"], usual),
            )
            factor.levels[arch] = {spelled(one): label(facts, one) for one in facts["levels"]}
            factor.applies[arch] = {
                PARTS + key: {label(parts[key], level) for level in levels}
                for key, levels in facts["applies"].items()
                if key in parts
            }
    return found


def find_factor(asked: str, factors: Sequence[str]) -> str:
    """Returns the key of a factor, which a part may be named without `parts.`.

    Raises:
        UserError: its levels cannot be compared.
    """
    allowed = [factor for factor in factors if factor not in ("dataset", "seed")]
    for key in (asked, PARTS + asked):
        if key in allowed:
            return key
    names = [factor.removeprefix(PARTS) for factor in allowed]
    hint = did_you_mean(asked, names, "report.contrast={}".format)
    raise UserError(
        f"report.contrast={asked} is not a factor of this study.{hint} Allowed: {', '.join(names)}."
    )


def check_reference(
    reference: str | None,
    contrast: str,
    configs: Iterable[tuple[dict[str, Any], Mapping[str, Mapping[str, Any]]]],
) -> None:
    """Raises UserError unless one of some configurations has this level of a contrast.

    Args:
        reference: as it was asked for.
        contrast: a factor's key.
        configs: configurations as config.yaml holds them, each with what is on record of its
            network's parts.
    """
    if reference is None:
        return
    known: dict[str, None] = {}
    for config, network in configs:
        its_levels = _levels(config, network, contrast)
        if find_level(reference, its_levels):
            return
        known |= dict.fromkeys(its_levels)
    raise unknown_level(reference, contrast, known)


def varying_within(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, bool]:
    """Returns the factors that runs have, and whether each has several levels in one place.

    Args:
        runs: the place of each, such as its architecture or data set, and its level of each factor,
            by key; a `Label` that does not apply is none.
    """
    found: dict[str, set[tuple[str, Any]]] = {}
    for place, levels in runs:
        for key, level in levels.items():
            applies = getattr(level, "applies", True)
            found.setdefault(key, set()).update([(place, level)] if applies else [])
    return {key: len(pairs) > len({place for place, _ in pairs}) for key, pairs in found.items()}


def usual_contrast(parts: Mapping[str, bool], others: Mapping[str, bool]) -> str:
    """Returns what is compared unasked: the first factor that varies, a part before any other.

    Architectures come last, because they are where the other questions are asked. If nothing
    varies, it is the first part, or "arch" without parts.

    Args:
        parts: whether each varies within an architecture; see `varying_within`.
        others: whether each other factor varies within a data set.
    """
    beside = [(key, does) for key, does in others.items() if key not in parts]
    ordered = sorted([*parts.items(), *beside], key=lambda item: item[0] == "arch")
    several = [key for key, does in ordered if does]
    return next(iter([*several, *parts]), "arch")


def level_of(config: dict[str, Any], key: str) -> Any:
    """Returns a configuration's level of a factor that is no part, None if it has none."""
    return config["recipe"]["name"] if key == "recipe" else flatten(config).get(key)


def find_level(asked: str, known: Iterable[str]) -> str | None:
    """Returns the level that is meant, in another spelling too, such as 1e-1 for 0.1."""
    known = list(known)
    if asked in known:  # Others, such as Pets and pets or 1.1 and 1.10, may be spelled alike.
        return next(level for level in known if level == asked)
    return next((level for level in known if _in_common(level) == _in_common(asked)), None)


def unknown_level(asked: str, contrast: str, known: Iterable[str]) -> UserError:
    """Returns the error of a reference that no run has."""
    return UserError(
        f"report.reference={asked} is no level of {contrast.removeprefix(PARTS)}. "
        f"Allowed: {', '.join(known)}."
    )


def _levels(
    config: dict[str, Any], network: Mapping[str, Mapping[str, Any]], contrast: str
) -> list[str]:
    """Returns what a run may be called in a table whose columns are the levels of a contrast."""
    if contrast.startswith(PARTS):
        of_parts = labels(config["parts"], network)
        if contrast not in of_parts:
            return []
        own, name = of_parts[contrast], contrast.removeprefix(PARTS)
        inner = [key for key, facts in network.items() if name in facts["applies"]]
        applying = [key for key in inner if key in config["parts"]]
        named = [
            one if one.speaks else Label(f"{key.removeprefix(PARTS)} {one}")
            for key, one in ((key, of_parts[PARTS + key]) for key in applying)
        ]
        return [own, *map(own.beside, named)]
    return [spelled(level_of(config, contrast))]


def _in_common(level: str) -> str | float:
    """Returns what the spellings of a level have in common."""
    try:
        return float(level)
    except ValueError:
        is_list = level.startswith("[")
        return (level.replace(" ", "") if is_list else level).lower()

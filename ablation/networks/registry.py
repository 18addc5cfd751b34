"""The networks that have a name, and what any network can be asked for. No Keras.

He15 is He et al. 2015, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ablation import source
from ablation.config import Config, UserError
from ablation.factors import label, spelled
from ablation.networks import signature
from ablation.networks.signature import AUTO, Part
from ablation.records.store import NetworkRecord
from ablation.text import beginning, did_you_mean, file_name

BARE = ("plain", "shortcut", "preact", "stride_on")
"""Parts that a command may also name without `parts.` in front."""

_SET = ("name", "seed")
"""Arguments that a named network gets from the run."""

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Network:
    """A network function and what it can be asked for.

    Attributes:
        arch: what the command calls it.
        path: of the file that defines the function.
        function: its name.
        parts: by name.
        bound: arguments that its name sets.
        smallest_image: height and width in pixels below which it cannot be built; see `signature`.
        is_named: whether it is one of `ARCHS`, not the user's own.
        asks_vocabulary: whether it gets the number of tokens of a data set.
        needs_vocabulary: whether it cannot do without.
        others: arguments that are no parts; see `signature.Signature`.
    """

    arch: str
    path: Path
    function: str
    parts: dict[str, Part]
    bound: dict[str, Any] = field(default_factory=dict)
    smallest_image: int | Mapping[str, Mapping[Any, int]] = 1
    is_named: bool = True
    asks_vocabulary: bool = False
    needs_vocabulary: bool = False
    others: tuple[str, ...] = ()

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the level of each part that changes something, in one canonical form.

        Args:
            given: levels of parts as a command gave them; the others have their defaults.

        Raises:
            UserError: a part or a level is not allowed.
        """
        for name in given:
            if name not in self.parts:
                raise unknown_part(name, [self])
        levels = {}
        for name, part in self.parts.items():
            try:
                levels[name] = part.level(given[name]) if name in given else part.default
            except ValueError:
                raise UserError(
                    f"{typed(name)}={spelled(given[name])} is not for arch={self.arch}. "
                    f"Allowed: {part.allowed()}."
                ) from None
        arguments = self.bound | levels
        for name, part in self.parts.items():
            if part.usual and levels[name] == AUTO:
                argument, stands_for = part.usual
                if arguments[argument] not in stands_for:
                    raise UserError(
                        f"{typed(argument)}={spelled(arguments[argument])} does not say what "
                        f"{typed(name)}={AUTO} stands for; name another {typed(name)} too."
                    )
                levels[name] = arguments[name] = stands_for[arguments[argument]]
        while idle := {name for name in levels if not self._applies(name, self.bound | levels)}:
            levels = {name: level for name, level in levels.items() if name not in idle}
        return levels

    def _applies(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """Returns whether a part changes something beside the arguments that do."""
        conditions = self.parts[name].applies.items()
        return all(key in arguments and arguments[key] in known for key, known in conditions)

    def where(self, name: str) -> str:
        """Returns at which levels of other parts a part changes something, in words."""
        return " and ".join(
            f"{key}={' or '.join(map(spelled, known))}"
            for key, known in self.parts[name].applies.items()
            if key in self.parts
        )

    def image_size(self, parts: Mapping[str, Any]) -> int:
        """Returns the smallest height and width, in pixels, that it takes with some parts."""
        if isinstance(self.smallest_image, int):
            return self.smallest_image
        arguments = self.bound | dict(parts)
        return math.prod(sizes[arguments[key]] for key, sizes in self.smallest_image.items())

    def check_image(self, size: tuple[int, ...], parts: Mapping[str, Any]) -> None:
        """Raises UserError if images of so many pixels, height and width, are too small for it."""
        smallest = self.image_size(parts)
        if min(size) < smallest:
            given = f"{size[0]}" if size[0] == size[1] else f"[{size[0]},{size[1]}]"
            raise UserError(
                f"dataset.image_size={given} is too small for arch={self.arch}, "
                f"which halves the image until nothing is left; use dataset.image_size={smallest} "
                f"or more{', or a CIFAR-style net such as arch=20' if smallest > 4 else ''}."
            )

    def check_input(
        self, shape: tuple[int, ...], vocabulary: int | None, parts: Mapping[str, Any]
    ) -> None:
        """Raises UserError if it takes no such inputs.

        Args:
            shape: of one input.
            vocabulary: how many tokens there are, None of what is no tokens.
            parts: the level of each.
        """
        if len(shape) == 3:
            self.check_image(shape[:2], parts)
        elif self.is_named:
            raise UserError(
                f"arch={self.arch} takes images, height x width x channels; an input of this data "
                f"set has the shape {'x'.join(map(str, shape))}. Use a network of your own, such "
                "as my_nets.py:build."
            )
        if self.needs_vocabulary and vocabulary is None:
            raise UserError(
                f"arch={self.arch} asks for vocabulary, the number of tokens, which only a data "
                "set of tokens has (dataset.kind=tokens)."
            )

    def departing(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the settled parts that an identity names: those that are not neutral."""
        return {
            name: level
            for name, level in parts.items()
            if self._usual(name, self.parts[name].neutral) != (level,)
        }

    def _usual(self, name: str, level: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns a level, or instead of "auto" the one that it stands for."""
        return tuple(self._meant(self.parts[name], one) for one in level)

    def readable(self, parts: Mapping[str, Any]) -> str:
        """Returns what a directory calls it: its name and the parts that set it apart."""
        words = [self.arch if self.is_named else f"{self.path.stem}.{self.function}"]
        facts = self._facts
        for name, level in parts.items():
            part = self.parts[name]
            usual = part.usual[1].values() if part.usual else [part.default]
            if (part.labels and len(part.levels) == 2) or level not in usual:
                shown = label(facts[name], level)
                words.append(shown if shown.speaks else f"{name}_{shown}")
        return beginning("-".join(map(file_name, words)))

    def record(self, parts: Mapping[str, Any]) -> NetworkRecord:
        """Returns what is on record of a run of it with some settled parts."""
        if self.is_named:
            identity = {"arch": self.arch, "parts": self.departing(parts)}
            family = str(self.bound.get("family", self.arch))
            place = list(ARCHS).index(self.arch)
            return NetworkRecord(self.readable(parts), place, family, identity, self._facts, {})
        code = source.digests(source.locate(self.arch))
        identity = {"function": self.function, "parts": dict(parts), "source": code}
        return NetworkRecord(
            self.readable(parts), len(ARCHS), self.arch, identity, self._facts, code
        )

    def _meant(self, part: Part, level: Any) -> Any:
        """Returns what a level stands for where every other part has its default."""
        if not part.usual or level != AUTO:
            return level
        argument, stands_for = part.usual
        default = self.bound.get(argument)
        if argument in self.parts:
            default = self._meant(self.parts[argument], self.parts[argument].default)
        return stands_for.get(default, level)

    @cached_property
    def _facts(self) -> dict[str, dict[str, Any]]:
        """Returns what a report must know of its parts, without those that it never has."""
        found = {}
        for name, part in self.parts.items():
            set_here = part.applies.keys() & self.bound.keys()
            bound = [self.bound[key] in part.applies[key] for key in set_here]
            if not all(bound):
                continue
            found[name] = {
                "title": part.title,
                "levels": _reference_first(part),
                "labels": [list(pair) for pair in part.labels],
                "elsewhere": part.elsewhere,
                "reference": part.reference,
                "usual": self._meant(part, part.reference),
                "applies": {
                    key: list(known) for key, known in part.applies.items() if key in self.parts
                },
            }
        return found


def _reference_first(part: Part) -> list[Any]:
    """Returns the levels that a net can have, in the order of a table."""
    levels = [level for level in part.levels if not (part.usual and level == AUTO)]
    first = [level for level in levels if level == part.reference]
    return [*first, *(level for level in levels if level not in first)]


def typed(name: str) -> str:
    """Returns a part as a command names it."""
    return name if name in BARE else f"parts.{name}"


def unknown_part(name: str, networks: Iterable[Network]) -> UserError:
    """Returns the error of a part that none of some networks has."""
    of_parts: dict[str, list[Network]] = {}
    for one in networks:
        of_parts.setdefault(", ".join(map(typed, one.parts)) or "none", []).append(one)
    said = []
    for parts, ones in of_parts.items():
        hint = did_you_mean(name, ones[0].parts, typed)
        for one in ones:
            if name in one.others:
                hint = f" Parts stand behind a star: def {one.function}(..., *, {name}=...)."
        archs = ",".join(one.arch for one in ones)
        said.append(f"{typed(name)} is no part of arch={archs}.{hint} Parts: {parts}.")
    return UserError(" ".join(said))


def find(arch: str) -> Network:
    """Returns a network by what a command calls it.

    Raises:
        UserError: there is none of that name.
    """
    if arch in ARCHS:
        return _named(arch)
    if not source.is_own(arch):
        raise UserError(
            f"arch={arch} is not known.{did_you_mean(arch, ARCHS)} Allowed: {', '.join(ARCHS)}, or "
            "a network of your own, such as my_nets.py:build or package.module:build."
        )
    located = source.locate(arch)
    read = signature.read(located.path, located.function)
    return Network(
        arch,
        located.path,
        located.function,
        read.parts,
        {},
        read.smallest_image,
        is_named=False,
        asks_vocabulary=read.asks_vocabulary,
        needs_vocabulary=read.needs_vocabulary,
        others=read.others,
    )


@functools.cache
def _named(arch: str) -> Network:
    file, function, bound = ARCHS[arch]
    path = _HERE / file
    read = signature.read(path, function, (*_SET, *bound))
    return Network(arch, path, function, read.parts, bound, read.smallest_image)


def record(config: Config) -> NetworkRecord:
    """Returns what is on record of the network of a validated configuration."""
    return find(config.arch).record(config.parts)


def _resnet(family: str, block: str, *blocks: int) -> tuple[str, str, dict[str, Any]]:
    return "resnet.py", "resnet", {"family": family, "block": block, "blocks": blocks}


ARCHS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "18": _resnet("imagenet", "basic", 2, 2, 2, 2),
    "34": _resnet("imagenet", "basic", 3, 4, 6, 3),
    "50": _resnet("imagenet", "bottleneck", 3, 4, 6, 3),
    "101": _resnet("imagenet", "bottleneck", 3, 4, 23, 3),
    "152": _resnet("imagenet", "bottleneck", 3, 8, 36, 3),
    # He15 §4.2: 6n + 2 layers. The two least are no nets of the paper, but of its rule.
    **{
        str(depth): _resnet("cifar", "basic", *[(depth - 2) // 6] * 3)
        for depth in (8, 14, 20, 32, 44, 56, 110, 1202)
    },
    "preact15": ("small.py", "small", {}),
    "vgg16": ("baselines.py", "baseline", {"application": "VGG16"}),
    "densenet121": ("baselines.py", "baseline", {"application": "DenseNet121"}),
}
"""File, function and bound arguments of each named network."""

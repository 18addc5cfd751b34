"""The child process that widens networks: `python -m ablation.networks.widen`.

The order is JSON, a `backend` and a list of `searches`; the answer is a list of what was found, or
why nothing could be.
Only parameters are counted, nothing is trained.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ablation.config import UserError

PART = "width"
"""The part, a whole number, by which a network says how wide it is."""

WITHIN = 0.01
"""A network has as many parameters as another if they differ by no more than this share."""

_DOUBLINGS = 6
_NEXT = 64
"""How many widths are tried beside one that the network refuses, upwards and downwards."""


def work(line: str) -> tuple[int, str]:
    """Answers the searches that a line orders; returns the exit code, and why or what was found."""
    order = json.loads(line)
    # Imported here, so that no framework is loaded to know what is widened, and how closely.
    from ablation.networks.build import build
    from ablation.networks.own import RefusedError
    from ablation.terminal import import_quietly

    import_quietly(order["backend"])

    def counted(search: dict[str, Any], parts: dict[str, Any]) -> int | None:
        try:
            model = build(
                search["arch"],
                tuple(search["shape"]),
                search["classes"],
                vocabulary=search["vocabulary"],
                **parts,
            )
        except RefusedError:
            return None
        return sum(math.prod(weight.shape) for weight in model.trainable_weights)

    found = []
    for search in order["searches"]:
        try:
            found.append(_answer(search, counted))
        except UserError as error:  # Of this network; the others may be as they should.
            found.append({"why": str(error)})
    return 0, json.dumps(found)


def _answer(
    search: dict[str, Any], counted: Callable[[dict[str, Any], dict[str, Any]], int | None]
) -> dict[str, Any]:
    """Returns what a search finds, or why nothing could be.

    Args:
        search: as it was ordered.
        counted: returns the parameters of a network with some parts, None if there is no such.
    """
    target = counted(search["target"], search["target"]["parts"])
    own = counted(search, search["parts"])
    found: dict[str, Any] = {"own": own, "target": target}
    if not (own and target and own < (1 - WITHIN) * target):
        return found
    start = search["parts"].get(PART)
    if start is None:
        return {"why": f"{PART} changes nothing there"}

    def count(width: int) -> int | None:
        try:
            return counted(search, search["parts"] | {PART: width})
        except (UserError, ValueError):  # No such width, by its signature or by Keras.
            return None

    if levels := search.get("levels"):
        known = {start: own} | {one: count(one) or 0 for one in levels}
        level, parameters = closest(known, target)
    else:
        level, parameters = widened(count, start, own, target)
    return found | {"level": level, "parameters": parameters}


def widened(
    count: Callable[[int], int | None],
    start: int,
    own: int,
    target: int,
) -> tuple[int, int]:
    """Returns the width whose parameters are closest to a number, and how many those are.

    It is the closest of all if parameters grow with the width and no more than 64 widths in a row
    are refused.

    Args:
        count: the parameters at a width, None where there is no such network.
        start: the width to begin with, 1 or more.
        own: its parameters.
        target: more than that.
    """
    known: dict[int, int] = {start: own}

    def first(widths: Iterable[int]) -> int | None:
        """Returns the first of some widths that there is."""
        for one in widths:
            parameters = known.get(one) or count(one)
            if parameters:
                known[one] = parameters
                return one
        return None

    low = high = max(1, start)
    for _ in range(_DOUBLINGS):
        above = first(range(2 * high, 2 * high + _NEXT))
        if above is None:
            break
        high = above
        if known[high] >= target:
            break
        low = high
    while high - low > 1:
        half = (low + high) // 2
        middle = first(range(half, min(high, half + _NEXT)))
        middle = middle or first(range(half - 1, max(low, half - _NEXT), -1))
        if middle is None:
            break
        if known[middle] < target:
            low = middle
        else:
            high = middle
    return closest(known, target)


def closest(known: Mapping[int, int], target: int) -> tuple[int, int]:
    """Returns the width whose parameters are closest to a number, and how many those are."""
    level = min(known, key=lambda width: (abs(known[width] - target), width))
    return level, known[level]


if __name__ == "__main__":
    from ablation.orders import obey

    sys.exit(obey(work))

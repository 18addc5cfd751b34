"""The child process that widens networks: `python -m ablation.networks.widen`.

The order is JSON, a `backend` and a list of `searches`; the answer is a list of what was found.
Only parameters are counted, nothing is trained.
"""

import json
import math
import sys
from collections.abc import Callable
from typing import Any

PART = "width"
"""The part, a whole number, by which a network says how wide it is."""

WITHIN = 0.01
"""A network has as many parameters as another if they differ by no more than this share."""

_DOUBLINGS = 6
_NEXT = 16
"""How many widths are tried above one that the network refuses."""


def work(line: str) -> tuple[int, str]:
    """Answers the searches that a line orders; returns the exit code, and why or what was found."""
    order = json.loads(line)
    # Imported here, so that no framework is loaded to know what is widened, and how closely.
    from ablation.config import UserError
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
    try:
        for search in order["searches"]:
            target = counted(search["target"], search["target"]["parts"])
            own = counted(search, search["parts"])
            answer: dict[str, Any] = {"own": own, "target": target}
            if own and target and own < (1 - WITHIN) * target:
                start = search["parts"][PART]

                def count(width: int, one: dict[str, Any] = search) -> int | None:
                    return counted(one, one["parts"] | {PART: width})

                level, parameters = widened(count, start, own, target)
                answer |= {"level": level, "parameters": parameters}
            found.append(answer)
    except UserError as error:
        return 1, str(error)
    return 0, json.dumps(found)


def widened(
    count: Callable[[int], int | None], start: int, own: int, target: int
) -> tuple[int, int]:
    """Returns the width whose parameters are closest to a number, and how many those are.

    Args:
        count: the parameters at a width, None where there is no such network.
        start: the width to begin with, 1 or more.
        own: its parameters.
        target: more than that.
    """
    known: dict[int, int] = {start: own}

    def at(width: int) -> tuple[int, int] | None:
        """Returns the next width that there is, with its parameters."""
        for one in range(width, width + _NEXT):
            parameters = known.get(one) or count(one)
            if parameters:
                known[one] = parameters
                return one, parameters
        return None

    low = high = max(1, start)
    for _ in range(_DOUBLINGS):
        above = at(2 * high)
        if above is None:
            break
        high = above[0]
        if above[1] >= target:
            break
        low = high
    while high - low > 1:
        middle = at((low + high) // 2)
        if middle is None or middle[0] >= high:
            break
        if middle[1] < target:
            low = middle[0]
        else:
            high = middle[0]
    level = min(known, key=lambda width: (abs(known[width] - target), width))
    return level, known[level]


if __name__ == "__main__":
    from ablation.orders import obey

    sys.exit(obey(work))

"""What is said of a data set in the terminal, in its cache and in the report."""

from collections.abc import Iterable
from typing import Any

from ablation.data.kinds import Noun
from ablation.text import NAMED_AT_MOST

_REASONS_AT_MOST = 30


def grouped(left_out: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Returns what is left out by reason, as `meta.json` and `result.json` have it.

    Returns:
        For each reason, most frequent first: `reason`, `count` and `names`, the first ones.
    """
    names: dict[str, list[str]] = {}
    for reason, name in left_out:
        names.setdefault(reason, []).append(name)
    ranked = sorted(names, key=lambda reason: -len(names[reason]))
    rest = [name for reason in ranked[_REASONS_AT_MOST:] for name in names[reason]]
    kept = [(reason, names[reason]) for reason in ranked[:_REASONS_AT_MOST]]
    return [
        {"reason": reason, "count": len(found), "names": found[:NAMED_AT_MOST]}
        for reason, found in [*kept, *([("for other reasons", rest)] if rest else [])]
    ]


def shared_inputs(shared: int, inputs: int, noun: Noun) -> str:
    """Returns how many validation inputs are seen in training, in words."""
    are = f"is also a training {noun.one}" if shared == 1 else f"are also training {noun.many}"
    return f"{shared:,} of {inputs:,} validation {noun.many} {are}"

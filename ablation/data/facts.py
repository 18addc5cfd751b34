"""What is said of a data set in the terminal, in its cache and in the report."""

from collections.abc import Iterable, Sequence
from typing import Any

from ablation.data.kinds import Noun
from ablation.text import readable

_CLASSES_AT_MOST = 20
_NAMED_AT_MOST = 20
_REASONS_AT_MOST = 30
_WARNED_AT_MOST = 5

VERY_UNEQUAL = 10
"""Times as many training images in the largest class as in the smallest: worth a warning."""


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
        {"reason": reason, "count": len(found), "names": found[:_NAMED_AT_MOST]}
        for reason, found in [*kept, *([("for other reasons", rest)] if rest else [])]
    ]


def named(names: Sequence[str], count: int, at_most: int = _NAMED_AT_MOST) -> str:
    """Returns names in one line: the first ones, and how many more there are.

    Args:
        names: the first ones, or all.
        count: how many there are in all.
        at_most: how many to name.
    """
    shown = [readable(name) for name in names[:at_most]]
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def by_class(classes: Sequence[str], counts: Sequence[int]) -> str:
    """Returns how many images each class has, or of many classes the least and the most."""
    if len(classes) > _CLASSES_AT_MOST:
        return f"{span(counts)} in each of {len(classes):,} classes"
    return ", ".join(f"{readable(name)} {n:,}" for name, n in zip(classes, counts, strict=True))


def span(counts: Sequence[int]) -> str:
    """Returns the least and the most of some counts."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def shared_inputs(shared: int, inputs: int, noun: Noun) -> str:
    """Returns how many validation inputs are seen in training, in words."""
    are = f"is also a training {noun.one}" if shared == 1 else f"are also training {noun.many}"
    return f"{shared:,} of {inputs:,} validation {noun.many} {are}"


def caveats(
    classes: Sequence[str], val_per_class: Sequence[int], lost: Sequence[str], noun: Noun
) -> str:
    """Returns what an accuracy on a data set must be read with, "" if nothing.

    Args:
        classes: their names.
        val_per_class: the validation images of each.
        lost: folders that would be classes if they held an image.
        noun: of the inputs.
    """
    found = []
    unseen = [name for name, count in zip(classes, val_per_class, strict=True) if not count]
    if unseen:
        found.append(f"no validation {noun.one} of {named(unseen, len(unseen), _WARNED_AT_MOST)}")
    if lost:
        found.append(
            f"no {noun.one} in {named(lost, len(lost), _WARNED_AT_MOST)}, so no such class"
        )
    return "; ".join(found)

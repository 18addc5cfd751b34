"""How many examples each class has, and what is to be said of that."""

from collections.abc import Sequence

from ablation.data.kinds import Noun
from ablation.text import named, readable

_CLASSES_AT_MOST = 20
_WARNED_AT_MOST = 5

VERY_UNEQUAL = 10
"""Times as many training images in the largest class as in the smallest: worth a warning."""


def by_class(classes: Sequence[str], counts: Sequence[int]) -> str:
    """Returns how many images each class has, or of many classes the least and the most."""
    if len(classes) > _CLASSES_AT_MOST:
        return f"{span(counts)} in each of {len(classes):,} classes"
    return ", ".join(f"{readable(name)} {n:,}" for name, n in zip(classes, counts, strict=True))


def span(counts: Sequence[int]) -> str:
    """Returns the least and the most of some counts."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


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

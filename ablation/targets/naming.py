"""The names of classes, in order."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of classes in order: by value if all are numbers, else as text."""
    ordered = sorted(names)
    if all(_NUMBER.fullmatch(name) for name in ordered):
        ordered.sort(key=Decimal)
    return tuple(ordered)


def first_form(name: str, seen: dict[str, str]) -> str:
    """Returns a name, or one seen before that looks the same and has another Unicode form.

    Letters with accents have two, of which macOS writes one and most else the other.

    Args:
        name: of a class.
        seen: the names so far, by the composed form; it takes this one too.
    """
    return seen.setdefault(composed(name), name)


def composed(name: str) -> str:
    """Returns a name in the Unicode form that whatever looks the same has in common."""
    return unicodedata.normalize("NFC", name)


def numbered(labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the classes that some labels name, in order, and each label's place among them."""
    seen: dict[str, str] = {}
    labels = [first_form(label, seen) for label in labels]
    classes = in_order(set(labels))
    places = {name: place for place, name in enumerate(classes)}
    return classes, np.array([places[label] for label in labels], np.int64)

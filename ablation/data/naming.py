"""The names of classes, in order."""

import re
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


def numbered(labels: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the classes that some labels name, in order, and each label's place among them."""
    classes = in_order(set(labels))
    places = {name: place for place, name in enumerate(classes)}
    return classes, np.array([places[label] for label in labels], np.int64)

"""What a network learns to say of an image: a class, values, or several labels.

A target is a module here with a subclass of `Target`, a line in `TARGETS`, and its
pictures in `PICTURES` of `ablation.report.sections`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ablation import source
from ablation.analysis import metrics
from ablation.analysis.metrics import Metric
from ablation.config import Config, UserError
from ablation.targets.cells import Cells
from ablation.targets.classes import Classes, are_flags, is_whole
from ablation.targets.common import Target
from ablation.targets.labels import Labels
from ablation.targets.value import Value
from ablation.text import named

TARGETS: dict[str, type[Target]] = {one.kind: one for one in (Classes, Value, Labels)}
"""The targets by the name that `dataset.target` gives them."""

CLASSES = Classes()
"""That of whatever says nothing of its target."""


def of(facts: Mapping[str, Any] | None, outputs: Sequence[str] = (), unit: str = "") -> Target:
    """Returns a target as a data set or a run has it on record.

    Args:
        facts: what `meta.json` or `provenance.json` says of it, None for classes.
        outputs: names of what the network puts out.
        unit: of a value.
    """
    kind = (facts or {}).get("kind", Classes.kind)
    return TARGETS[kind](tuple(outputs), unit, facts or {})


def of_source(opened: Any) -> type[Target]:
    """Returns the target of an opened source of data; of one that says nothing, classes."""
    found: type[Target] = getattr(opened, "target", Classes)
    return found


def guessed(found: Iterable[tuple[str, np.ndarray]], where: str) -> type[Target]:
    """Returns the target that labels are of, if nobody says so.

    Texts and whole numbers are classes, whatever their type; other numbers are values. Rows of 0
    and 1 are several labels, unless each row has exactly one 1.

    Args:
        found: labels, each with what to call it in a message.
        where: what to call the data set in a message.

    Raises:
        UserError: it may be either.
    """
    arrays = list(found)
    if any(array.dtype.kind == "f" and not is_whole(array) for _, array in arrays):
        return Value
    if all(are_labels(array) for _, array in arrays):
        if any((array.sum(axis=1) != 1).any() for _, array in arrays):
            return Labels
        raise UserError(
            f"{where}: {arrays[0][0]} has one 1 in every row: of classes give their numbers, by "
            "y.argmax(axis=1), one label an example; or say dataset.target=labels."
        )
    for name, array in arrays:
        # A column is a list of numbers too.
        if array.dtype.kind == "f" and (array.ndim == 1 or array.shape[1:] == (1,)):
            known, counts = np.unique(array, return_counts=True)
            if len(known) > 2 and (counts == 1).any():
                raise UserError(
                    f"{where}: {name} are whole numbers of type {array.dtype}, of which "
                    f"{known[counts == 1][0]:g} occurs once; say dataset.target=value to predict "
                    "the number, or dataset.target=classes."
                )
    return Classes


def guessed_of_cells(cells: Cells) -> type[Target]:
    """Returns the target that the columns of a table are of, if nobody says so.

    One column is told as `guessed` does, unless its cells are lists of labels; several columns of
    0 and 1 are labels, of other numbers values.

    Raises:
        UserError: it may be either, or one of several columns is no number.
    """
    if len(cells.names) == 1:
        if cells.are_lists:
            return Labels
        if cells.known is not None:  # Classes may have numbers for names.
            return Classes
        array = cells.numbers()[:, 0] if cells.are_numbers else cells.texts
        return guessed([(cells.names[0], array)], cells.where)
    array = cells.numbers()
    if not are_labels(array):
        return Value
    if (array.sum(axis=1) == 1).all():
        raise UserError(
            f"{cells.where}: every row has one 1 in {named(cells.names, len(cells.names), 5)}; say "
            "dataset.target=classes if they exclude each other, or dataset.target=labels."
        )
    return Labels


def are_labels(array: np.ndarray) -> bool:
    """Returns whether an array is rows of 0 and 1."""
    return array.ndim == 2 and array.shape[1] > 1 and are_flags(array)


def settled(config: Config, target: Target) -> Config:
    """Returns a configuration with the loss that its target has unless told otherwise.

    Raises:
        UserError: the recipe has a loss or a key that is not for this target.
    """
    loss = config.recipe.loss
    if target.unit and not target.has_unit:
        raise UserError(
            f"dataset.unit={target.unit} is the unit of values, and the target of "
            f"dataset={config.dataset.name} is {target.kind}; leave it out, or say "
            "dataset.target=value."
        )
    if loss is None:
        recipe = replace(config.recipe, loss=target.losses[0])
        target.check(recipe)
        return replace(config, recipe=recipe)
    target.check(config.recipe)
    if not source.is_own(loss) and loss not in target.losses:
        raise UserError(
            f"recipe.loss={loss} is not for dataset.target={target.kind}, which that of "
            f"dataset={config.dataset.name} is. Allowed: {', '.join(target.losses)}, or a function "
            "of your own, such as my_loss.py:f."
        )
    return config


def all_metrics() -> dict[str, Metric]:
    """Returns the metrics of all targets, without a unit."""
    return {name: one for kind in TARGETS.values() for name, one in kind().metrics.items()}


def check_metric(name: str | None, of: Iterable[Target]) -> None:
    """Raises UserError if a metric is one of targets, but of none that runs have.

    Args:
        name: of the metric or of the user's own function, None for the usual one.
        of: the targets of the runs.
    """
    known = dict.fromkeys(one for target in of for one in target.metrics)
    if name in all_metrics() and name not in known:
        raise UserError(
            f"report.metric={name} is not for what these runs predict. Allowed: "
            f"{', '.join(known)}, or a function of your own, such as my_metrics.py:f."
        )


def find_metric(name: str) -> Metric:
    """Returns a metric of any target or of the user's own; see `metrics.find`."""
    return metrics.find(name, all_metrics())

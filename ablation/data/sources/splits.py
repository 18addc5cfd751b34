"""How a source that knows every label parts its images into those to train and to validate on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ablation.config import DatasetConfig, UserError
from ablation.data.sources.common import SPLITS, option
from ablation.targets import TARGETS
from ablation.targets.classes import Classes
from ablation.targets.common import Target
from ablation.targets.naming import composed
from ablation.text import named

_DRAWS = 10
_LAST_SEED = 2**32 - 1
_NAMED_AT_MOST = 5
_SPLITS = (
    ("train", "training"),
    ("val", "valid", "validation", "dev"),
    ("test", "testing"),
)
"""What tables call the images to train on, to validate on, and those of a third kind."""


@dataclass
class SplitConfig(DatasetConfig):
    """What a source can be asked for that splits its images itself."""

    group: str | None = option(None, "what names whom an example is of; nobody is in both splits")
    val_fraction: float = option(0.2, "the share to validate on, where no split is given")
    split_seed: int = option(0, "of that split, whatever the seed of a run")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.val_fraction < 1:
            raise UserError(
                f"dataset.val_fraction={self.val_fraction} must be more than 0 and less than 1."
            )
        if not 0 <= self.split_seed <= _LAST_SEED:
            raise UserError(
                f"dataset.split_seed={self.split_seed} must be at least 0 and at most {_LAST_SEED}."
            )


@dataclass
class TargetConfig(SplitConfig):
    """What a source can be asked for whose labels may be of any target."""

    target: str | None = option(None, "classes, value or labels; null: told by the labels")
    unit: str = option("", "of a value, such as °C")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target is not None and self.target not in TARGETS:
            raise UserError(
                f"dataset.target={self.target} is not known. Allowed: {', '.join(TARGETS)}, or "
                "null to tell it by the labels."
            )


def held_out(labels: np.ndarray, groups: np.ndarray | None, asked: SplitConfig) -> np.ndarray:
    """Returns which images validate: of each class the same share, drawn by a seed.

    With groups, whole ones are drawn one after the other if that brings the shares of the classes
    nearer to what is asked and leaves each class an image to train on; of several such draws the
    one that comes nearest counts.

    Args:
        labels: int (images,), the class of each.
        groups: (images,), whom each is of; None for no groups.
        asked: share and seed.

    Returns:
        bool (images,).
    """
    rng = np.random.RandomState(asked.split_seed)  # Its stream is frozen, whatever the version.
    chosen = np.zeros(len(labels), bool)
    if groups is None:
        for label in np.unique(labels):
            places = rng.permutation(np.flatnonzero(labels == label))
            chosen[places[: min(round(len(places) * asked.val_fraction), len(places) - 1)]] = True
        return chosen
    _, of_group = np.unique(groups, return_inverse=True)
    _, of_class = np.unique(labels, return_inverse=True)
    counts = np.zeros((of_group.max() + 1, of_class.max() + 1))
    np.add.at(counts, (of_group, of_class), 1)
    drawn = [
        _drawn(counts, rng.permutation(len(counts)), asked.val_fraction) for _ in range(_DRAWS)
    ]
    _, best = min(drawn, key=lambda one: one[0])
    return np.isin(of_group, best)


def _drawn(counts: np.ndarray, order: np.ndarray, fraction: float) -> tuple[float, list[int]]:
    """Returns the groups that validate if they are asked in one order, and how far that is off.

    Args:
        counts: (groups, classes), the images of each.
        order: of the groups.
        fraction: the share of each class to come near to.

    Returns:
        The sum over classes of the squared deviation from that share, and the groups.
    """
    total, held, chosen = counts.sum(axis=0), np.zeros(counts.shape[1]), []
    off = len(total) * fraction**2
    for group in order:
        more = held + counts[group]
        then = float(np.square(more / total - fraction).sum())
        if then < off and (more < total).all():
            held, off = more, then
            chosen.append(int(group))
    return off, chosen


def parted(
    classes: Sequence[str],
    labels: np.ndarray,
    groups: np.ndarray | None,
    is_val: np.ndarray | None,
    asked: SplitConfig,
    where: str,
    target: type[Target] = Classes,
) -> dict[str, np.ndarray]:
    """Returns the places of the images of each split.

    Args:
        classes: the names of the outputs.
        labels: (images, ...); of classes int (images,), negative without one.
        groups: (images,), whom each is of; None if nobody says so.
        is_val: bool (images,), which validate; None if they are to be drawn.
        asked: how to draw them.
        where: what to call the data set in a message.
        target: of the labels.

    Raises:
        UserError: somebody is in both splits, or a split or a class is left without images.
    """
    if groups is not None:  # Accents have two forms in Unicode.
        groups = np.array([composed(str(one)) for one in groups.tolist()])
    if is_val is None:
        is_val = held_out(target.strata(labels), groups, asked)
    if groups is not None:
        _check_groups(groups, is_val, where)
    if not target.is_row:
        known = labels >= 0
        _check_classes(classes, labels[known], is_val[known], where)
    if not is_val.any() or is_val.all():
        if not target.is_row and len(np.unique(labels)) == len(labels):
            raise UserError(
                f"{where} has a single example of each of its {len(labels):,} classes, so that "
                "none is left to validate. If its labels are numbers to predict, say "
                "dataset.target=value."
            )
        raise UserError(
            f"{where} leaves no examples for the {'train' if is_val.any() else 'val'} split; give "
            "more, or another dataset.val_fraction, dataset.split_seed or dataset.group."
        )
    return dict(zip(SPLITS, map(np.flatnonzero, (~is_val, is_val)), strict=True))


def named_splits(
    names: Sequence[str], where: str, row: Callable[[int], str], column: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which rows validate and which are of a third split, by the names of their splits.

    Images to validate on are those named val, or those named test if none are.

    Args:
        names: of the split of each row.
        where: what to call the table in a message.
        row: returns what to call a row in a message.
        column: of the names, for the message.

    Raises:
        UserError: a name is of no split, or there are none to train or to validate on.
    """
    known = {word: place for place, words in enumerate(_SPLITS) for word in words}
    kinds = np.array([known.get(name.strip().lower(), -1) for name in names], int)
    if (kinds < 0).any():
        place = int(np.argmax(kinds < 0))
        raise UserError(
            f"{row(place)}: {column} is {names[place]!r}; it must be train, val or test."
        )
    val = 1 if (kinds == 1).any() else 2
    for place, what in ((0, "train"), (val, "val or test")):
        if not (kinds == place).any():
            raise UserError(
                f"{where}: no {column} is {what}, so there is nothing to "
                f"{'validate' if place else 'train'} on."
            )
    return kinds == val, (kinds != 0) & (kinds != val)


def _check_groups(groups: np.ndarray, is_val: np.ndarray, where: str) -> None:
    """Raises UserError if somebody is in both splits."""
    both = np.intersect1d(groups[is_val], groups[~is_val])
    if len(both):
        names = named([str(one) for one in both[:_NAMED_AT_MOST]], len(both), _NAMED_AT_MOST)
        raise UserError(
            f"{where}: the splits share {names} of dataset.group; nobody may be in both."
        )


def _check_classes(
    classes: Sequence[str], labels: np.ndarray, is_val: np.ndarray, where: str
) -> None:
    """Raises UserError unless there are two classes, each to train on, and images to validate."""
    there = np.unique(labels)
    if len(there) < 2:
        found = f"only {classes[there[0]]!r}" if len(there) else "none"
        raise UserError(f"{where} must hold at least two classes; found {found}.")
    lost = np.setdiff1d(there, labels[~is_val])
    if len(lost):
        names = named([classes[one] for one in lost], len(lost), _NAMED_AT_MOST)
        raise UserError(
            f"{where} leaves no training examples of {names}; give each some, or leave it "
            "out of those to validate."
        )

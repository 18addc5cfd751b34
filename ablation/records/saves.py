"""How far a run has been saved, by the names of its checkpoints and of its kept weights."""

import re
from pathlib import Path
from typing import NamedTuple

from ablation.config import Config


class Position(NamedTuple):
    """How far a run is trained.

    Attributes:
        epochs: finished.
        steps: of the next epoch that are done, fewer than all.
        of: steps an epoch, 1 where none are done.
    """

    epochs: int
    steps: int = 0
    of: int = 1

    @property
    def passed(self) -> float:
        """Epochs that are trained, with the share of the one that is begun."""
        return self.epochs + self.steps / self.of

    def __str__(self) -> str:
        if self.steps:
            return f"in epoch {self.epochs + 1}, after step {self.steps} of {self.of}"
        return f"after epoch {self.epochs}"

    @property
    def file_name(self) -> str:
        """Of the checkpoint that is written here."""
        within = f"-step-{self.steps}-of-{self.of}" if self.steps else ""
        return f"epoch-{self.epochs}{within}.npz"


BEGINNING = Position(0)

_CHECKPOINT = re.compile(r"epoch-(\d+)(?:-step-(\d+)-of-(\d+))?\.npz")
_WEIGHTS = re.compile(r"epoch-(\d+)\.weights\.h5")


def checkpoints(directory: Path) -> dict[Position, Path]:
    """Returns the whole files in a run's checkpoint/."""
    return {
        Position(*(int(number) for number in match.groups() if number)): path
        for path in directory.glob("epoch-*")
        if (match := _CHECKPOINT.fullmatch(path.name))
    }


def kept_weights(directory: Path) -> dict[int, Path]:
    """Returns the whole files in a run's weights/, by the epochs that were finished."""
    return {
        int(match[1]): path
        for path in directory.glob("epoch-*")
        if (match := _WEIGHTS.fullmatch(path.name))
    }


def resumable(directory: Path, at_most: int) -> Position:
    """Returns from where a run goes on.

    Args:
        directory: of its checkpoint.
        at_most: epochs in its history; a state beyond them is of no use.
    """
    found = checkpoints(directory)
    return max((one for one in found if one.epochs <= at_most), default=BEGINNING)


def kept_epochs(config: Config) -> list[int]:
    """Returns after which epochs `keep_checkpoints` keeps the weights of a run."""
    every, epochs = config.keep_checkpoints, config.epochs
    return sorted({*range(every, epochs + 1, every), epochs}) if every else []

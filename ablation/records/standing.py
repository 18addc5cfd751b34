"""Where a sweep stands, for whoever looks on while it trains."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Training:
    """A run that is being trained.

    Attributes:
        name: of the run, and which arm it is of where the name does not say it.
        epochs: that it will have.
        done: epochs, the present one by its share.
        said: where it is, in words.
    """

    name: str
    epochs: int
    done: float
    said: str


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands.

    Attributes:
        written: when, ISO 8601, UTC.
        done: runs of the sweep that have ended.
        total: runs of the sweep.
        left: in words, about how long the others will take.
        training: the runs that are being trained.
    """

    written: str
    done: int
    total: int
    left: str
    training: Sequence[Training]

"""Where a sweep stands, for whoever looks on while it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ablation.records.store import Status


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
        awaited: runs that have not ended, by name what they are called in `training`; none whose
            state is still that of an earlier training.
    """

    written: str
    done: int
    total: int
    left: str
    training: Sequence[Training]
    awaited: Mapping[str, str] = field(default_factory=dict)

    def by(self, states: Mapping[str, str]) -> "Standing":
        """Returns where the sweep stands by states of runs that were read later, by run.

        A report takes its time to read them, and says the same of a run wherever it speaks of it.
        """
        ended = {
            name: called
            for name, called in self.awaited.items()
            if name in states and Status(states[name]).is_final
        }
        training = [run for run in self.training if run.name not in ended.values()]
        return replace(self, done=self.done + len(ended), training=training, awaited={})

"""How what is judged after every epoch is called and shown, whatever the labels say."""

from typing import NamedTuple

from ablation.analysis.metrics import Metric
from ablation.targets.common import Target

_OF = {"": "training", "val_": "validation"}


class Column(NamedTuple):
    """A column of `history.csv`.

    Attributes:
        title: as an axis says it.
        unit: of a shown value, "" of a pure number.
        scale: by which it is multiplied where it is shown.
        higher_is_better: whether it is; None of what is no score.
    """

    title: str
    unit: str = ""
    scale: float = 1
    higher_is_better: bool | None = False

    @property
    def is_share(self) -> bool:
        """Whether values are from 0 to 1 and shown in percent; others may have that unit too."""
        return self.unit == "%" and self.scale == 100

    @property
    def heading(self) -> str:
        """The title with its unit, but for shares, whose axis has it at every number."""
        return f"{self.title}, {self.unit}" if self.unit and not self.is_share else self.title


_OTHERS = {
    "learning_rate": Column("learning rate", higher_is_better=None),
    "seconds": Column("seconds of an epoch", "s", higher_is_better=None),
}


def name(metric: Metric) -> str:
    """Returns what a metric is called, on whatever images."""
    return metric.title.removeprefix("validation ")


def columns(target: Target) -> dict[str, Column]:
    """Returns the columns that are judged, in the order of the file."""
    metric = target.of_epochs
    found = {}
    for column in target.history:
        prefix = "val_" if column.startswith("val_") else ""
        if column.removeprefix("val_") == "loss":
            found[column] = Column(f"{_OF[prefix]} loss")
        else:
            title = f"{_OF[prefix]} {name(metric)}"
            found[column] = Column(title, metric.unit, metric.scale, metric.higher_is_better)
    return found


def curves(target: Target) -> dict[str, Column]:
    """Returns every column but the epoch, in the order of the file."""
    return columns(target) | _OTHERS


def pairs(target: Target) -> dict[str, tuple[str, ...]]:
    """Returns what is drawn in one figure, by its kind: the losses, and what the target tracks."""
    losses = tuple(one for one in target.history if one.endswith("loss"))
    return {
        "loss": losses,
        target.tracked: tuple(one for one in target.history if one not in losses),
    }

"""What every target has: how labels are read, learned, judged and kept. No framework."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ablation.analysis.metrics import Metric
from ablation.config import UserError
from ablation.data.kinds import Noun
from ablation.recipes import losses
from ablation.records.predictions import Predictions
from ablation.targets.cells import Cells

Found = Sequence[tuple[str, np.ndarray]]
"""The labels of one split or of two, each with what to call it in a message."""


@dataclass(frozen=True)
class Target(ABC):
    """What a network learns to say of an image.

    A target is a module of this folder. It owns the check of its labels, its metrics, and
    what is stored of predictions; its pictures are in `PICTURES` of
    `ablation.report.sections`.

    Attributes:
        kind: its name, as `dataset.target` has it.
        unread: keys of a recipe that mean nothing here, and what to say of each.
        tracked: the metric of every epoch, the first of `metrics`.
        tracked_in_training: whether training steps have it too.
        has_unit: whether `dataset.unit` means something.
        is_row: whether a label is a row of numbers, one an output, and not the number of a class.
        outcomes: of each label, over which one is smoothed; None for the classes.
        nothing: what an answer that looks at no image says, for a sentence.
        no_skill: when a run counts as near chance, for a sentence; a share fills it in.
        outputs: names of what the network puts out, in order.
        unit: of a value, "" for none.
        facts: of the training labels, as the cache has them.
    """

    kind: ClassVar[str]
    unread: ClassVar[Mapping[str, str]]
    tracked: ClassVar[str]
    tracked_in_training: ClassVar[bool]
    has_unit: ClassVar[bool] = False
    is_row: ClassVar[bool]
    outcomes: ClassVar[int | None] = None
    nothing: ClassVar[str]
    no_skill: ClassVar[str]

    outputs: tuple[str, ...] = ()
    unit: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """What `report.metric` may name, the default first."""

    @property
    def losses(self) -> tuple[str, ...]:
        """What `recipe.loss` may name, the default first."""
        return losses.of(self.kind)

    @property
    def metric(self) -> Metric:
        """The default."""
        return next(iter(self.metrics.values()))

    @property
    def of_epochs(self) -> Metric:
        """What every epoch is judged by, and trials are chosen by."""
        return self.metrics[self.tracked]

    @property
    def worst(self) -> float:
        """What a trial that failed counts as."""
        return 0.0 if self.of_epochs.higher_is_better else math.inf

    @property
    def history(self) -> tuple[str, ...]:
        """The columns of `history.csv` that are judged: training's first, then validation's."""
        own = (self.tracked,) if self.tracked_in_training else ()
        return ("loss", *own, "val_loss", f"val_{self.tracked}")

    @staticmethod
    @abstractmethod
    def read(
        found: Found, names: np.ndarray | None, where: str
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns the names of the outputs, and the labels of all splits, one after the other.

        Args:
            found: the labels as they are stored.
            names: of the outputs, None if nobody says so.
            where: what to call the data set in a message.

        Raises:
            UserError: they are none of this target.
        """

    @staticmethod
    @abstractmethod
    def of_cells(cells: Cells) -> tuple[tuple[str, ...], np.ndarray]:
        """Returns what `read` does, of the columns of a table.

        Raises:
            UserError: they are none of this target.
        """

    @staticmethod
    @abstractmethod
    def empty(count: int, outputs: int) -> np.ndarray:
        """Returns room for the labels of so many images."""

    @staticmethod
    @abstractmethod
    def strata(labels: np.ndarray) -> np.ndarray:
        """Returns int (images,): what a random split keeps the shares of."""

    @staticmethod
    @abstractmethod
    def of_split(labels: np.ndarray, outputs: int) -> dict[str, Any]:
        """Returns what `meta.json` says of the labels of a split."""

    @staticmethod
    def learned_from(labels: np.ndarray, outputs: Sequence[str]) -> dict[str, Any]:
        """Returns what of the training labels every run must know, as `meta.json` has it.

        Raises:
            UserError: there is nothing to learn from them; the message names the output.
        """
        return {}

    @property
    @abstractmethod
    def counted(self) -> str:
        """How many outputs there are, in words."""

    @abstractmethod
    def table(self, splits: Mapping[str, Any]) -> tuple[str, list[list[str]]]:
        """Returns what the labels of both splits are, as text.

        Args:
            splits: as `meta.json` has them.

        Returns:
            What a row is; and the rows: its name, and a cell for each split.
        """

    def warnings(self, meta: Mapping[str, Any], noun: Noun) -> list[str]:
        """Returns what scores on a data set must be read with, a line each.

        Args:
            meta: what `meta.json` holds.
            noun: of the inputs.
        """
        return []

    @abstractmethod
    def to_learn(self, labels: np.ndarray) -> np.ndarray:
        """Returns labels as the loss takes them."""

    @abstractmethod
    def judged(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Returns what is kept of every epoch beside the loss, by the names of metrics.

        Args:
            labels: as they are stored.
            outputs: float32 (images, outputs) of the network.
        """

    @abstractmethod
    def result(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
        """Returns what `result.json` has beside what an epoch has, for the last epoch."""

    @abstractmethod
    def packed(self, labels: np.ndarray, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the arrays of `predictions.npz`."""

    @staticmethod
    @abstractmethod
    def unpacked(arrays: dict[str, np.ndarray]) -> Predictions:
        """Returns what `packed` has packed.

        Raises:
            KeyError: it is of another target or edition.
        """

    @staticmethod
    @abstractmethod
    def standing(result: Mapping[str, Any], noun: Noun) -> dict[str, Any]:
        """Returns what a study must know of a result.

        Returns:
            `skill`, which is 1 at best, and its value `chance` of an answer that looks at no image;
            `caveats`, what the scores say nothing of, "" for nothing; and what else the target's
            own notes need.
        """

    @abstractmethod
    def conditions(self, result: Mapping[str, Any], noun: Noun) -> list[tuple[str, str]]:
        """Returns what the labels of a result's images are: what it is called, and in words."""

    @abstractmethod
    def chance(self, metric: Metric, standing: Mapping[str, Any]) -> float:
        """Returns what an answer that looks at no image scores, NaN where nobody can say."""

    def check(self, recipe: Any) -> None:
        """Raises UserError if a recipe has a key that means nothing here."""
        neutral = {"label_smoothing": 0.0, "class_weights": "none"}
        for key, why in self.unread.items():
            value = getattr(recipe, key)
            if value != neutral[key]:
                raise UserError(
                    f"recipe.{key}={value} is not for dataset.target={self.kind}: {why}; leave it "
                    "out."
                )

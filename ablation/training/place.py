"""Where a run is: in which epoch, after how many of its steps."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from ablation.records import saves


@dataclass(frozen=True)
class Start:
    """From where a run goes on; by default it begins.

    Attributes:
        position: that it had reached.
        seconds: that the epoch had taken, where one was begun.
        metrics: the values of the model's metrics then.
    """

    position: saves.Position = saves.BEGINNING
    seconds: float = 0.0
    metrics: Sequence[np.ndarray] = ()


class Place(keras.callbacks.Callback):
    """Where a run is, for the callbacks behind it.

    Keras counts the steps of an epoch from 0 in every fit, and so it does in an epoch that was
    begun before.

    Args:
        start: from where the run goes on.

    Attributes:
        epoch: that is being trained, from 0.
        step: how many of its steps are done.
    """

    def __init__(self, start: Start):
        super().__init__()
        self._start = start
        self._begun = 0.0
        self.epoch, self.step, _ = start.position

    @property
    def seconds(self) -> float:
        """How long the epoch has taken, before the run was stopped too."""
        return time.perf_counter() - self._begun

    def on_epoch_begin(self, epoch, logs=None):
        """Begins an epoch, or goes on with it."""
        self.epoch, self.step, self._begun = epoch, 0, time.perf_counter()
        if epoch == self._start.position.epochs and self._start.position.steps:
            self.step = self._start.position.steps
            self._begun -= self._start.seconds
            for variable, value in zip(
                self.model.metrics_variables, self._start.metrics, strict=True
            ):
                variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        """Counts a step."""
        self.step += 1

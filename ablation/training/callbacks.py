"""What happens beside the training steps: history, kept weights, progress, divergence."""

import math
import statistics
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import keras

from ablation import backends
from ablation.networks.layers import deep_recursion
from ablation.records import durable, saves, store
from ablation.training import hang
from ablation.training.averaging import averaged
from ablation.training.place import Place

_PROGRESS_SECONDS = 1.0


class DivergenceError(Exception):
    """The loss is no longer a finite number."""


class StepSeeds(keras.callbacks.Callback):
    """Seeds each step by itself, for networks that draw from their framework's generator.

    Args:
        seed: of the run.
        place: where it is.
    """

    def __init__(self, seed: int, place: Place):
        super().__init__()
        self._seed = seed
        self._place = place

    def on_train_batch_begin(self, batch, logs=None):
        """Seeds the backend."""
        backends.current().begin_step(self._seed, self._place.epoch, self._place.step)


class DivergenceGuard(keras.callbacks.Callback):
    """Stops a run whose loss becomes NaN or infinite, because nothing after that means anything.

    Args:
        place: where the run is.
    """

    def __init__(self, place: Place):
        super().__init__()
        self._place = place

    def on_train_batch_end(self, batch, logs=None):
        """Raises DivergenceError if the mean training loss of the epoch so far is not finite."""
        if not math.isfinite(logs["loss"]):
            raise DivergenceError(
                f"training loss became {logs['loss']} at step {self._place.step} of an epoch"
            )

    def on_epoch_end(self, epoch, logs=None):
        """Raises DivergenceError if the validation loss is not finite."""
        if not math.isfinite(logs["val_loss"]):
            raise DivergenceError(
                f"validation loss became {logs['val_loss']} after epoch {epoch + 1}"
            )


class History(keras.callbacks.Callback):
    """Keeps `history.csv`, one row for each finished epoch.

    Args:
        path: the file.
        rows: of the epochs that an earlier attempt finished.
        place: where the run is.
        columns: of the file.
    """

    def __init__(
        self,
        path: Path,
        rows: list[dict[str, Any]],
        place: Place,
        columns: Sequence[str] = store.HISTORY_COLUMNS,
    ):
        super().__init__()
        self._columns = columns
        self.rows = rows
        self._path = path
        self._place = place

    def on_epoch_end(self, epoch, logs=None):
        """Appends the epoch's row and replaces the file."""
        seconds = round(self._place.seconds, 3)
        rate = float(self.model.optimizer.learning_rate)
        row = {"epoch": epoch + 1, **logs, "learning_rate": rate, "seconds": seconds}
        self.rows.append({key: row[key] for key in self._columns})
        durable.write_csv(self._path, self._columns, self.rows)


class KeptWeights(keras.callbacks.Callback):
    """Keeps the weights after some epochs, for whoever wants to use the network later.

    Args:
        directory: of the files, made when there is one to write.
        epochs: after which to keep the weights.
        finished: epochs from which the run goes on; weights of later ones are removed, because
            these epochs are trained again.
    """

    def __init__(self, directory: Path, epochs: Collection[int], finished: int):
        super().__init__()
        self._directory = directory
        self._epochs = epochs
        self._finished = finished

    def on_train_begin(self, logs=None):
        """Removes what an earlier attempt left of the epochs that come, half a file too."""
        kept = saves.kept_weights(self._directory)
        for path in self._directory.glob("*"):
            if path not in [kept[epoch] for epoch in kept if epoch <= self._finished]:
                path.unlink()

    def on_epoch_end(self, epoch, logs=None):
        """Saves the weights if it is one of the epochs."""
        self._finished = epoch + 1  # An epoch that goes on is a fit by itself, before the others.
        if epoch + 1 in self._epochs:
            # The same layers without an optimizer, whose state would double the file or more.
            with deep_recursion():
                bare = keras.Model(self.model.inputs, self.model.outputs)
            saved = self._directory / f"epoch-{epoch + 1}.weights.h5"
            durable.make_directory(saved.parent, within=saved.parent.parent)
            with durable.replacing(saved) as temporary, averaged(self.model):
                bare.save_weights(temporary)


class Alive(keras.callbacks.Callback):
    """Tells whoever watches for hangs that a step is done; see `hang`."""

    def on_train_batch_end(self, batch, logs=None):
        """Tells of a training step."""
        hang.step()

    def on_epoch_end(self, epoch, logs=None):
        """Tells of what was done between epochs."""
        hang.step()


class Progress(keras.callbacks.Callback):
    """Says about once a second where the run stands, in `progress.json`, for whoever watches.

    Args:
        path: the file.
        steps_per_epoch: training steps an epoch.
        place: where the run is.
    """

    def __init__(self, path: Path, steps_per_epoch: int, place: Place):
        super().__init__()
        self._path = path
        self._steps_per_epoch = steps_per_epoch
        self._place = place
        self._written = 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Writes the file if the last one is old enough."""
        now = time.monotonic()
        if now - self._written < _PROGRESS_SECONDS:
            return
        self._written = now
        content = {
            "epoch": self._place.epoch + 1,
            "step": self._place.step,
            "steps_per_epoch": self._steps_per_epoch,
            **logs,
        }
        durable.write_json(self._path, content, durable=False)


class StepClock(keras.callbacks.Callback):
    """Tells where the seconds of a fit go. It comes first among the callbacks.

    Attributes:
        steps, val_steps: of each training and validation step, in order; the first of all also
            traces the model, and the first of an epoch starts the stream of its batches.
        ends: from the last validation step of each epoch to the next one's start, which is what
            the callbacks do then, checkpoints above all.
    """

    def __init__(self):
        super().__init__()
        self.steps: list[float] = []
        self.val_steps: list[float] = []
        self.ends: list[float] = []
        self._last = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Takes the time of what came after the epoch before."""
        seconds = self._lap()
        if self.steps:
            self.ends.append(seconds)

    def on_train_batch_end(self, batch, logs=None):
        """Takes the time of a training step."""
        self.steps.append(self._lap())

    def validated(self) -> None:
        """Takes the time of a validation step."""
        self.val_steps.append(self._lap())

    def on_train_end(self, logs=None):
        """Takes the time of what came after the last epoch."""
        self.ends.append(self._lap())

    def _lap(self) -> float:
        before, self._last = self._last, time.perf_counter()
        return self._last - before

    def parts(self) -> dict[str, float]:
        """Returns the seconds of training steps, of tracing, of validation and of epochs' ends."""
        step, val_step = (
            statistics.median(laps[1:] or laps) for laps in (self.steps, self.val_steps)
        )
        trace = self.steps[0] - step + self.val_steps[0] - val_step
        return {
            "trace": trace,
            "steps": sum(self.steps[1:]) + step,
            "validation": sum(self.val_steps[1:]) + val_step,
            "epoch_ends": sum(self.ends),
        }

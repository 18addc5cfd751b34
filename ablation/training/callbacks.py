"""What happens beside the training steps: history, checkpoint, progress, divergence."""

import math
import statistics
import time
import zipfile
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablation import backends
from ablation.networks.layers import deep_recursion
from ablation.records import store
from ablation.training import hang, spacing
from ablation.training.averaging import averaged

_PROGRESS_SECONDS = 1.0


class DivergenceError(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Start:
    """From where a run goes on; by default it begins.

    Attributes:
        position: that it had reached.
        seconds: that the epoch had taken, where one was begun.
        metrics: the values of the model's metrics then.
    """

    position: store.Position = store.BEGINNING
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
        store.write_csv(self._path, self._columns, self.rows)


class Checkpoint(keras.callbacks.Callback):
    """Keeps weights, optimizer state and position in one file that appears whole.

    A thread writes it while training goes on; Keras's own writer would take half a second for
    ResNet-50 and SGD. Keras's BackupAndRestore writes weights and epoch as two files in place, so a
    kill between the two resumes with the weights of one epoch and the number of another.

    Args:
        directory: of the checkpoint.
        epochs: of the run; the end of the last is not saved, since the result follows at once.
        steps_per_epoch: training steps.
        place: where the run is.
        share: of a run's time that saving may take; see `spacing`.
    """

    def __init__(
        self,
        directory: Path,
        epochs: int,
        steps_per_epoch: int,
        place: Place,
        share: float | None = None,
    ):
        super().__init__()
        self._spacing = spacing.Spacing(share)
        self._directory = directory
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._place = place
        self._writer = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def on_train_batch_end(self, batch, logs=None):
        """Saves the state within a long epoch."""
        step, steps = self._place.step, self._steps_per_epoch
        if step < steps and self._spacing.due_within() and not self._writes():
            self.save(store.Position(self._place.epoch, step, steps), self._place.seconds)

    def on_epoch_end(self, epoch, logs=None):
        """Saves the state if that is due, and not of the last epoch."""
        if not self._writes() and epoch + 1 < self._epochs and self._spacing.due():
            self.save(store.Position(epoch + 1))

    def on_train_end(self, logs=None):
        """Waits until the state is written."""
        self._wait()

    def save(self, position: store.Position, seconds: float = 0.0) -> None:
        """Copies the state and begins to write it.

        Args:
            position: that the run has reached.
            seconds: that the epoch has taken, where one is begun.

        Raises:
            OSError: the state before it could not be written.
        """
        self._wait()
        self._spacing.begins()
        begun = time.perf_counter()
        model = self.model
        saved = [*_variables(model), *(model.metrics_variables if position.steps else ())]
        state = [np.array(keras.ops.convert_to_numpy(variable)) for variable in saved]
        self._written = self._writer.submit(self._write, state, position, seconds, begun)

    def close(self) -> None:
        """Lets the thread finish."""
        self._writer.shutdown()

    def _writes(self) -> bool:
        """Returns whether a state is being written; what could not be ends the run now."""
        if self._written and self._written.done():
            self._wait()
        return bool(self._written and not self._written.done())

    def _wait(self) -> None:
        if self._written:
            self._written.result()

    def _write(
        self, state: list[np.ndarray], position: store.Position, seconds: float, begun: float
    ) -> None:
        """Writes a state, then removes the one before."""
        saved = self._directory / position.file_name
        store.make_directory(saved.parent, within=saved.parent.parent)
        with store.replacing(saved) as temporary:
            np.savez(temporary, *state, seconds=np.array(seconds))
        for older in self._directory.iterdir():
            if older != saved:
                older.unlink()
        self._spacing.ends(time.perf_counter() - begun)


def restore(directory: Path, model: keras.Model, at_most: int) -> Start:
    """Loads the state that a `Checkpoint` has saved.

    Args:
        directory: of the checkpoint.
        model: the run's model, compiled, with an optimizer and metrics that are built.
        at_most: epochs in the run's history; a state beyond them is not loaded.

    Returns:
        From where the run goes on. Of several states that of the newest that is whole.

    Raises:
        ValueError: it is the state of another model.
    """
    found = store.checkpoints(directory)
    for position in sorted((one for one in found if one.epochs <= at_most), reverse=True):
        try:
            with np.load(found[position]) as archive:
                saved = {name: archive[name] for name in archive.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            print(f"The checkpoint {found[position].name} cannot be read ({error}).")
            continue
        seconds, state = float(saved.pop("seconds", 0.0)), list(saved.values())
        variables = _variables(model)
        metrics = state[len(variables) :]
        if len(metrics) != (len(model.metrics_variables) if position.steps else 0):
            raise ValueError("it is the state of another model")
        for variable, value in zip(variables, state[: len(variables)], strict=True):
            variable.assign(value)
        return Start(position, seconds, metrics)
    return Start()


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Returns all that training changes but for the metrics, in the order of the model."""
    return [*model.variables, *model.optimizer.variables]


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
        kept = store.kept_weights(self._directory)
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
            store.make_directory(saved.parent, within=saved.parent.parent)
            with store.replacing(saved) as temporary, averaged(self.model):
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
        store.write_json(self._path, content, durable=False)


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

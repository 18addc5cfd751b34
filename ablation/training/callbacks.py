"""What happens beside the training steps: history, checkpoint, progress, divergence."""

import math
import statistics
import time
import zipfile
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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


class EpochSeeds(keras.callbacks.Callback):
    """Seeds each epoch by itself, for networks that draw from their framework's generator.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Seeds the backend."""
        # Not when the epoch begins: after that Keras may start the stream of batches, for which
        # PyTorch draws a number, but only in the first epoch of a fit.
        if batch == 0:
            backends.current().begin_epoch(self._seed, self._epoch)


class DivergenceGuard(keras.callbacks.Callback):
    """Stops a run whose loss becomes NaN or infinite, because nothing after that means anything."""

    def on_train_batch_end(self, batch, logs=None):
        """Raises DivergenceError if the mean training loss of the epoch so far is not finite."""
        if not math.isfinite(logs["loss"]):
            raise DivergenceError(
                f"training loss became {logs['loss']} at step {batch + 1} of an epoch"
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
        columns: of the file.
    """

    def __init__(
        self,
        path: Path,
        rows: list[dict[str, Any]],
        columns: Sequence[str] = store.HISTORY_COLUMNS,
    ):
        super().__init__()
        self._columns = columns
        self.rows = rows
        self._path = path
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the epoch's clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Appends the epoch's row and replaces the file."""
        seconds = time.perf_counter() - self._start
        rate = float(self.model.optimizer.learning_rate)
        row = {"epoch": epoch + 1, **logs, "learning_rate": rate, "seconds": round(seconds, 3)}
        self.rows.append({key: row[key] for key in self._columns})
        store.write_csv(self._path, self._columns, self.rows)


class Checkpoint(keras.callbacks.Callback):
    """Keeps weights, optimizer state and epoch in one file that appears whole.

    A thread writes it while the next epoch trains; Keras's own writer would take half a second for
    ResNet-50 and SGD. Keras's BackupAndRestore writes weights and epoch as two files in place, so a
    kill between the two resumes with the weights of one epoch and the number of another.

    Args:
        directory: of the checkpoint.
        epochs: of the run; the last one is not saved, since the result follows at once.
        share: of a run's time that saving may take; see `spacing`.
    """

    def __init__(self, directory: Path, epochs: int, share: float | None = None):
        super().__init__()
        self._spacing = spacing.Spacing(share)
        self._directory = directory
        self._epochs = epochs
        self._writer = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Saves the state if that is due, and not of the last epoch."""
        if self._written and self._written.done():
            self._wait()  # What could not be written ends the run now.
        elif self._written:
            return  # It still writes, so that no share is left.
        if epoch + 1 < self._epochs and self._spacing.due():
            self.save(epoch + 1)

    def on_train_end(self, logs=None):
        """Waits until the state is written."""
        self._wait()

    def save(self, finished: int) -> None:
        """Copies the state after so many epochs and begins to write it.

        Raises:
            OSError: the state before it could not be written.
        """
        self._wait()
        self._spacing.begins()
        begun = time.perf_counter()
        state = [np.array(keras.ops.convert_to_numpy(each)) for each in _variables(self.model)]
        self._written = self._writer.submit(self._write, state, finished, begun)

    def close(self) -> None:
        """Lets the thread finish."""
        self._writer.shutdown()

    def restore(self, model: keras.Model, at_most: int) -> int:
        """Loads the saved state.

        Args:
            model: the run's model, compiled, with an optimizer that is built.
            at_most: epochs in the run's history; a state beyond them is not loaded.

        Returns:
            The number of epochs that the state has finished, 0 if there is none to load. Of
            several the newest that is whole.

        Raises:
            ValueError: it is the state of another model.
        """
        found = store.checkpoints(self._directory)
        for finished in sorted((epoch for epoch in found if epoch <= at_most), reverse=True):
            try:
                with np.load(found[finished]) as archive:
                    state = [archive[name] for name in archive.files]
            except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
                print(f"The checkpoint of epoch {finished} cannot be read ({error}).")
                continue
            for variable, value in zip(_variables(model), state, strict=True):
                variable.assign(value)
            return finished
        return 0

    def _wait(self) -> None:
        if self._written:
            self._written.result()

    def _write(self, state: list[np.ndarray], finished: int, begun: float) -> None:
        """Writes a state, then removes the one before."""
        saved = self._directory / f"epoch-{finished}.npz"
        store.make_directory(saved.parent, within=saved.parent.parent)
        with store.replacing(saved) as temporary:
            np.savez(temporary, *state)
        for older in self._directory.iterdir():
            if older != saved:
                older.unlink()
        self._spacing.ends(time.perf_counter() - begun)


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Returns all that training changes, in the order of the model."""
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
        kept = store.checkpoints(self._directory)
        for path in self._directory.glob("*"):
            if path not in [kept[epoch] for epoch in kept if epoch <= self._finished]:
                path.unlink()

    def on_epoch_end(self, epoch, logs=None):
        """Saves the weights if it is one of the epochs."""
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
    """

    def __init__(self, path: Path, steps_per_epoch: int):
        super().__init__()
        self._path = path
        self._steps_per_epoch = steps_per_epoch
        self._epoch = 0
        self._written = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Writes the file if the last one is old enough."""
        now = time.monotonic()
        if now - self._written < _PROGRESS_SECONDS:
            return
        self._written = now
        content = {
            "epoch": self._epoch + 1,
            "step": batch + 1,
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

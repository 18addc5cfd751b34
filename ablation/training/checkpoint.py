"""From where a run goes on when it is stopped."""

import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from ablation.records import durable, saves
from ablation.training import spacing
from ablation.training.place import Place, Start


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
            self.save(saves.Position(self._place.epoch, step, steps), self._place.seconds)

    def on_epoch_end(self, epoch, logs=None):
        """Saves the state if that is due, and not of the last epoch."""
        if not self._writes() and epoch + 1 < self._epochs and self._spacing.due():
            self.save(saves.Position(epoch + 1))

    def on_train_end(self, logs=None):
        """Waits until the state is written."""
        self._wait()

    def save(self, position: saves.Position, seconds: float = 0.0) -> None:
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
        self, state: list[np.ndarray], position: saves.Position, seconds: float, begun: float
    ) -> None:
        """Writes a state, then removes the one before."""
        saved = self._directory / position.file_name
        durable.make_directory(saved.parent, within=saved.parent.parent)
        with durable.replacing(saved) as temporary:
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
    found = saves.checkpoints(directory)
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

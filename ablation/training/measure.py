"""The child process that times a few real steps of one run.

Started by `ablation.running.children`, as a fork or as `python -m ablation.training.measure`; the
order is a `MeasureOrder`, and the answer is the figures.
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ablation import machine
from ablation.config import Config, UserError
from ablation.orders import obey, read_measure_order
from ablation.terminal import import_quietly

_STEPS = 5
_VAL_STEPS = 3


def work(line: str) -> tuple[int, str]:
    """Measures a run; returns 0 and the figures as a JSON object, or 1 and why it cannot begin.

    Args:
        line: a `MeasureOrder`.
    """
    order = read_measure_order(line)
    import_quietly(order.config.backend)
    from ablation.networks.own import RefusedError
    from ablation.training import train  # noqa: F401  # Keras and all that a run loads.

    import_seconds = time.monotonic() - order.started
    try:
        found = measure(order.config) | {"import_seconds": import_seconds}
    except RefusedError as refusal:
        found = {"refused": str(refusal)}
    except UserError as error:
        return 1, str(error)
    return 0, json.dumps(found)


def measure(config: Config) -> dict[str, Any]:
    """Times two shortened epochs of a run, through the same code that trains it.

    Args:
        config: the resolved configuration; its data set is ready.

    Returns:
        `trainable`, `total`, `multiply_adds`, `steps_per_epoch`; `start_seconds`, once a run, which
        is building, tracing and compiling; `epoch_seconds`, steps, validation and
        diagnostics; and `checkpoint_seconds`, once for each time that it is saved;
        `peak_memory_bytes`.
    """
    from ablation.data import cache
    from ablation.data.tuning_split import of_run
    from ablation.networks import cost
    from ablation.training.callbacks import StepClock
    from ablation.training.feed import train_dataset
    from ablation.training.predicting import Validation
    from ablation.training.train import compiled_model, open_batches, set_up

    begun = time.perf_counter()
    set_up(config)
    data = cache.find(config.dataset, config.cache_dir)
    assert data
    data = of_run(config, data)
    batches, val = open_batches(config, data)
    steps, val_steps = min(_STEPS, batches.steps_per_epoch), min(_VAL_STEPS, val.steps)
    model = compiled_model(config, data, config.epochs * batches.steps_per_epoch)
    clock, some = StepClock(), list(itertools.islice(val, val_steps))
    model.fit(
        train_dataset(batches, range(2)),
        epochs=2,
        steps_per_epoch=steps,
        verbose=0,
        shuffle=False,
        callbacks=[clock, Validation(some, [clock.validated], data.target(config.dataset))],
    )
    whole_seconds = time.perf_counter() - begun
    # The first lap of every loop also traces and compiles, or starts the stream.
    step = statistics.median(clock.steps[1:steps] + clock.steps[steps + 1 :] or clock.steps[-1:])
    val_step = statistics.median(clock.val_steps[val_steps + 1 :] or clock.val_steps[-1:])
    checkpoint_seconds, diagnostics_seconds = _between_epochs(config, model, batches)
    return {
        **vars(cost.count(model)),
        "steps_per_epoch": batches.steps_per_epoch,
        "start_seconds": whole_seconds - 2 * (steps * step + val_steps * val_step),
        "epoch_seconds": batches.steps_per_epoch * step
        + val.steps * val_step
        + diagnostics_seconds,
        "checkpoint_seconds": checkpoint_seconds,
        "peak_memory_bytes": machine.peak_memory_bytes(),
    }


def _between_epochs(config: Config, model: Any, batches: Any) -> tuple[float, float]:
    """Returns the seconds of a checkpoint, and those of the diagnostics if the run has any."""
    from ablation.records.saves import BEGINNING, Position
    from ablation.training.checkpoint import Checkpoint
    from ablation.training.diagnostics import Diagnostics
    from ablation.training.place import Place, Start

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        steps = batches.steps_per_epoch
        checkpoint = Checkpoint(Path(folder), config.epochs, steps, Place(Start()))
        checkpoint.set_model(model)
        checkpoint.save(Position(1))
        checkpoint.close()
        checkpoint_seconds = time.perf_counter() - begun
        if not config.diagnostics:
            return checkpoint_seconds, 0.0
        measuring = Diagnostics(Path(folder) / "diagnostics.csv", model, batches, BEGINNING)
        measuring.on_train_begin()  # The first time takes longer.
        begun = time.perf_counter()
        measuring.on_epoch_end(0)
        return checkpoint_seconds, time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(obey(work))

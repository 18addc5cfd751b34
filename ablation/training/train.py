"""Trains one run for exactly its epochs and returns what came of it."""

import contextlib
import hashlib
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablation import backends, machine, source
from ablation.config import Config, UserError
from ablation.data.augment import OwnAugmentation, Tricks
from ablation.data.cache import Cache
from ablation.data.pipeline import TrainBatches, ValBatches, affine
from ablation.data.sources import SPLITS
from ablation.data.tuning_split import of_run
from ablation.networks import cost
from ablation.networks.build import build
from ablation.networks.layers import LogProbabilities
from ablation.networks.own import STARTS
from ablation.networks.pairing import initial_digests
from ablation.records import durable, saves, store
from ablation.targets.common import Target
from ablation.training import hang
from ablation.training.averaging import kept_apart
from ablation.training.callbacks import (
    Alive,
    DivergenceGuard,
    History,
    KeptWeights,
    Progress,
    StepClock,
    StepSeeds,
)
from ablation.training.checkpoint import Checkpoint, restore
from ablation.training.diagnostics import Diagnostics
from ablation.training.feed import train_dataset
from ablation.training.losses import build_loss, training_metrics
from ablation.training.optimizers import build_optimizer
from ablation.training.place import Place, Start
from ablation.training.predicting import Validation

# Of one channel. Batches for validation may be larger than those for training, which is faster.
_VAL_PIXELS = 256 * 32 * 32
_VAL_NUMBERS = 32 * 1024  # Of other inputs, whose memory in a network may grow with their square.


def train(config: Config, cache: Cache, directory: Path) -> dict[str, Any]:
    """Trains a run, from its latest checkpoint if there is one.

    Args:
        config: the resolved configuration.
        cache: the data set.
        directory: the run's directory; history, predictions, diagnostics, progress, checkpoint and
            weights are kept there.

    Returns:
        The content of `result.json`.

    Raises:
        DivergenceError: the loss became NaN or infinite.
    """
    begun = time.perf_counter()
    cache = of_run(config, cache)
    target = cache.target(config.dataset)
    set_up(config)
    epochs = config.epochs
    batches, val = open_batches(config, cache)
    steps = batches.steps_per_epoch
    model = compiled_model(config, cache, epochs * steps)
    initial = initial_digests(model)
    try:
        start, rows = _from_before(directory, model)
    except ValueError as error:
        print(f"The checkpoint cannot be read ({error}); training starts anew.")
        model, start, rows = compiled_model(config, cache, epochs * steps), Start(), []
    if config.keep_checkpoints:
        normalised = affine(cache, config.dataset.normalisation)
        durable.write_arrays(
            directory / "normalisation.npz", vars(normalised) if normalised else {}
        )
    earlier = sum(row["seconds"] for row in rows) + start.seconds
    columns, place, clock = store.history_columns(target.history), Place(start), StepClock()
    history = History(directory / "history.csv", rows, place, columns)
    checkpoint = Checkpoint(directory / "checkpoint", epochs, steps, place)
    measuring = []
    if config.diagnostics:
        measuring = [Diagnostics(directory / "diagnostics.csv", model, batches, start.position)]
    validation = Validation(val, [clock.validated, hang.step], target)
    # The guard comes before what writes: a diverged epoch leaves no row and no checkpoint. The
    # checkpoint comes after it: an epoch that it has finished is never measured or kept again.
    callbacks = [
        clock,
        place,
        Alive(),
        validation,
        StepSeeds(weights_seed(config), place),
        DivergenceGuard(place),
        history,
        *measuring,
        KeptWeights(directory / "weights", saves.kept_epochs(config), start.position.epochs),
        checkpoint,
        Progress(directory / "progress.json", steps, place),
    ]
    built = time.perf_counter()
    with contextlib.closing(checkpoint), _told(batches):
        _fit(model, batches, start.position, epochs, callbacks)
    fitted = time.perf_counter()
    said = validation.latest
    assert said  # The end of the last epoch is never saved, so that it is always reached here.
    durable.write_arrays(directory / "predictions.npz", target.packed(*said))
    result = _result(model, cache, target, history.rows, batches) | target.result(*said)
    parts = {"build": built - begun, **clock.parts(), "end": time.perf_counter() - fitted}
    for one in measuring:
        parts["diagnostics"] = one.seconds  # Most of it is in "build" and "epoch_ends" too.
    return {
        **result,
        "initial": initial,
        "starts": list(getattr(model, STARTS, ())),
        "schedule_completed": _steps_taken(model, epochs * steps) / (epochs * steps),
        "resumed_from_epoch": start.position.epochs,
        "resumed_from_step": start.position.steps,
        "seconds": round(earlier + time.perf_counter() - begun, 3),
        "seconds_by_part": {part: round(seconds, 3) for part, seconds in parts.items()},
        "peak_memory_bytes": machine.peak_memory_bytes(),
    }


def _from_before(directory: Path, model: keras.Model) -> tuple[Start, list[dict[str, Any]]]:
    """Gives a model the state that an earlier attempt has saved, if one has.

    Returns:
        From where the run goes on, and the rows of its history up to there.

    Raises:
        ValueError: the state is that of another model.
    """
    rows, whole = store.read_history(directory)
    if not whole:
        print("history.csv is damaged after row", len(rows))
    start = restore(directory / "checkpoint", model, at_most=len(rows))
    if start.position != saves.BEGINNING:
        print(f"It goes on {start.position}.")
    return start, rows[: start.position.epochs]


def _fit(
    model: keras.Model,
    batches: TrainBatches,
    position: saves.Position,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains from a position on: the rest of an epoch that is begun, then the others."""
    first = position.epochs
    if position.steps:
        others = first + 1 < epochs  # If not, this is the end of the fit.
        with kept_apart(model) if others else contextlib.nullcontext():
            _fit_epochs(model, batches, range(first, first + 1), position.steps, callbacks)
        first += 1
    if first < epochs:
        _fit_epochs(model, batches, range(first, epochs), 0, callbacks)


def _fit_epochs(
    model: keras.Model,
    batches: TrainBatches,
    epochs: range,
    first: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains some epochs, the first from one of its batches on; both are counted from 0."""
    model.fit(
        train_dataset(batches, epochs, first),
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        steps_per_epoch=batches.steps_per_epoch - first,
        verbose=0,
        shuffle=False,  # The stream has its order.
        callbacks=callbacks,
    )


@contextlib.contextmanager
def _told(batches: TrainBatches) -> Iterator[None]:
    """Raises what the user's augmentation could not do instead of what Keras makes of it."""
    try:
        yield
    except Exception:
        if batches.error:
            raise batches.error from None
        raise


def open_batches(config: Config, cache: Cache) -> tuple[TrainBatches, ValBatches]:
    """Returns the batches that a run trains and validates on.

    Raises:
        UserError: an augmentation of the user's own does not work.
    """
    size, dataset = config.recipe.batch_size, config.dataset
    own = None
    if source.is_own(dataset.augment):
        own = OwnAugmentation(dataset.augment, cache.kind, cache.meta)
    train = TrainBatches(
        cache,
        seed=config.seed,
        batch_size=size,
        augment=dataset.augment,
        normalisation=dataset.normalisation,
        tricks=Tricks.of(config.recipe, own),
        target=cache.target(dataset),
    )
    shape = cache.input_shape
    if len(shape) == 3:
        val_size = max(size, _VAL_PIXELS // math.prod(shape[:2]))
    else:
        val_size = max(size, _VAL_NUMBERS // math.prod(shape))
    return train, ValBatches(cache, batch_size=val_size, normalisation=dataset.normalisation)


def set_up(config: Config) -> None:
    """Sets seed, precision, threads and determinism for this process, once, before any model."""
    backends.current().set_up(config)
    keras.config.set_dtype_policy(config.precision)


def weights_seed(config: Config) -> int:
    """Returns the seed of a run's initial weights: the run's own, or one for another draw of them.

    Order and augmentation of the images hang on the run's own seed, whatever is drawn here.
    """
    if not config.draw:
        return config.seed
    text = f"draw {config.draw} of seed {config.seed}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def compiled_model(config: Config, cache: Cache, total_steps: int) -> keras.Model:
    """Returns the network of a run, ready to be trained for so many optimizer steps."""
    model = build(
        config.arch,
        cache.input_shape,
        len(cache.meta["classes"]),
        seed=weights_seed(config),
        vocabulary=cache.meta.get("vocabulary"),
        **config.parts,
    )
    target, outputs = cache.target(config.dataset), len(cache.meta["classes"])
    if target.is_row:
        _check_end(model, config.arch, target)
    is_row = target.is_row or Tricks.of(config.recipe).shares
    model.compile(
        build_optimizer(config.recipe, total_steps),
        build_loss(config.recipe, outputs, target),
        metrics=training_metrics(config.recipe, target),
        jit_compile=backends.current().jit_compile(),
    )
    # What Keras would otherwise make during the first step makes TensorFlow trace that step twice.
    model.optimizer.build(model.trainable_variables)
    labels = np.zeros((1, outputs) if is_row else 1)
    model.compute_metrics(None, labels, np.zeros((1, model.output_shape[-1])))
    model.reset_metrics()
    return model


def _check_end(model: keras.Model, arch: str, target: Target) -> None:
    """Raises UserError if a network puts out probabilities where none are learned."""
    if isinstance(model.outputs[0]._keras_history.operation, LogProbabilities):
        raise UserError(
            f"arch={arch} ends in a softmax; with dataset.target={target.kind} a network ends in a "
            "linear layer."
        )


def weights_digest(model: keras.Model) -> str:
    """Returns the SHA-256 of every weight's bytes, in the model's order."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight.value)).data)
    return digest.hexdigest()


def _steps_taken(model: keras.Model, planned: int) -> int:
    """Returns how many optimizer steps a model has made; without a trainable weight all are empty.

    Keras does not count those, though their batches were seen like any others.
    """
    return int(model.optimizer.iterations) if model.trainable_variables else planned


def _result(
    model: keras.Model,
    cache: Cache,
    target: Target,
    rows: list[dict[str, Any]],
    batches: TrainBatches,
) -> dict[str, Any]:
    """Returns what a trained model reached, on what, and what that took."""
    last, steps = rows[-1], _steps_taken(model, len(rows) * batches.steps_per_epoch)
    labels = {
        f"{split}_{key}": fact
        for split in SPLITS
        for key, fact in cache.meta["splits"][split].items()
        if key not in ("count", "fingerprint")
    }
    return {
        **{key: last[key] for key in target.history},
        **vars(cost.count(model)),
        "epochs": len(rows),
        "steps": steps,
        "steps_per_epoch": batches.steps_per_epoch,
        "examples_seen": steps * batches.batch_size,
        "kind": cache.kind.name,
        "train_images": cache.count("train"),
        "val_images": cache.count("val"),
        "train_fingerprint": cache.meta["splits"]["train"]["fingerprint"],
        "val_fingerprint": cache.meta["splits"]["val"]["fingerprint"],
        "order_sha256": batches.order_digest(len(rows)),
        "classes": cache.meta["classes"],
        **labels,
        "left_out": cache.left_out,
        "lost": cache.meta["lost"],
        "grouped": cache.meta.get("grouped", False),
        "shared_images": cache.meta.get("shared"),
        "weights_sha256": weights_digest(model),
        "seconds_per_epoch": statistics.median(row["seconds"] for row in rows),
    }

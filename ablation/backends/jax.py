"""Keras on JAX; nothing here or below loads TensorFlow."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import keras

from ablation.data.pipeline import Batch

PACKAGES = ("jax", "jaxlib")
JIT_COMPILE = True  # Without it every operation of every step is dispatched on its own.

_AHEAD = 2


def devices() -> list[str]:
    """Returns the names of the GPUs, or "CPU" alone."""
    found = jax.devices()
    return [device.device_kind for device in found if device.platform != "cpu"] or ["CPU"]


def set_up(config: dict[str, Any]) -> None:
    """Sets the seed; threads and determinism are in `environment`."""
    # Keras draws the seeds of layers without one from here. Its own set_random_seed would load
    # TensorFlow wherever that is installed.
    random.seed(config["seed"])


class _InOrder(keras.utils.PyDataset):
    """A stream of batches, which Keras asks for by number but always one after another."""

    def __init__(self, stream: Callable[[], Iterator[Batch]], steps: int):
        super().__init__()
        self._stream = stream
        self._steps = steps
        self._batches: Iterator[Batch] = iter(())

    @property
    def num_batches(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Batch:
        if index == 0:
            self._batches = _ahead(self._stream())
        return next(self._batches)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yields what a thread prepares a few batches ahead."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, batches, None) for _ in range(_AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, batches, None))
            yield batch


def dataset(stream: Callable[[], Iterator[Batch]], steps: int) -> keras.utils.PyDataset:
    """Returns a PyDataset; see `Backend.dataset`."""
    return _InOrder(stream, steps)

"""Keras on JAX; nothing here or below loads TensorFlow."""

import random
from collections.abc import Callable, Iterator

import jax

from ablation.backends.in_order import InOrder
from ablation.config import Config
from ablation.data.pipeline import Batch

PACKAGES = ("jax", "jaxlib")


def devices() -> list[str]:
    """Returns the names of the GPUs, or "CPU" alone."""
    found = jax.devices()
    return [device.device_kind for device in found if device.platform != "cpu"] or ["CPU"]


def jit_compile() -> bool:
    """Returns True: otherwise every operation of every step is dispatched on its own."""
    return True


def set_up(config: Config) -> None:
    """Sets the seed; threads and determinism are in `environment`."""
    # Keras draws the seeds of layers without one from here. Its own set_random_seed would load
    # TensorFlow wherever that is installed.
    random.seed(config.seed)


def begin_step(seed: int, epoch: int, step: int) -> None:
    """Does nothing: all random numbers come from the model's variables."""


def dataset(stream: Callable[[], Iterator[Batch]], steps: int) -> InOrder:
    """Returns a PyDataset; see `Backend.dataset`."""
    return InOrder(stream, steps)

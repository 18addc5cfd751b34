"""Keras on PyTorch; nothing here or below loads TensorFlow."""

import random
from collections.abc import Callable, Iterator

import numpy as np
import torch

from ablation.backends import step_seed
from ablation.backends.in_order import InOrder
from ablation.config import Config
from ablation.data.pipeline import Batch

PACKAGES = ("torch",)


def devices() -> list[str]:
    """Returns the names of the GPUs, or "CPU" alone."""
    if torch.backends.mps.is_available():
        return ["Apple GPU"]  # Keras takes it, and it has no name of its own.
    gpus = range(torch.cuda.device_count())
    return [torch.cuda.get_device_name(gpu) for gpu in gpus] or ["CPU"]


def jit_compile() -> bool:
    """Returns False: torch.compile needs a C++ compiler, and minutes for a deep network."""
    return False


def set_up(config: Config) -> None:
    """Sets threads, seed and determinism; see `Backend.set_up`."""
    if config.threads:
        torch.set_num_threads(config.threads)
    _seed(config.seed)
    if config.deterministic:
        torch.use_deterministic_algorithms(True)
        # It would write NaN over all memory that an operation is about to fill.
        torch.utils.deterministic.fill_uninitialized_memory = False


def begin_step(seed: int, epoch: int, step: int) -> None:
    """Seeds what modules draw from, such as `torch.nn.Dropout`; see `Backend.begin_step`."""
    number = step_seed.of_step(seed, epoch, step)
    _seed(number)
    step_seed.seed_keras(number)


def dataset(stream: Callable[[], Iterator[Batch]], steps: int) -> InOrder:
    """Returns a PyDataset; see `Backend.dataset`."""
    return InOrder(stream, steps)


def _seed(seed: int) -> None:
    # Keras's own set_random_seed would load TensorFlow wherever that is installed.
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)

"""Where Keras's backends differ.

Few other parts of the program ask which one they run on: the kernels of batch normalisation
(`networks.layers`) and of the optimizers, the gradients of `training.diagnostics`, a user's own
network of PyTorch or JAX (`networks.own`, `networks.torch_module`), and the environment of a child.

The modules beside this file offer what `Backend` lists. They load their framework, so they are
for a child process; this file is readable without any.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from ablation.config import Config
from ablation.data.pipeline import Batch


class Backend(Protocol):
    """What each module of this package offers.

    Attributes:
        PACKAGES: whose versions belong to a result.
    """

    PACKAGES: tuple[str, ...]

    def devices(self) -> list[str]:
        """Returns the names of the GPUs, or "CPU" alone."""

    def jit_compile(self) -> bool:
        """Returns whether a step is to be compiled as a whole on this machine."""

    def set_up(self, config: Config) -> None:
        """Sets seed, threads and determinism for this process, before any model."""

    def begin_step(self, seed: int, epoch: int, step: int) -> None:
        """Seeds what a training step draws from beside the model's own variables.

        So a step draws the same numbers whether the run was stopped before it or not.

        Args:
            seed: of the run.
            epoch: from 0.
            step: of the epoch, from 0.
        """

    def dataset(self, stream: Callable[[], Iterator[Batch]], steps: int) -> Any:
        """Returns batches as `Model.fit` takes them, prepared while the step before is computed.

        Args:
            stream: starts the batches from the first, all of one size.
            steps: how many there are.
        """


def current() -> Backend:
    """Returns the backend that Keras has in this process."""
    import keras  # Loads its backend, which the parent process never does.

    return cast(Backend, importlib.import_module(f"{__name__}.{keras.config.backend()}"))

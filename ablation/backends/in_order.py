"""Batches for backends that take them from a PyDataset."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras

from ablation.data.pipeline import Batch

_AHEAD = 2


class InOrder(keras.utils.PyDataset):
    """A stream of batches, which Keras asks for by number but always one after another.

    Args:
        stream: starts the batches from the first.
        steps: how many there are.
    """

    def __init__(self, stream: Callable[[], Iterator[Batch]], steps: int):
        super().__init__()
        self._stream = stream
        self._steps = steps
        self._batches: Iterator[Batch] = iter(())

    @property
    def num_batches(self) -> int:
        """How many there are."""
        return self._steps

    def __getitem__(self, index: int) -> Batch:
        if index == 0:
            self._batches = ahead(self._stream())
        return next(self._batches)


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yields what a thread prepares a few batches ahead.

    Who leaves off before the end does not wait for the thread. It may be the collector of garbage,
    in the middle of whatever holds a lock that the thread still needs.
    """
    pool = ThreadPoolExecutor(1)
    try:
        coming = deque(pool.submit(next, batches, None) for _ in range(_AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, batches, None))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)

"""The batches of a run in the form that Keras's backend takes fastest."""

from collections.abc import Iterator
from typing import Any

from ablation import backends
from ablation.data.pipeline import Batch, TrainBatches


def train_dataset(batches: TrainBatches, epochs: range, first: int = 0) -> Any:
    """Returns one stream of all the batches of the given epochs, in order, for `Model.fit`.

    Args:
        batches: of the run.
        epochs: from 0, at least one.
        first: batch of the first epoch, from 0.
    """

    def stream() -> Iterator[Batch]:
        for epoch in epochs:
            yield from batches.epoch(epoch, first if epoch == epochs[0] else 0)

    return backends.current().dataset(stream, len(epochs) * batches.steps_per_epoch - first)

"""Hands batches to Keras in the form that its TensorFlow backend takes fastest."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from ablation.data.pipeline import Batch, TrainBatches, ValBatches


def train_dataset(batches: TrainBatches, epochs: range) -> tf.data.Dataset:
    """Returns one stream of all the batches of the given epochs, in order."""

    def stream() -> Iterator[Batch]:
        for epoch in epochs:
            yield from batches.epoch(epoch)

    return _dataset(stream, next(batches.epoch(0)))


def val_dataset(batches: ValBatches) -> tf.data.Dataset:
    """Returns the validation batches, once; the last may be smaller."""
    return _dataset(lambda: iter(batches), next(iter(batches)))


def _dataset(stream: Callable[[], Iterator[Batch]], example: Batch) -> tf.data.Dataset:
    signature = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in example)
    dataset = tf.data.Dataset.from_generator(stream, output_signature=signature).prefetch(2)
    options = tf.data.Options()
    # With autotuning on, the end of an epoch can wait seconds for its thread to wake up.
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)

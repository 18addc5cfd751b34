"""Keras on TensorFlow."""

from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from ablation.backends import step_seed
from ablation.config import Config
from ablation.data.pipeline import Batch

PACKAGES = ("tensorflow",)


def devices() -> list[str]:
    """Returns the names of the GPUs, or "CPU" alone."""
    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in gpus] or [
        "CPU"
    ]


def jit_compile() -> bool:
    """Returns whether there is a GPU: on a processor XLA is several times slower than without.

    With deterministic operations Keras leaves XLA out in any case.
    """
    return bool(tf.config.list_physical_devices("GPU"))


def set_up(config: Config) -> None:
    """Sets threads, seed and determinism; see `Backend.set_up`."""
    threads = config.threads
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(config.seed)
    if not tf.config.list_physical_devices("GPU"):
        # It takes a tenth of the time that a run takes to start, and makes no step here faster. On
        # a GPU it chooses the layout of images.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def begin_step(seed: int, epoch: int, step: int) -> None:
    """Seeds `keras.random`; layers with generators of their own draw from the model's variables."""
    step_seed.seed_keras(step_seed.of_step(seed, epoch, step))


def dataset(stream: Callable[[], Iterator[Batch]], steps: int) -> tf.data.Dataset:
    """Returns a tf.data.Dataset, which needs no `steps`; see `Backend.dataset`."""
    signature = tuple(tf.TensorSpec(part.shape, part.dtype) for part in next(stream()))
    batches = tf.data.Dataset.from_generator(stream, output_signature=signature).prefetch(2)
    options = tf.data.Options()
    # With autotuning on, the end of an epoch can wait seconds for its thread to wake up.
    options.autotune.enabled = False
    options.deterministic = True
    return batches.with_options(options)

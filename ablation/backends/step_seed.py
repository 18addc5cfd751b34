"""What seeds a training step by itself, on the backends whose steps draw from outside the model."""

import random

import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator


def of_step(seed: int, epoch: int, step: int) -> int:
    """Returns a seed of 32 bits for a step; see `Backend.begin_step`."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1)[0])


def seed_keras(number: int) -> None:
    """Seeds what `keras.random` draws from where it is given no seed.

    Keras makes that generator when it is first needed, maybe in this step, and seeds it from
    Python's. So it starts alike whether it is there or not, and costs nothing unless it is used.
    """
    random.seed(number)
    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    if generator is not None:
        generator.state.assign(np.array([seed_generator.make_default_seed(), 0]))

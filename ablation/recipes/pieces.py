"""A learning rate that is made of lines or of half cosines."""

import math
from collections.abc import Sequence

import keras
from keras import ops


@keras.saving.register_keras_serializable("ablation")
class Pieces(keras.optimizers.schedules.LearningRateSchedule):
    """Goes from one rate to the next, and stays at the last.

    Args:
        steps: at which each rate is reached, ascending; the first is 0.
        rates: as many.
        cosine: go along half cosines, not along straight lines.
    """

    def __init__(self, steps: Sequence[int], rates: Sequence[float], cosine: bool = False):
        super().__init__()
        self.steps, self.rates, self.cosine = list(steps), list(rates), cosine

    def __call__(self, step):
        """Returns the rate of a step, float32."""
        step = ops.cast(step, "float32")
        rate = ops.cast(self.rates[0], "float32")
        pieces = zip(self.steps, self.steps[1:], self.rates, self.rates[1:], strict=False)
        for start, end, first, last in pieces:
            if start == end:
                continue  # Such as what a warm-up of all steps leaves.
            share = ops.clip((step - start) / (end - start), 0.0, 1.0)
            if self.cosine:
                share = (1 - ops.cos(math.pi * share)) / 2
            rate = ops.where(step >= start, first * (1 - share) + last * share, rate)
        return rate

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "rates": self.rates, "cosine": self.cosine}

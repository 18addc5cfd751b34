"""The optimizer and the learning-rate schedule that a recipe describes."""

import keras
from keras.optimizers import schedules

from ablation.config import RecipeConfig


@keras.saving.register_keras_serializable("ablation")
class SGD(keras.optimizers.SGD):
    """SGD whose weight decay is the gradient of an L2 penalty, as in He15 §3.4.

    Keras's own `weight_decay` shrinks the weights beside the momentum, which with momentum 0.9
    decays about ten times less than the papers mean. Like their Caffe and Torch code this one
    decays every trainable weight, and clips gradients before the decay joins them.

    Args:
        l2: the papers' weight decay, 0 or more, such as 1e-4.
    """

    def __init__(self, *args, l2: float = 0.0, name: str = "SGD", **kwargs):
        super().__init__(*args, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        """Adds the penalty's gradient and steps."""
        if self.l2:
            gradient = gradient + self.l2 * keras.ops.cast(variable, gradient.dtype)
        if keras.backend.backend() != "tensorflow" or self.nesterov:
            super().update_step(gradient, variable, learning_rate)
            return
        # One pass over the weights, where Keras's operations make five; the same numbers.
        import tensorflow as tf  # Only this backend has the kernels.

        weights = _resource(variable)
        rate = tf.cast(learning_rate, gradient.dtype)
        if not self.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=weights, alpha=rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=weights,
            accum=_resource(self.momentums[self._get_variable_index(variable)]),
            lr=rate,
            grad=gradient,
            momentum=tf.cast(self.momentum, gradient.dtype),
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "l2": self.l2}


@keras.saving.register_keras_serializable("ablation")
class Adam(keras.optimizers.Adam):
    """Keras's Adam, on TensorFlow in one pass over the weights."""

    def update_step(self, gradient, variable, learning_rate):
        """Updates both moments and steps."""
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf  # Only this backend has the kernel.

        index = self._get_variable_index(variable)
        dtype = gradient.dtype
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_resource(variable),
            m=_resource(self._momentums[index]),
            v=_resource(self._velocities[index]),
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(self.epsilon, dtype),
            grad=gradient,
        )


def _resource(variable):
    """Returns what TensorFlow's kernels update in place, of its own variable or Keras's."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def build_optimizer(recipe: RecipeConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a run.

    Weight decay is an L2 penalty with SGD, and with Adam what Keras does, the decay beside the
    moments that is also called AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, Algorithm 2).

    Args:
        recipe: the `recipe` part of the configuration.
        total_steps: optimizer steps of the whole run.
    """
    rate = build_schedule(recipe, total_steps)
    if recipe.optimizer == "adam":
        return Adam(rate, weight_decay=recipe.weight_decay or None, clipnorm=recipe.clipnorm)
    return SGD(
        rate,
        momentum=recipe.momentum,
        l2=recipe.weight_decay,
        clipnorm=recipe.clipnorm,
    )


def build_schedule(
    recipe: RecipeConfig, total_steps: int
) -> float | schedules.LearningRateSchedule:
    """Builds the learning rate over a run's steps.

    "cosine" climbs in a straight line from `warmup_learning_rate` to `learning_rate` over
    `warmup_fraction` of the steps, then falls to 0 along a half cosine that ends with the run.
    "step" holds `warmup_learning_rate` over that fraction, then `learning_rate`, multiplied by
    `milestone_factor` at each of `milestones`, which are fractions of the run too.
    "constant" is `learning_rate` throughout.

    Args:
        recipe: the `recipe` part of the configuration.
        total_steps: optimizer steps of the whole run.
    """
    rate = recipe.learning_rate
    warmup_steps = round(recipe.warmup_fraction * total_steps)
    match recipe.schedule:
        case "constant":
            return rate
        case "cosine":
            return schedules.CosineDecay(
                recipe.warmup_learning_rate if warmup_steps else rate,
                decay_steps=max(1, total_steps - warmup_steps),
                warmup_target=rate if warmup_steps else None,
                warmup_steps=warmup_steps,
            )
        case "step":
            starts = [round(stone * total_steps) for stone in recipe.milestones]
            values = [rate * recipe.milestone_factor**i for i in range(len(starts) + 1)]
            if warmup_steps:
                starts, values = [warmup_steps, *starts], [recipe.warmup_learning_rate, *values]
            # Keras holds a value up to and including its boundary.
            return schedules.PiecewiseConstantDecay([start - 1 for start in starts], values)
    raise ValueError(f"Unknown schedule. Received: {recipe.schedule}")

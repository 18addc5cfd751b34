"""The optimizer that a recipe describes."""

import functools
from typing import Any

import keras
from keras import ops

from ablation.config import RecipeConfig, UserError, first_line
from ablation.recipes import optimizers
from ablation.recipes.schedules import SCHEDULES


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
            gradient = gradient + self.l2 * ops.cast(variable, gradient.dtype)
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


@keras.saving.register_keras_serializable("ablation")
class ScheduleFreeAdamW(keras.optimizers.ScheduleFreeAdamW):
    """Defazio et al. 2024, arXiv 2405.15682, Algorithm 1, with Adam's second moment.

    Keras 3.15 reads the earlier z after it has changed it, on TensorFlow and PyTorch, whose
    variables change in place; so its average there is of other points than on JAX.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Steps z, adds it to the average x, and goes to y between the two."""
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        beta_1, beta_2 = ops.cast(self.beta_1, dtype), ops.cast(self.beta_2, dtype)
        count = ops.cast(self.iterations + 1, dtype)
        if self.warmup_steps:
            rate *= ops.minimum(count / self.warmup_steps, 1.0)
        index = self._get_variable_index(variable)
        z, velocity = self._momentums[index], self._velocities[index]
        x = (variable - (1 - beta_1) * z) / beta_1
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - beta_2))
        spread = ops.sqrt(velocity / (1 - ops.power(beta_2, count))) + self.epsilon
        self.assign_sub(z, rate * gradient / spread)
        x += (z - x) / count
        self.assign(variable, (1 - beta_1) * z + beta_1 * x)


def _resource(variable):
    """Returns what TensorFlow's kernels update in place, of its own variable or Keras's."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def _kind(name: str) -> type[keras.optimizers.Optimizer]:
    """Returns the class of an optimizer, the fastest that the backend has.

    With weight decay Keras's Adam is its AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101,
    Algorithm 2.
    """
    backend = keras.backend.backend()
    if name == "sgd":
        return _sgd_of_torch() if backend == "torch" else SGD
    if name in ("adam", "adamw"):
        # PyTorch steps all weights at once in Keras's own class, and in no class made of it.
        return keras.optimizers.Adam if backend == "torch" else Adam
    if name == "schedulefreeadamw":
        return ScheduleFreeAdamW
    return getattr(keras.optimizers, optimizers.class_name(name))


@functools.cache
def _summing(kind: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Returns an optimizer that adds up what TensorFlow leaves apart in a gradient.

    An embedding's gradient has an entry there for each token, so that one that occurs twice has
    two. Keras would square and clip them one by one, where JAX and PyTorch have their sum.
    """
    import tensorflow as tf  # Only this backend has such gradients.

    def apply(self, grads, trainable_variables=None):
        apart = (tf.IndexedSlices,)
        summed = [tf.convert_to_tensor(one) if isinstance(one, apart) else one for one in grads]
        return kind.apply(self, summed, trainable_variables)

    summing = type(kind.__name__, (kind,), {"apply": apply})
    return keras.saving.register_keras_serializable("ablation", name=kind.__name__)(summing)


@functools.cache
def _sgd_of_torch() -> type[SGD]:
    """Returns `SGD` that steps all weights at once, as Keras's own does on PyTorch."""
    at_once = type(keras.optimizers.SGD())
    if not hasattr(at_once, "_parallel_update_step"):  # It is no promise of Keras's.
        return SGD
    import torch  # Only this backend has it.

    @keras.saving.register_keras_serializable("ablation", name="SGD")
    class AtOnce(SGD, at_once):  # type: ignore[misc, valid-type]
        def _parallel_update_step(self, grads, variables, learning_rate):
            if self.l2:
                weights = [variable.value for variable in variables]
                grads = torch._foreach_add(grads, weights, alpha=self.l2)
            super()._parallel_update_step(grads, variables, learning_rate)

    return AtOnce


def build_optimizer(recipe: RecipeConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a run.

    Weight decay is an L2 penalty with sgd, see `SGD`, and with every other what Keras does: before
    each step every trainable weight loses rate · decay of itself.

    Args:
        recipe: the `recipe` part of the configuration.
        total_steps: optimizer steps of the whole run.

    Raises:
        UserError: Keras refuses an option.
    """
    name = recipe.optimizer
    arguments: dict[str, Any] = {
        "learning_rate": SCHEDULES[recipe.schedule].build(recipe, total_steps),
        "clipnorm": recipe.clipnorm,
        "clipvalue": recipe.clipvalue,
        "global_clipnorm": recipe.global_clipnorm,
        "use_ema": bool(recipe.ema),
        **({"ema_momentum": recipe.ema} if recipe.ema else {}),
        **{key: of for key, of in recipe.options.items() if key in optimizers.options(name)},
    }
    if name == "sgd":
        arguments |= {"momentum": recipe.momentum, "l2": recipe.weight_decay}
    else:
        arguments |= dict.fromkeys(optimizers.decays(name), recipe.weight_decay or None)
    kind = _kind(name)
    if keras.backend.backend() == "tensorflow":
        kind = _summing(kind)  # type: ignore[arg-type]
    try:
        return kind(**arguments)
    except (ValueError, TypeError) as error:
        raise UserError(f"recipe.optimizer={name}: {first_line(error)}") from None

"""A `torch.nn.Module` as a Keras model that trains, stops and goes on like any other."""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch


def wrap(
    module: torch.nn.Module, input_shape: tuple[int, ...], classes: int, dtype: str = "float32"
) -> keras.Model:
    """Returns a functional model around a module; Keras's backend must be PyTorch.

    Args:
        module: from float images (batch, channels, height, width), signals (batch, channels, time)
            or what has one axis (batch, numbers) to logits (batch, classes); one with the attribute
            `channels_last = True` gets the channels last.
        input_shape: of one input; of an image height, width and channels, in pixels.
        classes: number of logits.
        dtype: of the inputs.

    Returns:
        The model, inputs (batch, *input_shape) to float32 logits.

    Raises:
        ValueError: Keras has another backend, or the module puts out another shape.

    Example:
        >>> wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)), (8, 8, 1), 10)
    """
    if keras.config.backend() != "torch":
        raise ValueError(
            f"A torch.nn.Module needs backend=torch. Received: {keras.config.backend()}"
        )
    _check(module, input_shape, classes, getattr(torch, dtype))
    images = keras.Input(input_shape, dtype=dtype)
    logits = TorchModule(module, output_shape=(None, classes), name="module")(images)
    return keras.Model(images, logits, name=type(module).__name__)


def _check(
    module: torch.nn.Module, input_shape: tuple[int, ...], classes: int, dtype: torch.dtype
) -> None:
    """Runs a module once, which also gives a lazy one its parameters."""
    module.eval()
    images = torch.zeros(2, *input_shape, dtype=dtype)
    with torch.no_grad():
        _check_logits(module, module(_arranged(module, images)), classes)
        logits = _in_training(module, images)
    if logits is not None:
        _check_logits(module, logits, classes, " in training")


def _check_logits(module: torch.nn.Module, logits: Any, classes: int, when: str = "") -> None:
    received = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if received != (2, classes):
        raise ValueError(
            f"{type(module).__name__} must put out logits of shape (batch, {classes}){when}. "
            f"Received: {received} for 2 inputs"
        )


def _in_training(module: torch.nn.Module, images: torch.Tensor) -> Any:
    """Returns what a module puts out in training, None if a copy of it cannot tell.

    An auxiliary head, for one, is an output in training alone. The module stays as it is, and so
    do the random states, from which its training begins.
    """
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            copied = copy.deepcopy(module).train()
            return copied(_arranged(copied, images))
    except Exception:  # Not every module can be copied, and training tells what else is wrong.
        return None
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def _arranged(module: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Returns inputs (batch, ..., channels) in the order that a module wants."""
    if getattr(module, "channels_last", False) or images.ndim == 2:
        return images
    # In memory too, because modules flatten with `view`, which needs it. `contiguous` would leave a
    # single channel as it is, with strides that make convolutions put out the other order.
    return images.movedim(-1, 1).clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class _Buffer:
    """A tensor that a module keeps beside its parameters, and Keras's variable over its memory."""

    owner: torch.nn.Module
    name: str
    variable: keras.Variable

    @property
    def is_weight(self) -> bool:
        """Whether it counts as a parameter, as running statistics do; a counter does not."""
        kept = self.name not in self.owner._non_persistent_buffers_set
        return kept and self.variable.value.is_floating_point()

    def take_over(self) -> None:
        """Brings the variable up to date if the module has replaced the tensor.

        Raises:
            ValueError: by one of another shape, which no checkpoint could hold.
        """
        now, then = getattr(self.owner, self.name), self.variable.value
        if now.shape != then.shape:
            raise ValueError(
                f"{type(self.owner).__name__} replaced its buffer {self.name} by one of another "
                "shape, which a checkpoint cannot hold; register it in the shape that it keeps. "
                f"Received: {tuple(now.shape)} for {tuple(then.shape)}"
            )
        if now.data_ptr() != then.data_ptr():
            then.copy_(now)
            setattr(self.owner, self.name, then.data)


class TorchModule(keras.layers.TorchModuleWrapper):
    """Keras's wrapper, whose variables include what a module keeps in buffers.

    Keras tracks parameters only, so that a checkpoint of its variables would lose the running
    statistics of batch normalisation. Mixed precision is PyTorch's autocast, because the wrapper
    would hand bfloat16 images to float32 parameters.

    Args:
        module: the module; its parameters exist.
        output_shape: with None for the batch.
    """

    def __init__(self, module: torch.nn.Module, **kwargs):
        precision = keras.config.dtype_policy().compute_dtype
        super().__init__(module, dtype="float32", **kwargs)
        self._autocast_to = None if precision == "float32" else getattr(torch, precision)
        self._buffers_of_module = list(_buffers(self.module))
        for buffer in self._buffers_of_module:
            if buffer.is_weight:
                self._track_variable(buffer.variable)

    @property
    def variables(self) -> list[keras.Variable]:
        """All state, counters too, which are no weights."""
        buffers = getattr(self, "_buffers_of_module", [])
        return [*super().variables, *(each.variable for each in buffers if not each.is_weight)]

    def call(self, images: torch.Tensor, training: bool | None = None) -> torch.Tensor:
        """Maps (batch, height, width, channels) to float32 logits."""
        self.module.train(bool(training))
        device = images.device.type
        with torch.autocast(device, self._autocast_to, enabled=self._autocast_to is not None):
            logits = self.module(_arranged(self.module, images))
        with torch.no_grad():
            for buffer in self._buffers_of_module:
                buffer.take_over()
        return logits.float()


def own_variables(
    wrapper: keras.layers.TorchModuleWrapper,
) -> list[tuple[str, torch.nn.Module, dict[str, keras.Variable]]]:
    """Returns the modules inside a wrapper that have variables of their own, in their order.

    Returns:
        Of each the path, "" of the outermost, the module, and Keras's variables of its parameters
        and of what it keeps in buffers, by its own names; what several modules use is the first
        one's.
    """
    tracked = {id(one.value): one for one in wrapper.variables}
    buffers = getattr(wrapper, "_buffers_of_module", [])
    found = []
    for path, module in wrapper.module.named_modules():
        named = module.named_parameters(recurse=False)
        own = {name: tracked.pop(id(one), None) for name, one in named}
        own |= {one.name: one.variable for one in buffers if one.owner is module and one.is_weight}
        if variables := {name: one for name, one in own.items() if one is not None}:
            found.append((path, module, variables))
    return found


def _buffers(module: torch.nn.Module) -> Iterator[_Buffer]:
    seen: set[int] = set()
    for owner in module.modules():
        for name, tensor in owner.named_buffers(recurse=False):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield _Buffer(owner, name, _variable(tensor))


def _variable(tensor: Any) -> keras.Variable:
    """Returns a variable over the same memory, which Keras reuses of a Parameter only."""
    parameter = torch.nn.Parameter(tensor, requires_grad=False)
    return keras.Variable(parameter, dtype=str(tensor.dtype).split(".")[1], trainable=False)

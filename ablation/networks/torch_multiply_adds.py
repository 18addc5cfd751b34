"""Multiply-adds of a `torch.nn.Module`, counted while it computes one example.

PyTorch's FlopCounterMode counts the operations that a module ends in, two for each multiply-add,
whether a layer or the module's own code calls them. Here are the rest: recurrent layers, which run
as one operation on some processors, and the names of what it does not know.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_UNKNOWN = {
    f"aten::{name}"
    for name in ("mv", "addmv", "dot", "vdot", "addr", "_trilinear", "_cdist_forward", "conv_tbc")
}
"""Operations of PyTorch's own that multiply weights or values and that nobody counts."""

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(frozen=True)
class Counts:
    """What a module was seen to compute for one example.

    Attributes:
        by_path: multiply-adds by the path of the module that they belong to, none inside it; "" is
            the whole one.
        outputs: the shape of the last output by path, of one example and as PyTorch orders it,
            where that is one tensor.
        uncounted: the class of each module that computes what cannot be counted, by path.
    """

    by_path: dict[str, int]
    outputs: dict[str, tuple[int, ...]]
    uncounted: dict[str, str]

    @property
    def total(self) -> int:
        """Multiply-adds of the whole module."""
        return sum(self.by_path.values())


def count_module(module: nn.Module, run: Callable[[], Any]) -> Counts:
    """Counts a module.

    Args:
        module: the module.
        run: lets it compute one example.
    """
    counter = _Counter(module)
    with counter.watching(), torch.no_grad():
        run()
    return Counts(counter.by_path, counter.outputs, counter.uncounted)


class _Counter:
    """Counts what happens while it watches.

    Args:
        module: the module.

    Attributes:
        by_path, outputs, uncounted: see `Counts`.
    """

    def __init__(self, module: nn.Module):
        self._module = module
        self.by_path: dict[str, int] = {}
        self.outputs: dict[str, tuple[int, ...]] = {}
        self.uncounted: dict[str, str] = {}
        self._flops = FlopCounterMode(display=False)
        self._recurrent = 0  # Multiply-adds to add to the flops that were counted.
        self._attributed = 0
        # What computes, and the multiply-adds before it; a wrapper's own belongs to the module.
        self._stack: list[tuple[str, nn.Module, int]] = [("", module, 0)]

    @property
    def _total(self) -> int:
        """Multiply-adds so far."""
        return self._flops.get_total_flops() // 2 + self._recurrent

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Lets every operation of the module pass through this counter."""
        with contextlib.ExitStack() as stack:
            for name, part in self._module.named_modules():
                for hook in (
                    part.register_forward_pre_hook(self._entering(name)),
                    part.register_forward_hook(self._left),
                ):
                    stack.callback(hook.remove)
            # Attention as the products that it is made of.
            fast = torch.backends.mha.get_fastpath_enabled()
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
            torch.backends.mha.set_fastpath_enabled(False)
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(_Operations(self._note))  # It sees what the other one makes of it.
            stack.enter_context(self._flops)
            yield
            self._attribute()

    def _attribute(self) -> None:
        """Gives what has been computed since the last time to the module that computes now."""
        path, total = self._stack[-1][0], self._total
        self.by_path[path] = self.by_path.get(path, 0) + total - self._attributed
        self._attributed = total

    def _entering(self, name: str) -> Callable:
        def hook(module: nn.Module, inputs: Any) -> None:
            self._attribute()
            self._stack.append((name, module, self._total))

        return hook

    def _left(self, module: nn.Module, inputs: Any, output: Any) -> None:
        path, _, before = self._stack[-1]
        if isinstance(module, _RECURRENT):
            self._recurrent += before + _recurrent(module, inputs[0]) - self._total
        self._attribute()
        self._stack.pop()
        if isinstance(output, torch.Tensor):
            self.outputs[path] = tuple(output.shape[1:])

    def _note(self, operation: Any) -> None:
        name, module, _ = self._stack[-1]
        known = operation.namespace in ("aten", "prim", "prims")
        if isinstance(module, _RECURRENT) or (known and operation._schema.name not in _UNKNOWN):
            return
        self.uncounted[name] = type(module).__name__


class _Operations(TorchDispatchMode):
    """Tells each operation that is computed."""

    def __init__(self, note: Callable[[Any], None]):
        super().__init__()
        self._note = note

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self._note(func)
        return func(*args, **(kwargs or {}))


def _recurrent(module: nn.RNNBase | nn.RNNCellBase, inputs: Any) -> int:
    """Each of a recurrent layer's matrices meets every step of every sequence."""
    steps = getattr(inputs, "data", inputs).numel() // module.input_size  # It may be packed.
    matrices = [each for name, each in module.named_parameters() if name.startswith("weight")]
    return steps * sum(matrix.numel() for matrix in matrices)

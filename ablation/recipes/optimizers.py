"""The optimizers that Keras has, read off its source, so that the parent need not load it.

An optimizer that a later Keras brings is there without a line of code.
"""

import ast
import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablation.config import UserError

OF_RECIPE = (
    "learning_rate",
    "clipnorm",
    "clipvalue",
    "global_clipnorm",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)
"""Arguments of every optimizer that keys of the recipe set, or that would change what a step is."""

_WITHOUT_EFFECT = ("relative_step",)
"""Arguments that Keras takes and does not heed: Adafactor's step is never longer than 1/√step."""

DECAY = "weight_decay"
"""What the names of those arguments end in that `recipe.weight_decay` sets."""


@dataclass(frozen=True)
class _Defined:
    """Where an optimizer is defined.

    Attributes:
        name: of its class in `keras.optimizers`.
        path: of the file.
    """

    name: str
    path: Path


def class_name(optimizer: str) -> str:
    """Returns what `keras.optimizers` calls an optimizer."""
    return _defined()[optimizer].name


@functools.cache
def names() -> tuple[str, ...]:
    """Returns the optimizers by the names that a command gives them, such as "adamw"."""
    return tuple(name for name in _defined() if "learning_rate" in _arguments(name))


def options(optimizer: str) -> Mapping[str, bool | int | float]:
    """Returns the options of an optimizer with Keras's defaults.

    They are the arguments of its own that are switches or numbers; `recipe.momentum` is the
    momentum of sgd and of no other, since the usual value of each is its own.
    """
    own = {"momentum"} if optimizer == "sgd" else set()
    return {
        name: default
        for name, default in _arguments(optimizer).items()
        if name not in {*OF_RECIPE, *own, *_WITHOUT_EFFECT}
        and not name.endswith(DECAY)
        and isinstance(default, bool | int | float)
    }


def decays(optimizer: str) -> tuple[str, ...]:
    """Returns the arguments of an optimizer that are weight decays."""
    return tuple(name for name in _arguments(optimizer) if name.endswith(DECAY))


@functools.cache
def _defined() -> dict[str, _Defined]:
    """Returns the public optimizer classes by their names in small letters."""
    spec = importlib.util.find_spec("keras")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("Keras is not installed: pip install keras.")
    root = Path(spec.submodule_search_locations[0])
    tree = ast.parse((root / "optimizers" / "__init__.py").read_text("utf-8"))
    return {
        name.name.lower(): _Defined(name.name, root.parent / f"{node.module.replace('.', '/')}.py")
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src.optim")
        for name in node.names
        if node.module and name.name[0].isupper()
    }


@functools.cache
def _arguments(optimizer: str) -> dict[str, object]:
    """Returns the arguments of an optimizer's constructor and their defaults, None for others."""
    defined = _defined()[optimizer]
    tree = ast.parse(defined.path.read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == defined.name:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    return _with_defaults(method.args)
    return {}


def _with_defaults(arguments: ast.arguments) -> dict[str, object]:
    named = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [*zip(named, arguments.defaults, strict=True)]
    pairs += [
        (one, default)
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default
    ]
    found: dict[str, object] = {}
    for one, default in pairs:
        try:
            found[one.arg] = ast.literal_eval(default)
        except ValueError:
            found[one.arg] = None
    return found

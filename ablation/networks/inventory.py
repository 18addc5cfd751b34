"""Which layers with weights of their own a network has, and where each stands in its graph.

Keras is loaded by the functions that need it; see `ablation.networks.pairing`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_STEPS = 3
"""How far the surroundings reach that tell apart layers of the same kind."""

_NOT_KIND = ("name", "seed", "dtype", "trainable", "build_config")


@dataclass(eq=False)
class Entry:
    """A layer with variables of its own, as it stands in a network.

    Attributes:
        layer: the layer, of Keras or of PyTorch.
        title: what a reader knows it by.
        name: the name that its author gave it, None if it is Keras's.
        core: what its initial values are drawn from: class, initializers and shapes of kernels.
        features: what tells apart layers of one core: its configuration, what it is in, what comes
            behind it, nearest first, and what before.
        variables: those of its own, not of layers inside it.
        called: what a reader knows each variable by.
    """

    layer: Any
    title: str
    name: str | None
    core: str
    features: tuple[str, ...]
    variables: list[Any]
    called: tuple[str, ...]


@dataclass
class _Graph:
    """What is inside a model or composite layer: operations in order, and who feeds whom."""

    operations: list[Any]
    before: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))


def entries_of(model: keras.Model) -> list[Entry]:
    """Returns the layers with variables of their own, each once."""
    found, seen = [], {id(model)}
    waiting = [_inside(model)]
    while waiting:
        layer, surroundings = next(waiting[-1], (None, ()))
        if layer is None:
            waiting.pop()
        elif id(layer) not in seen:
            seen.add(id(layer))
            if _wraps_module(layer):
                found += _of_module(layer)
            elif variables := variables_of(layer):
                name, features = _own_name(layer), (_kind(layer), *surroundings)
                found.append(_of_keras(layer, name, features, variables))
            waiting.append(_inside(layer))
    if own := variables_of(model):
        features = ("",) * (2 * _STEPS + 2)
        found.append(_of_keras(model, None, features, own))
    return found


def _wraps_module(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.TorchModuleWrapper)


def _of_keras(
    layer: Any, name: str | None, features: tuple[str, ...], variables: list[Any]
) -> Entry:
    called = tuple(f"{layer.name} {one.name}" for one in variables)
    return Entry(layer, layer.name, name, _core(layer), features, variables, called)


def _word(path: str) -> str:
    """Returns the last name in the path of a module, "" if that is a number."""
    last = path.rpartition(".")[2]
    return "" if last.isdigit() else last


def _of_module(wrapper: Any) -> list[Entry]:
    """Returns the layers inside a module of PyTorch that have variables of their own.

    They come in the order in which the module has them. Their author named those whose path has no
    number in it, which would shift with what stands before.
    """
    from ablation.networks.torch_module import own_variables

    inside = own_variables(wrapper)
    labels = [
        f"{_word(path) or type(one).__name__} {_shapes([*variables.values()])}"
        for path, one, variables in inside
    ]
    edge, found = [""] * _STEPS, []
    for place, (path, one, by_name) in enumerate(inside):
        own = [*by_name.values()]
        after, before = labels[place + 1 :] + edge, labels[:place][::-1] + edge
        owner = type(wrapper.module.get_submodule(path.rpartition(".")[0])).__name__
        core = f"{_class(one)} {_shapes(own)}"
        features = f"{core} {one.extra_repr()}", owner, *after[:_STEPS], *before[:_STEPS]
        name = None if any(map(str.isdigit, path.split("."))) else path or None
        title = path if _word(path) else f"{path} ({type(one).__name__})".lstrip()
        called = tuple(f"{path}.{each}".lstrip(".") for each in by_name)
        found.append(Entry(one, title, name, core, features, own, called))
    return found


def _inside(owner: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yields the operations directly inside a model or layer, and what stands around each."""
    if not getattr(owner, "_layers", None):
        return
    graph = _graph(owner)
    labels = {
        id(operation): _label(operation)
        for operation in graph.operations
        if variables_of(operation) or len(graph.before[id(operation)]) < 2
    }
    for operation in graph.operations:
        around = [_around(operation, edges, labels) for edges in (graph.after, graph.before)]
        yield operation, (type(owner).__name__, *around[0], *around[1])


def _graph(owner: Any) -> _Graph:
    """Returns what is inside a functional model, or else its layers one behind another."""
    outputs: Any = getattr(owner, "outputs", None)
    functional = isinstance(outputs, list) and all(map(_node, outputs))
    graph = _traced(outputs, owner.inputs) if functional else _Graph([])
    there = set(map(id, graph.operations))
    others = [layer for layer in owner._layers if id(layer) not in there]
    for first, second in itertools.pairwise(others):
        graph.after[id(first)].append(second)
        graph.before[id(second)].append(first)
    graph.operations += others
    return graph


def _traced(outputs: Sequence[Any], inputs: Sequence[Any]) -> _Graph:
    """Follows a functional model from its outputs to its inputs.

    A branch comes as a whole, in the order in which the operation behind it takes its inputs. By
    depth, as Keras has it, parallel branches would change places as soon as one got longer.
    """
    graph, ends = _Graph([]), set(map(id, inputs))
    done: set[int] = set()
    stack = [(node, False) for node in map(_node, reversed(outputs))]
    while stack:
        node, fed = stack.pop()
        if node is None or (id(node) in done and not fed):
            continue
        tensors = [tensor for tensor in node.input_tensors if id(tensor) not in ends]
        feeding = [other for other in map(_node, tensors) if other is not None]
        if fed:
            graph.operations.append(node.operation)
            for other in feeding:
                graph.before[id(node.operation)].append(other.operation)
                graph.after[id(other.operation)].append(node.operation)
        else:
            done.add(id(node))
            stack.append((node, True))
            stack += [(other, False) for other in reversed(feeding)]
    graph.operations = list({id(one): one for one in graph.operations}.values())
    return graph


def _node(tensor: Any) -> Any:
    """Returns the call that put out a tensor of a functional model."""
    history = getattr(tensor, "_keras_history", None)
    return history and history.operation._inbound_nodes[history.node_index]


def _around(operation: Any, edges: dict[int, list[Any]], labels: dict[int, str]) -> list[str]:
    """Returns what stands one, two and more steps away in one direction.

    What has no label only joins branches, and comes and goes with them: it is looked through.
    """
    steps, ring = [], [operation]
    for _ in range(_STEPS):
        near = [other for one in ring for other in edges[id(one)]]
        near += [far for one in near if id(one) not in labels for far in edges[id(one)]]
        ring = list({id(one): one for one in near if id(one) in labels}.values())
        steps.append(" ".join(sorted(labels[id(one)] for one in ring)))
    return steps


def _label(operation: Any) -> str:
    name = _own_name(operation) or type(operation).__name__
    return f"{name} {_shapes(variables_of(operation))}"


def _own_name(operation: Any) -> str | None:
    """Returns the name that an author gave, None if Keras made it from the class."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
    automatic = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return None if re.fullmatch(rf"{automatic}(_\d+)?", operation.name) else operation.name


def variables_of(operation: Any) -> list[Any]:
    """Returns the variables of a layer itself, the states of random generators last."""
    trainable = getattr(operation, "_trainable_variables", [])
    others = getattr(operation, "_non_trainable_variables", [])
    generators = getattr(operation, "_seed_generators", [])
    return [*trainable, *others, *(generator.state for generator in generators)]


def _shapes(variables: Iterable[Any]) -> list[tuple[int, ...]]:
    """Returns the shapes of kernels, which are drawn; those of all variables if there are none."""
    shapes = [tuple(map(int, variable.shape)) for variable in variables]
    return [shape for shape in shapes if len(shape) > 1] or shapes


def _core(layer: keras.Layer) -> str:
    """Returns what a layer's initial values are drawn from.

    Of Keras's own layers that is known. Of others every argument may be part of it.
    """
    config = _config(layer)
    if type(layer).__module__.partition(".")[0] == "keras":
        config = {key: value for key, value in config.items() if key.endswith("initializer")}
    return f"{_class(layer)} {_shapes(variables_of(layer))} {_written(config)}"


def _kind(layer: keras.Layer) -> str:
    shapes = [tuple(variable.shape) for variable in variables_of(layer)]
    return f"{_class(layer)} {shapes} {_written(_config(layer))}"


def _class(layer: Any) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def _config(layer: keras.Layer) -> dict[str, Any]:
    if getattr(layer, "_layers", None):  # What is inside is compared on its own.
        return {}
    try:
        return layer.get_config()
    except Exception:  # It is the user's own code, and saving a layer is no duty of it.
        return {}


def _written(config: dict[str, Any]) -> str:
    return json.dumps(_without_names(config), sort_keys=True, default=str)


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {str(key): _without_names(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if key not in _NOT_KIND}
    return [_without_names(part) for part in value] if isinstance(value, list | tuple) else value

"""Lets the layers that two networks share start from the same weights.

A network from a function that knows nothing of this project has Keras's own layer names and random
draws, and both shift as soon as one part is taken out. So its layers are aligned with those of a
reference network by what they are, in the order of the graph, and get the reference's weights.

Keras is loaded by the functions that need it, so whoever only compares digests is spared it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

_STEPS = 3
"""How far the surroundings reach that tell apart layers of the same kind."""

_WEIGHTS = np.array([2, 2, 4, 2, 1, 4, 2, 1]) / 18
"""Of an entry's features; what stands nearest counts most."""

_TOLD = 8
"""So many values tell whether two variables are of one draw."""

_SPREAD = 64
"""So many values tell whether two variables are drawn from distributions of unlike spread."""

_SURE = 6
"""Standard errors by which two spreads must differ to be no chance among thousands of layers."""

_NORMAL = 3
"""The fourth moment of a normal distribution. That of few values is often too small by chance."""

_NOT_KIND = ("name", "seed", "dtype", "trainable", "build_config")


@dataclass(eq=False)
class _Entry:
    """A layer with variables of its own, as it stands in a network.

    Attributes:
        layer: the layer, of Keras or of PyTorch.
        title: what a reader knows it by.
        name: the name that its author gave it, None if it is Keras's.
        core: what its initial values are drawn from: class, initializers and shapes of kernels.
        features: what tells apart layers of one core: its configuration, what it is in, what comes
            behind it, nearest first, and what before.
        variables: those of its own, not of layers inside it.
    """

    layer: Any
    title: str
    name: str | None
    core: str
    features: tuple[str, ...]
    variables: list[Any]


@dataclass
class _Graph:
    """What is inside a model or composite layer: operations in order, and who feeds whom."""

    operations: list[Any]
    before: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    after: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))


def set_by_author(model: keras.Model, twin: keras.Model) -> set[int]:
    """Returns which variables of a network are set by its author, as pretrained weights are.

    Args:
        model: the network.
        twin: the same, built from another random state.

    Returns:
        The ids of the variables that are not all of one value and nevertheless equal in both.
    """
    ours, theirs = model.variables, twin.variables
    if [one.shape for one in ours] != [one.shape for one in theirs]:
        return set()
    return {
        id(one)
        for one, other in zip(ours, theirs, strict=True)
        if _is_drawn(one) and np.array_equal(_value(one), _value(other))
    }


def pair(
    model: keras.Model, reference: keras.Model, seed: int, kept: Collection[int] = ()
) -> list[str]:
    """Gives a model the reference's initial weights in every layer that the two share.

    Layers are shared that have the same name, if their author named them, and are drawn alike:
    same class, same initializers, same shape of the kernels. All others are aligned in the order
    of the graph, or where there is none in the order in which they were made, as a longest common
    subsequence of layers that are drawn alike. Where that leaves a choice, all else in the
    layers' configuration and the layers around them decide.

    What the reference lacks is drawn anew, from `seed`, from what is drawn and from how many such
    layers came before: two models of one seed agree in what both have beyond the reference. Of a
    shared layer, this holds for a variable that the reference's layer lacks. A layer of PyTorch
    that the reference lacks stays as it was built.

    Values that are all equal, as zeros and ones, stay as they are. The states of random
    generators, such as those of dropout, are shared like weights.

    Args:
        model: the network to be trained, as built; its weights are replaced.
        reference: the network of the reference levels, built from the same random state in every
            run of a seed.
        seed: the run's.
        kept: the ids of variables of both that their author has set; see `set_by_author`.

    Returns:
        The layers that the two would share, had their author not set weights of one of them.

    Raises:
        ValueError: one of them is not built, so that it has no weights yet.
    """
    for network in (model, reference):
        if not network.built:
            raise ValueError(
                f"The network '{network.name}' has no weights yet; build it, or call it on an "
                "input, before it is returned."
            )
    entries, theirs = _entries(model), _entries(reference)
    partners = {id(entry): partner for entry, partner in _aligned(entries, theirs)}
    counts: Counter[str] = Counter()
    own = []
    for entry in entries:
        partner = partners.get(id(entry))
        left, stays = _copy(partner, entry, kept)
        if stays and partner:
            own.append(entry.title)
        if left:
            key = f"{entry.core} {[_variable_name(entry.variables[place]) for place in left]}"
            _redraw(entry, left, f"{seed} {counts[key]} {key}")
            counts[key] += 1
    return own


def transplant(model: keras.Model, trained: keras.Model) -> list[str]:
    """Gives a model the values of a trained one in every layer that the two share.

    Layers that their author named are shared if name and shapes are the same, all others as `pair`
    aligns them.

    Returns:
        The layers of the model, with their variables, for which the trained one has no values. Then
        the model is not to be judged.
    """
    entries, theirs = _entries(model), _entries(trained)
    named = _by_name(theirs)
    pairs = [
        (entry, named[name])
        for name, entry in _by_name(entries).items()
        if name in named and _all_shapes(entry) == _all_shapes(named[name])
    ]
    pairs += _aligned(*([one for one in ones if not one.name] for ones in (entries, theirs)))
    partners = {id(entry): partner for entry, partner in pairs}
    missing = []
    for entry in entries:
        partner = partners.get(id(entry))
        there = _keyed(partner.variables) if partner else {}
        for key, variable in _keyed(entry.variables).items():
            if key in there:
                variable.assign(_value(there[key]))
            elif "seed" not in key[0]:
                missing.append(f"{entry.title} {key[0]}")
    return missing


def _all_shapes(entry: _Entry) -> list[tuple[int, ...]]:
    return [tuple(map(int, variable.shape)) for variable in entry.variables]


def initial_digests(model: keras.Model) -> list[tuple[str, int]]:
    """Returns what tells whether two models start alike.

    Returns:
        For each trainable variable eight hex digits of the SHA-256 of its shape and bytes, and the
        number of its parameters.
    """
    found = []
    for variable in model.trainable_variables:
        value = np.ascontiguousarray(_value(variable))
        code = hashlib.sha256(f"{value.shape} {value.dtype}".encode() + value.tobytes())
        found.append((code.hexdigest()[:8], value.size))
    return found


def _value(variable: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(variable.value)


def _entries(model: keras.Model) -> list[_Entry]:
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
            elif variables := _variables(layer):
                name, features = _own_name(layer), (_kind(layer), *surroundings)
                found.append(_Entry(layer, layer.name, name, _core(layer), features, variables))
            waiting.append(_inside(layer))
    if own := _variables(model):
        features = ("",) * (2 * _STEPS + 2)
        found.append(_Entry(model, model.name, None, _core(model), features, own))
    return found


def _wraps_module(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.TorchModuleWrapper)


def _word(path: str) -> str:
    """Returns the last name in the path of a module, "" if that is a number."""
    last = path.rpartition(".")[2]
    return "" if last.isdigit() else last


def _of_module(wrapper: Any) -> list[_Entry]:
    """Returns the layers inside a module of PyTorch that have variables of their own.

    They come in the order in which the module has them. Their author named those whose path has no
    number in it, which would shift with what stands before.
    """
    from ablation.networks.torch_module import own_variables

    inside = own_variables(wrapper)
    labels = [
        f"{_word(path) or type(one).__name__} {_shapes(variables)}"
        for path, one, variables in inside
    ]
    edge, found = [""] * _STEPS, []
    for place, (path, one, own) in enumerate(inside):
        after, before = labels[place + 1 :] + edge, labels[:place][::-1] + edge
        owner = type(wrapper.module.get_submodule(path.rpartition(".")[0])).__name__
        core = f"{_class(one)} {_shapes(own)}"
        features = f"{core} {one.extra_repr()}", owner, *after[:_STEPS], *before[:_STEPS]
        name = None if any(map(str.isdigit, path.split("."))) else path or None
        title = path if _word(path) else f"{path} ({type(one).__name__})".lstrip()
        found.append(_Entry(one, title, name, core, features, own))
    return found


def _inside(owner: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yields the operations directly inside a model or layer, and what stands around each."""
    if not getattr(owner, "_layers", None):
        return
    graph = _graph(owner)
    labels = {
        id(operation): _label(operation)
        for operation in graph.operations
        if _variables(operation) or len(graph.before[id(operation)]) < 2
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
    return f"{name} {_shapes(_variables(operation))}"


def _own_name(operation: Any) -> str | None:
    """Returns the name that an author gave, None if Keras made it from the class."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
    automatic = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return None if re.fullmatch(rf"{automatic}(_\d+)?", operation.name) else operation.name


def _variables(operation: Any) -> list[Any]:
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
    return f"{_class(layer)} {_shapes(_variables(layer))} {_written(config)}"


def _kind(layer: keras.Layer) -> str:
    shapes = [tuple(variable.shape) for variable in _variables(layer)]
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


def _aligned(ours: list[_Entry], theirs: list[_Entry]) -> Iterator[tuple[_Entry, _Entry]]:
    """Yields the pairs of layers that two networks share."""
    by_name = _same_name(ours, theirs)
    yield from by_name
    ours, theirs = _without(by_name, ours), _without(by_name, theirs)
    while found := _common_subsequence(ours, theirs):
        yield from found
        # Once more if some are left: layers that were made in another order cross each other.
        ours, theirs = _without(found, ours), _without(found, theirs)


def _without(pairs: list[tuple[_Entry, _Entry]], entries: list[_Entry]) -> list[_Entry]:
    paired = {id(entry) for pair in pairs for entry in pair}
    return [entry for entry in entries if id(entry) not in paired]


def _same_name(ours: list[_Entry], theirs: list[_Entry]) -> list[tuple[_Entry, _Entry]]:
    named = _by_name(theirs)
    both = [(entry, named[name]) for name, entry in _by_name(ours).items() if name in named]
    return [(entry, partner) for entry, partner in both if entry.core == partner.core]


def _by_name(entries: list[_Entry]) -> dict[str, _Entry]:
    """Returns the layers whose author gave them a name that no other has."""
    counts = Counter(entry.name for entry in entries)
    return {entry.name: entry for entry in entries if entry.name and counts[entry.name] == 1}


def _common_subsequence(ours: list[_Entry], theirs: list[_Entry]) -> list[tuple[_Entry, _Entry]]:
    """Returns the pairs of the best alignment that crosses itself nowhere.

    Best has most layers with kernels, then most layers, then most in common around them.
    """
    if not (ours and theirs):
        return []
    best = np.zeros((len(ours) + 1, len(theirs) + 1))
    for row, scores in enumerate(_scores(ours, theirs), start=1):
        matched = best[row - 1, :-1] + scores
        matched[scores == 0] = 0
        best[row, 1:] = np.maximum.accumulate(np.maximum(best[row - 1, 1:], matched))
    pairs, row, column = [], len(ours), len(theirs)
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((ours[row], theirs[column]))
    return pairs[::-1]


def _scores(ours: list[_Entry], theirs: list[_Entry]) -> Iterator[np.ndarray]:
    """Yields for each of our layers what a pair with each of theirs is worth, 0 if nothing."""
    codes: dict[str, int] = {}

    def coded(texts: Iterable[str]) -> list[int]:
        return [codes.setdefault(text, len(codes)) for text in texts]

    cores = np.array(coded(entry.core for entry in theirs))
    features = np.array([coded(entry.features) for entry in theirs])
    smallest = 1 / (1 + min(len(ours), len(theirs)))  # So many of these are less than 1.
    for entry in ours:
        has_kernel = any(len(variable.shape) > 1 for variable in entry.variables)
        in_common = (features == coded(entry.features)) @ _WEIGHTS
        worth = (1 if has_kernel else smallest) + smallest**2 * in_common
        yield np.where(cores == coded([entry.core]), worth, 0)


def _copy(source: _Entry | None, entry: _Entry, kept: Collection[int]) -> tuple[list[int], bool]:
    """Copies drawn values from the source.

    Returns:
        The places of those that it does not have, and whether any are not shared because an author
        has set them.
    """
    there = _keyed(source.variables) if source else {}
    left, stays = [], False
    for place, (key, variable) in enumerate(_keyed(entry.variables).items()):
        theirs = there.get(key)
        if not _is_drawn(variable):
            continue
        if id(variable) in kept:
            stays |= theirs is None or not np.array_equal(_value(variable), _value(theirs))
        elif theirs is None or id(theirs) in kept:
            left.append(place)
            stays |= theirs is not None
        elif _is_drawn(theirs):
            if _are_drawn_alike(_value(variable), _value(theirs)):
                variable.assign(_value(theirs))
            else:
                stays = True
    return left, stays


def _are_drawn_alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether two arrays may be two draws, or the same one, of one distribution."""
    if one.size < _TOLD or np.array_equal(one, other):
        return True
    values = [x.ravel().astype(np.float64) for x in (one, other)]
    scaled = [(x - x.mean()) / x.std() for x in values]
    if abs(np.mean(scaled[0] * scaled[1])) > 0.9999:
        return False  # One is the other, multiplied.
    if one.size < _SPREAD:
        return True
    # Of the logarithm of a standard deviation, from the fourth moment.
    variance = sum((max(_NORMAL, np.mean(x**4)) - 1) / (4 * x.size) for x in scaled)
    ratio = values[0].std() / values[1].std()
    return bool(abs(np.log(ratio)) < _SURE * np.sqrt(variance))


def _keyed(variables: list[Any]) -> dict[tuple[str, tuple[int, ...], int], Any]:
    """Returns variables by name, shape and how many such came before."""
    counts: Counter = Counter()
    keyed = {}
    for variable in variables:
        key = _variable_name(variable), tuple(map(int, variable.shape))
        keyed[*key, counts[key]] = variable
        counts[key] += 1
    return keyed


def _variable_name(variable: Any) -> str:
    """Returns a variable's name, without the number that Keras gives those without a name."""
    return re.sub(r"^variable_\d+$", "variable", variable.name)


def _is_drawn(variable: Any) -> bool:
    """Returns whether a variable is not all of one value."""
    value = _value(variable)
    return value.size > 0 and bool((value != value.flat[0]).any())


def _redraw(entry: _Entry, places: list[int], text: str) -> None:
    """Draws some of a layer's variables anew, as the layer itself draws them when it is made.

    A layer that Keras cannot make a second time keeps what it has.
    """
    layer: Any = entry.layer
    with _seeded(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])):
        try:
            twin = type(layer).from_config(layer.get_config())
            if not twin.built:
                twin.build_from_config(layer.get_build_config() or {})
        except Exception:  # It is the user's own code, and saving a layer is no duty of it.
            return
    drawn = _variables(twin)
    if [tuple(one.shape) for one in drawn] == [tuple(one.shape) for one in entry.variables]:
        for place in places:
            entry.variables[place].assign(_value(drawn[place]))


@contextlib.contextmanager
def _seeded(number: int) -> Iterator[None]:
    """Sets Python's and NumPy's generators, from which initializers without a seed draw one."""
    before, arrays = random.getstate(), np.random.get_state()
    random.seed(number)
    np.random.seed(number)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(arrays)

"""Lets the layers that two networks share start from the same weights.

A network from a function that knows nothing of this project has Keras's own layer names and random
draws, and both shift as soon as one part is taken out. So its layers are aligned with those of a
reference network by what they are, in the order of the graph, and get the reference's weights.

Keras is loaded by the functions that need it, so whoever only compares digests is spared it.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ablation.networks.inventory import Entry, entries_of, variables_of

if TYPE_CHECKING:
    import keras

_WEIGHTS = np.array([2, 2, 4, 2, 1, 4, 2, 1]) / 18
"""Of an entry's features; what stands nearest counts most."""

_TOLD = 8
"""So many values tell whether two variables are of one draw."""

_SPREAD = 64
"""So many values tell whether two variables are drawn from distributions of unlike spread."""

_SURE = 6
"""Standard errors by which two spreads must differ to be no chance among thousands of layers."""

_ROUNDING = 1e-9
"""How far two sums of scores may differ that are the same."""

_NORMAL = 3
"""The fourth moment of a normal distribution. That of few values is often too small by chance."""


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
    entries, theirs = entries_of(model), entries_of(reference)
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


def transplant(model: keras.Model, trained: keras.Model) -> str:
    """Gives a model the values of a trained one in every layer that the two share.

    Layers that their author gave a name of their own are shared if name and shapes are the same.
    All others, those whose name others have too among them, are aligned as `pair` does it.

    Returns:
        Why the model is not to be judged, in words: the trained one has no values for some of its
        layers, or several layers whose values some may have; "" if it is.
    """
    both = entries_of(model), entries_of(trained)
    counts = [Counter(entry.name for entry in ones) for ones in both]
    several = {name for of_one in counts for name, count in of_one.items() if count > 1} | {None}
    # A name that several have tells them from others all the same.
    entries, theirs = (
        [
            replace(one, core=f"{one.core} {one.name}") if one.name in several else one
            for one in ones
        ]
        for ones in both
    )
    named = {entry.name: entry for entry in theirs}
    pairs = [
        (entry, named[entry.name])
        for entry in entries
        if entry.name not in several
        and entry.name in named
        and _all_shapes(entry) == _all_shapes(named[entry.name])
    ]
    by_place = [[entry for entry in ones if entry.name in several] for ones in (entries, theirs)]
    pairs += _in_order(*by_place)
    if unsure := _with_several_partners(*by_place):
        titles = ", ".join(entry.title for entry in unsure)
        return (
            f"nobody can tell which trained layers these are, since others are alike: {titles}; "
            "give each layer a name"
        )
    partners = {id(entry): partner for entry, partner in pairs}
    missing = []
    for entry in entries:
        partner = partners.get(id(entry))
        there = _keyed(partner.variables) if partner else {}
        for called, (key, variable) in zip(
            entry.called, _keyed(entry.variables).items(), strict=True
        ):
            if key in there:
                variable.assign(_value(there[key]))
            elif "seed" not in key[0]:
                missing.append(called)
    return f"these weights would be untrained: {', '.join(missing)}" if missing else ""


def _all_shapes(entry: Entry) -> list[tuple[int, ...]]:
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


def _aligned(ours: list[Entry], theirs: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yields the pairs of layers that two networks share."""
    by_name = _same_name(ours, theirs)
    yield from by_name
    yield from _in_order(_without(by_name, ours), _without(by_name, theirs))


def _in_order(ours: list[Entry], theirs: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Yields the pairs of layers that two networks share by their place."""
    while found := _common_subsequence(ours, theirs):
        yield from found
        # Once more if some are left: layers that were made in another order cross each other.
        ours, theirs = _without(found, ours), _without(found, theirs)


def _without(pairs: list[tuple[Entry, Entry]], entries: list[Entry]) -> list[Entry]:
    paired = {id(entry) for pair in pairs for entry in pair}
    return [entry for entry in entries if id(entry) not in paired]


def _same_name(ours: list[Entry], theirs: list[Entry]) -> list[tuple[Entry, Entry]]:
    named = _by_name(theirs)
    both = [(entry, named[name]) for name, entry in _by_name(ours).items() if name in named]
    return [(entry, partner) for entry, partner in both if entry.core == partner.core]


def _by_name(entries: list[Entry]) -> dict[str, Entry]:
    """Returns the layers whose author gave them a name that no other has."""
    counts = Counter(entry.name for entry in entries)
    return {entry.name: entry for entry in entries if entry.name and counts[entry.name] == 1}


def _common_subsequence(ours: list[Entry], theirs: list[Entry]) -> list[tuple[Entry, Entry]]:
    """Returns the pairs of the best alignment that crosses itself nowhere.

    Best has most layers with kernels, then most layers, then most in common around them.
    """
    if not (ours and theirs):
        return []
    best = _best(_scores(ours, theirs), (len(ours), len(theirs)))
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


def _best(scores: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Returns what the best alignment of so many first layers of both is worth."""
    best = np.zeros((shape[0] + 1, shape[1] + 1))
    for row, of_row in enumerate(scores, start=1):
        matched = best[row - 1, :-1] + of_row
        matched[of_row == 0] = 0
        best[row, 1:] = np.maximum.accumulate(np.maximum(best[row - 1, 1:], matched))
    return best


def _with_several_partners(ours: list[Entry], theirs: list[Entry]) -> list[Entry]:
    """Returns the layers that are one layer of theirs in one best alignment and another in another.

    So it is where one of several layers that nothing tells apart is left out.
    """
    if not (ours and theirs):
        return []
    scores = np.array(list(_scores(ours, theirs)))
    before = _best(scores, scores.shape)
    behind = _best(scores[::-1, ::-1], scores.shape)[::-1, ::-1]
    worth = np.where(scores > 0, before[:-1, :-1] + scores + behind[1:, 1:], -1)
    # What tells two layers apart is worth far more than sums are rounded by.
    is_best = worth > before[-1, -1] - _ROUNDING
    return [entry for entry, of_entry in zip(ours, is_best, strict=True) if of_entry.sum() > 1]


def _scores(ours: list[Entry], theirs: list[Entry]) -> Iterator[np.ndarray]:
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


def _copy(source: Entry | None, entry: Entry, kept: Collection[int]) -> tuple[list[int], bool]:
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


def _redraw(entry: Entry, places: list[int], text: str) -> None:
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
    drawn = variables_of(twin)
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

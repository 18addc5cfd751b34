"""Builds a network of the user's own, for a process that may load Keras and run their code."""

import contextlib
import random
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablation import opened, source
from ablation.config import UserError
from ablation.networks.layers import LogProbabilities
from ablation.networks.pairing import pair, set_by_author
from ablation.networks.registry import Network
from ablation.networks.signature import VOCABULARY

STARTS = "starts"
"""The attribute of a model that says why layers do not start as in the full network."""

_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")
"""What a model may do its own way in Keras, and none that is trained here."""

_PROBED = 4
_DRAWS, _SOFTMAX_DRAWS = 16, 2
_NAMED = 3


class RefusedError(ValueError):
    """The function has said by ValueError that there is no such network."""


def own(
    network: Network,
    input_shape: tuple[int, ...],
    classes: int,
    seed: int,
    parts: dict,
    vocabulary: int | None = None,
) -> keras.Model:
    """Returns a network of the user's own, as the project trains them.

    It starts from the weights of the full network, which all parts have their defaults in, wherever
    the two share a layer; see `pairing`.

    Args:
        network: which one.
        input_shape: of one input; of an image height, width and channels, in pixels.
        classes: number of classes.
        seed: of the initial weights.
        parts: the level of each.
        vocabulary: how many tokens there are, where inputs are tokens.

    Returns:
        A functional model, float inputs or int32 tokens (batch, *input_shape) to float32 logits; of
        a network that puts out probabilities, their logarithms.

    Raises:
        RefusedError: a ValueError that the user's own code has raised by `raise`.
        UserError: anything else that the user's code raised, in one line with file and line, or
            what it returned is no such network.
    """
    is_told = network.asks_vocabulary and vocabulary is not None
    told = {VOCABULARY: vocabulary} if is_told else {}
    inputs = keras.KerasTensor((None, *input_shape), "float32" if vocabulary is None else "int32")
    located = source.locate(network.arch)
    files = source.local_modules(located)
    defaults = network.settled({})

    def built(levels: dict) -> tuple[Any, set[int]]:
        """Returns a network and the variables that its author has set, where that matters."""
        if parts == defaults:
            return _seeded(function, inputs, classes, seed, levels | told), set()
        # The twin comes first, so that random states are those behind the network itself.
        twin = _seeded(function, inputs, classes, seed + 1, levels | told)
        model = _seeded(function, inputs, classes, seed, levels | told)
        return model, set_by_author(model, twin)

    remarks = []
    with opened.noted(), source.seen_imports(located):
        with _told(files):
            function = source.load(located)
            model, kept = built(parts)
        if parts != defaults:
            try:
                with _told(files, "the full network, whose weights arms start from: "):
                    reference, its_kept = built(defaults)
            except RefusedError as error:
                remarks = [f"no layer: the function refuses the full network ({error})"]
            else:
                remarks = _of_author(pair(model, reference, seed, kept | its_kept))
    model = _logits(model, inputs, classes, vocabulary, network.arch)
    setattr(model, STARTS, remarks)
    return model


@contextlib.contextmanager
def _told(files: Collection[Path], what: str = "") -> Iterator[None]:
    """Raises RefusedError or UserError for what a user's code raises; see `own`."""
    try:
        yield
    except UserError:
        raise
    except source.RAISED as error:
        if isinstance(error, ValueError) and source.is_raised_in(error, files):
            raise RefusedError(" ".join(str(error).split())) from error
        raise UserError(f"{what}{source.user_error(error, files)}") from error


def _of_author(layers: list[str]) -> list[str]:
    """Returns that a network's author has set weights of some layers, if of any."""
    if not layers:
        return []
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    return [f"the function itself sets weights of {', '.join(layers[:_NAMED])}{more}"]


def _seeded(function: Any, inputs: keras.KerasTensor, classes: int, seed: int, parts: dict) -> Any:
    """Returns what the function builds from the random state of a seed, with weights."""
    precision = keras.config.dtype_policy()
    keras.backend.clear_session(free_memory=False)
    keras.config.set_dtype_policy(precision)  # Which belongs to the session that is cleared.
    random.seed(seed)  # Keras draws the seeds of layers from here.
    np.random.seed(seed % 2**32)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    input_shape = tuple(inputs.shape[1:])
    try:
        built = function(input_shape, classes, **parts)
    finally:
        _check_module(function)
    if isinstance(built, keras.Model):
        for step in _STEPS:
            if _is_own(built, step):
                raise TypeError(
                    f"{type(built).__name__} has its own {step}, which is not used here; give a "
                    "loss by recipe.loss or a layer's add_loss, and leave it out"
                )
        if not isinstance(built, keras.src.models.functional.Functional) or not built.built:
            built(np.zeros((1, *input_shape), inputs.dtype))
        return built
    torch = sys.modules.get("torch")
    if torch and isinstance(built, torch.nn.Module):
        if keras.backend.backend() != "torch":
            raise TypeError("the function returned a torch.nn.Module, which needs backend=torch")
        from ablation.networks.torch_module import wrap

        return wrap(built, input_shape, classes, inputs.dtype)
    raise TypeError(
        f"the function returned {type(built).__name__}; a network is a keras.Model, or with "
        "backend=torch a torch.nn.Module"
    )


def _always(
    model: keras.Model,
    holds: Callable[[np.ndarray], bool],
    values: np.ndarray,
    inputs: np.ndarray,
    draws: int,
) -> bool:
    """Returns whether something holds of what a network puts out, with other weights too.

    With its own alone, logits may look like anything by chance or by how a head begins.

    Args:
        model: the network.
        holds: of an output, float32 (batch, classes).
        values: that it has put out.
        inputs: some inputs.
        draws: of other weights.
    """
    rng, variables = np.random.default_rng(0), model.trainable_variables
    before = [keras.ops.convert_to_numpy(one.value) for one in variables]
    try:
        for _ in range(draws if variables else 0):
            if not holds(values):
                return False
            for variable, exact in zip(variables, before, strict=True):
                old = exact.astype("float32")
                variable.assign(old + rng.normal(size=old.shape) * (old.std() or 1))
            outputs = keras.ops.cast(model(inputs, training=False), "float32")
            values = keras.ops.convert_to_numpy(outputs)
        return holds(values)
    finally:
        for variable, old in zip(variables, before, strict=True):
            variable.assign(old)


def _are_probabilities(values: np.ndarray) -> bool:
    """Returns whether rows are 0 or more and sum to 1, but for those that overflow."""
    sound = values[np.isfinite(values).all(axis=1)]
    return bool((sound >= 0).all() and np.allclose(sound.sum(axis=1), 1, atol=0.01))


def _are_from_0_to_1(values: np.ndarray) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def _check_module(function: Any) -> None:
    """Raises UserError if networks share a layer, because it was made when the file was imported.

    It would have the weights of another network, and maybe the name of a layer of this one.
    """
    module: Any = sys.modules.get(getattr(function, "__module__", ""))
    for name, value in vars(module).items() if module else ():
        if isinstance(value, keras.layers.Layer) and value.weights:
            raise UserError(
                f"{Path(module.__file__).name} makes the layer {name} when it is imported, so that "
                "all networks would share it; make it in the function."
            )


def _check_input(model: keras.Model, vocabulary: int | None, arch: str) -> None:
    """Raises UserError if a model has several inputs, or one that changes what it is given."""
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) > 1:
        raise UserError(f"arch={arch} has {len(inputs)} inputs; a network has one.")
    for declared in inputs:
        dtype = keras.backend.standardize_dtype(declared.dtype)
        if vocabulary is None:
            keeps, wanted = "float" in dtype, "floats, normalised: leave dtype out of keras.Input"
        else:
            tokens = np.arange(vocabulary, dtype=np.int32)
            kept = keras.ops.cast(keras.ops.cast(tokens, dtype), "int32")
            keeps = np.array_equal(keras.ops.convert_to_numpy(kept), tokens)
            wanted = f'{vocabulary} tokens: use keras.Input(..., dtype="int32")'
        if not keeps:
            raise UserError(f"arch={arch} has an input of {dtype}, which cannot hold {wanted}.")


def _is_own(model: keras.Model, method: str) -> bool:
    """Returns whether a model's class, or one between it and those of Keras, defines a method."""
    definer = next(one for one in type(model).__mro__ if method in vars(one))
    return definer.__module__.partition(".")[0] != "keras"


def _logits(
    model: keras.Model,
    like: keras.KerasTensor,
    classes: int,
    vocabulary: int | None,
    arch: str,
) -> keras.Model:
    """Returns the model from one batch of inputs like some to float32 logits."""
    _check_input(model, vocabulary, arch)
    input_shape = tuple(like.shape[1:])
    name = "images" if len(input_shape) == 3 else "inputs"
    images = keras.Input(input_shape, name=name, dtype=like.dtype)
    outputs = model(images)
    if not isinstance(outputs, keras.KerasTensor) or tuple(outputs.shape) != (None, classes):
        shape = getattr(outputs, "shape", type(outputs).__name__)
        raise UserError(
            f"arch={arch} puts out {shape}; a network puts out (batch, classes), here "
            f"(batch, {classes})."
        )
    if getattr(model, "inputs", None) and not _is_own(model, "call"):
        inputs, outputs = model.inputs[0], model.outputs[0]
    else:
        inputs = images
    rng = np.random.default_rng(0)
    if vocabulary is None:
        probe = rng.random((_PROBED, *input_shape), np.float32)
    else:
        probe = rng.integers(0, vocabulary, (_PROBED, *input_shape), np.int32)
    values = keras.ops.convert_to_numpy(keras.ops.cast(model(probe, training=False), "float32"))
    may_be = classes > 1 and bool(np.isfinite(values).all())
    if may_be and _always(model, _are_probabilities, values, probe, _SOFTMAX_DRAWS):
        outputs = LogProbabilities(dtype="float32", name="log_probabilities")(outputs)
    elif model.trainable_variables and _always(model, _are_from_0_to_1, values, probe, _DRAWS):
        raise UserError(
            f"arch={arch} puts out numbers from 0 to 1 whatever its weights are, as behind a "
            "sigmoid. A network ends in a linear layer, or for classes in a softmax."
        )
    elif keras.backend.standardize_dtype(outputs.dtype) != "float32":
        # Logits stay float32 under mixed precision, for the sake of the softmax.
        outputs = keras.layers.Activation("linear", dtype="float32", name="logits_float32")(outputs)
    elif inputs is not images:
        return model
    return keras.Model(inputs, outputs, name=model.name)

"""What a network can get: each kind of input owns how it is read, stored, normalised and shown.

A kind is a module of this folder that names an instance of its class `KIND`. All are imported by
every command, so that what takes time is imported when it is needed.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from ablation.config import CONF_DIR, Config, UserError
from ablation.data.kinds.common import Affine, Drawer, Kind, Meta, Noun, Picture
from ablation.source import is_own

__all__ = [
    "IMAGES",
    "KINDS",
    "NOUN",
    "Affine",
    "Drawer",
    "Kind",
    "Meta",
    "Noun",
    "Picture",
    "kind_of",
    "noun_of",
    "settled",
]

_MODULES = [module.name for module in pkgutil.iter_modules(__path__)]
_FOUND = {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(_MODULES)}

KINDS: dict[str, Kind] = {
    module.KIND.name: module.KIND for module in _FOUND.values() if hasattr(module, "KIND")
}
"""The kinds by the name that `dataset.kind` gives them."""

IMAGES = "images"
"""What inputs are where nothing says otherwise."""

NOUN = KINDS[IMAGES].noun
"""What inputs are called then."""


def kind_of(asked: str | None, arrays: Sequence[np.ndarray]) -> Kind:
    """Returns the kind of some arrays' inputs: that which is asked for, or that which fits all.

    Arrays that fit none, or not one, are taken for images, which then say what they must be.
    """
    if asked is not None:
        return KINDS[asked]
    fitting = [kind for kind in KINDS.values() if all(map(kind.fits, arrays))]
    return fitting[0] if fitting else KINDS[IMAGES]


def noun_of(names: Iterable[str]) -> Noun:
    """Returns what sentences call inputs of some kinds: of several kinds, examples."""
    found = {KINDS[name].noun for name in names}
    return found.pop() if len(found) == 1 else Noun("example", "examples") if found else NOUN


def settled(config: Config, kind: Kind) -> Config:
    """Returns a configuration with augmentation and normalisation as usual, if not for its kind.

    Nothing reads them then, so that how they were typed makes no other run. The size of images
    stays: by that the prepared data is found.

    Args:
        config: validated.
        kind: of its data set.

    Raises:
        UserError: a key is set to what is for other kinds.
    """
    usual = _usual(config.dataset.source)
    neutral, reset = Config(), {}
    for key in kind.refuses:
        group, _, name = key.partition(".")
        # What not every source can be asked for is off where it cannot.
        value = getattr(getattr(config, group), name, None)
        off = [getattr(getattr(neutral, group), name, None)]
        off += [usual[name]] if group == "dataset" and name in usual else []
        if value not in off and not is_own(str(value)):
            others = [one.noun.many for one in KINDS.values() if key not in one.refuses]
            raise UserError(
                f"{key}={value} is for {' and '.join(others)}; dataset={config.dataset.name} holds "
                f"{kind.noun.many} (dataset.kind={kind.name})."
            )
        if key == "dataset.augment" and not is_own(str(value)):
            reset[name] = "none"
        elif key == "dataset.normalisation" and name in usual:
            reset[name] = usual[name]
    return replace(config, dataset=replace(config.dataset, **reset)) if reset else config


@functools.cache
def _usual(source: str) -> Mapping[str, Any]:
    """Returns what the file of `conf/` sets of data of a source."""
    file = CONF_DIR / "dataset" / f"{source}.yaml"
    read: Any = OmegaConf.to_container(OmegaConf.load(file)) if file.is_file() else {}
    return read

"""What a tuning run sees of a data set: its training images in two parts, no validation image.

The larger part is trained on, the other judges. It is the same split for every arm, value and seed
of a study, because all of them are to be chosen by the same images.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ablation import targets
from ablation.config import Config, UserError
from ablation.data.cache import Cache

_SEED = 20
"""Of the draw, one for all."""


@dataclass(frozen=True)
class TuningSplit(Cache):
    """A data set whose validation images are a share of its training images.

    Normalisation is that of all training images, as in the runs that are tuned.

    Attributes:
        share: of each class, 0 to 1.
    """

    share: float = 0.0

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What `meta.json` holds, with the counts of this split."""
        whole, labels = self._whole.meta, self._whole.labels("train")
        target = targets.of(self._whole.facts_of_target)
        splits = {}
        for split, places in self._places.items():
            facts = f"{whole['splits']['train']['fingerprint']} {split}".encode()
            splits[split] = {
                "count": len(places),
                **target.of_split(labels[places], len(whole["classes"])),
                "fingerprint": hashlib.sha256(facts + places.tobytes()).hexdigest(),
            }
        return whole | {"splits": splits, "shared": None}

    @property
    def _whole(self) -> Cache:
        return Cache(self.directory)

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """Where the images of each split stand among the training images, ascending."""
        target = targets.of(self._whole.facts_of_target)
        labels = target.strata(self._whole.labels("train"))
        judges = np.zeros(len(labels), bool)
        for label in np.unique(labels):
            of_class = np.flatnonzero(labels == label)
            # Every class keeps an image to be learned from.
            count = min(int(self.share * len(of_class) + 0.5), len(of_class) - 1)
            rng = np.random.default_rng([_SEED, int(label)])
            judges[rng.permutation(of_class)[:count]] = True
        return {"train": np.flatnonzero(~judges), "val": np.flatnonzero(judges)}

    def images(self, split: str) -> Any:
        """Images as `Cache.images` has them, read as they are asked for."""
        return _Some(self._whole.images("train"), self._places[split])

    def labels(self, split: str) -> np.ndarray:
        """Labels as `Cache.labels` has them."""
        return self._whole.labels("train")[self._places[split]]


class _Some:
    """Some images of a memory-mapped array, which may be larger than the memory."""

    def __init__(self, images: np.ndarray, places: np.ndarray):
        self._images, self._places = images, places
        self.shape = (len(places), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._images[self._places[rows]]


def of_run(config: Config, cache: Cache) -> Cache:
    """Returns the images that a run sees: the data set, or the split of a tuning run.

    Args:
        config: of the run.
        cache: the data set.

    Raises:
        UserError: so small a share of its training images is none.
    """
    if not config.tuning:
        return cache
    split = TuningSplit(cache.directory, config.tuning)
    if not split.count("val"):
        per_class = cache.meta["splits"]["train"].get("per_class")
        smallest = f"; the smallest class has {min(filter(None, per_class))}" if per_class else ""
        raise UserError(
            f"tune.share={config.tuning:g} of the {cache.count('train')} training "
            f"{cache.kind.noun.many} is none to judge by{smallest}: use tune.share=0.1 or another "
            "that leaves some."
        )
    return split

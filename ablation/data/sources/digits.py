"""The embedded data set."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ablation.config import DatasetConfig
from ablation.data.kinds import IMAGES, KINDS
from ablation.data.sources.common import Example, LeftOut


class Digits:
    """scikit-learn's 1,797 grey 8x8 digits, embedded: 1,437 to train and 360 to validate."""

    options = DatasetConfig
    read: tuple[Path, ...] = ()
    fetches = False
    classes = tuple("0123456789")
    kind = KINDS[IMAGES]
    channels = 1
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: DatasetConfig):
        pass

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and its examples, in one fixed random order."""
        from sklearn.datasets import load_digits  # Loads SciPy, which nothing else here needs.

        digits = load_digits()
        # RandomState's stream is frozen by NumPy, so the split is the same with every version.
        order = np.random.RandomState(0).permutation(len(digits.target))
        chosen = order[:1437] if name == "train" else order[1437:]
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
        examples = (Example(f"digit {i}", images[i], int(digits.target[i])) for i in chosen)
        return len(chosen), examples

    @staticmethod
    def state(dataset: DatasetConfig) -> str:
        """Returns nothing, because nothing lies on disk."""
        return ""

    @staticmethod
    def unused(dataset: DatasetConfig) -> tuple[LeftOut, ...]:
        """Returns nothing, because nothing lies beside the images."""
        return ()


SOURCE = Digits

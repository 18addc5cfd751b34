"""Features: a table of numbers, one row an input, standardised column by column."""

import numpy as np

from ablation.config import UserError
from ablation.data.kinds.common import Noun, Numbers, check_numbers, shape_of


class Features(Numbers):
    """See `Kind`."""

    name = "features"
    noun = Noun("row", "rows")

    def fits(self, array: np.ndarray) -> bool:
        """Two axes, of floats or of yes and no."""
        return array.ndim == 2 and array.dtype.kind in "fb"

    def read(self, name: str, array: np.ndarray, where: str) -> np.ndarray:
        """Returns (rows, features)."""
        if array.ndim != 2 or not array.shape[1]:
            raise UserError(f"{where}: {name} must be rows x features; it is {shape_of(array)}.")
        check_numbers(name, array, where, self.noun)
        return array


KIND = Features()

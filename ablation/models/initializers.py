"""The initial weights, which depend on the seed and not on the backend."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_GROUP = 4  # Numbers that TensorFlow draws from one region of the counter,
_BLOCKS_A_GROUP = 256  # which is so many blocks of four words long.
_GROUPS_AT_A_TIME = 2**14  # Few enough to stay in a processor's cache.
_WORD = 0xFFFFFFFF


@keras.saving.register_keras_serializable("ablation")
class HeNormal(keras.initializers.HeNormal):
    """Keras's HeNormal, with the numbers that it has on TensorFlow, on every backend.

    Each backend brings a random generator of its own, with which a network would start elsewhere
    from other weights. Those drawn here differ from TensorFlow's by rounding, at most.

    Args:
        seed: 0 or more, below 2**31.
    """

    def __call__(self, shape, dtype=None):
        """Returns a kernel of shape (..., inputs, outputs)."""
        if keras.config.backend() == "tensorflow":
            return super().__call__(shape, dtype)
        # Cutting a normal distribution at two deviations leaves it 0.88 of its own.
        deviation = math.sqrt(2 / math.prod(shape[:-1])) / 0.87962566103423978
        numbers = truncated_normal(math.prod(shape), self.seed) * np.float32(deviation)
        return keras.ops.convert_to_tensor(numbers.reshape(shape), dtype)


def truncated_normal(count: int, seed: int) -> np.ndarray:
    """Draws what `tf.random.stateless_truncated_normal([count], [seed, 0])` draws.

    Args:
        count: how many numbers.
        seed: 0 or more, below 2**31.

    Returns:
        float32 (count,) between -2 and 2; the last bits can differ from TensorFlow's.
    """
    # TensorFlow scrambles a seed before it uses it; these two words are its own.
    words = [int(word[0]) for word in _philox((seed, 0, 0, 0), (0x3EC8F720, 0x02461E29))]
    groups = -(-count // _GROUP)
    starts = range(0, groups, _GROUPS_AT_A_TIME)
    parts = [
        _draw(np.arange(start, min(start + _GROUPS_AT_A_TIME, groups)), words) for start in starts
    ]
    return np.concatenate(parts).ravel()[:count]


def _draw(groups: np.ndarray, words: Sequence[int]) -> np.ndarray:
    """Draws groups of numbers, each from its own region of the counter.

    Args:
        groups: int (groups,), their positions.
        words: key (two) and upper half of the counter (two).

    Returns:
        float32 (groups, 4).
    """
    drawn = np.empty((len(groups), _GROUP), np.float32)
    kept = np.zeros(len(groups), int)
    open_rows, block = np.arange(len(groups)), 0
    while len(open_rows):
        lower = groups[open_rows].astype(np.uint64) * _BLOCKS_A_GROUP + block
        bits = _philox([lower & _WORD, lower >> 32, *words[2:]], words[:2])
        for numbers in (*_box_muller(*bits[:2]), *_box_muller(*bits[2:])):
            fits = (np.abs(numbers) < 2) & (kept[open_rows] < _GROUP)
            rows = open_rows[fits]
            drawn[rows, kept[rows]] = numbers[fits]
            kept[rows] += 1
        open_rows, block = open_rows[kept[open_rows] < _GROUP], block + 1
    return drawn


def _philox(counter: Sequence[Any], key: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Philox-4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Args:
        counter: four words, each a number or an array.
        key: two words.

    Returns:
        Four arrays of words, uint64 below 2**32.
    """
    words: list[np.ndarray] = [np.array(word, np.uint64, ndmin=1) for word in counter]
    a, b, c, d = words
    left, right = key
    for _ in range(10):
        one, other = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (other >> 32) ^ b ^ left, other & _WORD, (one >> 32) ^ d ^ right, one & _WORD
        left, right = (left + 0x9E3779B9) & _WORD, (right + 0xBB67AE85) & _WORD
    return a, b, c, d


def _box_muller(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two normally distributed float32 for two words, rounded where TensorFlow rounds."""
    logarithm = np.log(np.maximum(_uniform(one), 1e-7)).astype(np.float32)
    radius = np.sqrt(-2 * logarithm)
    angle = (2 * np.pi * _uniform(other)).astype(np.float32).astype(np.float64)
    return np.sin(angle).astype(np.float32) * radius, np.cos(angle).astype(np.float32) * radius


def _uniform(words: np.ndarray) -> np.ndarray:
    """Returns float64 from 0 to below 1, in steps of 2**-23."""
    return (words & 0x7FFFFF) * 2.0**-23

import numpy as np
import pytest
import tensorflow as tf

from ablation.models.initializers import truncated_normal


@pytest.mark.parametrize("count", [1, 6, 300_001])
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_the_numbers_are_those_of_tensorflow(count, seed):
    ours, theirs = (
        truncated_normal(count, seed),
        tf.random.stateless_truncated_normal([count], [seed, 0]),
    )
    assert (ours.dtype, ours.shape) == (np.float32, (count,))
    # Two units in the last place of the largest numbers.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-7)

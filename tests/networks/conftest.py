import gc

import keras
import pytest


@pytest.fixture(scope="module", autouse=True)
def frozen_garbage():
    # What TensorFlow and Keras made on import need not be looked through again and again.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)

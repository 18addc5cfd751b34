import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def frozen_garbage():
    # What TensorFlow and Keras made on import need not be looked through again and again.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()

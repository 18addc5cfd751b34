import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def rare_garbage_collection():
    # Keras makes so many objects that looking through them takes half of a deep net's build.
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()

"""The first optimizer steps of a run on the backend of this process.

    python few_steps.py ORDER FILE

ORDER is a JSON object with `config` and `cache_dir`; FILE gets what `few_steps` returns.
"""

import itertools
import json
import sys

import numpy as np

from ablation.data import cache
from ablation.training.train import compiled_model, open_batches
from ablation.typed_config import typed_config

STEPS = 5


def few_steps(config, cache_dir):
    """Trains; returns every weight before and after by its path, and the mean losses so far."""
    data = cache.prepare(config.dataset, cache_dir, lambda *_: None)
    batches, _ = open_batches(config, data)
    model = compiled_model(config, data, STEPS)
    before = _weights(model, "before")
    losses = [
        model.train_on_batch(*batch)[0] for batch in itertools.islice(batches.epoch(0), STEPS)
    ]
    return before | _weights(model, "after") | {"losses": np.array(losses)}


def _weights(model, when):
    return {f"{when}/{weight.path}": weight.numpy() for weight in model.weights}


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    np.savez(sys.argv[2], **few_steps(typed_config(order["config"]), order["cache_dir"]))

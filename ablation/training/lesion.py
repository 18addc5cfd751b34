"""The child process that switches parts off after training: `python -m ablation.training.lesion`.

The order is JSON: the configuration of the trained run, its directory, and for
each lesion the levels of the parts and a folder. Nothing is trained: the lesioned network has the
trained weights of every layer that is left, and is judged by the validation inputs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablation.config import Config
from ablation.data import cache
from ablation.networks.build import build
from ablation.networks.own import RefusedError
from ablation.networks.pairing import transplant
from ablation.orders import obey
from ablation.records import saves, store
from ablation.training.train import open_batches, set_up
from ablation.typed_config import typed_config


def work(line: str) -> tuple[int, str]:
    """Judges the lesions that a line orders; returns the exit code, and no answer."""
    order = json.loads(line)
    config, directory = typed_config(order["config"]), Path(order["directory"])
    set_up(config)
    data = cache.find(config.dataset, config.cache_dir)
    assert data
    weights = saves.kept_weights(directory / "weights")[config.epochs]
    for one in order["lesions"]:
        folder = Path(one["folder"])
        store.make_directory(folder)
        store.write_json(folder / "result.json", _judged(config, data, weights, one, folder))
    return 0, ""


def _judged(
    config: Config, data: cache.Cache, weights: Path, one: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Returns what a lesioned network scores, or why there is none; keeps what it predicts."""

    def built(parts: dict[str, Any]) -> keras.Model:
        return build(
            config.arch,
            data.input_shape,
            len(data.meta["classes"]),
            seed=config.seed,
            vocabulary=data.meta.get("vocabulary"),
            **parts,
        )

    try:
        lesioned = built(one["parts"])
    except RefusedError as refusal:
        return {"unfit": str(refusal)}
    trained = built(config.parts)
    trained.load_weights(weights)
    if reason := transplant(lesioned, trained):
        return {"unfit": reason}
    _, batches = open_batches(config, data)
    labels, outputs = [], []
    for inputs, of_batch in batches:
        outputs.append(keras.ops.convert_to_numpy(lesioned.predict_on_batch(inputs)))
        labels.append(of_batch)
    target = data.target(config.dataset)
    found = np.concatenate(labels), np.concatenate(outputs).astype(np.float32)
    store.write_arrays(folder / "predictions.npz", target.packed(*found))
    scores = {f"val_{name}": float(value) for name, value in target.judged(*found).items()}
    return scores | target.result(*found)


if __name__ == "__main__":
    sys.exit(obey(work))

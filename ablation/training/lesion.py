"""The child process that switches parts off after training: `python -m ablation.training.lesion`.

The order is a `LesionOrder`. Nothing is trained: the lesioned network has the trained weights of
every layer that is left, and is judged by the validation inputs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablation.config import Config, UserError
from ablation.data import cache
from ablation.networks.build import build
from ablation.networks.own import RefusedError
from ablation.networks.pairing import transplant
from ablation.orders import obey, read_lesion_order
from ablation.records import durable, saves
from ablation.training.changed import changed
from ablation.training.train import open_batches, set_up


def work(line: str) -> tuple[int, str]:
    """Judges lesions; returns 0 and why some could not be, or 1 and why none could.

    Args:
        line: a `LesionOrder`.

    Returns:
        The exit code, and as the answer a JSON object of reasons by folder, or one reason.
    """
    order = read_lesion_order(line)
    config = order.run.config
    data = cache.find(config.dataset, config.cache_dir)
    if data is None:
        return 1, "its data set was removed from cache_dir"
    if what := changed(order.run, data.fingerprint):
        return 1, f"{what} changed after it was trained"
    set_up(config)
    weights = saves.kept_weights(order.run.directory / "weights")[config.epochs]
    reasons = {}
    for folder, parts in order.lesions.items():
        try:
            found = _judged(config, data, weights, parts, Path(folder))
        except UserError as error:  # Of this network alone.
            reasons[folder] = str(error)
        else:
            durable.make_directory(Path(folder))
            durable.write_json(Path(folder) / "result.json", found)
    return 0, json.dumps(reasons)


def _judged(
    config: Config, data: cache.Cache, weights: Path, parts: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Returns what a lesioned network scores, or why there is none; keeps what it predicts."""

    def built(levels: dict[str, Any]) -> keras.Model:
        return build(
            config.arch,
            data.input_shape,
            len(data.meta["classes"]),
            seed=config.seed,
            vocabulary=data.meta.get("vocabulary"),
            **levels,
        )

    try:
        lesioned = built(parts)
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
    durable.make_directory(folder)
    durable.write_arrays(folder / "predictions.npz", target.packed(*found))
    scores = {f"val_{name}": float(value) for name, value in target.judged(*found).items()}
    return scores | target.result(*found)


if __name__ == "__main__":
    sys.exit(obey(work))

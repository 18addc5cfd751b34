"""A run left alone, and the same one stopped after its first epoch and resumed.

    python stopped_and_resumed.py CONFIG ROOM

CONFIG is a JSON object; ROOM gets the two runs' directories. Their results go to standard output.
"""

import json
import sys
from pathlib import Path

from ablation.data import cache
from ablation.training import train
from ablation.typed_config import typed_config


class StoppedError(Exception):
    pass


class StopsAfterOneEpoch(train.Progress):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise StoppedError


def stopped_and_resumed(config, room):
    """Trains two runs of at least two epochs; returns both results, the resumed run's last."""
    data = cache.prepare(config.dataset, config.cache_dir, lambda *_: None)
    for name in ("untouched", "stopped"):
        (room / name).mkdir()
    untouched = train.train(config, data, room / "untouched")
    usual, train.Progress = train.Progress, StopsAfterOneEpoch
    try:
        train.train(config, data, room / "stopped")
    except StoppedError:
        train.Progress = usual
    return untouched, train.train(config, data, room / "stopped")


if __name__ == "__main__":
    typed = typed_config(json.loads(sys.argv[1]))
    json.dump(stopped_and_resumed(typed, Path(sys.argv[2])), sys.stdout)

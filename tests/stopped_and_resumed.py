"""A run left alone, and the same one stopped later than its last checkpoint and resumed.

    python stopped_and_resumed.py CONFIG ROOM

CONFIG is a JSON object; ROOM gets the two runs' directories. Their results go to standard output.
"""

import json
import sys
from pathlib import Path

from ablation.data import cache
from ablation.training import spacing, train
from ablation.typed_config import typed_config


class StoppedError(Exception):
    pass


class Stops(train.Progress):
    """Stops a run before its last epoch ends, if only the first one was saved."""

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if epoch + 1 == self.params["epochs"]:
            raise StoppedError


def stopped_and_resumed(config, room):
    """Trains two runs of at least two epochs; returns both results, the resumed run's last."""
    data = cache.prepare(config.dataset, config.cache_dir, lambda *_: None)
    for name in ("untouched", "stopped"):
        (room / name).mkdir()
    untouched = train.train(config, data, room / "untouched")
    usual, train.Progress = train.Progress, Stops
    share, spacing.SHARE = spacing.SHARE, 1e-9  # The first epoch alone is saved.
    try:
        train.train(config, data, room / "stopped")
    except StoppedError:
        train.Progress, spacing.SHARE = usual, share
    return untouched, train.train(config, data, room / "stopped")


if __name__ == "__main__":
    typed = typed_config(json.loads(sys.argv[1]))
    json.dump(stopped_and_resumed(typed, Path(sys.argv[2])), sys.stdout)

"""A run left alone, and the same one stopped later than its last checkpoint and resumed.

    python stopped_and_resumed.py CONFIG ROOM

CONFIG is a JSON object; ROOM gets the runs' directories. Their results go to standard output.
"""

import contextlib
import itertools
import json
import sys
from pathlib import Path
from unittest import mock

from ablation.data import cache
from ablation.training import spacing, train
from ablation.typed_config import typed_config


class StoppedError(Exception):
    pass


class StopsAfter(train.Progress):
    """Stops a run before its last epoch ends."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch + 1 == self.params["epochs"]:
            raise StoppedError


class StopsWithin(train.Progress):
    """Stops a run after four steps of its second epoch, which may be its last."""

    def on_train_batch_end(self, batch, logs=None):
        if self._place.epoch == 1 and batch == 3:
            raise StoppedError


def stopped_and_resumed(config, room):
    """Trains runs of at least two epochs and five steps an epoch.

    Returns the results of one that was left alone, of one that was stopped after the checkpoint of
    its first epoch, and of one whose checkpoint is of the second step of its second epoch.
    """
    data = cache.prepare(config.dataset, config.cache_dir, lambda *_: None)

    def trained(name):
        with contextlib.redirect_stdout(sys.stderr):  # Standard output is for the results.
            return train.train(config, data, room / name)

    for name in ("untouched", "stopped", "within"):
        (room / name).mkdir()
    untouched = trained("untouched")
    first = mock.patch.object(spacing, "SHARE", 1e-9)  # The first epoch alone is saved.
    with mock.patch.object(train, "Progress", StopsAfter), first:
        _stopped(trained, "stopped")
    asked = itertools.count(1)
    # Asked after each step but the last of an epoch.
    second = mock.patch.object(spacing.Spacing, "due_within", lambda _: next(asked) == 6)
    no_other = mock.patch.object(spacing.Spacing, "due", lambda _: False)
    with mock.patch.object(train, "Progress", StopsWithin), second, no_other:
        _stopped(trained, "within")
    return untouched, trained("stopped"), trained("within")


def _stopped(trained, name):
    try:
        trained(name)
    except StoppedError:
        return
    raise AssertionError(f"{name} was not stopped")


if __name__ == "__main__":
    typed = typed_config(json.loads(sys.argv[1]))
    json.dump(stopped_and_resumed(typed, Path(sys.argv[2])), sys.stdout)

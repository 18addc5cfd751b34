"""What several test modules share beside fixtures."""

import os
import signal
import subprocess
import sys

from ablation import source
from ablation.networks import registry
from ablation.records import store
from ablation.records.store import Run


def run_of(config, fingerprint="data"):
    """Returns the run of a settled configuration."""
    return Run(config, registry.record(config), fingerprint)


def current_sources(study):
    """The sources of the users' own networks as the runs of a study have them."""
    found = {}
    for directory in store.run_directories(study):
        found |= source.code_by_name(store.Stored(directory).config())
    return found


def tiny(epochs):
    """Returns keys of a run of which two epochs take a second once TensorFlow is loaded."""
    return "arch=8", f"epochs={epochs}", "recipe.batch_size=256", "dataset.image_size=8"


TINY = tiny(epochs=2)


def start_sweep(*arguments, cwd, cache_dir, stderr=subprocess.DEVNULL):
    """Starts `python -m ablation` in a folder and leaves it running."""
    return subprocess.Popen(
        [sys.executable, "-m", "ablation", *arguments],
        cwd=cwd,
        env=os.environ | {"ABLATION_CACHE_DIR": str(cache_dir)},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
        start_new_session=True,
        # A suite that was started in the background ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def check_resumed(untouched, stopped, within):
    """Checks the results of `stopped_and_resumed`: where each went on, and that all are one."""
    starts = [
        (one["resumed_from_epoch"], one["resumed_from_step"])
        for one in (untouched, stopped, within)
    ]
    assert starts == [(0, 0), (1, 0), (1, 2)]
    for other in (stopped, within):
        for key in ("weights_sha256", "steps", "loss", "val_loss"):
            assert other[key] == untouched[key]

"""The share of a training step that waits for data: the step on the stream of a run and without.

    python benchmarks/feed.py [--rounds N] [--steps N]

One process a workload trains by turns on one batch that stays in memory and on the stream of
augmented batches that a run has. What the second takes longer is what data costs: waiting for a
batch, and the cores that make it. Images are noise.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from common import composed, machine, table

from ablation import environment

WORKLOADS = {
    "ResNet-20, 32x32, batch 128, crop_flip": ("20", 32, 128, ()),
    "ResNet-20, 32x32, batch 128, crop_flip, TrivialAugment, mixup": (
        "20",
        32,
        128,
        ("recipe.trivial_augment=true", "recipe.mixup=0.2"),
    ),
    "ResNet-34, 224x224, batch 32, crop_flip": ("34", 224, 32, ()),
}
"""The network, the height and width of its images in pixels, the images a step, and other keys."""

_BATCHES = 16


def main() -> None:
    """Runs the benchmark and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12, help="of each turn")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        print(json.dumps(_measure(json.loads(options.serve))))
        return
    print(f"{machine(('keras', 'tensorflow'))} {options.precision}, {options.rounds} rounds.\n")
    header = ["workload", "a batch is made in, ms", "step on one batch, ms"]
    header += ["step on the stream, ms", "share of the step that data costs, %", "rounds"]
    print(table(header, [_row(name, options) for name in WORKLOADS]))


def _row(name: str, options: argparse.Namespace) -> list[str]:
    arch, size, batch, keys = WORKLOADS[name]
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (batch * _BATCHES, size, size, 3), np.uint8)
        labels = rng.integers(0, 10, len(images))
        np.savez(Path(folder) / "noise.npz", x=images, y=labels)
        overrides = [f"arch={arch}", f"precision={options.precision}", "dataset=arrays"]
        overrides += [f"dataset.path={folder}/noise.npz", f"cache_dir={folder}/cache"]
        overrides += ["dataset.augment=crop_flip", f"recipe.batch_size={batch}", *keys]
        overrides += [f"threads={os.cpu_count()}"]
        order = {"overrides": overrides, "rounds": options.rounds, "steps": options.steps}
        done = subprocess.run(
            [sys.executable, __file__, "--serve", json.dumps(order)],
            env=environment.child(composed(overrides)),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout.splitlines()[-1])
    shares = [
        100 * (1 - alone / fed) for alone, fed in zip(found["alone"], found["fed"], strict=True)
    ]
    seconds = [found["made"], median(found["alone"]), median(found["fed"])]
    spread = f"{min(shares):.0f} to {max(shares):.0f}"
    return [name, *(f"{1000 * one:.1f}" for one in seconds), f"{median(shares):.0f}", spread]


def _measure(order: dict[str, Any]) -> dict[str, Any]:
    """Returns seconds: `made` a batch by itself, and the steps of each round `alone` and `fed`."""
    from ablation import backends
    from ablation.data import cache
    from ablation.training.callbacks import StepClock
    from ablation.training.feed import train_dataset
    from ablation.training.train import compiled_model, open_batches, set_up

    config = composed(order["overrides"])
    data = cache.prepare(config.dataset, config.cache_dir, lambda *_: None)
    set_up(config)
    batches, _ = open_batches(config, data)
    model = compiled_model(config, data, 10**6)
    begun = time.perf_counter()
    held = list(itertools.islice(batches.epoch(0), 8))
    made = (time.perf_counter() - begun) / len(held)
    steps = order["steps"]

    def turn(stream: Any) -> float:
        # The first step of a fit also starts the stream of its batches.
        clock = StepClock()
        model.fit(stream, steps_per_epoch=steps + 1, verbose=0, shuffle=False, callbacks=[clock])
        return fmean(clock.steps[1:])

    def alone() -> float:
        repeated = [held[0]] * (steps + 1)
        return turn(backends.current().dataset(lambda: iter(repeated), steps + 1))

    def fed() -> float:
        return turn(train_dataset(batches, range(-(-(steps + 1) // batches.steps_per_epoch))))

    alone()  # Which traces.
    rounds = [(alone(), fed()) for _ in range(order["rounds"])]
    return {"made": made, "alone": [one for one, _ in rounds], "fed": [one for _, one in rounds]}


if __name__ == "__main__":
    main()

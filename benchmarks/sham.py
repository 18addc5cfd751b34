"""How many of N small real studies find a sham significant, which should be one in twenty.

Every study has one arm and its sham at some seeds, on digits at 8x8. All of them are trained by one
command, so that a benchmark that is stopped goes on:

    python benchmarks/sham.py --studies 50 --seeds 5 --folder /tmp/sham
"""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from scipy.stats import binomtest

import ablation
from ablation.analysis.controls import control_effects

NET = """
import keras

def build(input_shape, classes):
    image = keras.Input(input_shape)
    x = keras.layers.Dense(32, activation="relu", name="hidden")(keras.layers.Flatten()(image))
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""


def main() -> None:
    """Trains the studies and prints how many shams were significant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("sham"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "net.py").write_text(NET)
    keys = ["arch=net.py:build", "dataset.image_size=8", "epochs=2", "study=sham"]
    seeds = f"seed=range({asked.studies * asked.seeds})"
    command = [sys.executable, "-m", "ablation", "-m", *keys, seeds, "control=sham"]
    subprocess.run(command, cwd=asked.folder, check=True)
    (whole,) = ablation.load(asked.folder / "runs" / "sham").comparisons()
    (sham,) = whole.controls
    significant, differences = 0, []
    for first in range(0, asked.studies * asked.seeds, asked.seeds):
        own = range(first, first + asked.seeds)
        runs, beside = (one[one["seed"].isin(own)] for one in (whole.runs, sham.runs))
        (effect,) = control_effects(
            replace(whole, runs=runs, controls=(replace(sham, runs=beside),))
        )
        significant += effect.concludes
        differences.append(100 * effect.mean)
    interval = binomtest(significant, asked.studies).proportion_ci()
    print(
        f"{significant} of {asked.studies} studies of {asked.seeds} seeds found the sham "
        f"significant ({100 * significant / asked.studies:.0f} %, 95 % interval "
        f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %); mean differences from "
        f"{min(differences):+.1f} to {max(differences):+.1f} points"
    )


if __name__ == "__main__":
    main()

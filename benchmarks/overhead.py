"""What a study costs beyond its training steps, part by part, and what two runs at a time gain.

    python benchmarks/overhead.py [--epochs N] [--parallel]

Trains the default study, `-m arch=34,50 plain=true,false` on digits, with more epochs, so that each
run takes a minute or more, and adds up what the runs recorded in `seconds_by_part`. With
--parallel it then trains the same study once more through joblib, two runs at a time.
"""

import argparse
import json
import tempfile
from pathlib import Path

from common import machine, measure, table

_STUDY = ("python", "-m", "ablation", "-m", "arch=34,50", "plain=true,false")
_PARTS = {
    "trace": "first steps: tracing",
    "build": "data opened, network built, checkpoint looked for",
    "validation": "validation",
    "epoch_ends": "history and checkpoint after each epoch",
    "end": "predictions, digests, counts",
}


def main() -> None:
    """Runs the benchmark and prints markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--parallel", action="store_true", help="also two runs at a time")
    options = parser.parse_args()
    print(machine(("tensorflow", "keras", "hydra-core")) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        alone, runs = _train(Path(folder), f"epochs={options.epochs}", "study=alone")
        print(_account(alone, runs))
        if options.parallel:
            words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
            together, _ = _train(Path(folder), f"epochs={options.epochs}", "study=together", *words)
            print(
                f"\nOne run at a time {alone:.0f} s, two at a time {together:.0f} s: "
                f"{alone / together:.2f} times as fast."
            )


def _train(folder: Path, *overrides: str) -> tuple[float, list[dict]]:
    """Trains the study; returns its wall time in seconds and the results of its runs."""
    study = next(word.removeprefix("study=") for word in overrides if word.startswith("study="))
    seconds = measure([*_STUDY, *overrides], folder).seconds
    files = sorted((folder / "runs" / study).glob("*/result.json"))
    return seconds, [json.loads(file.read_text()) for file in files]


def _account(wall: float, runs: list[dict]) -> str:
    """Returns a table of where the wall time of a study went."""
    parts = {part: sum(run["seconds_by_part"][part] for run in runs) for part in ("steps", *_PARTS)}
    lines = [("training steps", parts["steps"])]
    lines += [(words, parts[part]) for part, words in _PARTS.items()]
    rest = sum(run["seconds"] for run in runs) - sum(parts.values())
    lines.append(("start and end of fit", rest))
    lines.append(
        (
            "processes started, libraries imported, report",
            wall - sum(run["seconds"] for run in runs),
        )
    )
    lines.append(("the study", wall))
    rows = [[words, f"{s:.1f}", f"{s / parts['steps']:.3f}"] for words, s in lines]
    peaks = ", ".join(f"{run['peak_memory_bytes'] / 2**30:.2f}" for run in runs)
    header = [f"part, of {len(runs)} runs", "seconds", "over training steps"]
    return f"{table(header, rows)}\n\nPeak memory of each run, GiB: {peaks}."


if __name__ == "__main__":
    main()

"""The memory of a study that trains two runs at a time, over that of one at a time.

    python benchmarks/memory.py [--arch NAME ...]

Counts what a command and all of its processes hold, with pages that they share divided among those
that share them (the proportional set size of Linux), several times a second; the peak counts.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from common import machine, table

_KEYS = ("plain=true,false", "epochs=2", "study=main")
_AT_A_TIME = {1: (), 2: ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")}


def main() -> None:
    """Runs the benchmark and prints a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--arch", nargs="+", default=["20", "50"])
    options = parser.parse_args()
    print(machine(("keras", "tensorflow")) + "\n")
    rows = []
    for arch in options.arch:
        one, two = (_peak(arch, runs) / 2**30 for runs in (1, 2))
        rows.append([f"ResNet-{arch}", f"{one:.2f}", f"{two:.2f}", f"{two / one:.2f}"])
    header = ["digits, batch 64", "one run at a time, GiB", "two, GiB", "two over one"]
    print(table(header, rows))


def _peak(arch: str, at_a_time: int) -> int:
    """Returns the most that a study of two runs held at once, in bytes."""
    command = [sys.executable, "-m", "ablation", "-m", f"arch={arch}", *_KEYS]
    with tempfile.TemporaryDirectory() as folder:
        command += [*_AT_A_TIME[at_a_time], "threads=1"]
        with Path(folder, "said.txt").open("w") as said:
            study = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
            most = 0
            while study.poll() is None:
                most = max(most, _held(psutil.Process(study.pid)))
                time.sleep(0.2)
        if study.returncode:
            raise RuntimeError(Path(folder, "said.txt").read_text()[-2000:])
    return most


def _held(process: psutil.Process) -> int:
    """Returns the proportional set size of a process and of all that it has started, in bytes."""
    held = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            held += one.memory_full_info().pss
        except psutil.Error:  # It has ended.
            continue
    return held


if __name__ == "__main__":
    main()

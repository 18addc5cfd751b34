"""The benchmarks can be started; what they measure is in `benchmarks/README.md`."""

import json
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("common", "peers"))

_TRIED = """
import importlib, sys
sys.path.insert(0, "")  # Left out where PYTHONSAFEPATH is set.
from common import composed
assert composed(["arch=20", "dataset.augment=flip"]).arch == "20"
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    try:
        importlib.import_module(name).main()
    except SystemExit as end:
        assert not end.code, name
"""


def test_every_benchmark_has_help_and_a_configuration_to_train():
    tried = [sys.executable, "-c", _TRIED, *SCRIPTS]
    done = subprocess.run(tried, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == len(SCRIPTS) > 4


def test_the_step_that_is_compared_is_trained():
    """Of a small batch for a moment; the answers are memory, images a second, and memory."""
    order = {"kind": "ablation", "arch": "20", "size": 8, "batch": 4, "precision": "float32"}
    asked = f"{json.dumps(order | {'threads': 2, 'backend': 'tensorflow'})}\n0.1\nnull\n"
    served = [sys.executable, FOLDER / "throughput.py", "--serve"]
    # A script finds those beside it unless this is set.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(served, input=asked, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    (libraries, multiply_adds), rate, peak = map(json.loads, done.stdout.splitlines())
    assert multiply_adds == 2_535_040 and rate > 0 and peak > libraries


def test_make_bench_runs_what_is_there():
    made = (FOLDER.parent / "Makefile").read_text()
    named = {
        line.split("benchmarks/")[1].split(".py")[0]
        for line in made.splitlines()
        if "benchmarks/" in line and ".py" in line
    }
    assert named <= set(SCRIPTS)

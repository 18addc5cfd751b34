"""The benchmarks can be started; what they measure is in `benchmarks/README.md`."""

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


def test_make_bench_runs_what_is_there():
    made = (FOLDER.parent / "Makefile").read_text()
    named = {
        line.split("benchmarks/")[1].split(".py")[0]
        for line in made.splitlines()
        if "benchmarks/" in line and ".py" in line
    }
    assert named <= set(SCRIPTS)

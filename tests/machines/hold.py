"""Holds the lock of a run's folder, and says so by a file."""

import sys
import time
from pathlib import Path

from ablation.records import locks

directory, sign = map(Path, sys.argv[1:])
directory.mkdir(exist_ok=True)
lock = locks.run_lock(directory)  # Forgotten, it would be let go.
lock.acquire(blocking=False)
sign.touch()
time.sleep(10_000)

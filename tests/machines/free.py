"""Prints "free" once nobody trains a run any more, nothing if that takes longer than asked."""

import sys
import time
from pathlib import Path

from ablation.records import locks

directory, seconds = Path(sys.argv[1]), float(sys.argv[2])
begun = time.monotonic()
while not (is_free := locks.is_free(directory)) and time.monotonic() - begun < seconds:
    time.sleep(0.5)
print("free" if is_free else "")

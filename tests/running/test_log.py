"""A run's log is bounded, whatever its network prints."""

import re
import subprocess
import sys

from ablation.running import log

LINES = [f"line {place}" for place in range(1000)]


def _left_out(text):
    return int(re.search(r"--- ([\d,]+) bytes were left out here", text)[1].replace(",", ""))


def test_of_a_long_log_the_beginning_and_the_end_are_kept_and_what_is_left_out_is_counted(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text("\n".join(LINES) + "\n")
    size = path.stat().st_size
    log.bound(path, kept=200, at_most=size)
    assert path.read_text().splitlines() == LINES
    log.bound(path, kept=200, at_most=size - 1)
    first = path.read_text()
    lines = first.splitlines()
    assert lines[:3] == LINES[:3] and lines[-3:] == LINES[-3:]
    assert all(line in LINES or line.startswith("--- ") for line in lines)
    note = next(line for line in lines if line.startswith("--- "))
    assert len(first) < 500 and _left_out(first) + len(first) - len(note) - 1 == size
    # It goes on, and is cut again: one place says how much is left out in all.
    with path.open("a") as file:
        file.write("".join(f"{line} again\n" for line in LINES))
    whole = _left_out(first) + path.stat().st_size - len(note) - 1
    log.bound(path, kept=200, at_most=400)
    second = path.read_text()
    lines = second.splitlines()
    assert second.count("left out here") == 1
    assert lines[:3] == LINES[:3] and lines[-1] == "line 999 again"
    note = next(line for line in lines if line.startswith("--- "))
    assert _left_out(second) + len(second) - len(note) - 1 == whole


def test_one_endless_line_is_cut_too(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 10_000)
    log.bound(path, kept=200, at_most=400)
    content = path.read_bytes()
    assert len(content) < 600 and content.startswith(b"x" * 200) and content.endswith(b"x" * 200)
    assert _left_out(content.decode()) == 10_000 - 400
    with path.open("ab") as file:
        file.write(b"x" * 10_000)
    log.bound(path, kept=200, at_most=400)
    again = path.read_text()
    assert again.count("left out here") == 1 and _left_out(again) == 20_000 - 400


def test_a_log_that_is_gone_is_none(tmp_path):
    log.bound(tmp_path / "log.txt")
    assert not list(tmp_path.iterdir())


def test_what_a_process_and_its_children_print_is_bounded_while_they_print(tmp_path):
    code = f"""
import os, time
from pathlib import Path
from ablation.running import log
log._SECONDS = 0.05
path = Path({str(tmp_path / "log.txt")!r})
log.to(path, 1000, 4000)
print("begins", flush=True)
for step in range(100):
    os.write(2, b"a step of a network that prints each of them\\n" * 20)
    time.sleep(0.005)
time.sleep(0.3)
assert path.stat().st_size <= 4000, path.stat().st_size
print("ends", flush=True)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    text = (tmp_path / "log.txt").read_text()
    assert text.startswith("begins\n") and text.endswith("ends\n")
    assert _left_out(text) > 50_000

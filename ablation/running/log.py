"""A run's log, which does not grow without bound: of a long one its beginning and its end are kept.

What a process prints goes straight to the file, so that the last words of one that crashes are
there. A thread looks on once a second and takes the middle out of a file that has become too long.
"""

import contextlib
import os
import re
import sys
import threading
from pathlib import Path

KEPT = 2**20
"""Bytes of the beginning, and as many of the end, that are kept of a long log."""

AT_MOST = 4 * KEPT
"""Bytes above which the middle is taken out."""

_SECONDS = 1.0
_NOTE = "--- {:,} bytes were left out here, of a log that had grown too long\n"
_NOTED = re.compile(rb"^--- ([\d,]+) bytes were left out here.*\n", re.MULTILINE)


def to(path: Path, kept: int = KEPT, at_most: int = AT_MOST) -> None:
    """Sends everything that this process and its libraries print to a file, and bounds it.

    Args:
        path: of the log, to which is added.
        kept: see `bound`.
        at_most: see `bound`.

    Raises:
        OSError: the file cannot be opened.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(opened, stream.fileno())
    os.close(opened)
    threading.Thread(target=_look_on, args=[path, kept, at_most], daemon=True).start()


def _look_on(path: Path, kept: int, at_most: int) -> None:
    pause = threading.Event()
    while not pause.wait(_SECONDS):
        bound(path, kept, at_most)


def bound(path: Path, kept: int = KEPT, at_most: int = AT_MOST) -> None:
    """Takes the middle out of a log that is too long, and says so in its place.

    What is printed at that very moment may be lost with it.

    Args:
        path: of the log; nothing happens if it is gone or cannot be written.
        kept: bytes of the beginning, and of the end.
        at_most: bytes that a log may have.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_size > at_most:
            _cut(path, kept)


def _cut(path: Path, kept: int) -> None:
    with path.open("r+b") as file:
        head = file.read(kept + len(_NOTE) + 100)
        noted = _NOTED.search(head)
        begin = noted.start() if noted else head.rfind(b"\n", 0, kept) + 1 or kept
        known = noted.end() if noted else begin
        end = file.seek(-kept, os.SEEK_END)
        tail = file.read()
        line = tail.find(b"\n", 0, kept // 2) + 1
        left_out = end + line - known
        if noted:
            left_out += int(noted[1].replace(b",", b""))
        file.seek(begin)
        # The note has a line of its own even where nobody else has ended one.
        before = b"" if noted or head[:begin].endswith(b"\n") else b"\n"
        file.write(before + _NOTE.format(left_out).encode() + tail[line:])
        file.truncate()

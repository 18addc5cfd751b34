"""Which files code opens and which folders it lists, as far as Python itself does it."""

import contextlib
import functools
import hashlib
import importlib
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NOT_DATA = ("/proc/", "/sys/", "/dev/")
_WRITES = os.O_WRONLY | os.O_RDWR
_LISTS = ("os.listdir", "os.scandir")
_IMPORTING = ("<frozen importlib", *importlib.__path__, pkgutil.__file__)
"""How files of Python begin that list folders to find modules."""

_watching: list[dict[Path, bool]] = []
_noted: dict[Path, str] = {}


@contextlib.contextmanager
def watched(opened: dict[Path, bool]) -> Iterator[None]:
    """Notes which files are opened and which folders listed, and whether all of it only reads.

    What Python itself does not open, such as what a library in C reads, it does not see; nor is
    what belongs to Python or a package noted.

    Args:
        opened: gets them.
    """
    _watch()
    _watching.append(opened)
    try:
        yield
    finally:
        _watching[:] = [one for one in _watching if one is not opened]
    for path in [path for path in opened if not path.is_file() and not path.is_dir()]:
        del opened[path]


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Keeps the digests of the files that are only read meanwhile; see `digests`."""
    opened: dict[Path, bool] = {}
    try:
        with watched(opened):
            yield
    finally:
        for path in (path for path, only_read in opened.items() if only_read and path.is_file()):
            with contextlib.suppress(OSError):
                _noted[path] = hashlib.sha256(path.read_bytes()).hexdigest()


def digests(root: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file that this process has `noted`.

    Args:
        root: a folder; files below it are named by their path from there.
    """
    real = Path(os.path.realpath(root))
    names = {path: path.relative_to(real) if path.is_relative_to(real) else path for path in _noted}
    return {names[path].as_posix(): _noted[path] for path in sorted(_noted)}


@functools.cache
def _watch() -> None:
    """Begins to see what is opened; a hook that is added once can never be taken away."""
    paths = {*sysconfig.get_paths().values(), sys.prefix}
    left_out = (*_NOT_DATA, *(os.path.realpath(path) + os.sep for path in paths))

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if not _watching or event not in ("open", *_LISTS):
            return
        writes = False
        if event == "open":
            path, mode, flags = arguments
            writes = bool((flags or 0) & _WRITES) or any(one in (mode or "") for one in "wax+")
        else:
            path = os.curdir if arguments[0] is None else arguments[0]
            caller = sys._getframe().f_back
            if caller and caller.f_code.co_filename.startswith(_IMPORTING):
                return
        if not isinstance(path, str | bytes):  # A number is of a file that was opened before.
            return
        real = os.path.realpath(os.fsdecode(path))
        if f"{real}{os.sep}".startswith(left_out) or real.endswith((".py", ".pyc")):
            return
        for opened in _watching:
            opened[Path(real)] = opened.get(Path(real), True) and not writes

    sys.addaudithook(see)

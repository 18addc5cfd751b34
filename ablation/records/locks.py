"""Locks that a process holds on a file and lets go of when it dies."""

import errno
import os
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ablation.config import UserError

_LOCK = ".lock"


def run_lock(directory: Path) -> FileLock:
    """Returns the lock that whoever trains a run holds; a process that dies lets go of it."""
    return lock(directory / _LOCK)


class _Lock(FileLock):
    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().acquire(*args, **kwargs)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                raise
            raise UserError(
                f"{Path(self.lock_file).parent} lies on a file system without locks "
                f"({os.strerror(error.errno)}), where two commands could write one file; "
                "name a folder on another with runs_dir=DIR or cache_dir=DIR."
            ) from None


def lock(path: Path) -> FileLock:
    """Returns a lock that ends with its process.

    To acquire it raises UserError where the file system has no such locks.
    """
    # A file that only exists, to which it would fall back, outlives a process that is killed.
    return _Lock(path, fallback_to_soft=False)


def is_free(directory: Path) -> bool:
    """Returns whether nobody trains this run at the moment."""
    if not (directory / _LOCK).exists():
        return True
    try:
        with run_lock(directory).acquire(blocking=False):
            return True
    except Timeout:
        return False

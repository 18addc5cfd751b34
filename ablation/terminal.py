"""What a user should not see on a terminal."""

import os
from pathlib import Path


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without its greeting.

    It greets every import with lines about its build, and some of them come before it reads the
    log level, so standard error is closed for that while.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)

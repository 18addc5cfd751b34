"""What a user should not see on a terminal."""

import importlib
import os
from pathlib import Path


def import_quietly(framework: str) -> None:
    """Imports TensorFlow or JAX without its greeting.

    TensorFlow greets every import with lines about its build, and some of them come before it
    reads the log level, so standard error is closed for that while.

    Args:
        framework: "tensorflow" or "jax".
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        importlib.import_module(framework)
    finally:
        os.dup2(kept, 2)
        os.close(kept)

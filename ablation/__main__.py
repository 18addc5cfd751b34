"""The command line: `python -m ablation`. See `python -m ablation --help`."""

import difflib
import os
import signal
import sys
from dataclasses import asdict

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ablation.config import CONF_DIR, Config, UserError, flatten
from ablation.sweep import EXIT_USER_ERROR, command_line, job

EXIT_INTERRUPTED = 130


def main() -> int:
    """Runs the command line; returns the exit code."""
    # Hydra then passes its errors on, which `_explain` puts in one line.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
    except UserError as error:
        print(f"ablation: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except (HydraException, OmegaConfBaseException) as error:
        print(f"ablation: {_explain(error)}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished epochs are kept; the same command goes on from there:\n"
            f"    {command_line()}",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return 0


def _explain(error: Exception) -> str:
    """Says in one line what is wrong with a command and what is allowed."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    first = str(error).strip().split("\n")[0]
    if key and isinstance(cause, ConfigKeyError | ConfigAttributeError):
        keys = list(flatten(asdict(Config())))
        close = difflib.get_close_matches(key, keys, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        return f"unknown key {key}.{hint} Keys: {', '.join(keys)}. See python -m ablation --help."
    if isinstance(error, MissingConfigException):
        options = ", ".join(error.options or [])
        return f"{first.rstrip('.')}. Allowed: {options}."
    return f"{first} {str(cause).strip().split(chr(10))[0]}" if cause is not error else first


if __name__ == "__main__":
    sys.exit(main())

"""The command line: `python -m ablation`. See `python -m ablation --help`."""

import os
import signal
import sys

import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ablation.config import CONF_DIR, UserError, explain
from ablation.sweep import command_line, job
from ablation.terminal import EXIT_INTERRUPTED, EXIT_USER_ERROR


def main() -> int:
    """Runs the command line; returns the exit code."""
    if {"-m", "--multirun"} & set(sys.argv) and {"-c", "--cfg", "-i", "--info"} & set(sys.argv):
        print(
            "ablation: --cfg and --info show the configuration of one run; leave out -m.",
            file=sys.stderr,
        )
        return EXIT_USER_ERROR
    # Hydra then passes its errors on, which `explain` puts in one line.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"ablation: {explain(error)}", file=sys.stderr)
        return EXIT_USER_ERROR
    except OSError as error:
        print(
            f"ablation: {error}. What is finished is intact; the same command goes on:\n"
            f"    {command_line()}",
            file=sys.stderr,
        )
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished epochs are kept; the same command goes on from there:\n"
            f"    {command_line().replace(' rerun=all', '')}",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())

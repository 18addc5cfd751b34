"""The command line: `python -m ablation`. See `python -m ablation --help`."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import os
import signal
import sys
from pathlib import Path

from ablation.terminal import (
    EXIT_INTERRUPTED,
    EXIT_RUNS_MISSING,
    EXIT_USER_ERROR,
    accept_any_text,
    close_output,
    say,
)

_SHOWING = {"-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info"}
"""Options with which nothing is trained."""


def main() -> int:
    """Runs the command line; returns the exit code."""
    accept_any_text()
    os.environ["MPLBACKEND"] = "agg"  # Figures are files, whatever windows the user has.
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        # There is nothing to say yet, and an import may swallow a KeyboardInterrupt.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from ablation.command import arranged, parser
    from ablation.config import CONF_DIR, UserError
    from ablation.running.launching import job
    from ablation.running.sweep import command_line
    from ablation.validation import explain

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not os.environ.get("ABLATION_CACHE_DIR", "").strip():
        os.environ.pop("ABLATION_CACHE_DIR", None)  # Set to nothing is as good as not set.
    if "--version" in sys.argv:
        print(parser.version())
        return 0
    if sys.argv[1:] == ["guide"]:
        say(parser.guide().rstrip("\n"))
        return 0
    words = sys.argv[1:]
    command_line()  # Kept before the words are rewritten for Hydra.
    try:
        _check_working_folder()
        sys.argv[1:] = arranged(sys.argv[1:])
        # Hydra then passes its errors on, which `explain` puts in one line.
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="config")(job)()
        sys.stdout.flush()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"ablation: {explain(error)}", file=sys.stderr)
        return EXIT_USER_ERROR
    except BrokenPipeError:
        close_output()
        if not _SHOWING & {*words}:
            print(f"ablation: nobody reads the output. {_goes_on(words)}", file=sys.stderr)
        return EXIT_RUNS_MISSING
    except OSError as error:
        print(f"ablation: {error}. {_goes_on(words)}".rstrip(), file=sys.stderr)
        return EXIT_RUNS_MISSING
    except KeyboardInterrupt:
        print(f"\nStopped. {_goes_on(words)}".rstrip(), file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _goes_on(words: list[str]) -> str:
    """Returns how to go on with what a command has begun, "" if that is nothing."""
    from ablation.running.sweep import command_line

    if "plan=true" in words:
        return ""
    if "rerun=all" in words:
        return (
            "What was saved is kept. Runs that it had not come to have their earlier results; "
            f"rerun=all begins all anew:\n    {command_line()}\nWithout rerun=all it goes on with "
            "what is not complete."
        )
    return f"What was saved is kept; the same command goes on from there:\n    {command_line()}"


def _check_working_folder() -> None:
    from ablation.config import UserError

    try:
        Path.cwd()
    except OSError:
        raise UserError("the working folder is gone; change into one that exists.") from None


if __name__ == "__main__":
    sys.exit(main())

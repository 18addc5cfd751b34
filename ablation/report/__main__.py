"""`python -m ablation.report runs/main`: tables and figures anew, from what is stored."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import argparse
import os
import re
import sys
from functools import partial
from pathlib import Path

from ablation.config import UserError
from ablation.terminal import EXIT_USER_ERROR, accept_any_text

_EPILOG = """options are written as in the sweep:
  report.contrast=KEY      the factor whose levels are compared (plain)
  report.reference=LEVEL   the level that the others are compared with

examples:
  python -m ablation.report runs/main
  python -m ablation.report runs/main report.contrast=shortcut report.reference=zero_pad
  python -m ablation.report runs/before runs/after     what changed between two studies
"""

_OPTIONS = ("report.contrast", "report.reference")


def main() -> int:
    """Runs the command line; returns the exit code."""
    accept_any_text()
    os.environ["MPLBACKEND"] = "agg"  # Figures are files, whatever windows the user has.
    parser = argparse.ArgumentParser(
        prog="python -m ablation.report",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="+", metavar="FOLDER", help="a study's folder; two to compare them"
    )
    words = parser.parse_args().words
    options = dict(word.split("=", 1) for word in words if _is_option(word))
    folders = [word for word in words if not _is_option(word)]
    try:
        unknown = [key for key in options if key not in _OPTIONS]
        if unknown:
            raise UserError(f"unknown option {unknown[0]}. Allowed: {', '.join(_OPTIONS)}.")
        if len(folders) not in (1, 2):
            raise UserError(f"name one study, or two to compare them. Received: {len(folders)}.")
        _report(folders, options)
    except (UserError, OSError) as error:
        print(f"ablation.report: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return 0


def _is_option(word: str) -> bool:
    """Returns whether a word sets something; a folder's name may have an = too."""
    return bool(re.match(r"[\w.]+=", word)) and not Path(word).exists()


def _report(folders: list[str], options: dict[str, str]) -> None:
    # Imported here, so that a wrong word is answered at once.
    from ablation.report.compare import compare
    from ablation.report.write import write_report
    from ablation.study import load

    if len(folders) == 2:
        if options:
            raise UserError("options are for the report of one study, not for a comparison of two.")
        print(compare(load(folders[0]), load(folders[1])))
        return
    contrast = options.get("report.contrast", "plain")
    show = partial(print, flush=True)
    write_report(folders[0], contrast, options.get("report.reference"), tell=show)
    print(f"Report: {Path(folders[0]) / 'report.md'}")


if __name__ == "__main__":
    sys.exit(main())

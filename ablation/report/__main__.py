"""`python -m ablation.report runs/main`: tables and figures anew, from what is stored."""

import argparse
import sys
from pathlib import Path

from ablation.config import UserError
from ablation.report.write import write_report


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ablation.report", description=__doc__)
    parser.add_argument("study", nargs="+", help="a study's folder, such as runs/main")
    arguments = parser.parse_args()
    for directory in arguments.study:
        try:
            summary = write_report(directory)
        except (UserError, OSError) as error:
            print(f"ablation.report: {error}", file=sys.stderr)
            return 2
        print(f"{summary}\nReport: {Path(directory) / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

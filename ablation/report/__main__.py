"""`python -m ablation.report runs/main`: tables and figures anew, from what is stored."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import contextlib
import errno
import os
import re
import shlex
import sys
import webbrowser
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ablation.command import check_once
from ablation.command.characters import check_characters
from ablation.command.grammar import text_given
from ablation.command.loose import loose
from ablation.command.parser import Parser
from ablation.config import ReportConfig, UserError
from ablation.factors import spelled
from ablation.records import asked
from ablation.terminal import EXIT_RUNS_MISSING, exit_code, say
from ablation.validation import check_report

_EPILOG = """options are written as in the sweep; two studies take the first alone:
  report.metric=NAME       accuracy top5 macro_f1 balanced_accuracy log_loss calibration_error
                           mae rmse r2 (of values), mean_average_precision (of several labels),
                           or a function of your own, my_metrics.py:f
  report.margin=NUMBER     below which a difference does not matter, in the unit of the table
  report.sort=effect       orders the arms of a design by what they change (named)
  report.pdf=true          figures as PDF too, as LaTeX takes them (false)
  report.design=NAME       grid leave_one_out add_one both cumulative (the widest that is filled)
  report.contrast=KEY      the factor whose levels are compared (the first that
                           varies, parts first)
  report.reference=LEVEL   the level that the others are compared with

--check writes nothing: it holds the study against its claims, see docs/claims.md, and exits with 0
if all hold, with 1 if one fails or is open.

examples:
  python -m ablation.report runs/main --open
  python -m ablation.report runs/main report.contrast=norm report.reference=batch
  python -m ablation.report runs/main --check
  python -m ablation.report runs/before runs/after     what changed between two studies
"""

_USUAL = {f"report.{field.name}": spelled(field.default) for field in fields(ReportConfig)}
_OPTIONS = tuple(_USUAL)

_REPLACES = {
    "metric": ("margin",),
    "design": ("contrast", "reference"),
    "contrast": ("design", "reference"),
    "reference": ("design",),
}
"""What the study's command asked for and another choice leaves without a meaning."""


def main() -> int:
    """Runs the command line; returns the exit code."""
    return exit_code("ablation.report", _main)


def _main() -> int:
    os.environ["MPLBACKEND"] = "agg"  # Figures are files, whatever windows the user has.
    parser = Parser("ablation.report", __doc__, _EPILOG)
    parser.add_argument(
        "words", nargs="+", metavar="FOLDER", help="a study's folder; two to compare them"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--check", action="store_true", help="hold the study against its claims")
    # What argparse takes for options of its own may be one of ours with a dash too many.
    known, others = parser.parse_known_args()
    words, options = _sorted([*known.words, *others])
    folders = [str(Path(word).expanduser()) for word in words]
    if len(folders) not in (1, 2):
        raise UserError(f"name one study, or two to compare them. Received: {len(folders)}.")
    if known.check:
        return _check(folders, options, known.open)
    _report(folders, options, known.open)
    return 0


def _sorted(words: list[str]) -> tuple[list[str], dict[str, str | None]]:
    """Returns the folders, and the options with their values."""
    folders: list[str] = []
    options: dict[str, str | None] = {}
    for place, word in enumerate(words):
        key, is_pair, value = word.partition("=")
        if key in _OPTIONS and value:
            check_characters([word])
            check_once([one for one in words if one.partition("=")[0] == key])
            # A factor may have the level null; where it has none, it is the usual reference.
            is_level = key == "report.reference" and value == "null"
            options[key] = value if is_level else text_given(word)
        elif Path(word).expanduser().exists():
            folders.append(word)
        elif re.split(r"[=:]", word)[0] in _OPTIONS:
            raise loose(words, place)
        elif key.lstrip("-") in _OPTIONS and is_pair:
            raise UserError(f"{word} is written without dashes: {shlex.quote(word.lstrip('-'))}.")
        elif is_pair or word.startswith("-"):
            raise UserError(
                f"unknown option {word}, and no folder of that name. "
                f"Allowed: {', '.join(f'{key}=...' for key in _OPTIONS)}, --open, --check."
            )
        else:
            check_characters([word])
            folders.append(word)
    return folders, options


def _report(folders: list[str], options: dict[str, str | None], opens: bool) -> None:
    # Imported here, so that a wrong word is answered at once.
    from ablation.analysis.reading import load
    from ablation.report import PAGE, markdown
    from ablation.report.difference import difference
    from ablation.report.write import write_difference, write_report

    if len(folders) == 2:
        if left := [key for key in options if key != "report.metric"]:
            raise UserError(
                f"{left[0]} is for the report of one study; of two, report.metric=NAME alone is."
            )
        if Path(folders[0]).resolve() == Path(folders[1]).resolve():
            raise UserError(f"{' and '.join(folders)} are one folder; name two studies.")
        typed = _typed(options)
        one, other = (load(folder).measured(typed.metric) for folder in folders)
        found = difference(one, other)
        say(markdown.compared(found))
        with _writable(folders[1]):
            page = write_difference(one, other, found)
    else:
        typed = _typed(options)
        remembered = _remembered(Path(folders[0]), options)
        if remembered:
            asked_for = ", ".join(
                f"{key}={value} ({key}={_USUAL[key]} is the usual)"
                for key, value in remembered.items()
            )
            say(f"As the command that trained last asked: {asked_for}.")
            typed = _typed(remembered | options)
        with _writable(folders[0]):
            write_report(folders[0], typed, tell=say)
        say(f"Report: {Path(folders[0]) / 'report.md'}")
        page = Path(folders[0]) / PAGE
    say(f"Page:   {page}")
    if opens and not webbrowser.open(page.resolve().as_uri()):
        print("No browser could be started; open the page by its path.", file=sys.stderr)


@contextlib.contextmanager
def _writable(folder: str) -> Iterator[None]:
    """Raises UserError where a report cannot be written into its study, as on a read-only disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); copy the study to a folder that can "
            "be, and report that."
        ) from None


def _remembered(study: Path, options: dict[str, str | None]) -> dict[str, str | None]:
    """Returns the options of the command that trained last, where the typed ones leave them."""
    keys = {key.removeprefix("report.") for key in options}
    gone = {*keys, *(key for one in keys for key in _REPLACES.get(one, ()))}
    asked_for, usual = asdict(asked.report_options(study)), asdict(ReportConfig())
    return {
        f"report.{key}": spelled(value)
        for key, value in asked_for.items()
        if value != usual[key] and key not in gone
    }


def _check(folders: list[str], options: dict[str, str | None], opens: bool) -> int:
    """Prints what a study says to its claims; returns the exit code."""
    from ablation.analysis.claims import HOLDS, claimed
    from ablation.analysis.reading import load
    from ablation.report.cells import claim_cells

    if len(folders) != 1 or options or opens:
        raise UserError("--check takes one study and no other option.")
    found = claimed(load(folders[0]))
    if found.problem:
        raise UserError(found.problem)
    if not found.answers:
        raise UserError(
            f"{folders[0]} has no claims; write some into its claims.yaml, or name a file with "
            "claims=FILE in the command that trains it."
        )
    for claim, verdict, said, n in claim_cells(found).rows:
        print(f"{verdict}: {claim}: {said}{f' (n={n})' if n else ''}")
    return 0 if all(one.verdict == HOLDS for one in found.answers) else EXIT_RUNS_MISSING


def _typed(options: dict[str, str | None]) -> ReportConfig:
    """Returns the options as the configuration has them.

    Raises:
        UserError: a value is not allowed.
    """
    values: dict[str, Any] = {key.removeprefix("report."): text for key, text in options.items()}
    if values.get("margin") is not None:
        try:
            values["margin"] = float(values["margin"])
        except ValueError:
            raise UserError(
                f"report.margin={values['margin']} is no number, such as 0.5."
            ) from None
    if (pdf := values.get("pdf")) is not None:
        values["pdf"] = {"true": True, "false": False}.get(pdf.lower())
        if values["pdf"] is None:
            raise UserError(f"report.pdf={pdf} must be true or false.")
    typed = ReportConfig(**values)
    check_report(typed)
    return typed


if __name__ == "__main__":
    sys.exit(main())

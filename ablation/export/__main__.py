"""`python -m ablation.export runs/main tensorboard=logs`: a stored study for another tracker."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import importlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ablation.command.characters import check_characters
from ablation.command.grammar import text_given
from ablation.command.parser import Parser
from ablation.config import UserError, first_line
from ablation.terminal import counted, exit_code, open_console

if TYPE_CHECKING:
    from ablation.export.exported import ExportedRun, ExportedStudy, Written

_EPILOG = """where to:
  tensorboard=FOLDER       event files with curves and hyper-parameters, a folder a run
  mlflow=URI               a database, a server or a folder: sqlite:///runs.db http://... file:...
  mlflow.experiment=NAME   the experiment there (ablation)
  wandb=offline            files in ./wandb for wandb sync; wandb=online uploads them at once
  wandb.project=NAME       the project there (ablation)

examples:
  python -m ablation.export runs/main tensorboard=logs
  python -m ablation.export runs/main mlflow=sqlite:///runs.db
  python -m ablation.export runs/main wandb=offline wandb.project=shortcuts

The same command again adds what is new and changes nothing else.
"""

_TITLES = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "Weights & Biases"}
_FORMS = {
    "tensorboard": "tensorboard=FOLDER",
    "mlflow": "mlflow=URI",
    "mlflow.experiment": "mlflow.experiment=NAME",
    "wandb": "wandb=offline",
    "wandb.project": "wandb.project=NAME",
}
_OPTIONS = {"mlflow.experiment": "mlflow", "wandb.project": "wandb"}
_DEFAULT_NAME = "ablation"

_SETTINGS = {
    # A folder of files was asked for by name.
    "MLFLOW_ALLOW_FILE_STORE": "true",
    # What is silent for so long will stay so.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # What goes wrong is said in one line, and to the user alone.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}
"""Of the libraries, where the user has not set them."""


def main() -> int:
    """Runs the command line; returns the exit code."""
    return exit_code("ablation.export", _main)


def _main() -> int:
    parser = Parser("ablation.export", __doc__, _EPILOG)
    parser.add_argument(
        "words", nargs="+", metavar="FOLDER", help="the study's folder, and where to export it"
    )
    # What argparse takes for options of its own may be one of ours with a dash too many.
    known, others = parser.parse_known_args()
    folder, targets, options = _sorted([*known.words, *others])
    _export(folder, targets, options)
    return 0


def _sorted(words: list[str]) -> tuple[str, dict[str, str], dict[str, str]]:
    """Returns the study's folder, the targets and the options with their values."""
    folders: list[str] = []
    given: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in _FORMS and value:
            check_characters([word])
            if key in given:
                raise UserError(f"{key} is given twice: {given[key]} and {value}.")
            given[key] = text_given(word) or value
        elif Path(word).expanduser().exists():
            folders.append(word)
        else:
            _check_folder(word)
            folders.append(word)
    if len(folders) != 1:
        raise UserError(f"name one study, such as runs/main. Received: {len(folders)}.")
    targets = {key: value for key, value in given.items() if key in _TITLES}
    options = {key: value for key, value in given.items() if key in _OPTIONS}
    if not targets:
        raise UserError(
            "name where to export to: tensorboard=FOLDER, mlflow=URI or wandb=offline. "
            "See python -m ablation.export --help."
        )
    for key in options:
        if _OPTIONS[key] not in targets:
            raise UserError(f"{key} goes with {_FORMS[_OPTIONS[key]]}, which is not there.")
    return folders[0], targets, options


def _check_folder(word: str) -> None:
    """Raises UserError if a word that is no folder there is is meant for something else."""
    key = re.split(r"[=:]", word)[0]
    if key.lstrip("-") in _FORMS:
        if key.startswith("-") and word != key:
            raise UserError(f"{word} is written without dashes: {shlex.quote(word.lstrip('-'))}.")
        raise UserError(f"{word} is written as {_FORMS[key.lstrip('-')]}, in one word.")
    if "=" in word or word.startswith("-"):
        raise UserError(
            f"unknown target {word}, and no folder of that name. "
            f"Allowed: {', '.join(_FORMS.values())}."
        )
    check_characters([word])


def _export(folder: str, targets: dict[str, str], options: dict[str, str]) -> None:
    # Imported here, so that a wrong word is answered at once.
    from ablation.analysis.reading import load
    from ablation.export.exported import exported

    writers = {target: _writer(target) for target in targets}
    read = load(Path(folder).expanduser())
    study = exported(read)
    for problem in read.problems:
        print(f"ablation.export: {problem}", file=sys.stderr)
    for target, where in targets.items():
        names = [options.get(key, _DEFAULT_NAME) for key, of in _OPTIONS.items() if of == target]
        try:
            written = writers[target].export(study, where, *names, track=_track)
        except (FileExistsError, NotADirectoryError):
            raise UserError(f"{target}={where} is a file or lies in one; name a folder.") from None
        except OSError as error:
            raise UserError(f"{target}={where} cannot be written: {first_line(error)}") from None
        _tell(target, study, written)


def _writer(target: str) -> Any:
    """Returns the module that writes for a target.

    Raises:
        UserError: its library is not installed.
    """
    for key, value in _SETTINGS.items():
        os.environ.setdefault(key, value)
    try:
        return importlib.import_module(f"ablation.export.{target}")
    except ImportError as error:
        raise UserError(
            f"{target}=... needs {_TITLES[target]}, which cannot be imported "
            f"({first_line(error)}): pip install {target}."
        ) from None


def _track(runs: "Sequence[ExportedRun]") -> "Iterator[ExportedRun]":
    """Yields runs and shows on a terminal how many are done."""
    console = open_console(stderr=True)
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        yield from progress.track(runs)


def _tell(target: str, study: "ExportedStudy", written: "Written") -> None:
    count, without = len(study.runs), _without(study)
    print(
        f"{_TITLES[target]}: {counted(count, 'run')} of {study.name} in {written.place}, "
        f"{written.changed:,} written and {count - written.changed:,} as they were{without}. "
        f"To see them: {written.look}",
        flush=True,
    )


def _without(study: "ExportedStudy") -> str:
    """Returns what of a study is not exported, "" if all of it is."""
    left_out = []
    if study.tuning:
        left_out.append(counted(study.tuning, "tuning run"))
    if study.superseded:
        left_out.append(f"{counted(study.superseded, 'run')} of an earlier choice")
    return f"; left out: {' and '.join(left_out)}" if left_out else ""


if __name__ == "__main__":
    sys.exit(main())

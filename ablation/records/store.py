"""A run and its directory: its identity, its state, and what each file of it holds.

runs/<study>/<network>-<data set>-s<seed>-<8 hex of the identity>/, -t<seed>- of a tuning run,
<network>-draw1- of a sham control
    config.yaml      the resolved configuration
    status.json      state, attempt, start, end, reason, seconds
    history.csv      one row for each finished epoch
    result.json      final metrics, cost, budget spent, time, memory
    predictions.npz  what each validation image is taken for; see `predictions`
    diagnostics.csv  with diagnostics=true, one row for each epoch and layer with a kernel
    provenance.json  commit, source digest, package versions, hardware, command line
    progress.json    where a running run stands
    log.txt          what the training process printed, of much the beginning and the end
    checkpoint/      weights, optimizer and position when they were last saved, until complete
    weights/         with keep_checkpoints, the weights after every so many epochs and the last
    lesions/         with control=lesion, a folder for each part that was switched off
    source/          a user's own network as it was, with the local modules that it imports
    normalisation.npz  with keep_checkpoints, the scale and offset that make pixels inputs
"""

import contextlib
import csv
import functools
import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ablation import source
from ablation.config import CODE_KEY, RECORD_KEY, Config, expanded, first_line
from ablation.records import durable, locks
from ablation.records.identity import identity
from ablation.text import file_name, readable

PENDING, RUNNING, COMPLETE = "pending", "running", "complete"
FAILED, DIVERGED, INTERRUPTED = "failed", "diverged", "interrupted"
"""A run is interrupted if it was stopped from outside; the same command goes on with it."""

REFUSED = "refused"
"""The network's function has said that there is no such network."""

HISTORY_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)
"""Of a finished epoch: `loss` and `accuracy` are means over its training steps, `val_loss` and
`val_accuracy` follow it, `learning_rate` is that of the step to come, so 0 at the end of a cosine,
and `seconds` count steps and validation, without checkpoint and diagnostics."""

_OF_EVERY_HISTORY = ("epoch", "loss", "val_loss", "learning_rate", "seconds")


def history_columns(judged: Sequence[str]) -> tuple[str, ...]:
    """Returns the columns of `history.csv` of a run.

    Args:
        judged: those that its target has, see `Target.history`.
    """
    return ("epoch", *judged, "learning_rate", "seconds")


DIAGNOSTIC_COLUMNS = ("epoch", "layer", "depth", "kernel", "response_sd", "gradient_norm")

TUNING_SEEDS = 10**9
"""The first seed of tuning runs: theirs begin where those of reported runs end."""

_RUN_NAME = re.compile(r".+-s(\d+)-[0-9a-f]{8}")
_TUNING_NAME = re.compile(r".+-t\d+-[0-9a-f]{8}")
_RESULT_FILES = ("config.yaml", "history.csv", "provenance.json")
_ON_RECORD = ("place", "family", "parts", "source")
SOURCE = "source"
"""Where a run keeps the code of a user's network."""

LESIONS = "lesions"
"""Where a run keeps what its network says with a part switched off, a folder for each."""

_BLOCK = re.compile(r"(?<=\n)(?=\w+:)")
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Written in C where it was built.


@dataclass(frozen=True)
class NetworkRecord:
    """What is on record of a run's network.

    Attributes:
        name: for people: what the command calls it and the parts that set it apart.
        place: among others in a table.
        family: what it shares with those that differ in depth alone; a line may join them.
        identity: what identifies it; see `identity.identity`.
        parts: what a report must know of each of its parts; see `factors.of_parts`.
        source: the SHA-256 of the code of each of its modules, {} if it is the project's own.
    """

    name: str
    place: int
    family: str
    identity: dict[str, Any] = field(repr=False)
    parts: dict[str, dict[str, Any]] = field(repr=False)
    source: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Run:
    """One cell of a study at one seed, before, while and after it is trained.

    Attributes:
        config: the resolved configuration.
        network: what it trains.
        fingerprint: of the data, from its cache.
        code: of the user's other functions; see `source.codes`.
    """

    config: Config = field(repr=False)
    network: NetworkRecord
    fingerprint: str
    code: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    @cached_property
    def identity(self) -> str:
        """8 hex digits of the hash of all that decides the result."""
        return identity(self.config, self.network.identity, self.fingerprint, self.code)

    @property
    def sources(self) -> dict[str, dict[str, str]]:
        """The code of each function of the user's own, by the name that the command gives it."""
        return source.code_by_name(self.described)

    @property
    def described(self) -> dict[str, Any]:
        """What config.yaml holds: the configuration, and what is on record of the network."""
        network = {key: value for key, value in vars(self.network).items() if key in _ON_RECORD}
        code = {CODE_KEY: self.code} if self.code else {}
        return asdict(self.config) | {RECORD_KEY: network} | code

    @cached_property
    def name(self) -> str:
        """Name of the run's directory."""
        net = self.network.name
        dataset = file_name(self.config.dataset.name)
        seed = f"s{self.config.seed}"
        if self.config.tuning:
            seed = f"t{self.config.seed - TUNING_SEEDS}"
        if self.config.draw:
            net = f"{net}-draw{self.config.draw}"
        # The identity tells apart what the file name does not: it has the data set's name too.
        return f"{net}-{dataset}-{seed}-{self.identity}"

    @cached_property
    def directory(self) -> Path:
        """Where the run's files are."""
        return study_directory(self.config) / self.name


@dataclass(frozen=True)
class Status:
    """What `status.json` holds.

    Attributes:
        state: one of the states above.
        attempt: how often the run was started.
        start: of the latest attempt, ISO 8601, UTC.
        end: of the latest attempt, or None.
        reason: why it is not complete, or None.
        seconds: that the latest attempt took, which no change of the clock touches; None if nobody
            has seen its end.
    """

    state: str = PENDING
    attempt: int = 0
    start: str | None = None
    end: str | None = None
    reason: str | None = None
    seconds: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether the run came to an end of its own."""
        return self.state in (COMPLETE, FAILED, DIVERGED, REFUSED)

    @property
    def is_abandoned(self) -> bool:
        """Whether the run never began, or its process died without a word."""
        return self.state == PENDING or (self.state == INTERRUPTED and self.end is None)

    def begun(self) -> "Status":
        """Returns the status of the next attempt."""
        return Status(RUNNING, self.attempt + 1, start=now())

    def ended(
        self, state: str, reason: str | None = None, seconds: float | None = None
    ) -> "Status":
        """Returns the status after an attempt has come to an end, never before it began.

        Args:
            state: in which it ended.
            reason: why; it may quote any name, and is kept as a person can read it.
            seconds: that the attempt took.
        """
        return replace(
            self,
            state=state,
            end=max(now(), self.start or ""),
            reason=readable(reason) if reason else None,
            seconds=None if seconds is None else round(seconds, 3),
        )


def study_directory(config: Config) -> Path:
    """Returns the directory of the study that a configuration belongs to."""
    return expanded("runs_dir", config.runs_dir) / config.study


def run_directories(study: Path) -> list[Path]:
    """Returns the run directories of a study, by name; those of tuning runs are others."""
    return sorted(path for path in study.glob("*/") if _RUN_NAME.fullmatch(path.name))


def seeds(study: Path) -> set[int]:
    """Returns the seeds that a study has runs of, finished or not."""
    named = (_RUN_NAME.fullmatch(path.name) for path in run_directories(study))
    return {int(match[1]) for match in named if match}


def tuning_directories(study: Path) -> list[Path]:
    """Returns the directories of a study's tuning runs, by name."""
    return sorted(path for path in study.glob("*/") if _TUNING_NAME.fullmatch(path.name))


def last_changes(study: Path) -> dict[str, int]:
    """Returns when the state of each run of a study was last recorded, by the run's name."""
    found = {}
    for directory in (*run_directories(study), *tuning_directories(study)):
        with contextlib.suppress(OSError):
            found[directory.name] = (directory / "status.json").stat().st_mtime_ns
    return found


def without_runs(place: Path) -> str:
    """Returns in words what a place is instead of a study's folder with runs."""
    if not place.exists():
        return f"{place} is no folder; name a study's, such as runs/main"
    if not place.is_dir():
        return f"{place} is a file; name a study's folder, such as runs/main"
    if (place / "config.yaml").exists():
        return f"{place} is a run; name its study, {place.resolve().parent}"
    studies = [path.name for path in sorted(place.glob("*/")) if run_directories(path)]
    if studies:
        return (
            f"{place} holds studies, {', '.join(studies)}; name one, such as {place / studies[0]}"
        )
    return f"{place} holds no runs"


class Stored:
    """What a run's directory holds, each file read at most once and only when it is needed.

    Args:
        directory: of the run.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._contents: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """Returns a file's content; raises OSError if it cannot be read."""
        if name not in self._contents:
            self._contents[name] = (self._directory / name).read_bytes()
        return self._contents[name]

    def json(self, name: str) -> dict[str, Any]:
        """Returns a JSON object; raises OSError or ValueError with the file's name."""
        return durable.json_object(name, self.read(name))

    def config(self) -> Any:
        """Returns the content of `config.yaml`; raises OSError or YAMLError."""
        try:
            return read_yaml(self.read("config.yaml").decode())
        except UnicodeDecodeError as error:
            raise yaml.YAMLError(str(error)) from None

    @cached_property
    def status(self) -> Status:
        """The run's state as it really is.

        A directory without a status is pending. A run that claims to be running although nobody
        holds its lock is interrupted, and so is one with a damaged file: the same command repairs
        it.
        """
        try:
            status = Status(**self.json("status.json"))
        except FileNotFoundError:
            return Status()
        except (OSError, ValueError, TypeError) as error:
            return Status(INTERRUPTED, end="unknown", reason=f"damaged file ({first_line(error)})")
        if status.state == COMPLETE and self.damage:
            return replace(status, state=INTERRUPTED, reason=f"damaged file ({self.damage})")
        if status.state == RUNNING and locks.is_free(self._directory):
            return replace(status, state=INTERRUPTED, reason="stopped before its last epoch")
        return status

    @cached_property
    def damage(self) -> str | None:
        """Why the run's result cannot be relied on, None if it can."""
        try:
            for name, digest in self.json("result.json").get("files", {}).items():
                if hashlib.sha256(self.read(name)).hexdigest() != digest:
                    return f"{name} is not as it was written"
        except (OSError, ValueError) as error:
            return first_line(error)
        return None


def read_status(directory: Path) -> Status:
    """Returns a run's state as it really is, see `Stored.status`."""
    return Stored(directory).status


def file_digests(directory: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file that a result rests on, to be stored with the result."""
    return {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in _RESULT_FILES
    }


def read_yaml(text: str) -> Any:
    """Returns what `yaml.safe_load` returns, sooner if much of the text was seen before.

    Reading YAML is what takes longest in a large study, and its configurations differ in few lines.
    So the block of each top-level key is read once, wherever that is the same.

    Raises:
        YAMLError: it is no YAML.
    """
    try:
        blocks = [_read_block(block) for block in _BLOCK.split(text)]
    except yaml.YAMLError:
        blocks = []  # Such as an alias for what stands in another block.
    if not blocks or not all(isinstance(block, dict) for block in blocks):
        return _load_yaml(text)
    return {key: value for block in blocks for key, value in block.items()}


@functools.lru_cache(maxsize=4096)
def _read_block(text: str) -> Any:
    return _load_yaml(text)


def _load_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_YAML_LOADER)
    except yaml.YAMLError:
        # The one written in C takes no names that are no UTF-8.
        return yaml.load(text, Loader=yaml.SafeLoader)


def read_history(directory: Path) -> tuple[list[dict[str, Any]], bool]:
    """Returns the rows of a run's history, and whether the file is whole.

    Rows from the first damaged one on are left out; without a file there are none.
    """
    rows: list[dict[str, Any]] = []
    try:
        with (directory / "history.csv").open(newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                columns = dict.fromkeys([*(reader.fieldnames or ()), *_OF_EVERY_HISTORY])
                rows.append({key: float(row[key]) for key in columns})
                rows[-1]["epoch"] = int(rows[-1]["epoch"])
    except FileNotFoundError:
        return rows, True
    except (OSError, csv.Error, KeyError, TypeError, ValueError):
        return rows, False
    return rows, True


def write_status(directory: Path, status: Status) -> None:
    """Replaces a run's status."""
    durable.write_json(directory / "status.json", asdict(status))


def has_diagnostics(directory: Path) -> bool:
    """Returns whether a run was trained with `diagnostics=true`."""
    return (directory / "diagnostics.csv").exists()


def log_tail(directory: Path, lines: int) -> list[str]:
    """Returns the last lines of a run's log, none if it has no log."""
    try:
        text = (directory / "log.txt").read_text("utf-8", errors="backslashreplace")
    except OSError:
        return []
    return [line[:200] for line in text.splitlines()[-lines:]]


def forget(directory: Path) -> None:
    """Removes what earlier attempts stored, but for the log. The caller holds the run's lock."""
    for name in (
        "status.json",
        "result.json",
        "history.csv",
        "predictions.npz",
        "diagnostics.csv",
        "progress.json",
        "provenance.json",
        "normalisation.npz",
    ):
        (directory / name).unlink(missing_ok=True)
    for name in ("checkpoint", "weights", LESIONS):
        shutil.rmtree(directory / name, ignore_errors=True)


def now() -> str:
    """Returns the time as `Status` has it, ISO 8601 to the second, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")

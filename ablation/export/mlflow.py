"""A study as runs of MLflow: one for the study, and below it one for each run."""

import hashlib
import importlib
import math
import shlex
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from ablation.config import UserError, first_line
from ablation.export.exported import ExportedRun, ExportedStudy, Track, Written
from ablation.factors import spelled
from ablation.records import store

_OWN = "ablation."
"""What the tags of an export begin with."""

_STUDY, _RUN, _DIGEST = f"{_OWN}key", f"{_OWN}run", f"{_OWN}digest"
_PARENT = "mlflow.parentRunId"
_STATUS = {
    store.COMPLETE: "FINISHED",
    store.FAILED: "FAILED",
    store.DIVERGED: "FAILED",
    store.REFUSED: "FAILED",
    store.INTERRUPTED: "KILLED",
    store.RUNNING: "RUNNING",
    store.PENDING: "SCHEDULED",
}
_METRICS_AT_MOST, _PARAMS_AT_MOST = 900, 100
"""Of one request, which by MLflow's rules has no more parameters and at most 1,000 of both."""

_NAME_AT_MOST, _TAG_AT_MOST = 250, 5000
_PAGE = 1000
_SQLITE = "sqlite:///"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

Item = TypeVar("Item")


def export(study: ExportedStudy, uri: str, experiment: str, track: Track) -> Written:
    """Writes a study, but for what is there already.

    Args:
        study: what to write.
        uri: of the tracking server, database or folder.
        experiment: name of the experiment that the runs belong to.
        track: shows how far it is.

    Raises:
        UserError: MLflow cannot be reached or written.
    """
    client, number = _opened(uri, experiment)
    try:
        target = _Target(client, number, study)
        changed = sum(map(target.write, track(study.runs)))
    except (MlflowException, OSError) as error:
        raise _unusable(uri, error) from None
    return Written(changed, f"experiment {experiment} of {uri}", _look(uri, number))


def _opened(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """Returns a client, and the number of the experiment, which is made if there is none."""
    if ":" not in uri and Path(uri).suffix in (".db", ".sqlite", ".sqlite3"):
        raise UserError(f"mlflow={uri} would be a folder; a database is mlflow={_SQLITE}{uri}.")
    try:
        if uri.startswith(_DATABASES):
            # Without them MLflow would say that it knows no such place.
            importlib.import_module("sqlalchemy")
            importlib.import_module("alembic")
        if uri.startswith(_SQLITE):
            _check_sqlite(Path(uri.removeprefix(_SQLITE).partition("?")[0]))
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        return client, found.experiment_id if found else client.create_experiment(experiment)
    except Exception as error:  # Each kind of store has errors of its own.
        raise _unusable(uri, error) from None


def _check_sqlite(path: Path) -> None:
    """Opens a database, which MLflow would try for two minutes; raises OSError or sqlite3.Error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA schema_version")


def _unusable(uri: str, error: Exception) -> UserError:
    if isinstance(error, ImportError) and error.name in ("alembic", "sqlalchemy"):
        return UserError(f"mlflow={uri} needs {error.name}: pip install {error.name}.")
    if isinstance(error.__context__, RequestException):
        return UserError(f"mlflow={uri} does not answer. Is an MLflow server running there?")
    return UserError(f"mlflow={uri} cannot be used: {first_line(error)}")


def _look(uri: str, experiment: str) -> str:
    if uri.startswith(("http://", "https://")):
        return f"{uri.rstrip('/')}/#/experiments/{experiment}"
    command = f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
    # MLflow asks for that wherever a folder of files is its store.
    is_folder = uri.startswith("file:") or ":" not in uri
    return f"MLFLOW_ALLOW_FILE_STORE=true {command}" if is_folder else command


class _Target:
    """What an experiment has of a study already, and what is to be added.

    Args:
        client: of MLflow.
        experiment: its number.
        study: what to write.
    """

    def __init__(self, client: MlflowClient, experiment: str, study: ExportedStudy):
        self._client = client
        self._experiment = experiment
        # A name may hold quotes, for which a filter has no form.
        self._key = hashlib.sha256(study.name.encode()).hexdigest()[:16]
        self._known = {run.data.tags.get(_RUN, ""): run for run in self._found()}
        self._parent = self._written_parent(study)

    def _found(self) -> Iterator[Run]:
        """Yields the runs of the study that are there, the oldest last."""
        page = None
        while True:
            asked = f"tags.`{_STUDY}` = '{self._key}'"
            page = self._client.search_runs(
                [self._experiment], asked, max_results=_PAGE, page_token=page and page.token
            )
            yield from page
            if not page.token:
                return

    def _written_parent(self, study: ExportedStudy) -> str:
        """Returns the identifier of the study's own run, which says what is below it."""
        states = Counter(run.state for run in study.runs)
        tags = {
            _STUDY: self._key,
            f"{_OWN}study": study.name,
            f"{_OWN}runs": str(len(study.runs)),
            f"{_OWN}states": ", ".join(f"{states[state]} {state}" for state in sorted(states)),
        }
        start = min((run.start for run in study.runs if run.start), default=0.0)
        end = max((_end(run) for run in study.runs), default=0.0)
        found = self._known.get("")
        if not found:
            found = self._made(start, tags, study.name)
        self._tag(found, tags)
        if found.info.status != "FINISHED" or found.info.end_time != _ms(end):
            self._client.set_terminated(found.info.run_id, "FINISHED", _ms(end))
        return found.info.run_id

    def write(self, run: ExportedRun) -> bool:
        """Writes a run unless it is there as it is; returns whether it was written."""
        tags = {f"{_OWN}{key}": fact[:_TAG_AT_MOST] for key, fact in run.facts.items()}
        tags |= {_STUDY: self._key, _RUN: run.name, _PARENT: self._parent}
        found = self._known.get(run.name)
        if found and _has(found, {_DIGEST: run.digest, _PARENT: self._parent}):
            return False
        there = self._points(found, run) if found else {}
        if there is None:
            # MLflow adds points and parameters but takes none back.
            assert found
            self._client.delete_run(found.info.run_id)
            found = None
        if not found:
            found = self._made(run.start or 0.0, tags, run.name)
            there = {}
        assert there is not None
        self._log(found, run, there)
        if run.state in (store.RUNNING, store.PENDING):
            self._client.update_run(found.info.run_id, _STATUS[run.state])
        else:
            self._client.set_terminated(found.info.run_id, _STATUS[run.state], _ms(_end(run)))
        # The digest comes last, so that what was stopped midway is gone over again.
        self._tag(found, tags | {_DIGEST: run.digest})
        return True

    def _points(self, found: Run, run: ExportedRun) -> dict[str, set[int]] | None:
        """Returns the epochs that each metric has there, None if anything there is not the same."""
        expected, metrics = _parameters(run), _metrics(run)
        if any(expected.get(key, value) != value for key, value in found.data.params.items()):
            return None
        results = [name for name in found.data.metrics if name.startswith(("final/", "cost/"))]
        if not metrics.keys() >= set(results):
            return None
        there: dict[str, set[int]] = {}
        for name, points in metrics.items():
            known = {step: value for step, _, value in points}
            there[name] = set()
            # Of those that are no number now a server does not tell that they are there.
            for stored in self._client.get_metric_history(found.info.run_id, name):
                if not _alike(stored.value, known.get(stored.step)):
                    return None
                there[name].add(stored.step)
        return there

    def _log(self, found: Run, run: ExportedRun, there: Mapping[str, set[int]]) -> None:
        metrics = [
            Metric(name, value, _ms(time), step)
            for name, points in _metrics(run).items()
            for step, time, value in points
            if step not in there.get(name, ())
        ]
        params = [
            Param(key, value)
            for key, value in _parameters(run).items()
            if key not in found.data.params
        ]
        pairs = zip_longest(_divided(metrics, _METRICS_AT_MOST), _divided(params, _PARAMS_AT_MOST))
        for some, others in pairs:
            self._client.log_batch(
                found.info.run_id, metrics=some or (), params=others or (), synchronous=True
            )

    def _made(self, start: float, tags: Mapping[str, str], name: str) -> Run:
        return self._client.create_run(
            self._experiment, _ms(start), dict(tags), name[:_NAME_AT_MOST]
        )

    def _tag(self, found: Run, tags: Mapping[str, str]) -> None:
        """Sets the tags of an export; others are the user's."""
        before = found.data.tags
        new = [RunTag(key, tag) for key, tag in tags.items() if before.get(key) != tag]
        if new:
            self._client.log_batch(found.info.run_id, tags=new, synchronous=True)
        for key in before:
            if key.startswith(_OWN) and key not in tags:
                self._client.delete_tag(found.info.run_id, key)


def _has(found: Run, tags: Mapping[str, str]) -> bool:
    return all(found.data.tags.get(key) == tag for key, tag in tags.items())


def _parameters(run: ExportedRun) -> dict[str, str]:
    return {key: spelled(value) for key, value in run.hyperparameters.items()}


def _metrics(run: ExportedRun) -> dict[str, list[tuple[int, float, float]]]:
    """Returns (epoch, time, value) of each point of each metric."""
    found = {
        name: list(zip(run.epochs, run.clock, curve, strict=True))
        for name, curve in run.curves.items()
    }
    last = run.epochs[-1] if run.epochs else 0
    for name, number in (*run.final.items(), *run.cost.items()):
        found[name] = [(last, _end(run), number)]
    return found


def _alike(stored: float, value: float | None) -> bool:
    """Returns whether a stored number is what became of a value."""
    if value is None:
        return False
    if math.isnan(value):
        return math.isnan(stored)
    # A database has no infinity; MLflow puts the largest number in its place.
    return stored in (value, max(-sys.float_info.max, min(value, sys.float_info.max)))


def _end(run: ExportedRun) -> float:
    """Returns when a run ended, or what is known of that."""
    return run.end or (run.clock[-1] if run.clock else run.start or 0.0)


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _divided(items: Sequence[Item], at_most: int) -> Iterable[Sequence[Item]]:
    return (items[i : i + at_most] for i in range(0, len(items), at_most))

"""A study as runs of Weights & Biases, in a folder to be uploaded later or at once."""

import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from ablation.config import UserError, first_line
from ablation.export.exported import ExportedRun, ExportedStudy, Track, Written
from ablation.records import durable, store

_MODES = ("offline", "online")
_MARK = "ablation.json"
"""What an export leaves beside an offline run, to know it by."""

_NAME_AT_MOST, _TAG_AT_MOST = 128, 64
_SECONDS = 30
"""How long to wait for the server."""


def export(study: ExportedStudy, mode: str, project: str, track: Track) -> Written:
    """Writes a study, but for what is there already.

    Args:
        study: what to write.
        mode: "offline" or "online".
        project: that the runs belong to.
        track: shows how far it is.

    Raises:
        UserError: there is no such mode, nobody is logged in, or the server does not answer.
        OSError: the folder cannot be written.
    """
    if mode not in _MODES:
        raise UserError(f"wandb={mode} is no way to export. Allowed: {', '.join(_MODES)}.")
    home = Path(os.environ.get("WANDB_DIR") or Path.cwd())
    folder = Path(wandb.Settings(root_dir=str(home)).wandb_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # The library would take a temporary folder instead.
    try:
        target: _Offline | _Online
        if mode == "offline":
            target = _Offline(study, project, home, folder)
        else:
            target = _Online(study, project, home)
        changed = sum(map(target.write, track(study.runs)))
    except (wandb.Error, TimeoutError) as error:
        raise UserError(f"wandb={mode}: {first_line(error)}") from None
    return Written(changed, target.place, target.look)


class _Offline:
    """A folder of runs that wait for `wandb sync`.

    Args:
        study: what to write.
        project: that the runs belong to.
        home: where the folder lies.
        folder: of the runs.
    """

    def __init__(self, study: ExportedStudy, project: str, home: Path, folder: Path):
        self._study, self._project, self._home, self._folder = study, project, home, folder
        self.place = str(folder)
        runs = f"{shlex.quote(str(folder))}/offline-run-*"
        self.look = f"wandb sync {runs}, then the project {project}"

    def write(self, run: ExportedRun) -> bool:
        """Writes a run unless it is there as it is; returns whether it was written."""
        mark = {"project": self._project, "digest": run.digest}
        folders = self._folder.glob(f"offline-run-*-{_identifier(self._study, run)}")
        there = {path: _marked(path) for path in folders}
        # Those of other projects stay; what has no mark was not written to its end.
        own = [path for path, of in there.items() if of is None or of["project"] == mark["project"]]
        if len(own) == 1 and there[own[0]] == mark:
            return False
        for path in own:
            shutil.rmtree(path)
        # The library names a folder by the second, and would write into one of that name.
        while any(f"-{time.strftime('%Y%m%d_%H%M%S')}-" in path.name for path in there):
            time.sleep(0.1)
        written = _log(self._study, run, self._project, self._home, "offline")
        durable.write_json(written / _MARK, mark)
        return True


class _Online:
    """The runs of a project on the server.

    Args:
        study: what to write.
        project: that the runs belong to.
        home: where the library keeps copies.

    Raises:
        UserError: nobody is logged in, or the server does not answer.
    """

    def __init__(self, study: ExportedStudy, project: str, home: Path):
        self._study, self._project, self._home = study, project, home
        try:
            if not wandb.login(prompt=False):
                raise UserError("wandb=online needs an account; log in first: wandb login.")
            self._known = self._digests()
        except (OSError, UserError):
            raise
        except Exception as error:  # Those of a server that does not answer share no class.
            raise UserError(f"wandb=online: {first_line(error)}") from None

    def _digests(self) -> dict[str, str | None]:
        """Returns of what each run on the server is a copy, by its identifier."""
        api = wandb.Api(timeout=_SECONDS)
        self.place = f"the project {api.default_entity}/{self._project}"
        settings = wandb.Settings(entity=api.default_entity, project=self._project)
        self.look = settings.project_url
        found = api.runs(
            f"{api.default_entity}/{self._project}",
            filters={"group": self._study.name[:_NAME_AT_MOST]},
            per_page=1000,
            lazy=False,
        )
        try:
            return {one.id: one.config.get("ablation", {}).get("digest") for one in found}
        except ValueError:
            return {}  # There is no such project yet.

    def write(self, run: ExportedRun) -> bool:
        """Writes a run unless it is there as it is; returns whether it was written."""
        if self._known.get(_identifier(self._study, run)) == run.digest:
            return False
        # A run of the same identifier takes the place of the one before.
        _log(self._study, run, self._project, self._home, "online")
        return True


def _log(study: ExportedStudy, run: ExportedRun, project: str, home: Path, mode: Any) -> Path:
    """Writes a run; returns the folder that holds it."""
    settings = wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        init_timeout=_SECONDS,
        silent=True,
        # Of this machine, which is not the one that trained.
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    tags = dict.fromkeys(one[:_TAG_AT_MOST] for one in (run.state, run.dataset, run.arm) if one)
    live = wandb.init(
        config=_nested(run.hyperparameters) | {"ablation": run.facts | {"digest": run.digest}},
        dir=home,
        group=study.name[:_NAME_AT_MOST],
        id=_identifier(study, run),
        job_type=run.arm[:_TAG_AT_MOST],
        mode=mode,
        name=run.name[:_NAME_AT_MOST],
        notes=run.reason or None,
        project=project,
        settings=settings,
        tags=list(tags),
    )
    folder = Path(live.settings.sync_dir)
    code = 1
    try:
        live.define_metric("epoch")
        live.define_metric("*", step_metric="epoch")
        for place, (epoch, moment) in enumerate(zip(run.epochs, run.clock, strict=True)):
            row = {name: curve[place] for name, curve in run.curves.items()}
            since = moment - (run.start or 0.0)
            live.log({"epoch": epoch, "_timestamp": moment, "_runtime": since, **row}, step=epoch)
        live.summary.update({**run.final, **run.cost})
        code = 0 if run.state == store.COMPLETE else 1
    finally:
        live.finish(exit_code=code)
    return folder


def _identifier(study: ExportedStudy, run: ExportedRun) -> str:
    """Returns 16 hex digits by which a run of a study is known."""
    return hashlib.sha256(f"{study.name}/{run.name}".encode()).hexdigest()[:16]


def _marked(folder: Path) -> dict[str, Any] | None:
    try:
        return durable.read_json(folder / _MARK)
    except (OSError, ValueError):
        return None  # An export was stopped before it was done with the run.


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns dotted keys as nested ones, since a key of W&B must have no dot and is shown so."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        *groups, last = key.split(".")
        inside = found
        for group in groups:
            inside = inside.setdefault(group, {})
        inside[last] = value
    return found

"""What a sweep would do and how long it would take, without training anything."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ablation import backends, runner, store
from ablation.config import UserError, identity_keys
from ablation.store import Run

_WIDTH_OF_FILES = 140


def show(runs: Sequence[Run], rerun: str, workers: int) -> None:
    """Prints every run with its state, cost and estimated time, and the total.

    Args:
        runs: the runs of the sweep; their `threads` are those that they would get.
        rerun: which finished runs would be trained again.
        workers: runs that the launcher trains at a time.

    Raises:
        UserError: a few steps of a run could not be trained.
    """
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    measured: dict[str, dict[str, Any]] = {}
    table = Table(title=f"Plan of {store.study_directory(runs[0].config)}")
    for column in ("run", "would be", "parameters", "multiply-adds", "steps", "time", "memory"):
        left = column in ("run", "would be")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    total, due = 0.0, 0
    for run in runs:
        status = store.read_status(run.directory)
        trains = runner.is_due(status, rerun)
        if trains or status.state != store.COMPLETE:
            key = _network(run)
            if key not in measured:
                print(f"timing a few steps of {run.name}", file=sys.stderr)
                measured[key] = _measure(run)
            cost = measured[key]
        else:
            cost = store.read_json(run.directory / "result.json")
        epochs = _epochs_left(run, rerun) if trains else 0
        seconds = _seconds(cost, epochs) if trains else 0.0
        total, due = total + seconds, due + trains
        table.add_row(
            run.name,
            _action(status, trains, run.config["epochs"] - epochs),
            f"{cost['trainable']:,}",
            f"{cost['multiply_adds']:,}",
            f"{epochs * cost['steps_per_epoch']:,}",
            duration(seconds) if trains else "",
            f"{cost['peak_memory_bytes'] / 2**30:.1f} GiB" if trains else "",
        )
    console.print(table)
    together = f", {workers} at a time" if workers > 1 else ""
    seconds = total / max(1, min(workers, due))
    console.print(
        f"{due} of {len(runs)} runs to train{together}, about {duration(seconds)} in all."
    )


def duration(seconds: float) -> str:
    """Returns seconds as hours:minutes:seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _action(status: store.Status, trains: bool, finished: int) -> str:
    before = {store.FAILED: "failed before", store.DIVERGED: "diverged before"}
    if status.state in before:
        return f"trained again ({before[status.state]})" if trains else f"left ({status.state})"
    if not trains:
        return "reused"
    return f"continued after epoch {finished}" if finished else "trained"


def _network(run: Run) -> str:
    """Returns what the time of a step depends on: all keys but these."""
    keys = identity_keys(run.config)
    for key in ("seed", "epochs"):
        del keys[key]
    return json.dumps([keys, run.config["threads"]], sort_keys=True)


def _epochs_left(run: Run, rerun: str) -> int:
    saved = run.directory / "checkpoint"
    if rerun == "all" or not saved.is_dir():
        return run.config["epochs"]
    return run.config["epochs"] - max(store.checkpoints(saved), default=0)


def _seconds(cost: dict[str, Any], epochs: int) -> float:
    return (
        cost["start_seconds"]
        + epochs * cost["epoch_seconds"]
        + (epochs - 1) * cost["checkpoint_seconds"]
    )


def _measure(run: Run) -> dict[str, Any]:
    order = json.dumps({"config": run.config, "started": time.time()})
    child = subprocess.run(
        [sys.executable, "-m", "ablation.training.measure"],
        input=order,
        capture_output=True,
        text=True,
        env=backends.environment(run.config),
    )
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise UserError(f"{run.name} cannot be trained: {reason}")
    return json.loads(child.stdout)

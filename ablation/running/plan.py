"""What a sweep would do and how long it would take, without training anything."""

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from ablation import environment, machine, source
from ablation.config import UserError
from ablation.designs.seeds import AT_LEAST
from ablation.orders import MeasureOrder, written
from ablation.records import saves, store
from ablation.records.identity import identity_keys
from ablation.records.store import Run
from ablation.running import children, runner
from ablation.running.until import Buying
from ablation.terminal import counted, duration, open_console
from ablation.training import spacing
from ablation.validation import PRECISIONS

_WIDTH_OF_FILES = 140
_SHOWN_AT_MOST = 100
_TELLS = 1.1
"""How many times as long a few timed steps must take to tell which precision is the faster."""


@dataclass(frozen=True)
class _Row:
    """What would become of one run; times and steps are those that are left."""

    name: str
    action: str
    trains: bool
    steps: int
    seconds: float
    cost: dict[str, Any]

    def cells(self) -> list[str]:
        """Returns the row as text."""
        if not self.cost:
            return [self.name, self.action, *[""] * 5]
        return [
            self.name,
            self.action,
            f"{self.cost['trainable']:,}",
            f"{self.cost['multiply_adds']:,}",
            f"{self.steps:,}",
            duration(self.seconds) if self.trains else "",
            f"{self.cost['peak_memory_bytes'] / 2**30:.1f} GiB" if self.trains else "",
        ]


def show(
    runs: Sequence[Run],
    rerun: str,
    workers: int,
    at_most: bool = False,
    called: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Prints the runs with their state, cost and estimated time, and the total.

    Of very many it prints some, those that would be trained first, and counts the others.

    Args:
        runs: the runs of the sweep; their `threads` are those that they would get.
        rerun: which finished runs would be trained again.
        workers: runs that the launcher trains at a time.
        at_most: whether perhaps not all of them are trained.
        called: what tells runs from others beside their names, by name.

    Returns:
        The seconds of each run that is to be trained, by name.

    Raises:
        UserError: a few steps of no run could be trained.
    """
    console = open_console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    measured: dict[str, dict[str, Any]] = {}
    rows = [_row(run, rerun, measured) for run in runs]
    failed = [cost["failed"] for cost in measured.values() if "failed" in cost]
    if failed and len(failed) == len(measured):
        raise UserError(f"{runs[0].name} cannot be trained: {failed[0]}")
    table = Table(title=Text(f"Plan of {store.study_directory(runs[0].config)}"))
    for column in ("run", "would be", "parameters", "multiply-adds", "steps", "time", "memory"):
        left = column in ("run", "would be")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
        if column == "run" and called:
            table.add_column("arm", overflow="fold")
    due = [row for row in rows if row.trains]
    many = len(rows) > _SHOWN_AT_MOST
    ordered = [*due, *(row for row in rows if not row.trains)] if many else rows
    for row in ordered[:_SHOWN_AT_MOST]:
        name, *cells = row.cells()
        table.add_row(name, *([called.get(name, "")] if called else []), *cells)
    console.print(table)
    if many:
        counts = Counter(row.action for row in ordered[_SHOWN_AT_MOST:])
        others = ", ".join(f"{count:,} {action}" for action, count in counts.items())
        console.print(f"and {others}.", highlight=False)
    together = f", {workers} at a time" if workers > 1 else ""
    seconds = sum(row.seconds for row in due) / max(1, min(workers, len(due)))
    console.print(
        f"{'At most ' if at_most else ''}{len(due)} of {counted(len(runs), 'run')} to "
        f"train{together}, about {duration(seconds)} in all."
    )
    for line in (*_memory(due, workers), *_obsolete(runs)):
        console.print(line, highlight=False, soft_wrap=True)
    if due:
        training = [run for run, row in zip(runs, rows, strict=True) if row.trains]
        console.print(_faster_precision(training, measured), highlight=False, soft_wrap=True)
    return {row.name: row.seconds for row in due}


def until(
    buying: Buying, runs: Sequence[Run], seconds: Mapping[str, float], workers: int
) -> Iterator[str]:
    """Yields how many seeds will do of those that are trained until the questions are decided.

    Args:
        buying: that decides.
        runs: of all seeds that may be trained.
        seconds: of those that are to be trained, by name.
        workers: runs that the launcher trains at a time.
    """
    known = list(dict.fromkeys(run.config.seed for run in runs))

    def cost(count: int) -> str:
        those = [seconds.get(run.name, 0.0) for run in runs if run.config.seed in known[:count]]
        due = sum(one > 0 for one in those)
        return f"about {duration(sum(those) / max(1, min(workers, due)))}"

    bought = len({run.config.seed for run in buying.bought})
    expected = buying.expected()
    if expected > buying.at_most:
        yield (
            f"At the spread of the {counted(bought, 'seed')} there are, {buying.at_most} seeds "
            f"will hardly decide all: {buying.at_most - bought} more, {cost(buying.at_most)}."
        )
    elif expected > bought:
        yield (
            f"At the spread of the {counted(bought, 'seed')} there are, about {expected} seeds "
            f"decide: {expected - bought} more, {cost(expected)}."
        )
    elif expected:
        yield f"Every question is decided with the {counted(bought, 'seed')} there are."
    else:
        yield f"No question is decided with fewer than {AT_LEAST} seeds: {cost(AT_LEAST)}."


def _faster_precision(due: Sequence[Run], measured: dict[str, dict[str, Any]]) -> str:
    """Returns which precision is the faster for the network that takes longest, or why none is.

    Args:
        due: the runs that would be trained, at least one.
        measured: what has been timed, by network.
    """
    slowest = max(due, key=lambda run: measured[_network(run)]["epoch_seconds"])
    seconds = {}
    for precision in PRECISIONS:
        run = replace(slowest, config=replace(slowest.config, precision=precision))
        if _network(run) not in measured:
            print(f"timing a few steps of it in {precision}", file=sys.stderr)
            measured[_network(run)] = _measured(run)
        cost = measured[_network(run)]
        if "epoch_seconds" not in cost:
            why = cost.get("failed") or cost["refused"]
            return f"precision={precision} does not do for {slowest.name}: {why}"
        seconds[precision] = cost["epoch_seconds"]
    faster = min(seconds, key=lambda precision: seconds[precision])
    times = " and ".join(f"{taken:.3g} s in {name}" for name, taken in seconds.items())
    took = f"an epoch of {slowest.name} takes {times}."
    if min(seconds.values()) * _TELLS > max(seconds.values()):
        return f"No precision is clearly the faster here: {took}"
    return f"precision={faster} is the faster here: {took}"


def _row(run: Run, rerun: str, measured: dict[str, dict[str, Any]]) -> _Row:
    """Returns what would become of a run; `measured` keeps what has been timed, by network."""
    stored = store.Stored(run.directory)
    trains = runner.is_due(stored.status, rerun)
    if not trains and stored.status.state in (store.FAILED, store.DIVERGED):
        return _Row(run.name, _action(stored.status, False, saves.BEGINNING), False, 0, 0.0, {})
    if trains or stored.status.state not in (store.COMPLETE, store.REFUSED):
        key = _network(run)
        if key not in measured:
            print(f"timing a few steps of {run.name}", file=sys.stderr)
            measured[key] = _measured(run)
        cost = measured[key]
        if "refused" in cost:
            return _Row(run.name, f"no such net: {cost['refused']}", False, 0, 0.0, {})
        if "failed" in cost:
            return _Row(run.name, f"tried, and fails: {cost['failed']}", False, 0, 0.0, {})
    elif stored.status.state == store.REFUSED:
        return _Row(run.name, f"no such net: {stored.status.reason}", False, 0, 0.0, {})
    else:
        cost = stored.json("result.json")
    position = _position(run, rerun) if trains else saves.BEGINNING
    epochs = run.config.epochs - position.passed if trains else 0.0
    return _Row(
        run.name,
        _action(stored.status, trains, position),
        trains,
        round(epochs * cost["steps_per_epoch"]),
        _seconds(cost, epochs) if trains else 0.0,
        cost,
    )


def _memory(due: Sequence[_Row], workers: int) -> Iterator[str]:
    """Yields a warning where the runs that are trained at a time need more memory than is free."""
    needs = sorted((row.cost["peak_memory_bytes"] for row in due), reverse=True)[: max(1, workers)]
    free = machine.free_memory_bytes()
    if needs and free and sum(needs) > free:
        runs = f"{len(needs)} runs at a time" if len(needs) > 1 else "a run"
        less = "train fewer at a time, or " if len(needs) > 1 else ""
        yield (
            f"Memory: {runs} may need {sum(needs) / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are "
            f"free; {less}use a smaller recipe.batch_size."
        )


def _obsolete(runs: Sequence[Run]) -> Iterator[str]:
    """Yields which finished runs an edit of a user's network has made obsolete."""
    now: dict[str, dict[str, str]] = {}
    for run in runs:
        now |= run.sources
    if not now:
        return
    for directory in store.run_directories(store.study_directory(runs[0].config)):
        with contextlib.suppress(OSError, KeyError, TypeError, yaml.YAMLError):
            config = store.Stored(directory).config()
            for function, before in source.code_by_name(config).items():
                after = now.get(function)
                if after is not None and before != after:
                    names = {name for name, _ in before.items() ^ after.items()}
                    changed = ", ".join(sorted(names))
                    yield f"{directory.name} is obsolete: {function} has changed ({changed})."


def _action(status: store.Status, trains: bool, position: saves.Position) -> str:
    before = {store.FAILED: "failed before", store.DIVERGED: "diverged before"}
    if status.state in before:
        return f"trained again ({before[status.state]})" if trains else f"left ({status.state})"
    if not trains:
        return "reused"
    return "trained" if position == saves.BEGINNING else f"continued {position}"


def _network(run: Run) -> str:
    """Returns what the time of a step depends on: all keys but these."""
    keys = identity_keys(asdict(run.config))
    for key in ("seed", "epochs"):
        del keys[key]
    for key in ("learning_rate", "warmup_learning_rate"):
        del keys["recipe"][key]
    # Two data sets may have one name.
    return json.dumps([keys, run.fingerprint, run.config.threads], sort_keys=True)


def _position(run: Run, rerun: str) -> saves.Position:
    """Returns from where a run would go on."""
    if rerun == "all":
        return saves.BEGINNING
    rows, _ = store.read_history(run.directory)
    return saves.resumable(run.directory / "checkpoint", len(rows))


def _seconds(cost: dict[str, Any], epochs: float) -> float:
    epoch, saving = cost["epoch_seconds"], cost["checkpoint_seconds"]
    training, saves = epochs * epoch, epochs * max(1.0, epoch / spacing.WITHIN_SECONDS) - 1
    return (
        cost["start_seconds"]
        + (0 if children.WARM else cost["import_seconds"])
        + training
        + min(max(0.0, saves) * saving, saving + spacing.SHARE * training)
    )


def _measured(run: Run) -> dict[str, Any]:
    """Returns what a few steps of a run cost, or as `failed` why they could not be trained."""
    try:
        return _measure(run)
    except UserError as error:
        return {"failed": str(error)}


def _measure(run: Run) -> dict[str, Any]:
    order = written(MeasureOrder(run.config, time.monotonic()))
    variables = environment.child(run.config)
    return json.loads(children.answer("ablation.training.measure", order, variables))

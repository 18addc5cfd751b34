"""What a parent process orders of a child: one line of JSON, on its standard input or to a fork.

Imports no framework, and of the project only what an order is made of.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ablation.config import Config, DatasetConfig
from ablation.data import sources
from ablation.records.store import NetworkRecord, Run
from ablation.typed_config import typed_config


@dataclass(frozen=True)
class PrepareOrder:
    """To `ablation.data`: make a data set ready.

    Attributes:
        dataset: its part of the configuration.
        cache_dir: where it is kept.
    """

    dataset: DatasetConfig
    cache_dir: str


@dataclass(frozen=True)
class MeasureOrder:
    """To `ablation.training.measure`: time a few steps of a run.

    Attributes:
        config: the configuration of the run, whose data set is ready.
        started: time.monotonic(), which all processes share, just before the process was made.
    """

    config: Config
    started: float


@dataclass(frozen=True)
class LesionOrder:
    """To `ablation.training.lesion`: judge a trained run with parts switched off.

    Attributes:
        run: which one; it has kept its last weights.
        lesions: for each folder that a result is to lie in, the levels of the parts.
    """

    run: Run
    lesions: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class TrainOrder:
    """To `ablation.running.worker`: train a run.

    Attributes:
        run: which one.
        command: the command line that asked for it, for the record.
        anew: whether to forget what is stored.
        attempt: how often the run was started, as the parent knows it.
        state: of the run, as the parent knows it. The child trains only if since then no other
            attempt has begun or ended.
    """

    run: Run
    command: str
    anew: bool
    attempt: int
    state: str


def written(order: PrepareOrder | MeasureOrder | LesionOrder | TrainOrder) -> str:
    """Returns an order as one line."""
    return json.dumps(dataclasses.asdict(order))


def read_prepare_order(line: str) -> PrepareOrder:
    """Returns the order to make a data set ready that a line holds."""
    content = json.loads(line)
    return PrepareOrder(sources.typed(content["dataset"]), content["cache_dir"])


def read_measure_order(line: str) -> MeasureOrder:
    """Returns the order to time a few steps that a line holds."""
    content = json.loads(line)
    return MeasureOrder(typed_config(content["config"]), content["started"])


def read_lesion_order(line: str) -> LesionOrder:
    """Returns the order to judge lesions that a line holds."""
    content = json.loads(line)
    return LesionOrder(_run(content["run"]), content["lesions"])


def read_train_order(line: str) -> TrainOrder:
    """Returns the order to train that a line holds."""
    content = json.loads(line)
    return TrainOrder(_run(content.pop("run")), **content)


def _run(content: dict[str, Any]) -> Run:
    typed = {
        "config": typed_config(content["config"]),
        "network": NetworkRecord(**content["network"]),
    }
    return Run(**content | typed)


def obey(work: Callable[[str], tuple[int, str]]) -> int:
    """Is the program of a child that is no fork; returns its exit code.

    The order is the first line of standard input, which stays open for as long as the parent lives.

    Args:
        work: does what a line orders; returns the exit code, and an answer that is printed.
    """
    line = sys.stdin.readline()
    answers = os.dup(1)
    os.dup2(2, 1)  # What a network prints is no answer.
    # Not sys.stdin, whose lock the waiting thread would still hold at a normal end.
    end_with(lambda: os.read(0, 1))
    try:
        code, answer = work(line)
    except SystemExit:  # By a user's code, which would pass for an answer.
        traceback.print_exc()
        code, answer = 1, ""
    os.write(answers, answer.encode())
    return code


def end_with(parent: Callable[[], object]) -> None:
    """Ends this process as soon as its parent ends, or by any signal that it gets itself.

    Args:
        parent: waits for the end of the parent.
    """
    # Python would make an error of it, and of an interrupted run one that has failed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def end() -> None:
        parent()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()

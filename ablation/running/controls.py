"""The jobs of controls: each is a job of the command with some keys changed.

So a control has all that its arm has, also what was tuned for it and what is chosen only while a
command runs.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ablation.designs.controls import OF_SHAM, SHAM
from ablation.factors import spelled
from ablation.running.jobs import Change, Expansion, Job


def added(expansion: Expansion, kinds: Sequence[str]) -> Expansion:
    """Returns the jobs of a command with those of its controls behind them.

    Args:
        expansion: of the arms.
        kinds: of controls, as the command names them.
    """
    found = list(_changes(expansion, kinds))
    return replace(expansion, jobs=[*expansion.jobs, *_jobs(expansion.jobs, found)])


def again(expansion: Expansion, arms: Sequence[Job]) -> list[Job]:
    """Returns the arms' jobs, which may have changed since, with the same controls behind them."""
    return [*arms, *_jobs(arms, [job.control for job in expansion.jobs if job.control])]


def _changes(expansion: Expansion, kinds: Sequence[str]) -> Iterator[Change]:
    if SHAM in kinds:
        for place, job in enumerate(expansion.jobs):
            if job.arm == OF_SHAM:
                yield Change(SHAM, place, {"draw": 1})


def _jobs(arms: Sequence[Job], changes: Sequence[Change]) -> Iterator[Job]:
    for change in changes:
        job = arms[change.of]
        words = tuple(f"{key}={spelled(value)}" for key, value in change.keys.items())
        changed = copy.deepcopy(job.config)
        for key, value in change.keys.items():
            group: Any = changed
            *path, leaf = key.split(".")
            for name in path:
                group = group[name]
            group[leaf] = value
        yield replace(job, words=(*job.words, *words), config=changed, control=change)

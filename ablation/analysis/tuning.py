"""Which value an arm is trained with: the one whose trials score best, by rules that are stated.

Trials are judged by images and trained from seeds that no reported run has. The best of several
noisy scores is too good by about the noise of one; runs on fresh seeds, judged by other images,
have nothing of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ablation.records import store
from ablation.records.tuning import Tuned

WORST = 0.0
"""What a trial that failed or diverged counts as."""


@dataclass(frozen=True)
class Trial:
    """One combination of values at all tuning seeds.

    Attributes:
        values: of each key that is tuned.
        scores: accuracy at the end, 0 to 1, on the images that judge; `WORST` of a run that failed
            or diverged, none of one that has not ended.
        losses: mean cross-entropy on these images, infinite where the run failed.
        failures: why runs came to no good end.
        missing: runs that have not ended.
        refused: whether the network's function has said that there is no such network.
    """

    values: Mapping[str, Any]
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    failures: tuple[str, ...] = ()
    missing: int = 0
    refused: bool = False

    @property
    def mean(self) -> float:
        """Of the scores, NaN if there is none."""
        return fmean(self.scores) if self.scores else math.nan

    @property
    def sd(self) -> float:
        """Of the scores over seeds, NaN below two."""
        return stdev(self.scores) if len(self.scores) > 1 else math.nan

    @property
    def failed(self) -> bool:
        """Whether every run of it has failed."""
        return not self.missing and len(self.failures) == len(self.scores)


def best(trials: Sequence[Trial]) -> int | None:
    """Returns the place of the trial to choose.

    That of the highest mean score; of several the one with the lowest mean loss, and of these the
    one that was named first.

    Args:
        trials: of one arm, of which every run has ended.

    Returns:
        None if every run of every trial has failed.
    """
    if all(trial.failed and not trial.refused for trial in trials):
        return None
    # min() and max() keep the first of equals.
    return max(
        range(len(trials)),
        key=lambda place: (trials[place].mean, -fmean(trials[place].losses or (math.inf,))),
    )


def ties(trials: Sequence[Trial], chosen: int) -> list[int]:
    """Returns the places of the trials with the same mean score as the chosen one, but for it."""
    mean = trials[chosen].mean
    return [place for place, one in enumerate(trials) if place != chosen and one.mean == mean]


def at_edge(grid: Mapping[str, Sequence[Any]], values: Mapping[str, Any]) -> list[str]:
    """Returns the keys whose chosen value is the smallest or largest that was tried.

    A better one may lie beyond. Keys whose values are no numbers have no edge.
    """
    found = []
    for key, value in values.items():
        known = grid[key]
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in known):
            found += [key] if value in (min(known), max(known)) else []
    return found


def read(study: Path, tuned: Tuned) -> list[Trial]:
    """Returns the trials of an arm as they lie in the study's folder."""
    found = []
    for values, names in zip(tuned.combinations, tuned.trials, strict=True):
        scores: list[float] = []
        losses: list[float] = []
        failures: list[str] = []
        missing, refused = 0, False
        for name in names:
            stored = store.Stored(study / name)
            status = stored.status
            refused |= status.state == store.REFUSED
            if status.state == store.COMPLETE:
                result = stored.json("result.json")
                scores.append(float(result["val_accuracy"]))
                losses.append(float(result["val_loss"]))
            elif status.is_final:
                scores.append(WORST)
                losses.append(math.inf)
                failures.append(f"{status.state}: {status.reason or 'see its log.txt'}")
            else:
                missing += 1
        ended = tuple(scores), tuple(losses), tuple(failures)
        found.append(Trial(values, *ended, missing, refused))
    return found


def why_not(trials: Sequence[Trial]) -> str:
    """Returns in words why no value could be chosen."""
    reasons = dict.fromkeys(reason for trial in trials for reason in trial.failures)
    runs = sum(len(trial.scores) for trial in trials)
    first, *more = reasons
    others = f" and {len(more)} other reasons" if more else ""
    return f"no value could be chosen, because every tuning run ({runs}) failed: {first}{others}"

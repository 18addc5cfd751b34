"""Which value an arm is trained with: the one whose trials score best, by rules that are stated.

Trials are judged by images and trained from seeds that no reported run has. The best of several
noisy scores is too good by about the noise of one; runs on fresh seeds, judged by other images,
have nothing of it.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ablation import targets
from ablation.config import flatten
from ablation.data.kinds import NOUN
from ablation.records import asked, store
from ablation.records.tuning import Tuned, arm_of
from ablation.targets import CLASSES
from ablation.targets.common import Target

SETTING = "setting."
"""What the columns of `Study.runs` begin with that stand for a key in a protocol: whether it was
tuned, or the value that it was set to; of a part, whether it was tuned or set."""

TUNED = "tuned"
SET = "set"


@dataclass(frozen=True)
class Trial:
    """One combination of values at all tuning seeds.

    Attributes:
        values: of each key that is tuned.
        scores: what every epoch is judged by, such as the accuracy, at the end, on the images that
            judge; the worst of a run that failed or diverged, none of one that has not ended.
        losses: mean loss on these images, infinite where the run failed.
        failures: why runs came to no good end.
        missing: runs that have not ended.
        refused: whether the network's function has said that there is no such network.
        chance: the skill of an answer that looks at no image, NaN if no run is complete.
        skills: by which a run is told to be near chance, that of chance where it failed; () for
            the scores.
        target: what the labels say.
    """

    values: Mapping[str, Any]
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    failures: tuple[str, ...] = ()
    missing: int = 0
    refused: bool = False
    chance: float = math.nan
    skills: tuple[float, ...] = ()
    target: Target = CLASSES

    @property
    def skill(self) -> float:
        """Mean of the skills, NaN if there is none."""
        known = self.skills or self.scores
        return fmean(known) if known else math.nan

    @property
    def rank(self) -> float:
        """The mean score, higher where it is better.

        To twelve digits: how scores add up to one mean must not tell two trials apart.
        """
        rounded = float(f"{self.mean:.12g}")
        return rounded if self.target.of_epochs.higher_is_better else -rounded

    @property
    def mean(self) -> float:
        """Of the scores, NaN if there is none."""
        return fmean(self.scores) if self.scores else math.nan

    @property
    def sd(self) -> float:
        """Of the scores over seeds, NaN below two and where one failed that counts as infinite."""
        several = len(self.scores) > 1 and math.isfinite(self.mean)
        return stdev(self.scores) if several else math.nan

    @property
    def failed(self) -> bool:
        """Whether every run of it has failed."""
        return not self.missing and len(self.failures) == len(self.scores)


@dataclass(frozen=True)
class ArmTuning:
    """What was tried for an arm and what came of it.

    Attributes:
        record: what was asked and chosen.
        trials: for each combination of values.
    """

    record: Tuned
    trials: tuple[Trial, ...]

    @property
    def missing(self) -> int:
        """Trials that have not ended or are no longer there."""
        return sum(trial.missing for trial in self.trials)

    @property
    def stands(self) -> bool:
        """Whether the trials, as they are now, say what was chosen."""
        return not self.missing and best(self.trials) == self.record.chosen


def best(trials: Sequence[Trial]) -> int | None:
    """Returns the place of the trial to choose.

    That of the best mean score; of several the one with the lowest mean loss, and of these the
    one that was named first.

    Args:
        trials: of one arm, of which every run has ended.

    Returns:
        None if every run of every trial has failed, but for those of networks that there are not.
        If there is no such network with any value, the first.
    """
    able = [place for place, trial in enumerate(trials) if not trial.refused]
    if not able:
        return 0
    if all(trials[place].failed for place in able):
        return None
    # min() and max() keep the first of equals.
    return max(
        able,
        key=lambda place: (trials[place].rank, -fmean(trials[place].losses or (math.inf,))),
    )


def ties(trials: Sequence[Trial], chosen: int) -> list[int]:
    """Returns the places of the trials with the same mean score as the chosen one, but for it."""
    rank = trials[chosen].rank
    return [place for place, one in enumerate(trials) if place != chosen and one.rank == rank]


def at_edge(grid: Mapping[str, Sequence[Any]], values: Mapping[str, Any]) -> list[str]:
    """Returns the keys whose chosen value is the smallest or largest that was tried.

    A better one may lie beyond. Keys whose values are no numbers have no edge, and of two values
    both are at one, which says nothing.
    """
    found = []
    for key, value in values.items():
        known = grid[key]
        if len(known) > 2 and all(
            isinstance(one, int | float) and not isinstance(one, bool) for one in known
        ):
            found += [key] if value in (min(known), max(known)) else []
    return found


def read(study: Path, tuned: Tuned) -> list[Trial]:
    """Returns the trials of an arm as they lie in the study's folder."""
    found = []
    target = _target(study, tuned)
    for values, names in zip(tuned.combinations, tuned.trials, strict=True):
        scores: list[float] = []
        losses: list[float] = []
        failures: list[str] = []
        skills: list[float] = []
        missing, refused, chance = 0, False, math.nan
        for name in names:
            stored = store.Stored(study / name)
            status = stored.status
            refused |= status.state == store.REFUSED
            if status.state == store.COMPLETE:
                result = stored.json("result.json")
                scores.append(float(result[f"val_{target.tracked}"]))
                losses.append(float(result["val_loss"]))
                standing = target.standing(result, NOUN)
                skills.append(standing["skill"])
                chance = standing["chance"]
            elif status.is_final:
                scores.append(target.worst)
                skills.append(math.nan)
                losses.append(math.inf)
                failures.append(f"{status.state}: {status.reason or 'see its log.txt'}")
            else:
                missing += 1
        ended = tuple(scores), tuple(losses), tuple(failures)
        # Which is known of the complete ones alone.
        skills = [chance if math.isnan(skill) else skill for skill in skills]
        found.append(Trial(values, *ended, missing, refused, chance, tuple(skills), target))
    return found


def _target(study: Path, tuned: Tuned) -> Target:
    """Returns what the labels of the trials of an arm say, as the first that saw them has it."""
    for name in (name for names in tuned.trials for name in names):
        with contextlib.suppress(OSError, ValueError):
            seen = store.Stored(study / name).json("provenance.json")
            facts = seen.get("target")
            return targets.of(facts, seen.get("classes") or (), (facts or {}).get("unit", ""))
    return CLASSES


def read_all(study: Path, records: Sequence[Tuned]) -> tuple[ArmTuning, ...]:
    """Returns the tuning of every arm of a study."""
    return tuple(ArmTuning(one, tuple(read(study, one))) for one in records)


def of_run(
    name: str, config: Mapping[str, Any], fingerprint: str, records: Sequence[Tuned]
) -> dict[str, Any]:
    """Returns what a table must know of the tuning of a run, {} if its arm was not tuned.

    A run with the chosen value is one of the tuned arm, whoever typed it. Of several choices that
    it belongs to, such as of one key and of two, it is shown for the last.

    Args:
        name: of the run.
        config: as its config.yaml has it.
        fingerprint: of its data, "" if it never saw it.
        records: of the study.

    Returns:
        Columns of `Study.runs`: `tuned_arm`; for each tuned key `tuned.KEY`, what was chosen, and
        `setting.KEY`, by which a protocol has it.
    """
    flat = flatten(config)
    found = next((one for one in reversed(records) if name in one.runs), None)
    for one in () if found else reversed(records):
        fits = one.values and all(
            asked.frozen(flat.get(key)) == of for key, of in one.values.items()
        )
        if fits and arm_of(config, one.keys, fingerprint) == one.arm:
            found = one
            break
    if found is None:
        return {}
    values = {f"tuned.{key}": value for key, value in found.values.items()}
    return {"tuned_arm": found.arm} | values | {f"{SETTING}{key}": TUNED for key in found.keys}


def why_not(trials: Sequence[Trial]) -> str:
    """Returns in words why no value could be chosen."""
    reasons = dict.fromkeys(reason for trial in trials for reason in trial.failures)
    runs = sum(len(trial.scores) for trial in trials)
    first, *more = reasons
    others = f" and {len(more)} other reasons" if more else ""
    return f"no value could be chosen, because every tuning run ({runs}) failed: {first}{others}"

"""What the questions of a design say so far, for who decides whether to train another seed."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ablation.analysis import claims
from ablation.analysis.claims import Answer
from ablation.analysis.effects import OPEN, Effect
from ablation.analysis.reading import load
from ablation.analysis.tables import comparison_effects, questions
from ablation.config import ReportConfig

_SEEDS_WITHOUT_A_PAIR = 3
"""After so many seeds without a single pair a question is given up: an arm of it always fails."""


@dataclass(frozen=True)
class Look:
    """What has been seen.

    Attributes:
        seeds: that were looked at.
        decided: the questions with a verdict.
        waiting: those that more seeds may decide.
        given_up: those without a single pair of runs.
        claims: how many claims on record before the first run are asked too.
        open_claims: those of them that are open.
    """

    seeds: int
    decided: tuple[Effect, ...]
    waiting: tuple[Effect, ...]
    given_up: tuple[Effect, ...]
    claims: int = 0
    open_claims: tuple[Answer, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether another seed may decide something."""
        return bool(self.waiting or self.open_claims)

    @property
    def asked(self) -> int:
        """How many questions there are."""
        return len(self.decided) + len(self.waiting) + len(self.given_up)


def look(directory: Path, options: ReportConfig, design: str, runs: Collection[str]) -> Look:
    """Returns what the questions that some runs are trained for say so far.

    Args:
        directory: of the study.
        options: what the report compares.
        design: whose questions they are, unless the options name another.
        runs: the names of those that the command trains; a question counts if each of its arms has
            some of them.
    """
    study = load(directory).measured(options.metric, options.margin)
    decided: list[Effect] = []
    waiting: list[Effect] = []
    given_up: list[Effect] = []
    own = study.runs[study.runs["run"].isin(runs)]
    seeds = own["seed"].nunique()
    shown = options.design or design
    for comparison in study.comparisons(options.contrast, options.reference, shown):
        there = comparison.runs[comparison.runs["run"].isin(runs)]
        names = [*comparison.rows, "column"]
        cells = set(there[names].itertuples(index=False, name=None))
        found = comparison_effects(comparison)
        for question, effect in zip(questions(comparison), found, strict=True):
            if not all(cell in cells for _, cell in question.terms):
                continue
            if effect.verdict not in ("", OPEN):
                decided.append(effect)
            elif not effect.n and seeds >= _SEEDS_WITHOUT_A_PAIR:
                given_up.append(effect)
            else:
                waiting.append(effect)
    of_claims, open_claims = claims.waiting(study, runs)
    early = seeds < _SEEDS_WITHOUT_A_PAIR
    left = tuple(one for one in open_claims if one.effect and (one.effect.n or early))
    return Look(
        seeds,
        tuple(decided),
        tuple(waiting),
        tuple(given_up),
        len(of_claims) + len(open_claims),
        left,
    )

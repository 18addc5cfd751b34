"""The paired differences that answer questions: each seed's runs subtracted from one another."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ablation.analysis.effects import Effect, is_near_chance, with_p_values
from ablation.analysis.metrics import ACCURACY, Metric
from ablation.analysis.questions import Question
from ablation.records import store


def answers(
    runs: pd.DataFrame,
    rows: Sequence[str],
    questions: Sequence[Question],
    metric: Metric = ACCURACY,
    margin: float | None = None,
    order: Sequence[int] | None = None,
) -> list[Effect]:
    """Returns the answer to each question of one comparison, tested as one family.

    Which questions there are hangs on the runs that were to be, not on those that came to a good
    end, or a net that fails would make the others' p values smaller.

    Args:
        runs: `column` (the level of the contrast, or the arm), the row factors, `seed`, `state`,
            `seconds`, `chance`, `skill` and `score` (the metric), NaN if a run is not
            complete.
        rows: the factors that make a row.
        questions: whose terms are the levels of the rows and of the column.
        metric: what `score` is.
        margin: below which a difference does not matter.
        order: the seeds in the order in which they were looked at, if they were bought by looking.
    """
    return with_p_values(differences(runs, rows, questions, metric, margin, order))


def differences(
    runs: pd.DataFrame,
    rows: Sequence[str],
    questions: Sequence[Question],
    metric: Metric = ACCURACY,
    margin: float | None = None,
    order: Sequence[int] | None = None,
) -> list[Effect]:
    """Returns the paired differences that answer each question, untested; see `answers`."""
    cells = _cells(runs, rows)
    # Whoever adds a seed trains all arms of it, and not those of one question.
    seconds = runs["seconds"].groupby([runs[name] for name in (*rows, "column")]).median().sum()
    found = []
    for question in questions:
        one = _sum([(weight, cells[cell]) for weight, cell in question.terms])
        effect = one.effect(question, metric, margin, float(seconds))
        if order is not None:
            # A seed that nobody has looked at comes after those that were looked at.
            known = {seed: place for place, seed in enumerate(order)}
            seeds = sorted(effect.differences.index, key=lambda s: (known.get(s, len(known)), s))
            effect = replace(effect, differences=effect.differences[seeds], looked=True)
        found.append(effect)
    return found


@dataclass(frozen=True)
class _BySeed:
    """A value for each seed: the score of a cell, or a weighted sum of some.

    Attributes:
        seeds: all seeds of the comparison.
        values: float (seeds,), NaN where a run is missing.
        near_chance: int (seeds,), how many of the runs behind the value ended near chance.
        runs: how many runs are behind each value.
        lost: how many runs of its cells failed or diverged.
        size: the largest absolute score behind the values.
    """

    seeds: np.ndarray
    values: np.ndarray
    near_chance: np.ndarray
    runs: int
    lost: int
    size: float

    def effect(
        self, question: Question, metric: Metric, margin: float | None, seconds: float
    ) -> Effect:
        """Returns the effect over the seeds that have all of it."""
        there = ~np.isnan(self.values)
        return Effect(
            question.kind,
            question.minuend,
            question.subtrahend,
            question.where,
            pd.Series(self.values[there], index=self.seeds[there]),
            pd.Series(self.near_chance[there], index=self.seeds[there]),
            self.runs,
            self.lost,
            seconds,
            metric,
            margin,
            size=self.size,
        )


def _sum(terms: Sequence[tuple[float, _BySeed]]) -> _BySeed:
    """Returns a weighted sum, seed by seed, NaN for seeds that not all of the terms have."""
    parts = [part for _, part in terms]
    return _BySeed(
        parts[0].seeds,
        np.sum([weight * part.values for weight, part in terms], axis=0),
        np.sum([part.near_chance for part in parts], axis=0),
        sum(part.runs for part in parts),
        sum(part.lost for part in parts),
        max(part.size for part in parts),
    )


class _Cells(dict[Hashable, _BySeed]):
    """The scores of each cell, by the levels of the row factors and of the column."""

    def __missing__(self, key: Hashable) -> _BySeed:
        some = next(iter(self.values()))
        nothing = np.full_like(some.values, math.nan)
        return _BySeed(some.seeds, nothing, np.zeros_like(some.near_chance), 1, 0, 0.0)


def _cells(runs: pd.DataFrame, rows: Sequence[str]) -> _Cells:
    names = [*rows, "column"]
    cell = runs.groupby(names, sort=False).ngroup().to_numpy()
    seeds, place = np.unique(runs["seed"], return_inverse=True)
    values = np.full((cell.max() + 1, len(seeds)), math.nan)
    near_chance = np.zeros(values.shape, int)
    values[cell, place] = runs["score"].to_numpy(float)
    skill = runs["skill"].to_numpy(float)
    near_chance[cell, place] = is_near_chance(skill, runs["chance"].to_numpy(float))
    lost = np.bincount(cell[runs["state"].isin((store.FAILED, store.DIVERGED))], None, len(values))
    sizes = np.abs(np.nan_to_num(values)).max(axis=1)
    keys = runs[names].drop_duplicates().itertuples(index=False, name=None)
    return _Cells(
        (
            key,
            _BySeed(
                seeds,
                values[i],
                near_chance[i],
                1,
                int(lost[i]),
                float(sizes[i]),
            ),
        )
        for i, key in enumerate(keys)
    )

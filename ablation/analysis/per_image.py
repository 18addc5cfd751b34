"""What the validation images say to the questions of a comparison, from stored predictions."""

import contextlib
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import Effect
from ablation.analysis.images import Changed, Spread, changed, spread
from ablation.analysis.metrics import ACCURACY
from ablation.analysis.questions import Question
from ablation.analysis.study import Study
from ablation.analysis.tables import comparison_effects, questions
from ablation.data.kinds import NOUN, Noun
from ablation.records import durable

QUESTIONS_AT_MOST = 30
"""So many a report answers from images, the first of a comparison."""


@dataclass(frozen=True)
class OfImages:
    """What the images say to one question.

    Attributes:
        effect: the answer over seeds.
        differences: those of its differences whose runs have predictions, by seed.
        spread: the intervals over images, None where the metric is no mean over images, or several
            images are of one group, such as a patient, which are no sample of single images.
        changed: which images are fixed and broken, None of what is no difference of two arms.
        predicted: of a difference of two arms what the reference and the other one have said, each
            int (seeds, images).
        noun: what the inputs are called.
        grouped: whether several images are of one group.
    """

    effect: Effect
    differences: pd.Series
    spread: Spread | None
    changed: Changed | None
    predicted: tuple[np.ndarray, np.ndarray] | None
    noun: Noun = NOUN
    grouped: bool = False

    @property
    def n(self) -> int:
        """Number of seeds whose runs have predictions."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """Mean difference over these seeds."""
        return float(self.differences.mean())


def of_images(study: Study, comparison: Comparison) -> list[OfImages]:
    """Returns what the images say to the first questions that can be asked of them.

    Questions whose runs have no predictions, or not of the same images, are left out.

    Args:
        study: the study.
        comparison: one of its comparisons.
    """
    reader = _Reader(study, comparison)
    found: list[OfImages] = []
    for question, effect in zip(questions(comparison), comparison_effects(comparison), strict=True):
        if len(found) == QUESTIONS_AT_MOST:
            break
        one = reader.answer(question, effect)
        if one:
            found.append(one)
    return found


def images_table(found: list[OfImages]) -> pd.DataFrame:
    """Returns one row a question: its intervals, and what is fixed and broken.

    Columns: `kind`, `name`, `where`, `n` (seeds), `images`, `mean`, `low_images`, `high_images`,
    `low_both`, `high_both`, and of images `fixes`, `breaks`, `always_fixes`, `always_breaks` and
    `by_seed_alone`.
    """
    nothing = math.nan, math.nan
    records = []
    for one in found:
        effect, both, counts = one.effect, one.spread, one.changed
        record: dict[str, Any] = {key: getattr(effect, key) for key in ("kind", "name", "where")}
        record |= {"n": one.n, "images": both.images if both else math.nan, "mean": one.mean}
        low, high = both.over_images if both else nothing
        record |= {"low_images": low, "high_images": high}
        low, high = both.over_both if both else nothing
        record |= {"low_both": low, "high_both": high}
        for key in ("fixes", "breaks", "always_fixes", "always_breaks", "by_seed_alone"):
            record[key] = getattr(counts, key) if counts else math.nan
        records.append(record)
    return pd.DataFrame(records)


def _are_grouped(study: Study, comparison: Comparison) -> bool:
    """Returns whether several images of a comparison are of one group, as far as is on record."""
    runs = comparison.complete
    if runs.get("config.dataset.group", pd.Series(dtype=object)).notna().any():
        return True
    for run in runs["run"].head(1):
        with contextlib.suppress(OSError, ValueError):  # It may just be trained again.
            return bool(durable.read_json(study.directory / run / "result.json").get("grouped"))
    return False


class _Reader:
    """The scores of every image in the runs of a comparison, each run read once."""

    def __init__(self, study: Study, comparison: Comparison):
        self._study = study
        self._metric, self._noun = comparison.metric, comparison.noun
        self._target = comparison.target
        self._grouped = _are_grouped(study, comparison)
        runs = comparison.complete
        names = [*comparison.rows, "column"]
        self._runs: dict[Hashable, dict[int, str]] = {}
        for *key, seed, run in runs[[*names, "seed", "run"]].itertuples(index=False, name=None):
            self._runs.setdefault(tuple(key), {})[int(seed)] = run
        self._known: dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray] | None] = {}

    def answer(self, question: Question, effect: Effect) -> OfImages | None:
        """Returns what the images say, None if they cannot be asked."""
        cells = dict.fromkeys(cell for _, cell in question.terms)
        by_cell = {cell: self._runs.get(cell, {}) for cell in cells}
        seeds = [
            seed
            for seed in effect.differences.index
            if all(seed in by_cell[cell] and self._read(by_cell[cell][seed]) for cell in cells)
        ]
        if not seeds:
            return None
        labels = {self._of(by_cell[cell][seed])[0].tobytes() for cell in cells for seed in seeds}
        if len(labels) > 1:
            return None
        total: np.ndarray | None = None
        for weight, cell in question.terms:
            scores = [self._of(by_cell[cell][seed])[1] for seed in seeds]
            if any(one is None for one in scores):
                total = None
                break
            part = weight * np.array(scores)
            total = part if total is None else total + part
        both: Changed | None = None
        predicted: tuple[np.ndarray, np.ndarray] | None = None
        if len(question.terms) == 2 and not self._target.is_row:
            other, reference = (
                np.array([self._of(by_cell[cell][seed])[2] for seed in seeds])
                for _, cell in question.terms
            )
            truth = self._of(by_cell[question.terms[0][1]][seeds[0]])[0]
            both, predicted = changed(reference == truth, other == truth), (reference, other)
        if total is None and both is None:
            return None
        alone = None if self._grouped else total
        spread_of = None if alone is None else spread(alone, effect.alpha)
        differences = effect.differences.loc[seeds]
        return OfImages(effect, differences, spread_of, both, predicted, self._noun, self._grouped)

    def _of(self, run: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        found = self._read(run)
        assert found
        return found

    def _read(self, run: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray] | None:
        """Returns labels, each image's score and what it is taken for; None if unreadable."""
        if run not in self._known:
            try:
                self._known[run] = self._scores(run)
            except (OSError, ValueError):
                self._known[run] = None
        return self._known[run]

    def _scores(self, run: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        if self._target.is_row:  # Nothing is right or wrong.
            said = self._study.probabilities(run)
            if self._metric.per_image is None:
                raise ValueError("no score of an image")
            return said.labels, self._metric.per_image(said.labels, said.probabilities), said.labels
        frame = self._study.predictions(run)
        labels, predicted = frame["label"].to_numpy(), frame["predicted"].to_numpy()
        if self._metric is ACCURACY:  # Known of runs of the first edition too.
            return labels, (predicted == labels).astype(float), predicted
        if self._metric.per_image is None:
            return labels, None, predicted
        whole = self._study.probabilities(run)
        return labels, self._metric.per_image(whole.labels, whole.probabilities), predicted

"""What the pictures of a comparison show: its inputs and the predictions of a few of its cells.

A study may have thousands of runs, so only the cells that are drawn are read.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.levels import LOCATIONS, combinations, varying
from ablation.analysis.study import Study
from ablation.data import cache
from ablation.data.cache import Cache
from ablation.data.kinds import Noun, Picture
from ablation.records import store
from ablation.report.figures.axes import row_title
from ablation.targets.common import Target
from ablation.text import utf8

_CELLS_AT_MOST = 8
_COLUMNS_AT_MOST = 4
SEEDS_AT_MOST = 20
MATRIX_CLASSES_AT_MOST = 40
"""A confusion matrix of more classes could not be read."""


@dataclass(frozen=True)
class Predictions:
    """What the runs of one cell take the validation images for.

    Attributes:
        row, column: the cell, in words.
        by_seed: for each seed and every image in stored order, of classes `label`, `predicted` and
            `confidence`, the classes by their number; of other targets `true K` and `predicted K`
            of each output K.
    """

    row: str
    column: str
    by_seed: dict[int, pd.DataFrame]

    def confusion(self, classes: int) -> np.ndarray:
        """Returns int (classes, classes), the images of all seeds by true and predicted class."""
        both = pd.concat(self.by_seed.values())
        pairs = both["label"].to_numpy() * classes + both["predicted"].to_numpy()
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True)
class Gallery:
    """What there is to show of one comparison.

    Attributes:
        target: what the labels say.
        classes: the names of what a network puts out.
        images: the data set, None if it is not in the cache any more.
        picture: how an input is shown, None if it is not.
        noun: what inputs are called.
        cells: those of the chosen cells that have predictions, row by row.
        remarks: what is left out and why, a sentence each.
    """

    target: Target
    classes: tuple[str, ...]
    images: Cache | None
    picture: Picture | None
    noun: Noun
    cells: tuple[Predictions, ...]
    remarks: tuple[str, ...]

    def rows_table(self) -> pd.DataFrame:
        """Returns every prediction of a target whose labels are rows, one row an image and run.

        Columns: `row` and `column` of the cell, `seed`, `image` (its place), and `true` and
        `predicted` of each output by its name.
        """
        named = {
            f"{what} {place}": f"{what} {name}" if len(self.classes) > 1 else what
            for what in ("true", "predicted")
            for place, name in enumerate(self.classes)
        }
        frames = [
            of_seed.rename(columns=named).assign(
                row=cell.row, column=cell.column, seed=seed, image=range(len(of_seed))
            )
            for cell in self.cells
            for seed, of_seed in cell.by_seed.items()
        ]
        columns = ["row", "column", "seed", "image", *named.values()]
        return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)

    def confusion_table(self) -> pd.DataFrame:
        """Returns how often which class was taken for which, one row a pair that occurred.

        Columns: `row` and `column` of the cell, `seeds` (how many are summed), `true`, `predicted`
        and `count`.
        """
        columns = ["row", "column", "seeds", "true", "predicted", "count"]
        rows = []
        for cell in self.cells:
            counts = cell.confusion(len(self.classes))
            for true, predicted in np.argwhere(counts):
                names = self.classes[true], self.classes[predicted]
                about = cell.row, cell.column, len(cell.by_seed)
                rows.append((*about, *names, counts[true, predicted]))
        return pd.DataFrame(rows, columns=columns)


def gallery(study: Study, comparison: Comparison) -> Gallery | None:
    """Returns what there is to show of a comparison, None if no run is complete."""
    runs = comparison.complete
    if runs.empty:
        return None
    # A factor such as dataset.image_size gives a comparison several sets of images.
    shown, images = _of_one_set(study, runs)
    picture = images.kind.picture(images.meta) if images else None
    noun = comparison.noun
    same = runs[runs["fingerprint"] == shown["fingerprint"]]
    stored = store.Stored(study.directory / shown["run"])
    chosen, left_out = _chosen(comparison, same)
    cells = [_predictions(study, comparison, cell) for cell in chosen]
    found = tuple(cell for cell in cells if cell.by_seed)
    remarks = [
        (f"The {noun.many} are not in the cache any more, so no picture shows them.", not images),
        (
            f"Pictures show the runs on one of the comparison's sets of {noun.many}{_place(runs)}.",
            len(same) < len(runs),
        ),
        (f"Pictures show {len(chosen)} of {len(chosen) + left_out} cells.", left_out),
        (
            f"Pictures show the first {SEEDS_AT_MOST} seeds of a cell.",
            max(map(len, chosen), default=0) > SEEDS_AT_MOST,
        ),
        (picture.remark if picture else "", picture and picture.remark),
        (_without(len(cells) - len(found), len(cells)), len(found) < len(cells)),
    ]
    return Gallery(
        comparison.target,
        tuple(map(utf8, stored.json("result.json")["classes"])),
        images,
        picture,
        noun,
        found,
        tuple(text for text, applies in remarks if applies),
    )


def _of_one_set(study: Study, runs: pd.DataFrame) -> tuple[pd.Series, Cache | None]:
    """Returns a run and the images that it has seen: the first that are still in the cache."""
    for _, run in runs.drop_duplicates("fingerprint").iterrows():
        config = store.Stored(study.directory / run["run"]).config()
        images = cache.find_fingerprint(run["fingerprint"], config["cache_dir"])
        if images:
            return run, images
    return runs.iloc[0], None


def spread(values: Sequence[Any], at_most: int) -> list[Any]:
    """Returns so many of the values, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(values) - 1, min(at_most, len(values))).round().astype(int)
    return [values[place] for place in places]


def _chosen(comparison: Comparison, runs: pd.DataFrame) -> tuple[list[pd.DataFrame], int]:
    """Returns the runs of each cell to draw, and how many cells are left out.

    Whole rows are kept, because a row's levels are what is compared, or of many levels the first
    ones, the reference among them; of the rows as many as there is room for.
    """
    by_cell = dict(iter(runs.groupby([*comparison.rows, "column"], sort=False)))
    rows = [
        [by_cell[*key, column] for column in comparison.columns if (*key, column) in by_cell]
        for key in combinations(runs, comparison.rows)
    ]
    for count in range(min(len(rows), _CELLS_AT_MOST), 0, -1):
        chosen = [cell for row in spread(rows, count) for cell in row[:_COLUMNS_AT_MOST]]
        if len(chosen) <= _CELLS_AT_MOST:
            break
    return chosen, len(by_cell) - len(chosen)


def _predictions(study: Study, comparison: Comparison, runs: pd.DataFrame) -> Predictions:
    first = runs.iloc[0]
    row = row_title(comparison.rows, [first[name] for name in comparison.rows])
    found: dict[int, pd.DataFrame] = {}
    for seed, name in runs.sort_values("seed")[["seed", "run"]].itertuples(index=False):
        if len(found) == SEEDS_AT_MOST:
            break
        with contextlib.suppress(OSError, ValueError):
            found[int(seed)] = study.predictions(name)
    return Predictions(row, f"{comparison.prefix}{first['column']}", found)


def _place(runs: pd.DataFrame) -> str:
    """Returns where the first run's images lie, if that is what tells sets of images apart."""
    places = varying(runs, [f"config.{key}" for key in LOCATIONS])
    return f", those of {', '.join(str(runs[key].iloc[0]) for key in places)}" if places else ""


def _without(missing: int, cells: int) -> str:
    return (
        f"{missing} of {cells} cells have no readable predictions.npz, which runs keep when they "
        "end; rerun=all would train them anew."
    )

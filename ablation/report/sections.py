"""Which figures a report shows of one comparison, in their order, with what is to be said."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ablation.analysis import tables
from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import Effect, foremost
from ablation.analysis.levels import combinations, levels
from ablation.analysis.per_image import OfImages
from ablation.analysis.study import Study
from ablation.data.cache import Cache
from ablation.data.kinds import Picture
from ablation.factors import as_numbers
from ablation.records import store
from ablation.report import judged, notes
from ablation.report.cells import Cells, tuning_cells
from ablation.report.figures import layers, pictures, tuned
from ablation.report.figures.curves import curves, first_panels
from ablation.report.figures.effects import arms, forest, roadmap
from ablation.report.figures.pictures import Guess
from ablation.report.figures.scores import drawable, final_scores
from ablation.report.gallery import MATRIX_CLASSES_AT_MOST, SEEDS_AT_MOST, Gallery
from ablation.targets.labels import mean_average_precision
from ablation.terminal import counted
from ablation.text import readable

_EFFECTS_AT_MOST = 40
_CLASSES_AT_MOST = 10
_VALUES_AT_MOST = 4
_LINES_AT_MOST = 8
_VALUE_ROWS = 6
_EXAMPLES = 10
_GUESSED = 12
_CHANGED = 6

_FOREST = (
    "Every question with the differences of its seeds, their mean and its interval, as in the "
    "table."
)
_NOT_FROM_0 = "The bars do not begin at 0."
_RESPONSES = (
    "Standard deviation of each 3x3 convolution's response after the last epoch, as in Fig. 7 of "
    "He et al. 2015 (arXiv 1512.03385): after batch normalisation, before ReLU and addition; of "
    "pre-activation nets, the convolution's own output. Batch normalisation starts each at 1; "
    "training parts them. Means over seeds, with their range."
)
_GRADIENTS = (
    "Norm of the loss's gradient by each convolution's kernel, shortcuts left out, on one batch "
    "that is the same for every arm of a seed. Means over seeds, with their range. The zigzag of "
    "bottlenecks is that of their 1x1 and 3x3 kernels."
)


@dataclass(frozen=True)
class Drawing:
    """One figure of a report.

    Attributes:
        kind: the first part of its file's name.
        figure: the figure.
        caption: what it shows, if its axes do not say so.
        forms: the file formats; pictures of pixels are PNG only.
        legend: what stands above the levels of its legend; None for the contrast, if its levels do
            not say of what they are levels.
    """

    kind: str
    figure: Figure
    caption: str = ""
    forms: Sequence[str] = ("png", "svg")
    legend: str | None = None


@dataclass(frozen=True)
class Section:
    """The figures below one title, and what is left out.

    Attributes:
        title: of the section.
        drawings: its figures, in order.
        remarks: what is left out and why, a sentence each.
        about: what is said of its table.
        table: of what the figures show, None if they show what other tables have.
    """

    title: str
    drawings: list[Drawing]
    remarks: list[str] = field(default_factory=list)
    about: str = ""
    table: Cells | None = None


def sections(
    study: Study,
    comparison: Comparison,
    shown: Gallery | None,
    images: Sequence[OfImages],
    sort: str = "named",
) -> list[Section]:
    """Returns the sections that have something to show.

    Args:
        study: the study.
        comparison: one of its comparisons.
        shown: the images and predictions to show of it.
        images: what the validation images say to its questions.
        sort: how the arms of a design are ordered; see `tables.arms_table`.
    """
    found = [_curves(study, comparison, sort), _tuning(comparison), _why(study, comparison)]
    usual = comparison.contrast if comparison.prefix else ""  # 0.1 does not say of what it is.
    for drawing in (drawing for section in found for drawing in section.drawings):
        title = usual if drawing.legend is None else drawing.legend
        for legend in drawing.figure.legends if title else ():
            legend.set_title(title)
    if shown:
        found.append(PICTURES[comparison.target.kind](shown, images))
    return [section for section in found if section.drawings or section.remarks]


def _curves(study: Study, comparison: Comparison, sort: str) -> Section:
    rows, columns = comparison.rows, comparison.columns
    drawn = []
    if not comparison.complete.empty:
        drawn.append(_arms(comparison, sort) if comparison.arms else _final(comparison))
    effects = tables.comparison_effects(comparison)
    if any(effect.n for effect in effects):
        figure = forest(foremost(effects, _EFFECTS_AT_MOST))
        drawn_of = _drawn_of(_EFFECTS_AT_MOST, effects)
        caption = f"{_FOREST} {drawn_of}".strip()
        drawn.append(Drawing("effects", figure, caption))
    runs = first_panels(comparison.runs, rows)
    history = study.history[study.history["run"].isin(runs["run"])]
    if not history.empty:
        caption = f"{_about_curves(runs, rows)} {_first_rows(comparison.runs, runs, rows)}".strip()
        for kind, metrics in judged.pairs(comparison.target).items():
            figure = curves(runs, history, metrics, rows, columns, comparison.target)
            drawn.append(Drawing(kind, figure, caption))
    return Section("Curves", drawn)


def _tuning(comparison: Comparison) -> Section:
    """What was tried for each arm that was tuned."""
    if not comparison.tuned:
        return Section("Tuning", [])
    figure = tuned.trials(comparison)
    called = judged.name(comparison.target.of_epochs)
    several = "; of other keys, the best at each value" if len(comparison.tuned_keys) > 1 else ""
    caption = (
        f"{called[0].upper()}{called[1:]} of the tuning runs on the data that judges them, means "
        f"over tuning seeds with their standard deviation{several}. A ring is what was chosen, a "
        "cross at the bottom a value at which every run failed."
    )
    drawing = Drawing("tuning", figure, caption)
    return Section(
        "Tuning", [drawing], [], notes.tuning(comparison.target), tuning_cells(comparison)
    )


def _about_curves(runs: pd.DataFrame, rows: Sequence[str]) -> str:
    complete = runs["state"] == store.COMPLETE
    said = []
    if runs[complete].duplicated([*rows, "column"]).any():
        said.append("Means over the complete runs of a cell, with their range.")
    if not complete.all():
        said.append(
            "A thin line is a run that is not complete; a cross marks the last epoch with a finite "
            "value of one that failed or diverged."
        )
    return " ".join(said)


def _final(comparison: Comparison) -> Drawing:
    rows, runs = comparison.rows, comparison.runs
    varied = [row for row in rows if runs[row].nunique() > 1]
    if len(varied) == 1 and comparison.others and as_numbers(comparison.columns):
        (row,) = varied
        known = levels(runs[row])
        if 1 < len(known) <= _LINES_AT_MOST and not as_numbers(known):
            # Numbers, such as depths, lie along the axis, whichever of two factors is compared.
            turned = runs.assign(**{comparison.contrast: runs["column"]}, column=runs[row])
            figure = final_scores(turned, [comparison.contrast], known, comparison.metric)
            speak = all(getattr(one, "speaks", False) for one in known)
            return Drawing("final", figure, legend="" if speak else row)
    shown = drawable(runs, rows)
    figure = final_scores(shown, rows, comparison.columns, comparison.metric)
    return Drawing("final", figure, _first_rows(runs, shown, rows))


def _arms(comparison: Comparison, sort: str) -> Drawing:
    table = tables.arms_table(comparison, sort)
    if comparison.design == "cumulative" and table["n"].any():
        figure, from_0 = roadmap(table, comparison.metric)
        caption = (
            "One step after another, with the standard deviation over seeds; what is hatched was "
            "tried and not kept."
        )
        return Drawing("final", figure, caption if from_0 else f"{caption} {_NOT_FROM_0}")
    figure = arms(table, comparison.complete, comparison.metric)
    return Drawing("final", figure, "A point is a seed; a bar is the 95% interval of one mean.")


def _first_rows(runs: pd.DataFrame, shown: pd.DataFrame, rows: Sequence[str]) -> str:
    """Says which share of the rows is drawn, nothing if it is all."""
    count, drawn = len(combinations(runs, rows)), len(combinations(shown, rows))
    return f"The first {drawn:,} of {count:,} rows are drawn." if drawn < count else ""


def _drawn_of(at_most: int, effects: Sequence[Effect]) -> str:
    if len(effects) <= at_most:
        return ""
    first = ", main effects first" if any(one.kind == "main effect" for one in effects) else ""
    return f"{at_most} of {len(effects):,} effects are drawn{first}."


def _why(study: Study, comparison: Comparison) -> Section:
    """What `diagnostics=true` measured, of the runs that have it to their last epoch."""
    rows, columns = comparison.rows, comparison.columns
    names = comparison.complete["run"]
    there = [(study.directory / name / "diagnostics.csv").exists() for name in names]
    having = comparison.complete.loc[there].sort_values("seed", kind="stable")
    shown = first_panels(having, rows)
    runs = shown.groupby([*rows, "column"], sort=False).head(SEEDS_AT_MOST)
    frames, remarks = [], []
    if len(runs) < len(shown):
        remarks.append(f"Layers are drawn of the first {SEEDS_AT_MOST} seeds of a cell.")
    for name, epochs in runs[["run", "epochs"]].itertuples(index=False):
        try:
            frame = study.diagnostics(name)
        except (OSError, ValueError) as error:
            remarks.append(f"{name}: {error}")
            continue
        if frame["epoch"].max() == epochs:
            frames.append(frame)
    if not frames:
        return Section("Layer by layer", [], remarks)
    measured = pd.concat(frames).merge(runs[["run", "column", *rows]], on="run")
    first = _first_rows(having, runs, rows)
    drawn = []
    if (measured["kernel"] == "3x3").any():
        figure = layers.responses(measured, rows, columns)
        drawn.append(Drawing("responses", figure, f"{_RESPONSES} {first}".strip()))
    figure = layers.gradients(measured, rows, columns)
    drawn.append(Drawing("gradients", figure, f"{_GRADIENTS} {first}".strip()))
    return Section("Layer by layer", drawn, remarks)


def _pictures(shown: Gallery, images: Sequence[OfImages]) -> Section:
    drawn, remarks = [], list(shown.remarks)
    if shown.cells and len(shown.classes) <= MATRIX_CLASSES_AT_MOST:
        drawn.append(_confusion(shown))
    elif shown.cells:
        remarks.append(
            f"A confusion matrix of {len(shown.classes)} classes could not be read; its counts are "
            "in the folder of the report."
        )
    if shown.cells and shown.images and shown.picture:
        drawn.append(_predictions(shown, shown.images, shown.picture))
    differing = [one for one in images if one.changed and one.predicted]
    if shown.images and shown.picture and differing:
        largest = max(differing, key=lambda one: abs(one.mean))
        drawn += _changed(shown.classes, shown.images, largest, shown.picture)
    if shown.images and shown.picture:
        drawn.append(_examples(shown.classes, shown.images, shown.picture))
    return Section("Pictures", drawn, remarks)


def _values(shown: Gallery, images: Sequence[OfImages]) -> Section:
    """What was predicted against what is true, and training images in order of their value."""
    drawn, remarks = [], list(shown.remarks)
    unit = f", {shown.target.unit}" if shown.target.unit else ""
    if shown.cells:
        cells = {(c.row, c.column): list(c.by_seed.values()) for c in shown.cells}
        named = [f"{readable(name)}{unit}" for name in shown.classes[:_VALUES_AT_MOST]]
        figure, outside = pictures.against_true(cells, named)
        left = len(shown.classes) - len(named)
        more = f" The first {len(named)} of {len(shown.classes)} values are drawn." if left else ""
        caption = (
            "Predicted against true values of the validation data after the final epoch, all "
            f"seeds of a cell; on the line they are equal.{more}"
            + (f" {counted(outside, 'prediction')} far off outside." if outside else "")
        )
        drawn.append(Drawing("against_true", figure, caption, forms=("png",)))
    if shown.images and shown.picture:
        name = readable(shown.classes[0])
        drawn.append(_by_value(shown.images, name, shown.target.unit, shown.picture))
    return Section("Pictures", drawn, remarks)


def _labels(shown: Gallery, images: Sequence[OfImages]) -> Section:
    """How well each label is found in each cell."""
    drawn, remarks = [], list(shown.remarks)
    if shown.cells:
        found = {}
        for cell in shown.cells:
            of_seeds = [_precisions(frame, len(shown.classes)) for frame in cell.by_seed.values()]
            found[cell.row, cell.column] = np.mean(of_seeds, axis=0)
        figure = pictures.by_label(found, shown.classes)
        caption = (
            "Average precision of each label on the validation data after the final epoch, means "
            "over the seeds of a cell; a line is the share of the data that has the label, which "
            "an order by chance scores."
        )
        frame = next(iter(shown.cells[0].by_seed.values()))
        shares = [frame[f"true {k}"].mean() for k in range(len(shown.classes))]
        pictures.mark_shares(figure, shares)
        drawn.append(Drawing("by_label", figure, caption))
    return Section("Labels", drawn, remarks)


def _precisions(frame: pd.DataFrame, count: int) -> np.ndarray:
    """Returns the average precision of each label, NaN of one that nothing has."""
    return np.array(
        [
            mean_average_precision(
                frame[[f"true {k}"]].to_numpy(), frame[[f"predicted {k}"]].to_numpy()
            )
            for k in range(count)
        ]
    )


def _by_value(images: Cache, name: str, unit: str, picture: Picture) -> Drawing:
    values, pixels = images.labels("train")[:, 0], images.images("train")
    order = np.argsort(values, kind="stable")
    rows = {}
    for places in np.array_split(order, min(_VALUE_ROWS, len(order))):
        chosen = places[np.linspace(0, len(places) - 1, min(_EXAMPLES, len(places))).astype(int)]
        bounds = f"{values[places[0]]:.3g} to {values[places[-1]]:.3g} {unit}".strip()
        rows[bounds] = [pixels[place] for place in chosen]
    caption = (
        f"Training {images.kind.noun.many} in order of {name}, as many in each row, "
        f"{_as_stored(images)}."
    )
    return Drawing("examples", pictures.examples(rows, picture), caption, forms=("png",))


def _as_stored(images: Cache) -> str:
    """Returns in what state inputs are shown."""
    changed = "dataset.augment" not in images.kind.refuses
    return f"as they are stored{', before augmentation and normalisation' if changed else ''}"


def _confusion(shown: Gallery) -> Drawing:
    counts = [cell.confusion(len(shown.classes)) for cell in shown.cells]
    matrices = {(c.row, c.column): count for c, count in zip(shown.cells, counts, strict=True)}
    seeds = _counted_seeds(shown)
    caption = (
        f"Confusion matrices of the validation {shown.noun.many} after the final epoch: of each "
        f"true class, the share in % that is taken for which; {seeds}."
    )
    return Drawing("confusion", pictures.confusion(matrices, shown.classes), caption)


def _counted_seeds(shown: Gallery) -> str:
    counts = sorted({len(cell.by_seed) for cell in shown.cells})
    if counts == [1]:
        return "one seed"
    return f"summed over {' to '.join(dict.fromkeys(map(str, (counts[0], counts[-1]))))} seeds"


def _predictions(shown: Gallery, images: Cache, picture: Picture) -> Drawing:
    labels = images.labels("val")
    chosen = _sample(labels, _GUESSED)
    guesses: dict[tuple[str, ...], list[Guess]] = {}
    for cell in shown.cells:
        seed = min(cell.by_seed)
        rows = cell.by_seed[seed].iloc[chosen]
        guesses[cell.row, cell.column, f"seed {seed}"] = [
            Guess(
                shown.classes[row.predicted],
                row.predicted == row.label,
                f"{100 * row.confidence:.0f}%",
            )
            for row in rows.itertuples()
        ]
    pixels = np.stack([images.images("val")[place] for place in chosen])
    truth = [shown.classes[k] for k in labels[chosen]]
    figure = pictures.predictions(pixels, truth, guesses, picture)
    caption = (
        f"What each cell's first seed takes the same {len(chosen)} validation {shown.noun.many} "
        "for, drawn at random from all classes alike, with its confidence; the true class stands "
        "above. A dashed border and a cross mark what is wrong."
    )
    return Drawing("predictions", figure, caption, forms=("png",))


def _changed(
    classes: Sequence[str], images: Cache, one: OfImages, picture: Picture
) -> Iterator[Drawing]:
    """Yields the inputs that one change most often fixes and breaks."""
    assert one.changed and one.predicted
    labels = images.labels("val")
    places = [*one.changed.most_fixed[:_CHANGED], *one.changed.most_broken[:_CHANGED]]
    if not places or len(labels) != one.predicted[0].shape[1]:
        return
    names = one.effect.subtrahend, one.effect.minuend
    guesses: dict[tuple[str, ...], list[Guess]] = {}
    for name, predicted in zip(names, one.predicted, strict=True):
        said = predicted[:, places]
        answers = [Counter(column.tolist()).most_common(1)[0] for column in said.T]
        guesses[(name,)] = [
            Guess(
                classes[answer],
                answer == labels[place],
                f"{times} of {len(said)}" if len(said) > 1 else "",
            )
            for place, (answer, times) in zip(places, answers, strict=True)
        ]
    pixels = np.stack([images.images("val")[place] for place in places])
    truth = [classes[labels[place]] for place in places]
    figure = pictures.predictions(pixels, truth, guesses, picture)
    fixed = len(one.changed.most_fixed[:_CHANGED])
    seeds = one.changed.seeds
    where = f" at {one.effect.where}" if one.effect.where else ""
    often = f" most often, of {seeds} seeds" if seeds > 1 else ""
    said_by = "most seeds take it for, and in how many of them" if seeds > 1 else "it is taken for"
    broken = len(places) - fixed
    which = f"the first {counted(fixed, one.noun.one)} it fixes, the others it breaks"
    if not broken or not fixed:
        it = one.noun.one if len(places) == 1 else one.noun.many
        which = f"{it} that it {'fixes; it breaks none' if fixed else 'breaks; it fixes none'}"
    caption = (
        f"What {one.effect.named('minus')}{where} changes{often}: {which}. Below each stands what "
        f"{said_by}."
    )
    yield Drawing("changed", figure, caption, forms=("png",))


def _sample(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the places of so many random images, of all classes alike, class by class."""
    order = np.random.default_rng(0).permutation(len(labels))
    nth_of_class = pd.Series(order).groupby(labels[order]).cumcount().to_numpy()
    chosen = order[np.argsort(nth_of_class, kind="stable")][:count]
    return chosen[np.argsort(labels[chosen], kind="stable")]


def _examples(classes: Sequence[str], images: Cache, picture: Picture) -> Drawing:
    rng = np.random.default_rng(0)
    labels, pixels = images.labels("train"), images.images("train")
    rows = {}
    for k, name in enumerate(classes[:_CLASSES_AT_MOST]):
        places = np.flatnonzero(labels == k)
        some = rng.choice(places, min(_EXAMPLES, len(places)), replace=False)
        rows[f"{readable(name)} ({len(places):,})"] = [pixels[place] for place in np.sort(some)]
    which = "the first 10 classes" if len(classes) > _CLASSES_AT_MOST else "each class"
    caption = (
        f"Training {images.kind.noun.many} of {which}, drawn at random, {_as_stored(images)}; in "
        "brackets how many there are."
    )
    return Drawing("examples", pictures.examples(rows, picture), caption, forms=("png",))


PICTURES: dict[str, Callable[[Gallery, Sequence[OfImages]], Section]] = {
    "classes": _pictures,
    "value": _values,
    "labels": _labels,
}
"""What shows the images and predictions of each kind of target."""

"""Whether the runs of one comparison may be compared: equal budget, confounds, holes."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from ablation.analysis.comparison import Comparison, once
from ablation.analysis.equal_tuning import EqualTuning, equal_tuning
from ablation.analysis.levels import LIBRARY, LOCATIONS, READ, levels
from ablation.data.kinds import NOUN, Noun
from ablation.factors import is_absent
from ablation.records import store
from ablation.records.asked import Looked
from ablation.text import readable

_BUDGET = {
    "epochs": "epochs",
    "history_epochs": "epochs finished",
    "steps": "optimizer steps",
    "examples_seen": "examples seen",
    "schedule_completed": "share of the learning-rate schedule",
    "train_fingerprint": "training {}",
    "val_fingerprint": "validation {}",
}

_SIZES = {"trainable": "trainable parameters", "total": "parameters"}
_IMAGES = ("train_fingerprint", "val_fingerprint")
_LISTED_AT_MOST = 10

Differences = dict[str, dict[str, list[str]]]
"""What differs, its values, and the runs that have each."""


@dataclass(frozen=True)
class Audit:
    """What was checked before the runs of a comparison were compared.

    Attributes:
        runs: how many complete runs were checked.
        unequal: parts of the training budget in which they differ; empty means PASS.
        within: the factors that the study varies among whose equal levels it would be a PASS; none
            if there are none, or if that too is a FAIL.
        confounds: what else differs between them beside the factors and the seed.
        holes: cells and seeds that are not there, one line each.
        looked: how seeds were bought by looking at the results, None if they were not.
        shared: of each set of validation images, how many are training images too and how many
            there are; none of older runs, of which nobody has counted.
        tuning: whether its arms were tuned alike, None if they were not tuned.
        noun: what the inputs are called.
    """

    runs: int
    unequal: Differences
    within: tuple[str, ...]
    confounds: Differences
    holes: tuple[str, ...]
    shared: tuple[tuple[int, int], ...]
    looked: Looked | None = None
    tuning: EqualTuning | None = None
    noun: Noun = NOUN

    @property
    def passes(self) -> bool:
        """Whether every compared run had the same budget, images and order."""
        return not self.unequal


@once
def audit(comparison: Comparison) -> Audit:
    """Checks a comparison.

    Equal budget: epochs, optimizer steps, examples, the end of the schedule, no early stop, the
    same images and, for each seed, the same order; and of each arm one network. Confounds:
    everything in `provenance.json` that can change a result. Keys of the configuration cannot
    differ here but for factors and seed, because runs that differ in another key are another
    comparison.
    """
    complete = comparison.checked
    unequal = _unequal(complete, comparison.noun)
    # `epochs`, `recipe.batch_size` or `dataset.image_size` as a factor is another budget by intent.
    names = {name: name for name in [*comparison.rows, comparison.contrast]}
    if comparison.arms:
        names = dict(comparison.arms[0].keys)
    # No budget depends on them.
    own = {"arch", "dataset", *comparison.parts, *(part.key for part in comparison.all_parts)}
    names = {name: key for name, key in names.items() if key not in own}
    within = tuple(names.values())
    # So is one that was tuned, and chosen unlike for two arms.
    within += tuple(name for name in complete if name.startswith("tuned."))
    if not (unequal and within) or any(
        _unequal(runs, comparison.noun) for _, runs in complete.groupby(list(within), dropna=False)
    ):
        within = ()
    if several := _networks(comparison):
        unequal, within = unequal | several, ()
    titles = {key: name for name, key in names.items()}
    within = tuple(titles.get(key, key.removeprefix("tuned.")) for key in within)
    facts = [key for key in complete.columns if key.startswith("provenance.")]
    confounds = {
        key.removeprefix("provenance."): _by_value(complete, key)
        for key in facts
        if complete[key].nunique(dropna=False) > 1
    }
    # What only some runs read is no difference: it may be of a part that others have not.
    confounds |= {
        f"the {what} {readable(key.removeprefix(begins))}": _by_value(
            complete.dropna(subset=key), key
        )
        for begins, what in ((READ, "file"), (LIBRARY, "library"))
        for key in complete.columns
        if key.startswith(begins) and complete[key].nunique() > 1
    }
    holes = (*_holes(comparison), *_holes_of_controls(comparison))
    shared, looked = _shared(complete), comparison.looked
    equal = equal_tuning(comparison)
    return Audit(
        len(complete), unequal, within, confounds, holes, shared, looked, equal, comparison.noun
    )


def _shared(runs: pd.DataFrame) -> tuple[tuple[int, int], ...]:
    """Returns of each set of images how many of those to validate are among those to train."""
    counted = runs.dropna(subset=["shared_images"]).drop_duplicates("fingerprint")
    return tuple(
        (int(shared), int(images))
        for shared, images in zip(counted["shared_images"], counted["val_images"], strict=True)
    )


def _unequal(runs: pd.DataFrame, noun: Noun) -> Differences:
    """Returns the parts of the training budget in which runs differ."""
    found = {
        name.format(noun.many): _by_value(runs, key)
        for key, name in _BUDGET.items()
        if runs[key].nunique(dropna=False) > 1
    }
    for seed, of_seed in runs.groupby("seed"):
        if of_seed["order_sha256"].nunique(dropna=False) > 1:
            found[f"order of the {noun.many} at seed {seed}"] = _by_value(of_seed, "order_sha256")
    return found


def _networks(comparison: Comparison) -> Differences:
    """Returns in which cells the networks of several seeds differ in their parameters.

    A cell would average over several networks, such as if they are built by what a file says that
    was edited meanwhile, which is no part of the code. So it would over several runs of one seed.
    """
    found: Differences = {}
    for key, runs in comparison.complete.groupby([*comparison.rows, "column"], sort=False):
        factors = dict(zip(comparison.rows, key, strict=False))
        cell = ", ".join(filter(None, (_row(factors), f"{comparison.prefix}{readable(key[-1])}")))
        found |= {
            f"{name} of {cell}": _by_value(runs, size)
            for size, name in _SIZES.items()
            if runs[size].nunique() > 1
        }
        doubled = runs[runs["seed"].duplicated(keep=False)]
        if len(doubled):
            found[f"several runs of {cell}"] = {
                f"at seed {seed}": list(of_seed["run"]) for seed, of_seed in doubled.groupby("seed")
            }
    return found


def _row(factors: Mapping[str, object]) -> str:
    """Returns what a row is called by its levels."""
    return ", ".join(
        f"{name} {readable(str(value))}" for name, value in factors.items() if not is_absent(value)
    )


def _by_value(runs: pd.DataFrame, key: str) -> dict[str, list[str]]:
    return {
        _said(value, group, key): list(group["run"])
        for value, group in runs.groupby(key, dropna=False, sort=False)
    }


def _said(value: object, runs: pd.DataFrame, key: str) -> str:
    """Returns a value in words: images are those of a folder, if they have one."""
    if pd.isna(value):
        return "unknown"
    places = [place for name in LOCATIONS for place in runs[f"config.{name}"].dropna().unique()]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # A column of counts has decimals once one of them is missing.
    if key not in _IMAGES or not places:
        return str(value)
    return f"of {', '.join(map(readable, places))} ({str(value)[:8]})"


def _holes(comparison: Comparison) -> Iterable[str]:
    """Yields what is not there: cells without runs, runs that are not complete, missing seeds."""
    if comparison.missing:
        names = comparison.missing[:_LISTED_AT_MOST]
        more = len(comparison.missing) - len(names)
        named = f"{', '.join(names)}{f' and {more} more' if more else ''}"
        yield f"planned and not trained yet: {named}"
    rows, seeds = comparison.rows, set(comparison.runs["seed"])
    runs = comparison.runs[[*rows, "column", "seed", "state", "reason", "score"]]
    groups = dict(iter(runs.groupby([*rows, "column"], sort=False)))
    there = {key[:-1] for key in groups}
    for key in itertools.product(*(levels(runs[name]) for name in rows)):
        factors = dict(zip(rows, key, strict=True))
        row = _row(factors)
        columns = [column for column in comparison.columns if comparison.exists(factors, column)]
        if key not in there:
            if columns:
                yield f"{row}: missing"
            continue
        for column in columns:
            named = f"{row}, {comparison.prefix}{readable(column)}"
            if (*key, column) not in groups:
                yield f"{named}: missing"
                continue
            cell = groups[*key, column]
            broken = cell[cell["state"].to_numpy() != store.COMPLETE]
            for seed, state, why in zip(
                broken["seed"], broken["state"], broken["reason"], strict=True
            ):
                yield f"{named}, seed {seed}: {state}{f' ({why})' if why else ''}"
            unscored = (cell["state"] == store.COMPLETE) & cell["score"].isna()
            if unscored.any():
                yield f"{named}, seed {spans(set(cell['seed'][unscored]))}: without a score"
            absent = seeds - set(cell["seed"])
            if absent:
                yield f"{named}: no seed {spans(absent)}"


def _holes_of_controls(comparison: Comparison) -> Iterable[str]:
    """Yields which runs of controls are not complete, and which seeds of their arms they lack."""
    for one in comparison.controls:
        broken = one.runs[~one.runs["state"].isin((store.COMPLETE, store.REFUSED))]
        for seed, state, why in broken[["seed", "state", "reason"]].itertuples(index=False):
            yield f"{one.name}, seed {seed}: {state}{f' ({why})' if why else ''}"
        cell = comparison.runs
        for name, level in zip((*comparison.rows, "column"), one.of, strict=True):
            cell = cell[cell[name] == level]
        absent = set(cell["seed"]) - set(one.runs["seed"])
        if absent:
            yield f"{one.name}: no seed {spans(absent)}"


def spans(numbers: Collection[int]) -> str:
    """Returns whole numbers in order, many neighbours as a span: "0 to 24, 30"."""
    # Neighbours are equally far from their places in the order.
    stretches = itertools.groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    parts: list[str] = []
    for _, stretch in stretches:
        values = [number for _, number in stretch]
        many = len(values) > _LISTED_AT_MOST
        parts += [f"{values[0]} to {values[-1]}"] if many else map(str, values)
    return ", ".join(parts)

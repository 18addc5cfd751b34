"""What a report begins with: the answer in a few sentences.

A newcomer should understand them and a referee accept them: each has its estimate, its interval,
the number of seeds and the verdict. What is open says what would settle it.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from ablation.analysis.comparison import Comparison, combinations
from ablation.analysis.effects import (
    DISAGREES,
    HELPS,
    HURTS,
    NO_RELEVANT_DIFFERENCE,
    OPEN,
    SEEDS_FOR_A_VERDICT,
    Effect,
    is_near_chance,
)
from ablation.analysis.metrics import Metric
from ablation.analysis.per_image import OfImages
from ablation.analysis.tables import comparison_effects
from ablation.terminal import counted, duration
from ablation.text import readable

_NAMED_AT_MOST = 3
_SENTENCES_AT_MOST = 6


def answer(comparison: Comparison, images: Sequence[OfImages] = ()) -> list[str]:
    """Returns what a comparison answers, in at most six sentences; none without a complete run.

    Args:
        comparison: of runs.
        images: what the validation images say to its questions.
    """
    effects = [effect for effect in comparison_effects(comparison) if effect.n]
    if not effects:
        return []
    found = list(_did_not_learn(comparison))
    if max(effect.n for effect in effects) < SEEDS_FOR_A_VERDICT:
        found += _without_verdict(comparison, effects, images)
    elif comparison.arms:
        found += _of_design(comparison, effects)
    else:
        found += _of_grid(comparison, effects)
    doubted = [_named(effect) for effect in effects if effect.exact == DISAGREES]
    if doubted:
        found.insert(
            1, f"The exact sign-flip test disagrees with the t test on {_listed(doubted)}."
        )
    return [f"{text[0].upper()}{text[1:]}" for text in found[:_SENTENCES_AT_MOST]]


def _did_not_learn(comparison: Comparison) -> Iterator[str]:
    """Yields, where an arm's seeds part into trained and untrained, that its mean says little."""
    runs = comparison.complete
    near = is_near_chance(runs["val_accuracy"].to_numpy(float), runs["chance"].to_numpy(float))
    frame = runs.assign(_near=near)
    keys = [*comparison.rows, "column"]
    parted = []
    for key in combinations(frame, keys):
        of_cell = frame[(frame[keys] == list(key)).all(axis=1)]["_near"]
        if 0 < of_cell.sum() < len(of_cell):
            name = _cell(comparison, key)
            parted.append(
                f"{name} learned in {len(of_cell) - of_cell.sum()} of {len(of_cell)} seeds"
            )
    if parted:
        yield (
            f"Not every seed learns: {_listed(parted)} and stayed near chance in the others, "
            "so a mean over its seeds says little."
        )


def _cell(comparison: Comparison, key: Sequence[str]) -> str:
    *row, column = key
    if comparison.arms:
        return readable(str(column))
    where = ", ".join(
        f"{name} {readable(str(level))}" for name, level in zip(comparison.rows, row, strict=True)
    )
    return f"{comparison.prefix}{readable(str(column))} at {where}"


def _without_verdict(
    comparison: Comparison, effects: Sequence[Effect], images: Sequence[OfImages]
) -> Iterator[str]:
    """Yields the differences of one seed or two, and what a verdict would take."""
    asked = [effect for effect in effects if effect.kind not in ("interaction", "main effect")]
    ranked = sorted(asked, key=lambda effect: -abs(effect.mean))
    if comparison.arms:
        changes = [
            f"{effect.minuend} {effect.metric.difference(effect.mean)}"
            f"{f' ({_bounds(effect)})' if effect.n > 1 and not effect.constant else ''}"
            for effect in ranked[: 2 * _NAMED_AT_MOST]
            if effect.kind != "total"
        ]
        yield f"Against {_base(comparison)}: {_listed(changes)}."
    else:
        first = ranked[0]
        pair = [
            effect
            for effect in asked
            if (effect.minuend, effect.subtrahend) == (first.minuend, first.subtrahend)
        ]
        yield f"{_of_rows(pair[:_NAMED_AT_MOST])}."
    n = max(effect.n for effect in effects)
    of_first = next((one.spread for one in images if one.effect is ranked[0]), None)
    if n == 1 and of_first and not math.isnan(of_first.over_images[0]):
        low, high = (ranked[0].metric.signed(bound) for bound in of_first.over_images)
        yield (
            f"Over {counted(of_first.images, 'validation image')} the largest lies within {low} to "
            f"{high}, for these very networks."
        )
    runs = comparison.complete
    seconds = runs.groupby([*comparison.rows, "column"])["seconds"].median().sum()
    more = SEEDS_FOR_A_VERDICT - n
    what = (
        "One seed each: these are differences of single runs, and no claim is made."
        if n == 1
        else "Two seeds each: too few for a verdict."
    )
    yield f"{what} {counted(more, 'more seed')} would give one, about {duration(more * seconds)}."


def _of_grid(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    contrasts = [effect for effect in effects if effect.kind == "contrast"]
    mains = [effect for effect in effects if effect.kind == "main effect"]
    pairs = list(dict.fromkeys((effect.minuend, effect.subtrahend) for effect in contrasts))
    for pair in pairs[:2]:
        of_pair = [effect for effect in contrasts if (effect.minuend, effect.subtrahend) == pair]
        main = next((one for one in mains if (one.minuend, one.subtrahend) == pair), None)
        if len(of_pair) <= _NAMED_AT_MOST or main is None:
            yield f"{_of_rows(of_pair)}, over {_seeds(of_pair)}."
        else:
            yield f"Averaged over {len(of_pair)} rows, {_difference(main)}; {_counts(of_pair)}."
    if len(pairs) > 2:
        yield f"Of all {len(contrasts)} differences between levels {_counts(contrasts)}."
    interactions = [effect for effect in effects if effect.kind == "interaction"]
    told = [one for one in interactions if one.verdict in (HELPS, HURTS)]
    for one in sorted(told, key=lambda effect: -abs(effect.mean))[:2]:
        yield _interaction(one)
    yield from _open([*contrasts, *interactions])


def _of_rows(effects: Sequence[Effect]) -> str:
    """Returns one contrast in a few rows: the first in full, the others shorter."""
    first, *others = effects
    text = _difference(first)
    for other in others:
        text += f", and {other.metric.size(other.mean)} {_direction(other)} at {other.where}"
        text += f" ({_interval(other)})" if other.n > 1 else ""
    return text


def _of_design(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    metric, base = effects[0].metric, _base(comparison)
    total = [effect for effect in effects if effect.kind == "total"]
    for one in total:
        steps = sum(effect.kind == "step" for effect in effects)
        yield (
            f"The {steps} steps together take {base} {metric.size(one.mean)} {_direction(one)} "
            f"({_interval(one)}), over {_seeds([one])}."
        )
    told = {
        "change": ("change", f" of {base}"),
        "addition": ("addition", " to the stripped arm"),
        "step": ("step", ""),
    }
    for kind, (word, whose) in told.items():
        of_kind = [effect for effect in effects if effect.kind == kind]
        if of_kind:
            yield from _ranked(of_kind, f"Of {counted(len(of_kind), word)}{whose}")
    interactions = [effect for effect in effects if effect.kind == "interaction"]
    disagree = [effect for effect in interactions if effect.verdict in (HELPS, HURTS)]
    if disagree:
        named = _listed([f"{one.minuend} ({_interval(one)})" for one in disagree[:_NAMED_AT_MOST]])
        yield f"The parts do not add up: added alone and left out, they differ for {named}."
    yield from _open(effects)


def _base(comparison: Comparison) -> str:
    """Returns the arm that a design begins with, and its score."""
    first = comparison.arms[0].name
    own = comparison.complete[comparison.complete["column"] == first]["score"]
    return f"the {first} ({comparison.metric.value(own.mean())})" if len(own) else f"the {first}"


def _ranked(effects: Sequence[Effect], head: str) -> Iterator[str]:
    """Yields which of some changes help and which hurt, the largest first."""
    said = []
    for verdict, word in ((HURTS, "hurt"), (HELPS, "help")):
        of_verdict = [effect for effect in effects if effect.verdict == verdict]
        if not of_verdict:
            said.append(f"none {word}s")
            continue
        largest = sorted(of_verdict, key=lambda effect: -abs(effect.mean))
        named = _listed(
            [
                f"{effect.minuend} ({effect.metric.difference(effect.mean)}, {_bounds(effect)})"
                for effect in largest[:_NAMED_AT_MOST]
            ]
        )
        more = len(largest) - _NAMED_AT_MOST
        verb = word if len(of_verdict) > 1 else f"{word}s"
        said.append(f"{len(of_verdict)} {verb}: {named}{f' and {more} more' if more > 0 else ''}")
    clear = any(effect.verdict in (HELPS, HURTS) for effect in effects)
    text = "; ".join(said) if clear else "none can be told from chance yet"
    yield f"{head}, {text} ({_seeds(effects)})."
    equal = [effect for effect in effects if effect.verdict == NO_RELEVANT_DIFFERENCE]
    if equal:
        names = _listed([effect.minuend for effect in equal])
        yield f"No relevant difference: {names} ({_margin(equal[0])})."


def _open(effects: Sequence[Effect]) -> Iterator[str]:
    """Yields what is open and what would settle the one that is nearest to it."""
    left = [effect for effect in effects if effect.verdict == OPEN]
    if not left:
        return
    names = _listed([_named(effect) for effect in left[:_NAMED_AT_MOST]])
    more = f" and {len(left) - _NAMED_AT_MOST} more" if len(left) > _NAMED_AT_MOST else ""
    text = f"Open: {names}{more}."
    able = [effect for effect in left if effect.seeds_to_settle]
    if able:
        nearest = min(able, key=lambda effect: effect.seeds_to_settle)
        seeds = nearest.seeds_to_settle
        seconds = (seeds - nearest.n) * nearest.seconds
        which = "it" if len(left) == 1 else _named(nearest)
        text += (
            f" At the spread seen about {seeds} seeds would settle {which}: {seeds - nearest.n} "
            f"more, about {duration(seconds)} of training."
        )
    else:
        text += " At the spread seen no number of seeds that anyone would train settles it."
    yield text


def _difference(effect: Effect) -> str:
    """Returns a difference as a clause: what is how much higher than what, and where."""
    metric = effect.metric
    where = f" at {effect.where}" if effect.where else ""
    title = metric.title
    interval = f" ({_interval(effect)})" if effect.n > 1 else ""
    return (
        f"{title} with {effect.minuend} is {metric.size(effect.mean)} {_direction(effect)} than "
        f"with {effect.subtrahend}{where}{interval}"
    )


def _interaction(effect: Effect) -> str:
    later, _, first = effect.where.partition(" against ")
    word = "larger" if effect.mean > 0 else "smaller"
    return (
        f"{effect.minuend} − {effect.subtrahend} is {effect.metric.size(effect.mean)} {word} at "
        f"{later} than at {first} ({_interval(effect)})."
    )


def _interval(effect: Effect) -> str:
    if effect.constant:
        return "the same for every seed"
    return f"{_bounds(effect)}; {effect.verdict}" if effect.verdict else _bounds(effect)


def _bounds(effect: Effect) -> str:
    low, high = (effect.metric.signed(bound) for bound in effect.interval)
    return f"{low} to {high}"


def _named(effect: Effect) -> str:
    if effect.kind in ("change", "addition", "step"):
        return effect.minuend
    return f"{effect.named('−')}{f' at {effect.where}' if effect.where else ''}"


def _direction(effect: Effect) -> str:
    return "higher" if effect.mean >= 0 else "lower"


def _counts(effects: Sequence[Effect]) -> str:
    verdicts = pd.Series([effect.verdict for effect in effects]).value_counts()
    words = {
        HELPS: "help",
        HURTS: "hurt",
        OPEN: "are open",
        NO_RELEVANT_DIFFERENCE: "do not matter",
    }
    return ", ".join(f"{verdicts[one]} {word}" for one, word in words.items() if one in verdicts)


def _seeds(effects: Sequence[Effect]) -> str:
    counts = sorted({effect.n for effect in effects})
    if len(counts) == 1:
        return counted(counts[0], "seed")
    return f"{counts[0]} to {counts[-1]} seeds"


def _margin(effect: Effect) -> str:
    assert effect.margin is not None
    metric: Metric = effect.metric
    return f"within {metric.size(effect.margin)} of each other"


def _listed(parts: Sequence[str]) -> str:
    """Returns "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"

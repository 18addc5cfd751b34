"""What a report begins with: the answer in a few sentences.

A newcomer should understand them and a referee accept them: each has its estimate, its interval,
the number of seeds and the verdict. What is open says what would settle it.
"""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import (
    CONFIRMED,
    DISAGREES,
    HELPS,
    HURTS,
    LARGER,
    NO_RELEVANT_DIFFERENCE,
    OPEN,
    SEEDS_FOR_A_VERDICT,
    SEEDS_IF_NETS_FAIL,
    SMALLER,
    Effect,
    is_near_chance,
)
from ablation.analysis.levels import combinations, varying
from ablation.analysis.per_image import QUESTIONS_AT_MOST, OfImages
from ablation.analysis.tables import comparison_effects
from ablation.report.controls import of_the_draw
from ablation.terminal import counted, duration
from ablation.text import readable

AFTER_A_LOOK = (
    "Add them by seed=until(N), whose test allows for this look and then judges all questions; a t "
    "test after more seeds does not."
)

_SINGLE = " (one seed, no claim)"
_NAMED_AT_MOST = 3
_SENTENCES_AT_MOST = 6


def answer(comparison: Comparison, images: Sequence[OfImages] = ()) -> list[str]:
    """Returns what a comparison answers, in six sentences or seven; none without a complete run.

    Args:
        comparison: of runs.
        images: what the validation images say to its questions.
    """
    asked = comparison_effects(comparison)
    effects = [effect for effect in asked if effect.n]
    unanswered = list(_unanswered([effect for effect in asked if not effect.n]))
    unbuilt = list(_unbuilt(comparison))
    parted, untrained = _did_not_learn(comparison)
    if not effects:
        return [*unbuilt, *parted, *unanswered, *untrained]
    before = [*unbuilt, *parted, *_too_sure(effects)]
    found: list[str] = []
    if max(effect.n for effect in effects) < SEEDS_FOR_A_VERDICT:
        found += _without_verdict(comparison, effects)
    elif comparison.arms:
        found += _of_design(comparison, effects)
    else:
        found += _of_grid(comparison, effects)
    # Nets that did not learn are said whatever else there is to say.
    last = [*untrained, *_exact(effects), *_looked(comparison, effects)]
    last += _over_images(images, len(effects))
    last += [*of_the_draw(comparison), *unanswered]
    room = max(1, _SENTENCES_AT_MOST - len(last))
    # Whatever has to be said before it, an answer has one difference at least.
    found = [*before[: room - 1], *found][:room] + last
    return [f"{text[0].upper()}{text[1:]}" for text in found]


def _exact(effects: Sequence[Effect]) -> Iterator[str]:
    """Yields what the sign-flip test says to the verdicts."""
    if any(effect.looked for effect in effects):
        return  # It must not be looked at twice.
    decided = [effect for effect in effects if effect.verdict in (HELPS, HURTS, LARGER, SMALLER)]
    doubted = [_named(effect) for effect in effects if effect.exact == DISAGREES]
    confirmed = sum(effect.exact == CONFIRMED for effect in decided)
    mute = [effect for effect in decided if effect.exact not in (CONFIRMED, DISAGREES)]
    if doubted:
        yield f"The exact sign-flip test disagrees with the t test on {_shortly(doubted)}."
    elif decided and not mute:
        yield "The exact sign-flip test, which assumes symmetry alone, confirms what is concluded."
    elif decided and not confirmed:
        need = max(effect.seeds_needed for effect in mute)
        yield (
            "The exact sign-flip test, which assumes symmetry alone, cannot speak below "
            f"{need} seeds."
        )
    elif decided:
        yield (
            f"The exact sign-flip test, which assumes symmetry alone, confirms {confirmed} of "
            f"{counted(len(decided), 'conclusion')} and cannot speak of the others yet."
        )


def _unbuilt(comparison: Comparison) -> Iterator[str]:
    """Yields that there is no arm of those that the others are held against, and why."""
    for role, reason in comparison.unbuilt.items():
        name = "stripped arm" if role == "stripped" else role
        which = "no question about it" if comparison.asked else "no question"
        yield f"The {name} could not be built ({readable(reason)}), so {which} has an answer."


def _unanswered(effects: Sequence[Effect]) -> Iterator[str]:
    """Yields which questions have no answer, because runs failed, are missing or lack a score."""
    if effects:
        named = _shortly([_named(effect) for effect in effects])
        yield f"No answer: {named}; no seed has a score of every net compared."


def _looked(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    """Yields that seeds were chosen by looking, where they were."""
    if comparison.looked:
        n = max(effect.n for effect in effects)
        yield (
            f"Whether to train more than {counted(n, 'seed')} was decided by looking at the "
            "results, which verdicts and intervals allow for."
        )


def _over_images(images: Sequence[OfImages], asked: int) -> Iterator[str]:
    """Yields how far other images would move the largest difference, of networks as they are.

    Args:
        images: what they say to questions.
        asked: how many questions have an answer.
    """
    able = [one for one in images if one.spread and not math.isnan(one.spread.over_images[0])]
    if able:
        one = max(able, key=lambda one: abs(one.mean))
        assert one.spread
        low, high = one.effect.metric.bounds(*one.spread.over_images)
        of = f" of the first {QUESTIONS_AT_MOST}" if len(images) == QUESTIONS_AT_MOST else ""
        what = f"the largest difference{of} ({_named(one.effect)})"
        if len(able) == 1:
            what = "the difference" if asked == 1 else f"the difference {_named(one.effect)}"
        if one.n < one.effect.n:
            what += f", over the {counted(one.n, 'seed')} with predictions,"
        yield (
            f"These {one.spread.images:,} {one.noun.many} are a sample too: for these very "
            f"networks {what} is {low} to {high} over all such {one.noun.many}."
        )


def _did_not_learn(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Returns which arms learned in some seeds alone, and which in none; a sentence each."""
    runs = comparison.complete
    near = is_near_chance(runs["skill"].to_numpy(float), runs["chance"].to_numpy(float))
    keys = [*comparison.rows, "column"]
    cells = dict(iter(pd.Series(near, runs.index).groupby([runs[key] for key in keys])))
    parted, untrained = [], []
    for key in combinations(runs, keys):
        of_cell, name = cells[key], _cell(comparison, key)
        if of_cell.all():
            untrained.append(name)
        elif of_cell.any():
            learned = len(of_cell) - of_cell.sum()
            parted.append(f"{name} learned in {learned} of {len(of_cell)} seeds")
    told = [
        f"Not every seed learns, so that a mean over seeds says little: {_shortly(parted)}; the "
        "other seeds stayed near chance."
    ]
    every = " in every seed" if runs["seed"].nunique() > 1 else ""
    none = [f"Near chance{every}: {_shortly(untrained)}."]
    return told if parted else [], none if untrained else []


def _too_sure(effects: Sequence[Effect]) -> Iterator[str]:
    """Yields which conclusions of few seeds hang on nets that did not learn.

    If nets fail now and then, three seeds of one arm may all fail and those of another all learn by
    chance, with differences so alike that no correction for many questions helps.
    """
    told = [
        _named(effect)
        for effect in effects
        if effect.concludes and effect.near_chance and effect.n < SEEDS_IF_NETS_FAIL
    ]
    if told:
        yield (
            f"Nets near chance are behind what is concluded of {_shortly(told)}: where nets fail "
            f"by chance, a t test is too sure with fewer than {SEEDS_IF_NETS_FAIL} seeds."
        )


def _cell(comparison: Comparison, key: Sequence[str]) -> str:
    *row, column = key
    if comparison.arms:
        return readable(str(column))
    telling = varying(comparison.runs, comparison.rows)
    where = ", ".join(
        f"{name} {readable(str(level))}"
        for name, level in zip(comparison.rows, row, strict=True)
        if name in telling
    )
    return f"{comparison.prefix}{readable(str(column))}{f' at {where}' if where else ''}"


def _without_verdict(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    """Yields the differences of one seed or two, and what a verdict would take."""
    heads = {
        "change": f"Against {_base(comparison, 'reference')}",
        "addition": f"Added to {_base(comparison, 'stripped')}",
        "step": f"Step by step from {_base(comparison, 'reference')}",
        "total": f"All {_steps(comparison)}s together",
    }
    n = max(effect.n for effect in effects)
    for kind, head in heads.items():
        of_kind = [effect for effect in effects if effect.kind == kind]
        if kind in ("change", "addition"):
            of_kind.sort(key=lambda effect: -abs(effect.mean))
        if of_kind:
            yield f"{head}: {_shortly(list(map(_alone, of_kind)))}."
    contrasts = [effect for effect in effects if effect.kind == "contrast"]
    if contrasts:
        first = max(contrasts, key=lambda effect: abs(effect.mean))
        pair = [
            effect
            for effect in contrasts
            if (effect.minuend, effect.subtrahend) == (first.minuend, first.subtrahend)
        ]
        single = "" if n == 1 else _SINGLE  # Of all of them it is said below.
        if len(pair) <= _NAMED_AT_MOST:
            yield f"{_of_rows(pair, single)}."
        else:
            yield f"{_difference(first, single)}, the largest of {len(pair)} rows."
    elif not comparison.arms:
        mains = [effect for effect in effects if effect.kind == "main effect"]
        yield from _averaged(mains, "" if n == 1 else _SINGLE)
    runs = comparison.complete
    cells = runs.groupby([*comparison.rows, "column"])
    least = min(effect.n for effect in effects)
    more = max(effect.least_seeds for effect in effects) - least
    how = "each" if set(cells.size()) == {n} else "in common"
    what = f"Two seeds {how}: too few for a verdict."
    if n == 1:
        what = f"One seed {how}: these are differences of single runs, and no claim is made."
    elif least < n:
        what = "One seed in common or two: too few for a verdict."
    time = duration(more * effects[0].seconds)
    # Differences that are the same for every seed may stay so, and allow no test then.
    same = any(effect.constant and effect.n > 1 for effect in effects)
    give = "could" if comparison.looked or same else "would"
    every = " for every difference" if least < n else ""
    yield f"{what} {counted(more, 'more seed')} {give} give one{every}, about {time} of training."


def _of_grid(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    contrasts = [effect for effect in effects if effect.kind == "contrast"]
    mains = [effect for effect in effects if effect.kind == "main effect"]
    pairs = list(dict.fromkeys((effect.minuend, effect.subtrahend) for effect in contrasts))
    if len(pairs) > 2:  # The first to be told are those of which most is known.
        telling = sorted(contrasts, key=lambda one: (not one.concludes, one.n < 2, -abs(one.mean)))
        pairs = list(dict.fromkeys((effect.minuend, effect.subtrahend) for effect in telling))
    for pair in pairs[:2]:
        of_pair = [effect for effect in contrasts if (effect.minuend, effect.subtrahend) == pair]
        main = next((one for one in mains if (one.minuend, one.subtrahend) == pair), None)
        if len(of_pair) <= _NAMED_AT_MOST:
            yield f"{_of_rows(of_pair)}, over {_seeds(of_pair)}."
        elif main is None:  # A cell has no run for it.
            largest = max(of_pair, key=lambda effect: abs(effect.mean))
            yield f"{_difference(largest)}, the largest of {len(of_pair)} rows; {_counts(of_pair)}."
        else:
            over = f"over {_seeds([main])} that all rows have" if main.n > 1 else "in one seed"
            yield (
                f"Averaged over {len(of_pair)} rows, {_difference(main)}, {over}; "
                f"{_counts(of_pair)}."
            )
    if len(pairs) > 2:
        asked = sum(effect.kind == "contrast" for effect in comparison_effects(comparison))
        judged = f", of which {len(contrasts)} can be judged," if len(contrasts) < asked else ""
        yield f"Of all {asked} differences between levels{judged} {_counts(contrasts)}."
    if not contrasts:
        yield from _averaged(mains)
    interactions = [effect for effect in effects if effect.kind == "interaction"]
    told = [one for one in interactions if one.verdict in (LARGER, SMALLER)]
    for one in sorted(told, key=lambda effect: -abs(effect.mean))[:2]:
        yield _interaction(one)
    yield from _open([*contrasts, *mains, *interactions])


def _averaged(mains: Sequence[Effect], single: str = _SINGLE) -> Iterator[str]:
    """Yields the main effects that are told where no row has two levels beside each other."""
    for main in sorted(mains, key=lambda one: (not one.concludes, -abs(one.mean)))[:2]:
        yield f"Averaged over what differs in nothing else, {_difference(main, single)}."


def _of_rows(effects: Sequence[Effect], single: str = _SINGLE) -> str:
    """Returns one contrast in a few rows: the first in full, the others shorter."""
    first, *others = effects
    text = _difference(first, single)
    for other in others:
        text += f", and {_moved(other)} at {other.where}{_in_brackets(other, single)}"
    return text


def _of_design(comparison: Comparison, effects: Sequence[Effect]) -> Iterator[str]:
    base = _base(comparison, "reference")
    total = [effect for effect in effects if effect.kind == "total"]
    for one in total:
        steps = sum(arm.role == "step" for arm in comparison.arms)
        what = _steps(comparison)
        moved = f"leave {base} the same" if _is_none(one) else f"take {base} {_moved(one)}"
        yield (
            f"The {counted(steps, what)} together {moved}{_in_brackets(one)}, over {_seeds([one])}."
        )
    told = {
        "change": ("change", f" of {base}"),
        "addition": ("addition", f" to {_base(comparison, 'stripped')}"),
        "step": ("step", ""),
    }
    asked = [effect.kind for effect in comparison_effects(comparison)]
    for kind, (word, whose) in told.items():
        of_kind = [effect for effect in effects if effect.kind == kind]
        if of_kind:
            head = f"Of {counted(asked.count(kind), word)}{whose}"
            if len(of_kind) < asked.count(kind):
                head += f", of which {len(of_kind)} can be judged"
            yield from _ranked(of_kind, head)
    interactions = [effect for effect in effects if effect.kind == "interaction"]
    disagree = [effect for effect in interactions if effect.verdict in (LARGER, SMALLER)]
    if disagree:
        named = _shortly([f"{one.named('−')} {_size(one)}" for one in disagree])
        yield f"The parts do not add up, since alone they do not bring what they do last: {named}."
    yield from _open(effects)


def _steps(comparison: Comparison) -> str:
    """Returns what a step of those is called that make up the total."""
    return "kept step" if any(arm.role == "rejected" for arm in comparison.arms) else "step"


def _base(comparison: Comparison, role: str) -> str:
    """Returns an arm that others are made of, and its score."""
    runs = comparison.complete
    scores = runs.loc[runs["column"] == role, "score"].dropna()
    name = f"the {role} arm" if role == "stripped" else f"the {role}"
    return f"{name} ({comparison.metric.value(scores.mean())})" if len(scores) else name


def _alone(effect: Effect) -> str:
    """Returns a difference of one seed or two, and of what."""
    name = "" if effect.kind == "total" else f"{effect.minuend} "
    bounded = effect.n > 1 and not effect.constant and not math.isnan(effect.interval[0])
    bounds = f" ({_bounds(effect)})" if bounded else ""
    return f"{name}{effect.metric.difference(effect.mean)}{bounds}"


def _ranked(effects: Sequence[Effect], head: str) -> Iterator[str]:
    """Yields which of some changes help and which hurt, the largest first."""
    constant = [effect for effect in effects if effect.constant and not effect.verdict]
    tested = [effect for effect in effects if effect not in constant]
    said = []
    for verdict, word in ((HURTS, "hurt"), (HELPS, "help")):
        of_verdict = [effect for effect in tested if effect.verdict == verdict]
        if of_verdict:
            verb = word if len(of_verdict) > 1 else f"{word}s"
            said.append(f"{len(of_verdict)} {verb}: {_largest(of_verdict)}")
        elif tested:
            said.append(f"none {word}s")
    if tested and not any(effect.verdict in (HELPS, HURTS) for effect in tested):
        irrelevant = sum(effect.verdict == NO_RELEVANT_DIFFERENCE for effect in tested)
        said = ["none can be told from the spread over seeds yet"]
        if irrelevant:
            said = ["none helps or hurts" + (" so far" if irrelevant < len(tested) else "")]
    if constant:
        verb = "are" if len(constant) > 1 else "is"
        said.append(f"{len(constant)} {verb} the same for every seed: {_largest(constant)}")
    yield f"{head}, {'; '.join(said)} ({_seeds(effects)})."
    equal = [effect for effect in effects if effect.verdict == NO_RELEVANT_DIFFERENCE]
    if equal:
        names = _shortly([effect.minuend for effect in equal])
        assert equal[0].margin is not None
        within = equal[0].metric.size(equal[0].margin)
        than = "the step before" if equal[0].kind == "step" else "what it is held against"
        yield f"No relevant difference: {names} (each within {within} of {than})."


def _largest(effects: Sequence[Effect]) -> str:
    """Returns a few effects with their sizes and, where they have one, intervals."""
    largest = sorted(effects, key=lambda effect: -abs(effect.mean))
    return _shortly([f"{effect.minuend} {_size(effect)}" for effect in largest])


def _size(effect: Effect) -> str:
    """Returns a difference and, where it has one, its interval, in brackets."""
    bounds = "" if effect.constant else f", {_bounds(effect)}"
    return f"({effect.metric.difference(effect.mean)}{bounds})"


def _open(effects: Sequence[Effect]) -> Iterator[str]:
    """Yields what is open and what would settle the one that is nearest to it."""
    left = [effect for effect in effects if effect.verdict == OPEN]
    if not left:
        return
    text = f"Open: {_shortly([_named(effect) for effect in left])}."
    able = [effect for effect in left if effect.seeds_to_settle]
    if able:
        nearest = min(able, key=lambda effect: effect.seeds_to_settle)
        seeds = nearest.seeds_to_settle
        seconds = (seeds - nearest.n) * nearest.seconds
        which = "it" if len(left) == 1 else _named(nearest)
        text += (
            f" At the spread seen about {seeds} seeds would settle {which}: {seeds - nearest.n} "
            f"more, about {duration(seconds)} of training all arms."
        )
        if not nearest.looked:
            text += f" {AFTER_A_LOOK}"
    else:
        which = "it" if len(left) == 1 else "any of them"
        text += f" At the spread seen no number of seeds that anyone would train settles {which}."
    yield text


def _difference(effect: Effect, single: str = _SINGLE) -> str:
    """Returns a difference as a clause: what is how much higher than what, and where."""
    where = f" at {effect.where}" if effect.where else ""
    than = "as" if _is_none(effect) else "than"
    return (
        f"{effect.metric.title} with {effect.minuend} is {_moved(effect)} {than} with "
        f"{effect.subtrahend}{where}{_in_brackets(effect, single)}"
    )


def _moved(effect: Effect) -> str:
    """Returns by how much a score is higher or lower, or that it is the same."""
    if _is_none(effect):
        return "the same"
    return f"{effect.metric.size(effect.mean)} {_direction(effect)}"


def _is_none(effect: Effect) -> bool:
    """Returns whether a mean difference is that of rounded sums, so none."""
    return not float(effect.metric.signed(effect.mean))


def _in_brackets(effect: Effect, single: str = _SINGLE) -> str:
    """Returns the interval and the verdict behind a difference, of one seed that there are none."""
    return f" ({_interval(effect)})" if effect.n > 1 else single


def _interaction(effect: Effect) -> str:
    later, _, first = effect.where.partition(" against ")
    word = "larger" if effect.mean > 0 else "smaller"
    return (
        f"{effect.minuend} − {effect.subtrahend} is {effect.metric.size(effect.mean)} {word} at "
        f"{later} than at {first} ({_interval(effect)})."
    )


def _interval(effect: Effect) -> str:
    if effect.constant:
        said = "the same for every seed"
        return f"{said}; {effect.verdict}" if effect.verdict else said
    if math.isnan(effect.interval[0]):
        return f"too few seeds for an interval; {effect.verdict}"
    return f"{_bounds(effect)}; {effect.verdict}" if effect.verdict else _bounds(effect)


def _bounds(effect: Effect) -> str:
    low, high = effect.metric.bounds(*effect.interval)
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
        HELPS: ("helps", "help"),
        HURTS: ("hurts", "hurt"),
        OPEN: ("is open", "are open"),
        NO_RELEVANT_DIFFERENCE: ("does not matter", "do not matter"),
    }
    said = [
        f"{verdicts[one]} {word[int(verdicts[one] > 1)]}"
        for one, word in words.items()
        if one in verdicts
    ]
    constant = sum(effect.constant and not effect.verdict for effect in effects)
    if constant:
        said.append(f"{constant} {'are' if constant > 1 else 'is'} the same for every seed")
    few = sum(not effect.constant and not effect.verdict for effect in effects)
    if few:
        said.append(f"{few} {'have' if few > 1 else 'has'} too few seeds")
    return ", ".join(said)


def _seeds(effects: Sequence[Effect]) -> str:
    counts = sorted({effect.n for effect in effects})
    if len(counts) == 1:
        return counted(counts[0], "seed")
    return f"{counts[0]} to {counts[-1]} seeds"


def _shortly(parts: Sequence[str]) -> str:
    """Returns the first of many, and how many more there are."""
    more = len(parts) - _NAMED_AT_MOST
    first = ", ".join(parts[:_NAMED_AT_MOST])
    return f"{first} and {more} more" if more > 0 else _listed(parts)


def _listed(parts: Sequence[str]) -> str:
    """Returns "a, b and c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"

"""What a report says beside its tables: sentences that each writer escapes and marks up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ablation.analysis.audit import Audit, Differences
from ablation.analysis.claims import Claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import (
    NEAR_CHANCE_SHARE,
    NO_RELEVANT_DIFFERENCE,
    Effect,
    foremost,
)
from ablation.analysis.equal_tuning import EqualTuning
from ablation.analysis.levels import varying
from ablation.analysis.per_image import QUESTIONS_AT_MOST, OfImages
from ablation.analysis.shapley import lacks_a_cell, shapley_table
from ablation.analysis.significance import EXACT_UP_TO, RANDOM_FLIPS
from ablation.analysis.starts import of_one_start, starts_table
from ablation.analysis.study import Study
from ablation.data.facts import shared_inputs
from ablation.designs.registry import GRID
from ablation.factors import ABSENT, spelled
from ablation.records import store
from ablation.report import judged
from ablation.report.answer import AFTER_A_LOOK, answer
from ablation.targets.common import Target
from ablation.targets.counts import VERY_UNEQUAL
from ablation.terminal import counted
from ablation.text import readable, visible

_NAMED_AT_MOST = 6
_TOLD_AT_MOST = 30
_LISTED_AT_MOST = 100


def tuning(target: Target) -> str:
    """Returns what a table of trials shows."""
    title = judged.name(target.of_epochs)
    return (
        f"{title[0].upper()}{title[1:]} on the data that judges tuning runs, which is training "
        "data of the other runs, and mean loss on it. In bold is what was chosen."
    )


INTERACTIONS = "What each part adds to the stripped arm, and what is lost when it is left out:"


@dataclass(frozen=True)
class Note:
    """A paragraph, or a list with what introduces it.

    Attributes:
        text: without markup, as it is to be read.
        lead: what stands out before it, "" if nothing does.
        items: of a list below it.
    """

    text: str = ""
    lead: str = ""
    items: tuple[str, ...] = ()


def cost(comparison: Comparison) -> str:
    """Returns what the numbers of the table of cost are."""
    return (
        "Equal epochs are not equal work. Trainable parameters; multiply-adds of one "
        f"{comparison.noun.one}."
    )


def title(comparison: Comparison) -> str:
    """Returns what a comparison is called: its data set and what sets its protocol apart."""
    keys = [f"{key}={readable(spelled(value))}" for key, value in comparison.protocol.items()]
    return ", ".join([readable(comparison.dataset), *keys])


def answers(comparisons: Sequence[Comparison], images: Sequence[Sequence[OfImages]]) -> list[Note]:
    """Returns the answer of each comparison: its first sentence, and a list of the others."""
    found = []
    for comparison, of_images in zip(comparisons, images, strict=True):
        sentences = answer(comparison, of_images)
        if sentences:
            about = f"{title(comparison)}." if len(comparisons) > 1 else ""
            found.append(Note(sentences[0], about, tuple(sentences[1:])))
    return found


def no_answer(study: Study) -> str:
    """Returns why a study answers nothing."""
    if any(study.all_runs["state"] == store.COMPLETE):
        return "Nothing is compared yet, so there is no answer."
    return "No run is complete yet, so there is no answer."


def states(study: Study) -> str:
    """Returns how many runs are in which state."""
    runs = study.all_runs
    found = runs["state"].value_counts()
    counts = ", ".join(f"{count} {state}" for state, count in found.items())
    trials = len(store.tuning_directories(study.directory))
    tuning = f", and {counted(trials, 'tuning run')}" if trials else ""
    return f"{counted(len(runs), 'run')}: {counts}{tuning}"


def outside(study: Study, comparisons: Sequence[Comparison]) -> list[Note]:
    """Returns which runs stand in no table or in one of their own, and which controls do not."""
    found = [*_beside(study, comparisons), *_tuned(study, comparisons)]
    if study.uncontrolled:
        items = first(study.uncontrolled, _LISTED_AT_MOST)
        found.append(Note(lead="Without a control:", items=items))
    return found


def _tuned(study: Study, comparisons: Sequence[Comparison]) -> list[Note]:
    """Returns which runs tuning keeps apart."""
    found = []
    if study.tuned and any(not one.tuned for one in comparisons):
        keys = dict.fromkeys(key for one in study.tuned for key in one.record.keys)
        text = (
            f"for some arms {' and '.join(keys)} was tuned, for others it was set by hand; they "
            "stand in tables of their own, because a difference between them would be one of care."
        )
        found.append(Note(text, "Tuned and not tuned:"))
    if study.superseded:
        text = (
            f"{counted(len(study.superseded), 'run')} of an earlier choice stand in no table: "
            "other values were tried since, and another one was chosen."
        )
        found.append(Note(text, "Chosen anew:"))
    return found


def _beside(study: Study, comparisons: Sequence[Comparison]) -> list[Note]:
    """Returns how many runs a design leaves out."""
    runs = study.runs[study.runs["state"] != store.REFUSED]
    shown = {name for comparison in comparisons for name in comparison.runs["run"]}
    left = len(set(runs["run"]) - shown)
    if not left or not comparisons:
        return []
    design = comparisons[0].design
    others = dict.fromkeys(one.design for one in study.designs if one.design != design)
    named = ", ".join(f"report.design={name}" for name in others or [GRID])
    text = (
        "the widest design that the runs fill or the one asked for; "
        f"{counted(left, 'run')} beside it: {named}."
    )
    return [Note(text, f"Shown is {design},")]


def claimed(found: Claimed) -> list[Note]:
    """Returns since when the claims of a study are on record, and how they were tested."""
    if not found.answers and not found.problem:
        return []
    effects = [one.effect for one in found.answers if one.effect]
    said = []
    if found.digest:
        text = f"on {found.time}, before the first run, with SHA-256 {found.digest[:16]}"
        text += "; the file is another one now." if found.changed else "; unchanged since."
        said.append(Note(text, "On record"))
    else:
        text = "of them was on record before the first run: all were added afterwards."
        said.append(Note(text, "None"))
    said.append(
        Note(
            "HOLDS: the interval of the difference is all on the claim's side. FAILS: all on the "
            "other. OPEN: neither. The claims are one family, apart from the questions of the "
            "tables: their intervals hold all at once with 95%; those that were added are tested "
            f"together with all others.{cut(effects)} A difference is averaged over all pairs "
            "of arms that differ in nothing else."
        )
    )
    return [*said, *([Note(found.problem, "Unreadable:")] if found.problem else [])]


def certificate(found: Audit) -> list[Note]:
    """Returns what the audit found: budget, confounds, holes, shared images, chosen seeds."""
    budget, holes = _budget(found), _holes(found)
    tuning = equal_tuning(found.tuning)
    return [budget, *tuning, *_confounds(found), holes, *_shared(found), *_looked(found)]


def _budget(found: Audit) -> Note:
    if found.runs < 2:
        return Note(f"({counted(found.runs, 'run')}).", "Equal budget: nothing to compare yet")
    if found.passes:
        text = (
            f"({counted(found.runs, 'run')}). Same epochs, optimizer steps, examples seen, end of "
            f"the learning-rate schedule, {found.noun.many}, and order of the {found.noun.many} at "
            "each seed."
        )
        return Note(text, "Equal budget: PASS")
    among = f"PASS among runs of equal {' and '.join(found.within)}. " if found.within else ""
    return Note(f"{among}The runs differ in", "Equal budget: FAIL.", _listed(found.unequal))


def equal_tuning(found: EqualTuning | None) -> list[Note]:
    """Returns whether the arms were tuned alike, and what is to be said of the choice."""
    if not found:
        return []
    metric, least = found.target.of_epochs, found.target.worst
    worst = "infinite" if math.isinf(least) else "0 %" if metric.is_share else f"{least:g}"
    # What is not equal says otherwise, if it is not so.
    apart = "; no run of the table has one of their seeds" if found.passes else ""
    tried = "; ".join(f"{key} {', '.join(values)}" for key, values in found.grid.items())
    text = (
        f"({counted(found.arms, 'arm')}: {tried}; {counted(found.seeds, 'tuning seed')}, "
        f"{counted(found.epochs, 'epoch')}). Tuning runs train on {100 * (1 - found.share):.3g} % "
        f"of the training data and are judged by the other {100 * found.share:.3g} %, never by "
        f"validation data{apart}. Chosen is the "
        f"{'highest' if metric.higher_is_better else 'lowest'} mean "
        f"{judged.name(metric)}, of several the one with the lowest mean loss, of these the one "
        f"named first; a run that failed or diverged counts as {worst}."
    )
    items = (*found.untrained, *found.edges, *found.tied, *found.failed)
    if found.passes:
        return [Note(text, "Equal tuning: PASS", first(items, _LISTED_AT_MOST))]
    wrong = Note("What is not equal:", "Equal tuning: FAIL.", first(found.unequal, _LISTED_AT_MOST))
    return [wrong, Note(text, "Tuned", first(items, _LISTED_AT_MOST))]


def _confounds(found: Audit) -> list[Note]:
    if found.runs < 2:
        return []
    if found.confounds:
        return [Note("The runs also differ in", "Confounds.", _listed(found.confounds))]
    where = "in code, versions, processor, device, threads and environment."
    return [Note(where, "Confounds: none")]


def _holes(found: Audit) -> Note:
    if not found.holes:
        return Note(lead="Holes: none.")
    return Note(lead="Holes.", items=first(found.holes, _LISTED_AT_MOST))


def _looked(found: Audit) -> list[Note]:
    """Returns that seeds were chosen by looking, and which intervals hold nevertheless."""
    if not found.looked:
        return []
    text = (
        "seeds were trained one after another until every question was decided, at most "
        f"{found.looked.at_most}. Verdicts, p and the intervals of questions and claims hold "
        "nevertheless, at every look; standard deviations, shares and intervals over "
        f"{found.noun.many} do not allow for the looking."
    )
    return [Note(text, "Seeds chosen by looking:")]


def _shared(found: Audit) -> list[Note]:
    """Returns how many validation images a net has been trained on; nothing if nobody counted."""
    if not found.shared:
        return []
    several = [shared_inputs(*counts, found.noun) for counts in found.shared if counts[0]]
    noun = found.noun.many
    if not several:
        return [Note(lead=f"Validation {noun} among the training {noun}: none.")]
    return [Note(f"{'; '.join(several)}.", "Warning:")]


def shares(comparison: Comparison) -> str:
    """Returns what the table of shares says, or why there is none; "" of what has no shares."""
    if lacks_a_cell(comparison):
        return (
            "What each factor brings, averaged over all orders (Shapley values), is not told: no "
            "seed has a score in every cell of the grid."
        )
    if shapley_table(comparison).empty:
        return ""
    return (
        "What each factor brings, averaged over all orders of changing them (Shapley values); the "
        "shares add up to what all bring together."
    )


def score(comparison: Comparison) -> list[Note]:
    """Returns what the numbers of the ablation table mean, and what to beware of."""
    seeds = comparison.complete.groupby([*comparison.rows, "column"]).size()
    metric = comparison.metric
    text = f"{metric.heading[0].upper()}{metric.heading[1:]}, after the final epoch"
    text += f"; differences in {metric.points}" if metric.points else ""
    text += "" if metric.higher_is_better else "; lower is better"
    text += "; n is seeds."
    if (seeds > 1).any():
        text += " ± is the standard deviation over seeds; differences are paired by seed."
    if comparison.contrast in comparison.parts and ABSENT in comparison.columns:
        text += (
            f" '{ABSENT}' are nets without this choice, shown for comparison; no difference "
            "counts them."
        )
    return [Note(text + _chance(comparison)), *_warnings(comparison)]


def _chance(comparison: Comparison) -> str:
    """Returns what a score must be read against."""
    runs, metric = comparison.complete, comparison.metric
    if runs.empty:
        return ""
    known = sorted(runs["score_of_chance"].dropna().unique())
    shares = " or ".join(map(metric.number, known))
    target = comparison.target
    text = f" {metric.nothing or target.nothing} would score {shares}." if known else ""
    return f"{text} A run {target.no_skill.format(NEAR_CHANCE_SHARE)} counts as near chance."


def _warnings(comparison: Comparison) -> list[Note]:
    """Returns what makes the score say less than it seems to."""
    runs, found = comparison.complete, []
    if runs.empty:
        return []
    times = runs["imbalance"].max()
    if times >= VERY_UNEQUAL:
        noun = comparison.noun
        how = f"the largest has {times:.0f} times the training {noun.many} of the smallest"
        how = how if math.isfinite(times) else f"one has no training {noun.one}"
        text = f"{how}. See how each fares in the confusion matrix."
        found.append(Note(text, "The classes are very unequal:"))
    losses = "config.recipe.loss"
    if losses in runs and runs[losses].nunique() > 1:
        text = "their curves of loss are of different quantities, and say nothing of each other."
        found.append(Note(text, "These runs have different losses:"))
    caveats = filter(None, runs["caveats"].dropna().unique())
    return found + [Note(f"{caveat}.", "Warning:") for caveat in caveats]


def without_reference(comparison: Comparison) -> list[Note]:
    """Returns why nothing is subtracted, if that is so, and what could be compared instead."""
    if comparison.reference is not None:
        return _without_pairs(comparison)
    several = list(varying(comparison.runs, comparison.rows))
    text = f"All runs have one level of {comparison.contrast}, "
    if len(comparison.columns) > 1:
        text = (
            f"No run here has the level of {comparison.contrast} that was asked for as reference, "
        )
    text += "so there are no differences and no effects."
    if several:
        text += f" report.contrast={several[-1]} compares the levels of {several[-1]}."
    return [Note(text)]


def _without_pairs(comparison: Comparison) -> list[Note]:
    """Returns that no row has the reference beside another level, if that is so."""
    runs = comparison.runs
    if comparison.arms or len(comparison.columns) < 2 or not comparison.rows:
        return []
    by_row = runs.groupby(list(comparison.rows))["column"]
    beside = by_row.transform(lambda levels: (levels == comparison.reference).any())
    pairs = by_row.transform("nunique") > 1
    if (beside & pairs).any():
        return []
    name = f"{comparison.contrast}={readable(str(comparison.reference))}"
    text = f"No row has {name} beside another level, so there is no difference in a row."
    if pairs.any():
        other = readable(str(runs.loc[pairs, "column"].iloc[0]))
        text += f" report.reference={other} compares where there is one."
    return [Note(text)]


def sentences(found: Sequence[Effect]) -> list[str]:
    """Returns one sentence for each effect; with one seed a cell only for what is no average."""
    averages = ("main effect", "interaction")
    of_cells = [one for one in found if one.kind not in averages]
    told = of_cells if alone(found) and of_cells else found
    lines = [effect.sentence() for effect in foremost(told, _TOLD_AT_MOST)]
    if len(told) > _TOLD_AT_MOST:
        table = "CSV file" if alone(found) else "table"
        lines.append(f"and {len(told) - _TOLD_AT_MOST:,} more, in the {table} of effects.")
    return lines


def alone(found: Sequence[Effect]) -> bool:
    """Returns whether no effect has more than one seed."""
    return max((effect.n for effect in found), default=0) < 2


def cut(found: Sequence[Effect]) -> str:
    """Returns what an end at 0 is where an interval is cut off, "" if none is."""
    if not any(effect.cut for effect in found):
        return ""
    return (
        " Where an end is called above 0 or below 0, the interval reaches across 0, and the end "
        "says what the test concludes, which may be wrong in another 5% of studies."
    )


def family(found: Sequence[Effect]) -> str:
    """Returns how the questions were tested."""
    exact = "every pattern of signs"
    if any(effect.n > EXACT_UP_TO for effect in found):
        exact = f"{exact} up to {EXACT_UP_TO} seeds, {RANDOM_FLIPS:,} random ones beyond"
    kinds = dict.fromkeys(effect.kind for effect in found)
    asked = (
        f"Differences are paired by seed. {counted(len(found), 'question')} "
        f"({', '.join(counted(len(_of(found, kind)), kind) for kind in kinds)}): "
    )
    if any(effect.looked for effect in found):
        return (
            f"{asked}seeds were chosen by looking, so a test by betting decides that may be looked "
            "at after every seed, exact if differences are symmetric; it is corrected by Holm over "
            "all questions. The intervals are of its confidence sequence and hold all at once, at "
            f"every look, with 95%.{cut(found)}{_margin(found)} The sign-flip test, which must not "
            f"be looked at twice, is left out.{_to_settle(found)}"
        )
    return (
        f"{asked}the "
        "paired t test, corrected by Holm over all of them, decides from three seeds on; the "
        f"intervals hold all at once with 95%.{cut(found)}{_margin(found)} Beside it the exact "
        f"sign-flip test, which assumes symmetry alone: {exact}.{_to_settle(found)}"
    )


def _margin(found: Sequence[Effect]) -> str:
    """Returns which differences do not matter, "" where every one does."""
    if not found or found[0].margin is None:
        return ""
    return (
        f" '{NO_RELEVANT_DIFFERENCE}' is said where the whole interval lies within "
        f"{found[0].metric.size(found[0].margin)} of 0 (report.margin)."
    )


def _to_settle(found: Sequence[Effect]) -> str:
    """Returns how to read the column that says what would settle a question, "" if it is empty."""
    if not any(effect.seeds_to_settle for effect in found):
        return ""
    text = (
        " To settle: about how many seeds in all would settle what is open, at the spread seen, "
        "and how long training those to come takes."
    )
    return text if any(effect.looked for effect in found) else f"{text} {AFTER_A_LOOK}"


def over_images(found: Sequence[OfImages]) -> str:
    """Returns how to read the table of what the images say."""
    count = next((one.spread.images for one in found if one.spread), 0)
    noun = found[0].noun
    if any(one.grouped for one in found):
        text = (
            f"Several {noun.many} are of one group (dataset.group) and alike, so that they are no "
            f"sample of single {noun.many}: there is no interval over {noun.many}."
        )
    elif not count:
        text = f"This metric is no mean over {noun.many}: there is no interval over {noun.many}."
    else:
        text = (
            f"The validation {noun.many} are a sample too. Over {noun.many}: had there been other "
            f"{noun.many}, for these very networks. Over seeds and {noun.many}: had both been "
            "others. The intervals hold all at once, like those over seeds."
        )
    if count and any(one.effect.looked for one in found):
        text += " They do not allow for seeds that were chosen by looking."
    if count and alone([one.effect for one in found]):
        text += " With one seed nothing is said of other seeds."
    if any(one.changed for one in found):
        text += (
            f" Fixes, breaks: {noun.many} that turn right, or wrong, in most seeds; always: in "
            f"all. By seed alone: {noun.many} that turn right, and as many wrong, where no more "
            "than the seed changes."
        )
    if len(found) == QUESTIONS_AT_MOST:
        text += f" These are the first {QUESTIONS_AT_MOST} questions."
    return text + (f" {counted(count, noun.one)}." if count else "")


def uncounted(comparison: Comparison) -> list[Note]:
    """Returns which layers are missing in the multiply-adds, nothing if none are."""
    names = sorted(filter(None, comparison.complete["uncounted"].dropna().unique()))
    if not names:
        return []
    named = "; ".join(visible(name) for name in names[:_NAMED_AT_MOST])
    return [Note(f"in the multiply-adds, because nobody can tell them: {named}.", "Not counted")]


def starts(comparison: Comparison) -> list[Note]:
    """Returns how many parameters start equal in the nets that are compared, and why no more."""
    found = starts_table(comparison).to_dict("records")
    said = [
        f"{row['shared']:,} of {row['parameters']:,} in {comparison.prefix}{row['column']} "
        f"({', '.join(f'{name} {row[name]}' for name in comparison.rows)})"
        for row in found[:_NAMED_AT_MOST]
    ]
    more = f" and {len(found) - len(said):,} more" if len(found) > len(said) else ""
    sentences = []
    if found:
        sentences.append(
            f"Trainable parameters that begin as in {comparison.prefix}"
            f"{comparison.reference}, seed by seed: {'; '.join(map(visible, said))}{more}."
        )
    complete = comparison.complete
    remarks = dict.fromkeys(
        f"in {comparison.prefix}{row['column']}, {remark}"
        for row in complete.reindex(columns=["column", "starts"]).dropna().to_dict("records")
        for remark in row["starts"]
    )
    if remarks:
        sentences.append(f"Not as in the full network: {'; '.join(map(visible, remarks))}.")
    if alike := of_one_start(comparison):
        named = ", ".join(f"{comparison.prefix}{visible(str(column))}" for column in alike)
        sentences.append(
            f"The same weights at every seed, because the network sets them itself: {named}."
        )
    return [Note(" ".join(sentences), "Started alike.")] if sentences else []


def first(lines: Sequence[str], at_most: int) -> tuple[str, ...]:
    """Returns the first lines, and how many more there are."""
    more = len(lines) - at_most
    return (*lines[:at_most], *([f"and {more:,} more"] if more > 0 else []))


def _listed(differences: Differences) -> tuple[str, ...]:
    lines = []
    for name, values in differences.items():
        for value, runs in values.items():
            more = f" and {len(runs) - _NAMED_AT_MOST} more" if len(runs) > _NAMED_AT_MOST else ""
            named = ", ".join(runs[:_NAMED_AT_MOST])
            lines.append(f"{name} {value}: {named}{more}")
    return tuple(lines)


def _of(found: Sequence[Effect], kind: str) -> list[Effect]:
    return [effect for effect in found if effect.kind == kind]

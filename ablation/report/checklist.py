"""What a paper's checklist asks about statistics and compute, answered from what is stored.

The items are those of the NeurIPS paper checklist (neurips.cc/public/guides/PaperChecklist) on
statistical significance and on compute resources.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from ablation.analysis.audit import audit, spans
from ablation.analysis.comparison import Comparison
from ablation.analysis.effects import Effect
from ablation.analysis.levels import levels
from ablation.analysis.per_image import OfImages
from ablation.analysis.study import Study
from ablation.analysis.tables import NO_NET, ablation_table, comparison_effects
from ablation.data.kinds import Noun
from ablation.records import durable, store
from ablation.report import notes
from ablation.report.escapes import line
from ablation.terminal import counted

_HOLES_AT_MOST = 10

_HEAD = """# Checklist: statistics and compute

Answers to what the NeurIPS paper checklist asks about statistical significance and compute
resources, from what is stored of this study. Read them before you hand them in: they know nothing
of what was tried elsewhere."""


def checklist(
    study: Study, comparisons: Sequence[Comparison], images: Sequence[Sequence[OfImages]]
) -> str:
    """Returns the answers in markdown.

    Args:
        study: the study.
        comparisons: that its report shows.
        images: of each what the validation images say to its questions.
    """
    parts = [_HEAD, "## Statistical significance"]
    for comparison, of_images in zip(comparisons, images, strict=True):
        if len(comparisons) > 1:
            parts.append(f"### {line(notes.title(comparison))}")
        parts.append(_listed(_statistics(comparison, of_images)))
    parts += ["## Compute resources", _listed(_compute(study))]
    return "\n\n".join(parts) + "\n"


def _listed(said: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"- **{question}** {line(text)}" for question, text in said)


def _statistics(comparison: Comparison, images: Sequence[OfImages]) -> Iterator[tuple[str, str]]:
    effects = comparison_effects(comparison)
    metric = comparison.metric
    most = max((effect.n for effect in effects), default=0)
    yield "Are there error bars?", _error_bars(comparison, effects, most)
    yield "Which factors of variability do they capture?", _variability(comparison, effects, images)
    yield "How were they made?", _method(comparison, most)
    yield "What do they assume?", _assumptions(comparison, most)
    yield (
        "Standard deviation or standard error?",
        "± is the standard deviation over seeds (divisor n - 1), never a standard error.",
    )
    yield (
        "Which number is reported?",
        f"{metric.title[0].upper()}{metric.title[1:]} after the final epoch of every run; no epoch "
        "and no seed was chosen by its result"
        + (
            ", though the number of seeds was decided by looking at the results."
            if comparison.looked
            else "."
        ),
    )
    if comparison.tuned:
        chosen = notes.equal_tuning(audit(comparison).tuning)
        yield "How were hyperparameters chosen?", " ".join(f"{n.lead} {n.text}" for n in chosen)
    holes = notes.first(audit(comparison).holes, _HOLES_AT_MOST)
    yield (
        "Is anything missing?",
        f"Yes, and it is in no mean: {'; '.join(holes)}."
        if holes
        else f"No: all {counted(len(comparison.runs), 'run')} are complete.",
    )


def _error_bars(comparison: Comparison, effects: Sequence[Effect], most: int) -> str:
    """Returns over how many seeds there are intervals, and of how many questions.

    Args:
        comparison: of runs.
        effects: what it asks.
        most: seeds of one of them.
    """
    runs, table = comparison.complete, ablation_table(comparison)
    seeds = {
        int(count)
        for column in comparison.columns
        for count, note in zip(table[f"{column} n"], table[f"{column} note"], strict=True)
        if note != NO_NET
    }
    if runs.empty:
        return "No run is complete."
    counts, numbers = _range(sorted(seeds), "seed"), set(runs["seed"])
    seed = "seed" if len(numbers) == 1 else "seeds"
    bars = f"{counts} in each cell of the table ({seed} {spans(numbers)})."
    having = sum(not effect.constant and not math.isnan(effect.interval[0]) for effect in effects)
    if not effects:
        return f"{bars} Nothing is compared, so no interval is given."
    if most > 1 and having == len(effects):
        return f"{bars} Each of the questions ({len(effects):,}) has an interval."
    if most > 1:
        verb = "has" if having == 1 else "have"
        return f"{bars} Of the questions ({len(effects):,}), {having:,} {verb} an interval."
    if max(seeds, default=0) > 1:
        return (
            f"{bars} No two nets have more than one seed in common, so no interval is given and "
            "nothing is claimed."
        )
    return f"{bars} Nothing was repeated, so no interval is given and nothing is claimed."


def _variability(
    comparison: Comparison, effects: Sequence[Effect], images: Sequence[OfImages]
) -> str:
    """Returns what differs from seed to seed, and what does not."""
    runs, noun = comparison.complete, comparison.noun
    if runs.empty:
        return "No run is complete."
    augment = " and augmentation" if set(runs["config.dataset.augment"]) - {"none"} else ""
    counts = [
        f"{_range(sorted(map(int, runs[key].dropna().unique())), noun.one)} to {what}"
        for key, what in (("train_images", "train"), ("val_images", "validate"))
        if runs[key].notna().any()
    ]
    split = runs[["train_fingerprint", "val_fingerprint"]].nunique().max()
    whose = "Not all runs have the same split" if split > 1 else "All runs have the same split"
    return (
        f"The seed, that is initial weights and order of the {noun.many}{augment}. {whose} "
        f"({', '.join(counts)}){_of_images(runs, noun, images) if effects else ''}. Machine and "
        "versions stand under compute."
    )


def _method(comparison: Comparison, most: int) -> str:
    effects = comparison_effects(comparison)
    count = counted(len(effects), "question")
    if most < 2:
        return "There are none."
    if comparison.looked:
        return (
            "From differences that are paired by seed: a confidence sequence, the inversion of a "
            "test by betting on signs and sizes, which holds at every look although the number of "
            f"seeds (at most {comparison.looked.at_most}) was decided by looking. All intervals of "
            f"{count} hold at once with 95% (Bonferroni); verdicts are corrected by Holm."
            f"{notes.cut(effects)}"
        )
    return (
        f"From differences that are paired by seed: Student's t at 1 - 0.05 / {count}: all "
        "hold at once with 95% (Bonferroni). Verdicts are of the paired t test, corrected by Holm."
        f"{notes.cut(effects)}"
    )


def _assumptions(comparison: Comparison, most: int) -> str:
    if most < 2:
        return "Nothing."
    if comparison.looked:
        return (
            "That each seed's difference, less the true one, could as well have the other sign. "
            "Where two arms differ in nothing, pairing makes it so."
        )
    return (
        "That paired differences are about normal; the exact sign-flip test, which assumes no more "
        "than that a difference could as well have the other sign, stands beside each verdict."
    )


def _compute(study: Study) -> Iterator[tuple[str, str]]:
    runs = study.all_runs[study.all_runs["state"] != store.REFUSED]
    if runs.empty:
        yield "On which machines?", "No run was trained."
        yield from _tuning(study)
        return
    frame = pd.DataFrame([_spent(study, run) for run in runs["run"]], index=runs.index)
    yield "On which machines?", "; ".join(_machines(frame, runs)) + "."
    memory = runs["peak_memory_bytes"].max()
    if memory == memory:
        yield "How much memory?", f"At most {memory / 2**30:.1f} GiB in a run."
    complete = runs["state"] == store.COMPLETE
    if complete.any():
        seconds = frame.loc[complete, "seconds"]
        yield (
            "How long does a run take?",
            f"{_time(seconds.median())} in the median, {_time(seconds.min())} to "
            f"{_time(seconds.max())}, of {counted(int(complete.sum()), 'complete run')}.",
        )
    by_state = frame["seconds"].groupby(runs["state"]).agg(["sum", "size"])
    each = ", ".join(
        f"{_time(row['sum'])} in {counted(int(row['size']), f'{state} run')}"
        for state, row in by_state.iterrows()
    )
    yield (
        "How long did all of them take?",
        f"{_time(frame['seconds'].sum())} ({each}), added up also where runs trained at the same "
        f"time; times threads {_time((frame['seconds'] * frame['threads']).sum())}.",
    )
    yield from _tuning(study)
    again = int((frame["attempts"] > 1).sum())
    said = "Not in it: preparing data, reports, runs of other studies, and what was deleted."
    if again:
        said += (
            f" Of {counted(again, 'run')} that began more than once, what is no longer in their "
            "histories is not counted."
        )
    yield "Did the research take more?", said


def _tuning(study: Study) -> Iterator[tuple[str, str]]:
    """Yields how many tuning runs there are and how long they took, nothing if there are none."""
    paths = store.tuning_directories(study.directory)
    if not paths:
        return
    statuses = [store.read_status(path) for path in paths]
    states = pd.Series([status.state for status in statuses]).value_counts()
    seconds = 0.0
    for path, status in zip(paths, statuses, strict=True):
        rows, _ = store.read_history(path)
        seconds += max(sum(row["seconds"] for row in rows), _between(status))
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    yield (
        "What did tuning take?",
        f"{counted(len(paths), 'tuning run')} ({said}), {_time(seconds)}, not in the times above.",
    )


def _between(status: store.Status) -> float:
    """Returns how long the latest attempt took, 0 if it never began or nobody saw its end."""
    if status.seconds is not None:
        return status.seconds
    with contextlib.suppress(TypeError, ValueError):
        start, end = (datetime.fromisoformat(str(time)) for time in (status.start, status.end))
        return (end - start).total_seconds()
    return 0.0


def _spent(study: Study, run: str) -> dict[str, Any]:
    """Returns what a run has taken, as far as it is stored, and where."""
    directory = study.directory / run
    status = store.read_status(directory)
    known = study.all_runs.loc[study.all_runs["run"] == run, "seconds"].iloc[0]
    history = study.history.loc[study.history["run"] == run, "seconds"].sum()
    seconds = max(float(history), 0.0 if pd.isna(known) else float(known), _between(status))
    facts: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        facts = durable.read_json(directory / "provenance.json")
    devices = facts.get("devices") or []
    memory = facts.get("memory_bytes")
    where = [
        str(facts.get("processor") or "unknown processor"),
        f"{facts['cores']} cores" if facts.get("cores") else "",
        f"{memory / 2**30:.0f} GiB of memory" if memory else "",
        ", ".join(str(one) for one in devices if one != "CPU"),
    ]
    threads = facts.get("threads") or 1
    return {
        "seconds": seconds,
        "threads": threads,
        "attempts": status.attempt,
        "machine": ", ".join(filter(None, where)),
    }


def _machines(frame: pd.DataFrame, runs: pd.DataFrame) -> Iterator[str]:
    for machine, group in frame.groupby("machine", sort=False):
        backends = ", ".join(map(str, levels(runs.loc[group.index, "config.backend"])))
        precisions = ", ".join(map(str, levels(runs.loc[group.index, "config.precision"])))
        threads = _range(sorted(set(group["threads"])), "thread")
        yield (
            f"{machine}: {counted(len(group), 'run')} of {threads} each, {backends}, {precisions}"
        )


def _range(counts: Sequence[int], what: str) -> str:
    if len(counts) == 1:
        return counted(counts[0], what)
    return f"{counts[0]:,} to {counts[-1]:,} {what}s"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.2f} hours"


def _of_images(runs: pd.DataFrame, noun: Noun, images: Sequence[OfImages]) -> str:
    """Returns what is said of other images, as the end of a sentence."""
    head = f"; what other {noun.many} would change is"
    if any(one.spread and not math.isnan(one.spread.over_images[0]) for one in images):
        return f"{head} given apart, from the stored predictions"
    of_groups = runs.get("config.dataset.group", pd.Series(dtype=object)).notna().any()
    if of_groups or any(one.grouped for one in images):
        return f"{head} not given, because several are of one group"
    return f"{head} not given: it takes stored predictions and a metric that is a mean over them"

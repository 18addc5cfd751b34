"""The claims of a study held against its runs.

A claim is a question of its own: the difference between two levels of one factor, averaged over all
pairs of arms that differ in nothing else, or between two arms of a design by their names. A control
stands where its arm does. The claims of a study are one family, apart from the
questions of its tables.
"""

import contextlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ablation import claims
from ablation.analysis.comparison import Comparison
from ablation.analysis.differences import differences
from ablation.analysis.effects import Effect, with_p_values
from ablation.analysis.levels import level_column, levels
from ablation.analysis.questions import Question
from ablation.analysis.study import Study
from ablation.claims import Claim
from ablation.config import UserError
from ablation.designs.registry import GRID
from ablation.factors import spelled
from ablation.records import claims as recorded
from ablation.records import store

HOLDS = "HOLDS"
FAILS = "FAILS"
OPEN = "OPEN"


@dataclass(frozen=True)
class Answer:
    """What a study says to a claim.

    Attributes:
        claim: the claim.
        verdict: `HOLDS`, `FAILS` or `OPEN`.
        since: when it was put on record, ISO 8601, None if no command has found it.
        added: whether that was after the study's first run.
        left_out: whether it was on record and is no longer in the file.
        effect: the difference, None if there is none.
        reason: why there is none.
    """

    claim: Claim
    verdict: str
    since: str | None
    added: bool
    left_out: bool
    effect: Effect | None
    reason: str = ""

    @property
    def remark(self) -> str:
        """What is to be said beside the verdict: that it was added or taken out afterwards."""
        said = ["added afterwards"] if self.added else []
        return ", ".join(said + (["taken out afterwards"] if self.left_out else []))


@dataclass(frozen=True)
class Claimed:
    """All claims of a study.

    Attributes:
        answers: those of its file in order, then those on record that were taken out of it.
        digest: SHA-256 of the file that was on record before the first run, None if none was.
        time: when that was put on record.
        changed: whether the file is another one now.
        problem: why the file cannot be read, "" if it can or there is none.
    """

    answers: tuple[Answer, ...]
    digest: str | None = None
    time: str | None = None
    changed: bool = False
    problem: str = ""


def claimed(study: Study) -> Claimed:
    """Returns what a study says to its claims; they speak of the metric that is on record.

    Which claims were on record before the first run hangs on nothing that came later: they are
    tested as a family of their own, and those that were added with all others.
    """
    versions = recorded.versions(study.directory)
    first = [one for one in versions if one.first]
    path = study.directory / recorded.FILE
    problem, file = "", None
    if path.exists():
        try:
            file = claims.read(path)
        except UserError as error:
            problem = str(error)
    there = [claim.text for claim in file.claims] if file else []
    if problem:  # What is on record still counts.
        there = list(versions[-1].sentences) if versions else []
    kept = {text for one in first for text in one.sentences}
    known = dict.fromkeys(text for one in versions for text in one.sentences)
    left_out = [text for text in known if text not in there]
    texts = [*there, *left_out]
    if not texts:
        return Claimed((), problem=problem)
    since = {text: one.time for one in reversed(versions) for text in one.sentences}
    # Of the first record, or of the last one before there was any run.
    by = {text: one.metric for one in (*reversed(versions), *first) for text in one.sentences}
    measured = {name: _measured(study, name) for name in {by.get(text) for text in texts}}
    asked = [_asked_by(*measured[by.get(text)], claims.parsed(text)) for text in texts]
    before = [place for place, text in enumerate(texts) if text in kept]
    together = with_p_values([effect for effect, _ in asked])
    own = dict(zip(before, with_p_values([asked[place][0] for place in before]), strict=True))
    answers = []
    for place, text in enumerate(texts):
        claim, effect = claims.parsed(text), own.get(place, together[place])
        reason = asked[place][1]
        answers.append(
            Answer(
                claim,
                OPEN if reason else _verdict(claim, effect),
                since.get(text),
                text not in kept,
                text in left_out,
                None if reason else effect,
                reason,
            )
        )
    return Claimed(
        tuple(answers),
        first[-1].digest if first else None,
        first[-1].time if first else None,
        bool(first) and (file is None or file.digest != first[-1].digest),
        problem,
    )


def _measured(study: Study, metric: str | None) -> tuple[Study, str]:
    """Returns a study with the scores of a metric, None for those it has, or why it cannot."""
    names = {study.measure} if study.own_metric else {study.measure, study.metric.name}
    if metric is None or metric in names:
        return study, ""
    try:
        return study.measured(metric), ""
    except UserError as error:
        # Such as a metric of one's own, seen from another folder.
        return study, f"the metric that it speaks of cannot be had: {error}"


def _asked_by(study: Study, unmeasured: str, claim: Claim) -> tuple[Effect, str]:
    effect, reason = _difference(study, claim)
    return effect, unmeasured or reason


def waiting(study: Study, runs: Collection[str]) -> tuple[list[Answer], list[Answer]]:
    """Returns which claims on record before the first run are decided, and which are open.

    Args:
        study: the study.
        runs: those that are being trained; of claims about others they decide nothing.
    """
    own = replace(
        study,
        runs=study.runs[study.runs["run"].isin(runs)],
        control_runs=study.control_runs[study.control_runs["run"].isin(runs)],
    )
    found = [
        one
        for one in claimed(study).answers
        if not one.added and one.effect and not _difference(own, one.claim)[1]
    ]
    open_ = [one for one in found if one.verdict == OPEN]
    return [one for one in found if one.verdict != OPEN], open_


def _verdict(claim: Claim, effect: Effect) -> str:
    """Returns whether the interval of a difference is all on the claim's side, or on the other."""
    low, high = effect.interval
    if not effect.verdict or low != low:
        return OPEN
    scale = effect.metric.scale
    if claim.within is not None:
        width = claim.within / scale
        if -width <= low and high <= width:
            return HOLDS
        return FAILS if low > width or high < -width else OPEN
    if claim.by:
        least = claim.by / scale
        if not effect.metric.higher_is_better:  # Better is lower.
            low, high = -high, -low
        return HOLDS if low >= least else FAILS if high < least else OPEN
    if not effect.concludes:
        return OPEN
    return HOLDS if (effect.mean > 0) == effect.metric.higher_is_better else FAILS


def _difference(study: Study, claim: Claim) -> tuple[Effect, str]:
    """Returns the difference that a claim speaks of, untested, and why there is none.

    A claim that no run can answer yet still counts in its family.
    """
    nothing = pd.Series(dtype=float)
    looked = study.looked is not None
    none = Effect("claim", "", "", "", nothing, nothing, 0, metric=study.metric, looked=looked)
    try:
        return _asked(study, claim), ""
    except UserError as error:
        return none, str(error).removeprefix(f"{claim.text!r}: ")


def _asked(study: Study, claim: Claim) -> Effect:
    known = known_levels(study)
    fixed = claims.held(claim, known)
    factors = [key for key in study.factors if key not in ("dataset", "seed")]
    arms = _of_arms(study)
    try:
        names = [str(name) for comparison in arms for name in comparison.columns]
        levels_of = {name: known[name] for name in factors}
        compared = claims.compared(claim, levels_of, list(dict.fromkeys(names)))
    except UserError:
        if not claims.are_arms(claim, names):
            raise
        return _between_arms(study, claim, arms, factors, fixed)
    return _between_levels(study, claim, compared, factors, fixed)


def _of_arms(study: Study) -> list[Comparison]:
    """Returns the comparisons of all designs on record whose arms have names."""
    found: list[Comparison] = []
    for design in dict.fromkeys(one.design for one in study.designs if one.design != GRID):
        with contextlib.suppress(UserError):  # None of its arms is among these runs.
            found += study.comparisons(design=design)
    return found


def _between_arms(
    study: Study,
    claim: Claim,
    arms: Sequence[Comparison],
    factors: Sequence[str],
    fixed: Mapping[str, str],
) -> Effect:
    """Returns the difference between two arms, or their controls, that a claim names."""
    names = [side.name for side in (claim.one, claim.other)]
    found: dict[frozenset[tuple[str, ...]], pd.DataFrame] = {}
    for comparison in arms:
        runs = [comparison.runs.assign(column=[str(one) for one in comparison.runs["column"]])]
        for control in comparison.controls:
            name = f"{control.of[-1]}, {control.kind}"
            runs.append(control.runs.assign(column=[name] * len(control.runs)))
        whole = pd.concat(runs, ignore_index=True)
        whole = whole[whole["state"] != store.REFUSED]
        for held, level in fixed.items():
            whole = whole[[_is(value, level) for value in _column(study, whole, held)]]
        own = whole[whole["column"].isin(names)]
        if own["column"].nunique() == len(names):
            # Two designs may have these arms, each with seeds of its own.
            cells = own[["column", "dataset", "protocol", *factors]].astype(str)
            same = frozenset(map(tuple, cells.to_numpy()))
            both = pd.concat([found.get(same, own), own], ignore_index=True)
            found[same] = both.drop_duplicates(["column", "run"], ignore_index=True)
    if not found:
        controls = [control.name for comparison in arms for control in comparison.controls]
        there = ", ".join(f"'{name}'" for name in dict.fromkeys(controls)) or "none"
        where = " where the claim looks" if fixed else ""
        both = " and ".join(f"'{name}'" for name in names)
        raise UserError(f"no runs of {both}{where}; controls there are: {there}")
    if len(found) > 1:
        raise UserError(_several(study, list(found.values())))
    terms = tuple((sign, (name,)) for sign, name in zip((1.0, -1.0), names, strict=True))
    question = Question("claim", names[0], names[1], _where(fixed), terms)
    (runs,) = found.values()
    return _answered(study, runs, question)


def _between_levels(
    study: Study,
    claim: Claim,
    compared: tuple[str, str, str],
    factors: Sequence[str],
    fixed: Mapping[str, str],
) -> Effect:
    """Returns the difference between two levels, over all pairs that differ in nothing else."""
    key, one, other = compared
    if key in fixed:
        raise UserError(f"{claim.text!r} compares {claims.short(key)} and holds it too.")
    runs = _with_controls(study)
    for held, level in fixed.items():
        runs = runs[[_is(value, level) for value in _column(study, runs, held)]]
    sides = (one, claim.one.control), (other, claim.other.control)
    found = []
    for (dataset, _), group in runs.groupby(["dataset", "protocol"], sort=False):
        terms = _pairs(group, key, sides, [name for name in factors if name != key])
        if terms:
            found.append((str(dataset), group, terms))
    left, right = (
        side.of(level if _speaks(runs, key, level) else f"{claims.short(key)} {level}")
        for side, level in zip((claim.one, claim.other), (one, other), strict=True)
    )
    if not found:
        where = " where the claim looks" if fixed else ""
        if claim.one.control or claim.other.control:
            raise UserError(f"{left} and {right} do not stand side by side{where}")
        raise UserError(
            f"no two arms differ in {claims.short(key)} alone, {one} against {other}{where}"
        )
    if len(found) > 1:
        raise UserError(_several(study, [group for _, group, _ in found]))
    _, group, terms = found[0]
    cells = [*factors, "_control"]
    group = group.assign(column=group.groupby(cells, sort=False, dropna=False).ngroup())
    weighted = tuple(
        (sign / len(terms), (int(group.loc[place, "column"]),))
        for pair in terms
        for sign, place in zip((1.0, -1.0), pair, strict=True)
    )
    return _answered(study, group, Question("claim", left, right, _where(fixed), weighted))


def _where(fixed: Mapping[str, str]) -> str:
    return ", ".join(f"{claims.short(name)} {level}" for name, level in fixed.items())


def _answered(study: Study, runs: pd.DataFrame, question: Question) -> Effect:
    order = study.looked.order if study.looked else None
    return differences(runs, [], [question], study.metric_of(runs), None, order)[0]


def _with_controls(study: Study) -> pd.DataFrame:
    """Returns the runs of a study, then those of its controls with the levels of their arms.

    Their column `_control` has the kind of control, "" of an arm.
    """
    arms = study.runs[study.runs["state"] != store.REFUSED].reset_index(drop=True)
    places = {run: place for place, run in enumerate(arms["run"])}
    last = {(one.kind, one.of): one for one in study.controls if one.of in places}
    of_control = {one.run: one for one in last.values()}
    results = study.control_runs
    if len(results):
        results = results[results["run"].isin(of_control) & (results["state"] != store.REFUSED)]
    if results.empty:
        return arms.assign(_control="")
    records = [of_control[run] for run in results["run"]]
    beside = arms.iloc[[places[one.of] for one in records]].reset_index(drop=True)
    for name in ("run", "state", "score", "skill", "chance", "seconds"):
        beside[name] = results[name].to_numpy()
    beside = beside.assign(_control=[one.kind for one in records])
    return pd.concat([arms.assign(_control=""), beside], ignore_index=True)


def _pairs(
    runs: pd.DataFrame, key: str, sides: Sequence[tuple[str, str]], others: Sequence[str]
) -> list[tuple[Any, Any]]:
    """Returns a run of each two arms that differ in one factor alone, by their places.

    A side is a level of the factor and a kind of control, "" for the arms themselves.
    """
    arms = runs.drop_duplicates([key, *others, "_control"])
    one, other = (
        arms[[_has(row[key], level) and row["_control"] == kind for _, row in arms.iterrows()]]
        for level, kind in sides
    )
    return [
        (a, b)
        for a, row in zip(one.index, one[list(others)].itertuples(index=False), strict=True)
        for b, base in zip(other.index, other[list(others)].itertuples(index=False), strict=True)
        if all(x == y or not (_applies(x) and _applies(y)) for x, y in zip(row, base, strict=True))
    ]


def _several(study: Study, groups: Sequence[pd.DataFrame]) -> str:
    """Returns that a claim speaks of several tables, and by what they may be told apart."""
    rows = pd.concat([group.head(1) for group in groups])
    keys = ["dataset"] if rows["dataset"].nunique() > 1 else []
    own = [name for name in rows.columns if name.startswith("config.")]
    keys += [
        name.removeprefix("config.")
        for name in own
        if name != "config.seed" and rows[name].map(_spelled).nunique() > 1
    ]
    told = (
        f"{keys[0]}={_spelled(_column(study, rows, keys[0]).iloc[0])}" if keys else "another study"
    )
    return f"{len(groups)} tables have these arms; say which, such as at {told}"


def known_levels(study: Study) -> dict[str, list[str]]:
    """Returns the levels that a claim may name, of every factor and other key."""
    found = {key: [_spelled(one) for one in known] for key, known in study.levels.items()}
    own = [name for name in study.runs if name.startswith("config.")]
    columns = {name.removeprefix("config."): name for name in own}
    columns |= {key: level_column(key) for key in ("dataset", "recipe")}
    for key, column in columns.items():
        if key not in found and key != "seed" and column in study.runs:
            found[key] = [_spelled(one) for one in levels(study.runs[column].astype(object))]
    return found


def _column(study: Study, runs: pd.DataFrame, key: str) -> pd.Series:
    """Returns the levels of a factor, or what the configuration says of another key.

    What a run was asked for is not what it reached, as of `epochs`, which a run has under both.
    """
    column = level_column(key)
    return runs[key] if key in study.factors or column not in runs else runs[column]


def _is(value: Any, level: str) -> bool:
    """Returns whether a run has a level, or its network has no use for one."""
    return _spelled(value) == level or not _applies(value)


def _has(value: Any, level: str) -> bool:
    """Returns whether a run has a level; one whose network has no use for it is on no side."""
    return _spelled(value) == level and _applies(value)


def _spelled(value: Any) -> str:
    """Returns a level as it is typed; a frame has NaN for none beside texts or numbers."""
    return spelled(None if isinstance(value, float) and math.isnan(value) else value)


def _speaks(runs: pd.DataFrame, key: str, level: str) -> bool:
    """Returns whether a level says of what it is one."""
    return any(getattr(value, "speaks", False) for value in runs[key] if value == level)


def _applies(value: Any) -> bool:
    return bool(getattr(value, "applies", True))

"""What stands beside the arms of a comparison, and how far it is from them.

A control is held against an arm with an interval of its own. It is no question of the design: no
correction counts it, and it neither helps nor hurts.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablation.analysis.comparison import Comparison, ControlArm, once
from ablation.analysis.differences import answers
from ablation.analysis.effects import Effect
from ablation.analysis.questions import Question
from ablation.analysis.tables import NO_SCORE, note_of
from ablation.designs.controls import CAPACITY, LESION, SHAM
from ablation.factors import Label
from ablation.records import store
from ablation.text import readable

if TYPE_CHECKING:
    from ablation.records.controls import Control

TRAINED = {
    SHAM: "other initial weights",
    CAPACITY: "widened to {part} {level}, trained",
    LESION: "lesioned: switched off after training, not retrained",
}
"""What was done for each kind of control, with its facts in braces."""

ABLATED = "ablated: trained without it"

_NO_LESION = "not possible"
"""What a lesion is that no trained network has the values for; its function refused nothing."""

CONTROL_COLUMNS = (
    "control",
    "arm",
    "trained",
    "mean",
    "sd",
    "n",
    "note",
    "parameters",
    "against",
    "difference",
    "low",
    "high",
    "pairs",
    "constant",
    "runs",
)
"""The columns of a table of controls."""


def of_comparison(
    comparison: Comparison, records: "Sequence[Control]", control_runs: pd.DataFrame
) -> tuple[ControlArm, ...]:
    """Returns the controls of a comparison's arms.

    Args:
        comparison: whose arms they stand beside.
        records: of all controls of the study.
        control_runs: their runs, as in `Study.runs`.
    """
    names = [*comparison.rows, "column"]
    cells = {
        run: tuple(cell)
        for run, *cell in comparison.runs[["run", *names]].itertuples(index=False, name=None)
    }
    groups: dict[tuple, list[Control]] = {}
    for one in records:
        against = one.facts.get("against", one.of)
        if one.of in cells and against in cells:
            key = one.kind, cells[one.of], cells[against], one.facts.get("level")
            groups.setdefault(key, []).append(one)
    alike = Counter(key[:-1] for key in groups)
    found = []
    for (kind, cell, against, level), ones in groups.items():
        runs = control_runs[control_runs["run"].isin([one.run for one in ones])]
        if len(runs):
            runs, facts = _in_cell(comparison, runs, cell), ones[-1].facts
            name = f"{cell_name(comparison, cell)}, {kind}"
            if alike[kind, cell, against] > 1:
                name += f" ({facts['part']} {level})"
            found.append(ControlArm(kind, cell, against, name, runs, facts))
    return tuple(found)


def _in_cell(comparison: Comparison, runs: pd.DataFrame, cell: tuple) -> pd.DataFrame:
    """Returns runs with the levels of a cell for those of their row and column."""
    names = (*comparison.rows, "column")
    levels = {
        name: pd.Series([level] * len(runs), runs.index, object)
        for name, level in zip(names, cell, strict=True)
    }
    return runs.assign(**levels)


def cell_name(comparison: Comparison, cell: tuple) -> str:
    """Returns what a cell of a comparison is called in a sentence."""
    *row, column = cell
    name = f"{comparison.prefix}{readable(str(column))}"
    if comparison.arms:
        return name
    named = zip(comparison.rows, row, strict=True)
    several = [
        f"{key} {readable(str(level))}"
        for key, level in named
        if comparison.runs[key].nunique() > 1
    ]
    return f"{name} at {', '.join(several)}" if several else name


def beside(comparison: Comparison, control: ControlArm) -> tuple[pd.DataFrame, tuple]:
    """Returns the runs of a comparison with those of a control, and the cell that these are in."""
    *row, _ = control.against
    cell = (*row, Label(control.name))
    columns = [*comparison.rows, "column", "seed", "state", "score"]
    columns += ["skill", "chance", "seconds"]
    own = _in_cell(comparison, control.runs, cell)
    return pd.concat([comparison.runs[columns], own[columns]], ignore_index=True), cell


def control_effect(comparison: Comparison, control: ControlArm) -> Effect:
    """Returns how much more a control scores than what it is held against.

    Alone, as the one question of a family of its own: at 0.05, whatever the design asks.
    """
    frame, one = beside(comparison, control)
    terms: tuple[tuple[float, Hashable], ...] = ((1.0, one), (-1.0, control.against))
    base = cell_name(comparison, control.against)
    asked = Question("control", control.name, base, "", terms)
    order = comparison.looked.order if comparison.looked else None
    (effect,) = answers(
        frame, comparison.rows, [asked], comparison.metric, comparison.margin, order
    )
    return effect


@once
def control_effects(comparison: Comparison) -> list[Effect]:
    """Returns the difference of each control of a comparison, in order."""
    return [control_effect(comparison, one) for one in comparison.controls]


@once
def controls_table(comparison: Comparison) -> pd.DataFrame:
    """Returns the controls of a comparison, each below the arm that it is held against.

    Columns: `control`, its kind, "" for an arm; `arm`, what it is called; `trained`, what was done
    with it; of its score `mean`, `sd`, `n` and `note`, as in the ablation table; `parameters`
    (trainable); `against`, the arm that it is compared with, and `difference`, `low`, `high` (an
    interval of 95 % for it alone), NaN in rows of arms, `pairs` (seeds that both have) and
    `constant` (whether their differences do not vary); the names of its `runs`.
    """
    blocks: dict[tuple, dict[tuple, list[dict[str, Any]]]] = {}
    for control, effect in zip(comparison.controls, control_effects(comparison), strict=True):
        of_arm = blocks.setdefault(control.against, {}).setdefault(control.of, [])
        how = TRAINED[control.kind].format_map(control.facts)
        head = {"control": control.kind, "arm": control.name, "trained": how}
        of_arm.append(
            _scores(control.runs, control.kind) | head | _held(comparison, control.against, effect)
        )
    records: list[dict[str, Any]] = []
    for against, by_arm in blocks.items():
        records.append(_of_arm(comparison, against))
        first = [against] if against in by_arm else []
        for cell in [*first, *(one for one in by_arm if one != against)]:
            if cell != against:
                effect = arm_effect(comparison, cell, against)
                head = {"trained": ABLATED} | _held(comparison, against, effect)
                records.append(_of_arm(comparison, cell) | head)
            records += by_arm[cell]
    return pd.DataFrame(records, columns=CONTROL_COLUMNS)


def _held(comparison: Comparison, against: tuple, effect: Effect) -> dict[str, Any]:
    low, high = effect.interval
    mean = effect.mean if effect.n else math.nan
    name = cell_name(comparison, against)
    held = {"against": name, "difference": mean, "low": low, "high": high, "pairs": effect.n}
    return held | {"constant": effect.constant}


def arm_effect(comparison: Comparison, cell: tuple, against: tuple) -> Effect:
    """Returns how much more an arm scores than another, as `control_effect` has it of a control."""
    there = pd.Series(True, comparison.runs.index)
    for name, level in zip((*comparison.rows, "column"), cell, strict=True):
        there &= comparison.runs[name] == level
    name = f"{cell_name(comparison, cell)}, as it is"
    return control_effect(comparison, ControlArm("", cell, against, name, comparison.runs[there]))


def _of_arm(comparison: Comparison, cell: tuple) -> dict[str, Any]:
    names = [*comparison.rows, "column"]
    there = pd.Series(True, comparison.runs.index)
    for name, level in zip(names, cell, strict=True):
        there &= comparison.runs[name] == level
    nothing = {"against": "", "difference": math.nan, "low": math.nan, "high": math.nan}
    head = {"control": "", "arm": cell_name(comparison, cell)}
    return head | _scores(comparison.runs[there]) | nothing | {"pairs": 0, "constant": False}


def _scores(runs: pd.DataFrame, kind: str = "") -> dict[str, Any]:
    complete = runs[runs["state"] == store.COMPLETE]
    scores = complete["score"].dropna()
    unscored = (runs["state"] == store.COMPLETE) & runs["score"].isna()
    states = runs["state"].astype(object).mask(unscored, NO_SCORE)
    return {
        "trained": "",
        "mean": scores.mean(),
        "sd": scores.std(),
        "n": len(scores),
        "note": note_of(states.replace(store.REFUSED, _NO_LESION) if kind == LESION else states),
        "parameters": complete["trainable"].iloc[0] if len(complete) else math.nan,
        "runs": " ".join(runs["run"]),
    }

"""The tables of a study as data frames. Numbers stay numbers; `report` puts them in words."""

import math
from statistics import fmean
from typing import Any

import pandas as pd

from ablation.analysis import tuning
from ablation.analysis.comparison import Comparison, once
from ablation.analysis.differences import answers
from ablation.analysis.effects import EFFECT_COLUMNS, Effect
from ablation.analysis.levels import combinations, varying
from ablation.analysis.questions import Question, grid_questions
from ablation.records import store
from ablation.targets import CLASSES, TARGETS
from ablation.text import readable

NO_NET = "–"
"""What stands in a cell of which there is no net, or that no command has asked for."""

NO_SCORE = "without a score"
"""What a complete run is that lacks what a metric needs."""

COSTS = ("parameters", "multiply_adds", "steps", "seconds_per_epoch", "peak_memory_bytes")
"""What `cost_table` says of a cell."""


_ASKED_OF = {"changed": "change", "added": "addition", "step": "step", "rejected": "step"}
"""The kind of question that an arm is there for, by its role."""


@once
def ablation_table(comparison: Comparison) -> pd.DataFrame:
    """Returns the ablation table: the metric after the final epoch by row and column.

    One row for each combination of the row factors. For each column C of the comparison: `C`, the
    mean over complete runs (accuracies from 0 to 1, NaN if there is none), `C sd` (over seeds, NaN
    below 2), `C n` and `C note`, which names the runs that are not complete, or is "–" where there
    is to be none. For each other column that shares a row with the reference R: `C - R` (mean over
    the seeds that both have) and `C - R n`. For each key K that was tuned `C K`, the value that was
    chosen for the cell, None where there is none.
    """
    # Only what is needed, because every group of a wide frame takes its time.
    runs = comparison.runs[[*comparison.rows, "column", "seed", "state", "score"]]
    groups = dict(iter(runs.groupby([*comparison.rows, "column"], sort=False)))
    columns = comparison.columns
    others = [] if comparison.arms else comparison.others
    records = []
    for key in combinations(runs, comparison.rows):
        row: dict[str, Any] = dict(zip(comparison.rows, key, strict=True))
        record = dict(row)
        by_seed = {}
        for column in columns:
            cell = groups.get((*key, column), runs.iloc[:0])
            # A complete run may lack what a metric needs.
            complete = cell["state"].to_numpy() == store.COMPLETE
            there = cell["score"].notna().to_numpy() & complete
            scores = cell["score"].to_numpy(float)[there]
            by_seed[column] = pd.Series(scores, index=cell["seed"].to_numpy()[there])
            states = cell["state"].astype(object).mask(complete & ~there, NO_SCORE)
            record |= {
                column: by_seed[column].mean(),
                f"{column} sd": by_seed[column].std(),
                f"{column} n": len(scores),
                f"{column} note": note_of(states) if comparison.exists(row, column) else NO_NET,
            }
        for column in others:
            difference = (by_seed[column] - by_seed[columns[0]]).dropna()
            label = comparison.difference(column)
            record |= {label: difference.mean(), f"{label} n": len(difference)}
        for name in comparison.tuned_keys:
            for column in columns:
                chosen = comparison.chosen.get((*key, column), {})
                record[f"{column} {name}"] = chosen.get(name)
        records.append(record)
    return pd.DataFrame(records)


def arms_table(comparison: Comparison, sort: str = "named") -> pd.DataFrame:
    """Returns the arms of a design: one row each, the first of its kind before those made of it.

    Columns: `arm`, `role` and `factor` (see `ArmRow`), the level of every factor by its name (as
    "level of NAME" where that is another column's); of its score
    `mean`, `sd`, `n` and `note`; of the question that the arm is there for `kind`, `difference`,
    `low`, `high`, `pairs` (seeds that both arms have), `constant` (see `Effect`) and `verdict`;
    `total`, the difference to the first arm (see `totals`); `tuned KEY`, what was chosen for it;
    and the columns of `cost_table`, NaN where nothing is complete.

    Args:
        comparison: of a design that is no grid.
        sort: "named", or "effect" for the most harmful change first; steps stay in order.
    """
    scores = ablation_table(comparison).iloc[0]
    costs = {row["column"]: row for row in cost_table(comparison).to_dict("records")}
    asked = dict(zip(comparison.asked, comparison_effects(comparison), strict=False))
    answers = {(question.kind, question.terms[0][1]): effect for question, effect in asked.items()}
    of_all = totals(comparison)
    records = []
    for place, arm in enumerate(comparison.arms):
        effect = answers.get((_ASKED_OF.get(arm.role, ""), place))
        name = arm.name
        found: dict[str, Any] = {"mean": scores[name], "sd": scores[f"{name} sd"]}
        found |= {"n": scores[f"{name} n"], "note": scores[f"{name} note"]}
        found |= {
            "kind": effect.kind if effect else None,
            "difference": effect.mean if effect else math.nan,
            "low": effect.interval[0] if effect else math.nan,
            "high": effect.interval[1] if effect else math.nan,
            "pairs": effect.n if effect else 0,
            "constant": effect.constant if effect else False,
            "verdict": effect.verdict if effect else "",
            "total": of_all[name].mean() if name in of_all else math.nan,
        }
        for key in comparison.tuned_keys:
            found[f"tuned {key}"] = scores.get(f"{name} {key}")
        found |= {key: costs.get(name, {}).get(key, math.nan) for key in COSTS}
        head = {"arm": name, "role": arm.role, "factor": arm.factor}
        made_of = {
            f"level of {key}" if key in head or key in found else key: level
            for key, level in arm.levels.items()
        }
        records.append(head | made_of | found)
    if sort == "effect" and comparison.design != "cumulative":
        sign = 1 if comparison.metric.higher_is_better else -1
        places = {None: 0, "change": 1, "addition": 2}
        bases = {"reference": 0, "stripped": 1.5, "target": 3}

        def rank(record: dict[str, Any]) -> tuple[float, float]:
            block = bases.get(record["role"], places.get(record["kind"], 1))
            worth = sign * record["difference"]
            return block, worth if not math.isnan(worth) else math.inf

        records.sort(key=rank)
    return pd.DataFrame(records)


def totals(comparison: Comparison) -> dict[str, pd.Series]:
    """Returns the difference of each arm to the first one, of the seeds that have both."""
    first, *others = (arm.name for arm in comparison.arms)
    by_seed = comparison.complete.pivot_table("score", "seed", "column", observed=True)
    if comparison.arms[0].factor is not None or first not in by_seed:
        return {}
    return {name: (by_seed[name] - by_seed[first]).dropna() for name in others if name in by_seed}


def interactions_table(comparison: Comparison) -> pd.DataFrame:
    """Returns where added alone and left out disagree: one row a factor of the design `both`.

    Of two factors it is one question: each one's addition is what the other leaves when left out.

    Columns: `factor`, `added` and `left_out` (what its reference level contributes so, over the
    seeds that have all four arms), and of their difference `interaction`, `low`, `high`, `pairs`,
    `constant` and `verdict`.
    """
    found: dict[str, dict[str, Any]] = {}
    by_seed = comparison.complete.pivot_table("score", "seed", "column", observed=True)
    for question, effect in zip(comparison.asked, comparison_effects(comparison), strict=False):
        if question.kind != "interaction":
            continue
        _, base, reference, _ = (comparison.arms[place].name for _, place in question.terms)
        ends = {comparison.arms[place].name for weight, place in question.terms if weight > 0}
        there = {base, reference, *ends} <= set(by_seed.columns)
        common = by_seed.reindex(effect.differences.index)  # So that the columns add up.
        for factor, place in question.added:
            added = comparison.arms[place].name
            (without,) = ends - {added}
            found[factor] = {
                "factor": factor,
                "added": (common[added] - common[base]).mean() if there else math.nan,
                "left_out": (common[reference] - common[without]).mean() if there else math.nan,
                "interaction": effect.mean,
                "low": effect.interval[0],
                "high": effect.interval[1],
                "pairs": effect.n,
                "constant": effect.constant,
                "verdict": effect.verdict,
            }
    return pd.DataFrame([found[key] for key in comparison.arms[0].levels if key in found])


def effects_table(comparison: Comparison) -> pd.DataFrame:
    """Returns one row for each effect of a comparison, with its numbers and its sentence."""
    rows = [effect.row() for effect in comparison_effects(comparison)]
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS)


@once
def questions(comparison: Comparison) -> list[Question]:
    """Returns what is asked of a comparison, nothing without a reference or a complete run."""
    if comparison.reference is None or comparison.complete.empty:
        return []
    if comparison.arms:
        return _arm_questions(comparison)
    cells = comparison.compared[[*comparison.rows, "column"]].drop_duplicates()
    return grid_questions(
        list(cells.itertuples(index=False, name=None)),
        comparison.rows,
        [comparison.reference, *comparison.others],
        comparison.exists,
        comparison.prefix,
        list(varying(comparison.runs, comparison.rows)),
    )


@once
def comparison_effects(comparison: Comparison) -> list[Effect]:
    """Returns the answers to all questions of a comparison, in their order."""
    asked = questions(comparison)
    if not asked:
        return []
    runs = comparison.runs if comparison.arms else comparison.compared
    order = comparison.looked.order if comparison.looked else None
    return answers(runs, comparison.rows, asked, comparison.metric, comparison.margin, order)


def _arm_questions(comparison: Comparison) -> list[Question]:
    """Returns what a design asks, by the cells of its one row."""
    row = tuple(comparison.runs[list(comparison.rows)].iloc[0])
    names = [readable(arm.name) for arm in comparison.arms]
    as_added = [readable(arm.added) for arm in comparison.arms]
    found = []
    for asked in comparison.asked:
        plus, minus = ([place for w, place in asked.terms if w * sign > 0] for sign in (1, -1))
        if asked.kind == "interaction":
            (added, all_but), (base, reference) = plus, minus
            pair = (
                f"({as_added[added]} − {names[base]})",
                f"({names[reference]} − {names[all_but]})",
            )
        else:
            minuends = as_added if asked.kind == "addition" else names
            pair = minuends[plus[0]], names[minus[0]]
        cells = [(*row, arm.name) for arm in comparison.arms]
        terms = tuple((weight, cells[place]) for weight, place in asked.terms)
        found.append(Question(asked.kind, *pair, "", terms))
    return found


@once
def cost_table(comparison: Comparison) -> pd.DataFrame:
    """Returns what each cell costs: one row for each row and column of the ablation table.

    Columns: the row factors, `column`, `parameters` (trainable), `multiply_adds` (of one image),
    `steps`, `seconds_per_epoch` (median over epochs, then over runs) and `peak_memory_bytes`
    (largest of the runs).
    """
    keys = [*comparison.rows, "column"]
    measured = ["trainable", "multiply_adds", "steps", "seconds_per_epoch", "peak_memory_bytes"]
    runs = comparison.complete[keys + measured]
    groups = dict(iter(runs.groupby(keys, sort=False)))
    records = []
    for key in combinations(runs, keys):
        cell = groups[key]
        records.append(
            dict(zip(keys, key, strict=True))
            | {
                "parameters": int(cell["trainable"].iloc[0]),
                "multiply_adds": int(cell["multiply_adds"].iloc[0]),
                "steps": int(cell["steps"].iloc[0]),
                "seconds_per_epoch": cell["seconds_per_epoch"].median(),
                "peak_memory_bytes": int(cell["peak_memory_bytes"].max()),
            }
        )
    return pd.DataFrame(records)


def runs_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a run: its directory, state, reason, final metrics and time."""
    kinds = runs["target"].unique() if "target" in runs else [CLASSES.kind]
    judged = dict.fromkeys(column for kind in kinds for column in TARGETS[kind]().history)
    return runs.reindex(columns=["run", "state", "reason", *judged, "seconds"])


def note_of(states: pd.Series) -> str:
    """Returns which runs of a cell have no number, in words.

    Args:
        states: of its runs, with `NO_SCORE` for one that is complete but lacks what a metric needs.
    """
    if states.empty:
        return "missing"
    broken = states[states != store.COMPLETE].value_counts()
    if len(states) == 1 and len(broken):
        return str(broken.index[0])
    return ", ".join(f"{count} {state}" for state, count in broken.items())


def tuning_table(comparison: Comparison) -> pd.DataFrame:
    """Returns what was tried for the arms of a comparison: a row for each arm and combination.

    Columns: those of the row factors, `column`, the value of each tuned key by its name; of the
    score on the images that judge `mean`, `sd` and `n`, with the worst for each run that
    failed, and the mean `loss`; `failed` and `missing` runs; whether it is `chosen`, at the `edge`
    of what was tried, and `tied` with others; and the names of its `runs`.
    """
    names = [*comparison.rows, "column"]
    runs = comparison.runs
    records = []
    for one in comparison.tuned:
        of_arm = runs[runs["tuned_arm"] == one.record.arm]
        cell = dict(zip(names, of_arm[names].iloc[0], strict=True))
        chosen = one.record.chosen
        tied = tuning.ties(one.trials, chosen) if chosen is not None else []
        for place, trial in enumerate(one.trials):
            is_chosen = place == chosen
            finite = [loss for loss in trial.losses if math.isfinite(loss)]
            records.append(
                cell
                | dict(trial.values)
                | {
                    "mean": trial.mean,
                    "sd": trial.sd,
                    "n": len(trial.scores),
                    "loss": fmean(finite) if finite else math.nan,
                    "failed": len(trial.failures),
                    "missing": trial.missing,
                    "chosen": is_chosen,
                    "edge": is_chosen and bool(tuning.at_edge(one.record.grid, trial.values)),
                    "tied": bool(tied) and (is_chosen or place in tied),
                    "runs": " ".join(one.record.trials[place]),
                }
            )
    known = {name: place for place, name in enumerate(comparison.columns)}
    records.sort(key=lambda row: known.get(row["column"], len(known)))
    order = {key: at for at, key in enumerate(combinations(runs, comparison.rows))}
    records.sort(key=lambda row: order[tuple(row[name] for name in comparison.rows)])
    return pd.DataFrame(records)

"""The tables of a report as text, cell by cell, for every writer alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ablation.analysis.claims import Claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.controls import controls_table
from ablation.analysis.effects import Effect
from ablation.analysis.metrics import Metric
from ablation.analysis.per_image import OfImages
from ablation.analysis.shapley import shapley_table
from ablation.analysis.tables import (
    ablation_table,
    arms_table,
    cost_table,
    interactions_table,
    runs_table,
    totals,
    tuning_table,
)
from ablation.factors import in_short, spelled
from ablation.report import judged
from ablation.targets import TARGETS
from ablation.terminal import duration

_TICKS = {True: "✓", False: "–", None: ""}
_BASES = ("reference", "stripped")


@dataclass(frozen=True)
class Cells:
    """A table of text: a header and rows of equal length. Each writer escapes what it must.

    Attributes:
        header: the columns' names.
        rows: of text.
        strong: the places of the rows that stand out.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[int] = frozenset()


def accuracy_cells(comparison: Comparison) -> Cells:
    """Returns the ablation table in the metric's units, n beside each number."""
    table, metric = ablation_table(comparison), comparison.metric
    differences = [comparison.difference(column) for column in comparison.others]
    rows = []
    for _, row in table.iterrows():
        rows.append(
            [
                *(str(row[key]) for key in comparison.rows),
                *(_score(metric, row, column) for column in comparison.columns),
                *(_difference(metric, row, column) for column in differences),
                *(
                    _value(row[f"{column} {key}"])
                    for key in comparison.tuned_keys
                    for column in comparison.columns
                ),
            ]
        )
    signs = [
        f"{comparison.prefix}{column} − {comparison.reference}" for column in comparison.others
    ]
    columns = [f"{comparison.prefix}{column}" for column in comparison.columns]
    tuned = [f"{name} {short_key(key)}" for key in comparison.tuned_keys for name in columns]
    return Cells([*comparison.rows, *columns, *signs, *tuned], rows)


def arm_cells(comparison: Comparison, sort: str = "named", whole: bool = True) -> Cells:
    """Returns the arms of a design, a row each, the first of its kind standing out.

    Args:
        comparison: of a design that is no grid.
        sort: see `tables.arms_table`.
        whole: with what each arm is made of and what it costs, for which a terminal is too narrow.
    """
    table, metric = arms_table(comparison, sort), comparison.metric
    keys = list(comparison.arms[0].levels)
    switches = {arm.name: arm.switches for arm in comparison.arms}
    levels = {arm.name: arm.levels for arm in comparison.arms}
    ticks = list(comparison.arms[0].switches) if whole else []
    steps = comparison.design == "cumulative"
    of_all = totals(comparison)
    one_factor = len(keys) == 1 and len(table) > 2 and not steps
    header = [keys[0] if one_factor else "step" if steps else "arm", *([] if one_factor else ticks)]
    header += [metric.title, "difference", "verdict"]
    header += ["total"] if steps else []
    header += [f"tuned {short_key(key)}" for key in comparison.tuned_keys]
    costs = ["parameters", "multiply-adds", "s/epoch"] if whole else []
    rows = []
    for _, row in table.iterrows():
        name = row["arm"]
        if one_factor and row["role"] != "target":
            name = levels[name][keys[0]]
            name += f" ({row['role']})" if row["role"] in _BASES else ""
        cells = [
            name,
            *([] if one_factor else [_TICKS[switches[row["arm"]].get(key)] for key in ticks]),
        ]
        cells += [_scored(metric, row), _between(metric, row, "difference"), row["verdict"]]
        if steps:
            pairs = len(of_all.get(row["arm"], ()))
            cells.append(f"{metric.signed(row['total'])}{_pairs(row, pairs)}")
        cells += [_value(row[f"tuned {key}"]) for key in comparison.tuned_keys]
        if whole:
            there = not math.isnan(row["parameters"])
            cells += [f"{row['parameters']:,.0f}" if there else ""]
            cells += [f"{row['multiply_adds']:,.0f}" if there else ""]
            cells += [f"{row['seconds_per_epoch']:.1f}" if there else ""]
        rows.append(cells)
    strong = [place for place, role in enumerate(table["role"]) if role in _BASES]
    return Cells([*header, *costs], rows, frozenset(strong))


def control_cells(comparison: Comparison) -> Cells:
    """Returns the controls of a comparison, each below the arm that it is held against."""
    table, metric = controls_table(comparison), comparison.metric
    rows = []
    for _, row in table.iterrows():
        parameters = row["parameters"]
        rows.append(
            [
                row["arm"],
                row["trained"],
                _scored(metric, row),
                "" if parameters != parameters else f"{parameters:,.0f}",
                row["against"],
                _between(metric, row, "difference"),
            ]
        )
    header = ["arm", "how", metric.title, "parameters", "held against", "difference"]
    bases = frozenset(place for place, name in enumerate(table["against"]) if not name)
    return Cells(header, rows, bases)


def interaction_cells(comparison: Comparison) -> Cells:
    """Returns how far added alone and left out disagree, a row a factor."""
    metric = comparison.metric
    rows = [
        [
            row["factor"],
            metric.signed(row["added"]),
            metric.signed(row["left_out"]),
            _between(metric, row, "interaction"),
            row["verdict"],
        ]
        for _, row in interactions_table(comparison).iterrows()
    ]
    header = ["factor", "added alone", "when left out", "added − left out", "verdict"]
    return Cells(header, rows)


def effect_cells(effects: Sequence[Effect]) -> Cells:
    """Returns the effects with their intervals, verdicts and tests."""
    header = ["question", "where", "n", "mean", "sd", "interval", "verdict", "p (Holm)"]
    header += ["sign-flip test", "to settle"]
    rows = []
    for effect in effects:
        signed = effect.metric.signed
        low, high = effect.metric.bounds(*effect.interval)
        rows.append(
            [
                f"{effect.kind}: {effect.named('−')}",
                effect.where,
                str(effect.n),
                signed(effect.mean),
                effect.metric.number(effect.sd),
                f"{low} to {high}" if low else "",
                effect.verdict,
                _p(effect.p_holm),
                effect.exact,
                _to_settle(effect),
            ]
        )
    return _filled(header, rows)


def share_cells(comparison: Comparison) -> Cells:
    """Returns each part's share in a full grid, averaged over all orders; see `shapley`."""
    metric = comparison.metric
    rows = [
        [
            row["factor"],
            row["change"],
            metric.signed(row["share"]),
            metric.number(row["sd"]),
            str(row["n"]),
        ]
        for _, row in shapley_table(comparison).iterrows()
    ]
    return Cells(["factor", "change", "share", "sd", "n"], rows)


def image_cells(found: Sequence[OfImages]) -> Cells:
    """Returns what the validation images say to each question."""
    many = found[0].noun.many if found else ""
    header = ["question", "where", "n", "mean", f"over {many}", f"over seeds and {many}"]
    header += ["fixes", "breaks", "always fixes", "always breaks", "by seed alone"]
    rows = []
    for one in found:
        effect, changed = one.effect, one.changed
        bounds = [(math.nan, math.nan)] * 2
        if one.spread:
            bounds = [one.spread.over_images, one.spread.over_both]
        signed = effect.metric.signed
        shown = (effect.metric.bounds(*both) for both in bounds)
        intervals = [f"{low} to {high}" if low else "" for low, high in shown]
        counts = [changed.fixes, changed.breaks] if changed else []
        counts += [changed.always_fixes, changed.always_breaks] if changed else []
        texts = [f"{count:,}" for count in counts] or [""] * 4
        texts.append(number(changed.by_seed_alone, ",.0f") if changed else "")
        name = f"{effect.kind}: {effect.named('−')}"
        rows.append([name, effect.where, str(one.n), signed(one.mean), *intervals, *texts])
    return _filled(header, rows)


def cost_cells(comparison: Comparison) -> Cells:
    """Returns what each cell costs."""
    header = ["parameters", "multiply-adds", "steps", "s/epoch (validation too)", "peak memory"]
    rows = [
        [
            *(str(row[key]) for key in comparison.rows),
            str(row["column"]),
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
            f"{row['steps']:,}",
            f"{row['seconds_per_epoch']:.1f}",
            f"{row['peak_memory_bytes'] / 2**30:.2f} GiB",
        ]
        for _, row in cost_table(comparison).iterrows()
    ]
    return Cells([*comparison.rows, comparison.contrast, *header], rows)


def runs_cells(runs: pd.DataFrame) -> Cells:
    """Returns every run with its directory, state and final metrics."""
    table = runs_table(runs)
    shown = [name for name in table.columns if name not in ("run", "state", "reason", "seconds")]
    # Losses first, and training beside validation.
    shown.sort(key=lambda name: not name.endswith("loss"))
    header = ["run", "state", "reason", *(name.replace("_", " ") for name in shown), "s"]
    judged_columns = {
        name: column
        for target in TARGETS.values()
        for name, column in judged.columns(target()).items()
    }
    written = {name: percent if judged_columns[name].scale > 1 else _four_digits for name in shown}
    rows = [
        [
            row["run"],
            row["state"],
            row["reason"],
            *(written[name](row[name]) for name in shown),
            number(row["seconds"], ".0f"),
        ]
        for _, row in table.iterrows()
    ]
    return _filled(header, rows)


def _filled(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Cells:
    """Returns a table without columns in which no row has anything, but for those it is of."""
    always = ("question", "mean", "verdict", "run", "state")
    kept = [i for i, name in enumerate(header) if name in always or any(row[i] for row in rows)]
    return Cells([header[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _four_digits(value: float) -> str:
    return number(value, ".4f")


def percent(value: float) -> str:
    """Returns a share as percent with two digits, nothing for NaN."""
    return number(100 * value, ".2f")


def claim_cells(claimed: Claimed) -> Cells:
    """Returns the claims of a study with their verdicts and differences."""
    rows = []
    for one in claimed.answers:
        effect, said = one.effect, one.reason
        if effect:
            low, high = effect.metric.bounds(*effect.interval)
            bounds = f" [{low}, {high}]" if low else " (too few seeds for an interval)"
            bounds = " (the same for every seed)" if effect.constant else bounds
            said = f"{effect.metric.difference(effect.mean)}{bounds}" if effect.n else "no pair yet"
        n = str(effect.n) if effect else ""
        verdict = f"{one.verdict} ({one.remark})" if one.remark else one.verdict
        rows.append([one.claim.text, verdict, said, n])
    return Cells(["claim", "verdict", "difference", "n"], rows)


def number(value: Any, form: str) -> str:
    """Returns a formatted number, nothing for NaN."""
    return "" if value is None or math.isnan(value) else format(value, form)


def tuning_cells(comparison: Comparison) -> Cells:
    """Returns what was tried for each arm and how it scored; what was chosen stands out."""
    table = tuning_table(comparison)
    names = [] if comparison.arms else list(comparison.rows)
    column = "arm" if comparison.arms else comparison.contrast
    keys = comparison.tuned_keys
    metric = comparison.target.of_epochs
    heading = f"{judged.name(metric)} of trials"
    header = [*names, column, *map(short_key, keys), heading, "loss", "chosen"]
    rows = []
    for row in table.to_dict("records"):
        spread = f" ± {metric.number(row['sd'])}" if row["n"] > 1 else ""
        said = [f"{row['failed']} failed"] if row["failed"] else []
        said += [f"{row['missing']} missing"] if row["missing"] else []
        note = f"; {', '.join(said)}" if said else ""
        marks = ["✓"] if row["chosen"] else []
        marks += ["edge"] if row["edge"] else []
        marks += ["tie"] if row["tied"] else []
        rows.append(
            [
                *(str(row[name]) for name in (*names, "column")),
                *(_value(row.get(key)) for key in keys),
                f"{metric.number(row['mean'])}{spread} (n={row['n']}{note})",
                number(row["loss"], ".4g"),
                " ".join(marks),
            ]
        )
    return Cells(header, rows, frozenset(i for i, one in enumerate(table["chosen"]) if one))


def short_key(key: str) -> str:
    """Returns the last word of a key, by which a table's heading knows what was tuned."""
    return key.rpartition(".")[2]


def _value(value: Any) -> str:
    """Returns a value that was tried as it is typed, nothing for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return in_short(value) if isinstance(value, float) else spelled(value)


def _to_settle(effect: Effect) -> str:
    """Returns about how many seeds in all would settle it, and how long those to come take."""
    seeds = effect.seeds_to_settle
    if not seeds:
        return ""
    return f"{seeds} seeds (+{duration((seeds - effect.n) * effect.seconds)})"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else number(value, ".3f")


def _score(metric: Metric, row: pd.Series, column: str) -> str:
    count, note = row[f"{column} n"], row[f"{column} note"]
    if not count:
        return note
    spread = f" ± {metric.number(row[f'{column} sd'])}" if count > 1 else ""
    return f"{metric.number(row[column])}{spread} (n={count}{f'; {note}' if note else ''})"


def _scored(metric: Metric, row: pd.Series) -> str:
    """Returns the mean of an arm with its spread."""
    if not row["n"]:
        return row["note"]
    spread = f" ± {metric.number(row['sd'])}" if row["n"] > 1 else ""
    note = f"; {row['note']}" if row["note"] else ""
    return f"{metric.number(row['mean'])}{spread} (n={row['n']}{note})"


def _between(metric: Metric, row: pd.Series, what: str) -> str:
    """Returns a difference with its interval, or with its n where it has none."""
    if not row["pairs"]:
        return ""
    if math.isnan(row["low"]):
        why = ", no spread" if row["constant"] else ", too few seeds for an interval"
        return f"{metric.signed(row[what])} (n={row['pairs']}{why if row['pairs'] > 1 else ''})"
    low, high = metric.bounds(row["low"], row["high"])
    return f"{metric.signed(row[what])} [{low}, {high}]{_pairs(row, row['pairs'])}"


def _pairs(row: pd.Series, pairs: int) -> str:
    """Returns how many seeds a difference is of, where they are not all those of the row."""
    return f" (n={pairs})" if pairs and row.get("n", pairs) != pairs else ""


def _difference(metric: Metric, row: pd.Series, column: str) -> str:
    count = row[f"{column} n"]
    return f"{metric.signed(row[column])} (n={count})" if count else ""

"""Under what conditions the runs of a comparison were trained, every value of each."""

import contextlib
from typing import Any

import pandas as pd

from ablation.analysis.audit import spans
from ablation.analysis.comparison import Comparison
from ablation.analysis.levels import levels
from ablation.analysis.study import Study
from ablation.data.kinds import KINDS
from ablation.factors import spelled
from ablation.records import durable
from ablation.report.cells import Cells
from ablation.source import is_own
from ablation.text import named

_NAMED_AT_MOST = 6


def condition_cells(study: Study, comparison: Comparison) -> Cells:
    """Returns a row for each condition that is known."""
    runs = comparison.runs
    many = comparison.noun.many
    counts = [
        ("epochs", "config.epochs"),
        ("optimizer steps", "steps"),
        (f"training {many}", "train_images"),
        (f"validation {many}", "val_images"),
    ]
    rows = [["seeds", spans(set(runs["seed"]))]]
    if comparison.looked:
        chosen = f"by looking at the results, at most {comparison.looked.at_most}"
        rows.append(["seeds chosen", chosen])
    rows += _part_levels(comparison)
    groups = ("config.dataset.", "config.recipe.")
    keys = [key for key in runs.columns if key.startswith(groups)]
    kinds = [KINDS[kind].refuses for kind in runs["kind"].dropna().unique()]
    if kinds:  # What a kind of inputs has no use for is no condition of it.
        useless = {f"config.{key}" for key in set(kinds[0]).intersection(*kinds)}
        keys = [key for key in keys if key not in useless or any(map(is_own, _texts(runs[key])))]
    keys += ["config.backend", "config.precision", "config.deterministic"]
    for name, key in counts:
        rows.append([name, ", ".join(f"{count:,.0f}" for count in _distinct(runs[key]))])
    for key in keys:
        rows.append([key.removeprefix("config."), ", ".join(map(_typed, _distinct(runs[key])))])
    for split in ("train", "val"):
        digests = {str(digest)[:8] for digest in runs[f"{split}_fingerprint"].dropna()}
        rows.append([f"{split} {many}, SHA-256", ", ".join(sorted(digests))])
    rows += _image_facts(study, comparison)
    return Cells(["condition", "value"], [row for row in rows if row[1]])


def _texts(values: pd.Series) -> list[str]:
    return [str(value) for value in _distinct(values)]


def _part_levels(comparison: Comparison) -> list[list[str]]:
    """Returns the levels that the runs have of each part of their networks."""
    found = []
    for key in (part.key for part in comparison.all_parts):
        there = [level for level in levels(comparison.runs[key]) if level.applies]
        found.append([key, ", ".join(there)])
    return found


def _distinct(values: pd.Series) -> list[Any]:
    """Returns the values that occur, in their natural order, as Python's own types."""
    return levels(values.dropna().astype(object))


def _typed(value: Any) -> str:
    """Returns a value of the configuration as it is typed; tables keep whole numbers as floats."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else spelled(value)


def _image_facts(study: Study, comparison: Comparison) -> list[list[str]]:
    """Returns the images by class, and what was left out, of every set that the runs have seen."""
    runs = comparison.complete.drop_duplicates("fingerprint")["run"].head(_NAMED_AT_MOST)
    results = []
    for run in runs:
        with contextlib.suppress(OSError, ValueError):  # It may just be trained again.
            results.append(durable.read_json(study.directory / run / "result.json"))
    # Results from before the classes were counted have none of this.
    counted = [result for result in results if "left_out" in result or "train_per_class" in result]
    found: dict[str, list[str]] = {}
    for result in counted:
        for name, said in comparison.target.conditions(result, comparison.noun):
            found.setdefault(name, []).append(said)
    for group in (group for result in counted for group in _left_out(result)):
        names = named(group["names"], group["count"], _NAMED_AT_MOST)
        found.setdefault(f"left out: {group['reason']}", []).append(f"{group['count']:,}: {names}")
    return [[name, "; ".join(dict.fromkeys(texts))] for name, texts in found.items()]


def _left_out(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what was left out of a run's images by reason; older results know broken ones."""
    older = {
        "reason": "broken images",
        "count": result.get("skipped", 0),
        "names": result.get("skipped_names", []),
    }
    return result.get("left_out", []) + ([older] if older["count"] else [])

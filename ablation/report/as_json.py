"""A report for scripts and assistants: answers, tables, audit and verdicts as JSON.

docs/report.md describes the keys. Numbers are as in the CSV files; what is none is null.
"""

import math
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from ablation.analysis.audit import Audit, audit
from ablation.analysis.claims import Claimed
from ablation.analysis.comparison import Comparison
from ablation.analysis.controls import controls_table
from ablation.analysis.per_image import OfImages, images_table
from ablation.analysis.study import Study
from ablation.analysis.tables import (
    ablation_table,
    arms_table,
    comparison_effects,
    cost_table,
    effects_table,
    interactions_table,
    runs_table,
    tuning_table,
)
from ablation.report import controls, notes
from ablation.report.notes import Note

SCHEMA = "ablation-report/1"
"""Grows when a key is taken away or means something else, not when one is added."""


def as_json(
    study: Study,
    comparisons: Sequence[Comparison],
    images: Sequence[Sequence[OfImages]],
    claimed: Claimed,
) -> dict[str, Any]:
    """Returns the report of a study as JSON.

    Args:
        study: the study.
        comparisons: its comparisons, in order.
        images: for each comparison what the validation images say.
        claimed: what the study says to its claims.
    """
    return {
        "schema": SCHEMA,
        "ablation": metadata.version("ablation"),
        "study": study.directory.name,
        "states": {str(k): int(v) for k, v in study.all_runs["state"].value_counts().items()},
        "answers": [_said(note, " ") for note in notes.answers(comparisons, images)],
        "comparisons": [
            _comparison(comparison, of_images)
            for comparison, of_images in zip(comparisons, images, strict=True)
        ],
        "claims": _claims(claimed),
        "runs": _records(runs_table(study.all_runs).assign(seed=study.all_runs["seed"])),
        "without_control": list(study.uncontrolled),
        "unreadable": list(study.problems),
    }


def _claims(claimed: Claimed) -> dict[str, Any]:
    found = []
    for one in claimed.answers:
        effect = one.effect
        low, high = effect.interval if effect else (math.nan, math.nan)
        described = {
            "claim": one.claim.text,
            "verdict": one.verdict,
            "since": one.since,
            "added_afterwards": one.added,
            "taken_out_afterwards": one.left_out,
            "n": effect.n if effect else 0,
            "mean": effect.mean if effect and effect.n else math.nan,
            "low": low,
            "high": high,
            "reason": one.reason,
        }
        found.append({key: _plain(value) for key, value in described.items()})
    return {
        "sha256": claimed.digest,
        "time": claimed.time,
        "changed": claimed.changed,
        "problem": claimed.problem,
        "answers": found,
    }


def _comparison(comparison: Comparison, images: Sequence[OfImages]) -> dict[str, Any]:
    found, metric = audit(comparison), comparison.metric
    table = arms_table(comparison) if comparison.arms else ablation_table(comparison)
    described: dict[str, Any] = {
        "title": notes.title(comparison),
        "dataset": comparison.dataset,
        "protocol": {key: _plain(value) for key, value in comparison.protocol.items()},
        "design": comparison.design,
        "rows": list(comparison.rows),
        "contrast": comparison.contrast,
        "columns": [str(column) for column in comparison.columns],
        "reference": comparison.built_reference and str(comparison.built_reference),
        "metric": {
            "name": metric.name,
            "title": metric.title,
            "unit": metric.unit,
            "scale": metric.scale,
            "higher_is_better": metric.higher_is_better,
            "margin": comparison.margin,
        },
        "certificate": _certificate(found),
        "table": _records(table),
        "questions": _records(effects_table(comparison)),
        "sentences": notes.sentences(comparison_effects(comparison)),
        "cost": _records(cost_table(comparison)),
        "images": _records(images_table(list(images))) if images else [],
    }
    if found.tuning:
        described["tuning"] = {
            **{
                key: _plain(value)
                for key, value in vars(found.tuning).items()
                if key not in ("grid", "target")
            },
            "target": found.tuning.target.kind,
            "grid": found.tuning.grid,
            "trials": _records(tuning_table(comparison)),
        }
    if comparison.controls:
        described["controls"] = {
            "sentences": controls.sentences(comparison),
            "table": _records(controls_table(comparison)),
        }
    if any(question.kind == "interaction" for question in comparison.asked):
        described["interactions"] = _records(interactions_table(comparison))
    return described


def _certificate(found: Audit) -> dict[str, Any]:
    described: dict[str, Any] = {
        "runs": found.runs,
        "equal_budget": found.passes,
        "unequal": found.unequal,
        "passes_within": list(found.within),
        "confounds": found.confounds,
        "holes": list(found.holes),
        "looked": found.looked and {"at_most": found.looked.at_most, "order": found.looked.order},
        "shared_images": [
            {"validation_images": images, "also_in_training": shared}
            for shared, images in found.shared
        ],
        "said": [_said(note) for note in notes.certificate(found)],
    }
    if found.tuning:
        described["equal_tuning"] = found.tuning.passes
    return described


def _said(note: Note, between: str = "; ") -> str:
    """Returns a note as one text, what stands in a list with something between."""
    return " ".join(part for part in (note.lead, note.text, between.join(note.items)) if part)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.to_dict("records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Returns a value that JSON knows, None for a number that is none."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return str(value)

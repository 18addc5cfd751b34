"""report.json: its numbers are those of the CSV files, its keys those of the documentation."""

import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from ablation.records import store
from ablation.report.write import write_report

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "report.md"


@pytest.fixture
def written(stored_run, tmp_path):
    for plain in ("true", "false"):
        for seed in (0, 1, 2):
            accuracy = 0.5 + 0.2 * (plain == "false") + 0.01 * seed * (plain == "true")
            stored_run(f"plain={plain}", f"seed={seed}", val_accuracy=accuracy)
    stored_run("plain=true", "seed=3", state=store.DIVERGED, reason="loss is nan")
    write_report(tmp_path / "main")
    return tmp_path / "main"


def _equal(one, other):
    if isinstance(other, float) and math.isnan(other):
        return one is None
    return one == pytest.approx(other) if isinstance(other, float) else str(one) == str(other)


def test_its_numbers_are_those_of_the_csv(written):
    report = json.loads((written / "report.json").read_text())
    (comparison,) = report["comparisons"]
    for key, name in (("table", "ablation"), ("questions", "effects"), ("cost", "cost")):
        frame = pd.read_csv(written / "report" / f"{name}-digits.csv")
        rows = frame.to_dict("records")
        assert len(rows) == len(comparison[key]) > 0
        for shown, row in zip(comparison[key], rows, strict=True):
            assert all(_equal(shown[name], value) for name, value in row.items() if shown[name])
    assert report["states"] == {"complete": 6, "diverged": 1}
    assert comparison["certificate"]["holes"] == [
        "arch 34, plain, seed 3: diverged (loss is nan)",
        "arch 34, residual: no seed 3",
    ]


def test_every_key_is_documented(written):
    report = json.loads((written / "report.json").read_text())
    named = set(re.findall(r"`([\w-]+)`", DOCUMENTED.read_text()))
    (comparison,) = report["comparisons"]
    keys = {*report, *comparison, *comparison["metric"], *comparison["certificate"]}
    keys |= {*report["runs"][0]}
    assert keys <= named


def test_it_is_strict_json(written):
    def refuse(name):
        raise AssertionError(name)

    json.loads((written / "report.json").read_text(), parse_constant=refuse)

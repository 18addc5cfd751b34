"""A clock that is set while a run trains changes no duration, and no time goes backwards."""

import re
from pathlib import Path

import pytest

import ablation
from ablation.analysis.reading import load
from ablation.records import store
from ablation.report.checklist import checklist

ROOT = Path(ablation.__file__).parent
WALL = r"time\.time\(|time_ns\(|datetime\.now\(|utcnow\("
ALLOWED = {"records/store.py": 1, "running/progress.py": 1}
"""When something happened, for people; and the age of a file, whose time is of that clock too."""


def test_what_takes_time_is_measured_by_a_clock_that_nobody_sets():
    found = {
        str(path.relative_to(ROOT)): len(re.findall(WALL, path.read_text()))
        for path in ROOT.rglob("*.py")
    }
    assert {name: count for name, count in found.items() if count} == ALLOWED


def _checklist(study):
    return checklist(study, study.comparisons(), [[]])


@pytest.mark.parametrize("end", ["1999-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"])
def test_a_clock_that_is_set_moves_no_end_before_its_start_and_adds_no_hours(
    end, stored_run, tmp_path, monkeypatch
):
    directory = stored_run("plain=true", state=store.FAILED, reason="why")
    begun = store.Status().begun()
    monkeypatch.setattr(store, "now", lambda: end)
    status = begun.ended(store.FAILED, "why", 12.3456)
    assert status.end == max(begun.start, end) and status.seconds == 12.346
    store.write_status(directory, status)
    assert store.read_status(directory) == status
    study = load(tmp_path / "main")
    text = _checklist(study)
    assert "12.3 s (12.3 s in 1 failed run)" in text


def test_a_status_that_knows_no_duration_has_that_of_its_times(stored_run, tmp_path):
    directory = stored_run("plain=true", state=store.FAILED, reason="why")
    for end, said in (("09:02:00", "2.0 minutes"), ("08:00:00", "7.5 s"), ("11:30:00", "2.50 h")):
        times = {"start": "2026-01-01T09:00:00+00:00", "end": f"2026-01-01T{end}+00:00"}
        store.write_status(directory, store.Status(store.FAILED, 1, **times, reason="why"))
        study = load(tmp_path / "main")
        assert f"{said}" in _checklist(study)

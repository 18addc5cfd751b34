"""The kept results: every number follows from the runs that are kept beside it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablation.records import asked
from ablation.report.write import write_report

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
WITH_RUNS = sorted(RESULTS.glob("*/report/runs.csv"))
WITH_RECORDS = sorted(path.parent for path in RESULTS.glob("*/study.json"))


@pytest.mark.parametrize("runs", WITH_RUNS, ids=lambda path: path.parts[-3])
def test_kept_means_and_spreads_are_those_of_the_kept_runs(runs):
    each = pd.read_csv(runs)
    each = each[each["state"] == "complete"]
    arms = [one for one in each if one.startswith("config.") and one != "config.seed"]
    scores = each.groupby(arms, dropna=False)["score"].agg(["mean", "std"])
    (file,) = runs.parent.glob("ablation-*.csv")
    table = pd.read_csv(file)
    spreads = [one for one in table if one == "sd" or one.endswith(" sd")]
    means = ["mean" if one == "sd" else one.removesuffix(" sd") for one in spreads]
    beside = map(pd.read_csv, runs.parent.glob("controls-*.csv"))
    controls = pd.concat([pd.DataFrame({"control": [], "mean": [], "sd": []}), *beside])
    controls = controls[controls["control"].notna()]
    for found, kept, of_controls in (("mean", means, "mean"), ("std", spreads, "sd")):
        numbers = np.append(table[kept].to_numpy().ravel(), controls[of_controls])
        np.testing.assert_allclose(
            np.sort(numbers[~np.isnan(numbers)]), np.sort(scores[found].dropna()), rtol=1e-6
        )


@pytest.mark.parametrize("study", WITH_RECORDS, ids=lambda path: path.name)
def test_a_report_is_made_anew_from_the_kept_records(study, tmp_path, monkeypatch):
    """`python -m ablation.report` is the command that rebuilds it, all but pictures of images."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # No cache here, whatever the machine has.
    copy = tmp_path / study.name
    shutil.copytree(study, copy, ignore=shutil.ignore_patterns("report*"))
    write_report(copy, asked.report_options(copy))
    kept = sorted(study.glob("report/*.csv"))
    assert kept
    for file in kept:
        assert (copy / "report" / file.name).read_text() == file.read_text(), file.name
    assert _words(copy) == _words(study)


def _words(study):
    """The report's paragraphs but those that only a machine with the images has, and without."""
    text = (study / "report.md").read_text()
    without = r"- The \w+ are not in the cache any more, so no picture shows them\.\n?"
    text = re.sub(without, "", text)
    paragraphs = [one.strip() for one in text.split("\n\n")]
    of_images = {
        place + i
        for place, one in enumerate(paragraphs)
        if one.startswith(("![predictions-", "![changed-", "![examples-"))
        for i in range(2)  # Its caption stands below.
    }
    return [one for i, one in enumerate(paragraphs) if one and i not in of_images]


def test_the_table_comes_first_and_names_every_study():
    page = (RESULTS / "README.md").read_text()
    table = re.findall(r"^\|.*$", page.split("\n## ")[0], re.MULTILINE)
    named = set(re.findall(r"\]\(#(\w+)\)", "\n".join(table)))
    assert named == {path.name for path in RESULTS.iterdir() if path.is_dir()}

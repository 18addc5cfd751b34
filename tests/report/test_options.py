"""What is compared by a report that is made from a folder alone."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from ablation.analysis import reading
from ablation.config import ReportConfig
from ablation.records import asked
from ablation.report import __main__ as command
from ablation.report import write


@pytest.fixture
def study(tmp_path):
    asked.add(tmp_path, [])
    return tmp_path


@pytest.fixture
def options(study, monkeypatch, capsys):
    """Types options for a report; returns those that it is written with, and what was said."""

    def typed(*words):
        found = []
        monkeypatch.setattr(write, "write_report", lambda _, one, tell: found.append(one))
        monkeypatch.setattr(sys, "argv", ["ablation.report", str(study), *words])
        assert command.main() == 0
        return found[0], capsys.readouterr().out

    return typed


def test_they_are_what_the_last_command_asked_until_something_else_is_typed(study, options):
    assert options()[0] == ReportConfig()
    asked.add(study, ["arch"], report=ReportConfig(contrast="arch", sort="effect"))
    found, said = options()
    assert found == ReportConfig(contrast="arch", sort="effect")
    assert said.startswith(
        "As the command that trained last asked: report.sort=effect (report.sort=named is the "
        "usual), report.contrast=arch (report.contrast=null is the usual).\n"
    )
    found, said = options("report.contrast=null", "report.sort=named")
    assert found == ReportConfig() and "trained last" not in said


def test_the_next_command_asks_anew(study, options):
    asked.add(study, [], report=ReportConfig(contrast="arch"))
    asked.add(study, [])  # Which says nothing of a report.
    assert options()[0] == ReportConfig(contrast="arch")
    asked.add(study, [], report=ReportConfig())
    assert options()[0] == ReportConfig()


@pytest.mark.parametrize(
    ("before", "typed", "kept"),
    [
        ({"metric": "log_loss", "margin": 0.5}, {"metric": "accuracy"}, {}),
        ({"metric": "log_loss", "margin": 0.5}, {"margin": 0.1}, {"metric": "log_loss"}),
        ({"contrast": "arch", "reference": "56"}, {"contrast": "plain"}, {}),
        ({"contrast": "arch", "reference": "56"}, {"design": "both"}, {}),
        ({"contrast": "arch"}, {"reference": "56"}, {"contrast": "arch"}),
        ({"design": "both", "sort": "effect"}, {"reference": "56"}, {"sort": "effect"}),
    ],
)
def test_what_hangs_on_another_option_goes_with_it(study, options, before, typed, kept):
    asked.add(study, [], report=ReportConfig(**before))
    found, _ = options(*(f"report.{key}={value}" for key, value in typed.items()))
    assert found == ReportConfig(**kept | typed)


@pytest.mark.parametrize("damaged", [3, {"contrast": 7, "colour": "red"}, {"margin": "wide"}])
def test_what_is_damaged_of_them_is_as_usual(study, options, damaged):
    asked.update(study, "report", lambda _: damaged)
    assert options()[0] == ReportConfig()


def test_pdf_is_true_or_false_and_is_remembered(study, options, monkeypatch, capsys):
    assert options("report.pdf=true")[0] == ReportConfig(pdf=True)
    asked.add(study, [], report=ReportConfig(pdf=True))
    assert options()[0] == ReportConfig(pdf=True)
    assert options("report.pdf=false")[0] == ReportConfig()
    monkeypatch.setattr(sys, "argv", ["ablation.report", str(study), "report.pdf=yes"])
    assert command.main() == 2
    assert "report.pdf=yes must be true or false." in capsys.readouterr().err


def test_two_studies_are_compared_by_the_metric_that_is_asked_for(tmp_path, monkeypatch, capsys):
    results = Path(__file__).resolve().parents[2] / "docs" / "results"
    for name in ("digits", "digits_seeds"):
        shutil.copytree(results / name, tmp_path / name)
    folders = [str(tmp_path / name) for name in ("digits", "digits_seeds")]
    monkeypatch.setattr(sys, "argv", ["ablation.report", *folders, "report.metric=log_loss"])
    assert command.main() == 0
    said = capsys.readouterr().out
    assert "log loss after the final epoch, nats; lower is better" in said
    (line,) = [one for one in said.splitlines() if "| 34 " in one and "| plain " in one]
    each = [reading.load(folder).measured("log_loss").runs for folder in folders]
    means = [
        runs.loc[(runs["arch"] == "34") & (runs["parts.plain"] == "plain"), "score"].mean()
        for runs in each
    ]
    assert f"{means[0]:.4f} (n=1)" in line
    assert re.search(rf"{means[1]:.4f} ± \d\.\d{{4}} \(n=6\)", line)
    assert f"{means[1] - means[0]:+.4f}" in line


def test_what_is_of_one_study_is_refused_for_two(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        asked.add(tmp_path / name, [])
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "report.margin=1"]
    monkeypatch.setattr(sys, "argv", ["ablation.report", *words])
    assert command.main() == 2
    assert "report.margin is for the report of one study" in capsys.readouterr().err

import copy
import hashlib
import json
import math
import re
import shutil
from importlib import resources

import pandas as pd
import pytest

from ablation.analysis.claims import Claimed
from ablation.analysis.reading import load
from ablation.config import ReportConfig
from ablation.records import durable, store
from ablation.records.standing import Standing, Training
from ablation.report.as_json import as_json
from ablation.report.difference import difference
from ablation.report.page import content, page
from ablation.report.page.pictures import vector
from ablation.report.write import write_difference, write_page, write_report
from ablation.targets import TARGETS
from nasty import NAMES
from reading import Page

VENDOR = {
    # As npm has them in uplot 1.6.32.
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.fixture
def study(stored_run, tmp_path):
    """Two architectures with and without shortcuts, three seeds, one run failed."""
    accuracy = {
        ("20", "true"): 0.5,
        ("20", "false"): 0.7,
        ("32", "true"): 0.4,
        ("32", "false"): 0.8,
    }
    for (arch, plain), level in accuracy.items():
        for seed in range(3):
            words = f"arch={arch}", f"plain={plain}", f"seed={seed}"
            stored_run(*words, val_accuracy=level + 0.0123456789 * seed * (plain == "true"))
    stored_run("arch=20", "plain=true", "seed=3", state=store.FAILED, reason="no <memory>")
    return tmp_path / "main"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Where the first test that reads the report of the study leaves it for the others."""
    return tmp_path_factory.mktemp("written") / "main"


@pytest.fixture
def written(shared, request):
    """That study with its report, to be read only."""
    if not shared.exists():
        study = request.getfixturevalue("study")
        write_report(study)
        shutil.copytree(study, shared)
    return shared


def _page(folder, name="report.html"):
    return Page((folder / name).read_text())


def _csv(folder, name):
    return pd.read_csv(folder / "report" / f"{name}.csv", keep_default_na=False, na_values=[""])


def test_every_number_of_the_tables_is_that_of_the_csv(written):
    page = _page(written)
    table = _csv(written, "ablation-digits")
    for shown, row in zip(page.rows("ablation-0"), table.to_dict("records"), strict=True):
        assert shown["arch"] == str(row["arch"])
        for name in ("plain", "residual"):
            mean, sd, n = 100 * row[name], 100 * row[f"{name} sd"], row[f"{name} n"]
            assert shown[name].startswith(f"{mean:.2f} ± {sd:.2f} (n={n}")
        assert shown["residual − plain"] == f"{100 * row['residual - plain']:+.2f} (n=3)"
    effects = _csv(written, "effects-digits")
    rows = page.rows("effects-0")
    assert len(rows) == len(effects) == 5
    for shown, row in zip(rows, effects.to_dict("records"), strict=True):
        assert shown["mean"] == f"{100 * row['mean']:+.2f}"
        interval = f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"
        assert shown["interval"] == ("" if math.isnan(row["low"]) else interval)
        assert shown["verdict"] == (row["verdict"] if isinstance(row["verdict"], str) else "")
    runs = _csv(written, "runs")
    for shown, row in zip(page.rows("runs-table"), runs.to_dict("records"), strict=True):
        assert (shown["run"], shown["state"]) == (row["run"], row["state"])
        value = row["val_accuracy"]
        assert shown["val accuracy"] == ("" if math.isnan(value) else f"{100 * value:.2f}")


def test_every_number_of_the_curves_is_that_of_the_history(written):
    data, history = _page(written).data, _csv(written, "history")
    assert len(data["runs"]) == 13
    for place, run in enumerate(data["runs"]):
        rows = history[history["run"] == run["name"]]
        assert data["curves"]["epoch"][place] == list(rows["epoch"])
        for name in ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate", "seconds"):
            expected = [float(f"{value:.6g}") for value in rows[name]]
            assert data["curves"][name][place] == expected


def test_a_cell_of_the_table_names_the_runs_behind_it(written):
    data = _page(written).data
    behind = data["chapters"][0]["behind"]
    names = {data["runs"][place]["name"] for place in behind["0"]["1"]}
    assert len(names) == 4 and all(name.startswith("20-plain") for name in names)


def test_nothing_is_loaded_from_anywhere(written):
    text, page = (written / "report.html").read_text(), _page(written)
    assert all(one.startswith(("#", "data:image/")) for one in page.addresses)
    assert not re.findall(r"url\((?!#)", text.replace("url(\\#", ""))
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", [*NAMES.values(), "<script>alert(1)</script>", "</script><!--"])
def test_a_name_is_text_whatever_it_holds(name, stored_run, tmp_path):
    directory = stored_run("plain=true", classes=[*map(str, range(9)), name])
    stored_run("plain=false")
    config = copy.deepcopy(store.Stored(directory).config())  # What was read is read once.
    config["dataset"] |= {"name": name}
    durable.write_yaml(directory / "config.yaml", config)
    store.write_status(directory, store.Status().begun().ended(store.FAILED, name))
    loaded = load(tmp_path / "main")
    found = loaded.comparisons()
    nothing = [[] for _ in found]
    shown = Page(page(loaded, found, nothing, [None for _ in found], Claimed(())))
    scripts = [tag for tag, _ in shown.tags if tag == "script"]
    assert len(scripts) == 3 and not [tag for tag, _ in shown.tags if tag in ("b", "img")]
    failed = next(row for row in shown.rows("runs-table") if row["state"] == "failed")
    status = store.read_status(directory)
    assert failed["reason"] == status.reason.strip()
    assert status.reason in [run["reason"] for run in shown.data["runs"]]
    assert json.dumps(as_json(loaded, found, nothing, Claimed(())), allow_nan=False)


def test_what_is_no_number_is_null(stored_run, tmp_path):
    directory = stored_run("plain=true", state=store.DIVERGED, reason="loss is nan")
    text = (directory / "history.csv").read_text().splitlines()
    rows = [text[0], "1,2.5,0.1,inf,0.1,0.01,1.5", "2,nan,0.1,nan,0.1,0.01,1.5"]
    (directory / "history.csv").write_text("\n".join(rows) + "\n")
    stored_run("plain=false")
    write_report(tmp_path / "main")
    data = _page(tmp_path / "main").data
    place = next(i for i, run in enumerate(data["runs"]) if run["state"] == "diverged")
    assert data["curves"]["loss"][place] == [2.5, None]
    assert data["curves"]["val_loss"][place] == [None, None]


def test_curves_that_are_too_many_are_thinned_and_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr(content, "_NUMBERS_AT_MOST", 200)
    write_report(study)
    page = _page(study)
    assert all(epochs == [3, 5] for epochs in page.data["curves"]["epoch"])
    assert "The curves show every third epoch and the last" in "".join(page.text)


def test_runs_that_are_too_many_are_cut_those_without_a_result_last(study, monkeypatch):
    monkeypatch.setattr(content, "_RUNS_AT_MOST", 5)
    write_report(study)
    page = _page(study)
    assert len(page.data["runs"]) == 5
    assert "failed" in {run["state"] for run in page.data["runs"]}
    assert "This page has 5 of 13 runs" in "".join(page.text)


def test_a_hundred_runs_take_less_than_a_megabyte(stored_run, tmp_path):
    for seed in range(25):
        for arch in ("20", "32"):
            for plain in ("true", "false"):
                stored_run(f"arch={arch}", f"plain={plain}", f"seed={seed}", "epochs=200")
    write_report(tmp_path / "main")
    size = (tmp_path / "main" / "report.html").stat().st_size
    assert len(_page(tmp_path / "main").data["runs"]) == 100 and size < 1_000_000


def test_the_page_of_a_sweep_that_runs_says_where_it_stands(study):
    training = [Training("20-plain-x", 5, 2.25, "epoch 3/5, step 5/22, loss 0.5000")]
    standing = Standing("2026-01-01T00:00:00+00:00", 3, 13, "time left: 0:01:00", training)
    write_page(study, ReportConfig(), (), standing)
    page = _page(study)
    text = " ".join("".join(page.text).split())
    assert "3 of 13 runs, time left: 0:01:00" in text and "epoch 3/5, step 5/22" in text
    assert page.data["live"]["written"] == "2026-01-01T00:00:00+00:00"
    write_report(study)
    assert _page(study).data["live"] is None


def test_what_ends_while_a_page_is_written_has_ended_all_over_it(study):
    names = sorted(run.name for run in study.glob("*-digits-*"))
    called = {name: f"{name} (an arm)" for name in names}
    training = [Training(called[name], 5, 4.5, "epoch 5/5") for name in names]
    training.append(Training("still", 5, 1.0, "epoch 2/5"))
    written = "2026-01-01T00:00:00+00:00"
    awaited = called | {"still": "still"}
    write_page(study, ReportConfig(), (), Standing(written, 2, 16, "", training, awaited))
    page = _page(study)
    assert len(names) == 13 and page.data["live"]["done"] == 15
    assert [run["name"] for run in page.data["live"]["training"]] == ["still"]
    assert "15 of 16 runs" in " ".join("".join(page.text).split())


def test_names_that_begin_alike_can_be_read_whole(study, stored_run):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}", "dataset=cifar10")
    write_page(study, ReportConfig(), (), None)
    html = (study / "report.html").read_text()
    titles = re.findall(r'<li title="([^"]+)"><a href="#table-\d">([^<]+)</a>', html)
    assert len(titles) == 2 and all(whole == shown for whole, shown in titles)


def test_without_scripts_figures_stand_there(written):
    text = (written / "report.html").read_text()
    drawn = re.findall(r"<noscript>.*?</noscript>", text, re.DOTALL)
    labels = [re.search(r'aria-label="([^"]+)"', one)[1] for one in drawn]
    assert labels == ["Loss curves", "Accuracy curves", "Scores after the final epoch"]


def test_curves_of_values_stand_where_curves_do(stored_run, tmp_path):
    facts = {"kind": "value", "mean": [0.0], "std": [10.0], "unit": "kg"}
    judged = {"val_mae": 5.0, "val_rmse": 6.0, "val_r2": 0.5, "mae": 5.0}
    directory = stored_run(
        provenance={"target": facts, "classes": ["weight"]},
        classes=["weight"],
        by_chance={"mae": 20.0, "rmse": 25.0, "r2": 0.0},
        **judged,
    )
    columns = store.history_columns(TARGETS["value"]().history)
    rows = [",".join([str(epoch), *["0.5"] * (len(columns) - 1)]) for epoch in (1, 2)]
    durable.write_text(directory / "history.csv", "\n".join([",".join(columns), *rows]) + "\n")
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.html").read_text()
    drawn = re.findall(r"<noscript>.*?</noscript>", text, re.DOTALL)
    labels = [re.search(r'aria-label="([^"]+)"', one)[1] for one in drawn]
    assert labels == ["Loss curves", "Mean absolute error curves", "Scores after the final epoch"]


def test_a_figure_made_small_keeps_the_size_of_its_letters():
    svg = (
        '<svg><g transform="translate(1.234 5) scale(0.09 -0.09)"><path transform="scale(0.015625)"'
    )
    drawn = vector("final", "", f"{svg}/></g></svg>".encode(), "a-").drawn
    assert "translate(1.2 5) scale(0.09 -0.09)" in drawn and "scale(0.015625)" in drawn


def test_the_page_of_two_studies_has_the_runs_of_both(study, tmp_path, stored_run):
    stored_run("arch=20", "plain=true", "study=before", val_accuracy=0.25)
    one, other = load(tmp_path / "before"), load(study)
    path = write_difference(one, other, difference(one, other))
    assert path == study / "against-before.html"
    page = _page(study, path.name)
    assert {row["run"].split("/")[0] for row in page.rows("runs-table")} == {"before", "main"}
    (factor,) = [one for one in page.data["chapters"][0]["factors"] if one["name"] == "study"]
    assert factor["levels"] == ["before", "main"]
    shown = next(row for row in page.rows("cells-table") if row["before"].startswith("25.00"))
    assert shown["difference"] == "+26.23"


def test_each_heading_says_of_which_data_set_it_is_where_there_are_several(stored_run, tmp_path):
    for data in ("cifar10", "digits"):
        for plain in ("true", "false"):
            stored_run(f"dataset={data}", f"plain={plain}")
    write_page(tmp_path / "main", ReportConfig(), (), None)
    said = re.findall(r"<h2>(.*?)</h2>", (tmp_path / "main" / "report.html").read_text())
    parts = ("Questions", "Curves", "Final scores", "Cost against score", "Images")
    for data in ("cifar10", "digits"):
        of_it = {one for one in said if data in one}
        assert {data, f"Curves: {data}"} <= of_it <= {data, *(f"{one}: {data}" for one in parts)}
    assert not set(parts) & set(said)


@pytest.mark.parametrize("design", ["leave_one_out", "both", "cumulative"])
def test_the_arms_of_a_design_are_its_rows(design, stored_design):
    named = {"parts.se": (True, False), "parts.norm": ("batch", "none")}
    folder = stored_design(
        design, named, lambda arm, seed: 0.5 + 0.01 * seed, "arch=20", seeds=(0, 1, 2)
    )
    write_report(folder)
    page = _page(folder)
    table = pd.read_csv(folder / "report" / "ablation-digits.csv")
    assert len(page.rows("ablation-0")) == len(table)
    assert page.data["chapters"][0]["column"] == "arm"
    assert len(page.data["chapters"][0]["behind"]) == len(table)


def test_a_browser_opens_it_if_asked(study, cli, tmp_path):
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    words = {"cwd": tmp_path, "module": "ablation.report"}
    done = cli("main", "--open", **words, BROWSER=str(opener))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "Page:   main/report.html"
    assert (tmp_path / "opened").read_text().strip() == (study / "report.html").as_uri()


def test_the_library_is_as_its_registry_has_it():
    folder = resources.files("ablation.report.page") / "vendor"
    for name, digest in VENDOR.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest

import matplotlib
import pandas as pd
import pytest

from ablation.config import ReportConfig, UserError
from ablation.records import asked, locks, store
from ablation.report import markdown, notes, sections
from ablation.report.write import write_report


def test_an_earlier_report_leaves_nothing_stale(stored_run, tmp_path):
    stored_run()
    write_report(tmp_path / "main")
    alone = {path.name for path in (tmp_path / "main" / "report").iterdir()}
    stored_run("epochs=6")
    write_report(tmp_path / "main")
    both = {path.name for path in (tmp_path / "main" / "report").iterdir()}
    assert "loss-digits.png" in alone and "loss-digits.png" not in both
    assert {"loss-digits-1.png", "loss-digits-2.png"} <= both


def test_a_study_without_a_finished_epoch_has_a_report_all_the_same(stored_run, tmp_path):
    directory = stored_run(state=store.FAILED, reason="no memory")
    (directory / "history.csv").unlink()
    told = []
    write_report(tmp_path / "main", tell=told.append)
    assert "failed" in told[0]
    assert "no memory" in (tmp_path / "main" / "report.md").read_text()


def test_every_image_of_the_report_exists(stored_run, tmp_path):
    stored_run()
    stored_run("dataset=cifar10")
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    images = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(images) == 6
    assert all((tmp_path / "main" / image).exists() for image in images)


def test_the_tables_are_told_before_the_figures_are_drawn(stored_run, tmp_path):
    stored_run()
    folder, there = tmp_path / "main", []
    write_report(folder, tell=lambda _: there.append((folder / "report").exists()))
    assert there == [False] and (folder / "report").exists()


def test_no_study_no_files(tmp_path):
    with pytest.raises(UserError):
        write_report(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_what_others_put_into_the_folder_stays(stored_run, tmp_path):
    stored_run()
    write_report(tmp_path / "main")
    folder = tmp_path / "main" / "report"
    (folder / "notes.md").write_text("mine")
    (folder / ".ipynb_checkpoints").mkdir()
    write_report(tmp_path / "main")
    assert (folder / "notes.md").exists() and (folder / ".ipynb_checkpoints").is_dir()


def test_what_a_long_report_leaves_out_is_said_and_is_in_the_tables(
    stored_run, tmp_path, monkeypatch
):
    for rate in range(1, 15):
        for plain in ("true", "false"):
            stored_run("arch=20", f"plain={plain}", f"recipe.learning_rate={rate}")
    stored_run("arch=20", "seed=9", "recipe.learning_rate=1", state=store.FAILED, reason="why")
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    monkeypatch.setattr(markdown, "_ROWS_AT_MOST", 10)
    monkeypatch.setattr(notes, "_TOLD_AT_MOST", 5)
    monkeypatch.setattr(sections, "_EFFECTS_AT_MOST", 5)
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    # The accuracies, the costs and the runs: of each all but ten.
    for left in (4, 18, 19):
        assert f"and {left} more rows, in the table's CSV file." in text
    assert "5 of 41 effects are drawn, main effects first." in text
    assert "more, in the CSV file of effects" in text
    runs = text[text.index("## Runs") :].splitlines()
    assert "why" in runs[4]
    assert len(pd.read_csv(tmp_path / "main" / "report" / "runs.csv")) == 29
    assert len(pd.read_csv(tmp_path / "main" / "report" / "ablation-digits.csv")) == 14


def test_a_users_settings_of_matplotlib_change_no_figure(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run(f"plain={plain}")
    write_report(tmp_path / "main")
    before = {file.name: file.read_bytes() for file in (tmp_path / "main" / "report").iterdir()}
    own = {"text.usetex": True, "figure.facecolor": "red", "font.family": "no such font"}
    with matplotlib.rc_context(own | {"savefig.transparent": True, "lines.linewidth": 9}):
        write_report(tmp_path / "main")
    after = {file.name: file.read_bytes() for file in (tmp_path / "main" / "report").iterdir()}
    assert after == before


def test_layers_that_cannot_be_counted_are_named_below_the_cost(stored_run, tmp_path):
    stored_run("plain=true", uncounted=["odd (Odd)"])
    stored_run("plain=false")
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    assert "**Not counted** in the multiply-adds, because nobody can tell them: odd (Odd)." in text


def test_what_does_not_start_as_in_the_full_network_is_said(stored_run, tmp_path):
    stored_run("plain=true", initial=[["0f", 9]])
    stored_run("plain=false", initial=[["0f", 9]], starts=["the function itself sets x"])
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    assert "9 of 9 in residual" in text
    assert "Not as in the full network: in residual, the function itself sets x." in text


def test_what_starts_as_in_no_network_is_said_too(stored_run, tmp_path):
    stored_run("plain=true", starts=["no layer: the function refuses x"])
    stored_run("plain=false")
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    said = (
        "**Started alike.** Not as in the full network: in plain, no layer: the function refuses x."
    )
    assert said in text


def test_of_two_reports_at_once_the_last_has_what_ended_meanwhile(
    stored_run, tmp_path, monkeypatch
):
    stored_run("seed=0")
    free = locks.lock

    def taken(path):
        if path.name == ".report.lock":  # Another sweep has it, and its last run ends.
            stored_run("seed=1")
        return free(path)

    monkeypatch.setattr(locks, "lock", taken)
    write_report(tmp_path / "main")
    assert len(pd.read_csv(tmp_path / "main" / "report" / "runs.csv")) == 2


def test_what_a_killed_report_was_writing_is_removed_and_nothing_else(stored_run, tmp_path):
    stored_run()
    folder = tmp_path / "main"
    (folder / "report").mkdir()
    names = ".writing-9-report.html", "report/.writing-9-runs.csv", ".writing-9-study.json"
    for name in names:
        (folder / name).write_text("half")
    write_report(folder)
    assert [(folder / name).exists() for name in names] == [False, False, True]


def test_the_claims_go_from_the_report_with_their_file(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}")
    claims = tmp_path / "main" / "claims.yaml"
    claims.write_text("- residual > plain\n")
    table = tmp_path / "main" / "report" / "claims.csv"
    write_report(tmp_path / "main")
    assert table.exists()
    claims.unlink()
    write_report(tmp_path / "main")
    assert not table.exists()


def test_figures_are_pdf_if_asked_for_with_fonts_that_publishers_take(stored_run, tmp_path):
    for plain in ("true", "false"):
        for seed in range(2):
            stored_run("arch=20", f"plain={plain}", f"seed={seed}", val_accuracy=0.5 + 0.1 * seed)
    folder = tmp_path / "main" / "report"
    write_report(tmp_path / "main", ReportConfig(pdf=True))
    drawn = {path.stem for path in folder.glob("*.svg")}
    first = {path.stem: path.read_bytes() for path in folder.glob("*.pdf")}
    assert drawn == set(first) and "effects-digits" in drawn
    for content in first.values():
        assert content.startswith(b"%PDF") and b"/Type3" not in content
    write_report(tmp_path / "main", ReportConfig(pdf=True))
    assert {path.stem: path.read_bytes() for path in folder.glob("*.pdf")} == first
    write_report(tmp_path / "main")
    assert not list(folder.glob("*.pdf"))

import numpy as np
import pandas as pd
import pytest

from ablation.analysis import reading
from ablation.records import asked, store
from ablation.report import sections
from ablation.report.figures import layers

STEM, CONV, NARROW, SHORTCUT = "stem_conv", "a_conv", "b_conv", "a_shortcut_conv"


def _measured(directory, epochs, scale=1.0):
    """Writes diagnostics of two 3x3 convolutions, a 1x1 one and a shortcut's."""
    rows = []
    for epoch in epochs:
        sd = scale * (1 + epoch)
        rows.append((epoch, STEM, 1, "3x3", sd, 1.0))
        rows.append((epoch, NARROW, 2, "1x1", 50.0, 0.1))
        rows.append((epoch, CONV, 3, "3x3", 2 * sd, 0.01))
        rows.append((epoch, SHORTCUT, "", "1x1", 70.0, 9.0))
    frame = pd.DataFrame(rows, columns=store.DIAGNOSTIC_COLUMNS)
    frame.to_csv(directory / "diagnostics.csv", index=False)


@pytest.fixture
def measured(stored_run, tmp_path):
    """A study of two seeds; returns its layers as the figures take them."""
    for arm, scale in (("true", 2.0), ("false", 1.0)):
        for seed in (0, 1):
            keys = (f"plain={arm}", f"seed={seed}", "arch=20", "epochs=2")
            _measured(stored_run(*keys), (0, 1, 2), scale + seed)
    loaded = reading.load(tmp_path / "main")
    runs = loaded.comparisons()[0].runs
    return pd.concat(
        loaded.diagnostics(run.run).assign(arch=run.arch, column=run.column)
        for run in runs.itertuples()
    )


def _lines(axes):
    return {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in axes.lines}


def test_responses_are_those_of_the_3x3_convolutions_after_the_last_epoch(measured):
    figure = layers.responses(measured, ["arch"], ["plain", "residual"])
    in_order, sorted_by_size = figure.axes
    # Seeds scale by 1 and 2 (residual), 2 and 3 (plain); after two epochs by 3.
    assert _lines(in_order) == {"plain": [7.5, 15.0], "residual": [4.5, 9.0]}
    assert _lines(sorted_by_size) == {"plain": [15.0, 7.5], "residual": [9.0, 4.5]}
    plain, residual = in_order.lines
    assert (plain.get_linestyle(), residual.get_linestyle()) == ("--", "-")
    assert len(in_order.collections) == 2  # The range over seeds.


def test_gradients_are_those_of_the_main_path_first_and_last(measured):
    figure = layers.gradients(measured, ["arch"], ["plain", "residual"])
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert axes.get_yscale() == "log"
        assert _lines(axes)["plain"] == [1.0, 0.1, 0.01]


def _section(folder, contrast=None):
    loaded = reading.load(folder)
    found = sections.sections(loaded, loaded.comparisons(contrast)[0], None, [])
    return next((section for section in found if section.title == "Layer by layer"), None)


def test_the_report_has_them_and_is_silent_where_there_are_none(measured, stored_run, tmp_path):
    section = _section(tmp_path / "main")
    assert [drawing.kind for drawing in section.drawings] == ["responses", "gradients"]
    assert "arXiv 1512.03385" in section.drawings[0].caption
    stored_run("study=without")
    assert _section(tmp_path / "without") is None


def test_each_row_of_the_table_has_panels_of_its_own(stored_run, tmp_path):
    for rate, scale in ((0.1, 1.0), (0.2, 10.0)):
        _measured(stored_run("arch=20", "epochs=2", f"recipe.learning_rate={rate}"), (0, 2), scale)
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    responses, _ = _section(tmp_path / "main", "plain").drawings
    upper = responses.figure.axes[:2]
    assert [axes.get_title() for axes in upper] == [
        f"depth 20, recipe.learning_rate {rate}" for rate in (0.1, 0.2)
    ]
    assert [_lines(axes)["residual"] for axes in upper] == [[3, 6], [30, 60]]


def test_seeds_that_are_left_out_are_told(measured, tmp_path, monkeypatch):
    assert not _section(tmp_path / "main").remarks
    monkeypatch.setattr(sections, "SEEDS_AT_MOST", 1)
    section = _section(tmp_path / "main")
    assert section.remarks == ["Layers are drawn of the first 1 seeds of a cell."]
    assert not section.drawings[0].figure.axes[0].collections


def test_what_ends_before_the_last_epoch_or_cannot_be_read_is_not_drawn(stored_run, tmp_path):
    short = stored_run("plain=true", "arch=20", "epochs=2")
    _measured(short, (0, 1))
    damaged = stored_run("plain=false", "arch=20", "epochs=2")
    (damaged / "diagnostics.csv").write_text("epoch,layer\n1,stem_conv\n")
    section = _section(tmp_path / "main")
    assert not section.drawings
    assert section.remarks[0].startswith(f"{damaged.name}: diagnostics.csv")

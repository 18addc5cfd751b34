import matplotlib.colors
import numpy as np
from matplotlib.figure import Figure

from ablation import study
from ablation.report import figures


def _comparison(stored_run, folder):
    stored_run("arch=34", "plain=true", val_accuracy=0.2)
    stored_run("arch=34", "plain=false", val_accuracy=0.9)
    stored_run("arch=50", "plain=false", val_accuracy=0.7)
    loaded = study.load(folder / "main")
    return loaded.comparisons()[0], loaded.history


def test_a_panel_for_each_metric_and_depth_with_a_line_a_run(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    figure = figures.curves(comparison.runs, history, ["loss", "val_loss"], comparison.columns)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["depth 34", "depth 50"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1, 2, 1]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["training loss", "validation loss"]


def test_lines_hold_the_history(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    axes = Figure().subplots()
    runs = comparison.runs[comparison.runs["arch"] == "50"]
    assert figures.draw_curves(axes, runs, history, "loss", ["plain", "residual"]) is axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2 / e for e in range(1, 6)])


def test_plain_and_residual_differ_in_colour_line_and_grey(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    figure = figures.curves(comparison.runs, history, ["accuracy"], comparison.columns)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    plain, residual = lines["plain"], lines["residual"]
    assert plain.get_linestyle() != residual.get_linestyle()
    assert plain.get_marker() != residual.get_marker()
    grey = [
        np.dot(matplotlib.colors.to_rgb(line.get_color()), [0.299, 0.587, 0.114])
        for line in (plain, residual)
    ]
    assert abs(grey[0] - grey[1]) > 0.1


def test_every_point_lies_inside_its_panel(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    figure = figures.curves(
        comparison.runs, history, ["loss", "val_loss", "val_accuracy"], comparison.columns
    )
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            assert (np.asarray(line.get_ydata()) <= high).all()
            assert (np.asarray(line.get_ydata()) >= low).all()


def test_no_line_leads_from_one_baseline_to_another(stored_run, tmp_path):
    for arch in ("vgg16", "densenet121"):
        stored_run(f"arch={arch}")
    for arch in ("20", "32"):
        stored_run(f"arch={arch}")
    (comparison,) = study.load(tmp_path / "main").comparisons()
    figure = figures.final_accuracy(comparison.complete, ["arch"], comparison.columns)
    (axes,) = figure.axes
    lines = {bar.get_label(): bar.lines[0] for bar in axes.containers}
    assert len(lines["baseline"].get_xdata()) == len(lines["residual"].get_xdata()) == 2
    assert lines["baseline"].get_linestyle() == "None"
    assert lines["residual"].get_linestyle() != "None"
    assert axes.get_xlabel() == "arch"

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
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


@pytest.mark.parametrize(
    ("accuracies", "bottom"), [((0.2, 0.99), 0), ((0.982, 0.995), 0.9), ((0.995, 0.905), 0.8)]
)
def test_an_axis_of_accuracies_starts_at_0_or_just_below_high_ones(
    stored_run, tmp_path, accuracies, bottom
):
    for plain, accuracy in zip(("true", "false"), accuracies, strict=True):
        stored_run(f"plain={plain}", val_accuracy=accuracy)
    (comparison,) = study.load(tmp_path / "main").comparisons()
    figure = figures.final_accuracy(comparison.complete, ["arch"], comparison.columns)
    assert figure.axes[0].get_ylim()[0] == pytest.approx(bottom)


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
    assert figure.get_supxlabel() == "arch"


def test_long_curves_have_few_markers():
    runs = pd.DataFrame({"run": ["a"], "state": "complete", "column": "plain"})
    losses = np.linspace(2, 1, 300)
    history = pd.DataFrame({"run": "a", "epoch": range(1, 301), "loss": losses})
    axes = figures.draw_curves(Figure().subplots(), runs, history, "loss", ["plain"])
    assert axes.lines[0].get_markevery() == 20


def test_twenty_levels_and_the_baseline_differ_in_grey_too():
    columns = [*(f"level {i}" for i in range(20)), "baseline"]
    styles = [figures.line_style(columns, column) for column in columns]
    assert len({(style["marker"], style["linestyle"]) for style in styles}) == 21
    assert len({(style["marker"], style["color"]) for style in styles}) == 21


@pytest.mark.parametrize("count", [2, 6, 20])
def test_the_legend_lies_inside_a_narrow_figure(count):
    columns = [f"residual projection_{i}" for i in range(count)]
    figure = Figure(figsize=(3.3, 3.8), layout="constrained")
    figure.subplots()
    figures.legend(figure, columns)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert figure.axes[0].get_window_extent().height > 200


def test_ticks_of_high_accuracies_are_whole_percentages(stored_run, tmp_path):
    stored_run(val_accuracy=0.982)
    (comparison,) = study.load(tmp_path / "main").comparisons()
    figure = figures.final_accuracy(comparison.runs, ["arch"], comparison.columns)
    figure.draw_without_rendering()
    axis = figure.axes[0].yaxis
    for value, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
        assert label.get_text() == f"{100 * value:g}%"


def _many_cells(archs, rates):
    """Runs of every combination, as `final_accuracy` takes them."""
    return pd.DataFrame(
        {"arch": arch, "rate": rate, "column": column, "seed": seed, "val_accuracy": 0.5}
        for arch in archs
        for rate in rates
        for column in ("plain", "residual")
        for seed in (0, 1)
    )


def test_many_cells_are_panels_along_the_factor_with_most_levels():
    runs = _many_cells(["20", "32", "44", "56"], [0.1, 0.2, 0.3, 0.4, 0.5])
    figure = figures.final_accuracy(runs, ["arch", "rate"], ["plain", "residual"])
    assert [axes.get_title() for axes in figure.axes] == [f"arch {a}" for a in (20, 32, 44, 56)]
    for axes in figure.axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == [
            "0.1",
            "0.2",
            "0.3",
            "0.4",
            "0.5",
        ]


@pytest.mark.parametrize(("archs", "rates"), [(10, 1), (2, 400), (30, 20)])
def test_no_figure_of_final_accuracies_is_larger_than_a_large_page(archs, rates):
    runs = _many_cells([f"net{i}" for i in range(archs)], [i / 1000 for i in range(rates)])
    shown = figures.drawable(runs, ["arch", "rate"])
    figure = figures.final_accuracy(shown, ["arch", "rate"], ["plain", "residual"])
    width, height = figure.get_size_inches()
    assert width <= 14 and height <= 60
    assert all(len(axes.get_xticks()) <= 24 for axes in figure.axes)


def test_what_cannot_be_drawn_is_whole_panels():
    runs = _many_cells([f"net{i}" for i in range(30)], [i / 1000 for i in range(31)])
    shown = figures.drawable(runs, ["arch", "rate"])
    assert shown["arch"].nunique() == 24
    assert set(shown.groupby("arch")["rate"].nunique()) == {31}
    assert figures.drawable(shown, ["arch", "rate"]).equals(shown)


def test_many_architectures_are_wrapped_and_share_their_scale(stored_run, tmp_path):
    for arch in (18, 34, 50, 20, 32, 44, 56):
        stored_run(f"arch={arch}")
    loaded = study.load(tmp_path / "main")
    (comparison,) = loaded.comparisons()
    figure = figures.curves(
        comparison.runs, loaded.history, ["loss", "val_loss"], comparison.columns
    )
    assert len(figure.axes) == 14
    assert figure.axes[-2].get_title() == "depth 56" and figure.axes[-1].get_xlabel() == "epoch"
    assert figure.axes[-2].get_ylim() == figure.axes[0].get_ylim()
    assert figure.axes[-1].get_ylim() == figure.axes[6].get_ylim()

import math
from dataclasses import replace

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ablation.analysis import reading
from ablation.analysis.effects import Effect, with_p_values
from ablation.analysis.metrics import ACCURACY
from ablation.factors import LAST, Label
from ablation.records import asked
from ablation.report import sections
from ablation.report.figures.axes import label_log_axis, legend, line_style, panel_grid, reach
from ablation.report.figures.curves import curves, draw_curves
from ablation.report.figures.effects import arms, forest, roadmap
from ablation.report.figures.scores import drawable, final_scores


def _comparison(stored_run, folder):
    stored_run("arch=34", "plain=true", val_accuracy=0.2)
    stored_run("arch=34", "plain=false", val_accuracy=0.9)
    stored_run("arch=50", "plain=false", val_accuracy=0.7)
    loaded = reading.load(folder / "main")
    return loaded.comparisons()[0], loaded.history


def test_a_panel_for_each_metric_and_depth_with_a_line_a_run(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    figure = curves(
        comparison.runs, history, ["loss", "val_loss"], comparison.rows, comparison.columns
    )
    assert [axes.get_title() for axes in figure.axes[:2]] == ["depth 34", "depth 50"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1, 2, 1]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["training loss", "validation loss"]


def test_lines_hold_the_history(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    axes = Figure().subplots()
    runs = comparison.runs[comparison.runs["arch"] == "50"]
    assert draw_curves(axes, runs, history, "loss", ["plain", "residual"]) is axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [2 / e for e in range(1, 6)])


def test_plain_and_residual_differ_in_colour_line_and_grey(stored_run, tmp_path):
    comparison, history = _comparison(stored_run, tmp_path)
    figure = curves(comparison.runs, history, ["accuracy"], comparison.rows, comparison.columns)
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
    figure = curves(
        comparison.runs,
        history,
        ["loss", "val_loss", "val_accuracy"],
        comparison.rows,
        comparison.columns,
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
    (comparison,) = reading.load(tmp_path / "main").comparisons()
    figure = final_scores(comparison.complete, ["arch"], comparison.columns)
    assert figure.axes[0].get_ylim()[0] == pytest.approx(bottom)


def test_no_line_leads_from_one_baseline_to_another(stored_run, tmp_path):
    for arch in ("vgg16", "densenet121"):
        stored_run(f"arch={arch}")
    for arch in ("20", "32"):
        stored_run(f"arch={arch}")
    (comparison,) = reading.load(tmp_path / "main").comparisons("plain")
    figure = final_scores(comparison.complete, ["arch"], comparison.columns)
    (axes,) = figure.axes
    residual, baseline = axes.containers
    assert _runs_of_points(residual) == [2]
    assert _runs_of_points(baseline) == [1, 1]
    assert figure.get_supxlabel() == "arch"


def _runs_of_points(bars):
    """How many points of a mean's line are joined to each other, from left to right."""
    gaps = "".join("x" if np.isnan(y) else "o" for y in bars.lines[0].get_ydata())
    return [len(points) for points in gaps.split("x") if points]


def test_lines_join_what_differs_in_the_last_factor_alone(stored_run, tmp_path):
    for arch in ("18", "34", "50", "20", "32"):
        stored_run(f"arch={arch}", state="diverged" if arch == "34" else "complete")
    (comparison,) = reading.load(tmp_path / "main").comparisons("plain")
    figure = final_scores(comparison.runs, comparison.rows, comparison.columns)
    # Of the ImageNet family one is missing in the middle, the other family is another line.
    assert _runs_of_points(figure.axes[0].containers[0]) == [1, 1, 2]
    runs = _many_cells(["20", "32"], [0.1, 0.2, 0.3])
    figure = final_scores(runs, ["arch", "rate"], ["plain", "residual"])
    assert _runs_of_points(figure.axes[0].containers[0]) == [3, 3]


def test_the_final_figure_counts_what_is_not_complete(stored_run, tmp_path):
    stored_run("arch=20", "plain=true", "seed=0", val_accuracy=0.9)
    stored_run("arch=20", "plain=true", "seed=1", state="failed")
    for seed in (0, 1):
        stored_run("arch=56", "plain=true", f"seed={seed}", state="diverged")
    (comparison,) = reading.load(tmp_path / "main").comparisons("plain")
    figure = final_scores(comparison.runs, comparison.rows, comparison.columns)
    notes = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert notes == {"1 failed": 0, "2 diverged": 1}
    assert figure.axes[0].get_xlim() == (-0.5, 1.5)


def test_each_row_of_the_table_has_panels_of_its_own(stored_run, tmp_path):
    for plain, value in (("true", 0.2), ("false", 0.8)):
        for arch in ("20", "56"):
            stored_run(f"arch={arch}", f"plain={plain}", val_accuracy=value)
    loaded = reading.load(tmp_path / "main")
    (comparison,) = loaded.comparisons("arch")
    figure = curves(
        comparison.runs, loaded.history, ["val_accuracy"], comparison.rows, comparison.columns
    )
    assert [axes.get_title() for axes in figure.axes] == ["plain", "residual"]
    for axes, value in zip(figure.axes, (0.2, 0.8), strict=True):
        assert [line.get_label() for line in axes.lines] == ["20", "56"]
        assert {y for line in axes.lines for y in line.get_ydata()} == {value}


def test_panels_that_share_all_but_the_last_factor_stand_side_by_side():
    rates = [("20", 0.1), ("20", 0.2), ("20", 0.3), ("56", 0.1), ("56", 0.2), ("56", 0.3)]
    _, (panels,) = panel_grid(["arch", "rate"], rates, ["loss"], (3, 2))
    assert [axes.get_subplotspec().colspan.start for axes in panels] == [0, 1, 2, 0, 1, 2]
    assert panels[3].get_title() == "depth 56, rate 0.1"


def _history(run, values):
    return pd.DataFrame({"run": run, "epoch": range(1, len(values) + 1), "loss": values})


def test_a_run_that_ended_early_is_a_line_of_its_own_and_changes_no_mean():
    states = {"a": "complete", "b": "complete", "c": "diverged", "d": "running"}
    runs = pd.DataFrame({"run": [*states], "state": [*states.values()], "column": "plain"})
    histories = {"a": [3, 2, 1], "b": [5, 4, 3], "c": [90, np.inf], "d": [7, 6]}
    history = pd.concat(_history(run, values) for run, values in histories.items())
    axes = draw_curves(Figure().subplots(), runs, history, "loss", ["plain"])
    mean, diverged, running = axes.lines
    assert mean.get_ydata().tolist() == [4, 3, 2]
    assert (diverged.get_ydata().tolist(), diverged.get_marker()) == ([90], "x")
    assert (running.get_ydata().tolist(), running.get_marker()) == ([7, 6], ".")


def test_long_curves_have_few_markers():
    runs = pd.DataFrame({"run": ["a"], "state": "complete", "column": "plain"})
    history = _history("a", np.linspace(2, 1, 300))
    axes = draw_curves(Figure().subplots(), runs, history, "loss", ["plain"])
    assert axes.lines[0].get_markevery() == 20


def test_twenty_levels_and_the_baseline_differ_in_grey_too():
    columns = [*(f"level {i}" for i in range(20)), Label("as it is", LAST)]
    styles = [line_style(columns, column) for column in columns]
    assert len({(style["marker"], style["linestyle"]) for style in styles}) == 21
    assert len({(style["marker"], style["color"]) for style in styles}) == 21


@pytest.mark.parametrize("count", [2, 6, 20])
def test_the_legend_lies_inside_a_narrow_figure(count):
    columns = [f"residual projection_{i}" for i in range(count)]
    figure = Figure(figsize=(3.3, 3.8), layout="constrained")
    figure.subplots()
    legend(figure, columns)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert figure.axes[0].get_window_extent().height > 200


def test_ticks_of_high_accuracies_are_whole_percentages(stored_run, tmp_path):
    stored_run(val_accuracy=0.982)
    (comparison,) = reading.load(tmp_path / "main").comparisons()
    figure = final_scores(comparison.runs, ["arch"], comparison.columns)
    figure.draw_without_rendering()
    axis = figure.axes[0].yaxis
    for value, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
        assert label.get_text() == f"{100 * value:g}%"


def _many_cells(archs, rates):
    """Runs of every combination, as `final_scores` takes them."""
    return pd.DataFrame(
        {
            "arch": arch,
            "family": "cifar",
            "rate": rate,
            "column": column,
            "seed": seed,
            "val_accuracy": 0.5,
            "score": 0.5,
            "state": "complete",
        }
        for arch in archs
        for rate in rates
        for column in ("plain", "residual")
        for seed in (0, 1)
    )


def test_many_cells_are_panels_along_the_factor_with_most_levels():
    runs = _many_cells(["20", "32", "44", "56"], [0.1, 0.2, 0.3, 0.4, 0.5])
    figure = final_scores(runs, ["arch", "rate"], ["plain", "residual"])
    assert [axes.get_title() for axes in figure.axes] == [f"depth {a}" for a in (20, 32, 44, 56)]
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
    shown = drawable(runs, ["arch", "rate"])
    figure = final_scores(shown, ["arch", "rate"], ["plain", "residual"])
    width, height = figure.get_size_inches()
    assert width <= 14 and height <= 60
    assert all(len(axes.get_xticks()) <= 24 for axes in figure.axes)


def test_what_cannot_be_drawn_is_whole_panels():
    runs = _many_cells([f"net{i}" for i in range(30)], [i / 1000 for i in range(31)])
    shown = drawable(runs, ["arch", "rate"])
    assert shown["arch"].nunique() == 24
    assert set(shown.groupby("arch")["rate"].nunique()) == {31}
    assert drawable(shown, ["arch", "rate"]).equals(shown)


def test_many_architectures_are_wrapped_and_share_their_scale(stored_run, tmp_path):
    for arch in (18, 34, 50, 20, 32, 44, 56):
        stored_run(f"arch={arch}")
    loaded = reading.load(tmp_path / "main")
    (comparison,) = loaded.comparisons("plain")
    figure = curves(
        comparison.runs, loaded.history, ["loss", "val_loss"], comparison.rows, comparison.columns
    )
    assert len(figure.axes) == 14
    assert figure.axes[6].get_title() == "depth 56" and figure.axes[13].get_xlabel() == "epoch"
    assert figure.axes[6].get_ylim() == figure.axes[0].get_ylim()
    assert figure.axes[13].get_ylim() == figure.axes[7].get_ylim()
    assert figure.get_size_inches()[0] <= 14


@pytest.mark.parametrize("losses", [(0.66, 1.16), (0.5, 2.1), (0.01, 3), (1e-4, 1e4)])
def test_a_logarithmic_axis_has_several_numbers(losses):
    axes = Figure().subplots()
    axes.set_yscale("log")
    axes.plot(losses)
    label_log_axis(axes)
    low, high = axes.get_ylim()
    assert 3 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 9


def test_the_reference_of_many_arms_has_a_colour_of_its_own():
    columns = ["reference", *(f"without part {i}" for i in range(11))]
    first, *others = [line_style(columns, column)["color"] for column in columns]
    assert first not in others


def test_curves_of_many_arms_are_wider_than_their_legend():
    columns = ["reference", *(f"without part {i}" for i in range(11))]
    runs = pd.DataFrame({"run": columns, "column": columns, "state": "complete", "arch": "20"})
    history = pd.concat(_history(run, [2, 1]) for run in columns)
    figure = curves(runs, history, ["loss"], ["arch"], columns)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert figure.axes[0].get_window_extent().height > box.height


def _arms_table(**changes):
    names = ["reference", "with se", "norm: group (not kept)", "34"]
    frame = {
        "arm": names,
        "role": ["reference", "step", "rejected", "target"],
        "mean": [0.6, 0.7, 0.65, 0.8],
        "sd": [0.01, 0.02, math.nan, 0.0],
        "n": [3, 3, 1, 3],
        "note": "",
        "pairs": [0, 3, 1, 0],
        "difference": [math.nan, 0.1, -0.05, math.nan],
        "verdict": ["", "helps", "", ""],
        "multiply_adds": [1e6, 2e6, 2e6, math.nan],
    }
    return pd.DataFrame(frame | changes)


def test_a_roadmap_goes_from_top_to_bottom_and_hatches_what_was_not_kept():
    figure, from_0 = roadmap(_arms_table(), ACCURACY)
    (axes,) = figure.axes
    assert not from_0 and axes.get_xlim()[0] > 0
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["reference", "with se", "norm: group (not kept)", "34"]
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert ends == pytest.approx([60, 70, 65, 80])
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, False, True, False]
    low, high = axes.get_ylim()
    assert low > high
    texts = [text.get_text().strip() for text in axes.texts]
    assert texts[1] == "70.00 (+10.00)  2.0 M"


def test_a_step_without_a_result_has_its_note_and_no_bar():
    table = _arms_table(mean=[0.6, math.nan, 0.65, 0.8], note=["", "diverged", "", ""])
    (axes,) = roadmap(table, ACCURACY)[0].axes
    assert len(axes.patches) == 3
    assert any("diverged" in text.get_text() for text in axes.texts)


@pytest.mark.parametrize(
    ("means", "starts_at_0"),
    [
        ([-0.8, 0.1, 0.6, 0.7], False),
        ([-0.6, -0.5, -0.4, -0.3], False),
        ([0.3, 0.5, 0.6, 0.7], True),
    ],
)
def test_every_bar_of_a_roadmap_is_seen(means, starts_at_0):
    figure, from_0 = roadmap(_arms_table(mean=means), ACCURACY)
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    assert from_0 == starts_at_0 == (left == 0) and left < right
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert ends == pytest.approx([100 * mean for mean in means])
    assert all(left <= bar.get_x() for bar in axes.patches)
    assert left < min(ends) and max(ends) < right


def test_an_arm_without_a_score_has_its_note():
    table = _arms_table(
        n=[3, 0, 1, 3], mean=[0.6, math.nan, 0.65, 0.8], note=["", "3 failed", "", ""]
    )
    runs = pd.DataFrame({"column": ["reference"], "score": [0.5]})
    (axes,) = arms(table, runs, ACCURACY).axes
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [("3 failed", 1)]


def _effect(*gains, **others):
    seeds = pd.Series(gains, dtype=float)
    return Effect("contrast", "b", "a", "", seeds, 0 * seeds, 2, **others)


def test_a_question_without_a_seed_keeps_its_place():
    figure = forest(with_p_values([_effect(0.1, 0.11, 0.12), _effect()]))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b - a (n=3)", "b - a (n=0)"]
    assert [text.get_text().strip() for text in axes.texts] == ["no pair of runs"]


def test_an_interval_without_an_end_is_an_arrow():
    effect = with_p_values([_effect(*(0.01 * 1.02**i * (i + 1) for i in range(6)), looked=True)])[0]
    assert effect.interval == (0.0, math.inf) and effect.verdict == "helps"
    # One question, so that no correction has cut it.
    assert not effect.cut
    assert effect.metric.bounds(*effect.interval) == ("above 0", "+∞")
    (axes,) = forest([effect]).axes
    (arrow,) = [line for line in axes.lines if line.get_marker() == ">"]
    assert arrow.get_xdata()[0] > 100 * effect.differences.max()


def test_every_seed_of_an_arm_is_a_point():
    runs = pd.DataFrame({"column": ["reference"] * 3 + ["with se"], "score": [0.5, 0.6, 0.7, 0.8]})
    (axes,) = arms(_arms_table(), runs, ACCURACY).axes
    points = [line for line in axes.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in points] == [3, 1, 0, 0]


def test_a_score_that_is_missing_makes_no_interval_shorter():
    runs = pd.DataFrame({"column": ["reference"] * 3, "score": [0.5, 0.6, math.nan]})
    alone = arms(_arms_table().head(1), runs.head(2), ACCURACY).axes[0]
    beside = arms(_arms_table().head(1), runs, ACCURACY).axes[0]
    ends = [axes.collections[0].get_segments()[0][:, 0] for axes in (alone, beside)]
    np.testing.assert_allclose(*ends)


def test_errors_in_percent_are_no_shares(stored_run, tmp_path):
    metric = replace(ACCURACY, name="error", title="error", scale=1, higher_is_better=False)
    comparison, _ = _comparison(stored_run, tmp_path)
    runs = comparison.runs.assign(score=[5.0, 6.0, 6.2])
    figure = final_scores(runs, comparison.rows, comparison.columns, metric)
    low, high = figure.axes[0].get_ylim()
    assert low < 6.2 < high and figure.get_supylabel() == "error, %"


@pytest.mark.parametrize(("verdict", "marker"), [("helps", "^"), ("hurts", "v"), ("open", "o")])
def test_a_verdict_is_told_by_its_shape_too(verdict, marker):
    gains = {"helps": [0.1, 0.11, 0.12], "hurts": [-0.1, -0.11, -0.12], "open": [0.1, -0.1, 0.01]}
    effect = Effect(
        *("contrast", "b", "a", "arch 34"),
        pd.Series(gains[verdict]),
        pd.Series([0, 0, 0]),
        2,
        margin=0.001,
    )
    figure = forest(with_p_values([effect]))
    assert marker in [line.get_marker() for line in figure.axes[0].lines]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [verdict]


def test_a_question_of_two_seeds_does_not_hide_the_others():
    def effect(differences):
        index = range(len(differences))
        given = pd.Series(differences, index), pd.Series(0, index)
        return Effect("contrast", "a", "b", "", *given, 2)

    small = [effect([0.01, 0.012, 0.011, 0.013])] * 3
    effects = with_p_values([*small, effect([0.01, 0.05])])
    assert np.ptp(effects[-1].interval) > 10 * np.ptp([*effects[-1].differences, 0])
    low, high = reach(effects)
    assert high - low < 0.3 and low < effects[0].interval[0] and effects[0].interval[1] < high
    (axes,) = forest(effects).axes
    assert {line.get_marker() for line in axes.lines} >= {"<", ">"}


def test_a_figure_is_as_wide_as_its_legend(stored_run, tmp_path):
    comparison, _ = _comparison(stored_run, tmp_path)
    names = {name: Label(f"{name} " + "x" * 50) for name in ("plain", "residual")}
    runs = comparison.runs.assign(column=comparison.runs["column"].map(names.get))
    runs = runs[runs["arch"] == "34"]
    figure = final_scores(runs, comparison.rows, list(names.values()))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("contrast", ["arch", "plain", "recipe.learning_rate"])
def test_numbers_lie_along_the_axis_whichever_of_two_factors_is_compared(
    stored_run, tmp_path, contrast
):
    swept = "recipe.learning_rate" if contrast.startswith("recipe") else "arch"
    for level in ("20", "32") if swept == "arch" else ("0.1", "0.02"):
        for plain, accuracy in (("true", 0.5), ("false", 0.7)):
            stored_run(f"{swept}={level}", f"plain={plain}", val_accuracy=accuracy)
    asked.add(tmp_path / "main", [swept])
    loaded = reading.load(tmp_path / "main")
    (comparison,) = loaded.comparisons(contrast)
    found = sections.sections(loaded, comparison, None, [])
    (figure,) = [one.figure for one in found[0].drawings if one.kind == "final"]
    (axes,) = figure.axes
    (legend,) = figure.legends
    numbers = ["20", "32"] if swept == "arch" else ["0.02", "0.1"]
    assert [text.get_text() for text in axes.get_xticklabels()] == numbers
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "residual"]
    assert not legend.get_title().get_text()
    assert figure.get_supxlabel() == ("depth" if swept == "arch" else swept)
    lines = (np.asarray(line.get_ydata(), float) for line in axes.lines)
    drawn = [line[np.isfinite(line)].tolist() for line in lines]
    assert [0.5, 0.5] in drawn and [0.7, 0.7] in drawn


def test_the_legend_of_what_does_not_speak_for_itself_has_a_title(stored_run, tmp_path):
    for arch in ("20", "32"):
        for norm in ("batch", "group"):
            stored_run(f"arch={arch}", f"parts.norm={norm}")
    loaded = reading.load(tmp_path / "main")
    titles = {}
    for contrast in ("arch", "norm"):
        (comparison,) = loaded.comparisons(contrast)
        drawn = sections.sections(loaded, comparison, None, [])[0].drawings
        titles |= {
            (contrast, one.kind): one.figure.legends[0].get_title().get_text() for one in drawn
        }
    assert titles["arch", "final"] == titles["norm", "final"] == titles["norm", "loss"] == "norm"
    assert titles["arch", "loss"] == "arch"

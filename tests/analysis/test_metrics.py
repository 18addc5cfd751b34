"""The metrics: by hand, at their ends, of the user's own; and what runs keep for them."""

import math

import numpy as np
import pytest

from ablation.analysis.metrics import METRICS, find
from ablation.analysis.per_image import of_images
from ablation.analysis.reading import load
from ablation.config import UserError
from ablation.records import durable, predictions
from ablation.records.predictions import packed, unpacked
from ablation.report import notes

LABELS = np.array([0, 0, 1, 2])
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 2 / 4),
        ("top5", 1.0),
        # Recall 1/2, 1 and 0.
        ("balanced_accuracy", 0.5),
        # F1 of the classes: 2/3, 1/2 and 0.
        ("macro_f1", (2 / 3 + 1 / 2) / 3),
        ("log_loss", -(math.log(0.7) + math.log(0.3) + math.log(0.8) + math.log(0.3)) / 4),
        # Bins of 1/15: 0.7 right, 0.6 wrong, 0.8 right, 0.5 wrong, each in its own.
        ("calibration_error", (0.3 + 0.6 + 0.2 + 0.5) / 4),
    ],
)
def test_by_hand(name, value):
    assert METRICS[name].function(LABELS, PROBABILITIES) == pytest.approx(value)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_perfect_predictions_are_as_good_as_can_be(metric):
    labels = np.arange(10) % 7
    best = metric.function(labels, np.eye(7)[labels])
    assert best == pytest.approx(1.0 if metric.higher_is_better else 0.0)


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "balanced_accuracy", "log_loss", "top5"])
def test_chance_is_what_an_answer_scores_that_looks_at_no_image(name):
    counts = np.array([50, 30, 10, 5, 4, 1])
    labels = np.repeat(np.arange(6), counts)
    shares = np.tile(counts / counts.sum(), (len(labels), 1))
    chance = METRICS[name].chance(counts)
    assert METRICS[name].function(labels, shares) == pytest.approx(chance)


@pytest.mark.parametrize("name", ["accuracy", "top5", "log_loss"])
def test_a_mean_over_images_is_that(name):
    metric = METRICS[name]
    of_images = metric.per_image(LABELS, PROBABILITIES)
    assert of_images.mean() == pytest.approx(metric.function(LABELS, PROBABILITIES))


def test_what_is_kept_is_close_and_keeps_the_predicted_class():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (500, 30)).astype(np.float32)
    logits[0, :2] = logits[0].max() + 1  # A tie, of which the first counts.
    labels = rng.integers(0, 30, 500).astype(np.int32)
    found = unpacked(packed(labels, logits))
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, exact, rtol=0.02, atol=1e-6)
    assert (found.probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)


def test_of_few_classes_all_are_kept_however_many_images(monkeypatch):
    monkeypatch.setattr(predictions, "_VALUES_AT_MOST", 10)
    logits = np.random.default_rng(0).normal(size=(40, 10)).astype(np.float32)
    assert packed(np.zeros(40, np.int32), logits)["log_probability"].shape == (40, 10)


def test_of_equal_probabilities_the_first_five_classes_are_the_likeliest():
    labels = np.arange(10)
    assert METRICS["top5"].function(labels, np.full((10, 10), 0.1)) == 0.5


def test_of_very_many_classes_the_likeliest_and_the_label_are_kept(monkeypatch):
    monkeypatch.setattr(predictions, "_VALUES_AT_MOST", 1000)
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (40, 200)).astype(np.float32)
    labels = rng.integers(0, 200, 40).astype(np.int32)
    arrays = packed(labels, logits)
    assert arrays["log_probability"].shape == (40, 21)
    found = unpacked(arrays)
    whole = unpacked({**packed(labels, logits)})
    assert (found.probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    exact = METRICS["log_loss"].function(labels, whole.probabilities)
    assert METRICS["log_loss"].function(labels, found.probabilities) == pytest.approx(exact)


OWN = """
import numpy as np

def error(labels, probabilities):
    return float((probabilities.argmax(axis=1) != labels).mean())
error.higher_is_better = False
error.unit = "wrong"

def broken(labels, probabilities):
    return probabilities.no_such_thing

def text(labels, probabilities):
    return "good"

def nothing(labels, probabilities):
    return np.nan

def accuracy(labels, probabilities):
    return 0.5 + error(labels, probabilities)
"""


def _predicted(directory, labels, logits):
    durable.write_arrays(directory / "predictions.npz", packed(labels, logits))


def test_a_report_by_another_metric_takes_no_training(stored_run, tmp_path):
    labels = np.array([0, 1, 1, 0], np.int32)
    for plain, scale in (("true", 0.0), ("false", 2.0)):
        directory = stored_run("arch=20", f"plain={plain}", val_accuracy=0.5)
        logits = scale * np.eye(2, dtype=np.float32)[labels]
        _predicted(directory, labels, np.pad(logits, ((0, 0), (0, 8)), constant_values=-50))
    study = load(tmp_path / "main").measured("log_loss")
    table = study.table()
    assert table["plain"].tolist() == pytest.approx([math.log(2)], rel=1e-3)
    assert table["residual"].tolist() == pytest.approx([math.log(1 + math.exp(-2))], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("accuracy", "Always answering the most frequent class would score 10.00."),
        ("top5", "Always answering the five most frequent classes would score 50.00."),
        (
            "log_loss",
            "Always answering the shares of the classes for their probabilities would score "
            "2.3026.",
        ),
        ("guessing.py:error", "An answer that looks at no example would score 0.9000."),
    ],
)
def test_a_score_stands_beside_that_of_an_answer_that_has_it(
    name, said, stored_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    own = "error.chance = lambda counts: 1 - counts.max() / counts.sum()\n"
    (tmp_path / "guessing.py").write_text(f"{OWN}\n{own}")
    for plain in ("true", "false"):
        labels = np.arange(10, dtype=np.int32)
        _predicted(stored_run(f"plain={plain}"), labels, np.zeros((10, 10), np.float32))
    (comparison,) = load(tmp_path / "main").measured(name).comparisons()
    (note, *_) = notes.score(comparison)
    assert f" {said} A run" in note.text


def test_what_no_answer_scores_is_a_function_that_returns_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unsure.py").write_text(f"{OWN}\nerror.higher_is_better = 'no'\n")
    with pytest.raises(UserError, match=r"higher_is_better of .*must be True or False"):
        find("unsure.py:error")
    for name, chance in (("fixed", "0.1"), ("broken", "lambda counts: counts[99]")):
        (tmp_path / f"{name}.py").write_text(f"{OWN}\nerror.chance = {chance}\n")
    with pytest.raises(UserError, match=r"chance of report.metric=fixed\.py:error must be a func"):
        find("fixed.py:error")
    with pytest.raises(UserError, match="IndexError"):
        find("broken.py:error").chance(np.ones(3))


def test_a_metric_of_ones_own_is_not_taken_for_one_of_its_name(stored_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "namesake.py").write_text(OWN)
    labels = np.array([0, 1, 1, 0], np.int32)
    for plain, wrong in (("true", 1), ("false", 0)):
        said = np.eye(10, dtype=np.float32)[np.append(1 - labels[:wrong], labels[wrong:])]
        _predicted(stored_run("arch=20", f"plain={plain}"), labels, 9 * said)
    study = load(tmp_path / "main")
    for name, has_spread in (("accuracy", True), ("namesake.py:accuracy", False)):
        measured = study.measured(name)
        (comparison,) = measured.comparisons()
        (found,) = of_images(measured, comparison)
        assert (found.spread is not None) == has_spread


def test_runs_without_probabilities_are_named_and_keep_their_accuracy(stored_run, tmp_path):
    directory = stored_run("arch=20", "plain=true", val_accuracy=0.25)
    arrays = {"label": np.zeros(3, int), "predicted": np.zeros(3, int), "confidence": np.ones(3)}
    durable.write_arrays(directory / "predictions.npz", arrays)
    study = load(tmp_path / "main")
    assert study.measured("accuracy").table()["plain"].tolist() == [0.25]
    found = study.measured("log_loss")
    assert "1 of 1 complete runs have no readable predictions" in found.problems[-1]
    assert math.isnan(found.runs["score"].iloc[0])


def test_a_metric_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_metrics.py").write_text(OWN)
    metric = find("own_metrics.py:error")
    assert metric.function(LABELS, PROBABILITIES) == 0.5
    assert (metric.name, metric.unit, metric.higher_is_better) == ("error", "wrong", False)
    assert metric.points == "wrong"


def test_a_difference_of_ones_own_metric_in_percent_is_in_points(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "percent.py").write_text(OWN + '\nerror.unit = "%"\n')
    metric = find("percent.py:error")
    assert (metric.value(40.0), metric.difference(-0.0212)) == ("40.0000 %", "-0.0212 points")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "accurracy",
            r"Did you mean report\.metric=accuracy\? Allowed: accuracy, top5, ",
        ),
        ("none_metrics.py:f", r"There is no file .*none_metrics.py"),
        ("bad_metrics.py:f", r"report.metric: bad_metrics.py, line 1: NameError: name 'what'"),
    ],
)
def test_a_metric_that_cannot_be_had(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad_metrics.py").write_text("what\ndef f(a, b): ...\n")
    with pytest.raises(UserError, match=message):
        find(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"report.metric: broken_metrics.py, line 10: AttributeError"),
        ("text", r"report.metric=text_metrics.py:text must return a number. Received: str."),
        ("nothing", r"report.metric=nothing_metrics.py:nothing must return a finite number."),
    ],
)
def test_a_metric_that_fails(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}_metrics.py").write_text(OWN)
    with pytest.raises(UserError, match=message):
        find(f"{name}_metrics.py:{name}").function(LABELS, PROBABILITIES)


def test_what_a_sure_net_says_of_other_classes_is_kept():
    logits = np.zeros((1, 12))
    logits[0] = [0.0, -140.0, *range(-1000, -990)]
    said = unpacked(packed(np.array([1], np.int32), logits))
    assert METRICS["top5"].function(said.labels, said.probabilities) == 1.0
    assert METRICS["log_loss"].function(said.labels, said.probabilities) == pytest.approx(140)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.2e-6, 3.4e-6], "0.000001200"),
        ([0.012, math.nan], "0.01200"),
        ([12.0, 3.0], "12.0000"),
        ([math.nan], ""),
    ],
)
def test_small_values_of_ones_own_metric_have_digits(values, shown):
    own = METRICS["log_loss"]
    assert own.fitting(np.array(values)).number(values[0]) == shown

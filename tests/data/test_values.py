"""Values as targets: how they are read, learned, judged and reported."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as outside

from ablation import targets
from ablation.analysis import reading
from ablation.analysis.claims import FAILS, HOLDS, claimed
from ablation.analysis.effects import HELPS, HURTS
from ablation.analysis.tables import comparison_effects
from ablation.config import UserError
from ablation.data import cache
from ablation.data.augment import Draws, Tricks
from ablation.data.pipeline import TrainBatches
from ablation.designs.controls import LESION
from ablation.records import asked, controls, durable, store
from ablation.records.controls import Control
from ablation.targets.classes import Classes
from ablation.targets.value import Value, mae, r2, rmse
from ablation.training.losses import build_loss, training_metrics
from sources_support import config as dataset_of
from sources_support import no_progress, one_line

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 6, 6)).astype(np.uint8)
Y = RNG.uniform(-20, 30, 40)
FACTS = {"kind": "value", "mean": [10.0, -3.0], "std": [4.0, 0.5]}
TWO = Value(("a", "b"), "m", FACTS)


@pytest.fixture
def archive(tmp_path):
    def write(file="data.npz", keys=(), **arrays):
        np.savez(tmp_path / file, **arrays)
        return dataset_of("arrays", path=str(tmp_path / file), **dict(keys))

    return write


@pytest.mark.parametrize("count", [1, 3])
def test_metrics_are_those_of_scikit_learn(count):
    true, said = RNG.normal(5, 3, (2, 50, count)).astype(np.float32)
    assert mae(true, said) == pytest.approx(outside.mean_absolute_error(true, said), rel=1e-5)
    assert rmse(true, said) == pytest.approx(outside.root_mean_squared_error(true, said), rel=1e-5)
    assert r2(true, said) == pytest.approx(outside.r2_score(true, said), rel=1e-5)
    assert r2(0 * true, said) == outside.r2_score(0 * true, said) == 0


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([0, 1, 2, 2], Classes),
        ([0.0, 1.0, 1.0, 0.0], Classes),
        ([2.0, 2.0, 7.0, 7.0, 9.0, 9.0], Classes),
        (["a", "b"], Classes),
        ([0.5, 1.0], Value),
        ([[0.5, 1], [1, 2]], Value),
    ],
)
def test_whole_numbers_and_texts_are_classes_and_other_numbers_values(y, kind):
    assert targets.guessed([("y", np.array(y))], "here") is kind


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_whole_floats_that_occur_once_are_asked_about(shape):
    with pytest.raises(UserError, match=r"y are whole numbers .* 151 occurs once.*=value"):
        targets.guessed([("y", np.array([151.0, 75, 75, 206]).reshape(shape))], "here")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": np.where(Y > 0, np.nan, Y)}, ["is NaN or infinite", "Leave out examples without"]),
        ({"y": np.full(40, 2.5)}, ["value is 2.5 throughout y", "nothing to learn"]),
        ({"y": np.append(Y[:39], 1e40)}, ["y[39] is beyond single precision", "larger unit"]),
        ({"y": 1.7e9 + Y}, ["value varies by", "around 1.7", "subtract a constant"]),
        ({"y": np.stack([Y, 1.7e9 + Y], axis=1)}, ["value 2 varies by"]),
        ({"y": Y[:, None, None]}, ["one value an example or a row", "(40, 1, 1)"]),
        ({"y": Y, "classes": ["a", "b"]}, ["classes names 2 values, and an example has 1"]),
        ({"y": Y.astype(complex)}, ["must be", "complex128"]),
        ({"y": Y[:-1]}, ["40 images", "39 labels"]),
    ],
)
def test_what_is_no_value_is_refused_in_one_line(arrays, words, archive, tmp_path):
    dataset = archive(x=X, **arrays)
    said = one_line(lambda: cache.prepare(dataset, tmp_path / "cache", no_progress))
    assert all(word in said for word in words)


def test_validation_values_that_are_nearly_equal_are_judged_by_the_spread_of_all(archive, tmp_path):
    val = 30 + np.linspace(0, 1e-6, 10)
    dataset = archive(x_train=X[:30], y_train=Y[:30], x_val=X[30:], y_val=val)
    assert cache.prepare(dataset, tmp_path / "cache", no_progress).count("val") == 10


def test_a_value_that_never_changes_in_training_is_refused(tmp_path):
    train = {"x_train": X[:30], "y_train": np.ones(30), "x_val": X[30:], "y_val": Y[30:]}
    np.savez(tmp_path / "data.npz", **train)
    dataset = dataset_of("arrays", path=str(tmp_path / "data.npz"), target="value")
    said = one_line(lambda: cache.prepare(dataset, tmp_path / "cache", no_progress))
    assert "is 1 throughout" in said and "nothing to learn" in said


def test_values_come_into_the_cache_with_their_spread(archive, tmp_path):
    built = cache.prepare(archive(x=X, y=Y), tmp_path / "cache", no_progress)
    train, val = built.labels("train"), built.labels("val")
    assert train.dtype == np.float32 and train.shape == (32, 1) and val.shape == (8, 1)
    np.testing.assert_allclose(np.sort([*train[:, 0], *val[:, 0]]), np.sort(Y), rtol=1e-6)
    target = built.target(archive(x=X, y=Y, keys={"unit": "m"}))
    assert target.outputs == ("value",) and target.metric.unit == "m"
    learned = target.to_learn(train)
    np.testing.assert_allclose([learned.mean(), learned.std()], [0, 1], atol=1e-5)
    np.testing.assert_allclose(target.said(learned), train, rtol=1e-5, atol=1e-5)


def test_another_unit_and_the_target_by_name_are_the_same_data(archive, tmp_path):
    dataset = archive(x=X, y=Y)
    plain = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert cache.find(replace(dataset, unit="m"), tmp_path / "cache") == plain
    named = cache.prepare(replace(dataset, target="value"), tmp_path / "cache", no_progress)
    assert named.fingerprint == plain.fingerprint


def test_rows_of_0_and_1_are_other_data_as_values_than_as_labels(archive, tmp_path):
    rows = archive(x=X, y=np.array([[0, 1], [1, 1], [1, 0], [0, 0]] * 10))
    found = {
        cache.prepare(replace(rows, target=kind), tmp_path / "cache", no_progress).fingerprint
        for kind in ("labels", "value")
    }
    assert len(found) == 2


def test_a_number_of_a_table_is_a_value(tmp_path):
    from PIL import Image

    lines = ["path,label"]
    for place in range(10):
        Image.fromarray(X[place]).save(tmp_path / f"{place}.png")
        lines.append(f"{place}.png,{place / 4}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    dataset = dataset_of("table", path=str(tmp_path / "labels.csv"), image_size=6)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.meta["target"]["kind"] == "value" and built.meta["classes"] == ["label"]
    (tmp_path / "labels.csv").write_text("\n".join([*lines[:-1], "9.png,old"]))
    dataset = dataset_of("table", path=str(tmp_path / "labels.csv"), image_size=6, target="value")
    with pytest.raises(UserError, match="row 11: label is 'old', which is no number"):
        cache.prepare(dataset, tmp_path / "cache", no_progress)
    # A number that is missing makes no classes of the others.
    (tmp_path / "labels.csv").write_text("\n".join([*lines[:-1], "9.png,NaN"]))
    dataset = dataset_of("table", path=str(tmp_path / "labels.csv"), image_size=6)
    with pytest.raises(UserError, match="row 11: label is 'NaN', which is no number"):
        cache.prepare(dataset, tmp_path / "cache", no_progress)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe.loss=cross_entropy"], ["not for dataset.target=value", "mse, huber"]),
        (["recipe.label_smoothing=0.1"], ["recipe.label_smoothing=0.1", "leave it out"]),
        (["recipe.class_weights=balanced"], ["recipe.class_weights=balanced", "leave it out"]),
    ],
)
def test_what_means_nothing_for_values_is_refused(words, said, config):
    asked = config(*words)
    found = one_line(lambda: targets.settled(asked, TWO))
    assert all(word in found for word in said)


def test_a_loss_that_is_not_named_is_that_of_the_target(config):
    assert targets.settled(config(), TWO).recipe.loss == "mse"
    assert targets.settled(config(), targets.CLASSES).recipe.loss == "cross_entropy"
    assert targets.settled(config("recipe.loss=huber"), TWO).recipe.loss == "huber"
    with pytest.raises(UserError, match=r"recipe.loss=mse is not for dataset.target=classes"):
        targets.settled(config("recipe.loss=mse"), targets.CLASSES)
    with pytest.raises(UserError, match=r"dataset.unit=m is the unit of values"):
        targets.settled(config(), replace(targets.CLASSES, unit="m"))


def test_losses_are_of_standardised_values_and_metrics_of_the_unit(config):
    labels = np.array([[14, -3], [10, -2.5]], np.float32)
    learned = TWO.to_learn(labels)
    np.testing.assert_allclose(learned, [[1, 0], [0, 1]], atol=1e-6)
    outputs = np.zeros((2, 2), np.float32)
    settled = targets.settled(config(), TWO).recipe
    assert float(build_loss(settled, 2, TWO)(learned, outputs)) == pytest.approx(0.5)
    huber = replace(settled, loss="huber")
    assert float(build_loss(huber, 2, TWO)(3 * learned, outputs)) == pytest.approx(2.5 / 2)
    (metric,) = training_metrics(settled, TWO)
    metric.update_state(learned, outputs)
    expected = np.abs(labels - [10, -3]).mean()
    assert float(metric.result()) == pytest.approx(expected)
    assert TWO.judged(labels, outputs) == pytest.approx({"mae": expected})


def test_the_mean_of_the_training_values_is_chance():
    labels = RNG.normal(10, 4, (50, 2)).astype(np.float32)
    found = TWO.result(labels, np.zeros((50, 2), np.float32))
    assert found["by_chance"]["mae"] == pytest.approx(found["val_mae"], rel=1e-5)
    assert found["by_chance"]["r2"] == 0 and found["val_r2"] < 0.05


def test_predictions_are_kept_in_the_unit():
    labels = np.array([[14, -3]], np.float32)
    kept = Value.unpacked(TWO.packed(labels, np.array([[0.5, -2]], np.float32)))
    np.testing.assert_allclose(kept.probabilities, [[12, -4]])
    np.testing.assert_array_equal(kept.labels, labels)


def test_mixup_mixes_values_as_it_mixes_images(archive, tmp_path):
    built = cache.prepare(archive(x=X, y=Y), tmp_path / "cache", no_progress)
    target = built.target(archive(x=X, y=Y))
    asked = {"seed": 3, "batch_size": 16, "augment": "none", "normalisation": "unit"}
    plain, mixed = (
        next(TrainBatches(built, **asked, tricks=tricks, target=target).epoch(0))
        for tricks in (Tricks(), Tricks(mixup=0.5))
    )
    rng = Draws(3, 0, 0).of(4)  # The stream of mixup.
    share, others = np.float32(rng.beta(0.5, 0.5)), rng.permutation(16)
    np.testing.assert_allclose(
        mixed[1], share * plain[1] + (1 - share) * plain[1][others], rtol=1e-5
    )


@pytest.mark.parametrize(("std", "digits"), [(77.0, 2), (1.0, 3), (0.05, 5), (0.0123, 5), (5e5, 0)])
def test_errors_have_as_many_digits_as_fit_the_values(std, digits):
    target = Value(("value",), "", {"std": [std]})
    assert target.metric.digits == digits and target.metrics["r2"].digits == 4


def test_errors_of_several_values_have_as_many_digits_as_fit_the_largest():
    assert Value(("a", "b"), "", {"std": [1000.0, 0.001]}).metric.number(479.9150989) == "480"


@pytest.mark.parametrize("factor", [1e-6, 0.02])
def test_a_value_that_the_mean_over_values_ignores_is_named(factor, archive, tmp_path):
    y = np.stack([Y, factor * Y], axis=1)
    dataset = archive(x=X, y=y, classes=["far", "near"])
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    target, noun = built.target(dataset), built.kind.noun
    (*found,) = target.warnings(built.meta, noun)
    known = {"val_r2": 0.5, "by_chance": {}, "classes": list(target.outputs)}
    result = known | {f"train_{key}": one for key, one in built.meta["splits"]["train"].items()}
    caveats = target.standing(result, noun)["caveats"]
    assert found == ([f"warning: {caveats}"] if caveats else [])
    assert ("all but ignore near: far varies more than 100 times" in caveats) == (factor == 1e-6)
    assert target.standing(known, noun)["caveats"] == ""  # Of an older result.


def test_a_difference_of_percent_is_in_points():
    metric = Value(("share",), "%", {"std": [10.0]}).metric
    assert (metric.value(8.0), metric.size(-0.5)) == ("8.00 %", "0.50 points")


def _stored(stored_run, part, seed, error, *words):
    chance = {"mae": 20.0, "rmse": 25.0, "r2": 0.0}
    facts = {"kind": "value", "mean": [0.0], "std": [10.0], "unit": "kg"}
    return stored_run(
        f"plain={part}",
        f"seed={seed}",
        *words,
        provenance={"target": facts, "classes": ["weight"]},
        classes=["weight"],
        by_chance=chance,
        val_mae=error,
        val_rmse=2 * error,
        val_r2=1 - error / 20,
    )


def test_less_error_helps_and_more_hurts_in_the_unit_of_the_data(stored_run, tmp_path):
    for seed, noise in enumerate((0.0, 0.01, -0.01, 0.02)):
        _stored(stored_run, "true", seed, 8 + noise)
        _stored(stored_run, "false", seed, 5 - noise)
    loaded = reading.load(tmp_path / "main").measured()
    (found,) = loaded.comparisons()
    (effect,) = [one for one in comparison_effects(found) if one.kind == "contrast"]
    assert effect.verdict == HELPS and effect.mean < 0
    assert effect.metric.name == "mae" and effect.metric.size(effect.mean).endswith(" kg")
    assert found.runs["score_of_chance"].tolist() == [20.0] * 8
    assert not effect.near_chance
    (tmp_path / "main" / "claims.yaml").write_text("- residual > plain by 2\n- plain > residual\n")
    assert [one.verdict for one in claimed(loaded).answers] == [HOLDS, FAILS]
    by_r2 = loaded.measured("r2", margin=0.5)
    (found,) = by_r2.comparisons(reference="residual")
    (effect,) = [one for one in comparison_effects(found) if one.kind == "contrast"]
    assert effect.mean < 0 and effect.verdict != HELPS and effect.margin == 0.5
    by_rmse = loaded.measured("rmse").comparisons(reference="residual")[0]
    (effect,) = [one for one in comparison_effects(by_rmse) if one.kind == "contrast"]
    assert effect.verdict == HURTS and effect.mean > 0


def test_a_metric_of_classes_is_none_of_values(stored_run, tmp_path):
    _stored(stored_run, "true", 0, 8)
    with pytest.raises(UserError, match=r"report.metric=accuracy is not for .* mae, rmse, r2"):
        reading.load(tmp_path / "main").measured("accuracy")


def test_one_study_may_hold_classes_and_values(stored_run, tmp_path):
    _stored(stored_run, "true", 0, 8)
    stored_run("plain=true", "seed=1", "dataset=mnist", data="other", val_accuracy=0.9)
    loaded = reading.load(tmp_path / "main").measured()
    assert sorted(one.metric.name for one in loaded.comparisons()) == ["accuracy", "mae"]
    by_r2 = loaded.measured("r2")
    assert sorted(one.metric.name for one in by_r2.comparisons()) == ["accuracy", "r2"]
    assert any("r2: it is not for mnist" in problem for problem in by_r2.problems)


@pytest.mark.parametrize("of_values", ["cifar10", "mnist"], ids=["first", "second"])
def test_a_claim_is_judged_by_the_metric_of_its_own_data(of_values, stored_run, tmp_path):
    of_classes = {"cifar10": "mnist", "mnist": "cifar10"}[of_values]
    for seed, noise in enumerate((0.0, 0.01, -0.01, 0.02)):
        for part, better in (("true", 0.0), ("false", 1.0)):
            own = noise * (1 + better)
            _stored(stored_run, part, seed, 8 - 3 * better + own, f"dataset={of_values}")
            words = f"plain={part}", f"seed={seed}", f"dataset={of_classes}"
            stored_run(*words, val_accuracy=0.5 + 0.1 * better + own)
    (tmp_path / "main" / "claims.yaml").write_text(
        f"- residual > plain at dataset={of_values} by 2\n"
        f"- residual > plain at dataset={of_classes} by 5 points\n"
    )
    found = claimed(reading.load(tmp_path / "main")).answers
    assert [(one.verdict, one.effect.metric.name) for one in found] == [
        (HOLDS, "mae"),
        (HOLDS, "accuracy"),
    ]


def test_a_lesion_is_scored_by_the_error_of_its_run(stored_run, tmp_path):
    beside = []
    for seed in (0, 1, 2):
        full, without = (_stored(stored_run, part, seed, 5 + seed) for part in ("false", "true"))
        lesion = full / store.LESIONS / "aaaaaaaa"
        lesion.mkdir(parents=True)
        result = {"val_mae": 9.0 + seed, "val_rmse": 12.0, "val_r2": 0.1}
        durable.write_json(lesion / "result.json", result)
        name = lesion.relative_to(full.parent).as_posix()
        beside.append(Control(LESION, name, without.name, {"against": full.name}))
    asked.add(tmp_path / "main", ["parts.plain"])
    controls.put(tmp_path / "main", beside)
    loaded = reading.load(tmp_path / "main")
    assert sorted(loaded.control_runs["score"]) == [9.0, 10.0, 11.0]
    assert {one.kind for one in map(loaded.targets.get, loaded.control_runs["run"])} == {"value"}


def test_a_metric_of_ones_own_has_no_chance_of_a_namesake(stored_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_errors.py").write_text("def mae(labels, said):\n    return 1.0\n")
    run = _stored(stored_run, "true", 0, 5)
    said = np.zeros((3, 1), np.float32)
    np.savez(run / "predictions.npz", value=said, predicted_value=said)
    loaded = reading.load(tmp_path / "main")
    for name, known in (("mae", True), ("own_errors.py:mae", False)):
        assert loaded.measured(name).runs["score_of_chance"].notna().item() == known

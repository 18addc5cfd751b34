import shutil

import pytest

from ablation.analysis import reading
from ablation.analysis.audit import spans
from ablation.records import asked, durable, store
from ablation.report import markdown


def _audit(folder):
    return reading.load(folder / "main").audit()[0]


def test_equal_runs_pass_without_confounds_or_holes(stored_run, tmp_path):
    for plain in ("true", "false"):
        for seed in (0, 1):
            stored_run(f"plain={plain}", f"seed={seed}")
    found = _audit(tmp_path)
    assert found.passes and not found.confounds and not found.holes
    text = markdown.certificate(found)
    assert "PASS" in text and "Confounds: none" in text and "Holes: none" in text


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        (0, "Validation images among the training images: none."),
        (1, "Warning:** 1 of 360 validation images is also a training image."),
        (12, "Warning:** 12 of 360 validation images are also training images."),
    ],
)
def test_validation_images_that_are_trained_on_are_counted(stored_run, tmp_path, shared, said):
    for plain in ("true", "false"):
        stored_run(f"plain={plain}", shared_images=shared)
    found = _audit(tmp_path)
    assert found.shared == ((shared, 360),)
    assert said in markdown.certificate(found)


def test_of_runs_that_counted_none_nothing_is_said(stored_run, tmp_path):
    stored_run("plain=true")
    found = _audit(tmp_path)
    assert not found.shared
    assert "among the training images" not in markdown.certificate(found)


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("steps", 55, "optimizer steps"),
        ("epochs", 4, "epochs"),
        ("examples_seen", 1, "examples seen"),
        ("schedule_completed", 0.5, "share of the learning-rate schedule"),
        ("val_fingerprint", "other", "validation images"),
        ("order_sha256", "other", "order of the images at seed 0"),
    ],
)
def test_an_unequal_budget_fails_and_names_runs_and_values(stored_run, tmp_path, key, value, name):
    stored_run("plain=true")
    different = stored_run("plain=false", **{key: value})
    found = _audit(tmp_path)
    assert not found.passes
    assert found.unequal[name][str(value)] == [different.name]
    text = markdown.certificate(found)
    assert "FAIL" in text and f"{name} {value}: {different.name}" in text


def test_two_runs_of_one_cell_at_one_seed_fail_and_are_named(stored_run, tmp_path):
    """As of levels that are spelled alike, 1 and "1", which one table cannot tell apart."""
    first, again = stored_run("plain=true"), tmp_path / "main" / "34-plain-digits-s0-00000000"
    shutil.copytree(first, again)
    stored_run("plain=false")
    found = _audit(tmp_path)
    assert not found.passes
    names = {"at seed 0": sorted([first.name, again.name])}
    assert found.unequal == {"several runs of arch 34, plain": names}
    assert "several runs of arch 34, plain at seed 0: " in markdown.certificate(found)


def test_a_run_that_stopped_early_fails(stored_run, tmp_path):
    stored_run("plain=true")
    short = stored_run("plain=false")
    lines = (short / "history.csv").read_text().splitlines(keepends=True)
    (short / "history.csv").write_text("".join(lines[:-1]))
    assert short.name in _audit(tmp_path).unequal["epochs finished"]["4"]


@pytest.mark.parametrize("facts", [{"source_sha256": "s2"}, {"threads": 1}, {"python": "3.13"}])
def test_whatever_else_differs_is_a_confound_and_no_failure(stored_run, tmp_path, facts):
    stored_run("plain=true")
    different = stored_run("plain=false", provenance=facts)
    found = _audit(tmp_path)
    assert found.passes
    ((name, values),) = found.confounds.items()
    assert name in facts
    assert values[str(facts[name])] == [different.name]


def test_networks_of_one_arm_that_differ_in_their_parameters_fail(stored_run, tmp_path):
    stored_run("plain=true", trainable=700, total=800)
    runs = [stored_run("plain=false", f"seed={s}", total=1100 + s) for s in (0, 1)]
    found = _audit(tmp_path)
    name = "parameters of arch 34, residual"
    assert found.unequal == {name: {str(1100 + s): [run.name] for s, run in enumerate(runs)}}
    assert f"{name} 1100: {runs[0].name}" in markdown.certificate(found)


def test_a_file_that_runs_read_and_that_was_edited_is_a_confound(stored_run, tmp_path):
    one, other = (
        stored_run(f"plain={plain}", provenance={"read": {"cfg.json": digest, "same": "s"}})
        for plain, digest in (("true", "a1"), ("false", "b2"))
    )
    stored_run("plain=true", "seed=1", provenance={"read": {"of a part": "c3"}})
    found = _audit(tmp_path)
    assert found.passes
    assert found.confounds == {"the file cfg.json": {"a1": [one.name], "b2": [other.name]}}


def test_a_library_of_the_users_code_in_two_versions_is_a_confound(stored_run, tmp_path):
    one, other = (
        stored_run(f"plain={plain}", provenance={"libraries": {"einops": version, "timm": "1"}})
        for plain, version in (("true", "0.7"), ("false", "0.8"))
    )
    stored_run("plain=true", "seed=1", provenance={"libraries": {"of a part": "2"}})
    found = _audit(tmp_path)
    assert found.confounds == {"the library einops": {"0.7": [one.name], "0.8": [other.name]}}


def test_package_versions_are_compared_one_by_one(stored_run, tmp_path):
    stored_run("plain=true", provenance={"packages": {"keras": "3.15.1", "numpy": "2.4.6"}})
    stored_run("plain=false", provenance={"packages": {"keras": "3.14.0", "numpy": "2.4.6"}})
    assert list(_audit(tmp_path).confounds) == ["packages.keras"]


def test_holes_name_missing_cells_failed_runs_and_absent_seeds(stored_run, tmp_path):
    stored_run("arch=34", "plain=true", "seed=0")
    stored_run("arch=34", "plain=false", "seed=0")
    stored_run("arch=34", "plain=false", "seed=1")
    stored_run("arch=50", "plain=false", "seed=0", state=store.DIVERGED, reason="loss became nan")
    holes = "\n".join(_audit(tmp_path).holes)
    assert "arch 34, plain: no seed 1" in holes
    assert "arch 50, plain: missing" in holes
    assert "arch 50, residual, seed 0: diverged (loss became nan)" in holes


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([2, 0, 1], "0, 1, 2"), ([*range(25), 30], "0 to 24, 30")],
)
def test_many_neighbouring_seeds_are_a_span(numbers, text):
    assert spans(numbers) == text


def test_a_budget_that_is_varied_on_purpose_is_checked_within_its_levels(stored_run, tmp_path):
    for epochs in (5, 10):
        for plain in ("true", "false"):
            stored_run(f"epochs={epochs}", f"plain={plain}", steps=22 * epochs)
    asked.add(tmp_path / "main", ["epochs"])
    (found,) = reading.load(tmp_path / "main").audit()
    assert not found.passes
    assert found.within == ("epochs",)
    assert "PASS among runs of equal epochs" in markdown.certificate(found)
    stored_run("arch=50", "epochs=5", steps=1)
    assert reading.load(tmp_path / "main").audit()[0].within == ()


def test_one_run_is_equal_to_nothing(stored_run, tmp_path):
    stored_run()
    (found,) = reading.load(tmp_path / "main").audit()
    assert "nothing to compare yet** (1 run)" in markdown.certificate(found)


def test_images_of_several_places_are_named_by_them(stored_run, tmp_path):
    for place in ("clean", "noisy "):
        directory = stored_run(data=place)
        config = store.Stored(directory).config()
        dataset = config["dataset"] | {"path": place}
        durable.write_yaml(directory / "config.yaml", config | {"dataset": dataset})
    asked.add(tmp_path / "main", ["dataset.path"])
    (found,) = reading.load(tmp_path / "main").audit()
    assert {*found.unequal["training images"]} == {
        "of clean (train cl)",
        r"of noisy\x20 (train no)",
    }
    assert found.within == ("dataset.path",)


def test_the_budget_that_a_design_varies_is_checked_within_its_levels(stored_design):
    named = {"recipe.batch_size": [64, 128], "parts.plain": [False, True]}

    def steps(levels, seed):
        return {"steps": 7040 // levels["recipe.batch_size"]}

    study = stored_design("leave_one_out", named, lambda levels, seed: 0.5, "arch=20", result=steps)
    (found,) = reading.load(study).audit()
    assert not found.passes
    assert "PASS among runs of equal batch_size" in markdown.certificate(found)


def test_a_run_that_ended_early_gives_no_other_count_decimals(stored_run, tmp_path):
    stored_run("plain=true")
    stored_run("plain=false", steps=55)
    stored_run("plain=false", "arch=20", state=store.DIVERGED, reason="nan")
    assert set(_audit(tmp_path).unequal["optimizer steps"]) == {"110", "55"}


def test_a_hole_says_of_what_its_level_is(stored_run, tmp_path):
    stored_run("arch=20", "parts.se=true")
    stored_run("arch=20", "parts.se=false", state=store.FAILED, reason="why")
    (hole,) = _audit(tmp_path).holes
    assert "se false, seed 0: failed (why)" in hole

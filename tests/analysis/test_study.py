import numpy as np
import pytest

from ablation.analysis import reading
from ablation.analysis.audit import audit
from ablation.analysis.tables import comparison_effects
from ablation.config import UserError
from ablation.records import asked, durable, store


def test_one_row_a_run_and_one_a_run_and_epoch(stored_run, tmp_path):
    stored_run("plain=true", val_accuracy=0.25)
    stored_run("plain=false", "seed=1", val_accuracy=0.75)
    loaded = reading.load(tmp_path / "main")
    assert sorted(loaded.runs["parts.plain"]) == ["plain", "residual"]
    assert sorted(loaded.runs["val_accuracy"]) == [0.25, 0.75]
    assert len(loaded.history) == 10
    assert loaded.history.groupby("run")["epoch"].max().tolist() == [5, 5]
    assert loaded.problems == ()


def test_a_run_without_a_finished_epoch_leaves_the_others_numbers_numbers(stored_run, tmp_path):
    stored_run("plain=true")
    (stored_run("plain=false", state=store.FAILED) / "history.csv").unlink()
    (stored_run("arch=50", state=store.FAILED) / "history.csv").write_text("")
    history = reading.load(tmp_path / "main").history
    assert {str(kind) for kind in history.drop(columns="run").dtypes} == {"float64"}
    assert len(history) == 5


def test_runs_of_unequal_epochs_have_other_protocols(stored_run, tmp_path):
    stored_run("plain=true")
    stored_run("plain=false")
    stored_run("plain=false", "epochs=6")
    protocols = reading.load(tmp_path / "main").runs.groupby("config.epochs")["protocol"].nunique()
    assert protocols.to_dict() == {5: 1, 6: 1}
    assert reading.load(tmp_path / "main").runs["protocol"].nunique() == 2


def test_factors_seeds_and_the_choice_a_basic_block_lacks_make_no_protocol(stored_run, tmp_path):
    for arch in (34, 50):
        for plain in ("true", "false"):
            for seed in (0, 1):
                stored_run(f"arch={arch}", f"plain={plain}", f"seed={seed}")
    assert reading.load(tmp_path / "main").runs["protocol"].nunique() == 1


def test_other_data_under_the_same_name_is_another_protocol(stored_run, tmp_path):
    stored_run(data="one")
    stored_run(data="other")
    assert reading.load(tmp_path / "main").runs["protocol"].nunique() == 2


def test_a_swept_key_is_a_factor_and_no_protocol(stored_run, tmp_path):
    for rate in (0.1, 0.2):
        stored_run(f"recipe.learning_rate={rate}")
    assert reading.load(tmp_path / "main").runs["protocol"].nunique() == 2
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    loaded = reading.load(tmp_path / "main")
    assert loaded.runs["protocol"].nunique() == 1
    assert sorted(loaded.runs["recipe.learning_rate"]) == [0.1, 0.2]


def test_a_swept_recipe_takes_all_its_keys_along(stored_run, tmp_path):
    stored_run("recipe=sgd")
    stored_run("recipe=adam")
    asked.add(tmp_path / "main", ["recipe"])
    loaded = reading.load(tmp_path / "main")
    assert loaded.runs["protocol"].nunique() == 1
    assert sorted(loaded.runs["recipe"]) == ["adam", "sgd"]


@pytest.mark.parametrize("content", ["", "{", "arch: 34\n", "- a\n"])
def test_a_damaged_configuration_is_named_and_skipped(stored_run, tmp_path, content):
    stored_run("plain=true")
    damaged = stored_run("plain=false")
    (damaged / "config.yaml").write_text(content)
    loaded = reading.load(tmp_path / "main")
    assert len(loaded.runs) == 1
    assert len(loaded.problems) == 1
    assert damaged.name in loaded.problems[0]


def test_a_damaged_history_is_named_and_its_run_kept(stored_run, tmp_path):
    damaged = stored_run()
    (damaged / "history.csv").write_text("epoch,loss\n1,abc\n")
    loaded = reading.load(tmp_path / "main")
    assert len(loaded.runs) == 1
    assert "history.csv" in loaded.problems[0]


def test_a_run_with_a_truncated_result_does_not_count_as_complete(stored_run, tmp_path):
    damaged = stored_run()
    (damaged / "result.json").write_text('{"val_accuracy": 0.5')
    loaded = reading.load(tmp_path / "main")
    assert loaded.runs["state"].tolist() == [store.INTERRUPTED]
    assert np.isnan(loaded.runs["val_accuracy"][0])


def test_other_folders_are_left_alone(stored_run, tmp_path):
    stored_run()
    (tmp_path / "main" / "notes").mkdir()
    loaded = reading.load(tmp_path / "main")
    assert len(loaded.runs) == 1 and loaded.problems == ()


def test_an_empty_folder_is_no_study(tmp_path):
    with pytest.raises(UserError, match="holds no runs"):
        reading.load(tmp_path)


def test_a_null_level_is_a_level(stored_run, tmp_path):
    stored_run("recipe.clipnorm=null")
    stored_run("recipe.clipnorm=1.0")
    asked.add(tmp_path / "main", ["recipe.clipnorm"])
    loaded = reading.load(tmp_path / "main")
    assert len(loaded.table("plain")) == 2
    assert loaded.comparisons()[0].columns == ["null", "1.0"]


def test_whole_numbers_beside_a_null_level_are_shown_as_they_are_typed(stored_run, tmp_path):
    for size in ("null", "16", "32"):
        stored_run(f"dataset.image_size={size}", data=f"{size} px")
    asked.add(tmp_path / "main", ["dataset.image_size"])
    loaded = reading.load(tmp_path / "main")
    assert loaded.comparisons()[0].columns == ["16", "32", "null"]


def test_a_factor_that_is_no_key_is_named_and_left_out(stored_run, tmp_path):
    stored_run()
    asked.add(tmp_path / "main", ["dataset.paths", "experiment"])
    loaded = reading.load(tmp_path / "main")
    assert "experiment" not in loaded.factors
    assert len(loaded.problems) == 2


def test_data_that_a_factor_changes_is_compared_and_told(stored_run, tmp_path):
    stored_run("dataset.image_size=32", data="small", val_accuracy=0.5)
    stored_run("dataset.image_size=64", data="large", val_accuracy=0.75)
    asked.add(tmp_path / "main", ["dataset.image_size"])
    loaded = reading.load(tmp_path / "main")
    (found,) = loaded.comparisons("dataset.image_size")
    assert found.columns == ["32", "64"]
    assert "training images" in loaded.audit()[0].unequal


def _lying(directory, key, place):
    """Says that a stored run's images lie somewhere."""
    config = store.Stored(directory).config()
    dataset = config["dataset"] | {key: place}
    durable.write_yaml(directory / "config.yaml", config | {"dataset": dataset})
    return directory


@pytest.mark.parametrize("key", ["path", "data_dir"])
def test_where_images_lie_is_a_factor_like_any(key, stored_run, tmp_path):
    for place, gain in (("clean", 0.0), ("noisy", 0.25)):
        for plain in ("true", "false"):
            run = stored_run(f"plain={plain}", data=place, val_accuracy=0.5 + gain)
            _lying(run, key, place)
    factor = f"dataset.{key}"
    asked.add(tmp_path / "main", [factor])
    loaded = reading.load(tmp_path / "main")
    assert loaded.problems == () and loaded.levels[factor] == ["clean", "noisy"]
    (found,) = loaded.comparisons()
    assert found.protocol == {} and found.rows == ("arch", factor)
    assert loaded.audit()[0].holes == () and loaded.audit()[0].within == (factor,)
    contrasts = loaded.effects(factor)
    assert contrasts["name"][0] == f"{factor} noisy - clean"
    assert contrasts.loc[contrasts["kind"] == "contrast", "mean"].tolist() == [0.25, 0.25]


def test_images_that_lie_in_two_places_are_told_apart_by_their_names(stored_run, tmp_path):
    for place in ("clean", "noisy"):
        _lying(stored_run(data=place), "path", place)
    found = reading.load(tmp_path / "main").comparisons()
    assert [one.protocol for one in found] == [{"dataset.path": "clean"}, {"dataset.path": "noisy"}]
    # Where the place does not say which images they are, their hash does.
    _lying(stored_run("seed=1", data="changed"), "path", "clean")
    found = reading.load(tmp_path / "main").comparisons()
    assert [one.protocol["images"] for one in found] == ["changed", "clean", "noisy"]


def test_one_folder_in_several_spellings_is_one_level(stored_run, tmp_path):
    _lying(stored_run("plain=true", data="one"), "path", "imgs")
    _lying(stored_run("plain=false", data="one"), "path", "./imgs")
    _lying(stored_run("plain=false", data="other"), "path", "noisy")
    assert len(reading.load(tmp_path / "main").comparisons()) == 2
    asked.add(tmp_path / "main", ["dataset.path"])
    loaded = reading.load(tmp_path / "main")
    assert loaded.levels["dataset.path"] == ["imgs", "noisy"]
    assert loaded.audit()[0].holes == ("arch 34, dataset.path noisy, plain: missing",)


def test_a_run_that_saw_no_images_has_those_of_its_folder(stored_run, tmp_path):
    for place in ("clean", "noisy"):
        _lying(stored_run(data=place), "path", place)
        unseen = {"fingerprint": None}
        failed = stored_run("seed=1", data=f"not {place}", state="failed", provenance=unseen)
        _lying(failed, "path", place)
    for _, runs in reading.load(tmp_path / "main").runs.groupby("config.dataset.path"):
        assert set(runs["fingerprint"]) == set(runs["config.dataset.path"])


@pytest.mark.parametrize("size", [8, 16])
@pytest.mark.parametrize("alone", [False, True])
def test_a_run_that_saw_no_images_takes_none_of_another_size(size, alone, stored_run, tmp_path):
    for other in (8, 16):
        for seed in (0, 1) if other != size or not alone else ():
            stored_run(f"dataset.image_size={other}", f"seed={seed}", data=f"{other} px")
    unseen = {"fingerprint": None}
    run = f"dataset.image_size={size}", "seed=2"
    stored_run(*run, state=store.RUNNING, data="unknown", provenance=unseen)
    asked.add(tmp_path / "main", ["dataset.image_size"])
    loaded = reading.load(tmp_path / "main")
    known = [] if alone else [f"{size} px"]
    of_size = loaded.runs[loaded.runs["config.dataset.image_size"] == size]
    assert list(of_size["fingerprint"].dropna().unique()) == known
    (found,) = loaded.comparisons()
    assert found.columns == ["8", "16"]


def test_where_no_network_could_be_built_there_are_tables_without_rows(stored_run, tmp_path, cli):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}", state=store.REFUSED, reason="no such network")
    study = reading.load(tmp_path / "main")
    assert study.table().empty and study.effects().empty
    assert study.comparisons(reference="plain") == []
    done = cli("main", "report.reference=plain", cwd=tmp_path, module="ablation.report")
    assert done.returncode == 0 and "Traceback" not in done.stderr


@pytest.fixture
def clipped(stored_run, tmp_path):
    """A grid of one key with the levels null, 0.5 and 1."""
    for place, clip in enumerate(("null", "0.5", "1")):
        for seed in range(2):
            words = f"recipe.clipnorm={clip}", f"seed={seed}"
            stored_run("arch=20", *words, val_accuracy=0.5 + 0.1 * place)
    asked.add(tmp_path / "main", ["recipe.clipnorm"])
    return reading.load(tmp_path / "main")


@pytest.mark.parametrize(
    ("reference", "found"), [(None, "null"), ("null", "null"), ("0.5", "0.5"), (0.5, "0.5")]
)
def test_a_reference_is_a_level_as_it_is_typed_or_as_python_has_it(clipped, reference, found):
    (comparison,) = clipped.comparisons(contrast="recipe.clipnorm", reference=reference)
    assert comparison.reference == found


def test_null_is_a_reference_where_it_is_a_level_and_else_the_usual_one(stored_run, tmp_path):
    for plain in ("true", "false"):
        for drop in ("0.1", "null"):
            stored_run("arch=20", f"plain={plain}", f"recipe.clipnorm={drop}")
    asked.add(tmp_path / "main", ["recipe.clipnorm"])
    study = reading.load(tmp_path / "main")
    for contrast, found in (("plain", "plain"), ("recipe.clipnorm", "null"), (None, "plain")):
        (comparison,) = study.comparisons(contrast=contrast, reference="null")
        assert comparison.reference == found


def test_what_python_asks_for_is_answered_like_what_is_typed(clipped):
    with pytest.raises(UserError, match=r"design=nope is not known\. Allowed: grid, "):
        clipped.table(design="nope")
    for margin in (-1, "2", True, float("nan")):
        with pytest.raises(UserError, match="must be a positive number"):
            clipped.measured("accuracy", margin=margin)
    name = clipped.runs["run"].iloc[0]
    for ask in (clipped.predictions, clipped.probabilities, clipped.diagnostics):
        with pytest.raises(UserError, match=f"Did you mean {name}"):
            ask(f"{name}x")
        with pytest.raises(FileNotFoundError):
            ask(name)


def test_a_design_of_which_no_arm_has_a_run_is_said_and_takes_no_report_away(
    stored_design, tmp_path, cli
):
    named = {
        "parts.plain": [False, True],
        "parts.se": [False, True],
        "parts.norm": ["batch", "none"],
        "parts.activation": ["relu", "gelu"],
    }
    study = stored_design("leave_one_out", named, lambda *_: 0.5, "arch=20", seeds=range(2))
    asking = {"cwd": study.parent, "module": "ablation.report"}
    assert cli("main", **asking).returncode == 0
    before = (study / "report.md").read_bytes()
    done = cli("main", "report.design=add_one", **asking)
    assert done.returncode == 2
    assert "no run of this study is one of its arms; design=add_one trains them" in done.stderr
    assert (study / "report.md").read_bytes() == before


def test_of_a_design_no_cell_is_asked_for_that_is_no_arm(stored_design):
    named = {
        "parts.plain": [False, True],
        "parts.se": [False, True],
        "parts.norm": ["batch", "none"],
    }
    study = stored_design("leave_one_out", named, lambda *_: 0.5, "arch=20", seeds=range(2))
    (comparison,) = reading.load(study).comparisons(contrast="plain")
    assert not audit(comparison).holes
    asked_for = [effect for effect in comparison_effects(comparison) if effect.kind == "contrast"]
    assert [effect.n for effect in asked_for] == [2]

import copy

import pytest

from ablation.analysis import reading
from ablation.analysis.audit import audit
from ablation.analysis.levels import level_key
from ablation.analysis.tables import comparison_effects, cost_table
from ablation.config import RECORD_KEY, UserError
from ablation.factors import Label
from ablation.records import asked, durable, store
from ablation.report.notes import title
from support import current_sources


@pytest.fixture
def shortcuts(stored_run, tmp_path):
    for arch in (20, 32):
        stored_run(f"arch={arch}", "plain=true", val_accuracy=0.5)
        stored_run(f"arch={arch}", "shortcut=zero_pad", val_accuracy=0.6)
        stored_run(f"arch={arch}", "shortcut=projection", val_accuracy=0.7)
    return reading.load(tmp_path / "main")


def test_the_usual_contrast_is_residual_against_plain(stored_run, tmp_path):
    stored_run("plain=true")
    stored_run("plain=false")
    (found,) = reading.load(tmp_path / "main").comparisons()
    assert (found.reference, found.columns, found.rows) == (
        "plain",
        ["plain", "residual"],
        ("arch",),
    )


def test_a_part_with_kinds_is_compared_with_the_default_of_both(stored_run, tmp_path):
    (tmp_path / "nets.py").write_text(
        'PARTS = {"ratio": {"applies": {"se": [True]}}}\n'
        "def build(input_shape, classes, *, se: bool = True, ratio: float = 0.5):\n    ...\n"
    )
    arch = f"arch={tmp_path}/nets.py:build"
    for parts in (("se=true", "ratio=0.5"), ("se=true", "ratio=0.25"), ("se=false",)):
        stored_run(arch, *(f"parts.{one}" for one in parts))
    asked.add(tmp_path / "main", [], current_sources(tmp_path / "main"))
    study = reading.load(tmp_path / "main")
    (found,) = study.comparisons("se")
    assert found.reference == "true ratio 0.5"
    (found,) = study.comparisons("se", reference="false")
    assert found.reference == "false"


def test_a_network_of_ones_own_is_one_wherever_its_file_lies(stored_run, tmp_path):
    code = "def build(input_shape, classes, *, se: bool = True):\n    ...\n"
    for folder, seeds in (("here", (0, 1)), ("there", (2, 3))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nets.py").write_text(code)
        for seed in seeds:
            for se, score in (("true", 0.6), ("false", 0.5)):
                arch = f"arch={tmp_path / folder}/nets.py:build"
                stored_run(arch, f"parts.se={se}", f"seed={seed}", val_accuracy=score)
    asked.add(tmp_path / "main", [], current_sources(tmp_path / "main"))
    (found,) = reading.load(tmp_path / "main").comparisons()
    assert audit(found).holes == ()
    (effect,) = [one for one in comparison_effects(found) if one.kind == "contrast"]
    assert (effect.n, effect.mean) == (4, pytest.approx(-0.1))
    # Another network of that name is another one.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "nets.py").write_text(code.replace("se", "norm"))
    stored_run(f"arch={tmp_path}/elsewhere/nets.py:build", "parts.norm=true")
    asked.add(tmp_path / "main", [], current_sources(tmp_path / "main"))
    assert reading.load(tmp_path / "main").runs["arch"].nunique() == 2


@pytest.mark.parametrize(
    ("key", "off", "on"),
    [
        ("dataset.augment", "none", "flip"),
        ("recipe.class_weights", "none", "balanced"),
        ("recipe.clipnorm", "null", "1.0"),
        ("recipe.trivial_augment", "false", "true"),
    ],
)
def test_a_key_is_compared_with_the_level_that_changes_nothing(key, off, on, stored_run, tmp_path):
    asked.add(tmp_path / "main", [key])
    for plain in ("true", "false"):
        for level, score in ((on, 0.7), (off, 0.5)):
            stored_run(f"plain={plain}", f"{key}={level}", val_accuracy=score)
    study = reading.load(tmp_path / "main")
    (found,) = study.comparisons(key)
    assert (found.reference, found.columns) == (off, [off, on])
    (found,) = study.comparisons("plain")
    main = next(one for one in comparison_effects(found) if one.minuend.endswith(on))
    assert (main.subtrahend, round(main.mean, 3)) == (off, 0.2)


def test_shortcuts_are_compared_with_none(shortcuts):
    (found,) = shortcuts.comparisons("shortcut")
    assert found.columns == ["none", "zero_pad", "projection"]
    assert found.rows == ("arch",)


@pytest.mark.parametrize(
    ("arch", "contrast", "levels", "reference"),
    [
        ("34", "shortcut", ("zero_pad", "projection", "projection_all"), "projection"),
        ("20", "shortcut", ("projection", "auto"), "zero_pad"),
        ("20", "stem", ("imagenet", "auto"), "cifar"),
        ("34", "stem", ("cifar", "auto"), "imagenet"),
        ("34", "shortcut", ("zero_pad", "projection_all"), "zero_pad"),
    ],
)
def test_a_part_is_compared_with_what_the_network_has_by_default(
    arch, contrast, levels, reference, stored_run, tmp_path
):
    for level in levels:
        stored_run(f"arch={arch}", "plain=false", f"parts.{contrast}={level}")
    study = reading.load(tmp_path / "main")
    (found,) = study.comparisons(contrast)
    assert found.reference == study.reference[f"parts.{contrast}"] == reference
    assert len(found.others) == len(levels) - 1


def test_another_level_can_be_the_reference(shortcuts):
    (found,) = shortcuts.comparisons("shortcut", "zero_pad")
    assert found.columns == ["zero_pad", "none", "projection"]
    table = shortcuts.table("shortcut", "zero_pad")
    assert table["projection - zero_pad"].tolist() == pytest.approx([0.1, 0.1])


def test_depth_can_be_the_contrast_with_the_nets_as_rows(shortcuts):
    (found,) = shortcuts.comparisons("arch")
    assert found.columns == ["20", "32"]
    assert found.rows == ("net",)
    assert len(shortcuts.table("arch")) == 3


def test_a_swept_number_can_be_the_contrast(stored_run, tmp_path):
    for rate in (0.01, 0.1):
        stored_run(f"recipe.learning_rate={rate}", val_accuracy=rate)
    asked.add(tmp_path / "main", ["recipe.learning_rate"])
    (found,) = reading.load(tmp_path / "main").comparisons("recipe.learning_rate")
    assert found.columns == ["0.01", "0.1"]
    assert found.rows == ("arch",)


def test_an_unknown_contrast_or_reference_names_the_allowed(shortcuts):
    with pytest.raises(UserError, match=r"report.contrast=epochs.*arch, plain, shortcut"):
        shortcuts.comparisons("epochs")
    with pytest.raises(UserError, match=r"report.reference=big.*none, zero_pad, projection"):
        shortcuts.comparisons("shortcut", "big")


def test_the_study_gives_tables_effects_levels_and_protocols(shortcuts):
    assert shortcuts.levels["parts.shortcut"] == ["none", "zero_pad", "projection"]
    assert shortcuts.reference["parts.shortcut"] == "none" and shortcuts.reference["arch"] == "20"
    assert shortcuts.protocols.tolist() == [6]
    effects = shortcuts.effects()
    assert effects["kind"].value_counts().to_dict() == {
        "contrast": 4,
        "main effect": 3,
        "interaction": 2,
    }
    assert effects.loc[effects["kind"] == "contrast", "mean"].tolist() == pytest.approx(
        [0.1, 0.1, 0.2, 0.2]
    )


@pytest.fixture
def with_baselines(stored_run, tmp_path):
    """A small net with both arms, two baselines and, as the last net, a ResNet."""
    for seed in (0, 1):
        stored_run("arch=preact15", "plain=true", f"seed={seed}", val_accuracy=0.5)
        stored_run("arch=preact15", f"seed={seed}", val_accuracy=0.75)
        for arch in ("vgg16", "densenet121"):
            stored_run(f"arch={arch}", f"seed={seed}", val_accuracy=0.625)
    return reading.load(tmp_path / "main")


def test_baselines_have_a_column_of_their_own_that_no_difference_counts(with_baselines):
    (found,) = with_baselines.comparisons()
    assert found.rows == ("arch",)
    assert (found.columns, found.others) == (["plain", "residual", "as it is"], ["residual"])
    table = with_baselines.table().set_index("arch")
    assert list(table.index) == ["preact15", "vgg16", "densenet121"]
    assert not [name for name in table.columns if "as it is" in name and " - " in name]
    assert table.loc["preact15", "residual - plain"] == 0.25
    assert table.loc["vgg16", "as it is"] == 0.625 and table.loc["vgg16", "as it is n"] == 2
    notes = table[["plain note", "residual note", "as it is note"]]
    assert notes.loc["preact15"].tolist() == ["", "", "–"]
    assert notes.loc["vgg16"].tolist() == ["–", "–", ""]
    (effect,) = with_baselines.effects().itertuples()
    assert (effect.where, effect.family, effect.n) == ("arch preact15", 1, 2)


def test_a_net_that_cannot_be_is_no_hole_and_one_that_can_is(with_baselines, stored_run, tmp_path):
    assert with_baselines.audit()[0].holes == ()
    stored_run("arch=20", val_accuracy=0.5)
    stored_run("arch=20", "preact=true", "seed=1", val_accuracy=0.5)
    holes = reading.load(tmp_path / "main").audit()[0].holes
    assert sorted(hole for hole in holes if ", plain" in hole) == [
        "arch 20, preact false, plain: missing",
        "arch 20, preact true, plain: missing",
    ]
    assert not [hole for hole in holes if "preact15" in hole or "vgg16" in hole]


@pytest.mark.parametrize(
    ("contrast", "columns", "others"),
    [
        ("plain", ["plain", "residual", "as it is"], ["residual"]),
        ("arch", ["preact15", "vgg16", "densenet121"], []),
    ],
)
def test_baselines_stand_beside_whatever_is_compared(with_baselines, contrast, columns, others):
    (found,) = with_baselines.comparisons(contrast)
    assert (found.columns, found.others) == (columns, others)
    assert with_baselines.audit(contrast)[0].holes == ()
    effects = with_baselines.effects(contrast)
    assert not effects["where"].str.contains("vgg16").any()
    assert (effects["n"] == 2).all()


def test_a_baseline_cannot_be_the_reference_of_the_arms(with_baselines):
    with pytest.raises(UserError, match=r"report\.reference=as it is"):
        with_baselines.comparisons("plain", "as it is")
    (found,) = with_baselines.comparisons("arch", "vgg16")
    assert found.others == ["densenet121"]


def test_a_baseline_alone_is_a_table_without_differences(stored_run, tmp_path):
    stored_run("arch=vgg16", val_accuracy=0.5)
    loaded = reading.load(tmp_path / "main")
    (found,) = loaded.comparisons()
    assert (found.columns, found.reference, found.others) == (["vgg16"], None, [])
    assert loaded.effects().empty


def test_a_swept_recipe_is_compared_within_each_net(stored_run, tmp_path):
    for recipe, gain in (("sgd", 0), ("adam", 0.125)):
        for net in (["arch=preact15", "plain=true"], ["arch=preact15"], ["arch=vgg16"]):
            stored_run(*net, f"recipe={recipe}", val_accuracy=0.5 + gain)
    asked.add(tmp_path / "main", ["recipe"])
    effects = reading.load(tmp_path / "main").effects("recipe", "sgd")
    contrasts = effects[effects["kind"] == "contrast"]
    assert contrasts["where"].tolist() == [
        "arch preact15, plain",
        "arch preact15, residual",
        "arch vgg16, net as it is",
    ]
    assert contrasts["mean"].tolist() == [0.125] * 3
    # The net is compared where one architecture comes in several kinds, and only there.
    mains = effects.loc[effects["kind"] == "main effect", ["name", "n"]].to_numpy().tolist()
    assert mains == [["recipe adam - sgd", 1], ["residual - plain", 1]]


def test_a_choice_that_one_family_lacks_makes_no_row(stored_run, tmp_path):
    stored_run("arch=20")
    stored_run("arch=preact15")
    assert reading.load(tmp_path / "main").comparisons("plain")[0].rows == ("arch",)


def test_a_table_of_recipes_is_headed_by_what_is_no_part_of_them(stored_run, tmp_path):
    for recipe in ("sgd", "adam"):
        for epochs in (5, 6):
            stored_run(f"recipe={recipe}", f"epochs={epochs}")
    asked.add(tmp_path / "main", ["recipe"])
    found = reading.load(tmp_path / "main").comparisons("recipe")
    assert [comparison.protocol for comparison in found] == [{"epochs": 5}, {"epochs": 6}]


def test_what_one_protocol_leaves_unset_heads_its_table_as_it_is_typed(stored_run, tmp_path):
    stored_run("recipe.clipnorm=1")
    stored_run("recipe.clipnorm=null")
    headings = [title(one) for one in reading.load(tmp_path / "main").comparisons()]
    assert headings == ["digits, recipe.clipnorm=1.0", "digits, recipe.clipnorm=null"]


def test_a_recipe_with_a_changed_key_is_another_level(stored_run, tmp_path):
    for overrides, accuracy in (
        (["recipe=sgd"], 0.6),
        (["recipe=sgd", "recipe.learning_rate=0.5"], 0.2),
        (["recipe=adam"], 0.7),
    ):
        stored_run(*overrides, val_accuracy=accuracy)
    asked.add(tmp_path / "main", ["recipe"])
    (found,) = reading.load(tmp_path / "main").comparisons("recipe")
    assert set(found.columns) == {"adam", "sgd (learning_rate=0.01)", "sgd (learning_rate=0.5)"}
    counts = found.runs.groupby("column").size()
    assert (counts == 1).all()


def test_two_versions_of_the_images_are_never_averaged(stored_run, tmp_path):
    for size in (8, 16):
        stored_run("arch=20", f"dataset.image_size={size}", data=f"{size} px")
    asked.add(tmp_path / "main", ["dataset.image_size"])
    assert len(reading.load(tmp_path / "main").comparisons()) == 1
    stored_run("arch=20", "plain=true", "dataset.image_size=8", data="8 px, anew")
    for comparison in reading.load(tmp_path / "main").comparisons():
        assert comparison.runs["fingerprint"].nunique() == 1


def test_a_choice_that_a_net_does_not_have_is_no_other_protocol(stored_run, tmp_path):
    stored_run("arch=34", "stride_on=3x3")
    stored_run("arch=50", "stride_on=1x1")
    (found,) = reading.load(tmp_path / "main").comparisons()
    assert set(found.runs["arch"]) == {"34", "50"}


def test_a_swept_choice_leaves_no_holes_for_nets_that_do_not_have_it(stored_run, tmp_path):
    for stride_on in ("1x1", "3x3"):
        stored_run("arch=50", f"stride_on={stride_on}")
    stored_run("arch=34")
    asked.add(tmp_path / "main", ["parts.stride_on"])
    loaded = reading.load(tmp_path / "main")
    assert loaded.audit()[0].holes == loaded.audit("stride_on")[0].holes == ()


def test_the_framework_that_is_the_default_is_the_reference(stored_run, tmp_path):
    for backend in ("jax", "tensorflow"):
        stored_run(f"backend={backend}")
    asked.add(tmp_path / "main", ["backend"])
    (found,) = reading.load(tmp_path / "main").comparisons("backend")
    assert found.reference == "tensorflow"


@pytest.mark.parametrize(
    "name",
    [
        "as it is",
        "plain",
        "arch",
        "net",
        "z n",
        "z sd",
        "z - z n",
        "run",
        "dataset",
        "preact",
        "protocol",
    ],
)
def test_a_level_may_have_the_name_of_anything(name, stored_run, tmp_path):
    for path, accuracy in ((name, 0.25), ("z", 0.75)):
        directory = stored_run(data=path, val_accuracy=accuracy)
        config = store.Stored(directory).config()
        dataset = config["dataset"] | {"path": path}
        durable.write_yaml(directory / "config.yaml", config | {"dataset": dataset})
    asked.add(tmp_path / "main", ["dataset.path"])
    loaded = reading.load(tmp_path / "main")
    for reference, difference in ((name, 0.5), ("z", -0.5)):
        (found,) = loaded.comparisons("dataset.path", reference)
        assert found.reference.strip("'") == reference
        (row,) = loaded.table("dataset.path", reference).to_dict("records")
        assert row["arch"] == "34"
        assert row[found.columns[1]] - row[found.columns[0]] == difference
        assert row[f"{found.columns[0]} n"] == 1
        assert row[found.difference(found.columns[1])] == difference
    (usual,) = loaded.comparisons("dataset.path")
    assert usual.reference is not None and len(usual.others) == 1


def test_labels_of_digits_and_dots_are_ordered():
    levels = [Label(text, 1) for text in ("2.0.0", "1.2.3", "10", "9", "1e-3", "0.5", ".25", "1.")]
    ordered = sorted(levels, key=level_key)
    assert [one for one in ordered if level_key(one)[2]] == ["1e-3", ".25", "0.5", "9", "10"]

    ordered = ["-1e+20", "-2.0", "-0.5", "1.0", "3", "1e+20"]
    assert sorted((Label(text, 1) for text in sorted(ordered)), key=level_key) == ordered


def test_a_part_with_the_name_of_a_column_of_tables_has_its_full_key(stored_run, tmp_path):
    for plain in ("true", "false"):
        for se in ("true", "false"):
            directory = stored_run("arch=20", f"plain={plain}", f"parts.se={se}")
            config = copy.deepcopy(store.Stored(directory).config())
            config["parts"]["parameters"] = config["parts"].pop("se")
            parts = config[RECORD_KEY]["parts"]
            parts["parameters"] = parts.pop("se") | {"title": "parameters"}
            durable.write_yaml(directory / "config.yaml", config)
    (comparison,) = reading.load(tmp_path / "main").comparisons()
    assert comparison.rows == ("arch", "parts.parameters")
    assert set(cost_table(comparison)["parts.parameters"]) == {"true", "false"}
    assert set(cost_table(comparison)["parameters"]) == {1000}

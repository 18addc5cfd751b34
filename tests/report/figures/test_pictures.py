import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from ablation.analysis import reading
from ablation.data import cache
from ablation.data.kinds import KINDS
from ablation.records import asked, durable, store
from ablation.report import markdown, write
from ablation.report.figures import pictures
from ablation.report.figures.pictures import Guess
from ablation.report.gallery import gallery, spread
from ablation.report.write import write_report

DIGITS = tuple("0123456789")
GREY = KINDS["images"].picture({"channels": 1})


@pytest.fixture
def images(tmp_path):
    """A cached data set of 24 images in two classes; returns it and the keys that lead to it."""
    root = tmp_path / "images"
    for split in ("train", "val"):
        for name, color in (("cats", "red"), ("dogs", "blue")):
            (root / split / name).mkdir(parents=True)
            for i in range(6):
                Image.new("RGB", (8, 8), color).save(root / split / name / f"{i}.png")
    keys = ["dataset=folder", f"dataset.path={root}", "dataset.image_size=8", "arch=20"]
    keys.append(f"cache_dir={tmp_path / 'cache'}")
    return keys


def _predict(directory, predicted, label=None):
    label = np.array([0] * 6 + [1] * 6 if label is None else label, np.int32)
    found = {"label": label, "predicted": np.array(predicted, np.int32)}
    confidence = np.full(len(label), 0.75, np.float32)
    durable.write_arrays(directory / "predictions.npz", found | {"confidence": confidence})


@pytest.fixture
def pictured(images, stored_run, config):
    """Stores runs on those images; plain takes every image for a cat, residual errs once."""
    keys = images
    dataset = config(*keys).dataset
    data = cache.prepare(dataset, config(*keys).cache_dir, lambda *_: None)
    for arm, predicted in (("true", [0] * 12), ("false", [0] * 6 + [1] * 5 + [0])):
        for seed in (3, 5):
            directory = stored_run(
                *keys,
                f"plain={arm}",
                f"seed={seed}",
                data=data.fingerprint,
                classes=data.meta["classes"],
                train_per_class=[6, 6],
                val_per_class=[6, 6],
            )
            _predict(directory, predicted)
    return data


def _gallery(folder, contrast="plain"):
    loaded = reading.load(folder)
    return gallery(loaded, loaded.comparisons(contrast)[0])


def test_a_confusion_matrix_counts_every_image_of_every_seed(pictured, tmp_path):
    plain, residual = _gallery(tmp_path / "main").cells
    assert (plain.row, plain.column, residual.column) == ("depth 20", "plain", "residual")
    assert plain.confusion(2).tolist() == [[12, 0], [12, 0]]
    assert residual.confusion(2).tolist() == [[12, 0], [2, 10]]
    table = _gallery(tmp_path / "main").confusion_table()
    assert table["count"].sum() == 2 * 2 * 12
    wrong = table[(table["column"] == "residual") & (table["true"] != table["predicted"])]
    assert wrong[["seeds", "true", "predicted", "count"]].values.tolist() == [
        [2, "dogs", "cats", 2]
    ]


def test_the_report_shows_the_pictures_and_says_when_the_images_are_gone(pictured, tmp_path):
    write_report(tmp_path / "main")
    folder, file = tmp_path / "main" / "report", tmp_path / "main" / "report.md"
    for kind in ("confusion", "predictions", "examples"):
        assert f"(report/{kind}-folder.png)" in file.read_text()
        assert (folder / f"{kind}-folder.png").exists()
    assert "summed over 2 seeds" in file.read_text()
    (pictured.directory / "meta.json").unlink()
    write_report(tmp_path / "main")
    assert "not in the cache any more" in file.read_text()
    assert (folder / "confusion-folder.png").exists()
    for kind in ("predictions", "examples"):
        assert f"{kind}-folder.png" not in file.read_text()
        assert not (folder / f"{kind}-folder.png").exists()


def test_every_file_of_a_report_is_known_as_its_own(pictured, tmp_path):
    for directory in (tmp_path / "main").glob("20-*"):
        layers = pd.DataFrame([(5, "conv", 1, "3x3", 1.0, 1.0)], columns=store.DIAGNOSTIC_COLUMNS)
        layers.to_csv(directory / "diagnostics.csv", index=False)
    write_report(tmp_path / "main")
    files = {path.name for path in (tmp_path / "main" / "report").iterdir()}
    always = {"checklist.md", "history.csv", "runs.csv"}
    assert always <= files
    kinds = {name.split("-")[0] for name in files - always}
    assert len(kinds) == 13
    # What is not would stay behind when a later report has another name for it.
    assert {name for name in files if not write._OWN.fullmatch(name)} == always


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half an archive"])
def test_runs_without_predictions_are_counted(content, pictured, tmp_path):
    for directory in (tmp_path / "main").glob("20-plain-*"):
        (directory / "predictions.npz").unlink()
        if content is not None:
            (directory / "predictions.npz").write_bytes(content)
    shown = _gallery(tmp_path / "main")
    assert [cell.column for cell in shown.cells] == ["residual"]
    assert any("1 of 2 cells have no readable predictions.npz" in r for r in shown.remarks)


def test_of_many_cells_whole_rows_are_drawn_and_the_rest_is_told(stored_run, tmp_path):
    for arch in ("18", "20", "32", "34", "44", "50"):
        for arm in ("true", "false"):
            _predict(stored_run(f"arch={arch}", f"plain={arm}"), range(10), label=range(10))
    shown = _gallery(tmp_path / "main")
    assert [(cell.row, cell.column) for cell in shown.cells] == [
        (f"depth {arch}", column)
        for arch in ("18", "50", "20", "44")
        for column in ("plain", "residual")
    ]
    assert "Pictures show 8 of 12 cells." in shown.remarks


def test_a_baseline_is_drawn_beside_rows_of_many_columns(stored_run, tmp_path):
    keys = ["plain=true", *(f"shortcut={kind}" for kind in ("zero_pad", "projection"))]
    keys += ["shortcut=projection_all", "shortcut=projection3x3"]
    for arch in ("34", "50"):
        for key in keys:
            _predict(stored_run(f"arch={arch}", key), range(10), label=range(10))
    _predict(stored_run("arch=vgg16"), range(10), label=range(10))
    cells = [(cell.row, cell.column) for cell in _gallery(tmp_path / "main").cells]
    assert cells[:2] == [("depth 34", "plain"), ("depth 34", "residual zero_pad")]
    assert cells[4:] == [("vgg16", "as it is")]


def test_images_that_not_all_runs_have_seen_are_told_apart(stored_run, tmp_path):
    for size, data in ((32, "d1"), (64, "d2")):
        keys = (f"dataset.image_size={size}", "arch=20")
        _predict(stored_run(*keys, data=data), range(10), label=range(10))
    asked.add(tmp_path / "main", ["dataset.image_size"])
    shown = _gallery(tmp_path / "main")
    assert len(shown.cells) == 1
    assert any("one of the comparison's sets of images" in remark for remark in shown.remarks)


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (1, None),
        (2, "Images have 2 channels; pictures show the first in grey."),
        (3, None),
        (5, "Images have 5 channels; pictures show the first three as red, green and blue."),
    ],
)
def test_images_of_any_shape_are_drawn_and_which_channels_is_said(
    channels, said, stored_run, config, tmp_path
):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 16, channels)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(20) % 2)
    keys = ["dataset=arrays", f"dataset.path={tmp_path / 'data.npz'}", "arch=20"]
    keys.append(f"cache_dir={tmp_path / 'cache'}")
    dataset = config(*keys).dataset
    data = cache.prepare(dataset, tmp_path / "cache", lambda *_: None)
    facts = {"classes": ["0", "1"], "train_per_class": [8, 8], "val_per_class": [2, 2]}
    for plain in ("true", "false"):
        directory = stored_run(*keys, f"plain={plain}", data=data.fingerprint, **facts)
        _predict(directory, [0, 0, 1, 1], label=[0, 1, 0, 1])
    remarks = _gallery(tmp_path / "main").remarks
    assert [one for one in remarks if "channels" in one] == ([said] if said else [])
    write_report(tmp_path / "main")
    for kind in ("examples", "predictions"):
        assert list((tmp_path / "main" / "report").glob(f"{kind}-*.png"))


def test_an_image_keeps_its_aspect_ratio():
    figure = pictures.examples({"wide": [np.zeros((8, 32, 1), np.uint8)]}, GREY)
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    assert (right - left) / abs(top - bottom) == pytest.approx(4)


def test_no_complete_run_no_pictures(stored_run, tmp_path):
    stored_run(state=store.FAILED, reason="no memory")
    assert _gallery(tmp_path / "main") is None


def test_spread_keeps_both_ends():
    assert spread(list("abcdef"), 4) == ["a", "c", "d", "f"]
    assert spread(list("ab"), 4) == ["a", "b"]
    assert spread(list("abc"), 1) == ["a"]


def test_a_wrong_guess_is_marked_by_border_and_cross_and_not_by_colour_alone():
    pixels = np.zeros((3, 8, 8, 1), np.uint8)
    guesses = [Guess("cat", True, "90%"), Guess("dog", False, "60%"), Guess("cat", True)]
    figure = pictures.predictions(pixels, ["cat", "cat", "cat"], {("depth 20",): guesses}, GREY)
    (axes,) = figure.axes
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [frame.get_linestyle() == "-" for frame in frames] == [True, False, True]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["cat\n90%", "✗ dog\n60%", "cat\n"]
    assert len(axes.images) == 3


def test_a_matrix_shows_the_share_of_each_true_class():
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 500, 1]])
    figure = pictures.confusion({("depth 20", "plain"): counts}, ["a", "b", "c"])
    axes = figure.axes[0]
    np.testing.assert_allclose(
        axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 0, 0], [0, 500 / 501, 1 / 501]]
    )
    # A class without images and a share that rounds to nothing have no number.
    assert [text.get_text() for text in axes.texts] == ["75", "25", "100"]


def test_titles_of_confusion_matrices_do_not_meet_and_short_rows_share_a_line():
    row = "depth 110, recipe.learning_rate 0.001"
    cells = [(row, "plain"), (row, "residual projection_all"), ("vgg16", "a"), ("vgg19", "b")]
    figure = pictures.confusion({cell: np.eye(2, dtype=int) for cell in cells}, ["a", "b"])
    figure.draw_without_rendering()
    titles = [axes.title.get_window_extent() for axes in figure.axes[:4]]
    assert titles[0].x1 < titles[1].x0
    assert titles[2].y0 == pytest.approx(titles[3].y0) and titles[2].y1 < titles[1].y0


def test_a_long_name_keeps_both_ends():
    figure = pictures.examples(
        {f"a_very_long_class_name_{i:02}": [np.zeros((8, 8, 1))] for i in (1, 2)}, GREY
    )
    one, two = (label.get_text() for label in figure.axes[0].get_yticklabels())
    assert one.startswith("a_very") and one.endswith("_01") and two.endswith("_02")


def test_every_name_lies_inside_the_sheet():
    classes = ["a", "a class with quite a long name"]
    figure = pictures.examples(
        {name: [np.zeros((8, 8, 3), np.uint8)] * 2 for name in classes}, GREY
    )
    figure.draw_without_rendering()
    for label in figure.axes[0].get_yticklabels():
        assert label.get_window_extent().x0 >= 0


def test_unequal_classes_and_broken_images_are_told(stored_run, tmp_path):
    for arm in ("true", "false"):
        stored_run(
            f"plain={arm}",
            classes=["cats", "dogs"],
            train_per_class=[300, 3],
            val_per_class=[90, 10],
            skipped=9,
            skipped_names=[f"cats/{i}.png" for i in range(9)],
        )
    loaded = reading.load(tmp_path / "main")
    (comparison,) = loaded.comparisons()
    printed = markdown.accuracy(comparison)
    assert "Always answering the most frequent class would score 90.00." in printed
    assert "100 times the training images of the smallest" in printed
    text = markdown.conditions(loaded, comparison)
    assert "cats 300, dogs 3" in text and "cats 90, dogs 10" in text
    assert "9: cats/0.png" in text and "and 3 more" in text


def test_what_is_left_out_and_classes_without_images_are_told(stored_run, tmp_path):
    names = [f"cats/{i}.heic" for i in range(20)]
    for arm in ("true", "false"):
        stored_run(
            f"plain={arm}",
            classes=["apes", "cats", "dogs"],
            train_per_class=[300, 300, 300],
            val_per_class=[90, 0, 0],
            left_out=[
                {"reason": "a .heic file, which is not read", "count": 2000, "names": names},
                {"reason": "hidden", "count": 1, "names": [".DS_Store"]},
            ],
            lost=["owls"],
        )
    loaded = reading.load(tmp_path / "main")
    (comparison,) = loaded.comparisons()
    printed = markdown.accuracy(comparison)
    assert "**Warning:** no validation image of cats, dogs; no image in owls" in printed
    text = markdown.conditions(loaded, comparison)
    assert "left out: a .heic file, which is not read" in text and "2,000: cats/0.heic" in text
    assert "and 1,994 more" in text and "1: .DS_Store" in text


def test_accuracy_near_that_of_the_most_frequent_class_is_near_chance(stored_run, tmp_path):
    for arm, accuracy in (("true", 0.905), ("false", 0.95)):
        stored_run(f"plain={arm}", val_accuracy=accuracy, val_per_class=[90, 10])
    effects = reading.load(tmp_path / "main").effects()
    assert (effects["near_chance"].iloc[0], effects["runs"].iloc[0]) == (1, 2)


def test_results_that_did_not_count_their_classes_are_read_as_equal_ones(stored_run, tmp_path):
    directory = stored_run()
    result = durable.read_json(directory / "result.json")
    for key in ("train_per_class", "val_per_class", "left_out", "lost"):
        del result[key]
    durable.write_json(directory / "result.json", result)
    loaded = reading.load(tmp_path / "main")
    assert loaded.runs["chance"].tolist() == [pytest.approx(0.1)]
    assert "images by class" not in markdown.conditions(loaded, *loaded.comparisons())

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from ablation.data import cache, sources
from sources_support import config, examples, no_progress, one_line

datasets = pytest.importorskip("datasets")

COLORS = ((255, 0, 0), (0, 0, 255))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")


def rows(count=20, **changes):
    columns = {
        "image": [Image.new("RGB", (6, 4), COLORS[i % 2]) for i in range(count)],
        "label": [i % 2 for i in range(count)],
        "who": [f"p{i // 4}" for i in range(count)],
    }
    columns |= changes
    kinds = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["red", "blue"]),
        "who": datasets.Value("string"),
    }
    kinds |= {key: datasets.Value("string") for key in changes if key not in kinds}
    features = datasets.Features({key: kinds[key] for key, value in columns.items() if value})
    return datasets.Dataset.from_dict({key: columns[key] for key in features}, features=features)


OF_TAGS = {"label_column": "tags"}
TAGS = [[[0], [0, 1], [], [1]][i % 4] for i in range(20)]
FLAGS = [[k in of_row for k in (0, 1)] for of_row in TAGS]


def numbers(**changes):
    """A set without images: numbers, lists of them, and labels of every kind."""
    value, sequence = datasets.Value, datasets.Sequence
    columns = {
        "a": (value("float32"), [i / 3 for i in range(20)]),
        "b": (value("int64"), [*range(20)]),
        "one": (value("bool"), [of_row[0] for of_row in FLAGS]),
        "two": (value("bool"), [of_row[1] for of_row in FLAGS]),
        "tags": (sequence(datasets.ClassLabel(names=["red", "blue"])), TAGS),
        "many": (sequence(value("int8")), [[*map(int, of_row)] for of_row in FLAGS]),
        "point": (sequence(value("float32")), [[i / 3, float(i)] for i in range(20)]),
        "input_ids": (sequence(value("int32")), [[1 + i] * (1 + i % 3) for i in range(20)]),
        "attention_mask": (sequence(value("int8")), [[1] * (1 + i % 3) for i in range(20)]),
        "signal": (sequence(sequence(value("float32"))), [[[i - 9.5, -i]] * 5 for i in range(20)]),
        "grid": (datasets.Array2D((2, 3), "float32"), [np.full((2, 3), -i) for i in range(20)]),
        "ragged": (sequence(value("float32")), [[0.5] * (1 + i % 2) for i in range(20)]),
    }
    features = datasets.Features({name: kind for name, (kind, _) in columns.items()})
    held = {name: values for name, (_, values) in columns.items()} | changes
    return datasets.Dataset.from_dict(held, features=features)


def both(train=14, **more):
    whole = rows()
    splits = {"train": whole.select([*range(train)]), "test": whole.select([*range(train, 20)])}
    return datasets.DatasetDict(splits | more)


@pytest.fixture
def saved(tmp_path):
    """Saves a set; returns the configuration that reads it."""

    def write(one, **keys):
        one.save_to_disk(tmp_path / "saved")
        return config("huggingface", path=str(tmp_path / "saved"), **keys)

    return write


def opened(dataset):
    return sources.open_source(dataset)


def counts(source):
    return tuple(len(examples(source, split)) for split in sources.SPLITS)


def check_colors(source):
    for split in sources.SPLITS:
        for row in examples(source, split):
            color = COLORS[("red", "blue").index(source.classes[row.label])]
            assert np.abs(row.image[1, 1] - np.array(color)).max() < 5  # A JPEG is near.


def test_a_saved_set_keeps_its_images_classes_and_splits(saved):
    source = opened(saved(both()))
    assert source.classes == ("red", "blue")
    assert counts(source) == (14, 6)
    check_colors(source)


def test_each_split_has_its_own_numbers_of_the_classes(saved):
    whole = rows()
    names = {"train": ["green", "blue", "red"], "test": ["red", "blue"]}
    parts = {}
    for name, some in both().items():
        labels = [names[name].index(("red", "blue")[label]) for label in some["label"]]
        kind = datasets.ClassLabel(names=names[name])
        parts[name] = some.remove_columns("label").add_column("label", labels)
        parts[name] = parts[name].cast_column("label", kind)
    source = opened(saved(datasets.DatasetDict(parts)))
    assert source.classes == ("green", "blue", "red") and len(whole) == sum(counts(source))
    check_colors(source)


def test_a_split_without_labels_does_not_validate_by_itself(saved, capsys):
    splits = both()
    splits["test"] = splits["test"].remove_columns("label")
    assert counts(opened(saved(splits))) == (12, 2)
    assert "a part of train validates; left out: test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "keys", "said"),
    [
        ("label", {"val_split": "test"}, "the split test has no column label"),
        ("image", {}, "the split test has no column image"),
        ("who", {"group": "who"}, "the split test has no column who"),
    ],
)
def test_a_column_that_a_split_lacks_is_named(column, keys, said, saved):
    splits = both()
    splits["test"] = splits["test"].remove_columns(column)
    assert said in one_line(lambda: opened(saved(splits, **keys)))


def unlabelled(split):
    return split.map(lambda row: row | {"label": -1})


def test_a_split_of_which_no_row_has_a_label_does_not_validate_by_itself(saved, capsys):
    splits = both()
    good = splits["test"]
    splits["test"] = unlabelled(good)
    assert counts(opened(saved(splits))) == (12, 2)
    assert "left out: test" in capsys.readouterr().err


def test_the_first_split_with_labels_validates(saved, tmp_path):
    splits = both()
    splits["validation"] = unlabelled(splits["test"])
    assert counts(opened(saved(splits))) == (14, 6)
    asked = config("huggingface", path=str(tmp_path / "saved"), val_split="validation")
    said = one_line(lambda: opened(asked))
    assert "no row of the split validation has a label" in said


def test_rows_to_validate_on_are_drawn_among_those_with_a_label(saved, tmp_path):
    few = [float(i) + 0.5 if i % 5 == 0 else None for i in range(100)]
    whole = datasets.Dataset.from_dict({"x": [i * i for i in range(100)], "label": few})
    source = opened(saved(whole, kind="features"))
    labelled = {
        split: [row.name for row in examples(source, split) if not row.reason]
        for split in sources.SPLITS
    }
    assert [*map(len, labelled.values())] == [16, 4]
    assert sum(counts(source)) == 100


@pytest.mark.parametrize("names", [["0.5", "1.5"], ["1e3", "2.5"], ["7", "3"]])
def test_classes_may_have_numbers_for_names(names, saved):
    whole = rows().cast_column("label", datasets.ClassLabel(names=names))
    source = opened(saved(whole))
    assert (source.target.kind, source.classes) == ("classes", tuple(names))


def test_names_of_labels_keep_their_blanks(saved):
    names = ["red ", "blue"]
    kind = datasets.Sequence(datasets.ClassLabel(names=names))
    source = opened(
        saved(numbers().cast_column("tags", kind), label_column="tags", kind="features")
    )
    assert source.classes == tuple(names)


def test_texts_of_labels_may_be_bytes(saved):
    whole = datasets.Dataset.from_dict(
        {"x": [i * i for i in range(20)], "label": [b"a", b"b"] * 10}
    )
    assert opened(saved(whole, kind="features")).classes == ("a", "b")


def test_nobody_is_in_both_splits_however_their_numbers_are_written(saved):
    def part(kind, people):
        labels = [i % 2 for i in range(len(people))]
        columns = {"x": [i / 3 for i in range(len(people))], "label": labels, "who": people}
        features = {"x": "float32", "label": "int64", "who": kind}
        features = {name: datasets.Value(one) for name, one in features.items()}
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    splits = {"train": part("int64", [0, 1, 2, 3]), "test": part("float64", [0, 1, 8, 9])}
    said = one_line(
        lambda: opened(saved(datasets.DatasetDict(splits), group="who", kind="features"))
    )
    assert "the splits share 0, 1 of dataset.group" in said


def test_whose_rows_have_no_label_in_a_split_is_not_in_it(saved):
    splits = both()
    people = ["p0", *splits["test"]["who"][1:]]
    labels = [-1, *splits["test"]["label"][1:]]
    kinds = splits["test"].features
    for name, values in (("who", people), ("label", labels)):
        splits["test"] = splits["test"].remove_columns(name).add_column(name, values)
    splits["test"] = splits["test"].cast(datasets.Features({**kinds}))
    splits["train"] = splits["train"].select(range(12))
    assert counts(opened(saved(splits, group="who"))) == (12, 6)


def test_columns_that_number_the_rows_are_no_features_and_told(saved, capsys):
    changes = {"idx": [*range(20)], "__index_level_0__": [*range(20, 0, -1)]}
    whole = numbers().select_columns(["a", "b", "one"])
    for name, values in changes.items():
        whole = whole.add_column(name, values)
    asked = saved(whole, label_column="one", target="classes", kind="features")
    assert examples(opened(asked), "train")[0].image.shape == (1,)
    assert "they number the rows: b, idx, __index_level_0__" in capsys.readouterr().err


@pytest.mark.parametrize("starts", [(0, 0), (1, 1), (0, 14), (1, 15)])
def test_a_column_may_number_the_rows_of_all_splits_or_of_each(starts, saved, capsys):
    def part(start, count):
        columns = {"a": [i / 3 for i in range(count)], "label": [i % 2 for i in range(count)]}
        return datasets.Dataset.from_dict(columns | {"Id": [*range(start, start + count)]})

    splits = {"train": part(starts[0], 14), "test": part(starts[1], 6)}
    asked = saved(datasets.DatasetDict(splits), label_column="label", kind="features")
    assert examples(opened(asked), "train")[0].image.shape == (1,)
    assert "they number the rows: Id" in capsys.readouterr().err


def test_numbers_beside_images_are_neither_read_nor_told(saved, capsys):
    splits = both()
    splits["train"] = splits["train"].add_column("idx", [*range(14)]).add_column("a", [0.5] * 14)
    assert counts(opened(saved(splits))) == (14, 6)
    assert "number the rows" not in capsys.readouterr().err


def test_a_folder_is_no_set_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ylecun" / "mnist").mkdir(parents=True)
    said = one_line(lambda: sources.state(config("huggingface", name="ylecun/mnist")))
    assert "is a folder here" in said and "dataset.path=ylecun/mnist" in said


def test_one_split_is_parted_and_nobody_is_in_both(saved):
    source = opened(saved(rows(), group="who"))
    found = [{int(row.name.split()[1]) // 4 for row in examples(source, s)} for s in sources.SPLITS]
    assert not found[0] & found[1] and found[0] | found[1] == set(range(5))
    check_colors(source)


def test_a_folder_of_parquet_is_read(tmp_path):
    (tmp_path / "parquet").mkdir()
    for name, split in both().items():
        split.to_parquet(tmp_path / "parquet" / f"{name}-0.parquet")
    source = opened(config("huggingface", path=str(tmp_path / "parquet")))
    assert counts(source) == (14, 6)
    check_colors(source)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder_of_images_is_read(suffix, tmp_path):
    for i in range(20):
        file = tmp_path / "set" / ("train", "test")[i >= 14] / ("red", "blue")[i % 2]
        file.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), COLORS[i % 2]).save(file / f"{i}.{suffix}")
    source = opened(config("huggingface", path=str(tmp_path / "set")))
    assert counts(source) == (14, 6)
    check_colors(source)


def test_columns_and_splits_may_be_named(saved):
    whole = both(other=rows()).rename_columns({"image": "picture", "label": "kind"})
    keys = {"image_column": "picture", "label_column": "kind", "val_split": "other"}
    assert counts(opened(saved(whole, **keys))) == (14, 20)


def test_texts_may_be_classes(saved):
    source = opened(saved(rows(), label_column="who"))
    assert source.classes == ("p0", "p1", "p2", "p3", "p4")


def read(dataset):
    """The source, and inputs and labels of all its examples in the order of their rows."""
    source = opened(dataset)
    found = [row for split in sources.SPLITS for row in examples(source, split)]
    found.sort(key=lambda row: int(row.name.split()[1]))
    return source, *(np.array([getattr(row, key) for row in found]) for key in ("image", "label"))


@pytest.mark.parametrize(
    ("keys", "kind", "names", "expected"),
    [
        ({"label_column": "a"}, "value", ("a",), np.arange(20)[:, None] / 3),
        ({"label_column": "b", "target": "value"}, "value", ("b",), np.arange(20)[:, None]),
        (
            {"label_column": "point"},
            "value",
            ("point 0", "point 1"),
            np.arange(20)[:, None] / [3, 1],
        ),
        (
            {"label_columns": ["b", "a"]},
            "value",
            ("b", "a"),
            np.arange(20)[:, None] / [1, 3],
        ),
        (OF_TAGS, "labels", ("red", "blue"), FLAGS),
        ({"label_column": "many"}, "labels", ("many 0", "many 1"), FLAGS),
        ({"label_columns": ["one", "two"]}, "labels", ("one", "two"), FLAGS),
        ({"label_column": "one"}, "classes", ("False", "True"), [of_row[0] for of_row in FLAGS]),
    ],
)
def test_labels_may_be_values_and_several(keys, kind, names, expected, saved):
    dataset = saved(numbers(), input_column="grid", **keys)
    source, _, labels = read(dataset)
    assert source.target.kind == kind and source.classes == names
    np.testing.assert_allclose(labels, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("keys", "kind", "first"),
    [
        ({}, "tokens", [2, 2, 0]),
        ({"input_column": "grid"}, "signals", np.full((2, 3), -1)),
        ({"input_column": "signal"}, "signals", [[-8.5, -1]] * 5),
        ({"input_column": "point"}, "features", [1 / 3, 1]),
    ],
)
def test_inputs_may_be_lists_of_numbers(keys, kind, first, saved):
    dataset = saved(numbers(), label_column="one", **keys)
    source, inputs, _ = read(dataset)
    assert source.kind.name == kind
    np.testing.assert_allclose(inputs[1], first, rtol=1e-6)


def test_columns_of_numbers_are_features(saved, tmp_path):
    whole = numbers().select_columns(["a", "b", "one"]).train_test_split(0.25, seed=0)
    built = cache.prepare(saved(whole, label_column="one"), tmp_path / "cache", no_progress)
    assert built.kind.name == "features" and built.input_shape == (2,)
    assert (built.count("train"), built.count("val")) == (15, 5)
    np.testing.assert_allclose(built.images("val")[:, 1], whole["test"]["b"])


def test_rows_without_a_value_are_left_out_and_told(saved, tmp_path):
    values = [None if i == 3 else float("nan") if i == 4 else i / 7 for i in range(20)]
    dataset = saved(numbers(a=values), label_column="a", input_column="point")
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert [(one["reason"], one["count"]) for one in built.left_out] == [("no label", 2)]
    kept = np.concatenate([built.labels("train"), built.labels("val")])[:, 0]
    np.testing.assert_allclose(
        sorted(kept), [i / 7 for i in range(20) if i not in (3, 4)], rtol=1e-6
    )


def test_rows_without_a_label_or_an_image_are_left_out_and_told(saved, tmp_path):
    labels = [-1 if i == 3 else None if i == 4 else i % 2 for i in range(20)]
    images = [None if i == 5 else Image.new("RGB", (6, 4), COLORS[i % 2]) for i in range(20)]
    built = cache.prepare(saved(rows(image=images, label=labels)), tmp_path / "cache", no_progress)
    found = {group["reason"]: group["count"] for group in built.left_out}
    assert found == {"no label": 2, "no image": 1}
    assert built.count("train") + built.count("val") == 17


def test_a_set_that_changes_on_disk_is_another(saved):
    before = sources.state(saved(rows()))
    assert sources.state(saved(rows(16))) != before


@pytest.mark.parametrize(
    ("whole", "keys", "words"),
    [
        (lambda: rows(label=None), {}, ["dataset.label_column must be named", "who (Value)"]),
        (lambda: rows(image=None), {}, ["dataset.image_column must be named", "none holds images"]),
        (lambda: rows(image=None), {}, ["Texts are not read: map them to tokens first"]),
        (rows, {"image_column": "label"}, ["image_column=label is no column of images"]),
        (rows, {"label_column": "image"}, ["label_column=image is no column of labels"]),
        (rows, {"label_column": "no"}, ["label_column=no is no column of labels", "image (Image)"]),
        (rows, {"group": "patient"}, ["has no column patient", "image, label, who"]),
        (lambda: rows(who=["a", None] * 10), {"group": "who"}, ["row 1 has no who"]),
        (rows, {"val_split": "no"}, ["has no split no (dataset.val_split)", "it has train"]),
        (both, {"train_split": "no"}, ["has no split no (dataset.train_split)"]),
        (both, {"train_split": "test", "val_split": "test"}, ["cannot both train and validate"]),
        (lambda: both(20), {}, ["is not read by datasets"]),
        (lambda: both(13), {"group": "who"}, ["the splits share p3"]),
        (lambda: rows(label=[0] * 20), {}, ["at least two classes", "only 'red'"]),
        (lambda: rows(label=[-1] * 20), {}, ["no row of the split train has a label in label"]),
        (numbers, {"label_column": "no"}, ["label_column=no is no column of labels"]),
        (numbers, {"label_columns": ["a", "tags"]}, ["tags is no column of numbers", "a (Value)"]),
        (numbers, {**OF_TAGS, "input_column": "a"}, ["input_column=a is no column of inputs"]),
        (numbers, OF_TAGS | {"input_column": "ragged"}, ["lists of ragged have several lengths"]),
        (
            lambda: numbers(a=[0.5, None] * 10),
            {"label_columns": ["one", "two"], "kind": "features"},
            ["row 1 has no finite number in a, nor have 9 more cells"],
        ),
        (
            lambda: numbers(input_ids=[None, [1]] * 10),
            OF_TAGS | {"input_column": "input_ids"},
            ["row 0 has no input_ids"],
        ),
        (
            lambda: numbers(input_ids=[[-1], [1]] * 10),
            OF_TAGS | {"input_column": "input_ids"},
            ["input_ids[0] holds -1"],
        ),
    ],
)
def test_a_set_that_does_not_do_is_refused_in_one_line(whole, keys, words, saved):
    dataset = saved(whole(), **keys)
    message = one_line(lambda: opened(dataset))
    for word in words:
        assert word in message


def test_a_folder_that_is_no_set_is_refused_in_one_line(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "state.json").write_text("{")
    (tmp_path / "damaged" / "dataset_info.json").write_text(json.dumps({}))
    for name, word in (
        ("empty", "is not read by datasets"),
        ("damaged", "is not read by datasets"),
        ("file.txt", "is a file"),
        ("nowhere", "is not there"),
    ):
        dataset = config("huggingface", path=str(tmp_path / name))
        assert word in one_line(lambda dataset=dataset: (sources.state(dataset), opened(dataset)))


def test_a_set_of_the_hub_that_cannot_be_fetched_says_so_at_once(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("Couldn't reach it\nmore")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    message = one_line(lambda: opened(config("huggingface", name="ylecun/mnist")))
    for word in ("ylecun/mnist is not on this machine", "Couldn't reach it", "save_to_disk"):
        assert word in message


def test_without_a_path_or_a_name_it_says_what_is_needed():
    message = one_line(lambda: sources.state(config("huggingface")))
    assert "needs dataset.path" in message and "or dataset.name" in message


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = one_line(lambda: sources.state(config("huggingface", path=str(tmp_path))))
    assert "pip install datasets" in message

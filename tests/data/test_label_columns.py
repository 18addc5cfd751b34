"""Labels of a table: several columns of them, or several in a cell."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ablation.data import cache, sources
from sources_support import config, examples, no_progress, one_line

TAGS = ["haze road", "road", "haze", "water", "haze water"] * 4
NAMES = ("haze", "road", "water")
FLAGS = np.array([[name in tags.split() for name in NAMES] for tags in TAGS], int)
SEVERAL = {"label_columns": [*NAMES]}
OF_TAGS = {"label_column": "tags", "target": "labels"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(len(TAGS)):
        Image.new("RGB", (6, 4), (10 * i, 0, 0)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def table(pictures, tmp_path):
    """Writes a table with some columns; returns the configuration that reads it."""

    def write(columns, keys=(), file="labels.csv", images=True):
        frame = pd.DataFrame(dict(columns))
        if images:
            frame.insert(0, "path", [str(pictures / f"{i}.png") for i in range(len(frame))])
        write = frame.to_parquet if file.endswith(".parquet") else frame.to_csv
        write(tmp_path / file, index=False)
        return config("table", path=str(tmp_path / file), **dict(keys))

    return write


def flags(cast=lambda column: column):
    return {name: cast(column) for name, column in zip(NAMES, FLAGS.T, strict=True)}


def read(dataset):
    """The source, and the labels of all its examples in the order of their names."""
    source = sources.open_source(dataset)
    rows = [row for split in sources.SPLITS for row in examples(source, split)]
    rows.sort(key=lambda row: int(row.name.split("/")[-1].removesuffix(".png").split()[-1]))
    return source, np.array([row.label for row in rows])


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({"tags": TAGS}, OF_TAGS),
        ({"tags": TAGS}, {"target": "labels"}),
        ({"label": TAGS, "other": TAGS}, {"target": "labels"}),
        ({"tags": [tags.replace(" ", "|") for tags in TAGS]}, OF_TAGS),
        ({"tags": [tags.replace(" ", " ; ") for tags in TAGS]}, OF_TAGS),
        ({"tags": [tags.replace(" ", ", ") for tags in TAGS]}, OF_TAGS),
        ({"tags": [tags.replace(" ", "/") for tags in TAGS]}, OF_TAGS | {"label_separator": "/"}),
        ({"tags": [str(tags.split()) for tags in TAGS]}, OF_TAGS),
        (flags(), {"target": "labels"}),
        (flags(), SEVERAL),
        (flags(lambda column: column == 1), SEVERAL),
        (flags(lambda column: column.astype(float)) | {"note": TAGS}, SEVERAL),
        (flags() | {"patient": TAGS, "split": ["train"] * 12 + ["val"] * 8}, SEVERAL),
    ],
)
def test_labels_stand_in_a_cell_or_in_columns(columns, keys, table):
    source, labels = read(table(columns, keys))
    assert source.target.kind == "labels" and source.classes == NAMES
    np.testing.assert_array_equal(labels, FLAGS)


def test_parquet_is_the_same_data_and_may_hold_lists(table, tmp_path):
    several = {"tags": [tags.split() for tags in TAGS]}
    asked = [
        table({"tags": TAGS}, OF_TAGS),
        table(several, {"label_column": "tags"}, "a.parquet"),
        table(flags(), SEVERAL, "b.parquet"),
        table(flags(lambda column: column == 1), SEVERAL, "c.parquet"),
    ]
    built = [cache.prepare(one, tmp_path / "cache", no_progress) for one in asked]
    assert len({one.fingerprint for one in built}) == 1
    assert {tuple(one.target(asked[0]).outputs) for one in built} == {NAMES}


def test_an_empty_list_has_no_label(table):
    tags = [["a", "b"], [], ["b"], ["a"]] * 4
    for columns, file in (({"tags": tags}, "a.parquet"), ({"tags": [*map(str, tags)]}, "a.csv")):
        source, labels = read(table(columns, OF_TAGS, file))
        assert source.classes == ("a", "b")
        np.testing.assert_array_equal(labels[:4], [[1, 1], [0, 0], [0, 1], [1, 0]])


def test_an_empty_list_stands_beside_labels_with_something_between(table):
    tags = ["haze road", "[]", "road", "haze"] * 4
    source, labels = read(table({"tags": tags}, OF_TAGS))
    assert source.classes == ("haze", "road")
    np.testing.assert_array_equal(labels[:4], [[1, 1], [0, 0], [0, 1], [1, 0]])


@pytest.mark.parametrize(
    "cells",
    [
        ["['haze' 'road']", "['haze']"],  # As pandas writes a column of Parquet's lists.
        ["[0 3]", "[3]"],
        ["[haze, road]", "[haze]"],
        ["[['haze'], ['road']]", "['haze']"],
        ["none", "['haze', 'road']"],
    ],
)
def test_a_cell_in_brackets_that_is_no_list_is_refused(cells, table):
    said = one_line(lambda: read(table({"tags": cells * 10}, OF_TAGS)))
    assert f"row 2: tags is {cells[0]!r}, which is no list" in said
    assert "dataset.label_separator" in said


def test_brackets_are_part_of_a_label_where_it_is_said_what_stands_between(table):
    keys = OF_TAGS | {"label_separator": " "}
    assert read(table({"tags": ["[a] [b]", "[b]"] * 10}, keys))[0].classes == ("[a]", "[b]")


def test_lists_need_nothing_between_labels(table):
    keys = OF_TAGS | {"label_separator": ","}
    dataset = table({"tags": [["a", "b"], ["b"]] * 10}, keys, "a.parquet")
    assert read(dataset)[0].classes == ("a", "b")


def test_a_label_keeps_its_blanks_where_something_else_is_between(table):
    tags = ["clear sky|road", "road", "clear sky"] * 4
    assert read(table({"tags": tags}, OF_TAGS))[0].classes == ("clear sky", "road")


def test_the_order_of_columns_is_that_which_is_asked_for(table):
    source, labels = read(table(flags(), {"label_columns": ["water", "haze"]}))
    assert source.classes == ("water", "haze")
    np.testing.assert_array_equal(labels, FLAGS[:, [2, 0]])


def test_features_are_the_columns_that_are_no_labels(table):
    columns = {"a": np.arange(20) * 2, "b": np.arange(20) / 3} | flags()
    source, labels = read(table(columns, SEVERAL, images=False))
    assert source.kind.name == "features" and source.classes == NAMES
    assert examples(source, "train")[0].image.shape == (2,)
    np.testing.assert_array_equal(labels, FLAGS)


def test_several_columns_of_numbers_are_values_of_which_each_has_its_name(table):
    columns = {"x": np.arange(20) / 7, "y": np.arange(20)}
    source, labels = read(table(columns, {"label_columns": ["x", "y"]}))
    assert source.target.kind == "value" and source.classes == ("x", "y")
    np.testing.assert_allclose(labels, np.stack([*columns.values()], axis=1), rtol=1e-6)


def test_columns_of_which_each_row_has_one_are_classes_if_that_is_said(table):
    places = np.arange(20) % 3
    columns = dict(zip(NAMES, np.eye(3, dtype=int)[places].T, strict=True))
    source, labels = read(table(columns, SEVERAL | {"target": "classes"}))
    assert source.target.kind == "classes" and source.classes == NAMES
    np.testing.assert_array_equal(labels, places)
    said = one_line(lambda: read(table(columns, SEVERAL)))
    assert "every row has one 1 in haze, road, water; say dataset.target=classes" in said


def with_(place, value):
    return {"tags": [*TAGS[:place], value, *TAGS[place + 1 :]]}


@pytest.mark.parametrize(
    ("columns", "keys", "words"),
    [
        (with_(3, ""), OF_TAGS, ["row 5 has no tags."]),
        (with_(3, "haze,,road"), OF_TAGS, ["row 5: a label of tags is empty, in 'haze,,road'"]),
        (with_(3, "|"), OF_TAGS, ["row 5: a label of tags is empty"]),
        ({"tags": ["haze", "road"] * 10}, OF_TAGS, ["no cell of tags has | ; ,", "=classes"]),
        (
            {"tags": ["haze/road"] * 20},
            OF_TAGS,
            ["first is 'haze/road'", "dataset.label_separator"],
        ),
        ({"tags": ["a a"] * 20}, OF_TAGS, ["tags has a alone; several"]),
        ({"tags": TAGS}, {"label_column": "no", "target": "labels"}, ["no column no"]),
        (
            flags() | {"id": np.arange(20)},
            {"target": "labels"},
            ["row 4: id is '2'", "label_columns"],
        ),
        (flags(lambda c: c - 1), SEVERAL | {"target": "labels"}, ["row 2: water is '-1'", "1 for"]),
        (flags(lambda c: np.where(c, "yes", "")), SEVERAL, ["row 3 has no haze, nor have 7"]),
        (flags(lambda c: np.where(c, "yes", "no")), SEVERAL, ["row 2: haze is 'yes'", "no number"]),
        (flags(), {"label_columns": ["haze", "no"]}, ["no column no", "by dataset.label_columns"]),
        (flags(), SEVERAL | {"target": "classes"}, ["row 2 has haze and road; of classes each"]),
    ],
)
def test_labels_that_are_none_are_refused_in_one_line(columns, keys, words, table):
    dataset = table(columns, keys)
    said = one_line(lambda: read(dataset))
    assert said.startswith("labels.csv") and [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"label_columns": ["a"]}, "two columns or more"),
        ({"label_columns": ["a", "a"]}, "that differ"),
        ({"label_columns": ["a", "b"], "label_column": "c"}, "exclude each other"),
        ({"label_separator": ""}, "is empty"),
    ],
)
def test_columns_that_nobody_can_mean_are_refused_in_one_line(keys, words):
    assert words in one_line(lambda: config("table", **keys))

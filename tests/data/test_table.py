import io
import os
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ablation.config import UserError
from ablation.data import cache, sources
from sources_support import config, examples, names, no_progress, one_line

COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


@pytest.fixture
def table(tmp_path):
    """Writes 20 images and a table of them; returns the configuration that reads it."""
    (tmp_path / "images").mkdir()
    rows = []
    for i in range(20):
        label = ("red", "blue")[i % 2]
        Image.new("RGB", (6, 4), COLORS[label]).save(tmp_path / "images" / f"{i}.png")
        split = "train" if i < 14 else "val"
        rows.append([f"images/{i}.png", label, split, f"p{i // 4}"])
    whole = pd.DataFrame(rows, columns=["path", "label", "split", "patient"])

    def write(change=lambda frame: frame, keys=(), file="labels.csv", **how):
        frame = change(whole.copy())
        path = tmp_path / file
        if file.endswith(".parquet"):
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, **how)
        return config("table", path=str(path), **dict(keys))

    return write


def opened(dataset):
    return sources.open_source(dataset)


def without(*columns):
    return lambda frame: frame.drop(columns=list(columns))


def changed(row, column, value):
    def change(frame):
        frame.loc[row, column] = value
        return frame

    return change


def test_images_lie_beside_the_table_and_have_its_labels_and_splits(table, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    source = opened(table())
    assert source.classes == ("blue", "red")
    assert names(source, "train") == {f"{i}.png" for i in range(14)}
    assert names(source, "val") == {f"{i}.png" for i in range(14, 20)}
    for row in examples(source, "val"):
        assert tuple(row.image[0, 0]) == COLORS[source.classes[row.label]]


@pytest.mark.parametrize(
    "how", [{}, {"sep": ";"}, {"sep": "\t"}, {"encoding": "utf-8-sig"}, {"quoting": 1}]
)
def test_a_table_may_be_separated_and_encoded_in_the_usual_ways(how, table):
    assert names(opened(table(**how)), "val") == {f"{i}.png" for i in range(14, 20)}


def test_a_table_may_be_parquet(table, tmp_path):
    of_text, typed = table(), table(file="labels.parquet")
    built = [cache.prepare(one, tmp_path / "cache", no_progress) for one in (of_text, typed)]
    assert built[0].fingerprint == built[1].fingerprint


def test_without_a_split_a_part_of_each_class_validates(table):
    source = opened(table(without("split")))
    assert sorted(row.label for row in examples(source, "val")) == [0, 0, 1, 1]


def test_columns_have_the_names_that_are_given(table):
    renamed = {"path": "file", "label": "breed", "split": "fold"}
    keys = {"path_column": "file", "label_column": "breed", "split_column": "fold"}
    source = opened(table(lambda frame: frame.rename(columns=renamed), keys))
    assert names(source, "val") == {f"{i}.png" for i in range(14, 20)}


def test_a_table_may_have_names_alone(table):
    def bare(frame):
        frame["path"] = frame["path"].str.extract(r"/(\d+)")[0]
        return frame

    source = opened(table(bare, {"files": "images/{}.png"}))
    assert names(source, "val") == {f"{i}" for i in range(14, 20)}
    assert {tuple(row.image[0, 0]) for row in examples(source, "val")} == set(COLORS.values())
    said = one_line(lambda: opened(table(bare)))
    assert "row 2" in said and "0' is not there, nor are 19 more" in said
    assert "say dataset.files={}.jpg or train/{}.jpg" in said
    assert "must hold {}" in one_line(lambda: config("table", files="images"))


def test_labels_are_text_and_numbers_are_in_their_order(table):
    def numbers(frame):
        frame["label"] = [("010", "9", "NA")[i % 3] for i in range(20)]
        return frame.drop(columns="split")

    assert opened(table(numbers)).classes == ("010", "9", "NA")


def test_of_three_splits_the_third_is_left_out_and_told(table):
    dataset = table(changed([0, 1], "split", "test"))
    assert "0.png" not in names(opened(dataset), "train") | names(opened(dataset), "val")
    found = {(left.reason, left.name) for left in sources.unused(dataset)}
    third = {("of a third split", f"images/{place}.png") for place in (0, 1)}
    assert found == third | {("a column that is not read", "patient")}


def test_without_val_the_images_named_test_validate(table):
    def renamed(frame):
        frame["split"] = frame["split"].replace({"val": "Test"})
        return frame

    assert names(opened(table(renamed)), "val") == {f"{i}.png" for i in range(14, 20)}


def test_nobody_is_in_both_splits(table):
    source = opened(table(without("split"), {"group": "patient"}))
    people = [{int(name[:-4]) // 4 for name in names(source, split)} for split in sources.SPLITS]
    assert not people[0] & people[1]
    assert people[0] | people[1] == set(range(5))


def test_a_broken_image_is_left_out_with_its_reason(table, tmp_path):
    dataset = table()
    (tmp_path / "images" / "3.png").write_bytes(b"nothing")
    (broken,) = [row for row in examples(opened(dataset), "train") if row.image is None]
    assert broken.name == "images/3.png" and "damaged" in broken.reason


def test_an_image_that_changes_is_another_data_set(table, tmp_path):
    dataset = table()
    before = sources.state(dataset)
    os.utime(tmp_path / "images" / "3.png", (1, 1))
    assert sources.state(dataset) != before


@pytest.mark.parametrize(
    ("change", "keys", "words"),
    [
        (without("path"), {}, ["there is text in patient", "dataset.path_column"]),
        (without("path"), {"kind": "images"}, ["no column path", "label, split, patient"]),
        (without("label"), {}, ["no column label", "dataset.label_column"]),
        (None, {"split_column": "fold"}, ["no column fold", "dataset.split_column"]),
        (None, {"group": "who"}, ["no column who", "dataset.group"]),
        (changed(3, "path", ""), {}, ["row 5 has no path"]),
        (changed(3, "label", ""), {}, ["row 5 has no label."]),
        (changed([3, 4], "label", ""), {}, ["row 5 has no label, nor have 1 more rows"]),
        (changed(3, "patient", " "), {"group": "patient"}, ["row 5 has no patient"]),
        (changed(3, "path", "images/no.png"), {}, ["row 5: ", "images/no.png' is not there."]),
        (changed([3, 4], "path", ["a", "b"]), {}, ["is not there, nor are 1 more"]),
        (changed(3, "path", "images"), {}, ["row 5: ", "is a folder"]),
        (changed(3, "path", "./images/0.png"), {}, ["./images/0.png twice, in rows 2 and 5"]),
        (changed(3, "split", "later"), {}, ["row 5: split is 'later'", "train, val or test"]),
        (changed(3, "split", ""), {}, ["row 5: split is ''"]),
        (changed(slice(None), "split", "train"), {}, ["no split is val or test"]),
        (changed(slice(None), "split", "val"), {}, ["no split is train"]),
        (changed(slice(None), "label", "red"), {}, ["at least two classes", "only 'red'"]),
        (changed([14], "label", "green"), {}, ["no training examples of green"]),
        (None, {"group": "patient"}, ["the splits share p3", "nobody may be in both"]),
        (lambda frame: frame[:0], {}, ["no split is train"]),
        (lambda frame: frame[:0].drop(columns="split"), {}, ["lists no image"]),
    ],
)
def test_a_broken_table_is_refused_in_one_line(change, keys, words, table):
    dataset = table(change or (lambda frame: frame), keys)
    message = one_line(lambda: opened(dataset))
    assert message.startswith("labels.csv")
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b'path,label\n"a.png,red\n'),
        ("a.csv", b"path,label\na.png,red,blue,green\n"),
        ("a.csv", b"path,label\n\xff\xfe,red\n"),
        ("a.parquet", b"PAR1 and nothing more"),
        ("a.parquet", b""),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(file, content, tmp_path):
    (tmp_path / file).write_bytes(content)
    message = one_line(lambda: opened(config("table", path=str(tmp_path / file))))
    assert "is no table" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,label\n1,x,\n2,y,\n", "row 2 has 3 cells for 2 names."),
        (b"# mine\na,label\n1,x\n", "row 2 has 2 cells for 1 name."),
        ("ä,label\n1,x\n".encode("latin-1"), "is no table in UTF-8; save it"),
        ("a,label\n1,x\n".encode("utf-16"), "is no table in UTF-8; save it"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_the_row(content, words, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    message = one_line(lambda: opened(config("table", path=str(tmp_path / "a.csv"))))
    assert words in message


def test_empty_rows_are_left_out_and_named(tmp_path):
    lines = FEATURES.splitlines()
    text = "\n".join(["", *lines[:3], "", ",,,", *lines[3:], ""])
    (tmp_path / "rows.csv").write_text(text)
    dataset = config("table", path=str(tmp_path / "rows.csv"))
    assert len(examples(sources.open_source(dataset), "train")) == 8
    assert [*sources.unused(dataset)] == [("an empty row", "row 5"), ("an empty row", "row 6")]


def test_a_path_that_leads_to_no_file_is_refused_in_one_line(tmp_path):
    for path, word in (
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "no.csv"), "is not there"),
        (None, "needs dataset.path"),
    ):
        assert word in one_line(lambda path=path: sources.state(config("table", path=path)))


def test_parquet_without_its_package_says_what_to_install(table, monkeypatch):
    dataset = table(file="labels.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pip install pyarrow" in one_line(lambda: opened(dataset))


def test_images_of_several_sizes_need_one(table, tmp_path):
    dataset = table(keys={"image_size": None})
    Image.new("RGB", (5, 9)).save(tmp_path / "images" / "15.png")
    message = one_line(lambda: cache.prepare(dataset, tmp_path / "cache", no_progress))
    assert "images/15.png has 9x5 pixels, the first has 4x6; set dataset.image_size" in message


def test_images_that_both_splits_show_are_counted(table, tmp_path):
    """All images of a class are one picture here, so every one to validate is also trained on."""
    built = cache.prepare(table(), tmp_path / "cache", no_progress)
    assert built.meta["shared"] == 6
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "15.png")
    built = cache.prepare(table(keys={"image_size": [4, 6]}), tmp_path / "cache", no_progress)
    assert built.meta["shared"] == 5


FEATURES = "a,b,label,split\n" + "\n".join(
    f"{i},{i / 3},{'xy'[i % 2]},{'train' if i < 8 else 'val'}"
    for i in (1, 0, *range(2, 12))  # In order it would be a column that counts the rows.
)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (FEATURES, {}),
        (FEATURES.replace(",", ";"), {}),
        (FEATURES.replace("label", "species"), {"label_column": "species"}),
        (FEATURES.replace("a,b", "path,b"), {"kind": "features"}),
    ],
)
def test_without_images_all_other_columns_are_features(text, keys, tmp_path):
    (tmp_path / "rows.csv").write_text(text)
    dataset = config("table", path=str(tmp_path / "rows.csv"), **keys)
    source = sources.open_source(dataset)
    assert source.kind.name == "features" and source.classes == ("x", "y")
    rows = examples(source, "val")
    np.testing.assert_allclose([row.image for row in rows], [[i, i / 3] for i in range(8, 12)])
    assert [row.label for row in rows] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "chosen",
    [
        lambda frame: frame,
        lambda frame: frame.sample(frac=1, random_state=0),
        lambda frame: frame[frame["a"] != 2],
        lambda frame: pd.concat([frame[:6], frame[6:].reset_index(drop=True)]),
    ],
    ids=["as it was", "shuffled", "a part of it", "put together"],
)
def test_the_index_that_pandas_writes_is_no_feature_and_told(chosen, tmp_path):
    (tmp_path / "plain.csv").write_text(FEATURES)
    chosen(pd.read_csv(tmp_path / "plain.csv")).to_csv(tmp_path / "indexed.csv")
    dataset = config("table", path=str(tmp_path / "indexed.csv"))
    assert examples(sources.open_source(dataset), "train")[0].image.shape == (2,)
    (told,) = sources.unused(dataset)
    assert told == ("a column that numbers the rows", "Unnamed: 0")


@pytest.mark.parametrize("first", [0, 1])
def test_a_column_that_counts_the_rows_is_no_feature_and_told(first, tmp_path):
    frame = pd.read_csv(io.StringIO(FEATURES)).sort_values("label")
    frame["Id"] = range(first, first + len(frame))
    frame.to_csv(tmp_path / "counted.csv", index=False)
    dataset = config("table", path=str(tmp_path / "counted.csv"))
    assert examples(sources.open_source(dataset), "train")[0].image.shape == (2,)
    assert [*sources.unused(dataset)] == [("a column that numbers the rows", "Id")]


@pytest.mark.parametrize("file", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("first", [0, 1])
def test_a_column_may_count_the_rows_of_each_split(first, kind, file, tmp_path):
    splits = ["train"] * 14 + ["val"] * 6
    counted = [*range(first, first + 14), *range(first, first + 6)]
    columns = {"Id": map(kind, counted), "a": np.linspace(0, 1, 20), "split": splits}
    frame = pd.DataFrame(columns | {"label": [i % 2 for i in range(20)]})
    write = frame.to_csv if file.endswith("csv") else frame.to_parquet
    write(tmp_path / file, index=False)
    assert ("a column that numbers the rows", "Id") in sources.unused(
        config("table", path=str(tmp_path / file))
    )


def test_rows_are_counted_across_an_empty_one(tmp_path):
    rows = [f"{i},{i / 7},{i % 2}" for i in range(20)]
    text = "\n".join(["Id,a,label", *rows[:7], ",,", *rows[8:]])
    (tmp_path / "rows.csv").write_text(text)
    told = sources.unused(config("table", path=str(tmp_path / "rows.csv")))
    assert [one for _, one in told] == ["Id", "row 9"]


def test_what_counts_in_parquet_is_what_counts_in_csv(tmp_path):
    frame = pd.DataFrame({"a": np.linspace(0, 1, 40) ** 2, "label": [i % 2 for i in range(40)]})
    frame["split"], frame["age"] = ["train"] * 30 + ["val"] * 10, np.linspace(3, 9, 40)
    frame["flag"] = frame["a"] > 0.5
    built = []
    for index in (None, "split", "age", ["split", "age"]):
        indexed = frame.set_index(index) if index else frame
        indexed.to_csv(tmp_path / "a.csv", index=bool(index))
        indexed.to_parquet(tmp_path / "a.parquet")
        for file in ("a.csv", "a.parquet"):
            dataset = config("table", path=str(tmp_path / file), target="classes")
            source = sources.open_source(dataset)
            assert [len(examples(source, split)) for split in sources.SPLITS] == [30, 10]
            built.append(sorted(np.sort(row.image).tolist() for row in examples(source, "val")))
    assert all(one == built[0] for one in built) and len(built[0][0]) == 3


def test_true_and_false_are_features_unless_something_else_stands_beside(tmp_path):
    rows = "".join(f"{i / 7},{('True', 'false')[i % 3 == 0]},{i % 2}\n" for i in range(20))
    (tmp_path / "rows.csv").write_text(f"a,b,label\n{rows}")
    source = sources.open_source(config("table", path=str(tmp_path / "rows.csv")))
    assert {float(row.image[1]) for row in examples(source, "train")} == {0.0, 1.0}
    (tmp_path / "rows.csv").write_text(f"a,b,label\n{rows}3,maybe,1\n")
    said = one_line(lambda: opened(config("table", path=str(tmp_path / "rows.csv"))))
    assert "there is text in b, the first 'false'" in said


def test_a_name_in_two_unicode_forms_is_one(tmp_path):
    names = ["Jos\u00e9", "Jose\u0301"]
    rows = [f"{i / 7},{names[i >= 14]},{('train', 'val')[i >= 14]},{i % 2}" for i in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,who,split,label", *rows]))
    asked = config("table", path=str(tmp_path / "rows.csv"), group="who")
    assert "the splits share" in one_line(lambda: opened(asked))
    labels = [f"{i / 7},{names[i % 2]}|other" for i in range(20)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,label", *labels]))
    asked = config("table", path=str(tmp_path / "rows.csv"), target="labels")
    assert len(opened(asked).classes) == 2


@pytest.mark.parametrize(
    ("head", "keys"),
    [
        ("a,b,t,label", {"label_column": "t", "target": "value"}),
        ("a,b,t,label", {"group": "t"}),
        ("split,group,t,label", {"group": "group", "split_column": "split"}),
    ],
    ids=["the label", "the group", "the only feature"],
)
def test_a_column_that_counts_the_rows_and_is_needed_is_kept(head, keys, tmp_path):
    rows = "".join(f"{'train' if i < 8 else 'val'},{i // 2},{i},{i % 2}\n" for i in range(12))
    rows = rows if head.startswith("split") else rows.replace("train", "1.5").replace("val", "2")
    (tmp_path / "rows.csv").write_text(f"{head}\n{rows}")
    assert not sources.unused(config("table", path=str(tmp_path / "rows.csv"), **keys))


@pytest.mark.parametrize("name", [" split", "Split", "SPLIT "])
def test_a_column_of_splits_counts_however_its_name_is_written(name, table):
    source = opened(table(lambda frame: frame.rename(columns={"split": name})))
    assert names(source, "val") == {f"{i}.png" for i in range(14, 20)}


def test_a_text_in_quotes_behind_a_space_is_that_text(table, tmp_path):
    dataset = table()
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    quoted = [", ".join(f'"{cell}"' for cell in line.split(",")) for line in lines[::2]]
    text = "\n".join([*quoted, *lines[1::2]])
    (tmp_path / "labels.csv").write_text(text)
    assert opened(dataset).classes == ("blue", "red")


def test_files_are_those_of_a_column_of_paths(tmp_path):
    (tmp_path / "rows.csv").write_text("id,label\n1,x\n2,y\n")
    dataset = config("table", path=str(tmp_path / "rows.csv"), files="train/{}.png")
    assert "no column path" in one_line(lambda: opened(dataset))


@pytest.mark.parametrize("keys", [{}, {"path_column": "Unnamed: 0", "files": "images/{}.png"}])
def test_an_index_is_no_label_but_may_name_the_images(keys, table, tmp_path):
    frame = pd.DataFrame({"path": [f"images/{i}.png" for i in range(20)]})
    frame["haze"], frame["road"] = [0, 1] * 10, [1, 1, 0, 0] * 5
    table()
    (frame.drop(columns="path") if keys else frame).to_csv(tmp_path / "indexed.csv")
    dataset = config("table", path=str(tmp_path / "indexed.csv"), target="labels", **keys)
    assert opened(dataset).classes == ("haze", "road")
    assert sources.state(dataset)


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "twice.csv").write_text(FEATURES.replace("a,b", "label,b"))
    with pytest.raises(UserError, match="two columns with the name label; rename one"):
        sources.open_source(config("table", path=str(tmp_path / "twice.csv")))


def test_a_label_that_each_row_has_alone_may_be_a_value(tmp_path):
    rows = "".join(f"{i},{i}.5\n" for i in range(19))
    (tmp_path / "rows.csv").write_text(f"a,label\n{rows}19,n/a\n")
    with pytest.raises(UserError, match=r"single example of each of its 20 .*target=value"):
        sources.open_source(config("table", path=str(tmp_path / "rows.csv")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            FEATURES.replace("3,1.0", "3,red"),
            ["there is text in b, the first", "dataset.path_column"],
        ),
        (
            FEATURES.replace("3,1.0", "three,red"),
            ["there is text in a, b, the first 'three' in row 5;"],
        ),
        (FEATURES.replace("3,1.0", ",1.0"), ["row 5 has no finite number in a."]),
        (FEATURES.replace("3,1.0", "NaN,1.0"), ["row 5 has no finite number in a."]),
        (FEATURES.replace("3,1.0", "\n\n,1.0"), ["row 7 has no finite number in a."]),
        ("\n\n" + FEATURES.replace("3,1.0", ",1.0"), ["row 7 has no finite number in a."]),
        (FEATURES.replace("3,1.0,y,train", "3,1.0,,train"), ["row 5 has no label."]),
        (FEATURES.replace("3,1.0,y,train", "\n3,1.0,,train"), ["row 6 has no label."]),
        (FEATURES.replace("3,1.0,y,train", "\n3,1.0,y,later"), ["row 6: split is 'later'"]),
        (FEATURES.replace("3,1.0", "3,inf"), ["row 5 has no finite number in b."]),
        ("label\nx\ny\n", ["no column of numbers"]),
        ("a,label\n", ["lists no row"]),
    ],
)
def test_columns_that_are_no_numbers_are_told(text, words, tmp_path):
    (tmp_path / "rows.csv").write_text(text)
    dataset = config("table", path=str(tmp_path / "rows.csv"))
    said = one_line(lambda: sources.open_source(dataset))
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pd.date_range("2020-01-01", periods=40), "a date in day, the first '2020-01-01"),
        (pd.to_timedelta(range(40), unit="D"), "a duration in day, the first '0 days"),
    ],
)
def test_times_are_called_what_they_are(column, said, tmp_path):
    frame = pd.DataFrame({"day": column, "a": range(40), "label": [i % 2 for i in range(40)]})
    frame.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(UserError) as error:
        sources.open_source(config("table", path=str(tmp_path / "rows.parquet")))
    assert said in str(error.value) and "make numbers of it, such as " in str(error.value)

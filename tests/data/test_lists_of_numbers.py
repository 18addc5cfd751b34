"""Lists of numbers in a column of labels: what they stand for, from every source alike."""

import numpy as np
import pandas as pd
import pytest

from ablation.data import sources
from ablation.targets.cells import LISTED
from sources_support import config, examples, one_line

N = 20
FLAGS = [[i % 2, (i // 2) % 2, 1] for i in range(N)]
POINTS = [[i % 7, 3 * i] for i in range(N)]
FRACTIONS = [[i / 7, -0.5 * i] for i in range(N)]
COLUMN = [[i / 7] for i in range(N)]
IDS = [[i % 3, 3 + i % 2] if i % 4 else [i % 3] for i in range(N)]


def _hugging(frame, folder):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_pandas(frame).save_to_disk(folder / "saved")
    return "huggingface", folder / "saved"


def _parquet(frame, folder):
    frame.to_parquet(folder / "a.parquet")
    return "table", folder / "a.parquet"


def _csv(frame, folder):
    frame.to_csv(folder / "a.csv", index=False)
    return "table", folder / "a.csv"


SOURCES = pytest.mark.parametrize("write", [_csv, _parquet, _hugging])


def _read(write, lists, folder, **keys):
    """The source, and its labels in the order of the rows."""
    frame = pd.DataFrame(
        {"x": np.linspace(0, 1, N) ** 2, "y": np.linspace(1, 2, N), "label": lists}
    )
    name, path = write(frame, folder)
    source = sources.open_source(config(name, path=str(path), kind="features", **keys))
    rows = [row for split in sources.SPLITS for row in examples(source, split)]
    rows.sort(key=lambda row: int(row.name.split()[-1]))
    return source, np.array([row.label for row in rows])


@SOURCES
@pytest.mark.parametrize("target", [None, "labels"])
def test_zeros_and_ones_are_a_number_for_each_label(write, target, tmp_path):
    source, labels = _read(write, FLAGS, tmp_path, target=target)
    assert source.target.kind == "labels"
    assert source.classes == ("label 0", "label 1", "label 2")
    np.testing.assert_array_equal(labels, FLAGS)


@SOURCES
@pytest.mark.parametrize(
    ("lists", "target"), [(FRACTIONS, None), (FRACTIONS, "value"), (POINTS, "value")]
)
def test_fractions_and_what_is_asked_to_be_are_values(write, lists, target, tmp_path):
    source, values = _read(write, lists, tmp_path, target=target)
    assert (source.target.kind, source.classes) == ("value", ("label 0", "label 1"))
    np.testing.assert_allclose(values, lists, rtol=1e-6)


@SOURCES
@pytest.mark.parametrize("target", [None, "value"])
def test_lists_of_one_fraction_are_a_value(write, target, tmp_path):
    source, values = _read(write, COLUMN, tmp_path, target=target)
    assert (source.target.kind, source.classes) == ("value", ("label",))
    np.testing.assert_allclose(values, COLUMN, rtol=1e-6)


@SOURCES
@pytest.mark.parametrize("target", [None, "labels"])
def test_others_are_the_numbers_of_labels(write, target, tmp_path):
    source, labels = _read(write, IDS, tmp_path, target=target)
    assert (source.target.kind, source.classes) == ("labels", ("0", "1", "2", "3", "4"))
    assert [set(np.flatnonzero(row)) for row in labels] == [set(one) for one in IDS]


@SOURCES
def test_of_zeros_and_a_single_one_the_classes_may_be_asked_for(write, tmp_path):
    lists = [[int(i % 3 == place) for place in range(3)] for i in range(N)]
    source, labels = _read(write, lists, tmp_path, target="classes")
    assert source.target.kind == "classes"
    np.testing.assert_array_equal(labels, np.arange(N) % 3)


@SOURCES
@pytest.mark.parametrize(
    ("lists", "target", "words"),
    [
        (IDS, "classes", ["label holds lists, such as [0]", "dataset.target=labels"]),
        (IDS, "value", ["which is no number"]),
        ([*FRACTIONS[:-1], [0.5]], None, ["lists of label hold 1 to 2 numbers", "one length"]),
        (
            [*FRACTIONS[:-1], [0.5, float("nan")]],
            None,
            ["label is [0.5, ", "of which a number is missing"],
        ),
        ([["haze", "road"], ["road"]] * 10, "classes", ["holds lists, such as [haze, road]"]),
    ],
)
def test_what_is_none_of_the_target_is_told_in_words(write, lists, target, words, tmp_path):
    if write is _csv and "nan" in str(lists[-1]):
        pytest.skip("nan is no list as Python writes it")
    said = one_line(lambda: _read(write, lists, tmp_path, target=target))
    assert all(word in said for word in words), said
    assert LISTED not in said


@pytest.mark.parametrize("write", [_csv, _parquet])
@pytest.mark.parametrize(
    "kind", [list, set, tuple, frozenset], ids=["list", "set", "tuple", "frozenset"]
)
def test_several_labels_may_be_any_collection(write, kind, tmp_path):
    tags = [["haze", "road"], ["road"], [], ["water", "haze"]] * 5
    lists = [kind(one) if write is _csv else one for one in tags]
    source, labels = _read(write, lists, tmp_path)
    assert source.classes == ("haze", "road", "water")
    np.testing.assert_array_equal(labels[:4], [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]])


@pytest.mark.parametrize("write", [_parquet, _hugging])
def test_what_is_missing_in_a_list_of_texts_is_no_label(write, tmp_path):
    source, _ = _read(write, [["haze", None], ["road"]] * 10, tmp_path)
    assert source.classes == ("haze", "road")


def test_a_class_may_stand_in_brackets(tmp_path):
    source, _ = _read(_csv, ["(unknown)", "(known)"] * 10, tmp_path)
    assert (source.target.kind, source.classes) == ("classes", ("(known)", "(unknown)"))

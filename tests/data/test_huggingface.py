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
        (lambda: rows(label=[-1] * 20), {}, ["at least two classes", "none"]),
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
    assert "pip install 'ablation[huggingface]'" in message

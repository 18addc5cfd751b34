import json
import os
import socket
import subprocess
import sys
from collections import Counter
from concurrent import futures
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ablation.config import DatasetConfig, UserError
from ablation.data import cache, sources

RED = (255, 0, 0)
WHITE = (255, 255, 255)


def config(source, **keys):
    return asdict(DatasetConfig(**({"name": source, "source": source, "image_size": 8} | keys)))


def examples(source, split):
    count, rows = source.split(split)
    rows = list(rows)
    assert len(rows) == count
    return rows


def names(source, split):
    return {Path(row.name).name for row in examples(source, split)}


def save(file, color=RED, mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (6, 4), color).save(file)


def no_progress(what, done, total):
    pass


# Digits


def test_digits_split_into_1437_and_360_of_ten_classes():
    digits = sources.open_source(config("digits"))
    train, val = examples(digits, "train"), examples(digits, "val")
    assert (len(train), len(val)) == (1437, 360)
    assert digits.classes == tuple("0123456789")
    assert digits.channels == 1
    assert {row.label for row in train} == {row.label for row in val} == set(range(10))
    assert {(row.image.shape, row.image.dtype.name) for row in train} == {((8, 8, 1), "uint8")}


def test_digits_are_every_image_of_scikit_learn_once_scaled_from_16_to_255():
    digits, known = sources.open_source(config("digits")), load_digits()
    rows = examples(digits, "train") + examples(digits, "val")
    assert min(row.image.min() for row in rows) == 0
    assert max(row.image.max() for row in rows) == 255
    read = Counter((np.rint(row.image / 255 * 16).astype(int).tobytes(), row.label) for row in rows)
    stored = zip(known.images.astype(int), known.target, strict=True)
    assert read == Counter((image.tobytes(), int(label)) for image, label in stored)


@pytest.mark.parametrize("source", ["digits", "folder"])
@pytest.mark.parametrize("key", ["train_split", "val_split"])
def test_sources_that_split_themselves_take_no_split_keys(source, key, tmp_path):
    with pytest.raises(UserError, match="for TFDS sets"):
        sources.open_source(config(source, path=str(tmp_path)) | {key: "train"})


# Folders


@pytest.fixture
def folder(tmp_path):
    """Returns a data set of red cats and white dogs, 30 each."""
    root = tmp_path / "images"
    for i in range(30):
        save(root / "cats" / f"{i}.png", RED)
        save(root / "dogs" / f"{i}.png", WHITE)
    return root


def open_folder(root):
    return sources.open_source(config("folder", path=str(root)))


def test_class_folders_give_classes_in_alphabetical_order_and_labels(folder):
    source = open_folder(folder)
    assert (source.classes, source.channels) == (("cats", "dogs"), 3)
    rows = examples(source, "train") + examples(source, "val")
    assert Counter(row.label for row in rows) == {0: 30, 1: 30}
    for row in rows:
        assert row.image.dtype == np.uint8
        assert (row.image == (RED, WHITE)[row.label]).all()


def test_train_and_val_folders_are_the_splits(tmp_path):
    for label in ("cats", "dogs"):
        save(tmp_path / "train" / label / "1.png")
        save(tmp_path / "train" / label / "2.png")
        save(tmp_path / "val" / label / "3.png")
    source = open_folder(tmp_path)
    assert source.classes == ("cats", "dogs")
    assert names(source, "train") == {"1.png", "2.png"}
    assert names(source, "val") == {"3.png"}


def test_a_file_stays_in_its_split_when_others_are_added(tmp_path):
    for i in range(200):
        save(tmp_path / ("cats", "dogs")[i % 2] / f"{i}.bmp")
    before = {split: names(open_folder(tmp_path), split) for split in sources.SPLITS}
    for i in range(200, 400):
        save(tmp_path / ("apes", "cats", "dogs")[i % 3] / f"{i}.bmp")
    source = open_folder(tmp_path)
    after = {split: names(source, split) for split in sources.SPLITS}
    assert len(after["train"] | after["val"]) == 400
    assert not after["train"] & after["val"]
    assert all(before[split] < after[split] for split in sources.SPLITS)
    assert 0.74 < len(after["train"]) / 400 < 0.86


def test_a_folder_is_prepared_without_tensorflow_and_split_alike_by_every_process(folder, tmp_path):
    script = (
        "import json, sys; from ablation.data import cache, pipeline, sources\n"
        "dataset, cache_dir = json.loads(sys.argv[1])\n"
        "cache.prepare(dataset, cache_dir, lambda *_: None)\n"
        "rows = sources.open_source(dataset).split('val')[1]\n"
        "print(json.dumps([[r.name for r in rows], 'tensorflow' in sys.modules]))"
    )
    dataset = config("folder", path=str(folder))
    environment = {"PYTHONPATH": str(Path(cache.__file__).parents[2]), "PYTHONHASHSEED": "1"}
    child = subprocess.run(
        [sys.executable, "-c", script, json.dumps([dataset, str(tmp_path / "cache")])],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    read, tensorflow = json.loads(child.stdout)
    assert not tensorflow
    assert read == [row.name for row in examples(open_folder(folder), "val")]


@pytest.mark.parametrize(
    ("mode", "color", "file", "rgb"),
    [
        ("RGB", (10, 20, 30), "a.png", (10, 20, 30)),
        ("L", 77, "a.png", (77, 77, 77)),
        ("L", 77, "a.JPEG", (77, 77, 77)),
        ("1", 1, "a.png", WHITE),
        ("RGBA", (255, 0, 0, 255), "a.png", RED),
        ("RGBA", (255, 0, 0, 0), "a.png", WHITE),
        # Half red, half white: 0.5 * 0 + 0.5 * 255.
        ("RGBA", (255, 0, 0, 128), "a.png", (255, 127, 127)),
        ("RGBA", (255, 0, 0, 128), "a.webp", (255, 127, 127)),
        ("LA", (0, 0), "a.png", WHITE),
        # No cyan, all magenta and yellow, no black.
        ("CMYK", (0, 255, 255, 0), "a.tif", RED),
        ("CMYK", (0, 255, 255, 0), "a.jpg", RED),
    ],
)
def test_every_kind_of_image_is_decoded_to_rgb_over_white(mode, color, file, rgb, folder):
    save(folder / "cats" / file, color, mode)
    assert decoded(folder, file)[2, 3].tolist() == pytest.approx(rgb, abs=2)


@pytest.mark.parametrize(
    ("transparent", "rgb"), [({}, (10, 200, 30)), ({"transparency": 7}, WHITE)]
)
@pytest.mark.parametrize("file", ["a.png", "a.gif"])
def test_a_palette_image_is_decoded_by_its_palette(transparent, rgb, file, folder):
    image = Image.new("P", (6, 4), 7)
    image.putpalette([*[0, 0, 0] * 7, 10, 200, 30, *[0, 0, 0] * 248])
    image.save(folder / "cats" / file, **transparent)
    assert (decoded(folder, file) == rgb).all()


def test_a_photograph_is_turned_as_its_exif_says(folder):
    image = Image.new("RGB", (6, 4), WHITE)
    image.paste(RED, (0, 0, 3, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn a quarter clockwise to display, so left becomes top.
    image.save(folder / "cats" / "a.png", exif=exif)
    shown = decoded(folder, "a.png")
    assert shown.shape == (6, 4, 3)
    assert (shown[:3] == RED).all()
    assert (shown[3:] == WHITE).all()


def decoded(root, file):
    source = open_folder(root)
    rows = examples(source, "train") + examples(source, "val")
    (image,) = [row.image for row in rows if Path(row.name).name == file]
    assert image.dtype == np.uint8
    assert image.ndim == 3
    return image


def test_a_16_bit_grey_image_is_scaled_to_8_bits(folder):
    Image.fromarray(np.full((4, 6), 0x8040, np.uint16)).save(folder / "cats" / "a.png")
    assert decoded(folder, "a.png")[2, 3].tolist() == pytest.approx([0x80] * 3, abs=1)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("broken.jpg", lambda data: b""),
        ("broken.jpg", lambda data: b"text"),
        ("broken.jpg", lambda data: data[:-60]),
        # Each of these makes Pillow raise something else: a short header, a chunk of no known
        # kind, 16 million columns.
        ("broken.png", lambda data: data[:11] + b"\0" + data[12:]),
        ("broken.png", lambda data: data[:35] + b"\0" + data[36:]),
        ("broken.bmp", lambda data: data[:20] + b"\xff" + data[21:]),
    ],
)
def test_a_broken_image_is_handed_out_by_name_without_pixels(file, damage, folder):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    broken = folder / "dogs" / file
    Image.fromarray(noise).save(broken)
    assert decoded(folder, file).shape == (16, 16, 3)
    broken.write_bytes(damage(broken.read_bytes()))
    source = open_folder(folder)
    rows = examples(source, "train") + examples(source, "val")
    assert [(row.name, row.label) for row in rows if row.image is None] == [(f"dogs/{file}", 1)]


def test_hidden_files_and_what_is_no_image_are_ignored(folder):
    def read():
        source = open_folder(folder)
        return source.classes, [
            [row.name for row in examples(source, split)] for split in sources.SPLITS
        ]

    before = read()
    save(folder / "cats" / ".hidden.png")
    save(folder / ".cache" / "x.png")
    save(folder / "loose.png")
    (folder / "cats" / "notes.txt").write_text("not an image")
    (folder / "documents").mkdir()
    (folder / "documents" / "list.csv").write_text("1,2")
    assert read() == before
    save(folder / "cats" / "more.PNG")
    assert read() != before


def test_hidden_folders_inside_a_class_are_ignored(folder):
    save(folder / "cats" / ".ipynb_checkpoints" / "copy.png")
    source = open_folder(folder)
    assert "copy.png" not in names(source, "train") | names(source, "val")


def test_a_dead_link_is_a_broken_image(folder, tmp_path):
    (folder / "cats" / "dead.png").symlink_to(tmp_path / "gone.png")
    built = cache.prepare(config("folder", path=str(folder)), tmp_path / "cache", no_progress)
    assert built.meta["skipped_names"] == ["cats/dead.png"]


def one_class(root):
    save(root / "cats" / "1.png")


def one_class_in_splits(root):
    save(root / "train" / "cats" / "1.png")
    save(root / "val" / "cats" / "2.png")


def only_text(root):
    for label in ("cats", "dogs"):
        (root / label).mkdir()
        (root / label / "1.txt").write_text("not an image")


def empty_val(root):
    for label in ("cats", "dogs"):
        save(root / "train" / label / "1.png")
    (root / "val").mkdir()


@pytest.mark.parametrize(
    ("fill", "complaint"),
    [
        (lambda root: None, "two class folders.*found none"),
        (one_class, "two class folders.*found only 'cats'"),
        (one_class_in_splits, "two class folders.*found only 'cats'"),
        (only_text, "two class folders.*found none"),
        (empty_val, "no images for the val split"),
    ],
)
def test_an_unusable_folder_is_named_with_what_it_lacks(fill, complaint, tmp_path):
    fill(tmp_path)
    with pytest.raises(UserError, match=complaint) as error:
        open_folder(tmp_path)
    assert f"dataset.path={tmp_path}" in str(error.value)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (None, "needs dataset.path"),
        ("", "needs dataset.path"),
        ("gone", "gone is not a folder"),
        ("file", "file is not a folder"),
    ],
)
def test_a_path_that_is_no_folder_is_reported(path, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(UserError, match=complaint):
        open_folder(path) if path is not None else sources.open_source(config("folder"))


# TensorFlow Datasets


def register(set_name, draw, feature=None):
    """Registers a set of 10 training and 4 test images, in two classes by turns."""
    import tensorflow_datasets as tfds

    class Tiny(tfds.core.GeneratorBasedBuilder):
        name = set_name
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = feature or tfds.features.Image(shape=(None, None, 3))
            label = tfds.features.ClassLabel(names=["even", "odd"])
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"image": image, "label": label}),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(range(10)),
                "test": self._generate_examples(range(100, 104)),
            }

        def _generate_examples(self, numbers):
            for i in numbers:
                yield i, {"image": draw(i), "label": i % 2}


def make(set_name, directory, draw, feature=None, **download):
    """Registers a set and has TFDS prepare it; returns its configuration."""
    import tensorflow_datasets as tfds

    register(set_name, draw, feature)
    builder = tfds.builder(set_name, data_dir=directory)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**download))
    return tfds_config(set_name, directory)


def tfds_config(name, directory, train="train", val="test"):
    keys = {"train_split": train, "val_split": val, "data_dir": str(directory)}
    return config("tfds", name=name, **keys)


def filled(value):
    return np.full((5, 7, 3), value, np.uint8)


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def online(monkeypatch):
    """Lets every host be found; the sets that these tests prepare need none."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])


@pytest.fixture(scope="module")
def tiny_dir(tfds, tmp_path_factory):
    """Returns where tiny_numbers lies: its image i is filled with the value i."""
    directory = tmp_path_factory.mktemp("tfds")
    make("tiny_numbers", directory, filled)
    return directory


def open_tiny(directory, train, val):
    return sources.open_source(tfds_config("tiny_numbers", directory, train, val))


def numbers(source, split):
    """Returns the value that fills each image of a split."""
    rows = examples(source, split)
    values = [int(row.image[0, 0, 0]) for row in rows]
    for row, value in zip(rows, values, strict=True):
        assert (row.image == value).all()
        assert row.label == value % 2
    return values


@pytest.mark.parametrize(
    ("train", "val", "sizes"),
    [
        ("train", "test", (10, 4)),
        ("train[:80%]", "train[80%:]", (8, 2)),
        ("train[:-3]", "train[-3:]", (7, 3)),
        ("train[:4]+train[6:]", "train[4:6]", (8, 2)),
        ("train[5:]", "train[:5]+test", (5, 9)),
        ("test", "train", (4, 10)),
    ],
)
def test_disjoint_tfds_splits_hold_each_image_once(train, val, sizes, tiny_dir):
    source = open_tiny(tiny_dir, train, val)
    read = numbers(source, "train"), numbers(source, "val")
    assert (len(read[0]), len(read[1])) == sizes
    every = {*range(10), *range(100, 104)} if "test" in train + val else set(range(10))
    assert sorted(read[0] + read[1]) == sorted(every)


def test_tfds_classes_channels_and_shapes_are_those_of_the_set(tiny_dir):
    source = open_tiny(tiny_dir, "train", "test")
    assert (source.classes, source.channels) == (("even", "odd"), 3)
    shapes = {(row.image.shape, row.image.dtype.name) for row in examples(source, "train")}
    assert shapes == {((5, 7, 3), "uint8")}


def test_tfds_images_come_in_the_same_order_every_time(tfds, tmp_path):
    # Several files, whose order could differ.
    dataset = make("tiny_shards", tmp_path, filled, num_shards=3)
    assert tfds.builder("tiny_shards", data_dir=tmp_path).info.splits["train"].num_shards == 3
    source = sources.open_source(dataset)
    first = numbers(source, "train")
    assert numbers(source, "train") == first
    assert numbers(sources.open_source(dataset), "train") == first
    part = sources.open_source(dataset | {"train_split": "train[:8]"})
    assert numbers(part, "train") == first[:8]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train", "train"),
        ("train", "train[90%:]"),
        ("train[:80%]", "train[70%:]"),
        ("train[:6]", "train[5:]"),
        ("train[-3:]", "train[:8]"),
        ("train+test", "test"),
        ("test", "train+test[3:]"),
    ],
)
def test_tfds_splits_that_share_images_are_rejected(train, val, tiny_dir):
    with pytest.raises(UserError, match=r"share images of (train|test)") as error:
        open_tiny(tiny_dir, train, val).split("train")
    assert f"dataset.train_split={train} and dataset.val_split={val}" in str(error.value)


@pytest.mark.parametrize(
    ("train", "val", "complaint"),
    [
        ("training", "test", r"dataset\.train_split=training is not a split.*train, test"),
        ("train", "validation", r"dataset\.val_split=validation is not a split.*train, test"),
        ("train[:80]%", "test", r"dataset\.train_split=.* is not a split"),
        ("train", "test[:300%]", r"dataset\.val_split=.* is not a split"),
        ("train[:99]", "test", r"dataset\.train_split=.* is not a split"),
        ("train[:0]", "test", r"dataset\.train_split=train\[:0\] holds no images"),
        ("train", "test[:1%]", r"dataset\.val_split=test\[:1%\] holds no images"),
        (None, "test", r"dataset\.train_split must be a TFDS split"),
        ("train", None, r"dataset\.val_split must be a TFDS split"),
        pytest.param(
            *("train[5:3]", "test", r"dataset\.train_split=train\[5:3\] holds no images"),
        ),
    ],
)
def test_a_wrong_tfds_split_is_named_in_one_line(train, val, complaint, tiny_dir):
    with pytest.raises(UserError, match=complaint) as error:
        open_tiny(tiny_dir, train, val).split("train")
    assert "\n" not in str(error.value)


def open_named(name, directory):
    return sources.open_source(tfds_config(name, directory))


@pytest.mark.parametrize(
    ("typo", "meant"), [("cifra10", "cifar10"), ("cats_vs_dog", "cats_vs_dogs"), ("minst", "mnist")]
)
def test_an_unknown_tfds_name_suggests_a_known_one(typo, meant, tfds, tmp_path):
    with pytest.raises(UserError, match=rf"dataset\.name={typo} .*\b{meant}\b"):
        open_named(typo, tmp_path)


@pytest.mark.parametrize("name", ["cifar10/gone", "cifar10:9.9.9", "two words", "a/b/c"])
def test_a_tfds_config_version_or_name_that_is_not_there_is_a_user_error(name, tfds, tmp_path):
    with pytest.raises(UserError, match=name):
        open_named(name, tmp_path)


def test_a_set_of_tfds_without_tensorflow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="pip install tensorflow") as caught:
        sources.open_source(tfds_config("mnist", tmp_path))
    assert "dataset=folder" in str(caught.value)


def test_a_set_that_classifies_no_images_is_rejected(tfds, tmp_path):
    with pytest.raises(UserError, match=r"imdb_reviews is not an image classification.*text"):
        open_named("imdb_reviews", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_a_failed_download_is_explained_and_leaves_no_new_folder(
    existed, online, tfds, tmp_path, monkeypatch
):
    def fail(builder, **_):
        Path(builder.data_dir).mkdir(parents=True)
        raise ConnectionError("no route to host\nmore lines")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    directory = tmp_path / "sets"
    if existed:
        (directory / "other_set").mkdir(parents=True)
    source = open_named("mnist", directory)
    with pytest.raises(UserError, match=r"mnist is not in .* no route to host") as error:
        source.split("train")
    message = str(error.value)
    assert "dataset.data_dir" in message
    assert "dataset=digits" in message
    assert "\n" not in message
    assert (directory / "other_set").exists() == directory.exists() == existed


def test_without_a_network_the_error_comes_at_once(tfds, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: None)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    with pytest.raises(UserError, match="no such host"):
        open_named("mnist", tmp_path / "new").split("train")
    assert not (tmp_path / "new").exists()


def test_the_data_dir_is_the_key_then_the_variable_then_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    default = config("tfds")
    assert sources.tfds_dir(default) == tmp_path / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/variable")
    assert sources.tfds_dir(default) == tmp_path / "variable"
    assert sources.tfds_dir(config("tfds", data_dir="~/key")) == tmp_path / "key"


def test_a_set_that_tfds_prepares_now_is_found_afterwards(online, tfds, tmp_path):
    register("tiny_new", filled)
    dataset = tfds_config("tiny_new", tmp_path / "sets")
    assert cache.find(dataset, tmp_path / "cache") is None
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert cache.find(dataset, tmp_path / "cache") == built
    assert sorted(built.images("train")[:, 0, 0, 0]) == list(range(10))
    assert np.array_equal(built.images("val")[:, 3, 3, 2] % 2, built.labels("val"))


def test_a_sweep_that_starts_after_anothers_download_shares_its_cache(online, tfds, tmp_path):
    register("tiny_shared", filled)
    order = tfds_config("tiny_shared", tmp_path / "sets"), tmp_path / "cache"
    others = []

    def start_another(what, done, total):
        if not others:
            others.append(pool.submit(cache.prepare, *order, no_progress))
            futures.wait(others, timeout=1)

    with futures.ThreadPoolExecutor() as pool:
        built = cache.prepare(*order, start_another)
        assert others[0].result(timeout=30) == built


@pytest.mark.parametrize(
    ("kind", "feature", "pixel", "stored"),
    [
        ("grey", {"shape": (4, 4, 1)}, [70], [70]),
        pytest.param(
            *("rgba", {"shape": (4, 4, 4)}, [10, 200, 100, 255], [10, 200, 100]),
        ),
        pytest.param(
            *("deep", {"shape": (4, 4, 1), "dtype": np.uint16}, [0x8040], [0x80]),
        ),
    ],
)
def test_a_tfds_image_keeps_its_colors_in_the_cache(kind, feature, pixel, stored, tfds, tmp_path):
    image = np.tile(np.array(pixel, feature.get("dtype", np.uint8)), (4, 4, 1))
    feature = tfds.features.Image(**feature, encoding_format="png")
    dataset = make(f"tiny_{kind}", tmp_path / "sets", lambda i: image, feature)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.image_shape == (8, 8, len(stored))
    assert (built.images("train") == stored).all()


def test_a_broken_tfds_image_is_skipped_and_counted(tfds, tmp_path):
    good, broken = tmp_path / "good.jpg", tmp_path / "broken.jpg"
    save(good)
    broken.write_bytes(good.read_bytes()[:100])
    draw = {3: str(broken)}
    dataset = make("tiny_broken", tmp_path / "sets", lambda i: draw.get(i, str(good)))
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert (built.count("train"), built.meta["skipped"]) == (9, 1)


@pytest.mark.parametrize(
    ("name", "classes", "some", "shape"),
    [
        ("mnist", 10, "7", (28, 28, 1)),
        ("cifar10", 10, "airplane", (32, 32, 3)),
        ("cats_vs_dogs", 2, "dog", (None, None, 3)),
    ],
)
def test_a_published_set_is_what_its_authors_say(name, classes, some, shape, tfds):
    dataset = config("tfds", name=name, train_split="train[:200]", val_split="train[200:220]")
    if not (sources.tfds_dir(dataset) / name).is_dir():
        pytest.skip(f"{name} is not prepared in {sources.tfds_dir(dataset)}")
    source = sources.open_source(dataset)
    assert len(source.classes) == classes
    assert some in source.classes
    assert source.channels == shape[-1]
    rows = examples(source, "train")
    assert len(rows) == 200
    assert {row.label for row in rows} == set(range(classes))
    for row in rows:
        assert row.image.dtype == np.uint8
        known = zip(row.image.shape, shape, strict=True)
        assert all(want in (None, got) for got, want in known)

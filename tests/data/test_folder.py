import json
import os
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from ablation.config import UserError
from ablation.data import cache, sources
from sources_support import RED, WHITE, config, examples, names, no_progress, save


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


@pytest.mark.parametrize("held_out", ["test", "Val", "validation"])
def test_splits_by_another_name_are_no_classes(tmp_path, held_out):
    for split in ("train", held_out):
        for label in ("cats", "dogs"):
            save(tmp_path / split / label / "1.png")
    with pytest.raises(UserError, match=f"train/ and {held_out}/.*named train/ and val/"):
        open_folder(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    for i in range(30):
        save(tmp_path / "train" / f"{i}.png")
        save(tmp_path / "tram" / f"{i}.png")
    assert open_folder(tmp_path).classes == ("train", "tram")


def test_whatever_pillow_raises_the_image_is_broken(folder, monkeypatch):
    def fail(image):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    assert all(row.image is None for row in examples(open_folder(folder), "val"))

import errno
import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
        "keys, cache_dir = json.loads(sys.argv[1])\n"
        "dataset = sources.typed(keys)\n"
        "cache.prepare(dataset, cache_dir, lambda *_: None)\n"
        "rows = sources.open_source(dataset).split('val')[1]\n"
        "print(json.dumps([[r.name for r in rows], 'tensorflow' in sys.modules]))"
    )
    dataset = config("folder", path=str(folder))
    environment = {"PYTHONPATH": str(Path(cache.__file__).parents[2]), "PYTHONHASHSEED": "1"}
    child = subprocess.run(
        [sys.executable, "-c", script, json.dumps([asdict(dataset), str(tmp_path / "cache")])],
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


def left_out(root):
    """Returns the names of what is left out by reason."""
    found = {}
    for reason, name in sources.unused(config("folder", path=str(root))):
        found.setdefault(reason, []).append(name)
    return found


def images(root):
    source = open_folder(root)
    return {row.name for split in sources.SPLITS for row in examples(source, split)}


def test_what_is_no_image_of_a_class_is_left_out_by_name_and_changes_nothing(folder):
    before = images(folder)
    assert left_out(folder) == {}
    save(folder / "cats" / ".hidden.png")
    save(folder / "cats" / ".ipynb_checkpoints" / "copy.png")
    save(folder / ".cache" / "x.png")
    save(folder / "loose.png")
    (folder / "cats" / "notes.txt").write_text("not an image")
    (folder / "documents").mkdir()
    (folder / "documents" / "list.csv").write_text("1,2")
    (folder / "empty").mkdir()
    assert images(folder) == before
    source = open_folder(folder)
    assert (source.classes, source.lost) == (("cats", "dogs"), ("documents", "empty"))
    assert left_out(folder) == {
        "hidden": [".cache", "cats/.hidden.png", "cats/.ipynb_checkpoints"],
        "outside of any class": ["loose.png"],
        "a .txt file, which is not read": ["cats/notes.txt"],
        "a .csv file, which is not read": ["documents/list.csv"],
        "a folder without an image, so no class": ["documents", "empty"],
    }


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "$RECYCLE.BIN", "__MACOSX", "lost+found", "System Volume Information", "#recycle"],
)
def test_what_a_system_makes_is_no_class_wherever_it_lies(name, folder):
    before = images(folder)
    for place in (folder, folder / "cats"):
        save(place / name / "thumbnail.png")
    assert images(folder) == before
    assert left_out(folder) == {"made by a system": [name, f"cats/{name}"]}
    assert open_folder(folder).lost == ()


def test_a_folder_of_a_system_is_not_even_opened(folder, monkeypatch):
    (folder / "lost+found").mkdir()
    refuse(monkeypatch, "lost+found")
    assert open_folder(folder).classes == ("cats", "dogs")


@pytest.mark.parametrize(
    "suffix",
    [".jfif", ".JPE", ".ppm", ".pgm", ".jp2", ".tga", ".ico", ".pcx", ".sgi", ".dib", ".mpo"],
)
def test_every_suffix_that_pillow_reads_is_an_image(suffix, folder):
    before = images(folder)
    file = folder / "cats" / f"more{suffix}"
    image = Image.new("L" if suffix == ".pgm" else "RGB", (16, 16), 200)
    image.save(file, {".JPE": "JPEG", ".mpo": "JPEG"}.get(suffix))
    assert images(folder) - before == {f"cats/more{suffix}"}
    assert decoded(folder, file.name).shape == (16, 16, 3)


@pytest.mark.parametrize("name", ["1.heic", "2.CR2", "3.svg", "4.mpg", "5.eps", "6.h5", "7.pdf"])
def test_a_kind_that_pillow_does_not_read_is_told_by_its_suffix(name, folder):
    (folder / "cats" / name).write_bytes(b"whatever")
    suffix = Path(name).suffix.lower()
    assert left_out(folder) == {f"a {suffix} file, which is not read": [f"cats/{name}"]}


def test_linked_folders_and_files_are_followed(folder, tmp_path):
    for i in range(5):
        save(tmp_path / "elsewhere" / "deeper" / f"linked {i}.png")
    (folder / "cats" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "apes").symlink_to(tmp_path / "elsewhere" / "deeper")
    (folder / "dogs" / "one.png").symlink_to(tmp_path / "elsewhere" / "deeper" / "linked 0.png")
    found = images(folder)
    assert open_folder(folder).classes == ("apes", "cats", "dogs")
    for i in range(5):
        assert {f"cats/more/deeper/linked {i}.png", f"apes/linked {i}.png"} <= found
    assert "dogs/one.png" in found
    assert left_out(folder) == {}


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "sub", "sub/.."])
def test_a_link_back_is_told_and_read_once(target, folder):
    before = images(folder)
    save(folder / "cats" / "sub" / "deep.png")
    (folder / "cats" / "z").symlink_to(target)
    assert images(folder) - before == {"cats/sub/deep.png"}
    assert left_out(folder) == {"a link to a folder that is read already": ["cats/z"]}


def test_links_that_lead_nowhere_and_pipes_are_told(folder, tmp_path):
    (folder / "cats" / "dead.png").symlink_to(tmp_path / "gone.png")
    (folder / "cats" / "inside.png").symlink_to(folder / "cats" / "0.png" / "x")
    (folder / "cats" / "self.png").symlink_to("self.png")
    os.mkfifo(folder / "cats" / "pipe.png")
    names = [f"cats/{name}.png" for name in ("dead", "inside", "pipe", "self")]
    assert left_out(folder) == {"a link that leads nowhere, a pipe or a device": names}


def refuse(monkeypatch, name, error=errno.EACCES):
    """Makes a file or folder unreadable, for root too."""
    scan, read = os.scandir, Path.read_bytes

    def fail(path):
        if not isinstance(path, int) and Path(path).name == name:
            raise OSError(error, os.strerror(error), str(path))

    monkeypatch.setattr(os, "scandir", lambda path: fail(path) or scan(path))
    monkeypatch.setattr(Path, "read_bytes", lambda path: fail(path) or read(path))


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ENETDOWN, errno.ESTALE])
@pytest.mark.parametrize("name", ["cats", "sub", "5.png"])
def test_what_cannot_be_read_for_now_is_an_error_and_not_remembered(
    name, error, folder, tmp_path, monkeypatch
):
    save(folder / "cats" / "sub" / "x.png")
    with monkeypatch.context() as patch:
        refuse(patch, name, error)
        with pytest.raises(UserError, match=f"{name}' cannot be read.*{os.strerror(error)}") as one:
            cache.prepare(config("folder", path=str(folder)), tmp_path / "cache", no_progress)
        assert "\n" not in str(one.value)
    assert not list((tmp_path / "cache").glob("*[!k]"))
    built = cache.prepare(config("folder", path=str(folder)), tmp_path / "cache", no_progress)
    assert built.count("train") + built.count("val") == 61
    assert built.left_out == []


def test_a_file_that_vanishes_while_it_is_read_is_an_error(folder):
    source = open_folder(folder)
    (folder / "cats" / "3.png").unlink()
    with pytest.raises(UserError, match=r"cats/3\.png' cannot be read \(No such file"):
        examples(source, "train") + examples(source, "val")


@pytest.mark.parametrize(
    "marks",
    [
        ["main/20-plain-s0/status.json", "main/20-plain-s0/config.yaml"],
        ["main/study.json", "main/report.md"],
        ["pets-8px-0123/meta.json", "pets-8px-0123/mean_image.npy"],
    ],
)
@pytest.mark.parametrize("place", ["runs", "cats/old/runs"])
def test_runs_and_caches_among_the_images_are_refused(place, marks, folder):
    save(folder / place / "main" / "report" / "loss.png")
    for mark in marks:
        (folder / place / mark).parent.mkdir(parents=True, exist_ok=True)
        (folder / place / mark).write_text("")
    with pytest.raises(UserError, match=r"holds runs or a cache of this program.*move them out"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["0", "1", "2", "10"], ["0", "1", "2", "10"]),
        (["-1", "0.5", "1.5", "10"], ["-1", "0.5", "1.5", "10"]),
        (["007", "1", "01", "20"], ["01", "1", "007", "20"]),
        (["10", "2", "two"], ["10", "2", "two"]),
        (["class10", "class2"], ["class10", "class2"]),
        (["1e3", "20", "9"], ["1e3", "20", "9"]),
    ],
)
def test_classes_are_in_numeric_order_if_all_are_numbers(names, order, tmp_path):
    for name in names:
        for i in range(12):
            save(tmp_path / name / f"{i}.png")
    assert list(open_folder(tmp_path).classes) == order


def test_numbered_classes_keep_their_labels(tmp_path):
    for name in range(12):
        for split in sources.SPLITS:
            save(tmp_path / split / str(name) / "1.png", (name, 0, 0))
    for row in examples(open_folder(tmp_path), "train"):
        assert row.image[0, 0, 0] == row.label


def test_five_spellings_of_a_path_and_a_link_are_one_cache(folder, tmp_path, monkeypatch):
    built = cache.prepare(config("folder", path=str(folder)), tmp_path / "cache", no_progress)
    (tmp_path / "link").symlink_to("images")
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("images", "images/", "./images", "x/../images", "../" + tmp_path.name + "/images",
                 "link", "link/", "~/images"):  # fmt: skip
        assert cache.find(config("folder", path=path), "cache").directory.samefile(built.directory)


def test_what_stands_beside_train_and_val_is_told(tmp_path):
    for split in ("train", "val", "test", "Train"):
        for label in ("cats", "dogs"):
            save(tmp_path / split / label / "1.png")
    save(tmp_path / "train" / "loose.png")
    (tmp_path / "labels.csv").write_text("")
    assert open_folder(tmp_path).classes == ("cats", "dogs")
    assert left_out(tmp_path) == {
        "beside train/ and val/": ["Train", "labels.csv", "test"],
        "outside of any class": ["train/loose.png"],
    }


def test_a_class_without_validation_images_is_kept_and_one_without_training_images_is_not(tmp_path):
    for place in ("train/cats", "train/dogs", "train/Apes", "val/cats", "val/dogs"):
        save(tmp_path / place / "1.png")
    assert open_folder(tmp_path).classes == ("Apes", "cats", "dogs")
    save(tmp_path / "val" / "apes" / "1.png")
    with pytest.raises(UserError, match="no training images of apes; apes may be Apes"):
        open_folder(tmp_path)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_two_unicode_forms_of_a_name_are_one_class(forms, tmp_path):
    for split, form in zip(("train", "val"), forms, strict=True):
        for label in ("zèbre", "âne"):
            save(tmp_path / split / unicodedata.normalize(form, label) / "1.png")
    source = open_folder(tmp_path)
    # In the order that the form of the training folders has, as ever.
    expected = sorted(unicodedata.normalize(forms[0], label) for label in ("zèbre", "âne"))
    assert list(source.classes) == expected
    assert sorted(row.label for row in examples(source, "val")) == [0, 1]


def test_a_name_that_is_no_utf_8_is_read(folder):
    save(Path(os.fsdecode(os.fsencode(folder) + b"/cats/caf\xe9.png")))
    assert len(images(folder)) == 61


def one_class(root):
    save(root / "cats" / "1.png")


def one_class_in_splits(root):
    save(root / "train" / "cats" / "1.png")
    save(root / "val" / "cats" / "2.png")


def only_text(root):
    for label in ("cats", "dogs"):
        (root / label).mkdir()
        (root / label / "1.txt").write_text("not an image")


def only_loose(root):
    for i in range(6):
        save(root / f"{i}.png")


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
        (only_text, "two class folders.*found none, and no image in cats, dogs"),
        (only_loose, r"found none, and outside of any class 0\.png.*4\.png and 1 more"),
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
        ("gone", "gone is not there: name a folder"),
        ("file", "file is a file: name a folder"),
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

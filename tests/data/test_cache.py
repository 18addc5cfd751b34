import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from ablation.config import UserError
from ablation.data import cache, sources

RED, BLUE = (255, 0, 0), (0, 0, 255)


def config(source, **keys):
    return sources.typed({"name": source, "source": source, "image_size": 8} | keys)


def prepare(root, cache_dir, **keys):
    return cache.prepare(folder_config(root, **keys), cache_dir, no_progress)


def folder_config(root, **keys):
    return config("folder", path=str(root), **keys)


def no_progress(what, done, total):
    pass


def save(file, image):
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file)


def half_and_half(left, right, width=20, height=12):
    image = Image.new("RGB", (width, height), left)
    image.paste(right, (width // 2, 0, width, height))
    return image


def leftovers(cache_dir):
    """Returns what lies in a cache folder but for locks."""
    return [path.name for path in cache_dir.iterdir() if path.suffix != ".lock"]


@pytest.fixture
def folder(tmp_path):
    """Returns a data set whose cats are red on the left and whose dogs are blue there."""
    root = tmp_path / "images"
    for split, count in (("train", 5), ("val", 3)):
        for i in range(count):
            save(root / split / "cats" / f"{i}.png", half_and_half(RED, BLUE))
            save(root / split / "dogs" / f"{i}.png", half_and_half(BLUE, RED))
    return root


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return cache.prepare(config("digits"), tmp_path_factory.mktemp("digits"), no_progress)


# What a cache holds


def test_arrays_have_the_documented_shapes_and_types(folder, cache_dir):
    built = prepare(folder, cache_dir, image_size=16)
    assert built.input_shape == (16, 16, 3)
    for split, count in (("train", 10), ("val", 6)):
        images, labels = built.images(split), built.labels(split)
        assert (images.shape, images.dtype) == ((count, 16, 16, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((count,), np.int32)
        assert built.count(split) == count
        assert built.meta["splits"][split]["per_class"] == [count // 2, count // 2]
    assert built.meta["classes"] == ["cats", "dogs"]
    mean = built.mean_image()
    assert (mean.shape, mean.dtype) == ((16, 16, 3), np.float32)


def test_grey_images_keep_one_channel(digits):
    assert digits.input_shape == (8, 8, 1)
    assert digits.images("train").shape == (1437, 8, 8, 1)


def test_images_are_mapped_into_memory_and_read_only(digits):
    images = digits.images("train")
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("size", [4, 7, 12, 33])
def test_images_are_resized_whole_and_keep_their_labels(size, folder, cache_dir):
    built = prepare(folder, cache_dir, image_size=size)
    for split in ("train", "val"):
        # The outermost columns lie well inside the two halves.
        left, right = built.images(split)[:, :, 0], built.images(split)[:, :, -1]
        cats, dogs = (built.labels(split) == label for label in (0, 1))
        assert (left[cats] == RED).all()
        assert (right[cats] == BLUE).all()
        assert (left[dogs] == BLUE).all()
        assert (right[dogs] == RED).all()


def test_an_image_of_the_right_size_keeps_every_pixel(folder, cache_dir):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    save(folder / "train" / "cats" / "0.png", Image.fromarray(noise))
    built = prepare(folder, cache_dir)
    assert (built.images("train") == noise).all(axis=(1, 2, 3)).sum() == 1


def test_statistics_are_numpys_own_over_the_training_images(digits):
    pixels = np.array(digits.images("train")) / 255
    np.testing.assert_allclose(digits.mean_image(), pixels.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(digits.meta["mean"], pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(digits.meta["std"], pixels.std(axis=(0, 1, 2)))


def test_statistics_are_by_channel(folder, cache_dir):
    # Half of all pixels are red, half blue and none green; the validation images do not count.
    for file in (folder / "val").rglob("*.png"):
        save(file, Image.new("RGB", (8, 8), (0, 255, 0)))
    built = prepare(folder, cache_dir, image_size=20)
    np.testing.assert_allclose(built.meta["mean"], [0.5, 0, 0.5], atol=0.01)
    np.testing.assert_allclose(built.meta["std"], [0.5, 0, 0.5], atol=0.02)


def test_broken_images_are_named_counted_and_left_out(folder, cache_dir):
    broken = [folder / "train" / "cats" / "0.png", folder / "val" / "dogs" / "2.png"]
    for file in broken:
        file.write_bytes(b"no image")
    built = prepare(folder, cache_dir)
    names = ["train/cats/0.png", "val/dogs/2.png"]
    assert built.left_out == [{"reason": "damaged, or no image", "count": 2, "names": names}]
    assert [built.count(split) for split in ("train", "val")] == [9, 5]
    assert built.meta["splits"]["train"]["per_class"] == [4, 5]
    for split, count in (("train", 9), ("val", 5)):
        assert len(built.images(split)) == len(built.labels(split)) == count
        assert ((built.images(split)[:, 0, 0, 2] == 255) == built.labels(split)).all()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_one_sound_image_is_a_user_error(split, folder, cache_dir):
    for file in (folder / split).rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match=rf"{split} split.*{split}/cats/0\.png"):
        prepare(folder, cache_dir)
    assert not leftovers(cache_dir)


def test_images_keep_their_own_size_where_none_is_asked_for(folder, cache_dir):
    built = prepare(folder, cache_dir, image_size=None)
    assert built.input_shape == (12, 20, 3)
    assert built.mean_image().shape == (12, 20, 3)


def test_height_and_width_may_differ_and_a_square_has_one_spelling(folder, cache_dir):
    assert prepare(folder, cache_dir, image_size=[6, 10]).input_shape == (6, 10, 3)
    square, one = (prepare(folder, cache_dir, image_size=size) for size in ([9, 9], 9))
    assert square.directory == one.directory


def test_what_keeps_the_aspect_ratio_is_other_images(folder, cache_dir):
    built = [prepare(folder, cache_dir, resize=how) for how in ("stretch", "crop", "pad")]
    assert len({one.fingerprint for one in built}) == 3
    assert (built[2].images("val")[:, 0] == 0).all()


def test_an_image_that_both_splits_hold_is_counted(folder, cache_dir):
    """All cats are one picture, and so are all dogs."""
    rng = np.random.default_rng(0)
    for i in range(2):
        noise = Image.fromarray(rng.integers(0, 256, (12, 20, 3), np.uint8))
        save(folder / "val" / "cats" / f"{i}.png", noise)
    assert prepare(folder, cache_dir).meta["shared"] == 4


def test_a_cache_from_before_they_were_counted_is_counted_and_not_built_anew(folder, cache_dir):
    built = prepare(folder, cache_dir)
    file = built.directory / "meta.json"
    meta = json.loads(file.read_text())
    del meta["shared"]
    file.write_text(json.dumps(meta))
    changed = (built.directory / "train_images.npy").stat().st_mtime_ns
    assert not cache.is_ready(folder_config(folder), cache_dir)
    assert prepare(folder, cache_dir).meta["shared"] == 6
    assert (built.directory / "train_images.npy").stat().st_mtime_ns == changed
    assert cache.is_ready(folder_config(folder), cache_dir)


# The fingerprint


def test_the_same_images_have_one_fingerprint_wherever_they_lie(folder, cache_dir, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    first = prepare(folder, cache_dir)
    assert prepare(folder, tmp_path / "elsewhere").fingerprint == first.fingerprint
    assert prepare(copy, cache_dir).fingerprint == first.fingerprint


def change_one_pixel(root):
    image = half_and_half(BLUE, RED, 8, 8)
    image.putpixel((7, 7), (254, 0, 0))
    save(root / "val" / "dogs" / "2.png", image)


def change_one_label(root):
    (root / "val" / "cats" / "2.png").rename(root / "val" / "dogs" / "00.png")


def move_to_training(root):
    (root / "val" / "dogs" / "2.png").rename(root / "train" / "dogs" / "5.png")


@pytest.mark.parametrize("change", [change_one_pixel, change_one_label, move_to_training])
def test_another_pixel_label_or_split_is_another_fingerprint(change, folder, cache_dir):
    for file in folder.rglob("*.png"):
        left, right = (RED, BLUE) if file.parent.name == "cats" else (BLUE, RED)
        save(file, half_and_half(left, right, 8, 8))
    first = prepare(folder, cache_dir).fingerprint
    change(folder)
    assert prepare(folder, cache_dir).fingerprint != first


def test_another_label_alone_is_another_fingerprint(tmp_path, cache_dir):
    # The middle one of three like images moves from one class to the other.
    for order, root in (("aab", tmp_path / "1"), ("abb", tmp_path / "2")):
        for split in ("train", "val"):
            for i, label in enumerate(order):
                save(root / split / label / f"{i}.png", Image.new("RGB", (8, 8), RED))
    first, second = (prepare(tmp_path / name, cache_dir) for name in "12")
    assert np.array_equal(first.images("val"), second.images("val"))
    assert first.fingerprint != second.fingerprint


# Built once


def test_a_cache_is_found_once_it_is_built_and_built_once(folder, cache_dir):
    assert cache.find(folder_config(folder), cache_dir) is None
    calls = []
    built = cache.prepare(folder_config(folder), cache_dir, lambda *call: calls.append(call))
    assert calls
    calls.clear()
    again = cache.prepare(folder_config(folder), cache_dir, lambda *call: calls.append(call))
    assert again == cache.find(folder_config(folder), cache_dir) == built
    assert not calls


def test_another_size_is_another_cache(folder, cache_dir):
    small, large = prepare(folder, cache_dir), prepare(folder, cache_dir, image_size=16)
    assert (small.input_shape, large.input_shape) == ((8, 8, 3), (16, 16, 3))
    assert cache.find(folder_config(folder), cache_dir) == small


def test_what_is_done_to_batches_later_shares_one_cache(folder, cache_dir):
    built = prepare(folder, cache_dir)
    keys = {"augment": "crop_flip", "normalisation": "pixel_mean"}
    assert cache.find(folder_config(folder, **keys), cache_dir) == built


def add(root):
    save(root / "train" / "dogs" / "new.png", half_and_half(BLUE, RED))


def remove(root):
    (root / "train" / "dogs" / "0.png").unlink()


def rewrite(root):
    file = root / "train" / "dogs" / "0.png"
    before = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize(("change", "count"), [(add, 11), (remove, 9), (rewrite, 10)])
def test_a_changed_folder_is_read_again(change, count, folder, cache_dir):
    prepare(folder, cache_dir)
    change(folder)
    assert cache.find(folder_config(folder), cache_dir) is None
    assert prepare(folder, cache_dir).count("train") == count


def test_a_folder_that_changes_while_it_is_read_is_read_again(folder, cache_dir):
    with contextlib.suppress(UserError):  # To stop with a word about it is as good.
        cache.prepare(folder_config(folder), cache_dir, lambda *_: add(folder))
    assert prepare(folder, cache_dir).count("train") == 11


def test_a_data_folder_that_is_gone_is_a_user_error(folder, cache_dir):
    prepare(folder, cache_dir)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="is not there: name a folder"):
        cache.find(folder_config(folder), cache_dir)


def test_progress_names_each_split_and_reaches_its_total(cache_dir):
    calls = {}
    dataset = config("digits")
    cache.prepare(dataset, cache_dir, lambda what, *call: calls.setdefault(what, []).append(call))
    assert [what.split()[-1] for what in calls] == ["train", "val"]
    for total, steps in zip((1437, 360), calls.values(), strict=True):
        assert steps == sorted(set(steps))
        assert len(steps) > 1
        assert steps[-1] == (total, total)
        assert {step[1] for step in steps} == {total}


# Interrupted


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("a bug")]
)
@pytest.mark.parametrize("at", ["train", "val"])
def test_a_failure_in_the_midst_leaves_nothing_and_does_no_harm(error, at, folder, cache_dir):
    def fail(what, done, total):
        if what.endswith(at):
            raise error

    with pytest.raises(type(error)):
        cache.prepare(folder_config(folder), cache_dir, fail)
    assert not leftovers(cache_dir)
    assert cache.find(folder_config(folder), cache_dir) is None
    assert prepare(folder, cache_dir).count("train") == 10


def test_a_failure_at_the_very_end_leaves_nothing(folder, cache_dir, monkeypatch):
    def fail(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space"):
            prepare(folder, cache_dir)
    assert not leftovers(cache_dir)


def test_what_no_disk_can_hold_is_refused_before_it_is_written(folder, cache_dir):
    with pytest.raises(UserError, match=r"train split.* needs [\d,.]+ GiB .*dataset.image_size"):
        prepare(folder, cache_dir, image_size=3_000_000)
    assert not leftovers(cache_dir)


# Prepares a data set; once at work it dies, or waits until another process wants the same.
_CHILD = """
import json, os, signal, sys, time
from pathlib import Path
from ablation.data import cache, sources

me, room, dataset = json.loads(sys.argv[1])
room = Path(room)

def progress(what, done, total):
    (room / f"{me} builds").touch()
    if me == "victim":
        os.kill(os.getpid(), signal.SIGKILL)
    give_up = time.monotonic() + 30
    while me == "first" and not (room / "second asks").exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    time.sleep(0.2)

(room / f"{me} asks").touch()
print(cache.prepare(sources.typed(dataset), room / "cache", progress).fingerprint)
"""


def start(me, room, root):
    order = json.dumps([me, str(room), asdict(folder_config(root))])
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, order], env=environment(), stdout=subprocess.PIPE, text=True
    )


def environment():
    return os.environ | {"PYTHONPATH": str(Path(cache.__file__).parents[2])}


def test_what_a_killed_process_left_is_cleaned_up(folder, cache_dir, tmp_path):
    victim = start("victim", tmp_path, folder)
    victim.communicate(timeout=60)
    assert victim.returncode < 0
    assert leftovers(cache_dir)
    assert cache.find(folder_config(folder), cache_dir) is None
    built = prepare(folder, cache_dir)
    assert leftovers(cache_dir) == [built.directory.name]
    assert built.count("train") == 10


def test_two_processes_at_once_build_one_cache(folder, tmp_path):
    first = start("first", tmp_path, folder)
    give_up = time.monotonic() + 30
    while not (tmp_path / "first builds").exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    second = start("second", tmp_path, folder)
    printed = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    assert printed[0] == printed[1] != ""
    assert (tmp_path / "first builds").exists()
    assert not (tmp_path / "second builds").exists()


def test_who_waits_for_another_process_is_told_so(folder, cache_dir):
    cache_dir.mkdir()
    with FileLock(cache_dir / "folder-8px.lock"):
        child = subprocess.Popen(
            [sys.executable, "-m", "ablation.data"],
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        order = {"dataset": asdict(folder_config(folder)), "cache_dir": str(cache_dir)}
        child.stdin.write(json.dumps(order))
        child.stdin.close()
        assert "waiting for another process" in child.stderr.readline()
    assert "prepared folder" in child.stderr.read()
    assert child.wait(timeout=60) == 0


# python -m ablation.data


def run(dataset, cache_dir):
    order = json.dumps({"dataset": asdict(dataset), "cache_dir": str(cache_dir)})
    return subprocess.run(
        [sys.executable, "-m", "ablation.data"],
        input=order,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_child_process_prepares_what_it_is_ordered_to(folder, cache_dir):
    (folder / "train" / "dogs" / "3.png").write_bytes(b"no image")
    child = run(folder_config(folder), cache_dir)
    assert child.returncode == 0
    assert "train/dogs/3.png" in child.stderr
    built = cache.find(folder_config(folder), cache_dir)
    assert built
    assert built.count("train") == 9


def test_the_child_process_ends_with_a_table_and_with_what_is_left_out(folder, cache_dir):
    for i in range(8):
        (folder / "train" / "cats" / f"{i}.heic").write_bytes(b"")
    save(folder / "train" / "owls" / "1.png", half_and_half(RED, BLUE))
    save(folder / "test" / "cats" / "1.png", half_and_half(RED, BLUE))
    (folder / "val" / "newts").mkdir()
    (folder / "val" / "dogs" / "0.png").write_bytes(b"no image")
    lines = run(folder_config(folder), cache_dir).stderr.splitlines()
    table = [line.split() for line in lines]
    for row in (["cats", "5", "3"], ["dogs", "5", "2"], ["owls", "1", "0"]):
        assert row in table
    left_out = [
        "8 left out (a .heic file, which is not read): train/cats/0.heic, train/cats/1.heic, "
        "train/cats/2.heic, train/cats/3.heic, train/cats/4.heic and 3 more",
        "1 left out (beside train/ and val/): test",
        "1 left out (a folder without an image, so no class): val/newts",
        "1 left out (damaged, or no image): val/dogs/0.png",
    ]
    assert lines[-6:-2] == left_out
    assert lines[-2:] == [
        "warning: no validation image of owls; no image in newts, so no such class",
        # All cats are one picture here, and so are all dogs.
        "warning: 5 of 5 validation images are also training images, pixel by pixel",
    ]


def test_what_is_left_out_anew_is_told_without_decoding_anew(folder, cache_dir):
    run(folder_config(folder), cache_dir)
    assert cache.is_ready(folder_config(folder), cache_dir)
    (folder / "train" / "cats" / "new.heic").write_bytes(b"")
    (folder / "train" / "empty").mkdir()
    assert cache.find(folder_config(folder), cache_dir)  # Runs that are under way go on.
    assert not cache.is_ready(folder_config(folder), cache_dir)
    child = run(folder_config(folder), cache_dir)
    assert "train/cats/new.heic" in child.stderr and "no image in empty" in child.stderr
    assert "preparing" not in child.stderr
    assert cache.is_ready(folder_config(folder), cache_dir)
    assert cache.find(folder_config(folder), cache_dir).meta["lost"] == ["empty"]


@pytest.mark.parametrize(("greatest", "told"), [(1, True), (2, False)])
def test_images_without_a_pixel_above_1_are_told_to_be_black(greatest, told, tmp_path, cache_dir):
    x = np.random.default_rng(0).integers(0, greatest + 1, (20, 4, 4), np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(20) % 2)
    child = run(config("arrays", path=str(tmp_path / "data.npz"), image_size=None), cache_dir)
    assert child.returncode == 0
    assert ("warning: no pixel is above 1 of 255, so pictures are black" in child.stderr) == told


def test_a_thousand_classes_and_reasons_stay_readable(tmp_path, cache_dir):
    for i in range(1000):
        for split in ("train", "val"):
            (tmp_path / split / str(i)).mkdir(parents=True)
            (tmp_path / split / str(i) / f"a.{i}").write_bytes(b"")
    for split in ("train", "val"):
        for i in range(990):
            save(tmp_path / split / str(i) / "1.png", Image.new("L", (8, 8)))
    child = run(folder_config(tmp_path), cache_dir)
    assert child.returncode == 0
    assert len(child.stderr.splitlines()) < 70
    assert "and 971 more, each" in child.stderr
    assert "no image in 990, 991, 992, 993, 994 and 5 more" in child.stderr
    assert "left out (for other reasons)" in child.stderr


def test_a_name_that_cannot_be_printed_is_told_in_escapes(folder, cache_dir):
    for name in (b"caf\xe9.heic", b"two\nlines.heic", b"\x1b[31mred.heic", b"[bold]b.heic"):
        Path(os.fsdecode(os.fsencode(folder) + b"/train/cats/" + name)).write_bytes(b"")
    child = run(folder_config(folder), cache_dir)
    assert child.returncode == 0
    for shown in ("caf\\xe9.heic", "two\\nlines.heic", "\\x1b[31mred.heic", "[bold]b.heic"):
        assert f"train/cats/{shown}" in child.stderr


def test_the_child_process_tells_a_user_error_in_one_line(tmp_path, cache_dir):
    child = run(folder_config(tmp_path / "gone"), cache_dir)
    assert child.returncode == 2
    assert child.stdout == ""
    assert child.stderr.count("\n") == 1
    assert f"dataset.path={tmp_path / 'gone'} is not there: name a folder" in child.stderr
    assert not cache_dir.exists()


def test_the_child_process_tells_in_one_line_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    child = run(config("digits"), tmp_path / "file")
    assert child.returncode == 2
    assert child.stderr.count("\n") == 1
    assert str(tmp_path / "file") in child.stderr


def test_an_array_that_was_cut_off_is_made_anew(folder, tmp_path):
    made = prepare(folder, tmp_path / "cache")
    file = made.directory / "train_images.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    assert cache.find(folder_config(folder), tmp_path / "cache") is None
    prepare(folder, tmp_path / "cache")
    assert file.read_bytes() == whole


def test_a_class_whose_training_images_are_all_broken_is_refused(folder, tmp_path):
    for file in (folder / "train" / "cats").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"every training image of cats.*damaged, or no image"):
        prepare(folder, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []

import unicodedata

import numpy as np
import pytest

from ablation.config import UserError
from ablation.data import cache, sources
from sources_support import config, examples, no_progress, one_line

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (20, 6, 4, 3)).astype(np.uint8)
Y = np.arange(20) % 2
SPLIT = {"x_train": X[:14], "y_train": Y[:14], "x_val": X[14:], "y_val": Y[14:]}


@pytest.fixture
def archive(tmp_path):
    """Writes an archive; returns the configuration that reads it."""

    def write(keys=(), file="data.npz", **arrays):
        np.savez(tmp_path / file, **arrays)
        return config("arrays", path=str(tmp_path / file), **dict(keys))

    return write


def opened(dataset):
    return sources.open_source(dataset)


def pixels(source, split):
    return np.stack([row.image for row in examples(source, split)])


def labels(source, split):
    return [row.label for row in examples(source, split)]


def test_arrays_of_both_splits_are_handed_out_as_they_are(archive):
    source = opened(archive(**SPLIT))
    assert (source.classes, source.channels) == (("0", "1"), 3)
    np.testing.assert_array_equal(pixels(source, "train"), X[:14])
    np.testing.assert_array_equal(pixels(source, "val"), X[14:])
    assert labels(source, "val") == Y[14:].tolist()


def test_the_archives_of_keras_validate_on_what_they_call_test(archive):
    arrays = {"x_train": X[:14, ..., 0], "y_train": Y[:14, None]}
    source = opened(archive(**arrays, x_test=X[14:, ..., 0], y_test=Y[14:, None]))
    assert source.channels == 1
    np.testing.assert_array_equal(pixels(source, "val")[..., 0], X[14:, ..., 0])


def test_arrays_of_one_split_are_split_by_a_seed_with_equal_shares_of_each_class(archive):
    one, same, other = (opened(archive({"split_seed": seed}, x=X, y=Y)) for seed in (0, 0, 1))
    assert (len(labels(one, "train")), len(labels(one, "val"))) == (16, 4)
    assert sorted(labels(one, "val")) == [0, 0, 1, 1]
    np.testing.assert_array_equal(pixels(one, "val"), pixels(same, "val"))
    assert not np.array_equal(pixels(one, "val"), pixels(other, "val"))


@pytest.mark.parametrize("channels", [1, 2, 4, 16])
@pytest.mark.parametrize("size", [None, [8, 12]])
def test_images_of_any_number_of_channels_come_into_the_cache(channels, size, archive, tmp_path):
    x = RNG.integers(0, 256, (20, 6, 4, channels)).astype(np.uint8)
    dataset = archive({"image_size": size}, x=x, y=Y)
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert built.input_shape == (*(size or (6, 4)), channels)
    if size is None:
        np.testing.assert_array_equal(built.images("val"), pixels(opened(dataset), "val"))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (np.float32([0, 0.5, 1]), [0, 128, 255]),
        (np.float64([0, 100, 255]), [0, 100, 255]),
        (np.uint16([0, 2048, 4095]), [0, 128, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
        (np.int64([0, 7, 255]), [0, 7, 255]),
    ],
)
def test_pixels_of_other_types_become_8_bits_by_the_whole_set(stored, shown, archive):
    x = np.tile(stored, (20, 2, 1))
    x[1::2, 0] = x[1::2, 0, ::-1]
    found = pixels(opened(archive(x=x, y=Y)), "train")
    assert found[0, 0, :, 0].tolist() == pytest.approx(shown, abs=1)


def test_a_split_may_be_darker_than_the_other(archive):
    arrays = SPLIT | {"x_train": np.uint16(X[:14]) * 16, "x_val": np.uint16(X[14:]) * 4}
    assert pixels(opened(archive(**arrays)), "val").max() == X[14:].max() // 4


def test_classes_have_the_names_that_are_given_or_their_labels(archive):
    texts = np.array(["dog", "ant"])[Y]
    assert opened(archive(x=X, y=texts)).classes == ("ant", "dog")
    assert opened(archive(x=X, y=10 - 8 * Y)).classes == ("2", "10")
    forms = [unicodedata.normalize(form, "âne") for form in ("NFC", "NFD")]
    assert opened(archive(x=X, y=np.array([*forms, "chat", "chat"] * 5))).classes == (
        "chat",
        forms[0],
    )
    named = opened(archive(x=X, y=Y, classes=np.array(["b", "a"])))
    assert named.classes == ("b", "a")
    assert sorted(labels(named, "val")) == [0, 0, 1, 1]
    assert opened(archive(x=X, y=texts, classes=np.array(["dog", "ant"]))).classes[0] == "dog"


def test_the_number_of_classes_is_part_of_what_identifies_the_data(archive, tmp_path):
    names = [["0", "1"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]
    found = [
        cache.prepare(archive(x=X, y=Y, classes=of), tmp_path / "cache", no_progress).fingerprint
        for of in names
    ]
    unnamed = cache.prepare(archive(x=X, y=Y), tmp_path / "cache", no_progress)
    assert found[0] == found[1] == unnamed.fingerprint
    assert len(set(found[1:])) == 3


@pytest.mark.parametrize("key", ["group", "patient"])
def test_nobody_is_in_both_splits(key, archive, tmp_path):
    who = np.arange(20) // 4
    keys = {} if key == "group" else {"group": key}
    dataset = archive(keys, x=np.tile(who[:, None, None], (1, 2, 2)), y=Y, **{key: who})
    assert cache.prepare(dataset, tmp_path / "cache", no_progress).meta["grouped"]
    source = opened(dataset)
    train, val = (set(np.unique(pixels(source, split))) for split in sources.SPLITS)
    assert not train & val
    assert len(train | val) == 5


def test_arrays_that_are_not_read_are_told(archive):
    found = sources.unused(archive(x=X, y=Y, note=np.zeros(1), x_test=X))
    assert sorted(left.name for left in found) == ["note", "x_test"]


def test_an_archive_that_changes_is_another_data_set(archive, tmp_path):
    one = cache.prepare(archive(x=X, y=Y), tmp_path / "cache", no_progress)
    other = cache.prepare(archive(x=X[::-1], y=Y), tmp_path / "cache", no_progress)
    assert one.fingerprint != other.fingerprint


OBJECTS = np.array([0, "a"] * 10, object)
HOLE = np.where(np.arange(20)[:, None, None, None] == 3, np.nan, X / 255)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, ["x_train, y_train, x_val and y_val, or x and y", "it has nothing"]),
        ({"x": X}, ["or x and y", "it has x"]),
        ({"x_train": X, "y_train": Y}, ["it has x_train, y_train", "name them x and y"]),
        (SPLIT | {"x": X, "y": Y}, ["not of both"]),
        ({"x": X, "y": OBJECTS}, ["y holds Python objects", "could run code"]),
        ({"x": X.astype(object), "y": Y}, ["x holds Python objects"]),
        ({"x": X, "y": Y[:-1]}, ["x has 20 images and y 19 labels"]),
        ({"x": X, "y": Y - 1}, ["y[0] is -1", "0 or more"]),
        (
            {"x": X, "y": np.where(Y, np.nan, 1)},
            ["is NaN or infinite", "Leave out examples without"],
        ),
        ({"x": X, "y": np.eye(2)[Y]}, ["one label an example", "argmax"]),
        ({"x": X, "y": np.zeros(20, int)}, ["at least two classes", "only '0'"]),
        ({"x": X, "y": np.array(["a", ""])[Y]}, ["y[1] is empty"]),
        (
            {"x": X, "y": np.array([b"M\xfcller", b"M\xf6ller"])[Y]},
            ["y[0] is b'M", "UTF-8", "latin-1"],
        ),
        ({"x": X, "y": Y, "classes": np.array([b"a", b"\xe9"])}, ["classes[1] is b'", "UTF-8"]),
        ({"x": X, "y": np.array(3)}, ["y is one value"]),
        ({"x": X, "y": np.array([1.0, 1e20])[Y]}, ["y[1] is 1e+20", "target=value"]),
        ({"x": HOLE, "y": Y}, ["x[3] holds NaN"]),
        ({"x": X / 255 - 0.5, "y": Y}, ["floats from", "0 to 1 and 0 to 255"]),
        ({"x": X.astype(int) - 100, "y": Y}, ["pixels are 0 or more"]),
        ({"x": X.astype(complex), "y": Y}, ["x must be numbers", "complex128"]),
        ({"x": np.full((20, 2, 2), "a"), "y": Y}, ["x must be numbers"]),
        ({"x": X[:, 0, 0, 0], "y": Y}, ["images x height x width", "is 20"]),
        ({"x": np.zeros((20, 3, 32, 32), "u1"), "y": Y}, ["1 to 16 channels", "np.moveaxis"]),
        ({"x": np.zeros((20, 3, 16, 16), "u1"), "y": Y}, ["20x3x16x16", "np.moveaxis"]),
        ({"x": np.zeros((20, 1, 8, 8), "u1"), "y": Y}, ["20x1x8x8", "np.moveaxis"]),
        ({"x": X[:0], "y": Y[:0]}, ["x holds no images"]),
        (SPLIT | {"x_val": X[:0], "y_val": Y[:0]}, ["x_val holds no images"]),
        (SPLIT | {"x_val": X[14:, ..., :1]}, ["x_train has 3 channels, x_val 1"]),
        (SPLIT | {"x_val": X[14:] / 255}, ["uint8", "float64", "the same type"]),
        (
            SPLIT | {"x_train": X[:14] / 255, "x_val": X[14:] / 1},
            ["x_train from 0 to 1 and x_val from 0 to 255", "one scale"],
        ),
        (SPLIT | {"x_train": X[:14] // 128}, ["x_train from 0 to 1 and x_val from 0 to 255"]),
        (
            SPLIT | {"x_train": np.uint16(X[:14]), "x_val": np.uint16(X[14:]) * 257},
            ["x_train from 0 to 255 and x_val from 0 to 65535"],
        ),
        ({"x": np.tile(X[:1], (20, 1, 1, 1)), "y": Y}, ["all images of x are one and the same"]),
        (SPLIT | {"y_train": 0 * Y[:14]}, ["no training examples of 1"]),
        (SPLIT | {"y_val": np.array(["a"] * 6)}, ["of one split are texts"]),
        ({"x": X, "y": Y, "classes": np.array(["a"])}, ["the label 1 has no name"]),
        ({"x": X, "y": Y, "classes": np.array(["a", "a"])}, ["names one class twice"]),
        ({"x": X, "y": Y, "classes": np.float64([1, 2])}, ["must be a list of names"]),
        ({"x": X, "y": Y, "group": Y[:5]}, ["group must have one value an example, 20"]),
        ({"x": X, "y": Y, "group": np.zeros(20)}, ["group must be whole numbers or texts"]),
        ({"x": X, "y": Y, "group": np.zeros(20, int)}, ["no examples for the val split"]),
        (
            SPLIT | {"group_train": np.arange(14), "group_val": np.arange(13, 19)},
            ["the splits share 13", "nobody may be in both"],
        ),
        (SPLIT | {"group_train": np.arange(14)}, ["has no group_val"]),
    ],
)
def test_a_broken_archive_is_refused_in_one_line(arrays, words, archive):
    message = one_line(lambda: opened(archive(**arrays)))
    assert message.startswith("data.npz")
    for word in words:
        assert word in message


def test_a_group_that_is_not_there_is_named(archive):
    message = one_line(lambda: opened(archive({"group": "patient"}, x=X, y=Y)))
    assert "no patient" in message and "it has x, y" in message


@pytest.mark.parametrize(
    "keys", [{"val_fraction": 0}, {"val_fraction": 1}, {"split_seed": -1}, {"split_seed": 2**32}]
)
def test_a_split_that_is_none_is_refused(keys):
    with pytest.raises(UserError, match=f"dataset.{next(iter(keys))}="):
        config("arrays", **keys)


def test_a_file_that_is_no_archive_is_refused_in_one_line(archive, tmp_path):
    dataset = archive(x=X, y=Y)
    whole = (tmp_path / "data.npz").read_bytes()
    flipped = whole[:800] + bytes([whole[800] ^ 255]) + whole[801:]
    for content, word in (
        (whole[:900], "no whole .npz archive"),
        (b"", "no whole .npz archive"),
        (b"\x80\x04K\x01.", "no whole .npz archive"),
        (flipped, "x cannot be read"),
    ):
        (tmp_path / "data.npz").write_bytes(content)
        assert word in one_line(lambda: opened(dataset))


def test_a_path_that_leads_to_no_file_is_refused_in_one_line(tmp_path):
    for path, word in (
        (str(tmp_path), "is a folder"),
        (str(tmp_path / "no.npz"), "is not there"),
        (None, "needs dataset.path"),
    ):
        assert word in one_line(lambda path=path: sources.state(config("arrays", path=path)))


def test_an_archive_never_runs_code(archive, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "exploded").touch, ()

    dataset = archive(x=X, y=np.array([Bomb()] * 20, object))
    assert "could run code" in one_line(lambda: opened(dataset))
    assert not (tmp_path / "exploded").exists()

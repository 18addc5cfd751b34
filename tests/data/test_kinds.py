import numpy as np
import pytest

from ablation.config import Config
from ablation.data import cache, kinds, sources
from ablation.data.augment import OwnAugmentation
from ablation.data.pipeline import TrainBatches, ValBatches
from sources_support import config, no_progress, one_line

RNG = np.random.default_rng(0)
Y = np.arange(20) % 2
ROWS = RNG.normal(5, 2, (20, 3))
SIGNALS = RNG.normal(-1, 3, (20, 12, 2))
TEXTS = RNG.integers(1, 9, (20, 6))


@pytest.fixture
def prepared(tmp_path):
    """Writes arrays and prepares them; returns the cache."""

    def prepare(keys=(), **arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        given = {"image_size": None} | dict(keys)
        dataset = config("arrays", path=str(tmp_path / "data.npz"), **given)
        return cache.prepare(dataset, tmp_path / "cache", no_progress)

    return prepare


def split(x):
    return {"x_train": x[:14], "y_train": Y[:14], "x_val": x[14:], "y_val": Y[14:]}


def batches(data):
    train = TrainBatches(data, seed=0, batch_size=14, augment="none", normalisation="standard")
    (x, _), *_ = train.epoch(0)
    (val, _), *_ = ValBatches(data, batch_size=6, normalisation="standard")
    return x, val


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (ROWS, "features"),
        (ROWS > 5, "features"),
        (TEXTS, "tokens"),
        (SIGNALS, "signals"),
        (np.abs(SIGNALS) / 99, "images"),
        (TEXTS[..., None], "images"),
        (RNG.random((20, 4, 4, 3)), "images"),
    ],
)
def test_the_kind_is_told_by_axes_type_and_range(x, kind, prepared):
    assert prepared(x=x, y=Y).kind.name == kind


def test_a_kind_may_be_named(prepared):
    assert prepared({"kind": "signals"}, x=ROWS, y=Y).input_shape == (3, 1)
    assert prepared({"kind": "features"}, x=TEXTS, y=Y).input_shape == (6,)
    assert prepared({"kind": "signals"}, x=np.abs(SIGNALS) / 99, y=Y).input_shape == (12, 2)


@pytest.mark.parametrize("x", [ROWS, SIGNALS], ids=["rows", "signals"])
def test_numbers_are_standardised_by_the_training_split(x, prepared):
    data = prepared(**split(x))
    assert data.input_shape == x.shape[1:]
    axes = tuple(range(x.ndim - 1))
    mean, deviation = x[:14].mean(axis=axes), x[:14].std(axis=axes)
    train, val = batches(data)
    assert train.dtype == np.float32
    np.testing.assert_allclose(train.mean(axis=axes), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=axes), 1, atol=1e-6)
    np.testing.assert_allclose(val, (x[14:] - mean) / deviation, rtol=1e-5, atol=1e-6)


def test_a_constant_column_is_0_in_both_splits_and_large_numbers_keep_their_digits(prepared):
    x = ROWS.copy()
    x[:14, 0], x[14:, 0] = 0.1, 7
    x[:, 1] = 1.7e9 + ROWS[:, 1]
    train, val = batches(prepared(**split(x)))
    assert (train[:, 0] == 0).all() and (val[:, 0] == 0).all()
    expected = (ROWS[14:, 1] - ROWS[:14, 1].mean()) / ROWS[:14, 1].std()
    np.testing.assert_allclose(val[:, 1], expected, atol=1e-4)


def test_images_of_0_and_1_are_standardised_and_a_constant_channel_stays_in_levels(prepared):
    x = RNG.integers(0, 2, (20, 4, 4, 3)).astype(np.uint8)
    x[:14, ..., 1], x[14:, ..., 1] = 100, 103
    x[:, ..., 2] = 7
    x[0, 0, 0, 2] = 8
    train, val = batches(prepared(**split(x)))
    np.testing.assert_allclose(train[..., [0, 2]].mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(train[..., [0, 2]].std(axis=(0, 1, 2)), 1, atol=1e-4)
    np.testing.assert_allclose(train[..., 1], 0, atol=1e-4)
    np.testing.assert_allclose(val[..., 1], 3, atol=1e-4)


def test_tokens_come_as_they_are_with_the_size_of_their_vocabulary(prepared, tmp_path):
    data = prepared(**split(TEXTS))
    _, val = batches(data)
    assert val.dtype == np.int32 and np.array_equal(val, TEXTS[14:])
    assert data.meta["vocabulary"] == TEXTS[:14].max() + 1
    assert prepared({"vocabulary": "50"}, x=TEXTS, y=Y).meta["vocabulary"] == 50
    (tmp_path / "words.txt").write_text("\n".join("_abcdefgh") + "\n")
    named = prepared({"vocabulary": str(tmp_path / "words.txt")}, x=TEXTS, y=Y)
    assert (named.meta["vocabulary"], named.meta["words"][3]) == (9, "c")


def test_any_character_may_be_a_word_of_a_vocabulary(prepared, tmp_path):
    (tmp_path / "words.txt").write_text("_\n\x85\n\u2028\na\n", encoding="utf-8")
    tokens = TEXTS % 4
    named = prepared({"vocabulary": str(tmp_path / "words.txt")}, x=tokens, y=Y)
    assert named.meta["words"] == ["_", "\x85", "\u2028", "a"]


def test_a_vocabulary_that_changes_is_read_anew(prepared, tmp_path):
    file = tmp_path / "words.txt"
    for words, size in (("_abcdefgh", 9), ("_abcdefghijk", 12)):
        file.write_text("\n".join(words))
        assert prepared({"vocabulary": str(file)}, x=TEXTS, y=Y).meta["vocabulary"] == size


def test_words_of_one_name_in_two_folders_are_two_files(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", x=TEXTS, y=Y)
    dataset = config("arrays", path=str(tmp_path / "data.npz"), vocabulary="words.txt")
    built = []
    for folder, words in (("a", "_abcdefgh"), ("b", "_abcdefghijk")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.txt").write_text("\n".join(words))
        monkeypatch.chdir(tmp_path / folder)
        built.append(cache.prepare(dataset, tmp_path / "cache", no_progress))
    assert [data.meta["vocabulary"] for data in built] == [9, 12]


def test_what_normalises_and_the_kind_are_part_of_what_identifies_the_data(prepared):
    found = [
        prepared(**split(ROWS)),
        prepared({"kind": "signals"}, **split(ROWS)),
        prepared(**split(TEXTS)),
        prepared({"vocabulary": "50"}, **split(TEXTS)),
        prepared({"kind": "features"}, **split(TEXTS)),
    ]
    assert len({one.fingerprint for one in found}) == 5
    assert prepared(**split(ROWS)).fingerprint == found[0].fingerprint


def test_rows_that_validate_and_train_are_counted_and_unseen_tokens_told(prepared):
    x = ROWS.copy()
    x[14:16] = x[:2]
    assert prepared(**split(x)).meta["shared"] == 2
    texts = np.where(TEXTS == 4, 5, TEXTS)
    texts[15, 2] = 4
    assert prepared(**split(texts)).meta["unseen"] == 1


HOLE = np.where(np.arange(60).reshape(20, 3) == 9, np.nan, ROWS)


@pytest.mark.parametrize(
    ("keys", "arrays", "words"),
    [
        ({}, {"x": HOLE, "y": Y}, ["x[3] holds NaN"]),
        ({"kind": "features"}, {"x": SIGNALS, "y": Y}, ["rows x features", "20x12x2"]),
        ({"kind": "signals"}, {"x": ROWS[:, 0], "y": Y}, ["signals x time", "is 20"]),
        ({"kind": "tokens"}, {"x": ROWS, "y": Y}, ["whole numbers", "float64"]),
        ({"kind": "tokens"}, {"x": TEXTS[:, 0], "y": Y}, ["texts x length", "Pad"]),
        ({}, {"x": TEXTS - 2, "y": Y}, ["holds -1", "0, where a text has ended"]),
        ({}, split(np.vstack([TEXTS[:14], TEXTS[14:] + 9])), ["validation texts", "beyond"]),
        ({"vocabulary": "5"}, {"x": TEXTS, "y": Y}, ["vocabulary=5", "go up to 4"]),
        ({"vocabulary": "none.txt"}, {"x": TEXTS, "y": Y}, ["none.txt cannot be read"]),
        ({}, split(ROWS) | {"x_val": ROWS[14:, :2]}, ["14x3", "6x2", "alike"]),
        ({}, {"x": ROWS, "y": Y[:-1]}, ["x has 20 rows"]),
        ({"kind": "signals"}, {"x": ROWS[:0], "y": Y[:0]}, ["x holds no signals"]),
        ({}, {"x": ROWS.astype("U"), "y": Y}, ["must be numbers", "Texts become"]),
        ({}, {"x": TEXTS + 2**40, "y": Y}, ["tokens are 0", "and below 2,147,483,647"]),
        ({}, split(ROWS * [1, 1e200, 1]), ["in column 2 of 3, are too large"]),
        ({}, split(ROWS * [1, 1, 1e-200]), ["in column 3 of 3, are too large or too small"]),
        ({}, split(np.vstack([ROWS[:14], ROWS[14:] * 1e300])), ["column 1 of 3", "logarithms"]),
        ({}, split(SIGNALS * 1e300), ["in column 1 of 2"]),
    ],
)
def test_what_is_no_such_input_is_told_in_a_line(keys, arrays, words, prepared):
    said = one_line(lambda: prepared(keys, **arrays))
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    ("kind", "dataset", "recipe", "words"),
    [
        ("features", {"augment": "flip"}, {}, ["dataset.augment=flip is for images", "rows"]),
        ("features", {"image_size": 16}, {}, ["dataset.image_size=16"]),
        ("signals", {"normalisation": "pixel_mean"}, {}, ["dataset.normalisation=pixel_mean"]),
        ("signals", {}, {"cutmix": 1.0}, ["recipe.cutmix=1.0 is for images", "signals"]),
        ("tokens", {}, {"random_erasing": 0.5}, ["recipe.random_erasing=0.5"]),
        ("tokens", {}, {"mixup": 0.2}, ["mixup=0.2 is for rows and images and signals", "texts"]),
        ("images", {"vocabulary": "5"}, {}, ["dataset.vocabulary=5 is for texts", "images"]),
        ("signals", {"vocabulary": "5"}, {}, ["dataset.vocabulary=5 is for texts", "signals"]),
        ("tokens", {"vocabulary": "5"}, {}, []),
        ("features", {}, {"mixup": 0.2}, []),
        ("images", {"augment": "flip"}, {"cutmix": 1.0}, []),
        ("tokens", {"augment": "my.py:f"}, {"label_smoothing": 0.1}, []),
    ],
)
def test_what_is_for_other_kinds_is_refused(kind, dataset, recipe, words):
    usual = {"image_size": None, "normalisation": "standard"}
    asked = Config(dataset=config("arrays", path="x", **usual | dataset))
    for key, value in recipe.items():
        setattr(asked.recipe, key, value)
    if not words:
        assert kinds.settled(asked, kinds.KINDS[kind]) == asked
        return
    said = one_line(lambda: kinds.settled(asked, kinds.KINDS[kind]))
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("kind", ["features", "signals", "tokens"])
def test_what_nothing_reads_makes_no_other_run_however_it_is_typed(kind):
    one, other = (
        kinds.settled(
            Config(dataset=config("arrays", path="x", image_size=None, normalisation=typed)),
            kinds.KINDS[kind],
        )
        for typed in ("standard", "unit")
    )
    assert one == other


def test_data_is_found_however_the_size_was_typed_that_nothing_reads(tmp_path):
    np.savez(tmp_path / "x.npz", x=ROWS, y=Y)
    asked = Config(dataset=config("arrays", path=str(tmp_path / "x.npz"), image_size=32))
    data = cache.prepare(asked.dataset, str(tmp_path / "cache"), lambda *_: None)
    assert data.kind.name == "features"
    settled = kinds.settled(asked, data.kind)
    assert cache.find(settled.dataset, str(tmp_path / "cache"))


def test_the_usual_augmentation_of_a_source_is_left_out_where_it_is_for_images():
    usual = {"image_size": 224, "augment": "flip", "normalisation": "standard"}
    asked = Config(dataset=config("table", path="x.csv", **usual))
    assert kinds.settled(asked, kinds.KINDS["features"]).dataset.augment == "none"
    assert kinds.settled(asked, kinds.KINDS["images"]).dataset.augment == "flip"


def test_a_kind_is_an_option_of_sources_of_arrays_alone():
    one_line(lambda: config("digits", kind="features"))
    assert config("function", kind="features").kind == "features"
    assert {"kind", "vocabulary"} <= sources.options("arrays").keys()


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("features", "return x + 1", None),
        ("features", "return x * float('inf')", "finite numbers"),
        ("signals", "return x[:, ::-1]", None),
        ("tokens", "return x", None),
        ("tokens", "return x + 100", "tokens from"),
        ("tokens", "return x / 2", "float64"),
    ],
)
def test_an_augmentation_of_ones_own_gets_inputs_of_any_kind(kind, body, told, tmp_path):
    file = tmp_path / f"augment_{kind}_{told is None}_{len(body)}.py"
    file.write_text(f"def f(x, rng):\n    {body}\n")
    x = {"features": ROWS, "signals": SIGNALS, "tokens": np.int32(TEXTS)}[kind]
    own = OwnAugmentation(f"{file}:f", kinds.KINDS[kind], {"vocabulary": 9})
    if told:
        assert told in one_line(lambda: own(x, RNG))
    else:
        assert own(x, RNG).dtype == x.dtype


STUDY = """
import keras
import numpy as np
from keras import layers

def load():
    x = np.random.default_rng(0).integers(1, 4, (60, 5))
    y = (x == 1).any(axis=1).astype(int)
    x[50] = x[10]
    return x, y

def build(input_shape, classes, *, vocabulary: int, wide: bool = True):
    tokens = keras.Input(input_shape, dtype="int32")
    x = layers.Embedding(vocabulary, 8 if wide else 4, name="table")(tokens)
    return keras.Model(tokens, layers.Dense(classes)(layers.Flatten()(x)))
"""


def test_a_study_of_texts_is_trained_and_reported_in_its_own_words(cli, tmp_path):
    (tmp_path / "study_of_texts.py").write_text(STUDY)
    (tmp_path / "words.txt").write_text("_\none\ntwo\nthree\n")
    keys = ["arch=study_of_texts.py:build", "epochs=1", "recipe.batch_size=16", "dataset=function"]
    keys += ["dataset.name=study_of_texts.py:load", "dataset.vocabulary=words.txt"]
    builtin = cli("arch=20", *keys[1:], cwd=tmp_path)
    assert builtin.returncode == 2 and "arch=20 takes images" in builtin.stderr
    assert "48 texts to train" in builtin.stderr
    done = cli("-m", *keys, "parts.wide=true,false", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "runs" / "main" / "report.md").read_text()
    assert "validation texts" in report and "multiply-adds of one text" in report
    assert "Training texts of each class" in report
    assert "image" not in report

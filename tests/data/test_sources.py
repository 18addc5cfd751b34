from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ablation.config import UserError
from ablation.data import sources
from sources_support import config, examples


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
        sources.open_source(config(source, path=str(tmp_path), **{key: "train"}))

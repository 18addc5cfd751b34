import re
from collections import Counter
from typing import get_type_hints

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ablation.config import CONF_DIR, PLACES, UserError
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


@pytest.mark.parametrize("source", sorted(sources.SOURCES))
def test_an_option_that_a_source_does_not_read_is_refused_by_name(source):
    for key in vars(sources.keys()).keys() - vars(config(source)).keys() - set(PLACES):
        readers = [f"dataset={one}" for one in sources.SOURCES if key in sources.options(one)]
        *others, last = readers
        named = f"{', '.join(others)} and {last}" if others else last
        complaint = f"dataset.{key}=another is for {named}; "
        with pytest.raises(UserError, match=re.escape(complaint)):
            config(source, **{key: "another"})


def test_where_another_source_lies_is_left_out_for_a_command_that_sweeps_both():
    assert config("digits", path="my_images") == config("digits")
    assert config("folder", path="my_images").path == "my_images"


def test_sources_that_have_an_option_of_one_name_mean_the_same_type_and_default_by_it():
    kinds = {}
    for source in sources.SOURCES.values():
        types = get_type_hints(source.options)
        for key, default in vars(source.options(name="", source="")).items():
            kind = types[key], default
            assert kinds.setdefault(key, kind) == kind or key in ("name", "source")


def test_every_source_has_a_file_of_settings_and_every_option_says_what_it_is():
    for source in sources.SOURCES:
        assert f"source: {source}\n" in (CONF_DIR / "dataset" / f"{source}.yaml").read_text()
        assert all(sources.options(source).values())

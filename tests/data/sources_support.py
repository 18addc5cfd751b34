"""What the tests of each kind of source share."""

from pathlib import Path

import pytest
from PIL import Image

from ablation.config import UserError
from ablation.data import sources

RED = (255, 0, 0)
WHITE = (255, 255, 255)


def config(source, **keys):
    return sources.typed({"name": source, "source": source, "image_size": 8} | keys)


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


def one_line(call):
    """Returns the message of the UserError that a call raises, which is one line."""
    with pytest.raises(UserError) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)

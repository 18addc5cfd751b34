"""What the tests of each kind of source share."""

from pathlib import Path

from PIL import Image

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

"""Which sets of TensorFlow Datasets work, by the metadata that its code holds: no download."""

import re
from pathlib import Path

import pytest

from ablation.data.pixels import UnsuitableError
from ablation.data.sources.tfds_features import image_and_label

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def suitable(tfds, directory):
    """Returns the names of the sets whose default configuration classifies images."""
    found = []
    for name in tfds.list_builders(with_community_datasets=False):
        try:
            builder = tfds.builder(name, data_dir=directory)
            image_and_label(builder.info)
        except UnsuitableError:
            continue
        except Exception:
            continue  # A set that cannot even be described without the network or another package.
        # Other tests register sets of their own in this process.
        if type(builder).__module__.startswith("tensorflow_datasets."):
            found.append(name)
    return found


def test_the_page_names_the_sets_that_work(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    found = suitable(tfds, tmp_path)
    assert {"mnist", "cifar10", "cats_vs_dogs", "dtd", "sun397", "places365_small"} <= set(found)
    assert not {"imdb_reviews", "coco", "voc"} & set(found)
    listed = re.findall(r"`([a-z0-9_]+)`", PAGE.read_text().partition("## Sets that work")[2])
    assert sorted(found) == sorted(listed)

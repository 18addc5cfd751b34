"""What a set of TensorFlow Datasets holds: which feature is the image and which the label."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ablation.data.pixels import UnsuitableError

CHANNELS = {None: 3, 0: 3, 1: 1, 2: 1, 3: 3, 4: 3}
"""Channels here by the channels there: none stated is RGB, two and four end in transparency."""

_NAMED_AT_MOST = 8


def image_and_label(info: Any) -> tuple[str, str]:
    """Returns the names of the image and of the label feature.

    Of several, the one in `supervised_keys` is meant, else the one called `image` or `label`.

    Args:
        info: the `tfds.core.DatasetInfo` of a set.

    Raises:
        UnsuitableError: there is none, one cannot tell which, or it is of a kind that is not read.
    """
    import tensorflow_datasets as tfds

    features = info.features
    if not isinstance(features, tfds.features.FeaturesDict):
        raise UnsuitableError(f"it holds no examples with names, but {type(features).__name__}")
    supervised = [
        key for key in info.supervised_keys or () if isinstance(key, str) and key in features
    ]
    images = [key for key in features if _is_image(features[key], tfds)]
    labels = [key for key in features if isinstance(features[key], tfds.features.ClassLabel)]
    image = _the_one("image", images, supervised, features)
    targets = [key for key in supervised if key not in images]
    if targets and not set(targets) & set(labels):
        raise UnsuitableError(
            f"what TFDS has for its label, {_listed(targets, features)}, is not one class an image"
        )
    label = _the_one("label", labels, supervised, features)
    _check(features[image], features[label], label)
    return image, label


def _is_image(feature: Any, tfds: Any) -> bool:
    """Says whether a feature is a picture; a LabeledImage is a mask with a class a pixel."""
    masks = tfds.features.LabeledImage
    return isinstance(feature, tfds.features.Image) and not isinstance(feature, masks)


def _the_one(what: str, found: list[str], supervised: list[str], features: Any) -> str:
    """Returns the feature that is meant."""
    meant = [key for key in supervised if key in found]
    for choice in (meant, found, [key for key in found if key == what]):
        if len(choice) == 1:
            return choice[0]
    if found:
        raise UnsuitableError(f"any of its {what}s may be meant: {some(found)}")
    kind = "image" if what == "image" else "class label"
    raise UnsuitableError(f"there is no {kind} among its features {_listed(features, features)}")


def _check(image: Any, label: Any, name: str) -> None:
    """Raises UnsuitableError for images or classes that cannot be read."""
    if len(image.shape) != 3:
        raise UnsuitableError("its images are animations")
    if image.shape[-1] not in CHANNELS:
        raise UnsuitableError(f"its images have {image.shape[-1]} channels, not 1 to 4")
    if (label.num_classes or 0) < 2:
        raise UnsuitableError(
            f"its label {name} has {'one class' if label.num_classes else 'no classes'}"
        )


def _listed(names: Iterable[str], features: Any) -> str:
    return some([f"{name} ({type(features[name]).__name__})" for name in names])


def some(names: list[str]) -> str:
    """Returns the first names and how many more there are."""
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more:,} more" if more > 0 else "")


def over_white(pixels: np.ndarray) -> np.ndarray:
    """Returns an 8-bit image without its transparency, if it has any, over white."""
    if pixels.shape[-1] % 2:
        return pixels
    opaque = pixels[..., -1:] / 255
    return np.rint(pixels[..., :-1] * opaque + 255 * (1 - opaque)).astype(np.uint8)

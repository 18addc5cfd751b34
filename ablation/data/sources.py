"""Where images come from. Each source hands out raw uint8 images, split by split.

TensorFlow is imported only by the source that reads TensorFlow Datasets.
"""

import difflib
import hashlib
import importlib.util
import io
import logging
import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ablation.config import UserError, first_line
from ablation.terminal import import_quietly

SPLITS = ("train", "val")
_IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_OFFLINE = "dataset=digits and dataset=folder need no download."


class Example(NamedTuple):
    """One image as it is stored.

    Attributes:
        name: what to call it in a message.
        image: uint8 (height, width, channels), or None if it cannot be decoded.
        label: index into the source's classes.
    """

    name: str
    image: np.ndarray | None
    label: int


class Source(Protocol):
    """A data set: its classes, its channels and its two splits."""

    classes: tuple[str, ...]
    channels: int

    def __init__(self, dataset: dict[str, Any]): ...

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the number of examples of "train" or "val" and an iterator over them.

        Raises:
            UserError: the images cannot be had, or the splits share some.
        """


def open_source(dataset: dict[str, Any]) -> Source:
    """Opens a data set.

    Args:
        dataset: the `dataset` part of the configuration.

    Raises:
        UserError: it is not there or not usable; the message says what to do.
    """
    kinds: dict[str, type[Source]] = {"digits": Digits, "folder": Folder, "tfds": Tfds}
    return kinds[dataset["source"]](dataset)


def state(dataset: dict[str, Any]) -> str:
    """Returns a text that changes when what lies on disk changes; quick, and without TensorFlow."""
    if dataset["source"] == "folder":
        files = [file for _, _, file in _image_files(_folder(dataset))]
    elif dataset["source"] == "tfds":
        name, _, _ = dataset["name"].partition(":")
        files = sorted((tfds_dir(dataset) / name).rglob("dataset_info.json"))
    else:
        files = []
    facts = [(str(file), *_size_and_time(file)) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


class Digits:
    """scikit-learn's 1,797 grey 8x8 digits, embedded: 1,437 to train and 360 to validate."""

    classes = tuple("0123456789")
    channels = 1

    def __init__(self, dataset: dict[str, Any]):
        _reject_splits(dataset)

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and its examples, in one fixed random order."""
        from sklearn.datasets import load_digits  # Loads SciPy, which nothing else here needs.

        digits = load_digits()
        # RandomState's stream is frozen by NumPy, so the split is the same with every version.
        order = np.random.RandomState(0).permutation(len(digits.target))
        chosen = order[:1437] if name == "train" else order[1437:]
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
        examples = (Example(f"digit {i}", images[i], int(digits.target[i])) for i in chosen)
        return len(chosen), examples


class Folder:
    """Images in one folder a class, below `path` or below its train/ and val/.

    Without train/ and val/, a hash of its name sends every file to one of the two, about 80 to 20,
    so that a file stays where it is when others are added.
    """

    channels = 3

    def __init__(self, dataset: dict[str, Any]):
        _reject_splits(dataset)
        self._root = _folder(dataset)
        files = _image_files(self._root)
        self.classes = tuple(sorted({label for _, label, _ in files}))
        if len(self.classes) < 2:
            found = f"only {self.classes[0]!r}" if self.classes else "none"
            raise UserError(
                f"dataset.path={self._root} must hold at least two class folders with images "
                f"({', '.join(sorted(_IMAGE_SUFFIXES))}), or train/ and val/ with such folders; "
                f"found {found}."
            )
        self._files: dict[str, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
        for split, label, file in files:
            self._files[split or _hashed_split(file.name)].append((file, self.classes.index(label)))
        trained = {label for _, label in self._files["train"]}
        untrained = [name for i, name in enumerate(self.classes) if i not in trained]
        if untrained:
            raise UserError(
                f"dataset.path={self._root} leaves no training images of {', '.join(untrained)}; "
                "add some, or sort them into train/ and val/ yourself."
            )
        if not self._files["val"]:
            raise UserError(f"dataset.path={self._root} leaves no images for the val split.")

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the number of files and an iterator that decodes them to RGB."""
        files = self._files[name]
        return len(files), (
            Example(str(file.relative_to(self._root)), _decode(file, self.channels), label)
            for file, label in files
        )


class Tfds:
    """Any image classification set of TensorFlow Datasets, by name."""

    def __init__(self, dataset: dict[str, Any]):
        _import_tensorflow()
        import tensorflow_datasets as tfds

        name, self._data_dir = dataset["name"], tfds_dir(dataset)
        missing = [key for key in ("train_split", "val_split") if not dataset[key]]
        if missing:
            raise UserError(f"dataset.{missing[0]} must be a TFDS split, such as 'train[:80%]'.")
        try:
            self._builder = tfds.builder(name, data_dir=self._data_dir)
        except tfds.core.DatasetNotFoundError:
            close = difflib.get_close_matches(name.lower(), tfds.list_builders(), n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise UserError(f"dataset.name={name} is not known to TFDS.{hint}") from None
        except Exception as error:  # TFDS has no common error for bad names, configs and versions.
            raise UserError(
                f"dataset.name={name} cannot be opened by TFDS: {first_line(error)}"
            ) from None
        self._specs = {"train": dataset["train_split"], "val": dataset["val_split"]}
        self._image, self._label = self._keys(tfds)
        features = self._builder.info.features
        self.classes = tuple(features[self._label].names)
        self.channels = 1 if features[self._image].shape[-1] == 1 else 3

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and its examples in stored order."""
        import tensorflow_datasets as tfds

        self._download()
        self._check_splits(tfds)
        spec = self._specs[name]
        images = self._builder.as_dataset(
            split=spec,
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            # Decoded here like any other file, so that a broken one costs itself only.
            decoders={self._image: tfds.decode.SkipDecoding()},
        )
        examples = (
            Example(
                f"{name} image {i}",
                _decode(io.BytesIO(row[self._image]), self.channels),
                int(row[self._label]),
            )
            for i, row in enumerate(tfds.as_numpy(images))
        )
        return self._builder.info.splits[spec].num_examples, examples

    def _download(self) -> None:
        """Downloads and prepares the set if TFDS has not done so; undoes what fails."""
        if self._builder.is_prepared():
            return
        created = [
            path
            for path in (self._data_dir, self._data_dir / self._builder.name)
            if not path.exists()
        ]
        # Its retries would be minutes of warnings about a network that is not there.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        try:
            if not any(self._data_dir.glob("downloads/*")):
                _require_network()
            self._builder.download_and_prepare()
        except BaseException as error:
            for path in created:
                shutil.rmtree(path, ignore_errors=True)
            if not isinstance(error, Exception):
                raise
            raise UserError(
                f"dataset.name={self._builder.name} is not in {self._data_dir} and could not be "
                f"downloaded ({type(error).__name__}: {first_line(error)[:200]}). Prepare it with "
                "TFDS on a machine that can, copy the folder and set dataset.data_dir; "
                f"{_OFFLINE}"
            ) from None

    def _check_splits(self, tfds) -> None:
        """Raises UserError for an unknown or empty split and for splits that share images."""
        infos = self._builder.info.splits
        seen: dict[str, set[int]] = {name: set() for name in infos}
        for key, spec in self._specs.items():
            try:
                parts = tfds.core.ReadInstruction.from_spec(spec).to_absolute(infos)
            except (ValueError, AssertionError, KeyError) as error:
                raise UserError(
                    f"dataset.{key}_split={spec} is not a split of {self._builder.name} "
                    f"({first_line(error)}). It has {', '.join(infos)}; a part is written "
                    "'train[:80%]'."
                ) from None
            count = 0
            for part in parts:
                end = infos[part.splitname].num_examples if part.to is None else part.to
                rows = set(range(part.from_ or 0, end))
                if rows & seen[part.splitname]:
                    raise UserError(
                        f"dataset.train_split={self._specs['train']} and "
                        f"dataset.val_split={self._specs['val']} share images of {part.splitname} "
                        "or hold them twice; make them disjoint, such as 'train[:80%]' and "
                        "'train[80%:]'."
                    )
                seen[part.splitname] |= rows
                count += len(rows)
            if not count:
                raise UserError(f"dataset.{key}_split={spec} holds no images.")

    def _keys(self, tfds) -> tuple[str, str]:
        """Returns the names of the image and the label feature."""
        features, keys = self._builder.info.features, self._builder.info.supervised_keys
        kinds = tfds.features.Image, tfds.features.ClassLabel
        match keys:
            case (str(image), str(label)) if all(
                isinstance(features[key], kind) for key, kind in zip(keys, kinds, strict=True)
            ):
                return image, label
        raise UserError(
            f"dataset.name={self._builder.name} is not an image classification set: "
            f"its features are {', '.join(features)}."
        )


def _import_tensorflow() -> None:
    for package in ("tensorflow", "tensorflow-datasets"):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise UserError(
                f"A set of TensorFlow Datasets needs {package}, which is not installed: "
                f"pip install {package}. {_OFFLINE}"
            )
    import_quietly("tensorflow")


def tfds_dir(dataset: dict[str, Any]) -> Path:
    """Returns where TFDS keeps its data sets: the key, its environment variable or its default."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(dataset["data_dir"] or default).expanduser()


def _require_network() -> None:
    """Raises OSError at once where TFDS could only try for minutes."""
    if not urllib.request.getproxies():
        socket.getaddrinfo("storage.googleapis.com", 443)  # Where TFDS keeps its own copies.


def _reject_splits(dataset: dict[str, Any]) -> None:
    if dataset["train_split"] or dataset["val_split"]:
        raise UserError(
            f"dataset={dataset['source']} makes its own splits; "
            "dataset.train_split and dataset.val_split are for TFDS sets."
        )


def _folder(dataset: dict[str, Any]) -> Path:
    if not dataset["path"]:
        raise UserError(
            "dataset=folder needs dataset.path, a folder with one folder of images a class."
        )
    root = Path(dataset["path"]).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset.path={root} is not a folder.")
    return root


_LIKE_SPLITS = (("train", "training"), ("val", "valid", "validation", "test", "testing"))


def _image_files(root: Path) -> list[tuple[str | None, str, Path]]:
    """Returns (split or None, class, file) of every image, in a fixed order."""
    split = all((root / name).is_dir() for name in SPLITS)
    names = {path.name.lower(): path.name for path in root.iterdir() if path.is_dir()}
    like_train, like_val = (
        [names[word] for word in words if word in names] for words in _LIKE_SPLITS
    )
    if like_train and like_val and not split:
        raise UserError(
            f"dataset.path={root} holds {like_train[0]}/ and {like_val[0]}/, which would be two "
            "classes; as splits they must be named train/ and val/."
        )
    parents = [(name, root / name) for name in SPLITS] if split else [(None, root)]
    return [
        (name, label.name, file)
        for name, parent in parents
        for label in sorted(parent.iterdir())
        if label.is_dir() and not label.name.startswith(".")
        for file in sorted(label.rglob("*"))
        if file.suffix.lower() in _IMAGE_SUFFIXES
        and not file.is_dir()
        and not any(part.startswith(".") for part in file.relative_to(label).parts)
    ]


def _size_and_time(file: Path) -> tuple[int, int]:
    """Returns size and modification time, zeros for a link that leads nowhere."""
    try:
        return file.stat().st_size, file.stat().st_mtime_ns
    except OSError:
        return 0, 0


def _hashed_split(file_name: str) -> str:
    digest = hashlib.sha256(file_name.encode()).digest()
    return "train" if int.from_bytes(digest[:4], "big") % 100 < 80 else "val"


def _decode(file: Path | io.BytesIO, channels: int) -> np.ndarray | None:
    """Returns an 8-bit image, grey or RGB, transparency over white, or None if it is broken."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as stored:
            image: Image.Image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, not scale them.
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                return None  # Its range is unknown.
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
            return pixels.reshape(*pixels.shape[:2], channels)
    except MemoryError:
        raise
    except Exception:  # Malformed files bring Pillow to raise nearly anything.
        return None

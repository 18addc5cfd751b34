"""Sets of TensorFlow Datasets, by name."""

import contextlib
import functools
import importlib.util
import io
import logging
import math
import os
import re
import socket
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablation.config import DatasetConfig, UserError, expanded, first_line
from ablation.data.kinds import IMAGES, KINDS
from ablation.data.pixels import UnsuitableError, to_8_bits
from ablation.data.sources.common import OFFLINE, Example, LeftOut, digest_of, option
from ablation.data.sources.decode import BrokenImageError, example
from ablation.data.sources.tfds_features import (
    CHANNELS,
    image_and_label,
    over_white,
    some,
)
from ablation.terminal import import_quietly
from ablation.text import did_you_mean


@dataclass
class TfdsConfig(DatasetConfig):
    """What a set of TensorFlow Datasets can be asked for."""

    train_split: str | None = option(None, "the images to train on, such as train or 'train[:80%]'")
    val_split: str | None = option(None, "the images to validate on")
    data_dir: str | None = option(None, "where TFDS keeps its sets; null for where it always does")


class Tfds:
    """Any image classification set of TensorFlow Datasets, by name."""

    options = TfdsConfig
    read: tuple[Path, ...] = ()
    fetches = True
    kind = KINDS[IMAGES]
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: TfdsConfig):
        _import_tensorflow()
        self._name, self._data_dir = dataset.name, tfds_dir(dataset)
        self._specs: dict[str, str] = {}
        for name, spec in (("train", dataset.train_split), ("val", dataset.val_split)):
            if not spec:
                raise UserError(
                    f"dataset.{name}_split must be a TFDS split, such as 'train[:80%]'."
                )
            self._specs[name] = spec
        self._builder = _open_builder(self._name, self._data_dir)
        configs = list(self._builder.builder_configs)
        try:
            self._image, self._label = image_and_label(self._builder.info)
        except UnsuitableError as error:
            others = f" Its configs are {some(configs)}." if len(configs) > 1 else ""
            raise UserError(
                f"dataset.name={self._name} is not an image classification set: {error}.{others}"
            ) from None
        features = self._builder.info.features
        self.classes = tuple(features[self._label].names)
        self.channels = CHANNELS[features[self._image].shape[-1]]
        if len(configs) > 1 and "/" not in self._name:
            print(
                f"dataset.name={self._name} has {len(configs)} configs; "
                f"{self._builder.builder_config.name} is used. "
                f"Another one: dataset.name={self._name}/{configs[-1]}",
                file=sys.stderr,
            )

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the split's size and its examples in stored order."""
        import tensorflow_datasets as tfds

        self._download()
        self._check_splits(tfds)
        self._check_labels()
        spec = self._specs[name]
        examples = (
            self._example(f"{name} image {i}", row[self._image], int(row[self._label]))
            for i, row in enumerate(self._rows(spec, self._image, self._label))
        )
        return self._builder.info.splits[spec].num_examples, examples

    def _rows(self, spec: str, *features: str) -> Iterator[dict[str, Any]]:
        """Yields some features of each example of a split, images not decoded."""
        import tensorflow_datasets as tfds

        rows = self._builder.as_dataset(
            split=spec,
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            decoders=tfds.decode.PartialDecoding(
                dict.fromkeys(features, True),
                # Decoded here like any other file, so that a broken one costs itself only.
                decoders={
                    key: tfds.decode.SkipDecoding() for key in features if key == self._image
                },
            ),
        )
        return iter(tfds.as_numpy(rows))

    def _example(self, name: str, encoded: bytes, label: int) -> Example:
        if label < 0:
            return Example(name, None, label, "no label")
        if self._feature.np_dtype == np.uint8:
            return example(name, io.BytesIO(encoded), label, self.channels)
        try:
            return Example(name, over_white(self._to_8_bits(self._decode(encoded))), label)
        except BrokenImageError as error:
            return Example(name, None, label, str(error))

    @property
    def _feature(self) -> Any:
        return self._builder.info.features[self._image]

    def _decode(self, encoded: bytes) -> np.ndarray:
        """Returns a deep or a float image as TFDS decodes it; only TFDS knows how it is stored.

        Raises:
            BrokenImageError: it cannot be decoded.
        """
        try:
            pixels = self._feature.decode_example(encoded).numpy()
        except Exception as error:  # TensorFlow has no common error for what it cannot decode.
            raise BrokenImageError(first_line(error)) from None
        if not np.isfinite(pixels).all():
            raise BrokenImageError("pixels that are not finite")
        return pixels

    @functools.cached_property
    def _to_8_bits(self) -> Callable[[np.ndarray], np.ndarray]:
        """How a deep or a float image becomes 8 bits, by all images of both splits."""
        least, greatest = math.inf, -math.inf
        for spec in self._specs.values():
            for row in self._rows(spec, self._image):
                with contextlib.suppress(BrokenImageError):
                    pixels = self._decode(row[self._image])
                    least, greatest = min(least, pixels.min()), max(greatest, pixels.max())
        try:
            return to_8_bits(self._feature.np_dtype, least, greatest)
        except UnsuitableError as error:
            raise UserError(f"dataset.name={self._name} cannot be read: {error}.") from None

    def _download(self) -> None:
        """Downloads and prepares the set if TFDS has not done so; undoes what fails."""
        if self._builder.is_prepared():
            return
        self._check_by_hand()
        # Its retries would be minutes of warnings about a network that is not there.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        try:
            if not any(self._data_dir.glob("downloads/*")):
                _require_network()
            self._builder.download_and_prepare()
        except BaseException as error:
            self._leave_no_empty_folder()
            if not isinstance(error, Exception):
                raise
            raise UserError(
                f"dataset.name={self._name} is not in {self._data_dir} and could not be "
                f"{_what_failed(error)}. Prepare it with "
                "TFDS on a machine that can, copy the folder and set dataset.data_dir; "
                f"{OFFLINE}"
            ) from None

    def _leave_no_empty_folder(self) -> None:
        """Removes what TFDS made around a set that it did not prepare, if nothing is in it.

        Others may prepare their sets there meanwhile; TFDS itself removes what was half written.
        """
        folder = Path(self._builder.data_dir)
        downloads = [one for one in self._data_dir.glob("downloads/**") if one.is_dir()]
        above = [one for one in folder.parents if one.is_relative_to(self._data_dir)]
        for path in (*reversed(downloads), folder, *above):
            with contextlib.suppress(OSError):  # It is not empty, or not there.
                path.rmdir()

    def _check_by_hand(self) -> None:
        """Raises UserError if the set must be downloaded by hand and has not been."""
        folder = self._data_dir / "downloads" / "manual"
        steps = self._builder.MANUAL_DOWNLOAD_INSTRUCTIONS
        if steps and not (folder.is_dir() and any(folder.iterdir())):
            raise UserError(
                f"dataset.name={self._name} is not in {self._data_dir} and TFDS cannot download "
                f"it: put what its authors hand out into {folder}, or set dataset.data_dir to "
                f"where it is prepared. TFDS says: {textwrap.shorten(steps, 400)}"
            )

    def _check_splits(self, tfds) -> None:
        """Raises UserError for an unknown or empty split and for splits that share images."""
        infos = self._builder.info.splits
        seen: dict[str, set[int]] = {name: set() for name in infos}
        for key, spec in self._specs.items():
            try:
                parts = tfds.core.ReadInstruction.from_spec(spec).to_absolute(infos)
            except (ValueError, AssertionError, KeyError) as error:
                why = first_line(error).rstrip(".")
                why = "" if why.startswith("Unknown split") else f" ({why})"
                raise UserError(
                    f"dataset.{key}_split={spec} is not a split of {self._name}{why}. "
                    f"It has {', '.join(infos)}; "
                    f"{self._suggestion(list(infos))}"
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

    def _check_labels(self) -> None:
        """Raises UserError for a split of which no image has a label, as of many test splits."""
        for key, spec in self._specs.items():
            if self._has_labels(spec):
                continue
            labelled = [name for name in self._builder.info.splits if self._has_labels(name)]
            raise UserError(
                f"no image of dataset.{key}_split={spec} of {self._name} has a label; "
                + (
                    f"there are labels in {', '.join(labelled)}. {self._suggestion(labelled)}"
                    if labelled
                    else "nor has one of another split."
                )
            )

    def _has_labels(self, spec: str) -> bool:
        return any(row[self._label] >= 0 for row in self._rows(spec, self._label))

    def _suggestion(self, names: list[str]) -> str:
        """Returns what to type for splits that do: two of these, or two parts of one."""
        first = "train" if "train" in names else names[0]
        for other in ("validation", "val", "dev", "test"):
            if other in names and other != first:
                return f"try dataset.train_split={first} dataset.val_split={other}"
        return f"try 'dataset.train_split={first}[:80%]' 'dataset.val_split={first}[80%:]'"

    @staticmethod
    def state(dataset: TfdsConfig) -> str:
        """Returns a digest of the set's descriptions, of every version that is prepared."""
        name, _, _ = dataset.name.partition(":")
        return digest_of(sorted((tfds_dir(dataset) / name).rglob("dataset_info.json")))

    @staticmethod
    def unused(dataset: TfdsConfig) -> tuple[LeftOut, ...]:
        """Returns nothing, because nothing lies beside the images."""
        return ()


def _open_builder(name: str, data_dir: Path) -> Any:
    """Returns the builder of a set.

    Raises:
        UserError: TFDS does not know it, or cannot open it.
    """
    import tensorflow_datasets as tfds

    _check_namespace(name)
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        hint = did_you_mean(name, tfds.list_builders(), most=3)
        raise UserError(f"dataset.name={name} is not known to TFDS.{hint}") from None
    except Exception as error:  # TFDS has no common error for bad names, configs and versions.
        _, _, reason = first_line(error).rpartition('builder_kwargs "')
        reason = reason.partition('": ')[2] or first_line(error)
        raise UserError(f"dataset.name={name} cannot be opened by TFDS: {reason}") from None
    typed = re.split("[/:]", name)[0]
    if ":" not in name and typed != builder.name:
        # One spelling only: the name is part of what a run is and where the set lies.
        raise UserError(
            f"dataset.name={name} is written dataset.name={name.replace(typed, builder.name, 1)}."
        )
    return builder


def _check_namespace(name: str) -> None:
    """Raises UserError for a set of others that TFDS only points to."""
    namespace = re.match(r"([\w-]+):[a-zA-Z_]", name)
    if namespace and namespace[1] != "huggingface":
        raise UserError(
            f"dataset.name={name} is of the namespace {namespace[1]}, which is not read; only sets "
            "that TFDS itself has, or that lie prepared in dataset.data_dir, are."
        )
    packages = ("datasets", "huggingface_hub")
    if namespace and not all(importlib.util.find_spec(package) for package in packages):
        raise UserError(f"dataset.name={name} needs two packages: pip install {' '.join(packages)}")


def _what_failed(error: Exception) -> str:
    """Returns what could not be done with a set and why, in one line."""
    if isinstance(error, ImportError):
        return f"prepared without a package ({first_line(error)[:200]})"
    return f"downloaded ({type(error).__name__}: {first_line(error)[:200]})"


def _import_tensorflow() -> None:
    for package in ("tensorflow", "tensorflow-datasets"):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise UserError(
                f"A set of TensorFlow Datasets needs {package}, which is not installed: "
                f"pip install {package}. {OFFLINE}"
            )
    # Remarks about its own deprecated names, and about a set that is not there yet.
    logging.getLogger("absl").setLevel(logging.ERROR)
    import_quietly("tensorflow")


def tfds_dir(dataset: TfdsConfig) -> Path:
    """Returns where TFDS keeps its data sets: the key, its environment variable or its default."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expanded("dataset.data_dir", dataset.data_dir or default).resolve()


def _require_network() -> None:
    """Raises OSError at once where TFDS could only try for minutes."""
    if not urllib.request.getproxies():
        socket.getaddrinfo("storage.googleapis.com", 443)  # Where TFDS keeps its own copies.


SOURCE = Tfds

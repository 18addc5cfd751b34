"""Sets of TensorFlow Datasets, by name."""

import difflib
import importlib.util
import io
import logging
import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ablation.config import UserError, first_line
from ablation.data.sources.common import OFFLINE, Example, LeftOut, digest_of
from ablation.data.sources.decode import example
from ablation.terminal import import_quietly


class Tfds:
    """Any image classification set of TensorFlow Datasets, by name."""

    left_out: tuple[LeftOut, ...] = ()
    lost: tuple[str, ...] = ()

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
            example(
                f"{name} image {i}",
                io.BytesIO(row[self._image]),
                int(row[self._label]),
                self.channels,
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
                f"{OFFLINE}"
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

    @staticmethod
    def state(dataset: dict[str, Any]) -> str:
        """Returns a digest of the set's descriptions, of every version that is prepared."""
        name, _, _ = dataset["name"].partition(":")
        return digest_of(sorted((tfds_dir(dataset) / name).rglob("dataset_info.json")))


def _import_tensorflow() -> None:
    for package in ("tensorflow", "tensorflow-datasets"):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise UserError(
                f"A set of TensorFlow Datasets needs {package}, which is not installed: "
                f"pip install {package}. {OFFLINE}"
            )
    import_quietly("tensorflow")


def tfds_dir(dataset: dict[str, Any]) -> Path:
    """Returns where TFDS keeps its data sets: the key, its environment variable or its default."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(dataset["data_dir"] or default).expanduser().resolve()


def _require_network() -> None:
    """Raises OSError at once where TFDS could only try for minutes."""
    if not urllib.request.getproxies():
        socket.getaddrinfo("storage.googleapis.com", 443)  # Where TFDS keeps its own copies.

"""Each data set decoded once into arrays on disk, which every run maps into memory.

    <cache_dir>/<name>-<image size>px-<hash>/
        train_images.npy  the inputs as their kind stores them: of images uint8 (images, height,
                          width, channels), of rows and signals floats, of texts int32
        train_labels.npy  int32 (images,), or what another target than classes has
        val_images.npy, val_labels.npy
        mean_image.npy    of images float32 (height, width, channels), that of training, 0 to 1
        meta.json         kind, classes, counts, fingerprints, statistics, what is left out, how
                          many validation images are training images too

A folder appears whole or not at all, and one process at a time builds it.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from ablation import targets
from ablation.config import PLACES, DatasetConfig, UserError, expanded
from ablation.data import sources
from ablation.data.facts import grouped
from ablation.data.kinds import IMAGES, KINDS, Kind, Noun
from ablation.data.sources import Example, LeftOut
from ablation.data.sources.common import size_and_time
from ablation.records import durable, locks
from ablation.targets.common import Target
from ablation.targets.value import Value
from ablation.text import beginning

_FORMAT = 2
_SILENT_SECONDS = 1.0
_AFTERWARDS = ("augment", "normalisation", "unit")
"""Keys of what is done to the images that the cache holds, or said of their labels."""

_DECIDE = ("mean", "std", "vocabulary")
"""Facts of inputs that are part of what identifies them, beside the inputs."""

Progress = Callable[[str, int, int], None]
"""Called with what is being prepared, images done and images in all."""


@dataclass(frozen=True)
class Cache:
    """A data set on disk, ready to train on."""

    directory: Path

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What `meta.json` holds."""
        return json.loads((self.directory / "meta.json").read_text())

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every image and label of both splits."""
        return self.meta["fingerprint"]

    @property
    def kind(self) -> Kind:
        """What a network gets."""
        return KINDS[self.meta.get("kind", IMAGES)]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one input; of images height, width and channels."""
        if "shape" in self.meta:
            return tuple(self.meta["shape"])
        size = self.meta["image_size"]
        height, width = size if isinstance(size, list) else (size, size)
        return height, width, self.meta["channels"]

    def count(self, split: str) -> int:
        """Number of images in "train" or "val"."""
        return self.meta["splits"][split]["count"]

    @property
    def left_out(self) -> list[dict[str, Any]]:
        """What is there and not used, by reason, as `grouped` returns it."""
        found = self.meta["left_out"] + self.meta["broken"]
        return sorted(found, key=lambda group: -group["count"])

    def images(self, split: str) -> np.ndarray:
        """Memory-mapped inputs as stored, of images uint8 (images, height, width, channels)."""
        return np.load(self.directory / f"{split}_images.npy", mmap_mode="r")

    def labels(self, split: str) -> np.ndarray:
        """int32 (images,), or what another target has."""
        return np.load(self.directory / f"{split}_labels.npy")

    @property
    def facts_of_target(self) -> dict[str, Any] | None:
        """What `targets.of` must know, None for classes."""
        return self.meta.get("target")

    def target(self, dataset: DatasetConfig) -> Target:
        """What its labels say.

        Args:
            dataset: its part of the configuration, which names the unit.
        """
        unit = getattr(dataset, "unit", "")
        return targets.of(self.facts_of_target, self.meta["classes"], unit)

    def mean_image(self) -> np.ndarray:
        """float32 (height, width, channels): mean of the training images, 0 to 1."""
        return np.load(self.directory / "mean_image.npy")


def find(dataset: DatasetConfig, cache_dir: str | Path) -> Cache | None:
    """Returns the cache of a data set as it lies on disk now, or None if there is no whole one.

    Args:
        dataset: the `dataset` part of the configuration.
        cache_dir: the folder of all caches.

    Raises:
        UserError: the data set's own folder is missing.
    """
    found = Cache(_directory(dataset, cache_dir))
    try:
        whole = found.meta["bytes"] == _bytes(found.directory)
        whole &= found.meta.get("read", {}) == _read(found.meta.get("read", {}))
    except (OSError, ValueError, KeyError):
        return None
    return found if whole else None


def is_ready(dataset: DatasetConfig, cache_dir: str | Path) -> bool:
    """Returns whether `prepare` has nothing to do and nothing to tell.

    Raises:
        UserError: as `find`.
    """
    found = find(dataset, cache_dir)
    return (
        found is not None
        and "shared" in found.meta  # Not in older ones, of which it is counted once.
        and found.meta["left_out"] == grouped(sources.unused(dataset))
        and _lists_the_same(found)
    )


def find_fingerprint(fingerprint: str, cache_dir: str | Path) -> Cache | None:
    """Returns the cache of the very images that a run has seen, None if it is gone.

    Args:
        fingerprint: of the data, as the run has it.
        cache_dir: the folder of all caches.
    """
    for file in sorted(expanded("cache_dir", cache_dir).glob("*/meta.json")):
        found = Cache(file.parent)
        with contextlib.suppress(OSError, ValueError, KeyError):
            if found.fingerprint == fingerprint:
                return found
    return None


def prepare(dataset: DatasetConfig, cache_dir: str | Path, progress: Progress) -> Cache:
    """Returns the cache of a data set and builds it first if it is not there.

    Args:
        dataset: the `dataset` part of the configuration.
        cache_dir: the folder of all caches.
        progress: called after every few images.

    Raises:
        UserError: the data set is not there or not usable, or an image cannot be read.
        OSError: the disk is full or not writable.

    Whatever it raises, nothing half-built stays and nothing is remembered.
    """
    if is_ready(dataset, cache_dir):
        return Cache(_directory(dataset, cache_dir))
    source = sources.open_source(dataset)
    directory = _directory(dataset, cache_dir)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The hash may change while TFDS downloads, so the lock's name has none.
    lock = directory.with_name(f"{directory.name.rpartition('-')[0]}.lock")
    with _alone(lock, dataset.name):
        ready = find(dataset, cache_dir)
        if ready and _lists_the_same(ready):
            # The images are as they were, what lies beside them is not.
            facts = _beside_images(source, dataset)
            if "shared" not in ready.meta:  # In older ones it is not.
                facts["shared"] = shared_inputs(ready.directory)
            durable.write_json(ready.directory / "meta.json", ready.meta | facts)
            return Cache(ready.directory)
        partial = Path(f"{directory}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _build(source, dataset, partial, progress)
            if source.fetches:
                # A set that was downloaded only now has another name from now on.
                directory = _directory(dataset, cache_dir)
            shutil.rmtree(directory, ignore_errors=True)  # What is there is damaged.
            for path in partial.iterdir():
                durable.sync(path)
            durable.sync(partial)
            partial.replace(directory)
            durable.sync(directory.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Cache(directory)


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Holds a lock; says so if another process prepares the data set for more than a moment."""
    lock = locks.lock(path)
    try:
        lock.acquire(timeout=_SILENT_SECONDS)
    except Timeout:
        print(f"waiting for another process, which prepares dataset={name}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _directory(dataset: DatasetConfig, cache_dir: str | Path) -> Path:
    # Where a set lies is in its state, the same for each spelling of its path.
    keys = ("name", "source", "train_split", "val_split", "image_size")
    facts = [_FORMAT, sources.state(dataset), *(getattr(dataset, key, None) for key in keys)]
    facts += sorted(
        [key, value]
        for key, value in vars(dataset).items()
        if key not in (*keys, *PLACES, *_AFTERWARDS) and value != getattr(sources.keys(), key)
    )
    # The same name of a file is another file in another folder.
    facts += [str(file) for kind in KINDS.values() for file in kind.files(dataset)]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    name = beginning(dataset.name.replace("/", "_").replace(":", "_"))
    size = "own" if dataset.size is None else "x".join(map(str, dict.fromkeys(dataset.size)))
    return expanded("cache_dir", cache_dir) / f"{name}-{size}px-{digest}"


def _build(
    source: sources.Source, dataset: DatasetConfig, directory: Path, progress: Progress
) -> None:
    shape: tuple[int, ...] | None = None
    splits: dict[str, Any] = {}
    target = targets.of_source(source)
    outputs = len(source.classes)
    broken = []
    for split in sources.SPLITS:
        unused = _write_split(source, split, dataset, shape, directory, progress)
        broken += [LeftOut(example.reason, example.name) for example in unused]
        images = np.load(directory / f"{split}_images.npy", mmap_mode="r")
        shape = images.shape[1:]
        labels = np.load(directory / f"{split}_labels.npy")
        of_split = target.of_split(labels, outputs)
        facts_of_split = len(labels), of_split
        _check_split(dataset.name, split, source.classes, *facts_of_split, unused, source.kind.noun)
        splits[split] = {
            "count": len(images),
            **of_split,
            "fingerprint": _fingerprint(images, labels),
        }
    train, val = (np.load(directory / f"{s}_images.npy", mmap_mode="r") for s in sources.SPLITS)
    facts = source.kind.facts(train, val, dataset, directory)
    fingerprints = "".join(splits[split]["fingerprint"] for split in sources.SPLITS)
    if source.kind is not KINDS[IMAGES]:
        # The same numbers are other inputs if they are of another kind or normalised otherwise.
        decides = [source.kind.name, *(facts.get(key) for key in _DECIDE)]
        fingerprints += json.dumps(decides)
    every = np.concatenate([np.load(directory / f"{s}_labels.npy") for s in sources.SPLITS])
    if not target.is_row and outputs > every.max() + 1:
        # A network has an output for a class too that no example has.
        fingerprints += f" {outputs} outputs"
    if target is Value and targets.are_labels(every):
        # With a loss of one's own, nothing else tells such values from several labels.
        fingerprints += f" {target.kind}"
    meta = {
        "name": dataset.name,
        "classes": source.classes,
        "kind": source.kind.name,
        **facts,
        "splits": splits,
        "fingerprint": hashlib.sha256(fingerprints.encode()).hexdigest(),
        **_beside_images(source, dataset),
        "broken": grouped(broken),
        "shared": shared_inputs(directory),
        "read": _read(path for path in source.read if not path.is_dir()),
        "listed": _listed(path for path in source.read if path.is_dir()),
        "bytes": _bytes(directory),
    }
    if target.is_row:
        labels = np.load(directory / "train_labels.npy")
        learned_from = target.learned_from(labels, source.classes)
        meta["target"] = {"kind": target.kind, **learned_from}
    durable.write_json(directory / "meta.json", meta)


def _beside_images(source: sources.Source, dataset: DatasetConfig) -> dict[str, Any]:
    """Returns what is known of a data set that its images do not tell."""
    return {
        "left_out": grouped(sources.unused(dataset)),
        "lost": source.lost,
        "grouped": getattr(source, "grouped", False),
    }


def _check_split(
    name: str,
    split: str,
    classes: Sequence[str],
    count: int,
    of_split: dict[str, Any],
    unused: list[Example],
    noun: Noun,
) -> None:
    """Raises UserError if a split, or the training of a class, has lost all its inputs."""
    first = f"the first is {unused[0].name} ({unused[0].reason})" if unused else "it is empty"
    if not count:
        raise UserError(f"no {noun.one} of the {split} split of {name} could be used; {first}.")
    per_class = of_split.get("per_class") or []
    for example in unused if per_class else ():
        if split == "train" and example.label >= 0 and not per_class[example.label]:
            raise UserError(
                f"every training {noun.one} of {classes[example.label]} in {name} is left out; "
                f"the first is {example.name} ({example.reason})."
            )


def _bytes(directory: Path) -> dict[str, int]:
    """Returns the size of each array, by which one that was cut off is found."""
    return {path.name: path.stat().st_size for path in sorted(directory.glob("*.npy"))}


def _read(files: Iterable[str | Path]) -> dict[str, list[int]]:
    """Returns the size and the time of each file that a source has read."""
    return {str(file): list(size_and_time(Path(file))) for file in files}


def _listed(folders: Iterable[str | Path]) -> dict[str, str]:
    """Returns a digest of the names in each folder that a source has listed."""
    return {str(folder): _digest_of_names(folder) for folder in folders}


def _digest_of_names(folder: str | Path) -> str:
    try:
        names = sorted(path.name for path in Path(folder).iterdir())
    except OSError:
        return ""
    return hashlib.sha256(repr(names).encode(errors="surrogateescape")).hexdigest()


def _lists_the_same(found: Cache) -> bool:
    """Returns whether the folders that its source has listed hold what they held.

    `find` does not ask this: a folder may be the working one, where a command's own runs appear.
    """
    listed = found.meta.get("listed", {})
    return bool(listed == _listed(listed))


def _write_split(
    source: sources.Source,
    split: str,
    dataset: DatasetConfig,
    shape: tuple[int, ...] | None,
    directory: Path,
    progress: Progress,
) -> list[Example]:
    """Writes one split's arrays; returns the examples that are left out.

    The inputs have a shape, None for that which the first of them gets.
    """
    count, examples = source.split(split)
    path = directory / f"{split}_images.npy"
    first, examples = _first(examples)
    if shape is None:
        shape = source.kind.shape(first, dataset)
    _check_space(math.prod([count, *shape]) * first.dtype.itemsize, split, dataset, directory)
    images = np.lib.format.open_memmap(path, "w+", first.dtype, (count, *shape))
    if hasattr(os, "posix_fallocate"):  # Not on macOS.
        # The file is sparse: on a full disk a write into it would kill the process.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    labels = targets.of_source(source).empty(count, len(source.classes))
    unused: list[Example] = []
    kept = 0
    for done, example in enumerate(examples, start=1):
        if example.image is None:
            unused.append(example)
        else:
            images[kept] = source.kind.fitted(example.name, example.image, shape, dataset)
            labels[kept] = example.label
            kept += 1
        if done % 100 == 0 or done == count:
            progress(f"{dataset.name} {split}", done, count)
    images.flush()
    if kept < count:
        whole = directory / "whole.npy"
        np.save(whole, images[:kept])
        whole.replace(path)
    np.save(directory / f"{split}_labels.npy", labels[:kept])
    return unused


def _check_space(needed: int, split: str, dataset: DatasetConfig, directory: Path) -> None:
    """Raises UserError if a split of some bytes cannot be where it is to be."""
    free = shutil.disk_usage(directory).free
    if needed > free:
        smaller = "a smaller dataset.image_size, or " if dataset.size else ""
        raise UserError(
            f"the {split} split of dataset={dataset.name} needs {needed / 2**30:,.1f} GiB in "
            f"cache_dir={directory.parent}, where {free / 2**30:,.1f} GiB are "
            f"free. Use {smaller}cache_dir=FOLDER on another disk."
        )


def _fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """Returns the SHA-256 of one split's shape, pixels and labels."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(images.data)
    digest.update(labels.data)
    return digest.hexdigest()


def _first(examples: Iterator[Example]) -> tuple[np.ndarray, Iterator[Example]]:
    """Returns the first input, a black pixel if there is none, and all examples."""
    peeked = []
    for example in examples:
        peeked.append(example)
        if example.image is not None:
            return example.image, itertools.chain(peeked, examples)
    return np.zeros((1, 1, 1), np.uint8), iter(peeked)


def shared_inputs(directory: Path) -> int:
    """Returns how many validation inputs are training inputs too, number by number."""
    train, val = (
        [hashlib.sha256(image.data).digest() for image in np.load(path, mmap_mode="r")]
        for path in (directory / f"{split}_images.npy" for split in sources.SPLITS)
    )
    known = set(train)
    return sum(digest in known for digest in val)

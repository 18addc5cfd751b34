"""Files that appear whole or not at all, and outlast a power cut; docs/durability.md."""

import contextlib
import csv
import errno
import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ablation.text import READABLE

_TEMPORARY = ".writing"
_YAML_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # Written in C where it was built.


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; raises OSError or ValueError with the file's name."""
    return json_object(path.name, path.read_bytes())


def write_json(path: Path, content: dict[str, Any], durable: bool = True) -> None:
    """Replaces a JSON file, whole or not at all; see `replacing`."""
    with replacing(path, durable) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", "utf-8", READABLE)


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Replaces a YAML file, whole or not at all."""
    try:
        text = yaml.dump(content, Dumper=_YAML_DUMPER, sort_keys=False)
    except UnicodeEncodeError:  # A file's name need not be text, and libyaml takes nothing else.
        text = yaml.safe_dump(content, sort_keys=False)
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Replaces a text file, whole or not at all; it is UTF-8, whatever names are in the text."""
    write_bytes(path, text.encode(errors=READABLE))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Replaces a compressed NumPy archive, whole or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    write_bytes(path, content.getvalue())


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Replaces a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces a file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yields where to write a file, which then takes its place whole, or not at all.

    When it is left, the file is on the disk, and so is its name: what is written after it can be
    there only if this is. docs/durability.md has the order.

    Args:
        path: of the file.
        durable: whether it has to outlast a power cut; else it is whole while the system lives.
    """
    # The same ending, from which NumPy and Keras take the format.
    temporary = path.with_name(f"{_TEMPORARY}-{os.getpid()}-{path.name}")
    try:
        yield temporary
        if durable:
            sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file's content, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems sync no directories; names are durable there at once.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def make_directory(directory: Path, within: Path | None = None) -> None:
    """Makes a directory that outlasts a power cut, with those above it that are missing.

    Args:
        directory: to make.
        within: a directory that has to be there, None for any.

    Raises:
        FileNotFoundError: that one is not.
    """
    missing = []
    while directory != within and not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync(one.parent)


def json_object(name: str, content: bytes) -> dict[str, Any]:
    """Returns the object that a JSON file holds; raises ValueError with the file's name."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: not an object")
    return found


def remove_unfinished(directory: Path, *names: str) -> None:
    """Removes what a killed process was still writing. The caller holds the lock of these files.

    Args:
        directory: where they lie.
        names: of these files; none for all, in the folders below too.
    """
    patterns = [f"{_TEMPORARY}-*-{name}" for name in names] or [f"**/{_TEMPORARY}-*"]
    for path in itertools.chain(*map(directory.glob, patterns)):
        path.unlink()

"""Images in folders, one folder a class."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ablation.config import UserError, expanded
from ablation.data.sources.common import SPLITS, Example, digest_of, reject_splits
from ablation.data.sources.decode import example

_IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
_LIKE_SPLITS = (("train", "training"), ("val", "valid", "validation", "test", "testing"))


class Folder:
    """Images in one folder a class, below `path` or below its train/ and val/.

    Without train/ and val/, a hash of its name sends every file to one of the two, about 80 to 20,
    so that a file stays where it is when others are added.
    """

    channels = 3

    def __init__(self, dataset: dict[str, Any]):
        reject_splits(dataset)
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
            example(str(file.relative_to(self._root)), file, label, self.channels)
            for file, label in files
        )

    @staticmethod
    def state(dataset: dict[str, Any]) -> str:
        """Returns a digest of the image files."""
        return digest_of(file for _, _, file in _image_files(_folder(dataset)))


def _folder(dataset: dict[str, Any]) -> Path:
    if not dataset["path"]:
        raise UserError(
            "dataset=folder needs dataset.path, a folder with one folder of images a class."
        )
    root = expanded("dataset.path", dataset["path"]).resolve()
    if not root.is_dir():
        raise UserError(f"dataset.path={root} is not a folder.")
    return root


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


def _hashed_split(file_name: str) -> str:
    digest = hashlib.sha256(file_name.encode()).digest()
    return "train" if int.from_bytes(digest[:4], "big") % 100 < 80 else "val"

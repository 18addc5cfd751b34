"""Images in folders, one folder a class."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ablation.config import DatasetConfig, UserError, expanded
from ablation.data.kinds import IMAGES, KINDS
from ablation.data.sources.common import NO_FILE, SPLITS, Example, LeftOut, digest_of, option
from ablation.data.sources.decode import MAYBE_DEEP, deepest, example, suffixes, unreadable
from ablation.targets.naming import first_form, in_order
from ablation.text import named

_LIKE_SPLITS = (("train", "training"), ("val", "valid", "validation", "test", "testing"))
_NAMED_AT_MOST = 5
_OUTSIDE = "outside of any class"
_OF_A_SYSTEM = {
    "$recycle.bin",
    "#recycle",
    "@eadir",
    "@recycle",
    "@tmp",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "icon\r",
    "lost+found",
    "recycler",
    "system volume information",
    "thumbs.db",
}
"""What systems, network drives and archives put into folders, in lower case."""

_OURS = (
    {"status.json", "config.yaml"},
    {"study.json", "report.md"},
    {"meta.json", "mean_image.npy"},
)
"""By what a run, a study or a cache of this program is known."""


@dataclass
class FolderConfig(DatasetConfig):
    """What images in folders can be asked for."""

    path: str | None = option(
        None, "a folder with one folder of images a class, or train/ and val/"
    )


class Folder:
    """Images in one folder a class, below `path` or below its train/ and val/.

    Without train/ and val/, a hash of its name sends every file to one of the two, about 80 to 20,
    so that a file stays where it is when others are added. Classes are in the order of their
    names, and in numeric order if every name is a number.
    """

    options = FolderConfig
    read: tuple[Path, ...] = ()
    fetches = False
    kind = KINDS[IMAGES]
    channels = 3

    def __init__(self, dataset: FolderConfig):
        self._root = _folder(dataset)
        listing = _Listing(self._root)
        self.classes = in_order({label for _, label, _ in listing.images})
        self.lost = in_order(listing.folders - set(self.classes))
        if len(self.classes) < 2:
            raise UserError(_too_few(self._root, self.classes, self.lost, listing.left_out))
        places = {name: i for i, name in enumerate(self.classes)}
        self._files: dict[str, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
        for split, label, file in listing.images:
            self._files[split or _hashed_split(file.name)].append((file, places[label]))
        self._check_splits()

    def _check_splits(self) -> None:
        trained = {label for _, label in self._files["train"]}
        untrained = [name for i, name in enumerate(self.classes) if i not in trained]
        if untrained:
            known = {self.classes[i].casefold(): self.classes[i] for i in trained}
            hints = [
                f"{name} may be {known[name.casefold()]}; "
                for name in untrained
                if name.casefold() in known
            ]
            raise UserError(
                f"dataset.path={self._root} leaves no training images of {', '.join(untrained)}; "
                f"{''.join(hints)}add some, or sort them into train/ and val/ yourself."
            )
        if not self._files["val"]:
            raise UserError(f"dataset.path={self._root} leaves no images for the val split.")

    def split(self, name: str) -> tuple[int, Iterator[Example]]:
        """Returns the number of files and an iterator that decodes them to RGB."""
        files = self._files[name]
        return len(files), (
            example(str(file.relative_to(self._root)), file, label, self.channels, self._depth)
            for file, label in files
        )

    @cached_property
    def _depth(self) -> int:
        files = (file for split in SPLITS for file, _ in self._files[split])
        return deepest(file for file in files if file.suffix.lower() in MAYBE_DEEP)

    @staticmethod
    def state(dataset: FolderConfig) -> str:
        """Returns a digest of the image files."""
        return digest_of(file for _, _, file in _Listing(_folder(dataset)).images)

    @staticmethod
    def unused(dataset: FolderConfig) -> list[LeftOut]:
        """Returns the files and folders that are no images of a class."""
        return _Listing(_folder(dataset)).left_out


def _folder(dataset: FolderConfig) -> Path:
    if not dataset.path:
        raise UserError(
            "dataset=folder needs dataset.path, a folder with one folder of images a class."
        )
    root = Path(os.path.realpath(expanded("dataset.path", dataset.path)))
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except OSError as error:
        if error.errno not in NO_FILE:
            raise unreadable(root, error) from None
        is_folder = False
    if not is_folder:
        what = "is a file" if root.exists() else "is not there"
        several = "; to sweep several, put -m before the keys" if "," in dataset.path else ""
        raise UserError(
            f"dataset.path={root} {what}: name a folder with one folder of images a class{several}."
        )
    return root


class _Listing:
    """What a folder holds, in a fixed order; every file and folder is in one of the two lists.

    Attributes:
        images: (split or None, class, file) of every image.
        left_out: all else.
        folders: the names of the folders that stand where a class does.
    """

    def __init__(self, root: Path):
        self.images: list[tuple[str | None, str, Path]] = []
        self.left_out: list[LeftOut] = []
        self.folders: set[str] = set()
        self._root = root
        self._seen: dict[str, str] = {}
        entries = self._entries(root)
        folders = [entry.name for entry in entries if self._is_folder(entry)]
        if not set(SPLITS) <= set(folders):
            _refuse_like_splits(root, folders)
            self._classes(None, root, entries)
            return
        for entry in entries:
            if entry.name in SPLITS:
                split = root / entry.name
                self._classes(entry.name, split, self._entries(split))
            else:
                self._leave_out(entry, "beside train/ and val/")

    def _classes(self, split: str | None, parent: Path, entries: list[os.DirEntry]) -> None:
        for entry in entries:
            if not self._is_folder(entry):
                self._leave_out(entry, _OUTSIDE)
                continue
            label = first_form(entry.name, self._seen)
            self.folders.add(label)
            before = len(self.images)
            above = {self._root, *self._root.parents, parent.resolve()}
            self._walk(entry, Path(os.path.realpath(entry.path)), above, (split, label))
            if len(self.images) == before:
                self._leave_out(entry, "a folder without an image, so no class")

    def _walk(
        self, folder: os.DirEntry, real: Path, seen: set[Path], place: tuple[str | None, str]
    ) -> None:
        """Collects the images below a folder, those in linked folders too.

        Args:
            folder: by the path that leads to it.
            real: where it really lies.
            seen: where the folders lie that were read, or are being read, for this class.
            place: split and class.
        """
        if real in seen:
            self._leave_out(folder, "a link to a folder that is read already")
            return
        seen.add(real)
        for entry in self._entries(Path(folder.path)):
            suffix = Path(entry.name).suffix.lower()
            if self._is_folder(entry):
                linked = entry.is_symlink()
                below = Path(os.path.realpath(entry.path)) if linked else real / entry.name
                self._walk(entry, below, seen, place)
            elif not self._is_file(entry):
                self._leave_out(entry, "a link that leads nowhere, a pipe or a device")
            elif suffix in suffixes():
                self.images.append((*place, Path(entry.path)))
            else:
                what = f"a {suffix} file" if suffix else "a file without a suffix"
                self._leave_out(entry, f"{what}, which is not read")

    def _entries(self, folder: Path) -> list[os.DirEntry]:
        """Returns what lies in a folder, by name, without what is hidden or a system's."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(folder, error) from None
        names = {entry.name for entry in entries}
        if any(marks <= names for marks in _OURS):
            raise UserError(
                f"dataset.path={self._root} holds runs or a cache of this program, {folder}, whose "
                "figures would become images; move them out, or name a folder of images alone."
            )
        kept = []
        for entry in entries:
            if entry.name.startswith("."):
                self._leave_out(entry, "hidden")
            elif entry.name.lower() in _OF_A_SYSTEM:
                self._leave_out(entry, "made by a system")
            else:
                kept.append(entry)
        return kept

    @classmethod
    def _is_folder(cls, entry: os.DirEntry) -> bool:
        """Whether it is a folder, or a link to one."""
        return cls._is(entry.is_dir, entry)

    @classmethod
    def _is_file(cls, entry: os.DirEntry) -> bool:
        """Whether it is a file with content, or a link to one."""
        return cls._is(entry.is_file, entry)

    @staticmethod
    def _is(kind: Callable[[], bool], entry: os.DirEntry) -> bool:
        try:
            return kind()
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):  # A link to itself, or into a file.
                return False
            raise unreadable(Path(entry.path), error) from None

    def _leave_out(self, entry: os.DirEntry, reason: str) -> None:
        name = str(Path(entry.path).relative_to(self._root))
        self.left_out.append(LeftOut(reason, name))


def _refuse_like_splits(root: Path, folders: list[str]) -> None:
    names = {name.lower(): name for name in folders}
    like_train, like_val = (
        [names[word] for word in words if word in names] for words in _LIKE_SPLITS
    )
    if like_train and like_val:
        raise UserError(
            f"dataset.path={root} holds {like_train[0]}/ and {like_val[0]}/, which would be two "
            "classes; as splits they must be named train/ and val/."
        )


def _too_few(
    root: Path, classes: Sequence[str], lost: Sequence[str], left_out: Sequence[LeftOut]
) -> str:
    found = f"only {classes[0]!r}" if classes else "none"
    if lost:
        found += f", and no image in {named(lost, len(lost), _NAMED_AT_MOST)}"
    outside = [name for reason, name in left_out if reason == _OUTSIDE]
    if outside:
        found += f", and outside of any class {named(outside, len(outside), _NAMED_AT_MOST)}"
    return (
        f"dataset.path={root} must hold at least two class folders with images (.jpg, .png, .tif "
        f"or another that Pillow reads), or train/ and val/ with such folders; found {found}."
    )


def _hashed_split(file_name: str) -> str:
    digest = hashlib.sha256(file_name.encode(errors="surrogateescape")).digest()
    return "train" if int.from_bytes(digest[:4], "big") % 100 < 80 else "val"


SOURCE = Folder

"""Arrays in an archive that `np.savez` has written."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablation.config import UserError, first_line
from ablation.data.sources.common import LeftOut, digest_of, given_file, option
from ablation.data.sources.held import Held, HeldConfig, names_read
from ablation.text import readable

_WHAT = "an archive of arrays, as np.savez writes it, such as data.npz"


@dataclass
class ArraysConfig(HeldConfig):
    """What an archive of arrays can be asked for."""

    path: str | None = option(None, _WHAT)


class Arrays(Held):
    """Images and labels in one `.npz` file; see `held` for the names of its arrays."""

    options = ArraysConfig
    fetches = False
    lost: tuple[str, ...] = ()

    def __init__(self, dataset: ArraysConfig):
        path = given_file(dataset, _WHAT)
        super().__init__(_read(path, dataset.group), dataset, readable(path.name))

    @staticmethod
    def state(dataset: ArraysConfig) -> str:
        """Returns a digest of the file's size and time."""
        return digest_of([given_file(dataset, _WHAT)])

    @staticmethod
    def unused(dataset: ArraysConfig) -> list[LeftOut]:
        """Returns the arrays that are not read."""
        names = _names(given_file(dataset, _WHAT))
        read = names_read(names, dataset.group)
        return [LeftOut("an array that is not read", name) for name in names if name not in read]


def _names(path: Path) -> list[str]:
    """Returns the names of the arrays in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except OSError as error:
        raise UserError(f"dataset.path={path} cannot be read: {first_line(error)}.") from None
    except (zipfile.BadZipFile, ValueError):
        raise UserError(
            f"dataset.path={path} is no whole .npz archive: it is damaged or of another kind; "
            "np.savez(path, x=..., y=...) writes one."
        ) from None


def _read(path: Path, group: str | None) -> dict[str, np.ndarray]:
    """Returns the arrays that are read; no code in the file is ever run."""
    names = _names(path)
    read = names_read(names, group)
    arrays = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in names:
            if name not in read:
                arrays[name] = np.empty(0)  # Named in messages.
                continue
            try:
                arrays[name] = np.asarray(archive[name])
            except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                if "allow_pickle" in str(error):
                    raise UserError(
                        f"{path.name}: {name} holds Python objects (dtype object), whose pickle "
                        "could run code, so it is not read; save it as numbers or texts, such as "
                        f"np.asarray({name}.tolist())."
                    ) from None
                raise UserError(
                    f"{path.name}: {name} cannot be read: {first_line(error)}."
                ) from None
    return arrays


SOURCE = Arrays

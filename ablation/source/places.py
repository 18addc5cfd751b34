"""Where Python finds modules, and which of them are the user's own."""

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_INSTALLED = ("site-packages", "dist-packages")
_OWN_PACKAGE = __name__.partition(".")[0]
_LIBRARY = [Path(os.path.realpath(sysconfig.get_path(place))) for place in ("stdlib", "platstdlib")]


def search_path(root: Path, entries: Sequence[str] | None = None) -> list[str]:
    """Returns `sys.path` with the root behind the standard library and the working folder last."""
    entries = sys.path if entries is None else entries
    entries = [entry for entry in entries if entry and Path(entry) != root]
    library = [entry for entry in entries if is_library(Path(entry)) or entry.endswith(".zip")]
    others = [entry for entry in entries if entry not in library]
    return list(dict.fromkeys([*library, str(root), *others, str(Path.cwd())]))


def find(module: str, folders: list[Path]) -> Path | None:
    """Returns the file of a module as Python would find it, None if it has none."""
    return find_below(module, folders) or find_hooked(module)


def find_below(module: str, folders: list[Path]) -> Path | None:
    """Returns the file of a module in the first of some folders that has it."""
    head, _, rest = module.partition(".")
    without_init = []
    for folder in folders:
        package = folder / head
        if (package / "__init__.py").is_file():
            return find_below(rest, [package]) if rest else package / "__init__.py"
        if (folder / f"{head}.py").is_file():
            return None if rest else folder / f"{head}.py"
        if package.is_dir():
            without_init.append(package)
    return find_below(rest, without_init) if rest and without_init else None


def find_hooked(module: str) -> Path | None:
    """Returns the file of a module that Python finds without a folder on its path.

    So does a package that is installed with `pip install -e`: an import hook knows its place.
    """
    head, _, rest = module.partition(".")
    for finder in sys.meta_path:
        # Folders stand for this one, and the others that Python has know its own modules alone.
        if getattr(finder, "__module__", "").startswith("_frozen_importlib"):
            continue
        find = getattr(finder, "find_spec", None)  # One without it finds nothing.
        spec = find(head, None) if find else None
        places = list(map(Path, spec.submodule_search_locations or ())) if spec else []
        if places and rest:
            return find_below(rest, places)
        if spec and spec.origin and not rest and Path(spec.origin).suffix == ".py":
            return Path(spec.origin)
    return None


def is_local(name: str, path: Path, own: str) -> bool:
    """Returns whether a module belongs neither to Python nor to an installed package.

    Args:
        name: as it is imported.
        path: its file.
        own: the top-level name whose modules are local wherever they lie, "" for none.
    """
    top = name.partition(".")[0]
    if top == own:
        return True
    return not (is_reserved(top) or is_library(path) or is_installed(path))


def is_reserved(top: str) -> bool:
    """Returns whether a top-level name is that of a module of Python itself or of this package."""
    return top == _OWN_PACKAGE or top in sys.stdlib_module_names


def is_library(path: Path) -> bool:
    """Returns whether a file or folder belongs to Python itself."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in _LIBRARY) and not is_installed(real)


def is_installed(path: Path) -> bool:
    """Returns whether a file lies where packages are installed."""
    return any(part in _INSTALLED for part in path.parts)

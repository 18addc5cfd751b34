"""Where a function of the user's own is; nothing here runs any of it."""

import ast
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ablation.config import UserError
from ablation.source import places
from ablation.source.syntax import bound, parsed

_SPELLING = "a function of one's own is written path/to/file.py:name or package.module:name"


@dataclass(frozen=True)
class Located:
    """Where a function of the user's own is.

    Attributes:
        path: the file.
        function: its name in that file.
        module: the dotted name that the file is imported as.
        root: the folder that must be on `sys.path` for that and for the file's own imports.
    """

    path: Path
    function: str
    module: str
    root: Path


def is_own(name: str) -> bool:
    """Returns whether a name is one of a function of the user's own."""
    return ":" in name or name.endswith(".py")


def locate(name: str, key: str = "arch") -> Located:
    """Finds a user's function without running any code.

    A file inside a package, which is a folder with an `__init__.py`, is imported by its dotted
    name, so that its relative imports work. A dotted name is looked for in the working folder
    first and then on `sys.path`.

    Args:
        name: "path/to/my_nets.py:build" or "package.module:build".
        key: that names it, for the message.

    Raises:
        UserError: there is no such file, module or function, or the file cannot be read.

    Example:
        >>> locate("keras.applications.vgg16:VGG16").module
        'keras.applications.vgg16'
    """
    place, colon, function = name.rpartition(":")
    if not colon or not place:
        raise UserError(f"{key}={name} names no function; {_SPELLING}.")
    if not function.isidentifier():
        raise UserError(f"{key}={name}: '{function}' is not the name of a function; {_SPELLING}.")
    if place.endswith(".py") or "/" in place or os.sep in place:
        path, module, root = _located_file(place)
    else:
        path, module, root = _located_module(place)
    if module.partition(".")[0] in sys.stdlib_module_names:
        if places.is_library(path):
            raise UserError(f"{key}={name}: '{module}' is a module of Python itself; {_SPELLING}.")
        raise UserError(
            f"{path.name} has the name of a module of Python itself; give the file another name."
        )
    _check_function(path, function)
    return Located(path, function, module, root)


def _located_file(place: str) -> tuple[Path, str, Path]:
    path = Path(os.path.abspath(Path(place).expanduser()))  # noqa: PTH100 Keeps symbolic links.
    if path.suffix != ".py":
        raise UserError(f"{place} is not a .py file; {_SPELLING}.")
    if not path.is_file():
        raise UserError(f"There is no file {path}; {_SPELLING}.")
    root = path.parent
    parts = [] if path.name == "__init__.py" else [path.stem]
    while (root / "__init__.py").is_file() and root != root.parent:
        parts.insert(0, root.name)
        root = root.parent
    if dotted := next((part for part in parts if "." in part), None):
        raise UserError(f"{place}: Python imports nothing of the name '{dotted}'; rename it.")
    return path, ".".join(parts), root


def _located_module(module: str) -> tuple[Path, str, Path]:
    if not all(part.isidentifier() for part in module.split(".")):
        raise UserError(f"'{module}' is not the name of a module; {_SPELLING}.")
    folders = [Path.cwd(), *map(Path, filter(None, sys.path))]
    for folder in folders:
        path = places.find_below(module, [folder])
        if path is not None:
            return path, module, folder
    path = places.find_hooked(module)
    if path is not None:
        inside = path.parent if path.name == "__init__.py" else path
        return path, module, [inside, *inside.parents][module.count(".") + 1]
    raise UserError(
        f"There is no module '{module}' in the working folder or on Python's path; {_SPELLING}."
    )


def _check_function(path: Path, function: str) -> None:
    """Tells the user if nothing in a file can be the function."""
    tree = parsed(path)
    names = {name for node in ast.walk(tree) for name in bound(node)}
    if names.isdisjoint({function, "*", "__getattr__"}):
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        there = f"its functions are {', '.join(defined)}" if defined else "it has none"
        raise UserError(f"{path.name} has no function '{function}'; {there}.")

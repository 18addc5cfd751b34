"""Imports the user's code; nothing else in this room runs any of it."""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ablation.config import UserError
from ablation.source import places
from ablation.source.errors import user_error
from ablation.source.imports import files_by_name, parsed_modules
from ablation.source.located import Located
from ablation.text import readable


def load(located: Located) -> Callable[..., Any]:
    """Imports the file and returns the function; what the file itself raises comes through.

    The root goes on `sys.path` behind Python's own modules and before installed ones, the working
    folder to its end.

    Raises:
        UserError: another module of that name is there already, there is no such function, or the
            file ends the program; or see `seen_imports`.
    """
    sys.path[:] = places.search_path(located.root)
    importlib.invalidate_caches()
    try:
        with seen_imports(located):
            module = importlib.import_module(located.module)
    except SystemExit as error:
        raise UserError(
            f"{user_error(error, [located.path])}: {located.path.name} ends the program when it is "
            'imported; put what it does as a program below if __name__ == "__main__":.'
        ) from None
    _check_file(located, located.module, located.path)
    files: dict[str, Path] = {}
    if not places.is_installed(located.path):
        with contextlib.suppress(UserError):  # What cannot be read says so where it is imported.
            files = files_by_name(located)
    for name, path in files.items():
        _check_file(located, name, path)
    function = getattr(module, located.function, None)
    if not callable(function):
        raise UserError(f"{located.path.name} has no function '{located.function}'.")
    return function


def _check_file(located: Located, name: str, path: Path) -> None:
    """Raises UserError if another file has been imported by the name of one of the user's."""
    # Asked of the dictionary, because a lazy module would be imported by the question.
    there = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
    if there and os.path.realpath(there) != os.path.realpath(path):
        raise UserError(
            f"{located.path.name} cannot be imported, because '{name}' is {there} already; give "
            f"{path.name} another name."
        )


@contextlib.contextmanager
def seen_imports(located: Located) -> Iterator[None]:
    """Raises UserError if a user's code imports in here what `local_modules` does not find.

    An edit of that would change no digest, and so leave runs in place that it has made obsolete.
    """
    before, entries = set(sys.modules), list(sys.path)
    yield
    found, own = None, os.path.realpath(located.path)
    folders = {os.path.realpath(entry) for entry in sys.path}
    for name in sorted(set(sys.modules) - before):
        # Asked of the dictionary, because a lazy module would be imported by the question.
        file = getattr(sys.modules[name], "__dict__", {}).get("__file__")
        path = Path(os.path.realpath(file or ""))
        if path.suffix != ".py" or str(path) == own or not places.is_local(name, path, ""):
            continue
        inside = path.parent if path.name == "__init__.py" else path
        root = ([path, *inside.parents][: name.count(".") + 2])[-1]
        if str(root) not in folders:  # What a library writes and loads, as TensorFlow does.
            continue
        if found is None:  # By the entries before: the code may have added some.
            modules = parsed_modules(located, entries)
            found = {os.path.realpath(known) for known, _ in modules.values()}
        if str(path) not in found:
            raise UserError(
                f"{located.path.name} imports {name} from {readable(str(root))}, which is not seen "
                "by reading the code, so an edit of it would go unnoticed. Import it by its name, "
                f"from beside {located.path.name} or from a package there."
            )

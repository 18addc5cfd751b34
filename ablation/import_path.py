"""Which files an import may find, so that nobody's own file takes the place of a library's.

`python -m` puts the working folder before the standard library, and PYTHONPATH its folders: a file
`statistics.py` or `keras.py` there would be loaded by the libraries that want the real one. Imports
nothing that is not loaded when Python starts.
"""

import os
import sys

# Not pathlib, which is one of the modules that must not be found yet.
_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARY = os.path.dirname(os.__file__)


def tidy() -> None:
    """Makes `sys.path` find the standard library first and nothing in the working folder.

    The folder of this package stays, behind all others, where it is not installed.
    """
    installed = _PACKAGE_PARENT in map(os.path.abspath, sys.path[1:])
    sys.path[:] = _tidied()
    if installed:
        os.environ["PYTHONSAFEPATH"] = "1"  # The workers of launchers are Python processes too.


def command(module: str) -> list[str]:
    """Returns the command that runs a module in a process with such a `sys.path`."""
    script = (
        f"import sys; sys.path[:] = {_tidied()!r}; import runpy; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-P", "-c", script]


def _tidied() -> list[str]:
    try:
        left_out = [_PACKAGE_PARENT, os.getcwd()]
    except OSError:  # The working folder is gone.
        left_out = [_PACKAGE_PARENT]
    kept = [entry for entry in sys.path if entry and os.path.abspath(entry) not in left_out]
    return [*sorted(kept, key=_is_no_library), _PACKAGE_PARENT]


def _is_no_library(entry: str) -> bool:
    inside = entry == _LIBRARY or entry.startswith(os.path.join(_LIBRARY, "lib-dynload"))
    return not (inside or entry.endswith(".zip"))

"""Code of the user's own, such as a network: its file and the local modules that it imports.

Nothing but `load` runs any of it, and nothing here loads Keras.
"""

import ast
import contextlib
import hashlib
import importlib
import os
import re
import sys
import sysconfig
import tokenize
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation.config import CODE_KEY, OWN_KEYS, RECORD_KEY, Config, UserError, flatten
from ablation.text import readable

_SPELLING = "a function of one's own is written path/to/file.py:name or package.module:name"
RAISED = (Exception, SystemExit)
"""What a user's code may raise: a script that is written to be run calls sys.exit()."""

_INSTALLED = ("site-packages", "dist-packages")
_OWN_PACKAGE = __name__.partition(".")[0]
_LIBRARY = [Path(os.path.realpath(sysconfig.get_path(place))) for place in ("stdlib", "platstdlib")]


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


def own_functions(config: Config) -> dict[str, Located]:
    """Returns the functions of the user's own that a configuration names beside its network.

    Returns:
        Each by the key that names it; see `OWN_KEYS`.

    Raises:
        UserError: there is no such function.
    """
    keys = flatten({"dataset": vars(config.dataset), "recipe": vars(config.recipe)})
    return {key: locate(keys[key], key) for key in OWN_KEYS if is_own(keys[key])}


def check_together(config: Config) -> None:
    """Raises UserError if functions of a configuration import different files by one name."""
    located = list(own_code(config).values())
    known: dict[str, str] = {}
    for one in located if len(located) > 1 else ():
        for name, (path, _) in _modules(one).items():
            real = os.path.realpath(path)
            other = known.setdefault(name, real)
            if other != real:
                raise UserError(
                    f"'{name}' is {readable(other)} to one of {', '.join(map(_named, located))} "
                    f"and {readable(real)} to another, and a process has one module of that name; "
                    "give one of the files another name."
                )


def _named(located: Located) -> str:
    return f"{located.path.name}:{located.function}"


def own_code(config: Config) -> dict[str, Located]:
    """Returns all functions of the user's own of a configuration, its network's by "arch"."""
    network = {"arch": locate(config.arch)} if is_own(config.arch) else {}
    return network | own_functions(config)


def codes(config: Config) -> dict[str, dict[str, str]]:
    """Returns `digests` of each of `own_functions`."""
    return {key: digests(located) for key, located in own_functions(config).items()}


def code_by_name(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Returns the code that a run's config.yaml has on record, by the name of each function.

    Args:
        config: its content.
    """
    keys, code = flatten(dict(config)), config.get(CODE_KEY) or {}
    found = {keys[key]: dict(source) for key, source in code.items()}
    network = config[RECORD_KEY]["source"]
    return found | ({config["arch"]: network} if network else {})


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
        if _is_library(path):
            raise UserError(f"{key}={name}: '{module}' is a module of Python itself; {_SPELLING}.")
        raise UserError(
            f"{path.name} has the name of a module of Python itself; give the file another name."
        )
    _check_function(path, function)
    return Located(path, function, module, root)


def files_by_name(located: Located) -> dict[str, Path]:
    """Returns the files of `local_modules` by the names that they are imported as."""
    return {name: path for name, (path, _) in _modules(located).items()}


def local_modules(located: Located) -> list[Path]:
    """Returns the network's file and every local module that it imports, directly or not.

    Imports are read from the code, wherever in it they stand. A module is local if it belongs
    neither to Python nor to an installed package; where the network itself is in an installed
    package, the modules of that package are local too. Modules that do not exist are left out,
    and so are compiled ones.

    Raises:
        UserError: one of them cannot be read.
    """
    return list(dict.fromkeys(path for path, _ in _modules(located).values()))


def libraries(located: Located) -> set[str]:
    """Returns the top-level names of installed modules that the code imports, keras among them.

    Raises:
        UserError: a local module cannot be read.
    """
    folders, modules = list(map(Path, _search_path(located.root))), _modules(located)
    names = {
        name
        for module, (path, tree) in modules.items()
        for name in _imported(tree, module, path.name == "__init__.py", folders)
    }
    foreign = {*sys.stdlib_module_names, _OWN_PACKAGE, *(name.split(".")[0] for name in modules)}
    return {name.split(".")[0] for name in names} - foreign


def digests(located: Located) -> dict[str, str]:
    """Returns the SHA-256 of the code of each local module, by the name that it is imported as.

    Comments, layout, docstrings and other strings that stand alone change nothing. What counts is
    the syntax tree, written without what is empty, so that the minor version of Python changes
    nothing either as long as it parses the same code to the same nodes.

    Raises:
        UserError: one of them cannot be read.
    """
    modules = _modules(located)
    return {name: _code_digest(modules[name][1]) for name in sorted(modules)}


def digest(located: Located) -> str:
    """Returns one SHA-256 over `digests` and their names, wherever the files lie.

    Which function of the file builds the network is not part of it.
    """
    lines = [f"{name} {code}\n" for name, code in digests(located).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def load(located: Located) -> Callable[..., Any]:
    """Imports the file and returns the function; what the file itself raises comes through.

    The root goes on `sys.path` behind Python's own modules and before installed ones, the working
    folder to its end.

    Raises:
        UserError: another module of that name is there already, there is no such function, or the
            file ends the program; or see `seen_imports`.
    """
    sys.path[:] = _search_path(located.root)
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
    if not _is_installed(located.path):
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
        if path.suffix != ".py" or str(path) == own or not _is_local(name, path, ""):
            continue
        inside = path.parent if path.name == "__init__.py" else path
        root = ([path, *inside.parents][: name.count(".") + 2])[-1]
        if str(root) not in folders:  # What a library writes and loads, as TensorFlow does.
            continue
        if found is None:  # By the entries before: the code may have added some.
            modules = _modules(located, entries)
            found = {os.path.realpath(known) for known, _ in modules.values()}
        if str(path) not in found:
            raise UserError(
                f"{located.path.name} imports {name} from {readable(str(root))}, which is not seen "
                "by reading the code, so an edit of it would go unnoticed. Import it by its name, "
                f"from beside {located.path.name} or from a package there."
            )


def is_raised_in(error: BaseException, files: Collection[Path]) -> bool:
    """Returns whether a user's own code raised an error by `raise`.

    Neither did a library that it called, nor Python itself, such as for a tuple that is too short.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = {os.path.realpath(file) for file in files}
    if not frames or os.path.realpath(frames[-1].filename) not in known:
        return False
    line = frames[-1].lineno or 0
    return any(
        isinstance(node, ast.Raise) and node.lineno <= line <= (node.end_lineno or node.lineno)
        for node in ast.walk(parsed(Path(frames[-1].filename)))
    )


def user_error(error: BaseException, files: Collection[Path]) -> str:
    """Says in one line where in a user's files an error arose.

    Args:
        error: what importing or building the network raised.
        files: the user's files, see `local_modules`.

    Returns:
        "my_nets.py, line 12: NameError: name 'x' is not defined", of the innermost call that
        stands in one of the files; without a place if there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_at(Path(error.filename), error.lineno)}{type(error).__name__}: {error.msg}"
    known = {os.path.realpath(file) for file in files}
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if os.path.realpath(frame.filename) in known]
    place = _at(Path(inside[-1].filename), inside[-1].lineno) if inside else ""
    # What a layer raised, Keras puts in bold among what it adds of its own.
    own = re.search(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    message = " ".join((own[1] if own else str(error)).split())
    return f"{place}{type(error).__name__}{': ' if message else ''}{message}"


def parsed(path: Path) -> ast.Module:
    """Returns the syntax tree of a file.

    Raises:
        UserError: it cannot be read, or is no Python.
    """
    try:
        with tokenize.open(path) as file:
            return ast.parse(file.read(), str(path))
    except SyntaxError as error:
        what = f"{type(error).__name__}: {error.msg}"
        raise UserError(f"{_at(path, error.lineno)}{what}") from None
    except (OSError, ValueError) as error:  # Decoding errors and null bytes are ValueErrors.
        raise UserError(f"{path} cannot be read: {error}") from None


def bound(node: ast.AST) -> Iterator[str]:
    """Yields the names that a node of a syntax tree gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


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
        path = _find_below(module, [folder])
        if path is not None:
            return path, module, folder
    path = _find_hooked(module)
    if path is not None:
        inside = path.parent if path.name == "__init__.py" else path
        return path, module, [inside, *inside.parents][module.count(".") + 1]
    raise UserError(
        f"There is no module '{module}' in the working folder or on Python's path; {_SPELLING}."
    )


def _find(module: str, folders: list[Path]) -> Path | None:
    """Returns the file of a module as Python would find it, None if it has none."""
    return _find_below(module, folders) or _find_hooked(module)


def _find_hooked(module: str) -> Path | None:
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
            return _find_below(rest, places)
        if spec and spec.origin and not rest and Path(spec.origin).suffix == ".py":
            return Path(spec.origin)
    return None


def _find_below(module: str, folders: list[Path]) -> Path | None:
    """Returns the file of a module in the first of some folders that has it."""
    head, _, rest = module.partition(".")
    without_init = []
    for folder in folders:
        package = folder / head
        if (package / "__init__.py").is_file():
            return _find_below(rest, [package]) if rest else package / "__init__.py"
        if (folder / f"{head}.py").is_file():
            return None if rest else folder / f"{head}.py"
        if package.is_dir():
            without_init.append(package)
    return _find_below(rest, without_init) if rest and without_init else None


def _search_path(root: Path, entries: Sequence[str] | None = None) -> list[str]:
    """Returns `sys.path` with the root behind the standard library and the working folder last."""
    entries = sys.path if entries is None else entries
    entries = [entry for entry in entries if entry and Path(entry) != root]
    library = [entry for entry in entries if _is_library(Path(entry)) or entry.endswith(".zip")]
    others = [entry for entry in entries if entry not in library]
    return list(dict.fromkeys([*library, str(root), *others, str(Path.cwd())]))


def _is_library(path: Path) -> bool:
    """Returns whether a file or folder belongs to Python itself."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(folder) for folder in _LIBRARY) and not _is_installed(real)


def _is_installed(path: Path) -> bool:
    return any(part in _INSTALLED for part in path.parts)


def _modules(
    located: Located, entries: Sequence[str] | None = None
) -> dict[str, tuple[Path, ast.Module]]:
    """Returns file and code of the local modules by the names that they are imported as.

    Args:
        located: the code.
        entries: instead of `sys.path`.
    """
    folders = list(map(Path, _search_path(located.root, entries)))
    top = located.module.partition(".")[0]
    found: dict[str, tuple[Path, ast.Module]] = {}
    seen: set[str] = set()
    waiting = [located.module, *_parents(located.module)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = located.path if name == located.module else _find(name, folders)
        if path is not None and _is_local(name, path, top):
            found[name] = path, parsed(path)
            waiting += _imported(found[name][1], name, path.name == "__init__.py", folders)
    return found


def _is_local(name: str, path: Path, network: str) -> bool:
    top = name.partition(".")[0]
    if top == network:
        return True
    foreign = top == _OWN_PACKAGE or top in sys.stdlib_module_names
    return not (foreign or _is_library(path) or _is_installed(path))


def _parents(module: str) -> list[str]:
    """Returns the packages that Python imports on its way to a module."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _imported(tree: ast.AST, module: str, is_package: bool, folders: list[Path]) -> Iterator[str]:
    """Yields the names of what may be modules among all that the code imports."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = _from(node, package, folders)
        elif isinstance(node, ast.Call):
            names = _by_call(node)
        else:
            continue
        for name in names:
            yield name
            yield from _parents(name)


def _from(node: ast.ImportFrom, package: str, folders: list[Path]) -> list[str]:
    """Returns what `from base import names` may import, names that are submodules among it."""
    base = node.module or ""
    if node.level:
        parts = package.split(".") if package else []
        kept = parts[: len(parts) - node.level + 1]
        base = ".".join([*kept, *([base] if base else [])])
    if not base:
        return []
    names = [alias.name for alias in node.names]
    if names == ["*"]:
        path = _find(base, folders)
        names = _public(path) if path is not None and path.name == "__init__.py" else []
    return [base, *(f"{base}.{name}" for name in names)]


def _public(path: Path) -> list[str]:
    """Returns the names in a package's `__all__`, whose submodules `import *` imports."""
    if _is_installed(path) or _is_library(path):
        return []
    return [
        constant.value
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "__all__"
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]


def _by_call(node: ast.Call) -> list[str]:
    """Returns the module that `import_module("name")` or `__import__("name")` imports."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else None
    called = node.func.id if isinstance(node.func, ast.Name) else called
    if called not in ("import_module", "__import__") or not node.args:
        return []
    name = getattr(node.args[0], "value", None)
    return [name] if isinstance(name, str) and name and not name.startswith(".") else []


def _at(path: Path, line: int | None) -> str:
    name = f"{path.parent.name}/{path.name}" if path.name == "__init__.py" else path.name
    return f"{name}, line {line}: " if line else f"{name}: "


def _check_function(path: Path, function: str) -> None:
    """Tells the user if nothing in a file can be the function."""
    tree = parsed(path)
    names = {name for node in ast.walk(tree) for name in bound(node)}
    if names.isdisjoint({function, "*", "__getattr__"}):
        defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        there = f"its functions are {', '.join(defined)}" if defined else "it has none"
        raise UserError(f"{path.name} has no function '{function}'; {there}.")


def _code_digest(tree: ast.Module) -> str:
    code = hashlib.sha256()
    for token in _tokens(tree):
        code.update(f"{token}\n".encode("utf-8", "surrogatepass"))
    return code.hexdigest()


def _tokens(tree: ast.AST) -> Iterator[str]:
    """Yields a syntax tree in one order for every version of Python.

    Newer versions add fields, which are empty in older code; what is empty is left out.
    """
    stack: list[Any] = [tree]  # Not recursive: a long sum is a deep tree.
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            fields = [(name, getattr(item, name, None)) for name in sorted(item._fields)]
            kept = [(name, _kept(value)) for name, value in fields if name != "kind"]
            kept = [(name, value) for name, value in kept if value is not None and value != []]
            yield f"{type(item).__name__} {len(kept)}"
            for name, value in reversed(kept):
                stack += [value, _Name(name)]
        elif isinstance(item, list):
            yield f"list {len(item)}"
            stack += reversed(item)
        else:
            yield item if isinstance(item, _Name) else repr(item)


class _Name(str):
    """The name of a field, as distinct from a string in the code."""


def _kept(value: Any) -> Any:
    """Returns a field without docstrings and other strings that stand alone."""
    if not isinstance(value, list):
        return value
    return [item for item in value if not _is_alone(item)]


def _is_alone(item: Any) -> bool:
    if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)):
        return False
    return isinstance(item.value.value, str)

"""The local modules that code imports, read from the code without running it."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from ablation.source import places
from ablation.source.located import Located
from ablation.source.syntax import parsed


def files_by_name(located: Located) -> dict[str, Path]:
    """Returns the files of `local_modules` by the names that they are imported as."""
    return {name: path for name, (path, _) in parsed_modules(located).items()}


def local_modules(located: Located) -> list[Path]:
    """Returns the network's file and every local module that it imports, directly or not.

    Imports are read from the code, wherever in it they stand. A module is local if it belongs
    neither to Python nor to an installed package; where the network itself is in an installed
    package, the modules of that package are local too. Modules that do not exist are left out,
    and so are compiled ones.

    Raises:
        UserError: one of them cannot be read.
    """
    return list(dict.fromkeys(path for path, _ in parsed_modules(located).values()))


def libraries(located: Located) -> set[str]:
    """Returns the top-level names of installed modules that the code imports, keras among them.

    Raises:
        UserError: a local module cannot be read.
    """
    folders, modules = list(map(Path, places.search_path(located.root))), parsed_modules(located)
    names = {
        name
        for module, (path, tree) in modules.items()
        for name in _imported(tree, module, path.name == "__init__.py", folders)
    }
    local = {name.split(".")[0] for name in modules}
    tops = {name.split(".")[0] for name in names} - local
    return {top for top in tops if not places.is_reserved(top)}


def parsed_modules(
    located: Located, entries: Sequence[str] | None = None
) -> dict[str, tuple[Path, ast.Module]]:
    """Returns file and code of the local modules by the names that they are imported as.

    Args:
        located: the code.
        entries: instead of `sys.path`.
    """
    folders = list(map(Path, places.search_path(located.root, entries)))
    top = located.module.partition(".")[0]
    found: dict[str, tuple[Path, ast.Module]] = {}
    seen: set[str] = set()
    waiting = [located.module, *_parents(located.module)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = located.path if name == located.module else places.find(name, folders)
        if path is not None and places.is_local(name, path, top):
            found[name] = path, parsed(path)
            waiting += _imported(found[name][1], name, path.name == "__init__.py", folders)
    return found


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
        path = places.find(base, folders)
        names = _public(path) if path is not None and path.name == "__init__.py" else []
    return [base, *(f"{base}.{name}" for name in names)]


def _public(path: Path) -> list[str]:
    """Returns the names in a package's `__all__`, whose submodules `import *` imports."""
    if places.is_installed(path) or places.is_library(path):
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

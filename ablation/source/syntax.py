"""Python code as a syntax tree."""

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

from ablation.config import UserError


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
        raise UserError(f"{at(path, error.lineno)}{what}") from None
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


def at(path: Path, line: int | None) -> str:
    """Returns a place as messages begin: "my_nets.py, line 12: "."""
    name = f"{path.parent.name}/{path.name}" if path.name == "__init__.py" else path.name
    return f"{name}, line {line}: " if line else f"{name}: "

"""What of the user's code counts, as SHA-256: an edit of it makes other runs."""

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

from ablation.source.imports import parsed_modules
from ablation.source.located import Located


def digests(located: Located) -> dict[str, str]:
    """Returns the SHA-256 of the code of each local module, by the name that it is imported as.

    Comments, layout, docstrings and other strings that stand alone change nothing. What counts is
    the syntax tree, written without what is empty, so that the minor version of Python changes
    nothing either as long as it parses the same code to the same nodes.

    Raises:
        UserError: one of them cannot be read.
    """
    modules = parsed_modules(located)
    return {name: _code_digest(modules[name][1]) for name in sorted(modules)}


def digest(located: Located) -> str:
    """Returns one SHA-256 over `digests` and their names, wherever the files lie.

    Which function of the file builds the network is not part of it.
    """
    lines = [f"{name} {code}\n" for name, code in digests(located).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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

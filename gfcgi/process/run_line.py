"""What a script asks for in its own ``gfcgi.run`` line, before the script runs.

``gfcgi SCRIPT`` patches before it loads the script, which is too late to find out that the script
wants threads, and nothing patched. So its source is looked at: a number that stands there counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gfcgi.errors import ConfigError
from gfcgi.targets import parse_target

__all__ = ["threads_asked_for"]


def threads_asked_for(target: str) -> int:
    """Return the ``threads=`` of the ``gfcgi.run`` in the script that TARGET names; 0 if none is.

    Whatever is wrong with the script comes to light when it is loaded.
    """
    try:
        path = parse_target(target).path
        if not path:
            return 0
        with open(path, "rb") as file:
            source = file.read()
        if b"threads" not in source:
            return 0
        tree = ast.parse(source)
    except (ConfigError, OSError, SyntaxError, ValueError):
        return 0
    for node in _nodes(tree, as_module=path.endswith(".py")):
        if isinstance(node, ast.Call) and _is_run(node.func):
            for keyword in node.keywords:
                if keyword.arg == "threads" and isinstance(keyword.value, ast.Constant):
                    value = keyword.value.value
                    return value if type(value) is int else 0
    return 0


def _nodes(tree: ast.AST, *, as_module: bool) -> Iterator[ast.AST]:
    """All nodes, without ``if __name__ == ...`` where the script is loaded as a module."""
    for node in ast.iter_child_nodes(tree):
        guard = isinstance(node, ast.If) and "__name__" in {
            name.id for name in ast.walk(node.test) if isinstance(name, ast.Name)
        }
        if not (guard and as_module):
            yield node
            yield from _nodes(node, as_module=as_module)


def _is_run(function: ast.expr) -> bool:
    """Whether this is ``gfcgi.run`` or ``run``."""
    if isinstance(function, ast.Attribute):
        return function.attr == "run"
    return isinstance(function, ast.Name) and function.id == "run"

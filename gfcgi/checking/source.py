"""What a script's own text says: who it is that serves it, and from which line."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass

from gfcgi.addresses import UNIX_PATH_BYTES
from gfcgi.checking.findings import Finding, hint
from gfcgi.process.other_servers import IMPORTS

__all__ = ["Source", "check_bind", "read_source"]


@dataclass(frozen=True)
class Source:
    """``run_line``: where ``gfcgi.run`` is called; ``guard``: the condition around it, if any.

    ``other`` is another FastCGI server's package that is imported, in ``other_line``. ``binds``
    are the addresses that are written down in the call. ``compat``: another server's names are
    imported from gfcgi. 0 stands for no line.
    """

    run_line: int = 0
    guard: str = ""
    guard_line: int = 0
    other: str = ""
    other_line: int = 0
    binds: tuple[str, ...] = ()
    compat: bool = False


def read_source(source: bytes) -> Source:
    """Read a script without running it. What this Python cannot parse says nothing."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return Source()
    found: dict[str, object] = {}
    _visit(tree, None, found)
    return Source(**found)  # type: ignore[arg-type]


def _visit(node: ast.AST, guard: ast.If | None, found: dict[str, object]) -> None:
    if isinstance(node, ast.If):
        guard = node
    if isinstance(node, ast.Import):
        _note_import([alias.name for alias in node.names], node.lineno, found)
    elif isinstance(node, ast.ImportFrom):
        _note_import([node.module or ""], node.lineno, found)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("gfcgi.run", "run"):
        found.setdefault("run_line", node.lineno)
        found.setdefault("binds", tuple(_texts_of(node)))
        if guard is not None and "guard" not in found:
            found["guard"] = f"if {ast.unparse(guard.test)}:"
            found["guard_line"] = guard.lineno
    for child in ast.iter_child_nodes(node):
        _visit(child, guard, found)


def _note_import(names: list[str], line: int, found: dict[str, object]) -> None:
    for name in names:
        package = name.partition(".")[0]
        if name.startswith("gfcgi.compat."):
            found["compat"] = True
        if package in IMPORTS and "other" not in found:
            found["other"], found["other_line"] = package, line


def _texts_of(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == "bind":
            for node in ast.walk(keyword.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def check_bind(source: Source) -> Iterator[Finding]:
    """That the sockets which the script names can be made, where nobody hands it one."""
    for text in source.binds:
        kind, _, path = text.partition(":")
        if kind != "unix" or path.startswith("@"):
            continue
        path = os.path.abspath(path)
        length = len(os.fsencode(path))
        if length > UNIX_PATH_BYTES:
            # gfcgi.run itself refuses it, and the trial shows that.
            continue
        if not os.path.isdir(os.path.dirname(path)):
            yield hint(
                "bind-directory",
                f"bind= in line {source.run_line} names {path}, and there is no directory"
                f" {os.path.dirname(path)}; under Apache it is not used",
                f"sudo install -d -o www-data -g www-data {os.path.dirname(path)}",
            )

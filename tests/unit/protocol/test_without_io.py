"""The core cannot block, log or look at a clock, because it has nothing to do that with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gfcgi import protocol

ALLOWED = {
    "__future__",
    "abc",
    "collections.abc",
    "dataclasses",
    "enum",
    "struct",
    "typing",
    "gfcgi",
    "gfcgi.errors",
    "gfcgi.limits",
}
SOURCES = sorted(Path(protocol.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_of_the_core_imports_nothing_that_could(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules = [node.module]
            if node.module == "gfcgi":
                modules = [f"gfcgi.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            assert module in ALLOWED or module.startswith("gfcgi.protocol."), module


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_of_the_core_opens_and_prints_nothing(path: Path):
    names = {
        node.id
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Name)
    }
    assert not names & {"open", "print", "input", "__import__", "eval", "exec"}

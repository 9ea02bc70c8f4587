"""Which build is tested, and what mypyc asks of the modules that it compiles."""

from __future__ import annotations

import ast
import importlib
import os
from collections import Counter
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def compiled_sources() -> list[str]:
    """COMPILED in setup.py, which cannot be imported without running it."""
    for statement in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "COMPILED":
            listed: list[str] = ast.literal_eval(statement.value)
            return listed
    raise AssertionError("setup.py has no COMPILED")


SOURCES = compiled_sources()


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="a desk may test either build")
@pytest.mark.parametrize("source", [*SOURCES, "gfcgi/limits.py", "gfcgi/server/server.py"])
def test_the_build_that_is_tested_is_the_one_that_is_meant(source: str) -> None:
    """The environment `compiled` of tox runs extension modules, every other one plain Python."""
    meant = os.environ.get("GFCGI_EXPECT_COMPILED") == "1" and source in SOURCES
    module = importlib.import_module(source.removesuffix(".py").replace("/", "."))
    assert type(module.__loader__) is (ExtensionFileLoader if meant else SourceFileLoader)


@pytest.mark.parametrize("source", SOURCES)
def test_exceptions_of_two_types_have_two_names(source: str) -> None:
    """Within one function: in the compiled build a name has the type that it was first given."""
    for function in ast.walk(ast.parse((ROOT / source).read_text("utf-8"))):
        if isinstance(function, ast.FunctionDef):
            names = Counter(
                name
                for name, _ in {
                    (handler.name, ast.unparse(handler.type))
                    for handler in ast.walk(function)
                    if isinstance(handler, ast.ExceptHandler) and handler.name and handler.type
                }
            )
            assert [name for name, types in names.items() if types > 1] == [], function.name

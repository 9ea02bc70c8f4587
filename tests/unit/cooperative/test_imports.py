"""gfcgi.cooperative.imports: a function is called with a module right after its import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

import pytest

from gfcgi.cooperative import imports
from gfcgi.cooperative.imports import when_imported


@pytest.fixture
def finders(monkeypatch, tmp_path):
    """The list of finders, put back afterwards; modules are found in the test's directory."""
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(imports, "_waiting", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield sys.meta_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_an_imported_module_is_handed_over_at_once(finders):
    seen = []
    when_imported("sys", seen.append)
    assert seen == [sys]


def test_a_later_one_when_its_code_has_run_and_before_the_import_is_done(finders, tmp_path):
    (tmp_path / "aa_shop.py").write_text("LOADER = __loader__\nprice = 3\n")
    seen = []

    def change(module):
        seen.append(module.price)
        module.price = 4

    when_imported("aa_shop", change)
    when_imported("aa_shop", change)
    from aa_shop import LOADER, price  # type: ignore[import-not-found]

    assert (seen, price) == ([3, 4], 4)
    module = sys.modules["aa_shop"]
    assert type(module.__loader__) is type(LOADER) is SourceFileLoader
    assert module.__spec__.loader is module.__loader__
    importlib.reload(module)
    assert module.price == 3


def test_submodules_and_built_in_ones(finders, tmp_path, monkeypatch):
    (tmp_path / "aa_package").mkdir()
    (tmp_path / "aa_package/__init__.py").write_text("")
    (tmp_path / "aa_package/part.py").write_text("from importlib.resources import files\n")
    monkeypatch.delitem(sys.modules, "marshal")
    seen: list[ModuleType] = []
    when_imported("aa_package.part", seen.append)
    when_imported("marshal", seen.append)
    import marshal

    import aa_package.part  # type: ignore[import-not-found]

    assert seen == [marshal, aa_package.part]


def test_a_module_that_is_not_there_is_not_there(finders):
    when_imported("aa_nowhere", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match="aa_nowhere"):
        importlib.import_module("aa_nowhere")
    assert importlib.util.find_spec("aa_nowhere") is None


def test_an_import_that_fails_may_be_tried_again(finders, tmp_path):
    seen = []
    when_imported("aa_broken", seen.append)
    (tmp_path / "aa_broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        importlib.import_module("aa_broken")
    assert seen == []
    (tmp_path / "aa_broken.py").write_text("whole = True\n")
    assert importlib.import_module("aa_broken") is seen[0]


def test_one_finder_is_enough(finders):
    before = len(finders)
    when_imported("aa_one", lambda module: None)
    when_imported("aa_two", lambda module: None)
    assert len(finders) == before + 1


def test_finders_that_somebody_has_wrapped_find_the_module_once(finders, tmp_path):
    """As Mercurial's demandimport wraps every finder, ours among them."""

    class Wrapped:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, *arguments):
            return self.finder.find_spec(*arguments)

    (tmp_path / "aa_wrapped.py").write_text("")
    (tmp_path / "aa_second.py").write_text("")
    seen: list[str] = []
    when_imported("aa_wrapped", lambda module: seen.append(module.__name__))
    sys.meta_path[:] = [Wrapped(finder) for finder in sys.meta_path]
    when_imported("aa_second", lambda module: seen.append(module.__name__))
    importlib.import_module("aa_wrapped")
    importlib.import_module("aa_second")
    assert seen == ["aa_wrapped", "aa_second"]
    when_imported("aa_none", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("aa_none")


LAZY = """\
import importlib.util, sys, threading

class Lazy:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *arguments):
        spec = self.finder.find_spec(name, *arguments)
        if spec is not None and name.startswith(("gevent", "greenlet", "json")):
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec

sys.meta_path[:] = [Lazy(finder) for finder in sys.meta_path]
import gfcgi.patched
import json.tool
from gevent import monkey
print(monkey.is_module_patched("socket"), type(json.tool).__name__)
"""


def test_a_script_whose_imports_are_lazy_is_patched_all_the_same():
    """As Mercurial's demandimport makes them; afterwards imports are lazy again."""
    done = subprocess.run(
        [sys.executable, "-c", LAZY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("True _LazyModule\n", 0), done.stderr

"""Which build it is, and that tracebacks show the lines of both."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
import types

import pytest

from gfcgi.errors import RemoteProtocolError
from gfcgi.process import built
from gfcgi.process.built import build, show_lines
from gfcgi.protocol import params


def test_the_build_is_that_of_the_protocol_core():
    assert (build() == "pure Python") == str(params.__file__).endswith(".py")


def test_each_module_says_the_file_that_it_is_in():
    for module in list(sys.modules.values()):
        if module.__name__.startswith("gfcgi."):
            assert os.path.exists(str(module.__file__)), module.__name__


def test_a_traceback_shows_the_lines_of_either_build(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # not at the sources, where a relative name is found anyway
    linecache.clearcache()
    show_lines()
    with pytest.raises(RemoteProtocolError) as raised:
        params.decode_params(b"\5\5a")
    text = "".join(traceback.format_exception(raised.value))
    assert "gfcgi/protocol/params.py" in text
    assert "raise _overrun()" in text


def test_a_module_without_a_file_has_no_lines(monkeypatch):
    """A test's double, or what a script puts in the place of a module."""
    monkeypatch.setattr(built, "build", lambda: "compiled")
    monkeypatch.setitem(sys.modules, "gfcgi.double", types.ModuleType("gfcgi.double"))
    linecache.clearcache()
    show_lines()
    assert "gfcgi/double.py" not in linecache.cache


def test_a_module_whose_source_is_gone_costs_nothing_but_the_lines(tmp_path):
    assert built._read(tmp_path / "gone.py") == ""

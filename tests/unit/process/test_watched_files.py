"""gfcgi.process.watched_files: what an application is made of, and whether it has changed."""

from __future__ import annotations

import os
import py_compile
import sys
from types import ModuleType

import pytest

from gfcgi.process.watched_files import WatchedFiles, files_named


@pytest.fixture
def path(tmp_path):
    (tmp_path / "site.py").write_text("one")
    return str(tmp_path / "site.py")


def test_nothing_has_changed_before_anything_changes(path):
    files = WatchedFiles([path])
    assert files.changed() == ""


@pytest.mark.parametrize("how", ["written in place", "replaced", "removed", "touched"])
def test_a_change_is_told_once(path, how):
    files = WatchedFiles([path])
    if how == "written in place":
        with open(path, "a") as file:
            file.write("more")
    elif how == "replaced":
        with open(f"{path}.new", "w") as file:
            file.write("two")
        os.replace(f"{path}.new", path)
    elif how == "removed":
        os.unlink(path)
    else:
        os.utime(path, (1, 1))
    assert files.changed() == path
    assert files.changed() == ""


def test_a_file_that_comes_is_a_change(path):
    files = WatchedFiles([f"{path}.more"])
    assert files.changed() == ""
    with open(f"{path}.more", "w"):
        pass
    assert files.changed() == f"{path}.more"


def test_modules_are_watched_as_they_are_imported_but_not_installed_ones(path, monkeypatch):
    import gfcgi

    files = WatchedFiles([])
    module = ModuleType("gfcgi_t_watched")
    module.__file__ = path
    monkeypatch.setitem(sys.modules, "gfcgi_t_watched", module)
    monkeypatch.setitem(sys.modules, "gfcgi_t_odd", object())
    assert files.changed() == ""
    os.utime(path, (1, 1))
    assert files.changed() == path
    for installed in (pytest.__file__, os.__file__, gfcgi.__file__):
        assert installed not in files._states


def test_a_file_that_was_changed_after_the_start_counts_as_changed(path):
    changed = os.stat(path).st_mtime_ns
    assert WatchedFiles([path], since_ns=changed - 1).changed() == path
    assert WatchedFiles([path], since_ns=changed).changed() == ""


def test_a_change_that_is_only_presumed_is_told_from_one_that_was_seen(path):
    files = WatchedFiles([path], since_ns=os.stat(path).st_mtime_ns - 1)
    assert files.changed() == path
    assert not files.seen_changing
    os.utime(path, (1, 1))
    assert files.changed() == path
    assert files.seen_changing


def test_who_writes_several_files_is_waited_for(path):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) < 3:
            os.utime(path, (len(pauses), len(pauses)))

    files = WatchedFiles([path])
    files.settle(pause)
    assert len(pauses) == 3
    assert files.changed() == ""


def test_somebody_who_never_stops_writing_is_waited_for_some_time_only(path):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        os.utime(path, (len(pauses), len(pauses)))

    WatchedFiles([path]).settle(pause)
    assert sum(pauses) < 2


@pytest.mark.parametrize(
    ("later_seconds", "dropped"), [(-0.2, True), (0.2, True), (1.9, True), (2.1, False)]
)
def test_bytecode_that_may_be_of_an_earlier_text_is_dropped(path, later_seconds, dropped):
    """Python cannot tell two texts of one length apart that were written within a second."""
    second = 1_700_000_000
    with open(path, "w") as file:
        file.write("one = 1")
    os.utime(path, ns=(0, second * 10**9 + 500_000_000))
    bytecode = py_compile.compile(path)
    os.utime(bytecode, (0, second + 0.5 + later_seconds))
    WatchedFiles([path, f"{path}.missing.py"]).drop_doubtful_bytecode()
    assert os.path.exists(bytecode) is not dropped


def test_a_file_that_was_loaded_from_doubtful_bytecode_counts_as_changed(path):
    with open(path, "w") as file:
        file.write("one = 1")
    changed = os.stat(path).st_mtime_ns
    for since, counts in ((changed + 60 * 10**9, True), (changed, False)):
        py_compile.compile(path)
        assert bool(WatchedFiles([path], since_ns=since).changed()) is counts


def test_bytecode_that_cannot_be_removed_is_left(path, monkeypatch):
    with open(path, "w") as file:
        file.write("one = 1")
    py_compile.compile(path)

    def remove(path):
        raise PermissionError(path)

    monkeypatch.setattr(os, "remove", remove)
    files = WatchedFiles([path], since_ns=os.stat(path).st_mtime_ns + 60 * 10**9)
    assert files.changed() == ""


TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/site.fcgi", line 1, in <module>
    import shop
  File "<frozen importlib._bootstrap>", line 1, in _find_and_load
  File "/srv/shop.py", line 3
    def (
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (TRACEBACK, ["/srv/site.fcgi", "/srv/shop.py"]),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/srv/a.ini'", ["/srv/a.ini"]),
        (
            "ModuleNotFoundError: No module named 'shop.stock'",
            ["/lib/shop/stock.py", "/lib/shop/stock/__init__.py", "/lib/shop.py"],
        ),
        ("TARGET: 'shop:app': there is no module shop, in /srv or installed", ["/lib/shop.py"]),
        ("nothing", []),
    ],
)
def test_what_a_failure_is_about_is_known_from_its_text(monkeypatch, text, files):
    monkeypatch.setattr(sys, "path", ["/lib"])
    assert set(files) <= set(files_named(text))
    assert bool(files) == bool(files_named(text))

"""gfcgi.plugins: a plugin of gevent's is never overlooked, and is asked for where there is one."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from gfcgi import plugins

ENTRY_POINT = "[gevent.plugins.monkey.did_patch_all]\nnote = noting:note\n"


@pytest.fixture
def path(monkeypatch, tmp_path):
    """An import path with a directory and, as ever, one that is not there."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if isinstance(f, type)])
    return tmp_path


def install(path, folder="other-1.0.dist-info", entry_points=ENTRY_POINT):
    (path / folder).mkdir(parents=True)
    (path / folder / "METADATA").write_text(f"Name: {folder.partition('-')[0]}\nVersion: 1.0\n")
    (path / folder / "entry_points.txt").write_text(entry_points)


def known_to_importlib():
    return [
        point
        for package in metadata.distributions()
        for point in package.entry_points
        if point.group.startswith("gevent.plugins.") and point.module != "gevent.monkey"
    ]


def test_without_packages_there_are_none(path):
    (path / "module.py").touch()
    (path / "torn-1.0.dist-info").mkdir()
    (path / "single-1.0.egg-info").touch()
    assert not plugins.may_be_installed()
    assert not known_to_importlib()


def test_other_entry_points_are_none(path):
    install(path, entry_points="[console_scripts]\ngevent = noting:main\n")
    assert not plugins.may_be_installed()


@pytest.mark.parametrize(
    "folder", ["other-1.0.dist-info", "Other.EGG-INFO", "gevent_other-1.0.egg-info"]
)
def test_the_entry_points_of_a_package_are_found(path, folder):
    install(path, folder)
    assert plugins.may_be_installed()
    assert known_to_importlib()


def test_the_entry_points_of_an_egg_are_found(path, monkeypatch):
    install(path, "other-1.0.egg/EGG-INFO")
    monkeypatch.setattr(sys, "path", [str(path / "other-1.0.egg")])
    assert plugins.may_be_installed()
    assert known_to_importlib()


def test_an_empty_entry_of_the_import_path_is_where_we_are(path, monkeypatch):
    install(path)
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(path)
    assert plugins.may_be_installed()


def test_what_cannot_be_listed_may_hold_one(path, monkeypatch):
    archive = path / "packages.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("other-1.0.dist-info/entry_points.txt", ENTRY_POINT)
    monkeypatch.setattr(sys, "path", [str(archive)])
    assert plugins.may_be_installed()
    assert known_to_importlib()


def test_whoever_else_finds_packages_may_know_one(path, monkeypatch):
    class Finder:
        def find_distributions(self, *arguments):
            return ()

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert plugins.may_be_installed()


def test_gevents_own_plugin_is_the_one_that_need_not_be_told():
    """It warns of patch_all(os=False, signal=True), which is not what gfcgi.patched calls."""
    own = metadata.distribution("gevent").entry_points
    assert [(p.group, p.value) for p in own if p.group.startswith("gevent.plugins.")] == [
        ("gevent.plugins.monkey.will_patch_all", "gevent.monkey:_subscribe_signal_os")
    ]


def test_nothing_that_is_installed_here_is_overlooked():
    assert plugins.may_be_installed() or not known_to_importlib()


# --- in a process that patches


NOTING = """\
import sys
def will(event): sys.stdout.write(f"will patch {event.module_name}\\n")
def note(event): sys.stdout.write("did patch all\\n")
"""

PATCHING = """\
import sys
before = set(sys.modules)
from gevent import events
seek = events.notify_and_call_entry_points
events.subscribers.append(lambda event: told.append(type(event).__name__))
told = []
import gfcgi.patched
from gevent import monkey
assert monkey.is_module_patched("socket") and monkey.is_module_patched("threading")
assert told[0] == "GeventWillPatchAllEvent" and told[-1] == "GeventDidPatchAllEvent"
assert told.count("GeventWillPatchModuleEvent") > 10
assert events.notify_and_call_entry_points is seek
print("importlib.metadata" in set(sys.modules) - before)
"""


def patching(*path: Path) -> list[str]:
    """What a process says that patches, with ``path`` before what is installed."""
    script = f"import sys; sys.path[:0] = {[str(entry) for entry in path]!r}\n{PATCHING}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_a_plugin_patching_does_not_read_what_is_installed():
    if plugins.may_be_installed():
        pytest.skip("somebody's plugin is installed here")
    assert patching() == ["False"]


def test_a_plugin_is_told_of_every_module_that_is_patched(tmp_path):
    will = "[gevent.plugins.monkey.will_patch_module]\nwill = noting:will\n"
    install(tmp_path, entry_points=ENTRY_POINT + will)
    (tmp_path / "noting.py").write_text(NOTING)
    said = patching(tmp_path)
    assert said.count("did patch all") == 1
    assert {"will patch socket", "will patch threading", "will patch ssl"} <= set(said)

"""gfcgi.process.patching: what patching came too late for is named.

The standard library of this process is not patched: what gevent would have saved is given.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest

from gfcgi.process.patching import late_modules, patch, warn_of_late_modules


class OriginalSocket:
    pass


def original_sleep(seconds):
    pass


def original_close(fd):
    pass


def module(name, **contents):
    made = ModuleType(name)
    vars(made).update(contents)
    return made


SAVED = {
    "time": {"sleep": original_sleep, "unchanged": time.time},
    "socket": {"socket": OriginalSocket, "gone": 3},
    "os": {"close": original_close},
    "signal": {"signal": original_sleep},
    "_thread": {"LockType": type(threading.Lock())},
    "threading": {"_CRLock": type(threading.RLock())},
    "_gevent_saved_patch_all_module_settings": {"socket": True},
}
STDLIB = {
    "time": module("time", sleep=object(), unchanged=time.time),
    "socket": module("socket", socket=object()),
    "os": module("os", close=object()),
    "signal": module("signal", signal=object()),
}


def late(**contents):
    return late_modules(SAVED, {**STDLIB, "shop.db": module("shop.db", **contents)})


@pytest.mark.parametrize(
    ("contents", "thing"),
    [
        ({"sleep": original_sleep}, "time.sleep"),
        ({"pause": original_sleep}, "time.sleep"),
        ({"socket": OriginalSocket}, "socket.socket"),
        ({"Mine": type("Mine", (OriginalSocket,), {})}, "Mine, a subclass of socket.socket"),
        ({"lock": threading.Lock()}, "a lock"),
        ({"lock": threading.RLock()}, "a RLock"),
        ({"changed": threading.Condition()}, "a Condition"),
        ({"ready": threading.Event()}, "a Event"),
        ({"jobs": queue.Queue()}, "a Queue"),
    ],
)
def test_what_a_module_took_hold_of_is_named(contents, thing):
    assert late(**contents) == {"shop.db": [thing]}


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"time": STDLIB["time"]},
        {"clock": time.time},
        {"close": original_close},
        {"local": threading.local()},
        {"me": threading.current_thread()},
        {"jobs": queue.SimpleQueue},
        {"number": 3},
    ],
)
def test_what_patching_reaches_is_not_named(contents):
    assert late(**contents) == {}


def test_the_standard_library_and_gevent_and_gfcgi_are_not_named():
    modules = {
        name: module(name, sleep=original_sleep)
        for name in ("asyncio.tasks", "gevent.hub", "greenlet", "zope.event", "gfcgi.x", "app")
    }
    modules["odd"] = SimpleNamespace(sleep=original_sleep)
    modules["absent"] = None
    assert list(late_modules(SAVED, {**STDLIB, **modules})) == ["app"]
    assert "__main__" in late_modules(
        SAVED, {**STDLIB, "__main__": module("__main__", s=original_sleep)}
    )


@pytest.fixture
def monkey(monkeypatch):
    """Stands in for gevent.monkey."""
    fake = ModuleType("gevent.monkey")
    fake.saved = SAVED
    fake.is_module_patched = lambda name: True
    monkeypatch.setitem(sys.modules, "gevent.monkey", fake)
    for name, stdlib in STDLIB.items():
        monkeypatch.setitem(sys.modules, name, stdlib)
    return fake


def test_the_warning_names_modules_and_says_what_to_do(monkey, monkeypatch, caplog):
    monkeypatch.delitem(sys.modules, "gfcgi.patched", raising=False)
    for number in range(10):
        name = f"aa_late{number}"
        monkeypatch.setitem(sys.modules, name, module(name, sleep=original_sleep))
    with caplog.at_level(logging.WARNING, "gfcgi"):
        warn_of_late_modules()
    (line,) = caplog.messages
    assert "aa_late0 (time.sleep); aa_late1 (time.sleep)" in line
    assert "aa_late7" in line
    assert "aa_late8" not in line
    assert "and 2 more modules" in line or "more modules" in line
    assert "`import gfcgi.patched` at the top" in line


def test_gevents_own_complaints_are_lines_of_the_log(monkeypatch, caplog):
    fake = ModuleType("gfcgi.patched")
    fake.complaints = ["ssl was imported early"]
    monkeypatch.setitem(sys.modules, "gfcgi.patched", fake)
    monkeypatch.delitem(sys.modules, "gevent.monkey", raising=False)
    with caplog.at_level(logging.WARNING, "gfcgi"):
        warn_of_late_modules()
    assert caplog.messages == ["gevent: ssl was imported early"]


def test_a_patched_process_is_not_patched_again(monkey, monkeypatch):
    monkeypatch.setitem(sys.modules, "gfcgi.patched", None)  # importing it would fail
    patch()


@pytest.mark.parametrize("imported", [True, False])
def test_an_unpatched_process_is_patched_by_importing_patched(monkey, monkeypatch, imported):
    if imported:
        monkey.is_module_patched = lambda name: False
    else:
        monkeypatch.delitem(sys.modules, "gevent.monkey")
    monkeypatch.setitem(sys.modules, "gfcgi.patched", None)
    with pytest.raises(ImportError):
        patch()

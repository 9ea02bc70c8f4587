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

from gfcgi.options import Options
from gfcgi.process.patching import late_modules, warn_of_late_modules, warn_of_late_options


class OriginalSocket:
    pass


def original_sleep(seconds):
    pass


def original_close(fd):
    pass


def original_private():
    pass


class GeventsSocket(OriginalSocket):
    """As gevent's SSLContext is a subclass of the original."""


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
    "threading": {
        "_CRLock": type(threading.RLock()),
        "local": threading.local,
        "_private": original_private,
        "Public": original_private,
    },
    "_gevent_saved_patch_all_module_settings": {"socket": True},
}
STDLIB = {
    "time": module("time", sleep=object(), unchanged=time.time),
    "socket": module("socket", socket=GeventsSocket),
    "threading": module("threading", _private=object(), Public=object()),
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
        ({"one_of_two_names": original_private}, "threading.Public"),
        ({"lock": threading.Lock()}, "a threading.Lock"),
        ({"lock": threading.RLock()}, "a threading.RLock"),
        ({"state": threading.local()}, "a threading.local"),
        ({"state": type("State", (threading.local,), {})()}, "a threading.local"),
        ({"changed": threading.Condition()}, "a threading.Condition"),
        ({"ready": threading.Event()}, "a threading.Event"),
        ({"jobs": queue.Queue()}, "a queue.Queue"),
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
        {"me": threading.current_thread()},
        {"jobs": queue.SimpleQueue},
        {"number": 3},
        {"socket": GeventsSocket},
        {"Mine": type("Mine", (GeventsSocket,), {})},
        {"free": SimpleNamespace()},
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


def test_a_module_under_two_names_is_named_once():
    found = module("urllib3.util", sleep=original_sleep)
    modules = {**STDLIB, "requests.packages.urllib3.util": found, "urllib3.util": found}
    assert late_modules(SAVED, modules) == {"urllib3.util": ["time.sleep"]}


def test_nothing_is_asked_of_what_modules_hold_or_are():
    """Proxies of a request that does not run raise, and lazy modules would be loaded."""

    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("outside of a request")

    class Lazy(ModuleType):
        def __getattribute__(self, name):
            raise RuntimeError("loaded")

    modules = {"shop": module("shop", request=Proxy(), sleep=original_sleep), "lazy": Lazy("lazy")}
    assert late_modules(SAVED, {**STDLIB, **modules}) == {"shop": ["time.sleep"]}


def test_a_condition_over_another_lock_is_not_late():
    class Cooperative:
        def acquire(self): ...

        def release(self): ...

        def locked(self): ...  # a Condition has it of its lock since Python 3.14

    condition = threading.Condition(Cooperative())
    assert late(changed=condition) == {}


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
    monkeypatch.delitem(sys.modules, "gfcgi.cooperative.standard_library", raising=False)
    for number in range(10):
        name = f"aa_late{number}"
        monkeypatch.setitem(sys.modules, name, module(name, sleep=original_sleep))
    with caplog.at_level(logging.WARNING, "gfcgi"):
        warn_of_late_modules()
    (line,) = caplog.messages
    assert "aa_late0 (time.sleep); aa_late1 (time.sleep)" in line
    assert "aa_late7" in line
    assert "aa_late8" not in line
    assert "; and " in line
    assert " more; put " in line
    assert "`import gfcgi.patched` at the top" in line


def test_gevents_own_complaints_are_lines_of_the_log(monkeypatch, caplog):
    fake = ModuleType("gfcgi.cooperative.standard_library")
    fake.complaints = ["ssl was imported early"]
    monkeypatch.setitem(sys.modules, "gfcgi.cooperative.standard_library", fake)
    monkeypatch.delitem(sys.modules, "gevent.monkey", raising=False)
    with caplog.at_level(logging.WARNING, "gfcgi"):
        warn_of_late_modules()
    assert caplog.messages == ["gevent: ssl was imported early"]


def test_an_option_that_comes_too_late_for_patching_is_named(monkeypatch, caplog):
    fake = ModuleType("gfcgi.cooperative")
    fake.applied = {"file-locks"}
    monkeypatch.setitem(sys.modules, "gfcgi.cooperative", fake)
    options = Options.from_sources(keywords={"no_cooperative": ["file-locks"]})
    with caplog.at_level(logging.WARNING, "gfcgi"):
        warn_of_late_options(options)
        warn_of_late_options(Options())
    (line,) = caplog.messages
    assert line.startswith("no_cooperative=: file-locks was cooperative by then")
    assert "GFCGI_NO_COOPERATIVE" in line

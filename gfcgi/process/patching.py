"""Monkey-patching: done once, as early as we can, and what came before it named.

What a module took hold of before (``from time import sleep``, a subclass of ``socket.socket``, a
lock made at import) stays as it was: it stops every request for as long as it waits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Final

from gfcgi.process.log import log

__all__ = ["late_modules", "patch", "warn_of_late_modules"]

Saved = Mapping[str, Mapping[str, object]]

OURS: Final = frozenset({"gfcgi", "gevent", "greenlet", "zope"})
HARMLESS: Final = frozenset({"os.close", "subprocess.CompletedProcess"})
"""Replaced by gevent, and still right in its original form; so is all of ``signal`` but SIGCHLD."""

LOCK_HOLDERS: Final = frozenset(
    {"Barrier", "BoundedSemaphore", "Condition", "Event", "LifoQueue", "PriorityQueue", "Queue"}
    | {"Semaphore", "_RLock"}
)
"""Of ``threading`` and ``queue``: what has a lock inside."""

NAMED_MODULES: Final = 8
"""How many modules a warning names before it only counts them."""


def patch() -> None:
    """Make the standard library cooperative unless something has done it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("socket"):
        import gfcgi.patched  # noqa: F401 - importing it is what patches


def warn_of_late_modules() -> None:
    """Log what gevent had to say, and which modules patching came too late for."""
    patched = sys.modules.get("gfcgi.patched")
    if patched is not None:
        for complaint in patched.complaints:
            log.warning("gevent: %s", complaint)
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return
    late = late_modules(monkey.saved, sys.modules)
    if late:
        named = [f"{name} ({', '.join(things)})" for name, things in late.items()]
        rest = len(named) - NAMED_MODULES
        log.warning(
            "imported before the standard library was made cooperative, so that they may block"
            " every request while they wait: %s%s; put `import gfcgi.patched` at the top of the"
            " script",
            "; ".join(named[:NAMED_MODULES]),
            f"; and {rest} more" if rest > 0 else "",
        )


def late_modules(saved: Saved, modules: Mapping[str, ModuleType]) -> dict[str, list[str]]:
    """Modules, beside the standard library's, that hold what gevent replaced; and what they hold.

    ``saved`` is ``gevent.monkey.saved``: module name, attribute name, original object.
    """
    originals = _Originals(saved, modules)
    late: dict[str, list[str]] = {}
    seen: set[int] = set()
    for key, found in sorted(modules.items()):
        top = key.partition(".")[0]
        if top in OURS or top in sys.stdlib_module_names or id(found) in seen:
            continue
        seen.add(id(found))  # one module may be there under two names
        if not issubclass(type(found), ModuleType):
            continue
        # Not vars(): a module that loads itself when it is first used shall not do so now.
        contents: dict[str, object] = ModuleType.__getattribute__(found, "__dict__")
        things = {originals.held_by(value) for value in list(contents.values())}
        if any(things):
            late[str(contents.get("__name__", key))] = sorted(thing for thing in things if thing)
    return late


class _Originals:
    """What gevent replaced, and how to tell who still has it."""

    def __init__(self, saved: Saved, modules: Mapping[str, ModuleType]) -> None:
        self._names: dict[int, str] = {}
        self._now: dict[int, object] = {}
        self._kept: list[object] = []  # ids are told apart as long as their objects live
        replaced = [
            (f"{module}.{attribute}", original, getattr(modules.get(module), attribute, original))
            for module, attributes in saved.items()
            for attribute, original in attributes.items()
            if module != "signal" and f"{module}.{attribute}" not in HARMLESS
        ]
        # A thing with several names gets the one that people write: threading.Lock, not _thread's.
        for name, original, now in sorted(replaced, key=lambda one: ("_" in one[0], one[0])):
            if callable(original) and now is not original:
                self._kept.append(original)
                self._names.setdefault(id(original), name)
                self._now.setdefault(id(original), now)
        threads, threading = saved.get("_thread", {}), saved.get("threading", {})
        made = {
            threads.get("LockType"): "a threading.Lock",
            threading.get("_CRLock"): "a threading.RLock",
            threading.get("local"): "a threading.local",
        }
        self._made = {kind: name for kind, name in made.items() if isinstance(kind, type)}

    def held_by(self, value: object) -> str | None:
        """What ``value`` is or has of the originals.

        It is asked for nothing but its type: it may be a proxy of what does not exist now.
        """
        if id(value) in self._names:
            return self._names[id(value)]
        if issubclass(type(value), type):
            assert isinstance(value, type)
            bases = value.__mro__
            for base in bases:
                # gevent's own classes may be subclasses of what they replace.
                if id(base) in self._names and self._now[id(base)] not in bases:
                    return f"{value.__name__}, a subclass of {self._names[id(base)]}"
            return None
        return self._made_before(value)

    def _made_before(self, value: object, depth: int = 2) -> str | None:
        kind = type(value)
        for made, name in self._made.items():
            if issubclass(kind, made):
                return name
        if not depth or kind.__module__ not in ("threading", "queue"):
            return None
        if kind.__name__ not in LOCK_HOLDERS:
            return None
        for inner in vars(value).values():
            if self._made_before(inner, depth - 1) is not None:
                return f"a {kind.__module__}.{kind.__name__}"
        return None

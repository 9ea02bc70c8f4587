"""What was imported before patching: what it holds of the unpatched standard library.

A reference in a module's own namespace, such as urllib3's to ``ssl.SSLContext`` or a script's
``from time import sleep``, is put right. What cannot be is named: a subclass of ``socket.socket``,
a lock that was made.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterator, Mapping
from types import CellType, MemberDescriptorType, ModuleType
from typing import Any, Final

__all__ = ["late_modules", "rebind", "renew_executors", "renew_locals"]

Saved = Mapping[str, Mapping[str, object]]

OURS: Final = frozenset({"gfcgi", "gevent", "greenlet", "zope"})
HARMLESS: Final = frozenset({"os.close", "subprocess.CompletedProcess"})
"""Replaced by gevent, and still right in its original form; so is all of ``signal`` but SIGCHLD."""

WATCHERS: Final = frozenset({"coverage", "debugpy", "pydevd", "_pydev_bundle", "_pydevd_bundle"})
"""They look at real threads on purpose: their references stay, and are not worth a word."""

LOCK_HOLDERS: Final = frozenset(
    {"Barrier", "BoundedSemaphore", "Condition", "Event", "LifoQueue", "PriorityQueue", "Queue"}
    | {"Semaphore", "_RLock"}
)
"""Of ``threading`` and ``queue``: what has a lock inside."""


def rebind(
    saved: Saved, modules: Mapping[str, ModuleType], names: Collection[str] | None = None
) -> None:
    """Give modules that hold what was replaced the replacement, where it has a name of theirs.

    ``names`` are the modules to look at.
    """
    originals = _Originals(saved, modules)
    for _, contents in _namespaces(modules, names):
        for name, value in list(contents.items()):
            now = originals.replacement(value)
            if now is not None:
                contents[name] = now


def late_modules(
    saved: Saved, modules: Mapping[str, ModuleType], names: Collection[str] | None = None
) -> dict[str, list[str]]:
    """Modules, beside the standard library's, that hold what was replaced; and what they hold.

    ``saved`` is ``gevent.monkey.saved``: module name, attribute name, original object. ``names``
    are the modules to look at: only what was imported before patching can be late.
    """
    originals = _Originals(saved, modules)
    late: dict[str, list[str]] = {}
    for key, contents in _namespaces(modules, names):
        things = {originals.held_by(value) for value in list(contents.values())}
        if any(things):
            late[str(contents.get("__name__", key))] = sorted(thing for thing in things if thing)
    return late


def renew_executors() -> None:
    """Let executors that were made before patching start their next threads as greenlets.

    Their queue and locks are the unpatched ones: the first ``result()`` would stop the process.
    What was submitted to threads that run already stays with them.
    """
    import queue
    import threading

    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is None:
        return
    for thing in gc.get_objects():
        if not issubclass(type(thing), pools.ThreadPoolExecutor):
            continue
        pool: Any = thing
        if not hasattr(pool, "_work_queue"):
            continue  # it is being made
        waiting, pool._work_queue = pool._work_queue, queue.SimpleQueue()
        if not pool._threads:
            while not waiting.empty():
                pool._work_queue.put(waiting.get_nowait())
        pool._threads = set()
        pool._idle_semaphore = threading.Semaphore(0)
        pool._shutdown_lock = threading.Lock()


def renew_locals(saved: Saved) -> None:
    """Put a new object in the place of each ``threading.local()`` that was made before patching.

    The old ones are the same for all greenlets: one request's database connection, say, would be
    another's. Those of subclasses cannot be made anew from here.
    """
    import threading

    original = saved.get("threading", {}).get("local")
    stale = [thing for thing in gc.get_objects() if type(thing) is original]
    if not stale or threading.local is original:
        return
    new: dict[int, object] = {}
    for thing in stale:
        new[id(thing)] = fresh = threading.local()
        vars(fresh).update(vars(thing))  # of this thread
    for holder in gc.get_referrers(*stale):
        if holder is not stale:
            _exchange(holder, new)


def _exchange(holder: Any, new: Mapping[int, object]) -> None:
    """Have ``holder`` refer to the new things, by their old ones' ids, as far as it can change."""
    kind = type(holder)
    if kind is dict:
        for key, value in list(holder.items()):
            if id(value) in new:
                holder[key] = new[id(value)]
    elif kind is list:
        holder[:] = [new.get(id(value), value) for value in holder]
    elif kind is CellType:
        holder.cell_contents = new[id(holder.cell_contents)]
    else:
        names = [
            name
            for base in kind.__mro__
            for name, member in vars(base).items()
            if type(member) is MemberDescriptorType
        ]
        try:
            names += object.__getattribute__(holder, "__dict__")
        except AttributeError:
            pass
        for name in names:
            try:
                value = object.__getattribute__(holder, name)
                if id(value) in new:
                    object.__setattr__(holder, name, new[id(value)])
            except (AttributeError, TypeError):  # not set, or it cannot be changed
                pass


def _namespaces(
    modules: Mapping[str, ModuleType], names: Collection[str] | None
) -> Iterator[tuple[str, dict[str, object]]]:
    """What each module holds, once, without those that are not asked."""
    seen: set[int] = set()
    for key, found in sorted(modules.items()):
        top = key.partition(".")[0]
        if names is not None and key not in names:
            continue
        if top in OURS or top in WATCHERS or top in sys.stdlib_module_names or id(found) in seen:
            continue
        seen.add(id(found))  # one module may be there under two names
        if issubclass(type(found), ModuleType):
            # Not vars(): that would load a module that loads itself when it is first used.
            yield key, ModuleType.__getattribute__(found, "__dict__")


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

    def replacement(self, value: object) -> object | None:
        """What there is instead of ``value`` now, if that is one of the originals."""
        return self._now.get(id(value))

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

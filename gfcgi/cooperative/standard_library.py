"""``gevent.monkey.patch_all()``, so that it cannot fail, and quicker.

gevent's warnings are kept for the log. Three things are done in another way:

- gevent looks among all objects for the locks that this thread holds, such as the lock of an import
  that is going on, and asks ``isinstance`` of each. A lazy proxy raises then, and the lock of the
  import stays broken. Here an object is asked for its type alone.
- gevent does not look for them where other threads run already. Here the locks of this thread are
  found by their owner. The other threads stay what they are, operating-system threads, and may end.
- ``queue.Queue``, ``LifoQueue`` and ``PriorityQueue`` stay the standard library's, which wait
  cooperatively by the locks inside them: gevent's have another ``maxsize`` and no ``mutex``.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from gfcgi import plugins
from gfcgi.cooperative.imports import lazy_loaders_put_off, when_imported

with lazy_loaders_put_off():
    from gevent import events, monkey
    from gevent.hub import get_hub

from gfcgi.cooperative.stale import rebind, renew_executors, renew_locals

__all__ = ["complaints", "imported_before", "patch_standard_library", "renew_what_is_stale"]

complaints: list[str] = []
"""What gevent warned of while it patched, a line each."""

_PUT_RIGHT: Final = "Modules that had direct imports (NOT patched)"
"""gevent's warning of references to ssl: we put them right, or name what is left."""

_AFTER_PATCHING: Final = "_gevent_did_monkey_patch"
"""What gevent calls in a module of its own that has replaced one of the standard library."""


imported_before: set[str] = set()
"""The names of modules that were imported before patching, or whose import was going on."""


def patch_standard_library() -> None:
    """Patch what gevent patches, unless something has done it."""
    if imported_before:
        return
    imported_before.update(sys.modules)
    if monkey.is_module_patched("socket"):
        # Whoever did it imported gevent.monkey for that: what comes after that came later.
        names = list(sys.modules)
        imported_before.intersection_update(names[: names.index("gevent.monkey")])
        imported_before.add("__main__")
        return
    if len(sys._current_frames()) > 1:
        # Threads that run already will make hubs of their own: what that imports is imported now,
        # so that they do not wait for each other's imports in the middle of it.
        get_hub()
    with (
        lazy_loaders_put_off(),
        _plugins_sought_once(),
        _multiprocessing_left_alone(),
        _own_search_for_locks(),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always", monkey.MonkeyPatchWarning)
        monkey.patch_all()
    _put_back_queues()
    _let_threads_end()
    if "concurrent.futures.thread" in imported_before:
        renew_executors()
    renew_locals(_saved())
    for warning in caught:
        if issubclass(warning.category, monkey.MonkeyPatchWarning):
            complaint = " ".join(str(warning.message).split())
            if _PUT_RIGHT not in complaint:
                complaints.append(complaint)
        else:  # somebody else's, which we only happened to catch
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def renew_what_is_stale() -> None:
    """Have modules that were imported before refer to what there is now."""
    rebind(_saved(), sys.modules, imported_before)


def _saved() -> Any:
    """What gevent and gfcgi replaced: module name, attribute name, original object."""
    its: Any = monkey
    return its.saved


@contextmanager
def _plugins_sought_once() -> Iterator[None]:
    """Spare gevent the search for plugins, before and after each module, if there are none."""
    its: Any = events
    if not hasattr(its, "notify_and_call_entry_points") or plugins.may_be_installed():
        yield
        return
    seeking = its.notify_and_call_entry_points
    its.notify_and_call_entry_points = its.notify  # zope.event's subscribers are told as ever
    try:
        yield
    finally:
        its.notify_and_call_entry_points = seeking


@contextmanager
def _multiprocessing_left_alone() -> Iterator[None]:
    """Have gevent see to multiprocessing when that is imported, and not import it for that.

    Since Python 3.14 gevent ends the patching of subprocess with multiprocessing's start method: it
    sets "fork", as the new default ("forkserver") fails in a patched process. Few need it at all.
    """

    def postpone(event: Any) -> None:
        if isinstance(event, events.GeventWillPatchModuleEvent) and (
            event.module_name == "subprocess" and hasattr(event.source, _AFTER_PATCHING)
        ):
            gevents: Any = event.source
            see_to_it = getattr(gevents, _AFTER_PATCHING)

            def once_imported(*arguments: object) -> None:
                setattr(gevents, _AFTER_PATCHING, see_to_it)
                when_imported("multiprocessing", lambda _: see_to_it(*arguments))

            setattr(gevents, _AFTER_PATCHING, once_imported)

    events.subscribers.append(postpone)
    try:
        yield
    finally:
        events.subscribers.remove(postpone)


# --- locks that are held while we patch ----------------------------------------------------------

_SEARCH: Final = "_patch_existing_locks"


@contextmanager
def _own_search_for_locks() -> Iterator[None]:
    """Have gevent look for the locks of this thread as it is done here."""
    home = _home_of_search()
    if home is None:
        yield
        return
    search = getattr(home, _SEARCH)
    setattr(home, _SEARCH, _patch_existing_locks)
    try:
        yield
    finally:
        setattr(home, _SEARCH, search)


def _home_of_search() -> ModuleType | None:
    """Where this version of gevent has the function that it calls."""
    if hasattr(monkey, _SEARCH):  # before gevent 25
        return monkey
    try:
        return import_module("gevent.monkey._patch_thread_common")
    except ImportError:
        return None


def _patch_existing_locks(threading: Any) -> None:
    """Make the locks that this thread holds those of its greenlet; called while gevent patches."""
    import importlib._bootstrap as bootstrap

    alone = len(list(threading.enumerate())) == 1
    if alone:
        shutdown: Any = getattr(_home_of_search(), "_patch_global_shutdown_lock", None)
        if shutdown is not None:
            shutdown(threading)
        threading._active_limbo_lock = threading._allocate_lock()
    own, now = monkey.get_original("_thread", "get_ident")(), threading.get_ident()
    imports: Any = bootstrap
    for reference in list(imports._module_locks.values()):
        lock = reference()
        if lock is not None and lock.owner == own:
            lock.owner = now
    kind_of_lock = type(threading.RLock())
    for thing in gc.get_objects():
        if issubclass(type(thing), kind_of_lock) and thing._owner == own:
            thing._owner = now


def _let_threads_end() -> None:
    """Let threads that run already find themselves: now they have other numbers."""
    threading = sys.modules["threading"]
    active: Any = vars(threading)["_active"]
    if len(active) > 1:
        vars(threading)["_active"] = _Active(active)


class _Active(dict[int, Any]):
    """``threading._active``, where a thread from before has the number that it began with."""

    def __missing__(self, ident: int) -> Any:
        return self[self._began_with(ident)]

    def __delitem__(self, ident: int) -> None:
        super().__delitem__(ident if ident in self else self._began_with(ident))

    def _began_with(self, ident: int) -> int:
        number: int = monkey.get_original("_thread", "get_ident")()
        if number not in self:
            raise KeyError(ident)
        return number


# --- queues --------------------------------------------------------------------------------------


def _put_back_queues() -> None:
    import queue

    saved = _saved().get("queue", {})
    for name in ("Queue", "LifoQueue", "PriorityQueue"):
        if name in saved:
            setattr(queue, name, saved.pop(name))

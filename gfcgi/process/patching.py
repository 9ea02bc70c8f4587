"""Monkey-patching: done once, as early as we can, and what came before it named.

What a module took hold of before (``from time import sleep``, a subclass of ``socket.socket``, a
lock made at import) stays as it was: it stops every request for as long as it waits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Final

from gfcgi.process.log import log

__all__ = ["late_modules", "patch", "warn_of_late_modules"]

OURS: Final = frozenset({"gfcgi", "gevent", "greenlet", "zope"})
HARMLESS: Final = frozenset({"os.close", "subprocess.CompletedProcess"})
"""Replaced by gevent, and still right in its original form; so is all of ``signal`` but SIGCHLD."""

LOCK_HOLDERS: Final = frozenset(
    {"Barrier", "BoundedSemaphore", "Condition", "Event", "LifoQueue", "PriorityQueue", "Queue"}
    | {"Semaphore", "SimpleQueue", "_RLock"}
)
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
            f" and {rest} more modules" if rest > 0 else "",
        )


def late_modules(
    saved: Mapping[str, Mapping[str, object]], modules: Mapping[str, ModuleType]
) -> dict[str, list[str]]:
    """Modules, beside the standard library's, that hold what gevent replaced; and what they hold.

    ``saved`` is ``gevent.monkey.saved``: module name, attribute name, original object.
    """
    originals: dict[int, tuple[str, object]] = {}
    for module, attributes in saved.items():
        for attribute, original in attributes.items():
            name = f"{module}.{attribute}"
            replaced = getattr(modules.get(module), attribute, original) is not original
            if replaced and callable(original) and name not in HARMLESS and module != "signal":
                originals.setdefault(id(original), (name, original))
    classes = [(name, value) for name, value in originals.values() if isinstance(value, type)]
    locks = _lock_types(saved)
    late: dict[str, list[str]] = {}
    for module_name, found in sorted(modules.items()):
        top = module_name.partition(".")[0]
        if top in OURS or top in sys.stdlib_module_names or not isinstance(found, ModuleType):
            continue
        things = [_late(value, originals, classes, locks) for value in list(vars(found).values())]
        if any(things):
            late[module_name] = sorted({thing for thing in things if thing})
    return late


def _lock_types(saved: Mapping[str, Mapping[str, object]]) -> tuple[type, ...]:
    found = {saved.get("_thread", {}).get("LockType"), saved.get("threading", {}).get("_CRLock")}
    return tuple(value for value in found if isinstance(value, type))


def _late(
    value: object,
    originals: Mapping[int, tuple[str, object]],
    classes: Iterable[tuple[str, type]],
    locks: tuple[type, ...],
) -> str | None:
    """What ``value`` holds of the originals: itself, its base class, or a lock inside."""
    if id(value) in originals:
        return originals[id(value)][0]
    if isinstance(value, type):
        for name, original in classes:
            if original in value.__mro__:
                return f"{value.__name__}, a subclass of {name}"
    elif _holds_lock(value, locks):
        return f"a {type(value).__name__}"
    return None


def _holds_lock(value: object, locks: tuple[type, ...], depth: int = 2) -> bool:
    if isinstance(value, locks):
        return True
    kind = type(value)
    if not depth or kind.__module__ not in ("threading", "queue", "_queue"):
        return False
    if kind.__name__ not in LOCK_HOLDERS:
        return False
    return any(_holds_lock(inner, locks, depth - 1) for inner in vars(value).values())

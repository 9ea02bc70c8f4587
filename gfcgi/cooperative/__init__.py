"""What gevent leaves blocking, made cooperative: one file for each thing.

gevent makes sockets, sleeping, locks and subprocesses cooperative. Whatever else waits in C stops
every request of the process, and deadlocks it where a request waits for another one. Each part
here has a name, which ``no_cooperative`` leaves out, and is applied to its module when that is
imported: a module that nobody needs costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Final, NamedTuple

from gfcgi.cooperative.blocking import BLOCKING
from gfcgi.cooperative.imports import when_imported
from gfcgi.option_parsers import COOPERATIVE
from gfcgi.unfailing_log import Log

__all__ = ["PARTS", "Part", "applied", "install", "leave_alone", "left_alone"]

log = Log("gfcgi.cooperative")


class Part(NamedTuple):
    """``module``'s function ``change`` is called with each of ``targets`` once it is imported."""

    targets: tuple[str, ...]
    module: str
    change: str = "change"


_ADAPTERS: Final = "gfcgi.cooperative.adapters"

PARTS: Final = {
    "file-locks": (Part(("fcntl", "os"), "gfcgi.cooperative.file_locks"),),
    "sqlite3": (Part(("sqlite3",), "gfcgi.cooperative.sqlite"),),
    "asyncio": (
        Part(("asyncio.base_events",), "gfcgi.cooperative.event_loops"),
        Part(("asyncio.unix_events",), "gfcgi.cooperative.event_loops", "change_child_watcher"),
    ),
    "os-system": (Part(("os",), "gfcgi.cooperative.shell"),),
    "fork": (Part(("os",), "gfcgi.cooperative.fork"),),
    "multiprocessing": (
        Part(("multiprocessing.connection",), "gfcgi.cooperative.processes", "change_connection"),
        Part(("multiprocessing.synchronize",), "gfcgi.cooperative.processes", "change_locks"),
        Part(("multiprocessing.util",), "gfcgi.cooperative.processes", "change_util"),
        Part(
            ("multiprocessing.popen_forkserver",),
            "gfcgi.cooperative.processes",
            "change_forkserver",
        ),
    ),
    "psycopg": (Part(("psycopg",), _ADAPTERS, "change_psycopg"),),
    "psycopg2": (Part(("psycopg2", "psycopg2cffi"), _ADAPTERS, "change_psycopg2"),),
    "grpc": (Part(("grpc",), _ADAPTERS, "change_grpc"),),
    "pymssql": (Part(("pymssql",), _ADAPTERS, "change_pymssql"),),
    "warnings": (Part(tuple(BLOCKING), _ADAPTERS, "name_it"),),
}
assert tuple(PARTS) == COOPERATIVE

applied: set[str] = set()
"""The names of the parts that are in force, or will be when their modules are imported."""


_left_alone = False


def leave_alone(yes: bool = True) -> None:
    """Let ``import gfcgi.patched`` have no effect: the application runs in threads."""
    global _left_alone
    _left_alone = yes


def left_alone() -> bool:
    """Whether nothing is to be made cooperative in this process."""
    return _left_alone


def install(left_out: Collection[str] = ()) -> None:
    """Apply every part that is not left out and was not applied before."""
    for name, parts in PARTS.items():
        if name not in left_out and name not in applied:
            applied.add(name)
            for part in parts:
                for target in part.targets:
                    when_imported(target, _change(part))


def _change(part: Part) -> Callable[[ModuleType], None]:
    def change(target: ModuleType) -> None:
        from importlib import import_module

        try:
            getattr(import_module(part.module), part.change)(target)
        except Exception as error:
            # The application runs without it as it does under gevent alone.
            log.error("%s could not be made cooperative", target.__name__, exc_info=error)

    return change

"""Libraries that wait in C: those that have an adapter get it when they are imported.

- psycopg2, psycopg2cffi: the wait callback that its documentation describes. COPY and large objects
  do not use it: they wait in C.
- psycopg: it chooses its wait functions in Python itself, unless it was imported before patching.
- grpc: its own ``grpc.experimental.gevent.init_gevent``.
- pymssql: the wait callback that its documentation describes.

What the application has set itself stays. Left out by ``no_cooperative``: the library's name.

A library that has none, and so stops every request while it waits, is named in the log once, with
the alternative. Left out by ``no_cooperative``: ``warnings``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from gfcgi.cooperative.blocking import BLOCKING
from gfcgi.cooperative.notices import say
from gfcgi.cooperative.waiting import READ, WRITE, wait_for

__all__ = ["change_grpc", "change_psycopg", "change_psycopg2", "change_pymssql", "name_it"]


def change_psycopg2(module: ModuleType) -> None:
    """Set the wait callback of ``psycopg2`` or ``psycopg2cffi``."""
    extensions: Any = import_module(f"{module.__name__}.extensions")
    if extensions.get_wait_callback() is None:
        extensions.set_wait_callback(_wait_callback(extensions))


def _wait_callback(extensions: Any) -> Callable[[Any], None]:
    events = {extensions.POLL_READ: READ, extensions.POLL_WRITE: WRITE}

    def wait(connection: Any) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            wait_for(connection.fileno(), events[state])

    return wait


def change_psycopg(module: ModuleType) -> None:
    """Have ``psycopg`` wait in Python, if it has chosen to wait in C."""
    waiting: Any = import_module("psycopg.waiting")
    in_c = getattr(waiting, "wait_c", None)
    if in_c is not None and waiting.wait is in_c:
        waiting.wait = getattr(waiting, "wait_poll", waiting.wait_selector)
        if hasattr(waiting, "_ready"):
            waiting._ready = waiting._ready_default


def change_grpc(module: ModuleType) -> None:
    """Have gRPC wait by gevent's loop."""
    import_module("grpc.experimental.gevent").init_gevent()


def change_pymssql(module: ModuleType) -> None:
    """Set the wait callback of ``pymssql``."""
    its: Any = module
    its.set_wait_callback(lambda fd: wait_for(fd, READ))


def name_it(module: ModuleType) -> None:
    """Say that a library has no adapter."""
    name, alternative = BLOCKING[module.__name__]
    say(
        "%s stops every request while it waits: it waits in C, and there is no adapter for it."
        ' Instead: %s; see "Will my application work?" in gfcgi\'s documentation',
        name,
        alternative,
    )

"""Who has started this process: a Web server, or a manager that uses its signals."""

from __future__ import annotations

import os
from enum import Enum
from typing import Final

__all__ = ["Starter", "starter"]

WEB_SERVERS: Final = frozenset(
    {"apache2", "httpd", "lighttpd", "h2o", "nginx", "caddy", "cherokee", "hiawatha"}
    | {"litespeed", "openlitespeed", "thttpd"}
)
"""The names of their processes."""
MANAGERS: Final = frozenset({"multiwatch"})
"""It stops its processes with SIGUSR1 too."""


GONE: Final = "(gone)"
"""What has ended, such as the shell that has made a group for a job, sends no signals."""


class Starter(Enum):
    """Who has started us, as far as it matters."""

    OTHER = "a person, a service manager, a spawner that is gone"
    MANAGER = "a manager that stops us with a Web server's signals, or we cannot know"
    WEB_SERVER = "a Web server: our standard error is its error log too"


def starter() -> Starter:
    """Look at our parent, and at the process that has made our process group.

    Apache sends SIGHUP or SIGUSR1 to its process group for a restart. A wrapper script may stand
    between Apache and us, and keeps the group.
    """
    names = {_name(os.getppid()), _name(os.getpgrp())} - {GONE}
    if not names.isdisjoint(WEB_SERVERS):
        return Starter.WEB_SERVER
    return Starter.MANAGER if "" in names or not names.isdisjoint(MANAGERS) else Starter.OTHER


def _name(pid: int) -> str:
    """The name of a process; empty where the system does not say, as where /proc is not mounted."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return GONE
        except OSError:
            pass
        return ""

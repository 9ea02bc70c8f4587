"""``os.system``, as ``subprocess`` is: the other requests go on while the command runs.

Replaced: the wait in C, by ``subprocess.Popen`` with a shell, which gevent has made cooperative.

As before: the command line, the descriptors and the environment that the shell gets, and the exit
status, in the form of ``os.wait``. SIGINT and SIGQUIT are not ignored while it runs.

Left out by ``no_cooperative``: ``os-system``.
"""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType
from typing import Any

from gfcgi.cooperative.replacing import replace
from gfcgi.cooperative.waiting import may_wait

__all__ = ["change"]


def change(module: ModuleType) -> None:
    """Replace ``os.system``."""
    original: Any = module.system

    @functools.wraps(original)
    def system(command: Any) -> int:
        if not may_wait():
            status: int = original(command)
            return status
        sys.audit("os.system", os.fsencode(command))
        import subprocess

        # As system(3): every inheritable descriptor, and SIGPIPE as it is here.
        with subprocess.Popen(
            command, shell=True, close_fds=False, restore_signals=False
        ) as process:
            returned = process.wait()
        return -returned if returned < 0 else returned << 8

    replace(module, "system", system)

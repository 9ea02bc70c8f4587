"""The files that an application was made of, and whether one of them has changed.

These are the script, every module from outside the standard library and site-packages,
``restart.txt`` beside the script, and what the options name. Where a start has failed, they are
also the files that its traceback names, and those that would be the module which is missing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.util import cache_from_source
from typing import Final

from gfcgi import limits

__all__ = ["RESTART_FILE", "WatchedFiles", "files_named"]

RESTART_FILE: Final = "restart.txt"

_IN_TRACEBACK: Final = re.compile(r'^ *File "([^<"][^"]*)", line \d+', re.MULTILINE)
_MISSING_MODULE: Final = re.compile(r"[Nn]o module (?:named )?'?([\w.]+)")
_MISSING_FILE: Final = re.compile(r"No such file or directory: '([^']+)'")

_MOST_PAUSES: Final = 10
_SURELY_LATER_NS: Final = 2_000_000_000
"""A file whose bytecode was written so much later has not changed in between within one second."""

State = tuple[int, int, int] | None


class WatchedFiles:
    """``further`` are paths beside the modules'; a file that is missing may come.

    A file that was changed after ``since_ns`` (on the clock of files) counts as changed: it may
    have been loaded before that. So does one whose doubtful bytecode was there before.

    ``seen_changing`` says whether a file has changed between two looks.
    """

    def __init__(self, further: Iterable[str], since_ns: int | None = None) -> None:
        self._passed_over = _installed()
        self._states: dict[str, State] = {}
        self._modules: set[str] = set()
        self._presumed: set[str] = set()
        self.seen_changing = False
        self.add(further)
        self._add_modules()
        dropped = self.drop_doubtful_bytecode()
        for path, state in self._states.items():
            if since_ns is None or state is None:
                continue
            if state[0] > since_ns or dropped.get(path, since_ns) < since_ns:
                self._states[path] = None
                self._presumed.add(path)

    def add(self, paths: Iterable[str]) -> None:
        for path in map(_absolute, paths):
            if path not in self._states:
                self._states[path] = _state(path)

    def changed(self) -> str:
        """Return a file that has changed since the last call; empty if there is none."""
        changed = ""
        for path, before in self._states.items():
            now = _state(path)
            if now != before:
                self._states[path] = now
                changed = path
                if path in self._presumed:
                    self._presumed.remove(path)
                else:
                    self.seen_changing = True
        self._add_modules()
        return changed

    def settle(self, pause: Callable[[float], None]) -> None:
        """Wait until no file changes any more: an editor, or a copy of many, may be at work."""
        for _ in range(_MOST_PAUSES):
            pause(limits.SETTLE_SECONDS)
            if not self.changed():
                return

    def drop_doubtful_bytecode(self) -> dict[str, int]:
        """Remove the bytecode of files that may have changed in the second they were compiled in.

        Python takes it for that of the file as it is now, if that has the same size: it compares
        whole seconds. Return when what was removed had been written, by the file.
        """
        dropped = {}
        for path, state in self._states.items():
            if state is not None and path.endswith(".py"):
                # The system may not allow it, or another process may have done it.
                with suppress(OSError, NotImplementedError):
                    bytecode = cache_from_source(path)
                    written_ns = os.stat(bytecode).st_mtime_ns
                    if written_ns < state[0] + _SURELY_LATER_NS:
                        os.remove(bytecode)
                        dropped[path] = written_ns
        return dropped

    def _add_modules(self) -> None:
        """Watch what has been imported meanwhile."""
        for name, module in list(sys.modules.items()):
            if name in self._modules:
                continue
            self._modules.add(name)
            # Not getattr: a module that loads itself at its first use must not do so now.
            file = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(file, str) and not file.startswith(self._passed_over):
                self.add([file])


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:  # the current directory was removed
        return path


def _installed() -> tuple[str, ...]:
    """Where the standard library, installed packages and this package are, as prefixes."""
    import sysconfig

    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths.update(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    return tuple(os.path.join(path, "") for path in paths)


def _state(path: str) -> State:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def files_named(text: str) -> list[str]:
    """The files that a traceback, or a line that says why a start failed, is about."""
    files = _IN_TRACEBACK.findall(text) + _MISSING_FILE.findall(text)
    for name in _MISSING_MODULE.findall(text):
        parts = name.strip(".").split(".")
        for directory in sys.path:
            path = directory or os.curdir
            for part in parts:
                path = os.path.join(path, part)
                files += [path, f"{path}.py", os.path.join(path, "__init__.py")]
    return list(dict.fromkeys(files))

"""H2O: an application started independently, or by H2O."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import need, python_environment

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class H2O(WebServer):
    """H2O; it gives the whole path as PATH_INFO, so that gfcgi must be told a mount point."""

    reload_signal: ClassVar[signal.Signals | None] = None
    spawn: bool = False

    def command(self, place: Place) -> list[str]:
        root = place.root.path
        config = f"""\
pid-file: {root}/run/h2o.pid
error-log: {root}/logs/error.log
num-threads: 1
temp-buffer-path: {root}/tmp
{place.printed("h2o", spawn=self.spawn, listen=place.listen)}"""
        path = place.root.write("conf/h2o.conf", config)
        return [need("h2o"), "-c", str(path)]

    def environment(self) -> dict[str, str]:
        return python_environment() if self.spawn else {}

    def version(self) -> str:
        return "H2O " + ask_version([need("h2o"), "-v"], r"version ([\d.]+)")

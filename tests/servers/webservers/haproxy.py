"""HAProxy: a transport connection a request, kept, or with requests multiplexed."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import need

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class HAProxy(WebServer):
    """HAProxy's fcgi-app; ``multiplex`` has many requests at once on one transport connection."""

    reload_signal: ClassVar[signal.Signals | None] = signal.SIGUSR2
    keep_conn: bool = True
    multiplex: bool = False

    def command(self, place: Place) -> list[str]:
        config = """\
global
  maxconn 1000
  nbthread 1
  log stdout format raw local0 info
defaults
  log global
  option httplog
"""
        path = place.root.write("conf/haproxy.cfg", config)
        printed = place.printed(
            "haproxy", keep_conn=self.keep_conn, multiplex=self.multiplex, listen=place.listen
        )
        sections = place.root.write("conf/sections.cfg", printed)
        return [need("haproxy"), "-W", "-db", "-f", str(path), "-f", str(sections)]

    def holds_stderr(self) -> str:
        if tuple(map(int, self.version().split()[1].split("."))) >= (2, 6, 14):
            return ""
        return "it would crash on FCGI_STDERR alone (its issue 2150), so gfcgi sends it with STDOUT"

    def version(self) -> str:
        return "HAProxy " + ask_version([need("haproxy"), "-v"], r"version ([\d.]+)")

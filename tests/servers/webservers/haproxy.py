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

    def application(self, place: Place) -> str:
        """The fcgi-app section and the backend."""
        where = f"unix@{place.address.path}" if place.address.path else str(place.address)
        options = ["option keep-conn" if self.keep_conn else "no option keep-conn"]
        server = f"server application {where} proto fcgi"
        if self.multiplex:
            options += ["option get-values", "option mpxs-conns", "option max-reqs 1000"]
            server += " pool-max-conn 1"
        lines = "\n".join("  " + option for option in options)
        return f"""\
fcgi-app wsgi
  log-stderr global
  docroot {place.root.path}/www
  path-info ^({place.mount})(/.*)?$
  pass-header Authorization
{lines}
backend application
  use-fcgi-app wsgi
  http-reuse always
  {server}"""

    def command(self, place: Place) -> list[str]:
        config = f"""\
global
  maxconn 1000
  nbthread 1
  log stdout format raw local0 info
defaults
  mode http
  log global
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option httplog
frontend http
  bind 127.0.0.1:{place.port}
  default_backend application
{self.application(place)}
"""
        path = place.root.write("conf/haproxy.cfg", config)
        return [need("haproxy"), "-W", "-db", "-f", str(path)]

    def holds_stderr(self) -> str:
        if tuple(map(int, self.version().split()[1].split("."))) >= (2, 6, 14):
            return ""
        return "it would crash on FCGI_STDERR alone (its issue 2150), so gfcgi sends it with STDOUT"

    def version(self) -> str:
        return "HAProxy " + ask_version([need("haproxy"), "-v"], r"version ([\d.]+)")

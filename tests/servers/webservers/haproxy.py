"""HAProxy: a transport connection a request, kept, or with requests multiplexed."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.exchange import Reply
from servers.harness import need

from .base import Place, WebServer, ask_version

#: HAProxy's own page for 500, letter by letter; gfcgi's is plain text.
OWN_500 = (
    b"<html><body><h1>500 Internal Server Error</h1>\n"
    b"An internal server error occurred.\n</body></html>\n"
)


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
        sections = place.root.write("conf/sections.cfg", self.sections(place))
        return [need("haproxy"), "-W", "-db", "-f", str(path), "-f", str(sections)]

    def sections(self, place: Place) -> str:
        """The configuration of the application."""
        return place.printed(
            "haproxy", keep_conn=self.keep_conn, multiplex=self.multiplex, listen=place.listen
        )

    def holds_stderr(self) -> str:
        if self._release() >= (2, 6, 14):
            return ""
        return "it would crash on FCGI_STDERR alone (its issue 2150), so gfcgi sends it with STDOUT"

    def refuses_some(self) -> str:
        if not self.multiplex or self._release() >= (3, 4):
            return ""
        return (
            "of many that begin at once it may answer some by itself with 500 (its issue 3346);"
            " they are sent again"
        )

    def refused(self, reply: Reply) -> bool:
        return (reply.status, reply.body) == (500, OWN_500) and bool(self.refuses_some())

    def refusals(self, log: str) -> int:
        return log.count(" IH-- ")  # an internal error, while it waited for the response's headers

    def crashed(self, log: str) -> bool:
        return 'FATAL: bug condition "c_empty(ic)" matched' in log and self._release() < (2, 6, 14)

    def _release(self) -> tuple[int, ...]:
        return tuple(map(int, self.version().split()[1].split(".")))

    def version(self) -> str:
        return "HAProxy " + ask_version([need("haproxy"), "-v"], r"version ([\d.]+)")

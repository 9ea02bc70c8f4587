"""lighttpd: an application started independently or by lighttpd, buffered or streaming."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import free_port, need, python_environment

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class Lighttpd(WebServer):
    """lighttpd; with ``spawn`` it starts one process of the script by itself (bin-path)."""

    reload_signal: ClassVar[signal.Signals | None] = signal.SIGUSR1
    streaming: bool = False
    spawn: bool = False

    def application(self, place: Place) -> str:
        """The lines for one application."""
        if self.spawn:
            bind = f"unix:{place.root.path}/run/lighttpd.sock"
            return place.printed("lighttpd", spawn=True, bind=bind, streaming=self.streaming)
        return place.printed("lighttpd", streaming=self.streaming)

    def command(self, place: Place) -> list[str]:
        root = place.root.path
        port = free_port() if place.asked.get("listen") else place.port
        config = f"""\
server.modules = ( "mod_alias", "mod_redirect", "mod_fastcgi" )
mimetype.assign = ( ".css" => "text/css", ".js" => "text/javascript" )
server.document-root = "{root}/www"
server.bind = "127.0.0.1"
server.port = {port}
server.listen-backlog = 1024
server.max-fds = 4096
server.errorlog = "{root}/logs/error.log"
server.breakagelog = "{root}/logs/breakage.log"
server.upload-dirs = ( "{root}/tmp" )
{self.application(place)}
"""
        path = place.root.write("conf/lighttpd.conf", config)
        return [need("lighttpd"), "-D", "-f", str(path)]

    def environment(self) -> dict[str, str]:
        return python_environment() if self.spawn else {}

    def version(self) -> str:
        return "lighttpd " + ask_version([need("lighttpd"), "-v"], r"lighttpd/([\d.]+)")

"""Caddy: reverse_proxy with the FastCGI transport."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import need

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class Caddy(WebServer):
    """Caddy, with the mount point cut off by handle_path and given back by env; or ``plain``.

    Plain, it takes no part of the path for the mount point: gfcgi must be told.
    """

    plain: bool = False

    reload_signal: ClassVar[signal.Signals | None] = None

    def command(self, place: Place) -> list[str]:
        address = f"unix/{place.address.path}" if place.address.path else str(place.address)
        how = f"""\
	handle_path {place.mount}* {{
		reverse_proxy {address} {{
			transport fastcgi {{
				env SCRIPT_NAME {place.mount}
				env PATH_INFO {{http.request.uri.path}}
			}}
		}}
	}}"""
        if self.plain:
            how = f"""\
	reverse_proxy {place.mount}* {address} {{
		transport fastcgi
	}}"""
        config = f"""\
{{
	admin off
	auto_https off
	storage file_system {place.root.path}/run/caddy
	log {{
		output file {place.root.path}/logs/error.log
	}}
}}
http://:{place.port} {{
	bind 127.0.0.1
{how}
}}
"""
        path = place.root.write("conf/Caddyfile", config)
        return [need("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]

    def version(self) -> str:
        return "Caddy " + ask_version([need("caddy"), "version"], r"v?([\d.]+)")

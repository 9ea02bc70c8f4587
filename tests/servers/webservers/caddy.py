"""Caddy: reverse_proxy with the FastCGI transport."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import need

from .base import Place, WebServer, ask_version


@dataclass(frozen=True)
class Caddy(WebServer):
    """Caddy; with ``streaming`` it sends on at once what is no event stream, too."""

    reload_signal: ClassVar[signal.Signals | None] = None
    streaming: bool = False

    def command(self, place: Place) -> list[str]:
        printed = place.printed("caddy", streaming=self.streaming, listen=place.listen)
        site = place.root.write("conf/site", printed)
        config = f"""\
{{
	admin off
	auto_https off
	storage file_system {place.root.path}/run/caddy
	log {{
		output file {place.root.path}/logs/error.log
	}}
}}
import {site}
"""
        path = place.root.write("conf/Caddyfile", config)
        return [need("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]

    def version(self) -> str:
        return "Caddy " + ask_version([need("caddy"), "version"], r"v?([\d.]+)")

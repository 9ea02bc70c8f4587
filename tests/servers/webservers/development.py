"""gfcgi's own HTTP front for development, which speaks FastCGI to the application."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import ClassVar

from servers.harness import python_environment

from .base import Place, WebServer


@dataclass(frozen=True)
class Development(WebServer):
    """``python -m gfcgi SCRIPT --http``: no other program is involved."""

    reload_signal: ClassVar[signal.Signals | None] = None

    def command(self, place: Place) -> list[str]:
        where = f"127.0.0.1:{place.port}"
        return [sys.executable, "-m", "gfcgi", str(place.script), "--http", where]

    def environment(self) -> dict[str, str]:
        return python_environment()

    def version(self) -> str:
        return "gfcgi --http"

"""Scripts that were written for another FastCGI server: which line to change."""

from __future__ import annotations

from typing import Final

__all__ = ["IMPORTS", "line_to_change"]

IMPORTS: Final = {
    "flup": "from gfcgi.compat.flup import WSGIServer",
    "flipflop": "from gfcgi.compat.flipflop import WSGIServer",
    "gevent_fastcgi": "from gfcgi.compat.gevent_fastcgi import FastCGIServer, WSGIRequestHandler",
}
"""The packages of other servers, and what stands for their import with gfcgi."""


def line_to_change(error: BaseException) -> str:
    """What to change if ``error`` is the missing package of another server; else empty."""
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package not in IMPORTS:
        return ""
    place = ""
    entry = error.__traceback__
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        if not file.startswith("<"):
            place = f"{file}, line {entry.tb_lineno}: "
        entry = entry.tb_next
    return f"{place}{package} is not installed, and not needed: write {IMPORTS[package]}"

"""The plain pages that gfcgi itself sends.

Every refusal has one in STDOUT. An END_REQUEST without any STDOUT is an empty 200 to some Web
servers, and makes others wait for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["error_page", "refusal"]

_TEXTS: Final = {
    "400": "The Web server sent a request that cannot be understood.",
    "408": "The request's body did not arrive in time.",
    "431": "The request's header fields are too large.",
    "500": "The application failed. Its error log says why.",
    "503": "The application is handling as many requests as it can. Please try again.",
    "504": "The application took too long.",
}


def error_page(status: str, detail: str = "", *, body: bool = True) -> bytes:
    """Return a whole CGI/1.1 response: header block and body.

    ``status`` is such as ``"503 Service Unavailable"``; ``detail`` replaces the usual sentence.
    ``body=False`` answers a HEAD.
    """
    text = f"{status}\n\n{detail or _TEXTS.get(status[:3], '')}\n".encode("utf-8", "replace")
    retry = "Retry-After: 1\r\n" if status.startswith("503") else ""
    head = (
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\n"
        f"{retry}Cache-Control: no-store\r\n"
        f"Status: {status}\r\n\r\n"
    )
    return head.encode("latin-1") + (text if body else b"")


def refusal(status: str, params: Mapping[str, str], detail: str = "") -> bytes:
    """Return the ``error_page`` for a request with these params, which may be a HEAD."""
    return error_page(status, detail, body=params.get("REQUEST_METHOD") != "HEAD")

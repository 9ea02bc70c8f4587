"""The plain pages that gfcgi itself answers with.

Every refusal carries one in STDOUT: an END_REQUEST without any is an empty 200 for some Web
servers and a hang for others.
"""

from __future__ import annotations

from typing import Final

__all__ = ["error_page"]

_TEXTS: Final = {
    "400": "The Web server sent a request that cannot be understood.",
    "408": "The request's body did not arrive in time.",
    "431": "The request's header fields are too large.",
    "500": "The application failed. Its error log says why.",
    "503": "The application is handling as many requests as it can. Please try again.",
}


def error_page(status: str, detail: str = "", *, body: bool = True) -> bytes:
    """Return a whole response, header block and body, as CGI/1.1 wants it.

    ``status`` is such as ``"503 Service Unavailable"``; ``detail`` takes the place of the usual
    sentence. Without ``body`` it answers a HEAD.
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

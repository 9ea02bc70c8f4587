"""From an HTTP request to params: CGI/1.1's meta-variables (RFC 3875 §4.1, FastCGI 1.0 §6.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from gfcgi._version import __version__

__all__ = ["SERVER_SOFTWARE", "BadRequestTarget", "cgi_params", "server_name", "split_target"]

SERVER_SOFTWARE: Final = f"gfcgi/{__version__}"

ABSOLUTE_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::[0-9]*)?")

DROPPED: Final = frozenset(
    {
        # A client's "Proxy" header would become the variable that tells HTTP libraries which
        # proxy to use ("httpoxy").
        "HTTP_PROXY",
        # CONTENT_TYPE and CONTENT_LENGTH say it.
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
    }
)


class BadRequestTarget(ValueError):
    """The request line's target is not one that an origin server serves (RFC 9112 §3.2)."""


def split_target(target: str) -> tuple[str, str]:
    """Return PATH_INFO, percent-decoded in latin-1, and QUERY_STRING, raw, of a request target.

    ``target`` is the raw target in latin-1, in origin, absolute or asterisk form; the last has no
    path.

    Raises: BadRequestTarget.
    """
    target = target.partition("#")[0]
    if target == "*":
        return "", ""
    absolute = ABSOLUTE_FORM.match(target)
    if absolute:
        target = target[absolute.end() :]
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        raise BadRequestTarget(f"the request target is neither a path nor a URL: {target!r}")
    path_info = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    if "\0" in path_info:
        raise BadRequestTarget("the request target has a NUL")
    return path_info, query


def server_name(host: str | None, default: str) -> str:
    """Return SERVER_NAME: the host of a Host header, else ``default``; IPv6 in brackets."""
    match = HOST.fullmatch(host or "")
    if match:
        return match[1]
    return f"[{default}]" if ":" in default else default


def cgi_params(
    environ: Mapping[str, object], target: str, *, server_address: tuple[str, int]
) -> dict[str, str]:
    """Return the params of one HTTP request.

    ``environ`` is what an HTTP server gives to a WSGI application: from it come the method, the
    protocol, the HTTP client's address, CONTENT_TYPE, CONTENT_LENGTH and the headers as HTTP_*.
    A body in chunks has HTTP_TRANSFER_ENCODING and no CONTENT_LENGTH. ``target`` is the raw
    request target. The application is mounted at the root.

    Raises: BadRequestTarget.
    """
    path_info, query_string = split_target(target)
    host = environ.get("HTTP_HOST")
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": SERVER_SOFTWARE,
        "SERVER_PROTOCOL": str(environ["SERVER_PROTOCOL"]),
        "SERVER_NAME": server_name(host if isinstance(host, str) else None, server_address[0]),
        "SERVER_ADDR": server_address[0],
        "SERVER_PORT": str(server_address[1]),
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": str(environ["REQUEST_METHOD"]),
        "REQUEST_URI": target,
        "SCRIPT_NAME": "",
        "PATH_INFO": path_info,
        "QUERY_STRING": query_string,
    }
    for name in ("REMOTE_ADDR", "REMOTE_PORT", "CONTENT_TYPE", "CONTENT_LENGTH"):
        value = environ.get(name)
        if value is not None:
            params[name] = str(value)
    for name, value in environ.items():
        if name.startswith("HTTP_") and name not in DROPPED:
            params[name] = str(value)
    return params

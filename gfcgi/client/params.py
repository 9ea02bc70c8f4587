"""From an HTTP request to params: CGI/1.1's meta-variables (RFC 3875 §4.1, FastCGI 1.0 §6.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from gfcgi._version import __version__
from gfcgi.addresses import in_brackets
from gfcgi.client.http_head import RequestHead
from gfcgi.http_fields import join, variable_name

__all__ = [
    "SERVER_SOFTWARE",
    "BadRequestTarget",
    "cgi_params",
    "header_params",
    "server_name",
    "split_target",
]

SERVER_SOFTWARE: Final = f"gfcgi/{__version__}"

ABSOLUTE_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://([^/?#]*)")
HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::[0-9]*)?")

DROPPED: Final = frozenset(
    {
        # A client's "Proxy" header would become the variable from which HTTP libraries take their
        # proxy ("httpoxy").
        "HTTP_PROXY",
        # CONTENT_TYPE and CONTENT_LENGTH have these values.
        "HTTP_CONTENT_TYPE",
        "HTTP_CONTENT_LENGTH",
    }
)


class BadRequestTarget(ValueError):
    """An origin server does not serve the target of the request line (RFC 9112 §3.2)."""


def split_target(target: str) -> tuple[str, str]:
    """Return PATH_INFO, percent-decoded in latin-1, and QUERY_STRING, raw, of a request target.

    ``target`` is the raw target in latin-1, in origin, absolute or asterisk form. The asterisk form
    has no path.

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
    """Return SERVER_NAME: the host of the Host header, or ``default``. IPv6 gets brackets."""
    match = HOST.fullmatch(host or "")
    if match:
        return match[1]
    return in_brackets(default)


def header_params(head: RequestHead) -> dict[str, str]:
    """Return CONTENT_TYPE, CONTENT_LENGTH and the HTTP_* of a request's head (RFC 3875 §4.1.18).

    Fields with an underscore are left out: X_A could not be told from X-A, which a proxy may set.
    """
    params: dict[str, str] = {}
    for name, value in head.fields:
        if "_" not in name:
            variable = variable_name(name)
            known = params.get(variable)
            params[variable] = value if known is None else join(variable, known, value)
    if head.chunked:
        params["HTTP_TRANSFER_ENCODING"] = "chunked"
    if head.content_length is not None:
        params["CONTENT_LENGTH"] = str(head.content_length)
    return params


def cgi_params(
    environ: Mapping[str, object], target: str, *, server_address: tuple[str, int]
) -> dict[str, str]:
    """Return the params of one HTTP request.

    ``environ`` is the environ of a WSGI application behind an HTTP server. It has the method, the
    protocol, the HTTP client's address, CONTENT_TYPE, CONTENT_LENGTH and the headers as HTTP_*. A
    body in chunks has HTTP_TRANSFER_ENCODING and no CONTENT_LENGTH. ``target`` is the raw request
    target. The application is mounted at the root.

    Raises: BadRequestTarget.
    """
    path_info, query_string = split_target(target)
    host = environ.get("HTTP_HOST")
    absolute = ABSOLUTE_FORM.match(target)
    if absolute:
        host = absolute[1]  # it counts, whatever the Host header says (RFC 9112 §3.2.2)
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
    if absolute:
        params["HTTP_HOST"] = absolute[1]
    return params

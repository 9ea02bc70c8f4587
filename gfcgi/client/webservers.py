"""What each Web server sends: the params of one request, name by name, as it was recorded.

Each ``Dialect`` is a table, taken from the recordings in ``tests/corpus/captures`` and compared
with them by a test; the versions are Debian 12's. The configurations are those of the recordings,
with the application mounted at ``mount`` or, if that is empty, at the root.
"""

from __future__ import annotations

import posixpath
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from gfcgi.client.params import server_name, split_target
from gfcgi.protocol.params import Pairs

__all__ = ["DIALECTS", "Dialect", "HttpRequest", "sent_params"]

DOCUMENT_ROOT: Final = "/srv/www/html"
SCRIPT: Final = "/srv/www/app.fcgi"
REMOTE_PORT: Final = "40000"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APACHE: Final = "Apache/2.4.71 (Debian) OpenSSL/3.0.19"


@dataclass(frozen=True)
class HttpRequest:
    """What an HTTP client asks a Web server for. All texts are in latin-1.

    ``target`` is raw. ``headers`` are in their order, Host among them, without those that frame a
    body. There is a body if ``has_body``; its ``length`` is None while nobody has counted it.
    ``chunked``: the client did not say the length.
    """

    method: str
    target: str
    headers: Pairs
    has_body: bool = False
    length: int | None = 0
    chunked: bool = False
    https: bool = False
    port: int = 80
    protocol: str = "HTTP/1.1"
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Headers:
    """How a Web server turns header fields into HTTP_* variables.

    ``joined``: how two of one name become one value; empty: each is sent. ``cookies``: the same for
    Cookie. ``left_out`` are variables that it does not send; ``own_content``: whether Content-Type
    and Content-Length come as HTTP_* too. ``empty``: whether a field without a value is sent.
    """

    joined: str = ", "
    cookies: str = ", "
    left_out: frozenset[str] = frozenset()
    underscores: bool = False
    empty: bool = True
    own_content: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Dialect:
    """One Web server: ``rows`` are names and the templates of their values, in their order.

    A name that ends in ``?`` is sent only if the value is not empty. ``headers_at`` is before which
    row the headers come. ``clean`` is what it does to a path. ``chunked``: what becomes of a body
    of unknown length: ``buffer`` for a Web server that counts it first, ``refuse``, or the value of
    CONTENT_LENGTH.
    """

    rows: tuple[tuple[str, str], ...]
    headers: Headers
    headers_at: int = 0
    clean: Callable[[str], str] = field(default=lambda path: path)
    chunked: str = "buffer"


def sent_params(dialect: Dialect, request: HttpRequest, mount: str = "") -> Pairs:
    """The pairs that the Web server sends, those of one name more than once included.

    Raises: BadRequestTarget.
    """
    values = _values(dialect, request, mount)
    pairs: list[tuple[str, str]] = []
    for number, (name, template) in enumerate(dialect.rows):
        if number == dialect.headers_at:
            pairs += _headers(dialect.headers, request)
        value = template.format_map(values)
        if value or not name.endswith("?"):
            pairs.append((name.rstrip("?"), value))
    if dialect.headers_at >= len(dialect.rows):
        pairs += _headers(dialect.headers, request)
    return tuple(pairs)


def _values(dialect: Dialect, request: HttpRequest, mount: str) -> Mapping[str, str]:
    path, query = split_target(request.target)
    path = dialect.clean(path)
    rest = path[len(mount) :] if mount and (path + "/").startswith(mount + "/") else path
    headers = {name.lower(): value for name, value in request.headers}
    host = headers.get("host", "")
    length = "" if request.length is None else str(request.length)
    if request.length is None:
        length = dialect.chunked if dialect.chunked.lstrip("-").isdigit() else ""
    return {
        "method": request.method,
        "uri": request.target,
        "query": query,
        "path": path,
        "mount": mount,
        "rest": rest,
        "rest_or_slash": rest or "/",
        "raw_rest": quote(rest, safe="/;+:@&=$,!~*'()", encoding="latin-1") or "/",
        "translated": f"{DOCUMENT_ROOT}{rest}" if rest else "",
        "script": f"{DOCUMENT_ROOT}{mount}",
        "directory": DOCUMENT_ROOT,
        "protocol": request.protocol,
        "scheme": "https" if request.https else "http",
        "https": "on" if request.https else "",
        "sni": server_name(host, "") if request.https else "",
        "host": host,
        "name": server_name(host, request.address),
        "host_name": server_name(host, request.address) if host else "",
        "address": request.address,
        "port": str(request.port),
        "type": headers.get("content-type", ""),
        "length": length if request.has_body else "",
        "length_or_0": length if request.has_body else "0",
        "authorization": headers.get("authorization", ""),
        "user": _basic_user(headers.get("authorization", "")),
        "auth_type": "Basic" if _basic_user(headers.get("authorization", "")) else "",
        "redirect": _redirect(path, query, request.target),
    }


def _redirect(path: str, query: str, target: str) -> str:
    """lighttpd's REDIRECT_URI: the target as it was understood, where that is another."""
    understood = quote(path, safe="/;+:@&=$,!~*'()", encoding="latin-1")
    raw = target.partition("?")[0]
    if understood == raw or (unquote(raw, "latin-1") == path and "%2f" not in raw.lower()):
        return ""
    return understood + (f"?{query}" if query else "")


def _basic_user(authorization: str) -> str:
    """nginx's $remote_user: the name of a Basic authorization, which nobody has checked."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(credentials).decode("latin-1").partition(":")[0]
    except ValueError:
        return ""


def _headers(rule: Headers, request: HttpRequest) -> Pairs:
    found: dict[str, list[str]] = {}
    fields = list(request.headers)
    if request.chunked:
        fields.append(("Transfer-Encoding", "chunked"))
    elif request.has_body:
        fields.append(("Content-Length", str(request.length)))
    for name, value in fields:
        if ("_" in name and not rule.underscores) or (not value and not rule.empty):
            continue
        variable = "HTTP_" + name.upper().replace("-", "_")
        if (variable in CONTENT and variable not in rule.own_content) or variable in rule.left_out:
            continue
        found.setdefault(variable, []).append(value)
    pairs: list[tuple[str, str]] = []
    for variable, values in found.items():
        joined = rule.cookies if variable == "HTTP_COOKIE" else rule.joined
        texts = [joined.join(values)] if joined else values
        pairs += ((variable, text) for text in texts)
    return tuple(pairs)


def _folded(path: str) -> str:
    """Without ``//``, ``.`` and ``..``, as nginx, Apache and lighttpd have it."""
    folded = posixpath.normpath(re.sub("/+", "/", path)) if path else ""
    return folded + "/" if path.endswith(("/", "/.", "/..")) and folded != "/" else folded


def _without_dots(path: str) -> str:
    """Without ``.`` and ``..``, as H2O has it: two slashes stay."""
    kept: list[str] = []
    parts = path.split("/")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "..":
            del kept[1:][-1:]
            if len(kept) > 1:
                kept.pop()
        elif part != ".":
            kept.append(part)
            continue
        if last:
            kept.append("")
    return "/".join(kept)


CONTENT: Final = frozenset({"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"})

APACHE_HEADERS: Final = Headers(left_out=frozenset({"HTTP_PROXY"}))
APACHE_FRONT: Final = (("HTTPS?", "{https}"), ("SSL_TLS_SNI?", "{sni}"))


def _apache(software: str, prefix: str, directory: str, script: str) -> tuple[tuple[str, str], ...]:
    return (
        ("CONTENT_TYPE?", "{type}"),
        ("PATH", PATH),
        ("SERVER_SIGNATURE", ""),
        ("SERVER_SOFTWARE", software),
        ("SERVER_NAME", "{name}"),
        ("SERVER_ADDR", "{address}"),
        ("SERVER_PORT", "{port}"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("DOCUMENT_ROOT", DOCUMENT_ROOT),
        ("REQUEST_SCHEME", "{scheme}"),
        ("CONTEXT_PREFIX", prefix),
        ("CONTEXT_DOCUMENT_ROOT", directory),
        ("SERVER_ADMIN", "[no address given]"),
        ("SCRIPT_FILENAME", script),
        ("REMOTE_PORT", REMOTE_PORT),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "{protocol}"),
        ("REQUEST_METHOD", "{method}"),
        ("QUERY_STRING", "{query}"),
        ("REQUEST_URI", "{uri}"),
        ("SCRIPT_NAME", "{mount}"),
    )


DIALECTS: Final[Mapping[str, Dialect]] = {
    "nginx": Dialect(
        rows=(
            ("QUERY_STRING", "{query}"),
            ("REQUEST_METHOD", "{method}"),
            ("CONTENT_TYPE", "{type}"),
            ("CONTENT_LENGTH", "{length}"),
            ("SCRIPT_NAME", "{mount}"),
            ("REQUEST_URI", "{uri}"),
            ("DOCUMENT_URI", "{path}"),
            ("DOCUMENT_ROOT", "{directory}"),
            ("SERVER_PROTOCOL", "{protocol}"),
            ("REQUEST_SCHEME", "{scheme}"),
            ("HTTPS?", "{https}"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_SOFTWARE", "nginx/1.22.1"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", REMOTE_PORT),
            ("REMOTE_USER", "{user}"),
            ("SERVER_ADDR", "{address}"),
            ("SERVER_PORT", "{port}"),
            ("SERVER_NAME", "{name}"),
            ("REDIRECT_STATUS", "200"),
            ("PATH_INFO", "{rest}"),
            ("SCRIPT_FILENAME", "{script}"),
            ("PATH_TRANSLATED", "{directory}{rest}"),
        ),
        headers=Headers(joined="", cookies="", own_content=CONTENT),
        headers_at=99,
        clean=_folded,
    ),
    "apache-fcgid": Dialect(
        rows=(
            ("Authorization?", "{authorization}"),  # by FcgidPassHeader
            *APACHE_FRONT,
            *_apache(f"{APACHE} mod_fcgid/2.3.9", "{mount}", SCRIPT, SCRIPT),
            ("PATH_INFO?", "{rest}"),
            ("PATH_TRANSLATED?", "{translated}"),
            ("CONTENT_LENGTH", "{length_or_0}"),
        ),
        headers=Headers(left_out=frozenset({"HTTP_PROXY", "HTTP_TRANSFER_ENCODING"})),
        headers_at=3,
        clean=_folded,
    ),
    "apache-proxy": Dialect(
        rows=(
            ("proxy-fcgi-pathinfo", "unescape"),
            *APACHE_FRONT,
            *_apache(APACHE, "", DOCUMENT_ROOT, "proxy:fcgi://app{raw_rest}"),
            ("PATH_INFO", "{rest_or_slash}"),
            ("PATH_TRANSLATED", "proxy:fcgi://app{raw_rest}{rest_or_slash}"),
            ("CONTENT_LENGTH?", "{length}"),
        ),
        headers=APACHE_HEADERS,
        headers_at=3,
        clean=_folded,
        chunked="",
    ),
    "mod_fastcgi": Dialect(
        rows=(
            *APACHE_FRONT,
            *_apache(
                f"{APACHE} mod_fastcgi/mod_fastcgi-SNAP-0910052141", "{mount}", SCRIPT, SCRIPT
            ),
            ("PATH_INFO?", "{rest}"),
            ("PATH_TRANSLATED?", "{translated}"),
            ("CONTENT_LENGTH?", "{length}"),
        ),
        headers=APACHE_HEADERS,
        headers_at=2,
        clean=_folded,
        chunked="refuse",
    ),
    "lighttpd": Dialect(
        rows=(
            ("CONTENT_LENGTH", "{length_or_0}"),
            ("QUERY_STRING?", "{query}"),
            ("REQUEST_URI", "{uri}"),
            ("REDIRECT_URI?", "{redirect}"),
            ("REDIRECT_STATUS", "200"),
            ("SCRIPT_NAME", "{mount}"),
            ("PATH_INFO?", "{rest}"),
            ("PATH_TRANSLATED?", "{translated}"),
            ("SCRIPT_FILENAME", "{script}"),
            ("DOCUMENT_ROOT", "{directory}"),
            ("REQUEST_METHOD", "{method}"),
            ("SERVER_PROTOCOL", "{protocol}"),
            ("SERVER_SOFTWARE", "lighttpd/1.4.69"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("REQUEST_SCHEME", "{scheme}"),
            ("HTTPS?", "{https}"),
            ("SERVER_PORT", "{port}"),
            ("SERVER_ADDR", "{address}"),
            ("SERVER_NAME", "{host_name}"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", REMOTE_PORT),
            ("CONTENT_TYPE?", "{type}"),
        ),
        headers=Headers(
            cookies="; ",
            left_out=frozenset({"HTTP_PROXY", "HTTP_TRANSFER_ENCODING"}),
            underscores=True,
            empty=False,
            own_content=frozenset({"HTTP_CONTENT_LENGTH"}),
        ),
        headers_at=99,
        clean=_folded,
    ),
    "caddy": Dialect(
        rows=(
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", REMOTE_PORT),
            ("REMOTE_HOST", "127.0.0.1"),
            ("REMOTE_IDENT", ""),
            ("REMOTE_USER", ""),
            ("AUTH_TYPE", ""),
            ("CONTENT_LENGTH", "{length_or_0}"),
            ("CONTENT_TYPE", "{type}"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("QUERY_STRING", "{query}"),
            ("REQUEST_METHOD", "{method}"),
            ("REQUEST_SCHEME", "{scheme}"),
            ("SERVER_NAME", "{host_name}"),
            ("SERVER_PORT", "{port}"),
            ("SERVER_PROTOCOL", "{protocol}"),
            ("SERVER_SOFTWARE", "Caddy/2.6.2"),
            ("DOCUMENT_ROOT", "{directory}"),
            ("DOCUMENT_URI", ""),
            ("REQUEST_URI", "{uri}"),
            ("SCRIPT_FILENAME", "{directory}"),
            ("SCRIPT_NAME", "{mount}"),
            ("PATH_INFO", "{rest}"),
            ("PATH_TRANSLATED?", "{translated}"),
            ("HTTPS?", "{https}"),
            ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
            ("HTTP_X_FORWARDED_PROTO", "{scheme}"),
            ("HTTP_X_FORWARDED_HOST", "{host}"),
        ),
        headers=Headers(
            left_out=frozenset(
                {
                    "HTTP_CONNECTION",
                    "HTTP_TRANSFER_ENCODING",
                    "HTTP_X_FORWARDED_FOR",
                    "HTTP_X_FORWARDED_PROTO",
                    "HTTP_X_FORWARDED_HOST",
                }
            ),
            underscores=True,
            own_content=CONTENT,
        ),
        headers_at=99,
        chunked="-1",
    ),
    "h2o": Dialect(
        rows=(
            ("CONTENT_LENGTH?", "{length}"),
            ("SCRIPT_NAME", ""),
            ("PATH_INFO", "{path}"),
            ("QUERY_STRING?", "{query}"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", REMOTE_PORT),
            ("REQUEST_METHOD", "{method}"),
            ("HTTP_HOST", "{host}"),
            ("REQUEST_URI", "{uri}"),
            ("SERVER_ADDR", "{address}"),
            ("SERVER_PORT", "{port}"),
            ("SERVER_NAME", "default"),
            ("SERVER_PROTOCOL", "{protocol}"),
            ("SERVER_SOFTWARE", "h2o/2.2.5"),
            ("HTTPS?", "{https}"),
            ("CONTENT_TYPE?", "{type}"),
        ),
        headers=Headers(
            joined="",
            cookies=";",
            left_out=frozenset({"HTTP_HOST", "HTTP_TRANSFER_ENCODING"}),
            underscores=True,
        ),
        headers_at=99,
        clean=_without_dots,
    ),
    "haproxy": Dialect(
        rows=(
            ("CONTENT_TYPE?", "{type}"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("HTTPS?", "{https}"),
            ("DOCUMENT_ROOT", "{directory}"),
            ("SCRIPT_NAME?", "{mount}"),
            ("PATH_INFO?", "{rest}"),
            ("REQUEST_URI", "{uri}"),
            ("REQUEST_METHOD", "{method}"),
            ("QUERY_STRING?", "{query}"),
            ("SERVER_NAME", "{name}"),
            ("SERVER_PORT", "{port}"),
            ("SERVER_PROTOCOL", "{protocol}"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", REMOTE_PORT),
            ("AUTH_TYPE?", "{auth_type}"),
            ("REMOTE_USER?", "{user}"),
            ("SCRIPT_FILENAME", "{script}"),
            ("PATH_TRANSLATED?", "{translated}"),
            ("CONTENT_LENGTH", "{length_or_0}"),
            ("SERVER_SOFTWARE", "HAProxy 2.6.12-1+deb12u4"),
        ),
        headers=Headers(
            joined="",
            cookies="",
            left_out=frozenset(
                {
                    "HTTP_AUTHORIZATION",
                    "HTTP_CONNECTION",
                    "HTTP_PROXY",
                    "HTTP_TRANSFER_ENCODING",
                }
            ),
        ),
        chunked="refuse",
    ),
}
"""By the names that ``gfcgi request --as`` takes."""

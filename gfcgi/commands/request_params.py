"""The params of the request that a command line describes: our own, or as a Web server's."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from gfcgi.client.params import SERVER_SOFTWARE, BadRequestTarget, cgi_params
from gfcgi.client.webservers import DIALECTS, HttpRequest, sent_params
from gfcgi.errors import ConfigError
from gfcgi.http_fields import TOKEN, join, variable_name
from gfcgi.protocol.params import Pairs

__all__ = ["Wanted", "make_params"]

FORM: Final = "application/x-www-form-urlencoded"
KEPT_IN_URL: Final = "!$%&'()*+,/:;=?@[]~"
HEADER: Final = re.compile(rf"({TOKEN}):[ \t]*(.*)")
URL: Final = re.compile(r"(https?)://([^/?]+)(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What the options say. ``as_server`` is a name of ``DIALECTS`` or empty; ``length`` is the
    body's, None if it is unknown; ``chunked``: it was unknown before somebody counted it."""

    url: str
    method: str | None
    headers: Sequence[str]
    params: Sequence[str]
    mount: str
    as_server: str
    has_body: bool
    length: int | None
    chunked: bool


def make_params(wanted: Wanted) -> tuple[dict[str, str], Pairs]:
    """The params, and the pairs of a name that they have already. Raises: ConfigError."""
    try:
        if wanted.as_server:
            pairs = sent_params(DIALECTS[wanted.as_server], _http_request(wanted), wanted.mount)
        else:
            pairs = tuple(_own_params(wanted).items())
    except BadRequestTarget as error:
        raise ConfigError(str(error), option="url", source="URL") from None
    return _changed(pairs, wanted.params)


def _changed(pairs: Pairs, changes: Sequence[str]) -> tuple[dict[str, str], Pairs]:
    """With what --param sets and leaves out."""
    params: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for name, value in pairs:
        if name in params:
            repeated.append((name, value))
        else:
            params[name] = value
    for change in changes:
        text, equals, value = change.partition("=")
        name = _octets(text)
        repeated = [pair for pair in repeated if pair[0] != name]
        if equals:
            params[name] = _octets(value)
        else:
            params.pop(name, None)
    return params, tuple(repeated)


def _http_request(wanted: Wanted) -> HttpRequest:
    """What a Web server would have been asked for: the same headers as curl sends."""
    scheme, authority, target = _split_url(wanted.url)
    given = [_field(header) for header in wanted.headers]
    names = {name.lower() for name, _ in given}
    defaults = [("Host", authority or "localhost"), ("User-Agent", SERVER_SOFTWARE)]
    defaults += [("Accept", "*/*")] + ([("Content-Type", FORM)] if wanted.has_body else [])
    headers = [field for field in defaults if field[0].lower() not in names] + given
    return HttpRequest(
        wanted.method or ("POST" if wanted.has_body else "GET"),
        target,
        tuple(headers),
        has_body=wanted.has_body,
        length=wanted.length,
        chunked=wanted.chunked,
        https=scheme == "https",
        port=_port(wanted.url, scheme, authority),
    )


def _own_params(wanted: Wanted) -> dict[str, str]:
    scheme, authority, target = _split_url(wanted.url)
    environ: dict[str, object] = {
        "REQUEST_METHOD": wanted.method or ("POST" if wanted.has_body else "GET"),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": authority or "localhost",
        "HTTP_USER_AGENT": SERVER_SOFTWARE,
    }
    if wanted.has_body:
        environ["CONTENT_TYPE"] = FORM
        if wanted.length is None:
            environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        else:
            environ["CONTENT_LENGTH"] = str(wanted.length)
    environ |= _header_variables(wanted.headers)
    port = _port(wanted.url, scheme, authority)
    params = cgi_params(environ, target, server_address=("127.0.0.1", port))
    if scheme == "https":
        params |= {"REQUEST_SCHEME": "https", "HTTPS": "on"}
    path = params["PATH_INFO"]
    if wanted.mount and f"{path}/".startswith(f"{wanted.mount}/"):
        params |= {"SCRIPT_NAME": wanted.mount, "PATH_INFO": path[len(wanted.mount) :]}
    return params


def _port(url: str, scheme: str, authority: str) -> int:
    try:
        return urlsplit(f"//{authority}").port or (443 if scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError(f"{url!r}: {error}", option="url", source="URL") from None


def _split_url(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and request target; the first two are empty for a path."""
    encoded = quote(os.fsencode(url.partition("#")[0]), safe=KEPT_IN_URL)
    match = URL.fullmatch(encoded)
    if match is None:
        return "", "", encoded
    rest = match[3]
    return match[1].lower(), match[2], rest if rest.startswith("/") else f"/{rest}"


def _header_variables(headers: Sequence[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for header in headers:
        field, value = _field(header)
        name = variable_name(field)
        if name in variables:
            value = join(name, variables[name], value)
        variables[name] = value
    return variables


def _field(header: str) -> tuple[str, str]:
    match = HEADER.fullmatch(header)
    if match is None:
        raise ConfigError(f"{header!r} is not NAME: VALUE", option="header", source="--header")
    return match[1], _octets(match[2])


def _octets(text: str) -> str:
    """The bytes that were typed, as the latin-1 str that params are."""
    return os.fsencode(text).decode("latin-1")

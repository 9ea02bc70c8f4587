"""gfcgi.client.webservers: what each Web server sends, judged by what it was recorded to send."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
import webserver_side as wire
from replay.captures import Capture, captures

from gfcgi.client.params import BadRequestTarget
from gfcgi.client.webservers import DIALECTS, HttpRequest, sent_params

VARIANTS = {
    "nginx-split": ("nginx", "/app"),
    "fcgid": ("apache-fcgid", "/app"),
    "apache-pathinfo": ("apache-proxy", "/app"),
    "apache-root": ("apache-proxy", ""),
    "fastcgi-dyn": ("mod_fastcgi", "/dyn"),
    "lighttpd-ext": ("lighttpd", "/app"),
    "lighttpd-root": ("lighttpd", ""),
    "caddy-prefix": ("caddy", "/app"),
    "caddy-env": ("caddy", ""),
    "h2o": ("h2o", "/app"),
    "haproxy-mpxs": ("haproxy", "/app"),
    "haproxy-wsgi": ("haproxy", ""),
}
"""Recorded configurations; the Web server's name for ``--as``, and where it was mounted."""

OF_THE_RECORDING = {
    "apache-pathinfo": ["ap_trust_cgilike_cl"],
    "apache-root": ["ap_trust_cgilike_cl"],
    "nginx-split": ["REMOTE_USER"],  # that configuration sends it a second time
}
"""Names that come from lines of the recorded configuration that nobody needs."""

MADE_BY_CADDY = {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO"}
OF_THE_MACHINE = {
    "PATH",
    "REMOTE_PORT",
    "DOCUMENT_ROOT",
    "CONTEXT_DOCUMENT_ROOT",
    "SCRIPT_FILENAME",
    "PATH_TRANSLATED",
}
"""Values that are the recording machine's: only their shape can be compared."""


def recorded() -> Iterator[Capture]:
    for capture in captures():
        variant, _, case = capture.name.partition("/")
        if variant in VARIANTS and re.match("get_|head|post_|put_|https", case):
            yield capture


def pairs_of(capture: Capture) -> list[tuple[str, str]]:
    block = b"".join(
        r.content for r in wire.parse_records(capture.content)[0] if r.type == wire.PARAMS
    )
    return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in wire.parse_pairs(block)]


def asked(variant: str, case: str, pairs: list[tuple[str, str]]) -> HttpRequest:
    """The HTTP request that these params are of."""
    params = dict(pairs)
    left_out = {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING"}
    left_out |= MADE_BY_CADDY if variant.startswith("caddy") else set()
    headers = [
        (name[5:].replace("_", "-").title(), value)
        for name, value in pairs
        if name.startswith("HTTP_") and name not in left_out
    ]
    if params.get("CONTENT_TYPE"):
        headers.append(("Content-Type", params["CONTENT_TYPE"]))
    if "AUTH_TYPE" in params and variant.startswith("haproxy"):
        headers.append(("Authorization", "Basic dXNlcjpwYXNz"))
    length = params.get("CONTENT_LENGTH")
    chunked = "chunked" in case
    known = not (chunked and variant.startswith(("apache", "caddy")))
    return HttpRequest(
        params["REQUEST_METHOD"],
        params["REQUEST_URI"],
        tuple(headers),
        has_body=params["REQUEST_METHOD"] in ("POST", "PUT"),
        length=int(length or 0) if known else None,
        chunked=chunked,
        https=params.get("HTTPS") == "on",
        port=int(params["SERVER_PORT"]),
        protocol=params["SERVER_PROTOCOL"],
    )


@pytest.mark.parametrize("capture", list(recorded()), ids=lambda capture: capture.name)
def test_the_params_are_those_of_the_recording(capture):
    """The same names, as often; the same values, or where they are the machine's, their shape."""
    variant, _, case = capture.name.partition("/")
    name, mount = VARIANTS[variant]
    pairs = pairs_of(capture)
    made = sent_params(DIALECTS[name], asked(variant, case, pairs), mount)
    names = Counter(name for name, _ in pairs)
    names.subtract(OF_THE_RECORDING.get(variant, []))
    assert Counter(name for name, _ in made) == +names
    values = dict(made)
    for param, value in pairs:
        if param in OF_THE_MACHINE:
            assert shape(values[param]) == shape(value), param
        elif param in values and names[param] == 1:
            assert values[param] == value, param


def shape(value: str) -> str:
    """What kind of a text it is."""
    if value.isdigit():
        return "number"
    return "proxy" if value.startswith("proxy:fcgi://") else "path" if "/" in value else value


def test_every_web_server_is_compared_with_a_recording():
    assert {name for name, _ in VARIANTS.values()} == set(DIALECTS)
    assert {capture.name.partition("/")[0] for capture in recorded()} == set(VARIANTS)


@pytest.mark.parametrize("name", DIALECTS)
def test_where_the_headers_are_they_keep_their_order(name):
    request = HttpRequest("GET", "/", (("Host", "h"), ("X-B", "1"), ("X-A", "2")))
    names = [param for param, _ in sent_params(DIALECTS[name], request)]
    assert names.index("HTTP_X_B") + 1 == names.index("HTTP_X_A")
    assert names.count("HTTP_HOST") == 1


def test_a_repeated_header_is_sent_as_often_or_joined():
    request = HttpRequest("GET", "/", (("Host", "h"), ("Cookie", "a"), ("Cookie", "b")))
    values = {
        name: [value for param, value in sent_params(dialect, request) if param == "HTTP_COOKIE"]
        for name, dialect in DIALECTS.items()
    }
    assert values["nginx"] == ["a", "b"]
    assert values["apache-fcgid"] == ["a, b"]
    assert values["lighttpd"] == ["a; b"]
    assert values["h2o"] == ["a;b"]


@pytest.mark.parametrize(
    ("authorization", "user"), [("Basic dXNlcjpwYXNz", "user"), ("Basic é", ""), ("Bearer x", "")]
)
def test_nginx_takes_the_user_from_a_header_that_nobody_has_checked(authorization, user):
    request = HttpRequest("GET", "/", (("Host", "h"), ("Authorization", authorization)))
    assert dict(sent_params(DIALECTS["nginx"], request))["REMOTE_USER"] == user


@pytest.mark.parametrize(
    ("target", "path"),
    [("/a/../b", "/b"), ("/a/.", "/a/"), ("/a/..", "/"), ("/../a", "/a"), ("/a//b/c/..", "/a//b/")],
)
def test_h2o_folds_dots_and_no_slashes(target, path):
    request = HttpRequest("GET", target, (("Host", "h"),))
    assert dict(sent_params(DIALECTS["h2o"], request))["PATH_INFO"] == path


def test_what_is_no_target_is_refused():
    with pytest.raises(BadRequestTarget):
        sent_params(DIALECTS["nginx"], HttpRequest("GET", "a", (("Host", "h"),)))

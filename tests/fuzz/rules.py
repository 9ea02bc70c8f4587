"""Params of any kind through the rules: no error but BadRequest, and what holds of ``environ``."""

from __future__ import annotations

from contextlib import suppress

import webserver_side as wire
from replay import captures

from gfcgi.wsgi.environ import content_length, data_length, make_environ
from gfcgi.wsgi.webserver_rules import RULES as TABLE
from gfcgi.wsgi.webserver_rules import BadRequest, Rules

from .harness import Harness

__all__ = ["RULES"]

EVERY = tuple(f"{rule.name}=on" for rule in TABLE)
NONE = tuple(f"{rule.name}=off" for rule in TABLE)

SETTINGS = (
    {},
    {"mount": "/app"},
    {"mount": ""},
    {"trusted_proxies": ("127.0.0.0/8", "10.0.0.0/8", "::1")},
    {"mount": "/app/caf\xe9", "trusted_proxies": ("0.0.0.0/0", "::/0"), "switches": EVERY},
    {"switches": NONE},
)

_used = [Rules(**setting) for setting in SETTINGS]
"""Those that see every input: what they keep must make no difference."""


def check(block: bytes) -> None:
    try:
        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in wire.parse_pairs(block)]
    except wire.WireError:
        return
    first: dict[str, str] = {}
    repeated = []
    for name, value in pairs:
        if name in first:
            repeated.append((name, value))
        else:
            first[name] = value
    for setting, used in zip(SETTINGS, _used, strict=True):
        environ = _environ(first, tuple(repeated), used)
        fresh = _environ(first, tuple(repeated), Rules(**setting))
        assert environ == fresh, "what was seen before makes a difference"
        backwards = dict(reversed(first.items()))
        assert _environ(backwards, tuple(repeated), Rules(**setting)) == environ
        if environ is not None:
            _check_environ(environ, first, bool(repeated), setting)


def _environ(first, repeated, rules):
    try:
        return make_environ(dict(first), repeated, rules)
    except BadRequest:
        return None


def _check_environ(environ, first, repeated, setting) -> None:
    original = environ["gfcgi.original"]
    params = {name: value for name, value in environ.items() if name not in MADE}
    assert all(type(value) is str for value in params.values())
    assert environ["wsgi.url_scheme"] in ("http", "https")
    # What was changed can be taken back.
    before = {**params, **original}
    before = {name: value for name, value in before.items() if value is not None}
    assert before == {name: value for name, value in first.items() if name not in MADE}
    assert all(value.isascii() or max(value) <= "\xff" for value in params.values())
    if setting.get("switches") != NONE:
        assert "HTTP_PROXY" not in environ, "httpoxy"
    elif not repeated:
        assert original == {}, "every rule is off"
    for length in (content_length, data_length):
        with suppress(BadRequest):
            number = length(environ)
            assert number is None or number >= 0


MADE = {"gfcgi.webserver", "gfcgi.original", "wsgi.url_scheme"}


def _seeds() -> list[bytes]:
    """The PARAMS that each Web server sends."""
    blocks = {}
    for capture in captures():
        if capture.facts["bytes"] < 8000:
            records, _ = wire.parse_records(capture.content)
            block = b"".join(one.content for one in records if one.type == wire.PARAMS)
            with suppress(wire.WireError):
                names = tuple(name for name, _ in wire.parse_pairs(block))
                blocks.setdefault(names, block)
    return list(blocks.values())


_NAMES = sorted(
    {name for rule in TABLE for name in (*rule.needs, *rule.lacks)}
    | {"HTTP_HOST", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_PROXY", "HTTPS"}
    | {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "REMOTE_ADDR", "SERVER_PORT", "SCRIPT_NAME"}
)
_VALUES = (b"", b"/", b"/a/b", b"a:80", b"[::1]:80", b"10.0.0.1, 127.0.0.1", b"on", b"0", b"%2F")

RULES = Harness(
    "rules",
    check,
    _seeds,
    tuple(wire.pairs([(name.encode(), value)]) for name in _NAMES for value in _VALUES),
)

"""What Web servers say differently, put right: one table.

PEP 3333 wants SCRIPT_NAME to be the mount point and PATH_INFO the rest, both percent-decoded, and
CGI/1.1 (RFC 3875 §4.1) some other things besides. Each rule of the table is one recorded way of
some Web server to say it otherwise. What a rule changes stays readable in
``environ["gfcgi.original"]``, and the log says once that a rule applies, and why. No rule rebuilds
a path from REQUEST_URI, which is neither decoded nor normalised.

Most rules cannot apply to most requests, and which ones cannot shows in the names that are there.
So a rule says which names it needs and lacks, and the rules for a set of names are looked up once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gfcgi.addresses import parse_network
from gfcgi.protocol.params import Pairs

__all__ = ["RULES", "BadRequest", "Rule", "Rules", "is_secure"]

log = logging.getLogger("gfcgi.wsgi")

Params = dict[str, str]
Changes = dict[str, str | None]
"""New values by name; None takes a name away."""

_SHAPES_KEPT: Final = 128
_PORT: Final = re.compile(r":[0-9]*\Z")
_HOP: Final = re.compile(r"\[(.+)\](?::[0-9]+)?|([^:]+):[0-9]+")
"""An address in X-Forwarded-For as some proxies write it: in brackets, or with a port."""


class BadRequest(Exception):
    """The params contradict themselves; the request is answered with 400."""


class Rule(NamedTuple):
    """One correction.

    ``correct`` is called with params that have all of ``needs`` and none of ``lacks`` and returns
    the changes, or None. ``why`` is for the log.
    """

    name: str
    why: str
    correct: Callable[[Params, Rules], Changes | None]
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class Rules:
    """The table with an operator's settings, for one application.

    ``mount`` is the mount point where the operator said it: "" or a path that begins with a slash
    and does not end with one. ``trusted_proxies`` are addresses and networks whose X-Forwarded-*
    header fields are believed.
    """

    def __init__(self, mount: str | None = None, trusted_proxies: Sequence[str] = ()) -> None:
        # As params are: a character for each octet.
        self.mount = mount and mount.encode("utf-8", "surrogateescape").decode("latin-1")
        self._trusted = [parse_network(network) for network in trusted_proxies]
        self._rules = [
            rule
            for rule in RULES
            if not (rule.correct is _mount and mount is None)
            and not (rule.correct is _forwarded and not trusted_proxies)
        ]
        self._by_shape: dict[tuple[bool, ...], tuple[Rule, ...]] = {}
        """By which of _NAMES_THAT_TELL are there."""
        self._logged: set[str] = set()

    def apply(self, params: Params, repeated: Pairs) -> dict[str, str | None]:
        """Correct ``params`` and return the former values of what was changed, None for no value.

        Raises: BadRequest.
        """
        original: dict[str, str | None] = {}
        if repeated:
            self._record(
                "repeated-names", _REPEATED_WHY, params, _merged(params, repeated), original
            )
        # Not of all names: clients choose those of their header fields.
        shape = tuple([name in params for name in _NAMES_THAT_TELL])
        rules = self._by_shape.get(shape)
        if rules is None:
            rules = self._rules_for(params)
            if len(self._by_shape) >= _SHAPES_KEPT:
                self._by_shape.clear()
            self._by_shape[shape] = rules
        for rule in rules:
            changes = rule.correct(params, self)
            if changes:
                self._record(rule.name, rule.why, params, changes, original)
        return original

    def _rules_for(self, params: Params) -> tuple[Rule, ...]:
        return tuple(
            rule
            for rule in self._rules
            if all(name in params for name in rule.needs)
            and not any(name in params for name in rule.lacks)
        )

    def _record(
        self,
        name: str,
        why: str,
        params: Params,
        changes: Changes,
        original: dict[str, str | None],
    ) -> None:
        for variable, value in changes.items():
            original.setdefault(variable, params.get(variable))
            if value is None:
                params.pop(variable, None)
            else:
                params[variable] = value
        if name not in self._logged:
            self._logged.add(name)
            log.info("rule %s: %s (%s)", name, why, ", ".join(changes))

    def trusts(self, address: str) -> bool:
        """Whether header fields of this address are believed."""
        from ipaddress import ip_address  # for those alone who trust somebody

        try:
            # nginx that listens on [::] writes IPv4 addresses as IPv6 ones.
            found = ip_address(address.partition("%")[0].removeprefix("::ffff:"))
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def is_secure(params: Params) -> bool:
    """Whether the request came over HTTPS; H2O and HAProxy say HTTPS and no REQUEST_SCHEME."""
    https = params.get("HTTPS")
    if https:
        return https.lower() in ("on", "1")
    return params.get("REQUEST_SCHEME") == "https"


def _usual_port(*, secure: bool) -> str:
    return "443" if secure else "80"


# -- names that come more than once (nginx, H2O and HAProxy send a param for each header field)

_REPEATED_WHY: Final = "the Web server repeats names; header fields are joined (RFC 9110 §5.3)"


def _merged(params: Params, repeated: Pairs) -> Changes:
    """Join header fields as HTTP does; of other variables the last counts, which is the one that a
    person added by hand. Two lengths that differ are a smuggled request.
    """
    merged: Params = {}
    for name, value in repeated:
        before = merged.get(name, params[name])
        if name.startswith("HTTP_"):
            merged[name] = f"{before}{'; ' if name == 'HTTP_COOKIE' else ', '}{value}"
        elif name == "CONTENT_LENGTH" and before != value:
            raise BadRequest(f"two CONTENT_LENGTHs: {before[:40]!r} and {value[:40]!r}")
        else:
            merged[name] = value
    return {name: value for name, value in merged.items() if value != params[name]}


# -- header fields


def _drop(*names: str) -> Callable[[Params, Rules], Changes | None]:
    changes: Changes = dict.fromkeys(names)
    return lambda params, rules: changes


def _redirected_authorization(params: Params, rules: Rules) -> Changes | None:
    value = params["REDIRECT_HTTP_AUTHORIZATION"]
    return {"HTTP_AUTHORIZATION": value} if value else None


def _host_with_port(params: Params, rules: Rules) -> Changes | None:
    host, port = params["HTTP_HOST"], params["SERVER_PORT"]
    usual = _usual_port(secure=is_secure(params))
    if port in ("", usual) or not params["SERVER_SOFTWARE"].startswith("nginx/"):
        return None
    if not host or _PORT.search(host) is not None:
        return None
    return {"HTTP_HOST": f"{host}:{port}"}


def _forwarded(params: Params, rules: Rules) -> Changes | None:
    if not rules.trusts(params["REMOTE_ADDR"]):
        return None
    changes: Changes = {}
    hops = [hop.strip() for hop in params.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    while hops:
        hop = hops.pop()
        written = _HOP.fullmatch(hop)
        address = (written[1] or written[2]) if written is not None else hop
        changes["REMOTE_ADDR"] = address
        changes["REMOTE_PORT"] = None
        if not rules.trusts(address):
            break
    secure = is_secure(params)
    scheme = _last(params, "HTTP_X_FORWARDED_PROTO").lower()
    if scheme in ("http", "https"):
        secure = scheme == "https"
        changes["REQUEST_SCHEME"] = scheme
        changes["HTTPS"] = "on" if secure else None
        changes["SERVER_PORT"] = _usual_port(secure=secure)
    host = _last(params, "HTTP_X_FORWARDED_HOST")
    if host:
        name = _PORT.sub("", host)
        changes["HTTP_HOST"] = host
        changes["SERVER_NAME"] = name
        changes["SERVER_PORT"] = host[len(name) + 1 :] or _usual_port(secure=secure)
    port = _last(params, "HTTP_X_FORWARDED_PORT")
    if port.isascii() and port.isdigit():
        changes["SERVER_PORT"] = port
        host = host or params.get("HTTP_HOST", "")
        if host and not _PORT.search(host) and port != _usual_port(secure=secure):
            changes["HTTP_HOST"] = f"{host}:{port}"
    return {name: value for name, value in changes.items() if params.get(name) != value}


def _last(params: Params, name: str) -> str:
    """The value that the nearest proxy added."""
    return params.get(name, "").rpartition(",")[2].strip()


# -- the path

_PROXY_FILENAME: Final = re.compile(r"proxy:(?:fcgi|balancer)://[^/]*(/.*)", re.DOTALL)
_ENCODED: Final = re.compile(r"%([0-9A-Fa-f]{2})")


def _mount(params: Params, rules: Rules) -> Changes | None:
    mount = rules.mount
    assert mount is not None
    script_name, path_info = params.get("SCRIPT_NAME"), params.get("PATH_INFO")
    full = (script_name or "") + (path_info or "")
    if full != mount and not full.startswith(mount + "/"):
        return None
    if script_name == mount and path_info is not None:
        return None
    return {"SCRIPT_NAME": mount, "PATH_INFO": full[len(mount) :]}


def _proxied_path(params: Params, rules: Rules) -> Changes | None:
    if "PATH_INFO" in params:
        return None
    proxied = _PROXY_FILENAME.fullmatch(params["SCRIPT_FILENAME"])
    if proxied is None:
        return None
    return _split_before(_decoded(proxied[1]), params["SCRIPT_NAME"])


def _encoded_path_info(params: Params, rules: Rules) -> Changes | None:
    path_info = params["PATH_INFO"]
    if "%" not in path_info:
        return None
    proxied = _PROXY_FILENAME.fullmatch(params["SCRIPT_FILENAME"])
    if proxied is None or proxied[1] != path_info:
        return None
    return _split_before(_decoded(path_info), params["SCRIPT_NAME"])


def _split_before(path: str, script_name: str) -> Changes | None:
    """Take ``path`` from the end of SCRIPT_NAME, where Apache has left it."""
    if not script_name.endswith(path):
        return None
    return {"SCRIPT_NAME": script_name[: len(script_name) - len(path)], "PATH_INFO": path}


def _decoded(path: str) -> str:
    # A character of a param stands for a byte.
    return _ENCODED.sub(lambda encoded: chr(int(encoded[1], 16)), path)


def _nginx_path(params: Params, rules: Rules) -> Changes | None:
    if "PATH_INFO" in params or not params["SERVER_SOFTWARE"].startswith("nginx/"):
        return None
    return {"SCRIPT_NAME": "", "PATH_INFO": params["SCRIPT_NAME"]}


def _rewritten_path(params: Params, rules: Rules) -> Changes | None:
    url = params["REDIRECT_URL"]
    path_info = params.get("PATH_INFO", "")
    if params["REDIRECT_STATUS"] != "200" or not url.endswith(path_info):
        return None
    script_name = url[: len(url) - len(path_info)]
    return {"SCRIPT_NAME": script_name} if script_name != params["SCRIPT_NAME"] else None


def _slash(params: Params, rules: Rules) -> Changes | None:
    if params["SCRIPT_NAME"] != "/":
        return None
    path_info = params.get("PATH_INFO", "")
    return {
        "SCRIPT_NAME": "",
        "PATH_INFO": path_info if path_info.startswith("/") else "/" + path_info,
    }


# -- what must be there, or must not be empty


def _default(name: str, value: str) -> Callable[[Params, Rules], Changes | None]:
    return lambda params, rules: None if name in params else {name: value}


def _not_empty(name: str) -> Callable[[Params, Rules], Changes | None]:
    return lambda params, rules: {name: None} if not params[name] else None


def _no_length(params: Params, rules: Rules) -> Changes | None:
    return {"CONTENT_LENGTH": None} if params["CONTENT_LENGTH"] in ("", "-1") else None


def _server_name(params: Params, rules: Rules) -> Changes | None:
    name = params.get("SERVER_NAME")
    if name and ":" not in name:
        return None
    candidates = (name, params.get("HTTP_HOST"), params.get("SERVER_ADDR"), "localhost")
    host = next(filter(None, map(_without_port, filter(None, candidates))))
    return {"SERVER_NAME": host} if host != name else None


def _without_port(host: str) -> str:
    """The host alone; an IPv6 address gets the brackets that tell it from a port."""
    if host.count(":") > 1 and not host.startswith("["):
        return f"[{host}]"
    return _PORT.sub("", host)


def _server_port(params: Params, rules: Rules) -> Changes | None:
    if params.get("SERVER_PORT"):
        return None
    return {"SERVER_PORT": _usual_port(secure=is_secure(params))}


RULES: Final = (
    Rule(
        "httpoxy",
        "a request header Proxy would become the variable that HTTP libraries take a proxy from",
        _drop("HTTP_PROXY"),
        needs=("HTTP_PROXY",),
    ),
    Rule(
        "http-content-length",
        "nginx, Caddy and lighttpd repeat CONTENT_LENGTH as a header field",
        _drop("HTTP_CONTENT_LENGTH"),
        needs=("HTTP_CONTENT_LENGTH",),
    ),
    Rule(
        "http-content-type",
        "nginx and Caddy repeat CONTENT_TYPE as a header field",
        _drop("HTTP_CONTENT_TYPE"),
        needs=("HTTP_CONTENT_TYPE",),
    ),
    Rule(
        "redirected-authorization",
        "Apache renames Authorization when it redirects internally",
        _redirected_authorization,
        needs=("REDIRECT_HTTP_AUTHORIZATION",),
        lacks=("HTTP_AUTHORIZATION",),
    ),
    Rule(
        "encoded-path-info",
        "Apache's proxy-fcgi-pathinfo, with another value than unescape, leaves PATH_INFO encoded "
        "and in SCRIPT_NAME",
        _encoded_path_info,
        needs=("SCRIPT_NAME", "SCRIPT_FILENAME", "PATH_INFO"),
    ),
    Rule(
        "mount",
        "script_name says where the application is mounted",
        _mount,
    ),
    Rule(
        "proxied-path",
        "Apache's ProxyPass leaves the whole path in SCRIPT_NAME and says the rest in "
        "SCRIPT_FILENAME, still encoded",
        _proxied_path,
        needs=("SCRIPT_NAME", "SCRIPT_FILENAME"),
        lacks=("PATH_INFO",),
    ),
    Rule(
        "nginx-path",
        "nginx without fastcgi_split_path_info leaves the whole path in SCRIPT_NAME",
        _nginx_path,
        needs=("SCRIPT_NAME", "SERVER_SOFTWARE"),
        lacks=("PATH_INFO",),
    ),
    Rule(
        "rewritten-path",
        "after Apache's RewriteRule SCRIPT_NAME is where it led, REDIRECT_URL what was asked for",
        _rewritten_path,
        needs=("SCRIPT_NAME", "REDIRECT_URL", "REDIRECT_STATUS"),
    ),
    Rule("slash", "a mount point at the root is empty", _slash, needs=("SCRIPT_NAME",)),
    Rule(
        "no-script-name", "it may be left out", _default("SCRIPT_NAME", ""), lacks=("SCRIPT_NAME",)
    ),
    Rule("no-path-info", "it may be left out", _default("PATH_INFO", ""), lacks=("PATH_INFO",)),
    Rule(
        "content-length",
        "an empty or negative length means that none is known",
        _no_length,
        needs=("CONTENT_LENGTH",),
    ),
    Rule(
        "content-type", "an empty type is none", _not_empty("CONTENT_TYPE"), needs=("CONTENT_TYPE",)
    ),
    Rule(
        "forwarded",
        "the proxy is trusted (trusted_proxies)",
        _forwarded,
        needs=("REMOTE_ADDR",),
    ),
    Rule(
        "host-port",
        "the Web server's HTTP_HOST lacks the port that the request came to",
        _host_with_port,
        needs=("HTTP_HOST", "SERVER_PORT", "SERVER_SOFTWARE"),
        # A proxy before nginx has a port of its own, which is the client's.
        lacks=("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"),
    ),
    Rule(
        "server-name",
        "it is a host without its port, IPv6 in brackets (RFC 3875 §4.1.14), and never empty",
        _server_name,
    ),
    Rule("server-port", "it must not be empty (PEP 3333)", _server_port),
    Rule(
        "request-method",
        "it must be there (RFC 3875 §4.1.12)",
        _default("REQUEST_METHOD", "GET"),
        lacks=("REQUEST_METHOD",),
    ),
    Rule(
        "query-string",
        "it must be there (RFC 3875 §4.1.7)",
        _default("QUERY_STRING", ""),
        lacks=("QUERY_STRING",),
    ),
    Rule(
        "server-protocol",
        "it must be there (RFC 3875 §4.1.16)",
        _default("SERVER_PROTOCOL", "HTTP/1.0"),
        lacks=("SERVER_PROTOCOL",),
    ),
)
"""In the order in which they apply."""

_NAMES_THAT_TELL: Final = tuple({name for rule in RULES for name in rule.needs + rule.lacks})
"""Names whose presence decides which rules can apply."""

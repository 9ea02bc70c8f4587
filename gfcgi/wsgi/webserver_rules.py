"""Correct what Web servers send differently: one table of rules.

In PEP 3333 SCRIPT_NAME is the mount point and PATH_INFO the rest, both percent-decoded. CGI/1.1
(RFC 3875 §4.1) asks for some other things. Each rule corrects one recorded deviation of a Web
server. The former value stays readable in ``environ["gfcgi.original"]``, and the log says once that
a rule applies, and why. No rule rebuilds a path from REQUEST_URI, which is neither decoded nor
normalised. A rule that guesses is off until an operator names it (``--rules``). No rule believes a
header field of a client that is not trusted.

Most rules cannot apply to most requests, and the names of the params show which. So a rule says
which names it needs and which it lacks, and the rules for a list of names are kept. A Web server
sends most requests with the same names in the same order.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gfcgi.addresses import Networks, in_brackets
from gfcgi.http_fields import join
from gfcgi.protocol.params import Pairs
from gfcgi.unfailing_log import Log

__all__ = ["RULES", "BadRequest", "Rule", "Rules", "is_secure", "parse_switch"]

log = Log("gfcgi.wsgi")

Params = dict[str, str]
Changes = dict[str, str | None]
"""New values by name; None takes a name away."""

_LISTS_KEPT: Final = 128
_LIST_BYTES: Final = 8192
"""What a list of names may take that is kept: clients choose the names of their header fields."""
_NAME_BYTES: Final = 64
"""About what a name takes beside its characters."""
_HOSTS_KEPT: Final = 64
"""Most Web servers send the same few names with every request."""
_PORT: Final = re.compile(r":[0-9]*\Z")
_HOP: Final = re.compile(r"\[(.+)\](?::[0-9]+)?|([^:]+):[0-9]+")
"""Some proxies write an address in X-Forwarded-For in brackets or with a port."""


class BadRequest(Exception):
    """The params contradict themselves; the request is answered with 400."""


class Rule(NamedTuple):
    """One correction.

    ``correct`` is called with params that have all of ``needs`` and none of ``lacks`` and returns
    the changes, or None. ``why`` is for the log and the docs. A ``silent`` rule is not logged: an
    administrator can do nothing about it. A rule that ``guesses`` is off by default.
    """

    name: str
    why: str
    correct: Callable[[Params, Rules], Changes | None]
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    silent: bool = False
    guesses: bool = False


def parse_switch(text: str) -> tuple[str, bool]:
    """Read ``NAME=on``, ``NAME=off`` or ``NAME``, which means on. Raises ValueError."""
    name, _, state = text.partition("=")
    if name not in _NAMES:
        import difflib  # for this alone

        close = difflib.get_close_matches(name, _NAMES, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ValueError(f"there is no such rule; {hint}the rules are {', '.join(_NAMES)}")
    if state not in ("", "on", "off") or text.endswith("="):
        raise ValueError("write NAME=on or NAME=off, as in host-port=on")
    return name, state != "off"


class Rules:
    """The table with an operator's settings, for one application.

    ``mount`` is the mount point, if the operator names one: "" or a path that begins with a slash
    and does not end with one. ``trusted_proxies`` are addresses and networks. The X-Forwarded-*
    header fields of their requests are believed. ``switches`` turn single rules on or off, as
    ``parse_switch`` reads them.
    """

    def __init__(
        self,
        mount: str | None = None,
        trusted_proxies: Sequence[str] = (),
        switches: Sequence[str] = (),
    ) -> None:
        # Like the params: one character for each octet.
        self.mount = mount and mount.encode("utf-8", "surrogateescape").decode("latin-1")
        self._trusted = Networks(trusted_proxies)
        switched = dict(map(parse_switch, switches))
        self._rules = [
            rule
            for rule in RULES
            if switched.get(rule.name, not rule.guesses)
            and not (rule.correct is _mount and mount is None)
            and not (rule.correct is _forwarded and not trusted_proxies)
        ]
        self._by_names: dict[tuple[str, ...], tuple[Rule, ...]] = {}
        """The rules that can apply, by the names of the params."""
        self._by_shape: dict[tuple[bool, ...], tuple[Rule, ...]] = {}
        """The same by which of _NAMES_THAT_TELL are there: clients cannot fill this table."""
        self._logged: set[str] = set()

    def apply(self, params: Params, repeated: Pairs) -> dict[str, str | None]:
        """Correct ``params`` in place; return the former values by name, None for an absent one.

        Raises: BadRequest.
        """
        original: dict[str, str | None] = {}
        if repeated:
            self._record(_REPEATED_NAMES, params, _merged(params, repeated), original)
        names = tuple(params)
        rules = self._by_names.get(names)
        if rules is None:
            rules = self._rules_for(params)
            if sum(map(len, names)) + _NAME_BYTES * len(names) <= _LIST_BYTES:
                if len(self._by_names) >= _LISTS_KEPT:
                    self._by_names.clear()
                self._by_names[names] = rules
        for rule in rules:
            changes = rule.correct(params, self)
            if changes:
                self._record(rule, params, changes, original)
        return original

    def _rules_for(self, params: Params) -> tuple[Rule, ...]:
        shape = tuple([name in params for name in _NAMES_THAT_TELL])
        rules = self._by_shape.get(shape)
        if rules is None:
            rules = tuple(
                rule
                for rule in self._rules
                if all(name in params for name in rule.needs)
                and not any(name in params for name in rule.lacks)
            )
            if len(self._by_shape) >= _LISTS_KEPT:
                self._by_shape.clear()
            self._by_shape[shape] = rules
        return rules

    def _record(
        self,
        rule: Rule,
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
        if changes and not rule.silent and rule.name not in self._logged:
            self._logged.add(rule.name)
            log.info("rule %s: %s (%s)", rule.name, rule.why, ", ".join(changes))

    def trusts(self, address: str) -> bool:
        """Return whether the header fields of this address are believed."""
        return address in self._trusted


def is_secure(params: Params) -> bool:
    """Return whether the request came over HTTPS; H2O and HAProxy send HTTPS, no REQUEST_SCHEME."""
    https = params.get("HTTPS")
    if https:
        return https.lower() in ("on", "1")
    return params.get("REQUEST_SCHEME") == "https"


def _usual_port(*, secure: bool) -> str:
    return "443" if secure else "80"


# -- names that come more than once (nginx, H2O and HAProxy send a param for each header field)


def _merged(params: Params, repeated: Pairs) -> Changes:
    """Join header fields as HTTP does. Of other variables the last counts: a person added it.

    Raises: BadRequest for two lengths that differ: then one request may hide in another. An empty
    one is none, for a person takes a length away with it.
    """
    merged: Params = {}
    for name, value in repeated:
        before = merged.get(name, params[name])
        if name.startswith("HTTP_"):
            merged[name] = join(name, before, value)
        elif name == "CONTENT_LENGTH" and value != before and value and before:
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
    if rules.trusts(params.get("REMOTE_ADDR", "")):
        return None  # the client used the port of the proxy in front of nginx
    # The rule "host" may have taken an empty one away.
    host, port = params.get("HTTP_HOST", ""), params["SERVER_PORT"]
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
    """Return the value that the nearest proxy added."""
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
    """Remove ``path`` from the end of SCRIPT_NAME, where Apache leaves it."""
    if not script_name.endswith(path):
        return None
    return {"SCRIPT_NAME": script_name[: len(script_name) - len(path)], "PATH_INFO": path}


def _decoded(path: str) -> str:
    # Each character of a param stands for one byte.
    return _ENCODED.sub(lambda encoded: chr(int(encoded[1], 16)), path)


def _nginx_path(params: Params, rules: Rules) -> Changes | None:
    if "PATH_INFO" in params or not params["SERVER_SOFTWARE"].startswith("nginx/"):
        return None
    return {"SCRIPT_NAME": "", "PATH_INFO": params["SCRIPT_NAME"]}


def _rewritten_path(params: Params, rules: Rules) -> Changes | None:
    if params["REDIRECT_STATUS"] != "200":
        return None
    return _at_public_path(params, params["REDIRECT_URL"])


def _rewritten_in_place(params: Params, rules: Rules) -> Changes | None:
    return _at_public_path(params, params["SCRIPT_URL"])


def _at_public_path(params: Params, url: str) -> Changes | None:
    """Take the mount point from ``url``, the path that the client asked for.

    The path must end with PATH_INFO; nothing else says where the mount point ends. If there is no
    PATH_INFO, only the directory of the script is known to be the mount point.
    """
    script_name, path_info = params["SCRIPT_NAME"], params.get("PATH_INFO", "")
    directory = script_name[: script_name.rfind("/") + 1]
    if not path_info and url == directory and script_name != directory:
        return {"SCRIPT_NAME": url[:-1], "PATH_INFO": "/"}
    if not path_info.startswith("/") or not url.endswith(path_info):
        return None
    mount = url[: len(url) - len(path_info)]
    return {"SCRIPT_NAME": mount} if mount != script_name and not mount.endswith("/") else None


def _included_path(params: Params, rules: Rules) -> Changes | None:
    path_info = params["PATH_INFO"]
    if params["SERVER_PROTOCOL"] != "INCLUDED" or not path_info:
        return None
    return _split_before(path_info, params["SCRIPT_NAME"])


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


def _no_body(params: Params, rules: Rules) -> Changes | None:
    return {"CONTENT_LENGTH": "0"} if params["CONTENT_LENGTH"] != "0" else None


def _no_length(params: Params, rules: Rules) -> Changes | None:
    return {"CONTENT_LENGTH": None} if params["CONTENT_LENGTH"] in ("", "-1") else None


_HOST: Final = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")


def _server_name(params: Params, rules: Rules) -> Changes | None:
    name = params.get("SERVER_NAME", "")
    if _is_host(name):
        return None
    address = params.get("SERVER_ADDR", "")
    if address.startswith("unix:"):  # nginx that listens on a UNIX socket
        address = ""
    for candidate in (name, params.get("HTTP_HOST", ""), address):
        host = _without_port(candidate)
        if _is_host(host):
            return {"SERVER_NAME": host}
    return {"SERVER_NAME": "localhost"}


@functools.lru_cache(_HOSTS_KEPT)
def _is_host(text: str) -> bool:
    """Return whether it is a host. nginx's server_name can be ``_``, a pattern or a wildcard."""
    return _HOST.fullmatch(text) is not None and text.strip("_.-") != ""


def _without_port(host: str) -> str:
    """Return the host alone, an IPv6 address in brackets."""
    if host.count(":") > 1 and not host.startswith("["):
        return in_brackets(host)
    return _PORT.sub("", host)


def _server_port(params: Params, rules: Rules) -> Changes | None:
    if params.get("SERVER_PORT"):
        return None
    return {"SERVER_PORT": _usual_port(secure=is_secure(params))}


RULES: Final = (
    Rule(
        "httpoxy",
        "HTTP libraries take their proxy from it, and a client sets it with a header Proxy",
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
        "http-transfer-encoding",
        "the body is decoded, and an application that decodes it once more fails",
        _drop("HTTP_TRANSFER_ENCODING"),
        needs=("HTTP_TRANSFER_ENCODING",),
    ),
    Rule(
        "host",
        "an empty HTTP_HOST means that the client sent none",
        _not_empty("HTTP_HOST"),
        needs=("HTTP_HOST",),
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
        "Apache's ProxyPass leaves the whole path in SCRIPT_NAME; SCRIPT_FILENAME has the rest, "
        "still encoded",
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
        "after Apache's RewriteRule SCRIPT_NAME is its target, and REDIRECT_URL the requested path",
        _rewritten_path,
        needs=("SCRIPT_NAME", "REDIRECT_URL", "REDIRECT_STATUS"),
    ),
    Rule(
        "rewritten-in-place",
        "after Apache's RewriteRule with PT SCRIPT_NAME is its target, and SCRIPT_URL the requested"
        " path",
        _rewritten_in_place,
        needs=("SCRIPT_NAME", "SCRIPT_URL"),
        lacks=("REDIRECT_URL",),
    ),
    Rule(
        "included-path",
        "for Apache's SSI, SCRIPT_NAME ends with PATH_INFO",
        _included_path,
        needs=("SCRIPT_NAME", "PATH_INFO", "SERVER_PROTOCOL"),
    ),
    Rule(
        "slash",
        "SCRIPT_NAME is empty where the application is mounted at the root",
        _slash,
        needs=("SCRIPT_NAME",),
    ),
    Rule(
        "no-script-name",
        "it may be absent (RFC 3875 §4.1.13), and applications expect it",
        _default("SCRIPT_NAME", ""),
        lacks=("SCRIPT_NAME",),
        silent=True,
    ),
    Rule(
        "no-path-info",
        "it may be absent (RFC 3875 §4.1.5), and applications expect it",
        _default("PATH_INFO", ""),
        lacks=("PATH_INFO",),
        silent=True,
    ),
    Rule(
        "error-document",
        "Apache asks for an ErrorDocument with the length of the first request's body and no body",
        _no_body,
        needs=("CONTENT_LENGTH", "REDIRECT_REQUEST_METHOD"),
    ),
    Rule(
        "content-length",
        "an empty or negative length means that none is known",
        _no_length,
        needs=("CONTENT_LENGTH",),
    ),
    Rule(
        "content-type",
        "an empty type means that there is none",
        _not_empty("CONTENT_TYPE"),
        needs=("CONTENT_TYPE",),
    ),
    Rule(
        "host-port",
        "nginx's HTTP_HOST has no port; the client is believed to have used SERVER_PORT",
        _host_with_port,
        needs=("HTTP_HOST", "SERVER_PORT", "SERVER_SOFTWARE"),
        guesses=True,  # a port may be mapped in front of nginx, as containers do
    ),
    Rule(
        "forwarded",
        "the proxy is trusted (trusted_proxies)",
        _forwarded,
        needs=("REMOTE_ADDR",),
    ),
    Rule(
        "server-name",
        "it must be a host without a port, IPv6 in brackets (RFC 3875 §4.1.14)",
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
"""The rules, in the order in which they apply."""

_NAMES: Final = tuple(rule.name for rule in RULES)

_REPEATED_NAMES: Final = Rule(
    "repeated-names",
    "the Web server repeats names; header fields are joined (RFC 9110 §5.3)",
    lambda params, rules: None,
)
"""It applies before the others. It cannot be left out, because a dict has no repeated names."""

_NAMES_THAT_TELL: Final = tuple({name for rule in RULES for name in rule.needs + rule.lacks})
"""The names whose presence decides which rules can apply: a shape says which are there."""

"""The servers that a configuration can be written for, and what each can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gfcgi.configurations.apache_authorizer import apache_authnz
from gfcgi.configurations.apache_proxy import apache_proxy
from gfcgi.configurations.apache_started import apache_cgi, apache_fastcgi, apache_fcgid
from gfcgi.configurations.caddy import caddy
from gfcgi.configurations.h2o import h2o
from gfcgi.configurations.haproxy import haproxy
from gfcgi.configurations.lighttpd import lighttpd
from gfcgi.configurations.nginx import nginx
from gfcgi.configurations.processes import cgi_fcgi, spawn_fcgi, systemd
from gfcgi.configurations.site import AUTHORIZERS, Authorizer, Site

__all__ = ["SERVERS", "Server"]


@dataclass(frozen=True)
class Server:
    """One server.

    ``connects`` are the kinds of addresses that it reaches a process at that runs on its own,
    ``starts`` those that it can be given where it starts the process itself: None where it does
    not do the one or the other, () where it does but makes the socket by itself.
    ``hosts`` are the forms of a TCP address's host that it takes.
    ``takes`` are the options that mean something to it; ``needs_script``: it starts scripts only.
    """

    text: str
    write: Callable[[Site], str]
    connects: tuple[str, ...] | None = None
    starts: tuple[str, ...] | None = None
    hosts: tuple[str, ...] = ("name", "IPv4", "IPv6")
    takes: frozenset[str] = frozenset()
    authorizers: tuple[Authorizer, ...] = ()
    always_authorizes: bool = False
    needs_script: bool = False
    default_bind: str = "unix:/run/{name}/{name}.sock"
    default_bind_of_spawned: str | None = None

    @property
    def always_starts(self) -> bool:
        """Whether there is no process that runs on its own."""
        return self.connects is None


def _takes(names: str) -> frozenset[str]:
    return frozenset(names.split())


SERVERS: Final = {
    "apache-fcgid": Server(
        "Apache with mod_fcgid, which starts the script",
        apache_fcgid,
        starts=(),
        takes=_takes("url streaming processes"),
        needs_script=True,
    ),
    "apache-proxy": Server(
        "Apache with mod_proxy_fcgi",
        apache_proxy,
        connects=("unix", "tcp"),
        takes=_takes("url streaming keep_conn"),
    ),
    "apache-fastcgi": Server(
        "Apache with mod_fastcgi, which can start the script",
        apache_fastcgi,
        connects=("unix", "tcp"),
        starts=(),
        hosts=("name", "IPv4"),
        takes=_takes("url streaming processes authorizer"),
        authorizers=("access", "authn", "authz"),
        needs_script=True,
    ),
    "apache-authnz": Server(
        "Apache with mod_authnz_fcgi, which asks an authorizer",
        apache_authnz,
        connects=("tcp",),
        takes=_takes("url authorizer"),
        authorizers=tuple(AUTHORIZERS),
        always_authorizes=True,
        default_bind="127.0.0.1:9000",
    ),
    "apache-cgi": Server(
        "Apache without FastCGI: a process for each request",
        apache_cgi,
        starts=(),
        takes=_takes("url streaming"),
        needs_script=True,
    ),
    "nginx": Server(
        "nginx",
        nginx,
        connects=("unix", "tcp"),
        takes=_takes("url streaming keep_conn listen server_name"),
    ),
    "lighttpd": Server(
        "lighttpd, which can start the process",
        lighttpd,
        connects=("unix", "tcp"),
        starts=("unix",),
        takes=_takes("url streaming processes authorizer"),
        authorizers=("access",),
        # A directory of its own user's, in which it can make a socket.
        default_bind_of_spawned="unix:/run/lighttpd/{name}.sock",
    ),
    "caddy": Server(
        "Caddy",
        caddy,
        connects=("unix", "abstract", "tcp"),
        takes=_takes("url streaming listen server_name"),
    ),
    "h2o": Server(
        "H2O, which can start the process",
        h2o,
        connects=("unix", "tcp"),
        starts=(),
        takes=_takes("url streaming listen server_name"),
    ),
    "haproxy": Server(
        "HAProxy",
        haproxy,
        connects=("unix", "tcp"),
        takes=_takes("url streaming keep_conn multiplex listen"),
        default_bind="127.0.0.1:9000",
    ),
    "systemd": Server(
        "systemd's socket and service, for any Web server that connects",
        systemd,
        starts=("unix", "abstract", "tcp"),
        hosts=("IPv4", "IPv6"),
        takes=_takes("url"),
    ),
    "spawn-fcgi": Server(
        "spawn-fcgi, for any Web server that connects",
        spawn_fcgi,
        starts=("unix", "tcp"),
        hosts=("IPv4", "IPv6"),
        takes=_takes("url processes"),
    ),
    "cgi-fcgi": Server(
        "cgi-fcgi, for a Web server that has CGI alone",
        cgi_fcgi,
        connects=("unix", "tcp"),
    ),
}

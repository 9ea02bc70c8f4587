"""The table of servers, with the options that each one takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gfcgi.configurations.apache_authorizer import apache_authnz
from gfcgi.configurations.apache_proxy import apache_proxy
from gfcgi.configurations.apache_started import (
    apache_cgi,
    apache_fastcgi,
    apache_fcgid,
    htaccess,
)
from gfcgi.configurations.caddy import caddy
from gfcgi.configurations.deployment import AUTHORIZERS, DEFAULT_BIND, Authorizer, Deployment
from gfcgi.configurations.h2o import h2o
from gfcgi.configurations.haproxy import haproxy
from gfcgi.configurations.lighttpd import lighttpd
from gfcgi.configurations.nginx import nginx
from gfcgi.configurations.processes import cgi_fcgi, spawn_fcgi, systemd, systemd_socket
from gfcgi.option_parsers import DEFAULT_BIND as DEFAULT_TCP_BIND

__all__ = ["SERVERS", "Server"]


@dataclass(frozen=True)
class Server:
    """One server.

    ``connects`` are the kinds of addresses at which it can reach a process that runs on its own;
    None if it cannot. ``starts`` are the kinds of addresses that it can be given if it starts the
    process itself: None if it cannot start one, () if it chooses the socket by itself.
    ``hosts`` are the forms of a TCP address's host that it takes. ``takes`` are the options that it
    uses. ``needs_script``: it starts scripts only. ``balances``: it divides the requests among
    several addresses.
    """

    text: str
    write: Callable[[Deployment], str]
    connects: tuple[str, ...] | None = None
    starts: tuple[str, ...] | None = None
    hosts: tuple[str, ...] = ("name", "IPv4", "IPv6")
    takes: frozenset[str] = frozenset()
    authorizers: tuple[Authorizer, ...] = ()
    always_authorizes: bool = False
    needs_script: bool = False
    balances: bool = False
    default_bind: str = DEFAULT_BIND
    default_bind_of_spawned: str | None = None

    @property
    def always_starts(self) -> bool:
        """Whether it always starts the process itself."""
        return self.connects is None


def _takes(names: str) -> frozenset[str]:
    return frozenset(names.split())


SERVERS: Final = {
    "apache-fcgid": Server(
        "Apache with mod_fcgid, which starts the script",
        apache_fcgid,
        starts=(),
        takes=_takes("url tls listen server_name static streaming processes"),
        needs_script=True,
    ),
    "apache-proxy": Server(
        "Apache with mod_proxy_fcgi",
        apache_proxy,
        connects=("unix", "tcp"),
        balances=True,
        takes=_takes("url tls listen server_name static streaming keep_conn keep_slashes"),
    ),
    "apache-fastcgi": Server(
        "Apache with mod_fastcgi, which can start the script",
        apache_fastcgi,
        connects=("unix", "tcp"),
        starts=(),
        hosts=("name", "IPv4"),
        takes=_takes("url tls listen server_name static streaming processes authorizer"),
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
        default_bind=DEFAULT_TCP_BIND,
    ),
    "apache-cgi": Server(
        "Apache without FastCGI: a process for each request",
        apache_cgi,
        starts=(),
        takes=_takes("url tls listen server_name static streaming"),
        needs_script=True,
    ),
    "htaccess": Server(
        "Apache on shared hosting: .htaccess beside the script",
        htaccess,
        starts=(),
        takes=_takes("url"),
        needs_script=True,
    ),
    "nginx": Server(
        "nginx",
        nginx,
        connects=("unix", "tcp"),
        balances=True,
        takes=_takes("url tls static streaming keep_conn listen server_name keep_slashes"),
    ),
    "lighttpd": Server(
        "lighttpd, which can start the process",
        lighttpd,
        connects=("unix", "tcp"),
        starts=("unix",),
        takes=_takes("url tls listen static streaming processes authorizer"),
        authorizers=("access",),
        # lighttpd's user may make a socket in this directory.
        default_bind_of_spawned="unix:/run/lighttpd/{name}.sock",
    ),
    "caddy": Server(
        "Caddy",
        caddy,
        connects=("unix", "abstract", "tcp"),
        balances=True,
        takes=_takes("url tls static streaming listen server_name"),
    ),
    "h2o": Server(
        "H2O, which can start the process",
        h2o,
        connects=("unix", "tcp"),
        starts=(),
        takes=_takes("url tls static streaming listen server_name"),
    ),
    "haproxy": Server(
        "HAProxy",
        haproxy,
        connects=("unix", "tcp"),
        balances=True,
        takes=_takes("url tls streaming keep_conn multiplex listen"),
        default_bind=DEFAULT_TCP_BIND,
    ),
    "systemd": Server(
        "systemd's service, for any Web server that connects",
        systemd,
        starts=("unix", "abstract", "tcp"),
        hosts=("IPv4", "IPv6"),
        takes=_takes("url processes"),
    ),
    "systemd-socket": Server(
        "the socket of that service",
        systemd_socket,
        starts=("unix", "abstract", "tcp"),
        hosts=("IPv4", "IPv6"),
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

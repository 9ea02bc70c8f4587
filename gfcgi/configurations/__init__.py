"""Configurations of Web servers for an application that gfcgi serves: text out, and no I/O.

``configuration`` checks what is asked for and has one of the servers' files write it. The tests
of real Web servers start them with nothing else.
"""

from __future__ import annotations

import difflib
from typing import Any, Final

from gfcgi.addresses import Address, TCPAddress, parse_address, parse_host_port
from gfcgi.configurations.servers import SERVERS, Server
from gfcgi.configurations.site import (
    AUTHORIZERS,
    Authorizer,
    Site,
    Target,
    host_form,
    kind,
    parse_target,
    parse_url,
)
from gfcgi.errors import ConfigError

__all__ = ["AUTHORIZERS", "SERVERS", "configuration"]

_DEFAULTS: Final[dict[str, object]] = {
    "url": "/",
    "streaming": False,
    "keep_conn": True,
    "multiplex": False,
    "processes": None,
    "authorizer": None,
    "listen": None,
    "server_name": None,
}
"""Options that not every server takes, and what stands for not being asked for."""


def configuration(
    server: str,
    target: str,
    *,
    bind: str | None = None,
    url: str = "/",
    spawn: bool = False,
    streaming: bool = False,
    keep_conn: bool = True,
    multiplex: bool = False,
    processes: int | None = None,
    authorizer: str | None = None,
    listen: str | None = None,
    server_name: str | None = None,
    python: str = "python3",
    directory: str = "/",
) -> str:
    """The configuration of ``server``, a name of SERVERS, for the application ``target``.

    ``bind`` is where the application listens, ``url`` where it is mounted; ``spawn``: the server
    starts the process. ``listen`` (``80``, ``127.0.0.1:8080``) and ``server_name`` are the Web
    server's own. ``python`` and ``directory`` are the interpreter and the directory that relative
    paths and modules are found from.

    Raises: ConfigError, with the command line's names.
    """
    found = _find(server)
    asked = {
        "url": url,
        "streaming": streaming,
        "keep_conn": keep_conn,
        "multiplex": multiplex,
        "processes": processes,
        "authorizer": authorizer,
        "listen": listen,
        "server_name": server_name,
    }
    for name, value in asked.items():
        if value != _DEFAULTS[name] and name not in found.takes:
            raise _fault(name, value, f"{server} has no use for it; of use to {_takers(name)}")
    application = parse_target(target, directory)
    spawned = spawn or found.always_starts
    _check_spawn(server, found, application, asked=spawn, spawned=spawned)
    if processes is not None:
        if not spawned:
            raise _fault("processes", processes, f"{server} starts processes only with --spawn")
        if processes < 1:
            raise _fault("processes", processes, "write a number of processes, at least 1")
    return found.write(
        Site(
            target=application,
            address=_address(server, found, bind, application.name, spawned=spawned),
            mount=_mount(url),
            spawn=spawned,
            streaming=streaming,
            keep_conn=keep_conn,
            multiplex=multiplex,
            processes=processes,
            authorizer=_authorizer(server, found, authorizer),
            listen=None if listen is None else _listen(listen),
            server_name=server_name,
            python=python,
            directory=directory,
        )
    )


def _find(server: str) -> Server:
    try:
        return SERVERS[server]
    except KeyError:
        close = difflib.get_close_matches(server, SERVERS, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(
            f"{server!r}: {hint}there are {', '.join(SERVERS)}", option="server", source="SERVER"
        ) from None


def _fault(name: str, value: Any, reason: str) -> ConfigError:
    source = "--no-keep-conn" if name == "keep_conn" else "--" + name.replace("_", "-")
    shown = "" if isinstance(value, bool) else f"{value!r}: "
    return ConfigError(f"{shown}{reason}", option=name, source=source)


def _takers(name: str) -> str:
    return ", ".join(server for server, about in SERVERS.items() if name in about.takes)


def _check_spawn(server: str, found: Server, target: Target, *, asked: bool, spawned: bool) -> None:
    if asked and found.starts is None:
        can = ", ".join(name for name, about in SERVERS.items() if about.starts is not None)
        raise _fault("spawn", asked, f"{server} starts no processes; of use to {can}")
    if spawned and found.needs_script and (not target.path or target.attribute):
        raise ConfigError(
            f"'{target}': {server} starts scripts: write the path of one that calls gfcgi.run",
            option="target",
            source="TARGET",
        )


def _address(server: str, found: Server, bind: str | None, name: str, *, spawned: bool) -> Address:
    kinds = found.starts if spawned else found.connects
    if bind is None:
        default = (spawned and found.default_bind_of_spawned) or found.default_bind
        return parse_address(default.format(name=name))
    try:
        address = parse_address(bind)
    except ValueError as error:
        raise _fault("bind", bind, str(error)) from None
    if kinds == ():
        raise _fault("bind", bind, f"{server} makes a socket by itself when it starts the process")
    if kind(address) not in (kinds or ()):
        shown = " and ".join(_SHOWN[kind] for kind in kinds or ())
        raise _fault("bind", bind, f"{server} can use {shown} only")
    if isinstance(address, TCPAddress) and (
        not address.port or address.host in ("0.0.0.0", "::", "*")
    ):
        raise _fault("bind", bind, "write the one address and port that the Web server connects to")
    if isinstance(address, TCPAddress) and host_form(address.host) not in found.hosts:
        shown = " or ".join(_SHOWN_HOST[form] for form in found.hosts)
        raise _fault("bind", bind, f"{server} takes {shown} only")
    return address


_SHOWN: Final = {
    "unix": "a UNIX socket's path (unix:/run/app.sock)",
    "abstract": "an abstract one's name (unix:@app)",
    "tcp": "TCP (127.0.0.1:9000)",
}
_SHOWN_HOST: Final = {
    "name": "a host's name",
    "IPv4": "an IPv4 address (127.0.0.1:9000)",
    "IPv6": "an IPv6 address ([::1]:9000)",
}


def _mount(url: str) -> str:
    try:
        return parse_url(url)
    except ValueError as error:
        raise _fault("url", url, str(error)) from None


def _authorizer(server: str, found: Server, authorizer: str | None) -> Authorizer | None:
    if authorizer is None:
        return "access" if found.always_authorizes else None
    for known in found.authorizers:
        if authorizer == known:
            return known
    raise _fault("authorizer", authorizer, f"{server} has {', '.join(found.authorizers)}")


def _listen(listen: str) -> TCPAddress:
    try:
        host, port = parse_host_port(listen) if ":" in listen else ("", int(listen))
        if not 0 < port < 65536:
            raise ValueError
    except ValueError:
        raise _fault(
            "listen", listen, "write PORT or ADDRESS:PORT, as in 80 or 127.0.0.1:8080"
        ) from None
    return TCPAddress(host, port)

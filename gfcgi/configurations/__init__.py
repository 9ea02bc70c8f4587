"""Write the configuration of a Web server for an application: text out, and no I/O.

``configuration`` checks the options and calls the function of the Web server. The tests of real Web
servers start them with these configurations and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final

from gfcgi.addresses import Address, TCPAddress, parse_address, parse_host_port
from gfcgi.configurations.deployment import (
    AUTHORIZERS,
    NAME,
    TLS,
    Authorizer,
    Deployment,
    Static,
    host_form,
    kind,
    locate_target,
    parse_static,
    parse_url,
)
from gfcgi.configurations.servers import SERVERS, Server
from gfcgi.errors import ConfigError
from gfcgi.targets import Target, target_error

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
    "keep_slashes": False,
    "static": (),
    "tls": None,
}
"""The options that not every server takes, each with its value if nobody gives it."""


def configuration(
    server: str,
    target: str,
    *,
    bind: str | Sequence[str] | None = None,
    url: str = "/",
    spawn: bool = False,
    streaming: bool = False,
    keep_conn: bool = True,
    multiplex: bool = False,
    processes: int | None = None,
    authorizer: str | None = None,
    listen: str | None = None,
    server_name: str | None = None,
    keep_slashes: bool = False,
    static: Sequence[str] = (),
    tls: tuple[str, str] | None = None,
    name: str | None = None,
    python: str = "python3",
    command: Sequence[str] = (),
    directory: str = "/",
) -> str:
    """Return the configuration of ``server``, a name of SERVERS, for the application ``target``.

    ``bind`` is the address of the application, or several of its processes' addresses, among which
    the server divides the requests. ``url`` is its mount point. With ``spawn`` the
    server starts the process. ``listen`` (``80``, ``127.0.0.1:8080``) and ``server_name`` are the
    address and the name of the Web server. ``name`` is what files, sockets and sections are called
    after, by default the target's. With ``keep_slashes`` the application gets ``//`` and ``%2F``.
    ``static`` are texts ``URL=DIRECTORY``: files that the server sends by itself. ``tls`` are the
    paths of a certificate and its key: the server speaks HTTPS. ``python`` runs the application,
    with ``command``, by default ``PYTHON -m gfcgi``. Modules and relative paths begin at
    ``directory``.

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
        "keep_slashes": keep_slashes,
        "static": tuple(static),
        "tls": tls,
    }
    for option, value in asked.items():
        if value != _DEFAULTS[option] and option not in found.takes:
            raise _fault(option, value, f"{server} has no use for it; of use to {_takers(option)}")
    if name is not None and not NAME.fullmatch(name):
        raise _fault("name", name, "write letters, digits, - and _ only")
    application = locate_target(target, directory)
    spawned = spawn or found.always_starts
    _check_spawn(server, found, application, asked=spawn, spawned=spawned)
    if processes is not None:
        if not spawned:
            raise _fault("processes", processes, f"{server} starts processes only with --spawn")
        if processes < 1:
            raise _fault("processes", processes, "write a number of processes, at least 1")
    mount = _mount(url)
    addresses = _addresses(server, found, bind, name or application.name, spawned=spawned)
    if static and authorizer is not None:
        raise _fault("static", static[0], "an authorizer guards all that is below its URL")
    return found.write(
        Deployment(
            target=application,
            address=addresses[0],
            others=tuple(addresses[1:]),
            mount=mount,
            spawn=spawned,
            streaming=streaming,
            keep_conn=keep_conn,
            multiplex=multiplex,
            processes=processes,
            authorizer=_authorizer(server, found, authorizer),
            listen=None if listen is None else _listen(listen),
            server_name=server_name,
            keep_slashes=keep_slashes,
            called=name,
            static=_static(static, mount, directory),
            tls=None if tls is None else _tls(*tls, directory),
            python=python,
            command=tuple(command),
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
    if isinstance(value, tuple):
        value = " ".join(value)
    shown = "" if isinstance(value, bool) else f"{value!r}: "
    return ConfigError(f"{shown}{reason}", option=name, source=source)


def _takers(name: str) -> str:
    return ", ".join(server for server, about in SERVERS.items() if name in about.takes)


def _check_spawn(server: str, found: Server, target: Target, *, asked: bool, spawned: bool) -> None:
    if asked and found.starts is None:
        can = ", ".join(name for name, about in SERVERS.items() if about.starts is not None)
        raise _fault("spawn", asked, f"{server} starts no processes; of use to {can}")
    if spawned and found.needs_script and (not target.path or target.attribute):
        raise target_error(
            str(target), f"{server} starts scripts: write the path of one that calls gfcgi.run"
        )


def _addresses(
    server: str, found: Server, bind: str | Sequence[str] | None, name: str, *, spawned: bool
) -> list[Address]:
    texts: list[str | None] = [None]
    if bind:
        texts = [bind] if isinstance(bind, str) else [*bind]
    addresses: list[Address] = []
    for text in texts:
        address = _address(server, found, text, name, spawned=spawned)
        if addresses and not found.balances:
            can = ", ".join(name for name, about in SERVERS.items() if about.balances)
            raise _fault("bind", text, f"{server} takes one address; of several use to {can}")
        if address in addresses:
            raise _fault("bind", text, "it is there twice")
        addresses.append(address)
    return addresses


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


def _static(texts: Sequence[str], mount: str, directory: str) -> tuple[Static, ...]:
    """The longest URL comes first, for the servers that take the first that fits."""
    found: dict[str, Static] = {}
    for text in texts:
        try:
            static = parse_static(text, directory)
        except ValueError as error:
            raise _fault("static", text, str(error)) from None
        if f"{mount}/".startswith(f"{static.url}/"):
            raise _fault("static", text, f"the application itself is at {mount}")
        if static.url in found:
            raise _fault("static", text, f"{static.url} is there twice")
        found[static.url] = static
    return tuple(sorted(found.values(), key=lambda static: -len(static.url)))


def _tls(certificate: str, key: str, directory: str) -> TLS:
    try:
        return TLS.located(certificate, key, directory)
    except ValueError as error:
        raise _fault("tls", (certificate, key), str(error)) from None


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

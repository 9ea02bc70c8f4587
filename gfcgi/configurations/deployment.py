"""The deployment that a configuration describes: an application, its mount point, its address.

Each server has its own way to quote. So this module refuses every text that would have to be
quoted, and the servers' files quote nothing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from gfcgi.addresses import Address, InheritedSocket, TCPAddress, UnixAddress, is_loopback
from gfcgi.errors import ConfigError
from gfcgi.limits import GIB
from gfcgi.targets import Target, parse_target, target_error

__all__ = [
    "AUTHORIZERS",
    "Authorizer",
    "MAX_BODY_BYTES",
    "NAME",
    "TIMEOUT_SECONDS",
    "DEFAULT_BIND",
    "PING_PATH",
    "UNIT_USER",
    "Deployment",
    "Static",
    "TLS",
    "comment",
    "host_form",
    "kind",
    "locate_target",
    "parse_static",
    "parse_url",
    "pattern",
]

Authorizer = Literal["access", "authn", "authz", "authnz"]
AUTHORIZERS: Final[dict[Authorizer, str]] = {
    "access": "every request, by a cookie for example",
    "authn": "the name and the password of HTTP's Basic scheme",
    "authz": "what a user may do whose password the Web server has checked",
    "authnz": "name, password and permission at once",
}
"""What an application in the role of Authorizer decides on."""

TIMEOUT_SECONDS: Final = 300
"""Time until the Web server gives up if the application sends nothing. gfcgi waits as long for a
body and for its answer to be read (stdin_timeout_seconds, stdout_timeout_seconds)."""

MAX_BODY_BYTES: Final = GIB
"""The largest upload, as Apache and H2O have it by default. nginx's default is 1 MB, mod_fcgid's
128 KB."""

DEFAULT_BIND: Final = "unix:/run/{name}/{name}.sock"
"""Where the application listens if nobody says it; {name} is the application's."""

PING_PATH: Final = "/gfcgi-ping"
"""What a Web server's health checks ask for, below the mount point (the option ping_path)."""

UNIT_USER: Final = "www-data"
"""The user of systemd's units and of spawn-fcgi, and Debian's user of most Web servers."""

NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A name of files, sockets and sections."""

_PLAIN: Final = re.compile(r"[\w./+@~-]+")
_OF_THE_SYSTEM: Final = ("/", "/run", "/tmp", "/var/run", "/var/tmp")
"""Directories that are there, and whose owner must stay."""
_HOST: Final = re.compile(r"[\w.:-]+")
_URL: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def locate_target(text: str, directory: str) -> Target:
    """Read TARGET as ``serve`` does; a relative path begins at ``directory``.

    Raises: ConfigError.
    """
    target = parse_target(text).located(directory)
    if target.path and not _PLAIN.fullmatch(target.path):
        raise target_error(text, _reason_not_plain(target.path))
    return target


def parse_url(text: str) -> str:
    """Read a mount point: ``/`` gives ``""``, ``/app`` and ``/app/`` give ``/app``.

    Raises ValueError.
    """
    mount = text.rstrip("/") if text.startswith("/") else text
    if mount and (not _URL.fullmatch(mount) or {".", ".."} & set(mount.split("/"))):
        raise ValueError("write a path of letters, digits and ._~- such as /app, or / for all")
    if not text:
        raise ValueError("write / for the whole site")
    return mount


@dataclass(frozen=True)
class Static:
    """Files that the Web server sends by itself.

    ``url`` is the URL's path and begins with a slash, ``directory`` is an absolute path. Neither
    ends with a slash.
    """

    url: str
    directory: str


def parse_static(text: str, directory: str) -> Static:
    """Read ``URL=DIRECTORY``; a relative path begins at ``directory``.

    Raises ValueError.
    """
    url, equals, path = text.partition("=")
    if not equals or not path:
        raise ValueError("write URL=DIRECTORY, as in /static=/srv/mysite/static")
    parsed = parse_url(url)
    if not parsed:
        raise ValueError("the application would have no URL left: write a path, such as /static")
    located = os.path.normpath(os.path.join(directory, path))
    if located == "/":
        raise ValueError("everybody could read every file of this machine: name a directory")
    if not _PLAIN.fullmatch(located):
        raise ValueError(_reason_not_plain("the directory"))
    return Static(parsed, located)


@dataclass(frozen=True)
class TLS:
    """The absolute paths of a certificate and of its key, in PEM. Both may be in one file."""

    certificate: str
    key: str

    @classmethod
    def located(cls, certificate: str, key: str, directory: str) -> TLS:
        """Relative paths begin at ``directory``. Raises ValueError."""
        paths = [os.path.normpath(os.path.join(directory, path)) for path in (certificate, key)]
        for path in paths:
            if not _PLAIN.fullmatch(path):
                raise ValueError(_reason_not_plain(repr(path)))
        return cls(*paths)


@dataclass(frozen=True)
class Deployment:
    """What one configuration describes.

    ``mount`` is "" or begins with a slash. ``address`` is where the application listens, and each
    of ``others`` is the address of another process of it. ``python``
    runs the application, ``command`` is gfcgi's own where it is not ``PYTHON -m gfcgi``. Modules
    are found from ``directory``. ``called`` is the name that was asked for. ``static`` are the
    files that the Web server sends, the longest URL first. With ``tls`` it speaks HTTPS.
    """

    target: Target
    address: Address
    others: tuple[Address, ...] = field(default=(), kw_only=True)
    mount: str = ""
    spawn: bool = False
    streaming: bool = False
    keep_conn: bool = True
    multiplex: bool = False
    processes: int | None = None
    authorizer: Authorizer | None = None
    listen: TCPAddress | None = None
    server_name: str | None = None
    keep_slashes: bool = False
    called: str | None = None
    static: tuple[Static, ...] = ()
    tls: TLS | None = None
    python: str = "python3"
    command: tuple[str, ...] = ()
    directory: str = "/"

    def __post_init__(self) -> None:
        for name in ("python", "directory", "server_name"):
            value = getattr(self, name)
            if value is not None and not _PLAIN.fullmatch(value):
                raise ConfigError(
                    _reason_not_plain(repr(value)),
                    option=name,
                    source="--" + name.replace("_", "-"),
                )
        for word in self.command:
            if not _PLAIN.fullmatch(word):
                raise ConfigError(
                    _reason_not_plain(repr(word)), option="command", source="the program's path"
                )
        addresses = [("bind", address) for address in (self.address, *self.others)]
        for name, address in (*addresses, ("listen", self.listen)):
            if isinstance(address, TCPAddress) and not _HOST.fullmatch(address.host or "0"):
                raise ConfigError(
                    f"'{address}': write a host's name or its address, as in 127.0.0.1 or [::1]",
                    option=name,
                    source=f"--{name}",
                )
            if isinstance(address, UnixAddress) and not _PLAIN.fullmatch(address.path):
                raise ConfigError(
                    _reason_not_plain(f"'{address}'"), option=name, source=f"--{name}"
                )

    def each(self) -> list[Deployment]:
        """One deployment for each process, with its address alone."""
        return [replace(self, address=one, others=()) for one in (self.address, *self.others)]

    @property
    def name(self) -> str:
        """What to call files and sections after. Two deployments of one machine need two names."""
        return self.called or self.target.name

    @property
    def url(self) -> str:
        """The mount point as a URL's path."""
        return self.mount or "/"

    @property
    def pattern(self) -> str:
        """The mount point within a regular expression."""
        return pattern(self.mount)

    @property
    def script(self) -> str:
        """The script's path. For a module it is the path of a file that need not exist."""
        return self.target.path or f"{self.directory.rstrip('/')}/{self.name}.fcgi"

    @property
    def first_line(self) -> str:
        """The first line of a script that is started as a program.

        The program gfcgi loads the script, and serves an error page where that fails.
        """
        directory = os.path.dirname(self.python)
        if not directory:
            return f"#!/usr/bin/env -S {self.python} -m gfcgi"
        return f"#!{os.path.join(directory, 'gfcgi')}"

    @property
    def socket_path(self) -> str:
        """The path of the UNIX socket; empty for TCP."""
        return self.address.path if isinstance(self.address, UnixAddress) else ""

    @property
    def tcp(self) -> TCPAddress:
        """The TCP address of the application."""
        assert isinstance(self.address, TCPAddress)
        return self.address

    @property
    def is_remote(self) -> bool:
        """Whether the application listens for other machines. Then it must know for which."""
        return isinstance(self.address, TCPAddress) and not _is_local(self.address)

    def program(self) -> str:
        """The command that serves an inherited listening socket."""
        return f"{self.serve_command} {self.target}"

    @property
    def serve_command(self) -> str:
        """What serves the target that follows it."""
        return " ".join(self.command) or f"{self.python} -m gfcgi"

    def environment(self, *, tell_mount: bool = False) -> dict[str, str]:
        """The environment variables for ``program``.

        They say where modules are, that a changed script is noticed, and the mount point.
        """
        variables = {"PYTHONPATH": self.directory} if self.target.module else {"GFCGI_RELOAD": "1"}
        if tell_mount and self.mount:
            variables["GFCGI_SCRIPT_NAME"] = self.mount
        return variables

    def how_to_start(self, user: str, *, tell_mount: bool = False, ping: bool = False) -> list[str]:
        """The commands that start the application's process by hand, as lines for a comment.

        The process runs as ``user``, the Web server's user, so that the Web server may connect.
        ``ping``: it answers health checks.
        """
        if self.others:
            return self._how_to_start_each(user, ping=ping)
        serve = f"{self.serve_command} {self.target} --bind {self.address}"
        if tell_mount and self.mount:
            serve += f" --script-name {self.mount}"
        if ping:
            serve += f" --ping-path {PING_PATH}"
        changes = self._units_differ_in(user, tell_mount=tell_mount)
        boot = f"boot, with {' and '.join(changes)}" if changes else "boot"
        lines = [f"The application's process (`gfcgi config systemd` makes it start at {boot}):"]
        if self.target.module:
            lines.append(f"  cd {self.directory}")
        if self.socket_path and not self.socket_path.startswith("@"):
            directory = os.path.dirname(self.socket_path)
            if directory not in _OF_THE_SYSTEM:
                lines.append(f"  sudo install -d -o {user} -g {user} {directory}")
        elif self.is_remote:
            serve += " --allow-from ADDRESS-OF-THIS-WEB-SERVER"
        lines.append(f"  sudo -u {user} {serve}")
        return lines

    def _how_to_start_each(self, user: str, *, ping: bool) -> list[str]:
        """Each process has a name of its own, so that it can have units of its own."""
        lines = [
            "The application's processes (`gfcgi config systemd` makes each start at boot, with",
            "a `--name` and a `--bind` of its own):",
        ]
        for one in self.each():
            for line in one.how_to_start(user, ping=ping)[1:]:
                if line not in lines:
                    lines.append(line)
        return lines

    def _units_differ_in(self, user: str, *, tell_mount: bool) -> list[str]:
        """The changes that make systemd's units fit this Web server.

        The units are for the default socket and for a Web server that runs as UNIT_USER.
        """
        changes = []
        if self.called is not None and self.called != self.target.name:
            changes.append(f"`--name {self.called}`")
        if str(self.address) != DEFAULT_BIND.format(name=self.name):
            changes.append(f"`--bind {self.address}`")
        if tell_mount and self.mount:
            changes.append(f"`--url {self.mount}`")
        if self.socket_path and not self.socket_path.startswith("@") and user != UNIT_USER:
            changes.append(f"`SocketUser={user}`")
        return changes


def _reason_not_plain(shown: str) -> str:
    return f"{shown} would have to be quoted: use letters, digits and ./+@~_- only"


def _is_local(address: TCPAddress) -> bool:
    try:
        return is_loopback(address.host)
    except ValueError:
        return address.host == "localhost"


def pattern(url: str) -> str:
    """A URL's path within a regular expression."""
    return url.replace(".", r"\.")


def comment(*lines: str) -> str:
    """Return the lines as comments. An empty line becomes a bare ``#``."""
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def host_form(host: str) -> str:
    """``IPv4``, ``IPv6`` or ``name``."""
    if ":" in host:
        return "IPv6"
    return "IPv4" if re.fullmatch(r"[0-9.]+", host) else "name"


def kind(address: Address) -> str:
    """``unix``, ``abstract``, ``tcp`` or ``inherited``."""
    if isinstance(address, InheritedSocket):
        return "inherited"
    if isinstance(address, TCPAddress):
        return "tcp"
    return "abstract" if address.abstract else "unix"

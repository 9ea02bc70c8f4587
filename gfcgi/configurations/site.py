"""What a configuration is written for: an application, where it is mounted, how it is reached.

Every text that gets into a configuration is checked here for characters that would have to be
quoted, in one server's way or another's; so none of the servers' files quotes anything.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, Literal

from gfcgi.addresses import Address, InheritedSocket, TCPAddress, UnixAddress, is_loopback
from gfcgi.errors import ConfigError

__all__ = [
    "AUTHORIZERS",
    "MAX_BODY_BYTES",
    "TIMEOUT_SECONDS",
    "Authorizer",
    "Site",
    "Target",
    "comment",
    "host_form",
    "kind",
    "parse_target",
    "parse_url",
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
"""Silence of the application until the Web server gives up: as long as gfcgi itself waits for a
body or for its answer to be read (stdin_timeout_seconds, stdout_timeout_seconds)."""

MAX_BODY_BYTES: Final = 1024**3
"""The largest upload. Apache's and H2O's own default; nginx's is 1 MB and mod_fcgid's 128 KB."""

_PLAIN: Final = re.compile(r"[\w./+@~-]+")
_HOST: Final = re.compile(r"[\w.:-]+")
_URL: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_MODULE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Target:
    """An application as ``serve`` takes it: ``path`` of a file or ``module``, and an ``attribute``.

    ``path`` is absolute; it or ``module`` is empty, and so is ``attribute`` where it is not said.
    """

    path: str = ""
    module: str = ""
    attribute: str = ""

    def __str__(self) -> str:
        return ":".join(filter(None, [self.path or self.module, self.attribute]))

    @property
    def name(self) -> str:
        """What to call files and sections after it: a script's stem or the outermost package."""
        name = self.module.partition(".")[0] or os.path.splitext(os.path.basename(self.path))[0]
        return re.sub(r"[^A-Za-z0-9_-]", "-", name).strip("-") or "app"

    @property
    def starts_itself(self) -> bool:
        """Whether it is a script that is started as a program, by its ``#!`` line."""
        return self.path.endswith(".fcgi") and not self.attribute


def parse_target(text: str, directory: str) -> Target:
    """Read TARGET; a relative path begins at ``directory``. Raises ConfigError."""

    def fault(reason: str) -> ConfigError:
        return ConfigError(f"{text!r}: {reason}", option="target", source="TARGET")

    name, colon, attribute = text.rpartition(":")
    if not colon:
        name, attribute = text, ""
    if colon and not _MODULE.fullmatch(attribute):
        raise fault("write the callable's name behind the colon")
    if os.sep in name or name.endswith((".fcgi", ".py")):
        path = os.path.normpath(os.path.join(directory, name))
        if not _PLAIN.fullmatch(path):
            raise fault(f"{path} would have to be quoted: use letters, digits and ./+@~_- only")
        return Target(path=path, attribute=attribute)
    if not _MODULE.fullmatch(name):
        raise fault("write module:callable, module, or the path of a script")
    return Target(module=name, attribute=attribute)


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
class Site:
    """What one configuration is written for.

    ``mount`` is "" or begins with a slash; ``address`` is where the application listens;
    ``python`` and ``directory`` are the interpreter and the directory that modules are found from.
    """

    target: Target
    address: Address
    mount: str = ""
    spawn: bool = False
    streaming: bool = False
    keep_conn: bool = True
    multiplex: bool = False
    processes: int | None = None
    authorizer: Authorizer | None = None
    listen: TCPAddress | None = None
    server_name: str | None = None
    python: str = "python3"
    directory: str = "/"

    def __post_init__(self) -> None:
        for name in ("python", "directory", "server_name"):
            value = getattr(self, name)
            if value is not None and not _PLAIN.fullmatch(value):
                raise ConfigError(
                    f"{value!r} would have to be quoted: use letters, digits and ./+@~_- only",
                    option=name,
                    source="--" + name.replace("_", "-"),
                )
        for name, address in (("bind", self.address), ("listen", self.listen)):
            if isinstance(address, TCPAddress) and not _HOST.fullmatch(address.host or "0"):
                raise ConfigError(
                    f"'{address}': write a host's name or its address, as in 127.0.0.1 or [::1]",
                    option=name,
                    source=f"--{name}",
                )
        if isinstance(self.address, UnixAddress) and not _PLAIN.fullmatch(self.address.path):
            raise ConfigError(
                f"'{self.address}' would have to be quoted: use letters, digits and ./+@~_- only",
                option="bind",
                source="--bind",
            )

    @property
    def name(self) -> str:
        """What to call files and sections after."""
        return self.target.name

    @property
    def url(self) -> str:
        """The mount point as a URL's path."""
        return self.mount or "/"

    @property
    def pattern(self) -> str:
        """The mount point within a regular expression."""
        return self.mount.replace(".", r"\.")

    @property
    def script(self) -> str:
        """The script's path; where the application is none, the path of one that need not exist."""
        return self.target.path or f"{self.directory.rstrip('/')}/{self.name}.fcgi"

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
        """Whether the application listens for other machines, and has to be told for which."""
        return isinstance(self.address, TCPAddress) and not _is_local(self.address)

    def program(self) -> str:
        """The command that serves a listening socket that it inherits."""
        if self.target.starts_itself:
            return self.target.path
        return f"{self.python} -m gfcgi {self.target}"

    def environment(self, *, tell_mount: bool = False) -> dict[str, str]:
        """The variables that ``program`` needs besides its own: where modules are, the mount."""
        variables = {"PYTHONPATH": self.directory} if self.target.module else {}
        if tell_mount and self.mount:
            variables["GFCGI_SCRIPT_NAME"] = self.mount
        return variables

    def how_to_start(self, user: str, *, tell_mount: bool = False) -> list[str]:
        """The commands that start the application's process by hand, as lines for a comment.

        ``user`` is the Web server's own user, who may connect to the socket that it makes.
        """
        serve = f"{self.python} -m gfcgi {self.target} --bind {self.address}"
        if tell_mount and self.mount:
            serve += f" --script-name {self.mount}"
        changes = self._units_differ_in(user, tell_mount=tell_mount)
        boot = f"boot, with {' and '.join(changes)}" if changes else "boot"
        lines = [f"The application's process (`gfcgi config systemd` makes it start at {boot}):"]
        if self.target.module:
            lines.append(f"  cd {self.directory}")
        if self.socket_path and not self.socket_path.startswith("@"):
            directory = os.path.dirname(self.socket_path)
            lines.append(f"  sudo install -d -o {user} -g {user} {directory}")
        elif self.is_remote:
            serve += " --allow-from ADDRESS-OF-THIS-WEB-SERVER"
        lines.append(f"  sudo -u {user} {serve}")
        return lines

    def _units_differ_in(self, user: str, *, tell_mount: bool) -> list[str]:
        """What makes systemd's units fit this Web server, where by default they do not.

        They are for the socket at its default path, and for a Web server that runs as www-data.
        """
        changes = []
        if str(self.address) != f"unix:/run/{self.name}/{self.name}.sock":
            changes.append(f"`--bind {self.address}`")
        if tell_mount and self.mount:
            changes.append(f"`--url {self.mount}`")
        if self.socket_path and not self.socket_path.startswith("@") and user != "www-data":
            changes.append(f"`SocketUser={user}`")
        return changes


def _is_local(address: TCPAddress) -> bool:
    try:
        return is_loopback(address.host)
    except ValueError:
        return address.host == "localhost"


def comment(*lines: str) -> str:
    """The lines as comments, each with its end; an empty one as a bare ``#``."""
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

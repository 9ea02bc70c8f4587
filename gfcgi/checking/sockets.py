"""An application that runs already: its socket, as the Web server finds it."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator

from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.checking.asking import Asked, ask
from gfcgi.checking.files import check_directories
from gfcgi.checking.findings import Finding, fault
from gfcgi.checking.users import User

__all__ = ["check_answer", "check_socket"]


def check_socket(address: UnixAddress | TCPAddress, user: User) -> Iterator[Finding]:
    """That the user can connect there, as far as files say."""
    if isinstance(address, TCPAddress) or address.abstract:
        return
    path = address.path
    closed = list(check_directories(path, user, "the socket"))
    if closed:
        yield from closed
    elif not os.path.exists(path):
        yield fault(
            "no-socket",
            f"there is no socket {path}",
            f"start the application: gfcgi TARGET --bind {shlex.quote(str(address))}",
        )
    elif not stat.S_ISSOCK(os.stat(path).st_mode):
        yield fault("no-socket", f"{path} is no socket", "name the socket in --bind and in both")
    elif not user.may(os.W_OK, path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        yield fault(
            "socket-mode",
            f"{user.name} may not connect to {path} (mode {mode:04o}): that takes the right to"
            " write",
            f"--socket-group {user.name} --socket-mode 0660 where the application is started, or"
            f" now: chmod o+w {shlex.quote(path)}",
        )


def check_answer(
    address: UnixAddress | TCPAddress, mount: str, seconds: float
) -> tuple[Asked, list[Finding]]:
    """Ask what listens there for a page."""
    asked = ask(address, seconds, script_name=mount, path_info="" if mount else "/")
    if asked.answer is not None and asked.answer.status < 500:
        return asked, []
    tail = tuple(asked.stderr.splitlines()[-20:])
    if asked.answer is not None:
        text = f"the application answers {asked.answer.status} {asked.answer.reason}"
        return asked, [fault("application-fails", text, "see its log", tail)]
    if asked.failure == "timeout":
        text = f"{address} gives {asked.reason}"
        return asked, [fault("too-slow", text, "see in its log what it waits for", tail)]
    if asked.failure == "protocol":
        text = f"what listens at {address} does not speak FastCGI: {asked.reason}"
        return asked, [fault("no-fastcgi", text, "name the application's own address", tail)]
    text = f"nothing answers at {address}: {asked.reason}"
    remedy = f"start the application: gfcgi TARGET --bind {shlex.quote(str(address))}"
    return asked, [fault("nobody-listens", text, remedy, tail)]

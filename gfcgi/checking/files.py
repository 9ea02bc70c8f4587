"""What can be seen of a script from outside: its directories, its mode, its file system."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from gfcgi.checking.findings import Finding, fault
from gfcgi.checking.users import User

__all__ = ["check_directories", "check_executable", "check_file", "check_writable", "directories"]

ANYBODY_MAY_WRITE: Final = stat.S_IWOTH


def check_file(path: str, user: User) -> Iterator[Finding]:
    """That there is a file, and that the user can read it."""
    if os.path.isdir(path):
        yield fault("directory", f"{path} is a directory", "name the script in it")
    elif os.path.islink(path) and not os.path.exists(path):
        leads = os.readlink(path)
        yield fault(
            "missing",
            f"{path} is a link to {leads}, which is not there",
            f"make {leads}, or the link anew: ln -sfn SCRIPT {shlex.quote(path)}",
        )
    elif not os.path.exists(path):
        yield fault("missing", f"there is no file {path}", "write the path of the script")
    elif not stat.S_ISREG(os.stat(path).st_mode):
        yield fault("no-file", f"{path} is no regular file", "name a script")
    elif not user.may(os.R_OK, path) and not list(check_directories(path, user)):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        yield fault(
            "unreadable",
            f"{user.name} may not read {path} (mode {mode:04o})",
            f"chmod a+r {shlex.quote(path)}",
        )


def directories(path: str) -> list[str]:
    """Every directory on the way to a path, and on the way to what it links to; outermost first."""
    found: dict[str, None] = {}
    for way in (os.path.abspath(path), os.path.realpath(path)):
        found |= dict.fromkeys(str(parent) for parent in reversed(PurePath(way).parents))
    return list(found)


def check_directories(path: str, user: User, what: str = "the script") -> Iterator[Finding]:
    """That the user can enter every directory on the way; the outermost closed one is named."""
    for directory in directories(path):
        if os.path.isdir(directory) and not user.may(os.X_OK, directory):
            mode = stat.S_IMODE(os.stat(directory).st_mode)
            yield fault(
                "closed-directory",
                f"{user.name} cannot enter {directory} (mode {mode:04o}), which {what}"
                f" {path} lies in",
                f"chmod o+x {shlex.quote(directory)}, or move it to a directory that is not"
                " private, such as one in /srv",
            )
            return


def check_executable(path: str, user: User) -> Iterator[Finding]:
    """That the user may execute the script, where its file system lets anybody."""
    if list(check_directories(path, user)):
        return  # nothing behind a closed directory can be asked for
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if not user.may(os.X_OK, path):
        if mode & 0o111:
            text = f"{user.name} may not execute {path} (mode {mode:04o})"
        else:
            text = f"{path} has no execute bit (mode {mode:04o})"
        yield fault("not-executable", text, f"chmod 755 {shlex.quote(path)}")
    elif not_for_programs(path):
        yield fault(
            "noexec",
            f"{path} is on a file system that is mounted with noexec",
            "move the script to another one, or mount this one with exec",
        )


def not_for_programs(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & getattr(os, "ST_NOEXEC", 0))


def check_writable(path: str) -> Iterator[Finding]:
    """That not everybody on the machine can change what runs as the Web server's user."""
    quoted = shlex.quote(path)
    if os.stat(path).st_mode & ANYBODY_MAY_WRITE:
        yield fault(
            "writable-script",
            f"anybody on this machine can change {path}, and so run programs as the Web server",
            f"chmod o-w {quoted}",
        )
    directory = os.path.dirname(os.path.realpath(path))
    mode = os.stat(directory).st_mode
    if mode & ANYBODY_MAY_WRITE and not mode & stat.S_ISVTX:
        yield fault(
            "writable-directory",
            f"anybody on this machine can put another file in the place of {path}: its directory"
            f" is open to all (mode {stat.S_IMODE(mode):04o})",
            f"chmod o-w {shlex.quote(directory)}",
        )

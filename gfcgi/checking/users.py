"""The user whose rights count: the Web server's."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gfcgi.errors import ConfigError

__all__ = ["User", "find_user"]

WEB_SERVERS_USERS: Final = ("www-data", "apache", "httpd", "http", "_www", "nginx", "nobody")
"""What distributions call the user that Apache runs as, Debian's first."""

BITS: Final = {os.R_OK: 4, os.W_OK: 2, os.X_OK: 1}


@dataclass(frozen=True)
class User:
    """A user of this machine, and what that user may do with a file.

    root asks the kernel with the user's rights, so that access control lists count too. Anybody
    else can ask it only for himself; of other users the mode's bits say what they may do.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def can_be_used(self) -> bool:
        """Whether this process can start others with the user's rights."""
        return self.is_us or os.geteuid() == 0

    def may(self, mode: int, path: str) -> bool:
        """Whether the user may do what ``os.R_OK``, ``os.W_OK`` or ``os.X_OK`` says."""
        if self.is_us:
            return os.access(path, mode, effective_ids=True)
        if os.geteuid() == 0:
            with self._rights():
                return os.access(path, mode, effective_ids=True)
        try:
            return self._bits_say(mode, os.stat(path))
        except OSError:
            return False

    def sees(self, path: str) -> bool:
        """Whether the path leads to something for this user: every directory can be entered."""
        if os.geteuid() == 0 and not self.is_us:
            with self._rights():
                return os.path.lexists(path)
        return os.path.lexists(path)

    def _bits_say(self, mode: int, status: os.stat_result) -> bool:
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid in self.groups else 0
        return bool(stat.S_IMODE(status.st_mode) >> shift & BITS[mode])

    @contextmanager
    def _rights(self) -> Iterator[None]:
        before = os.getgroups(), os.getegid()
        os.setgroups(self.groups)
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(before[1])
            os.setgroups(before[0])


def find_user(name: str | None) -> User:
    """The user of this name; without one, root gets the Web server's, others themselves.

    Raises: ConfigError.
    """
    if name is None:
        if os.geteuid() != 0:
            return _user(pwd.getpwuid(os.geteuid()))
        for known in WEB_SERVERS_USERS:
            try:
                return _user(pwd.getpwnam(known))
            except KeyError:
                continue
        return _user(pwd.getpwuid(0))
    try:
        if name.isascii() and name.isdigit():
            return _user(pwd.getpwuid(int(name)))
        return _user(pwd.getpwnam(name))
    except (KeyError, OverflowError):
        raise ConfigError(
            f"{name}: there is no such user", option="user", source="--user"
        ) from None


def _user(entry: pwd.struct_passwd) -> User:
    groups = {entry.pw_gid, *(g.gr_gid for g in grp.getgrall() if entry.pw_name in g.gr_mem)}
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))

"""UNIX sockets and their files.

The file outlives its process. One that is in our way is replaced only if nobody listens there any
more, which a connect shows; one that we made is removed when we are done, if it is still the one
we made.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gfcgi.addresses import UnixAddress
from gfcgi.errors import ConfigError
from gfcgi.options import Options

__all__ = ["SocketFile", "listen_privately", "listen_unix"]

LOCK_SECONDS: Final = 5.0
"""How long another process may hold the directory's lock; binding takes it milliseconds."""


@dataclass(frozen=True)
class SocketFile:
    """A UNIX socket's file that this process made."""

    path: str
    identity: tuple[int, int, int]
    pid: int
    directory: str | None = None  # made for this file alone, and removed with it

    @classmethod
    def at(cls, path: str, directory: str | None = None) -> SocketFile:
        return cls(path, _identity(path), os.getpid(), directory)

    def remove(self) -> None:
        """Remove the file if it is still ours: not another's in its place, not our parent's."""
        if os.getpid() != self.pid:
            return
        try:
            if _identity(self.path) == self.identity:
                os.unlink(self.path)
            if self.directory is not None:
                os.rmdir(self.directory)
        except OSError:
            pass  # gone already, or in a place where we may no longer write


def _identity(path: str) -> tuple[int, int, int]:
    """Device, inode and time of creation: the number of an inode is soon given out again."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino, status.st_mtime_ns


def listen_unix(address: UnixAddress, options: Options) -> tuple[socket.socket, SocketFile | None]:
    """Listen at ``address``, in place of a stale socket file. Raises ConfigError, OSError."""
    if address.abstract:
        return _bind(address, options), None
    try:
        with _directory_locked(os.path.dirname(address.path)):
            _make_way(address, options)
            sock = _bind(address, options)
            return sock, SocketFile.at(address.path)
    except FileNotFoundError:
        raise _refused(
            f"there is no directory {os.path.dirname(address.path)}", address, options
        ) from None


def listen_privately(options: Options) -> tuple[socket.socket, SocketFile]:
    """Listen on a UNIX socket in a new directory that only this user can enter."""
    directory = tempfile.mkdtemp(prefix="gfcgi-")
    address = UnixAddress(f"{directory}/fastcgi.sock")
    try:
        sock = _bind(address, options, private=True)
        return sock, SocketFile.at(address.path, directory)
    except BaseException:
        os.rmdir(directory)
        raise


def _refused(reason: str, address: UnixAddress, options: Options) -> ConfigError:
    return ConfigError(f"{address}: {reason}", option="bind", source=options.source_of("bind"))


@contextmanager
def _directory_locked(path: str) -> Iterator[None]:
    """Of two processes that start at once, neither shall take the other's socket file for stale
    in the moment when it is bound and does not listen yet."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield  # a directory that we may write to and not read
        return
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:  # who holds it for longer is not binding a socket
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
        yield
    finally:
        os.close(fd)


def _make_way(address: UnixAddress, options: Options) -> None:
    """Remove a socket file that nobody listens on; refuse if there is anything else."""
    try:
        status = os.lstat(address.path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise _refused("this file is no socket, and is left alone", address, options)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
        except BlockingIOError:
            reason = "another process listens there already, and is busy"
        except PermissionError:
            reason = "another user's socket, and whether it is in use cannot be seen"
        else:
            reason = f"{_listening_process(probe)} listens there already"
    raise _refused(reason, address, options)


def _listening_process(connected: socket.socket) -> str:
    """Who listens at the other end, as the kernel says (SO_PEERCRED, unix(7))."""
    layout = struct.Struct("iII")
    pid, uid, _ = layout.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
    )
    try:
        return f"process {pid} of {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"process {pid} of uid {uid}"


def _bind(address: UnixAddress, options: Options, *, private: bool = False) -> socket.socket:
    """Bind, give the file its owner and mode, and only then listen: nobody gets in before."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.sockaddr)
        try:
            if not address.abstract and not private:
                _hand_over(address.path, options)
            sock.listen(options.backlog)
        except BaseException:
            if not address.abstract:
                os.unlink(address.path)
            raise
    except BaseException:
        sock.close()
        raise
    return sock


def _hand_over(path: str, options: Options) -> None:
    if options.socket_owner is not None:
        uid = _number_of(options.socket_owner, "socket_owner", options)
        _chown(path, uid, -1, "socket_owner", options)
    if options.socket_group is not None:
        gid = _number_of(options.socket_group, "socket_group", options)
        _chown(path, -1, gid, "socket_group", options)
    if options.socket_mode is not None:
        os.chmod(path, options.socket_mode)


def _number_of(name: str, option: str, options: Options) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        if option == "socket_owner":
            return pwd.getpwnam(name).pw_uid
        return grp.getgrnam(name).gr_gid
    except KeyError:
        kind = "user" if option == "socket_owner" else "group"
        raise ConfigError(
            f"{name}: there is no such {kind}", option=option, source=options.source_of(option)
        ) from None


def _chown(path: str, uid: int, gid: int, option: str, options: Options) -> None:
    try:
        os.chown(path, uid, gid)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"{getattr(options, option)}: {path} cannot be given away: {error}",
            option=option,
            source=options.source_of(option),
        ) from None

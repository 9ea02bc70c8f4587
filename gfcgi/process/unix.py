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
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from gfcgi.addresses import UnixAddress
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.sockets import peer_credentials

__all__ = ["SocketFile", "listen_privately", "listen_unix"]

LOCK_SECONDS: Final = 5.0
"""How long another process may hold the directory's lock; binding takes it milliseconds."""

_DESCRIPTORS: Final = "/proc/self/fd"
"""Its entries lead to the very files that are open, whatever has their names by now (proc(5))."""

_REPLACED: Final = "somebody removed the socket's file or put another one in its place"


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
    """Listen on a UNIX socket in a new directory that only this user can enter. Raises OSError."""
    directory = tempfile.mkdtemp(prefix="gfcgi-")
    address = UnixAddress(f"{directory}/fastcgi.sock")
    try:
        sock = _bind(address, options, private=True)
        return sock, SocketFile.at(address.path, directory)
    except OSError as error:
        os.rmdir(directory)
        error.filename = directory  # a path that is too long is not named
        raise
    except BaseException:
        os.rmdir(directory)
        raise


def _refused(reason: str, address: UnixAddress, options: Options) -> ConfigError:
    return ConfigError(f"{address}: {reason}", option="bind", source=options.source_of("bind"))


@contextmanager
def _directory_locked(path: str) -> Iterator[None]:
    """Lock the directory: a socket that is bound but does not listen yet looks stale."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield  # a directory that we may write to and not read
        return
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:  # a process that holds it for longer is not binding
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
    """Name who listens at the other end."""
    peer = peer_credentials(connected)
    if peer is None:
        return "another process"
    try:
        return f"process {peer.pid} of {pwd.getpwuid(peer.uid).pw_name} (uid {peer.uid})"
    except KeyError:
        return f"process {peer.pid} of uid {peer.uid}"


def _bind(address: UnixAddress, options: Options, *, private: bool = False) -> socket.socket:
    """Bind, give the file its mode and owner, and only then listen: nobody gets in before."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mode = None if address.abstract or private else options.socket_mode
    try:
        with _files_made_with(mode):
            sock.bind(address.sockaddr)
        try:
            if not address.abstract and not private:
                try:
                    _hand_over(address, options)
                except FileNotFoundError:
                    raise _refused(_REPLACED, address, options) from None
                except NotImplementedError:  # Linux without /proc
                    reason = "the directory's ACL gives the socket's file another mode"
                    raise _refused(reason, address, options) from None
            sock.listen(options.backlog)
        except BaseException:
            if not address.abstract:
                with suppress(OSError):
                    os.unlink(address.path)
            raise
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _files_made_with(mode: int | None) -> Iterator[None]:
    """Let sockets that the body binds have this mode from the first moment; None: as it comes."""
    if mode is None:
        yield
        return
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def _hand_over(address: UnixAddress, options: Options) -> None:
    """Give the file to its owner and group.

    The owner of the directory may put a link or another file in its place at any moment, and root
    must not give that away. So the file is opened, looked at, and changed by its descriptor.
    """
    to_whom = (options.socket_owner, options.socket_group)
    if options.socket_mode is None and to_whom == (None, None):
        return
    with _opened(address.path) as file:
        status = os.fstat(file) if isinstance(file, int) else os.lstat(file)
        mode = options.socket_mode
        if mode == stat.S_IMODE(status.st_mode):
            mode = None
        if mode is None and to_whom == (None, None):
            return
        # A second name is a hard link: to another socket of ours, maybe.
        ours = status.st_uid == os.geteuid() and status.st_nlink == 1
        if not (stat.S_ISSOCK(status.st_mode) and ours):
            raise _refused(_REPLACED, address, options)
        if mode is not None:  # the directory's ACL decided, and not the umask
            _change_mode(file, mode)
        if options.socket_owner is not None:
            uid = _number_of(options.socket_owner, "socket_owner", options)
            _chown(file, uid, -1, "socket_owner", address, options)
        if options.socket_group is not None:
            gid = _number_of(options.socket_group, "socket_group", options)
            _chown(file, -1, gid, "socket_group", address, options)


@contextmanager
def _opened(path: str) -> Iterator[int | str]:
    """A descriptor that stands for the file itself, and for a link itself.

    Where the system has none, it is the path.
    """
    flags = getattr(os, "O_PATH", None)
    if flags is None or not os.path.isdir(_DESCRIPTORS):
        yield path
        return
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _change_mode(file: int | str, mode: int) -> None:
    if isinstance(file, int):
        os.chmod(f"{_DESCRIPTORS}/{file}", mode)
    else:
        os.chmod(file, mode, follow_symlinks=False)


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


def _chown(
    file: int | str, uid: int, gid: int, option: str, address: UnixAddress, options: Options
) -> None:
    try:
        if isinstance(file, int):  # fchown(2) takes no descriptor that is a path alone
            os.chown(f"{_DESCRIPTORS}/{file}", uid, gid)
        else:
            os.chown(file, uid, gid, follow_symlinks=False)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{getattr(options, option)}: {address.path} cannot be given away: {reason}"
            + (_what_users_can_do() if isinstance(error, PermissionError) else ""),
            option=option,
            source=options.source_of(option),
        ) from None


def _what_users_can_do() -> str:
    """Only root can give any file to anybody; what is left for everybody else."""
    if os.geteuid() == 0:
        return ""
    groups = []
    for gid in sorted({os.getegid(), *os.getgroups()}):
        try:
            groups.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            groups.append(str(gid))
    return (
        f"; only root can do that. Your own groups work with --socket-group: {', '.join(groups)};"
        " or start it as the Web server's user, or let everybody in with --socket-mode 0666 in a"
        " directory that only the Web server and you can enter"
    )

"""gfcgi.process.unix: a socket file is made, replaced and removed only where that harms nobody."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import socket
import stat
import threading
from dataclasses import replace

import pytest

from gfcgi.addresses import UnixAddress
from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import unix
from gfcgi.process.unix import listen_privately, listen_unix


@pytest.fixture
def address(tmp_path):
    return UnixAddress(str(tmp_path / "app.sock"))


def connects(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        return sock.connect_ex(path) == 0


def stale_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()


def test_it_listens_and_removes_its_file_when_done(address):
    sock, file = listen_unix(address, Options())
    with sock:
        assert connects(address.path)
    file.remove()
    assert not os.path.lexists(address.path)
    file.remove()


def test_an_abstract_socket_leaves_no_file():
    address = UnixAddress(f"@gfcgi-test-{os.getpid()}")
    sock, file = listen_unix(address, Options(socket_mode="0600"))
    with sock:
        assert file is None
        assert connects(address.sockaddr)


def test_an_abstract_name_in_use_is_an_error():
    address = UnixAddress(f"@gfcgi-test-{os.getpid()}")
    with listen_unix(address, Options())[0], pytest.raises(OSError, match="already in use"):
        listen_unix(address, Options())


def test_a_stale_socket_file_is_replaced(address):
    stale_socket(address.path)
    sock, _ = listen_unix(address, Options())
    with sock:
        assert connects(address.path)


def test_a_live_socket_is_left_alone_and_its_process_named(address):
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(address.path)
        live.listen()
        with pytest.raises(ConfigError) as caught:
            listen_unix(address, Options())
        assert connects(address.path)
    user = pwd.getpwuid(os.getuid()).pw_name
    who = f"process {os.getpid()} of {user} (uid {os.getuid()}) listens there already"
    assert str(caught.value) == f"bind=: {address}: {who}"


def test_a_live_socket_is_left_alone_where_the_kernel_does_not_say_whose_it_is(
    address, monkeypatch
):
    """As on macOS."""
    monkeypatch.delattr(socket, "SO_PEERCRED")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(address.path)
        live.listen()
        with pytest.raises(ConfigError, match=r"another process listens there already$"):
            listen_unix(address, Options())


def test_a_live_socket_of_a_user_without_a_name_is_named_by_number(address, monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(address.path)
        live.listen()
        with pytest.raises(ConfigError, match=rf"process {os.getpid()} of uid {os.getuid()} "):
            listen_unix(address, Options())


def test_a_live_socket_whose_queue_is_full_is_left_alone(address):
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(address.path)
        live.listen(0)
        waiting = []
        try:
            while True:
                sock = socket.socket(socket.AF_UNIX)
                waiting.append(sock)
                sock.setblocking(False)
                if sock.connect_ex(address.path) == errno.EAGAIN:
                    break
            with pytest.raises(ConfigError, match="listens there already, and is busy"):
                listen_unix(address, Options())
        finally:
            for sock in waiting:
                sock.close()
    assert os.path.exists(address.path)


def test_a_socket_that_may_not_be_connected_to_is_left_alone(address, monkeypatch):
    stale_socket(address.path)

    class Forbidden(socket.socket):
        def connect(self, place):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(unix.socket, "socket", Forbidden)
    with pytest.raises(ConfigError, match="cannot be seen"):
        listen_unix(address, Options())
    assert os.path.exists(address.path)


@pytest.mark.parametrize("make", ["file", "directory", "link"])
def test_what_is_no_socket_is_never_removed(address, make, tmp_path):
    if make == "file":
        (tmp_path / "app.sock").write_text("precious")
    elif make == "directory":
        (tmp_path / "app.sock").mkdir()
    else:
        os.symlink("/nowhere", address.path)
    with pytest.raises(ConfigError, match="this file is no socket, and is left alone"):
        listen_unix(address, Options())
    assert os.path.lexists(address.path)


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(ConfigError, match=f"there is no directory {tmp_path}/none"):
        listen_unix(UnixAddress(f"{tmp_path}/none/app.sock"), Options())


def test_another_file_in_the_same_place_is_not_removed(address):
    sock, file = listen_unix(address, Options())
    sock.close()
    os.unlink(address.path)
    stale_socket(address.path)
    file.remove()
    assert os.path.exists(address.path)


def test_a_child_does_not_remove_its_parents_file(address):
    sock, file = listen_unix(address, Options())
    with sock:
        replace(file, pid=os.getpid() + 1).remove()
        assert os.path.exists(address.path)


def test_a_file_that_cannot_be_removed_at_the_end_is_no_error(address):
    sock, file = listen_unix(address, Options())
    sock.close()
    os.unlink(address.path)
    os.rmdir(os.path.dirname(address.path))
    file.remove()


def test_the_file_has_its_mode_before_anybody_can_connect(address, monkeypatch):
    seen = []
    listen = socket.socket.listen

    def noting(self, backlog):
        seen.append(stat.S_IMODE(os.stat(address.path).st_mode))
        listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", noting)
    listen_unix(address, Options(socket_mode="0660"))[0].close()
    assert seen == [0o660]


def test_without_a_mode_the_umask_decides(address):
    before = os.umask(0o027)
    try:
        listen_unix(address, Options())[0].close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(address.path).st_mode) == 0o750


def test_owner_and_group_are_given_by_name_or_number(address, monkeypatch):
    given = []

    def chown(path, uid, gid):
        given.append((os.readlink(path), uid, gid))

    monkeypatch.setattr(os, "chown", chown)
    root = Options(socket_owner="root", socket_group="root")
    listen_unix(address, root)[0].close()
    listen_unix(address, Options(socket_owner="12", socket_group=34))[0].close()
    path = address.path
    assert given == [(path, 0, -1), (path, -1, 0), (path, 12, -1), (path, -1, 34)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"socket_owner": "no such"}, "socket_owner=: no such: there is no such user"),
        ({"socket_group": "no such"}, "socket_group=: no such: there is no such group"),
    ],
)
def test_an_unknown_owner_is_refused_and_no_file_left(address, options, reason):
    with pytest.raises(ConfigError) as caught:
        listen_unix(address, Options(**options))
    assert str(caught.value) == reason
    assert not os.path.lexists(address.path)


def test_a_file_that_cannot_be_given_away_is_refused_and_not_left(address, monkeypatch):
    def forbidden(path, uid, gid):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", forbidden)
    with pytest.raises(ConfigError, match=r"socket_group=: 1: .* cannot be given away"):
        listen_unix(address, Options(socket_group="1"))
    assert not os.path.lexists(address.path)


def swapped_after_bind(monkeypatch, swap):
    """Have ``swap`` run between bind and whatever is done to the socket's file next."""
    bind = socket.socket.bind

    def binding(self, place):
        bind(self, place)
        with monkeypatch.context() as within:
            within.setattr(socket.socket, "bind", bind)
            swap()

    monkeypatch.setattr(socket.socket, "bind", binding)


def link_to(precious, address):
    os.rename(address.path, f"{address.path}.away")
    os.symlink(precious, address.path)


def hard_link_to_another_socket(precious, address):
    os.unlink(address.path)
    stale_socket(f"{precious}.sock")
    os.chmod(f"{precious}.sock", 0o600)
    os.link(f"{precious}.sock", address.path)


def another_file(precious, address):
    os.unlink(address.path)
    os.rename(precious, address.path)
    os.link(address.path, precious)


def nothing(precious, address):
    os.unlink(address.path)


@pytest.mark.parametrize("descriptors", [True, False], ids=["by descriptor", "by path"])
@pytest.mark.parametrize("swap", [link_to, hard_link_to_another_socket, another_file, nothing])
@pytest.mark.parametrize(
    "given", [{"socket_owner": "12"}, {"socket_group": "34"}, {"socket_mode": "0666"}]
)
def test_only_the_socket_itself_is_given_away(
    address, tmp_path, monkeypatch, swap, given, descriptors
):
    """Whoever owns the directory can put anything in the socket's place, at any moment."""
    precious = tmp_path / "precious"
    precious.write_text("of root")
    precious.chmod(0o600)
    before = os.stat(precious)
    changed = []
    monkeypatch.setattr(os, "chown", lambda *place, **how: changed.append(place))
    if not descriptors:
        monkeypatch.setattr(unix, "_DESCRIPTORS", f"{tmp_path}/none")
    swapped_after_bind(monkeypatch, lambda: swap(str(precious), address))
    with pytest.raises(ConfigError, match="put another one in its place"):
        listen_unix(address, Options(**given))
    assert changed == []
    after = os.stat(precious)
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_the_file_that_was_looked_at_is_the_one_that_is_given_away(address, tmp_path, monkeypatch):
    """The swap comes between the look and the change."""
    precious = tmp_path / "precious"
    precious.write_text("of root")
    fstat, given = os.fstat, []

    def looking(fd):
        status = fstat(fd)
        link_to(str(precious), address)
        return status

    def chown(path, uid, gid):
        given.append((os.stat(path).st_ino, uid))

    monkeypatch.setattr(os, "fstat", looking)
    monkeypatch.setattr(os, "chown", chown)
    listen_unix(address, Options(socket_owner="12"))[0].close()
    assert given == [(os.lstat(f"{address.path}.away").st_ino, 12)]


def test_without_descriptors_that_are_paths_links_are_not_followed(address, tmp_path, monkeypatch):
    """As on macOS, or without /proc."""
    given = []

    def chown(path, uid, gid, *, follow_symlinks):
        given.append((path, uid, gid, follow_symlinks))

    monkeypatch.setattr(os, "chown", chown)
    monkeypatch.setattr(unix, "_DESCRIPTORS", f"{tmp_path}/none")
    listen_unix(address, Options(socket_owner="12", socket_group="34"))[0].close()
    assert given == [(address.path, 12, -1, False), (address.path, -1, 34, False)]


def test_the_file_has_its_mode_from_the_first_moment(address, monkeypatch):
    seen = []
    swapped_after_bind(
        monkeypatch, lambda: seen.append(stat.S_IMODE(os.stat(address.path).st_mode))
    )
    before = os.umask(0o022)
    try:
        listen_unix(address, Options(socket_mode="0660"))[0].close()
        listen_unix(address, Options(socket_mode="0606"))[0].close()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert seen == [0o660, 0o606]


@pytest.mark.parametrize("follows", ["never", "may"])
def test_where_the_umask_does_not_decide_the_mode_is_changed_or_it_is_refused(
    address, tmp_path, monkeypatch, follows
):
    """As in a directory with a default ACL."""
    monkeypatch.setattr(os, "umask", lambda mask: 0)
    if follows == "never":
        listen_unix(address, Options(socket_mode="0640"))[0].close()
        assert stat.S_IMODE(os.stat(address.path).st_mode) == 0o640
        return

    def chmod(path, mode, *, follow_symlinks):
        raise NotImplementedError

    monkeypatch.setattr(unix, "_DESCRIPTORS", f"{tmp_path}/none")
    monkeypatch.setattr(os, "chmod", chmod)
    with pytest.raises(ConfigError, match="ACL gives the socket's file another mode"):
        listen_unix(address, Options(socket_mode="0640"))
    assert not os.path.lexists(address.path)


def test_a_number_beyond_the_kernels_is_refused(address):
    with pytest.raises(ConfigError, match="socket_owner=: 99999999999999999999: "):
        listen_unix(address, Options(socket_owner=99999999999999999999))


def test_binding_waits_for_a_process_that_is_binding_in_the_same_directory(address, tmp_path):
    """Between bind and listen a socket looks stale; the lock keeps others from looking."""
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    made = []
    thread = threading.Thread(target=lambda: made.append(listen_unix(address, Options())))
    thread.start()
    thread.join(0.2)
    assert made == []
    assert not os.path.exists(address.path)
    os.close(holder)
    thread.join(30)
    made[0][0].close()
    assert os.path.exists(address.path)


def test_a_lock_that_is_never_released_is_not_waited_for_forever(address, tmp_path, monkeypatch):
    monkeypatch.setattr(unix, "LOCK_SECONDS", 0.05)
    holder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        listen_unix(address, Options())[0].close()
    finally:
        os.close(holder)
    assert os.path.exists(address.path)


def test_a_directory_that_cannot_be_read_is_not_locked(address, monkeypatch):
    open_ = os.open

    def forbidden(path, flags):
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, flags)

    monkeypatch.setattr(os, "open", forbidden)
    listen_unix(address, Options())[0].close()
    assert os.path.exists(address.path)


def test_a_private_socket_is_in_a_directory_of_its_own_and_both_go():
    sock, file = listen_privately(Options(socket_mode="0666", socket_owner="no such"))
    directory = os.path.dirname(file.path)
    with sock:
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
        assert connects(file.path)
    file.remove()
    assert not os.path.lexists(directory)


def test_neither_file_nor_name_is_left_where_listening_fails(address, monkeypatch):
    def full(self, backlog):
        raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(socket.socket, "listen", full)
    for place in (address, UnixAddress(f"@gfcgi-test-{os.getpid()}")):
        with pytest.raises(OSError, match="No buffer space"):
            listen_unix(place, Options())
    assert not os.path.lexists(address.path)


def test_no_directory_is_left_where_a_private_socket_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(unix.tempfile, "tempdir", str(tmp_path))

    def full(self, place):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(socket.socket, "bind", full)
    with pytest.raises(OSError, match="No space left"):
        listen_privately(Options())
    assert list(tmp_path.iterdir()) == []

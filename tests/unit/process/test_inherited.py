"""gfcgi.process.inherited: what was there when we started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from gfcgi.errors import ConfigError
from gfcgi.process import inherited
from gfcgi.process.inherited import (
    adopt,
    forget_listen_fds,
    is_cgi,
    is_listening,
    listen_fds,
    name_of,
    unused,
)
from gfcgi.process.listeners import adopt_all


def listener(family, address, kind=socket.SOCK_STREAM):
    sock = socket.socket(family, kind)
    sock.bind(address)
    sock.listen()
    return sock


@pytest.fixture(params=["unix", "abstract", "unnamed", "ipv4", "ipv6"])
def listening(request, tmp_path):
    path = str(tmp_path / "l.sock")
    abstract = f"\0gfcgi-test-{os.getpid()}"
    family, address = {
        "unix": (socket.AF_UNIX, path),
        "abstract": (socket.AF_UNIX, abstract),
        "unnamed": (socket.AF_UNIX, ""),
        "ipv4": (socket.AF_INET, ("127.0.0.1", 0)),
        "ipv6": (socket.AF_INET6, ("::1", 0)),
    }[request.param]
    with listener(family, address) as sock:
        yield sock


def test_a_listening_stream_socket_of_any_family_is_told(listening):
    assert is_listening(listening.fileno())
    assert listening.fileno() >= 0


def test_looking_leaves_no_descriptor_open(tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    with socket.create_server(("127.0.0.1", 0)) as sock, open(tmp_path / "f", "w") as file:
        during = count()
        assert is_listening(sock.fileno())
        assert not is_listening(file.fileno())
        assert count() == during
    assert count() == before


def test_what_does_not_listen_is_told():
    left, right = socket.socketpair()
    reading, writing = os.pipe()
    with left, right, socket.socket() as unbound, socket.socket(type=socket.SOCK_DGRAM) as udp:
        for sock in (left, unbound, udp):
            assert not is_listening(sock.fileno())
        assert not is_listening(reading)
    for fd in (reading, writing):
        os.close(fd)
        assert not is_listening(fd)


def test_a_seqpacket_listener_is_none_of_ours():
    with listener(socket.AF_UNIX, f"\0gfcgi-seq-{os.getpid()}", socket.SOCK_SEQPACKET) as sock:
        assert not is_listening(sock.fileno())
        with pytest.raises(ValueError, match="no listening stream socket"):
            adopt(sock.fileno())


def test_names_are_as_a_person_writes_them(tmp_path):
    path = str(tmp_path / "l.sock")
    with listener(socket.AF_UNIX, path) as sock:
        assert name_of(sock) == f"unix:{path}"
    with listener(socket.AF_UNIX, "\0gfcgi-test-name") as sock:
        assert name_of(sock) == "unix:@gfcgi-test-name"
    with listener(socket.AF_INET6, ("::1", 0)) as sock:
        assert name_of(sock) == f"[::1]:{sock.getsockname()[1]}"

    class Other:
        family = -1

        def getsockname(self):
            return (2, 9000)

    assert name_of(Other()) == "(2, 9000)"


def test_descriptor_0_becomes_dev_null_once_its_socket_is_ours():
    """In a process of its own: this one keeps its standard input."""
    script = (
        "import os\n"
        "from gfcgi.process.inherited import adopt, is_listening\n"
        "mine = adopt(0)\n"
        "assert mine.fileno() > 2 and is_listening(mine.fileno())\n"
        "assert not os.get_inheritable(mine.fileno())\n"
        "assert os.read(0, 1) == b''\n"
        "assert os.path.samestat(os.fstat(0), os.stat(os.devnull))\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        done = subprocess.run(
            [sys.executable, "-c", script], stdin=sock, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_socket_of_another_family_is_refused_by_its_name(monkeypatch):
    """Whoever connects there has no address that allow_from could name."""
    with listener(socket.AF_INET, ("127.0.0.1", 0)) as sock:
        monkeypatch.setattr(inherited, "_family", lambda fd: socket.AF_VSOCK)
        line = f"descriptor {sock.fileno()} listens on AF_VSOCK; gfcgi serves UNIX sockets and TCP"
        with pytest.raises(ConfigError, match=f"^{line}$"):
            adopt_all([sock.fileno()])
        monkeypatch.setattr(inherited, "_family", lambda fd: 99)
        with pytest.raises(ValueError, match=r"listens on family 99;"):
            adopt(sock.fileno())


def test_a_vsock_listener_on_descriptor_0_is_one_line():
    """Where the kernel has no vsock, this one cannot be tried."""
    try:
        sock = listener(socket.AF_VSOCK, (socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    except OSError as error:
        pytest.skip(f"no vsock: {error}")
    script = "import gfcgi; gfcgi.run(lambda environ, start_response: [])"
    with sock:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdin=sock,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    line = "gfcgi: descriptor 0 listens on AF_VSOCK; gfcgi serves UNIX sockets and TCP\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_cgi_environment_is_told_by_two_variables_together():
    assert is_cgi({"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"})
    assert not is_cgi({"GATEWAY_INTERFACE": "CGI/1.1"})
    assert not is_cgi({"REQUEST_METHOD": "GET"})
    assert not is_cgi({})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_listen_fds_that_are_not_for_this_process_are_passed_over(environ):
    assert listen_fds(environ) == ()


def test_listen_fds_are_counted_from_3_and_must_all_listen(monkeypatch):
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())}
    monkeypatch.setattr("gfcgi.process.inherited.is_listening", lambda fd: fd != 4)
    with pytest.raises(ConfigError, match=r"^LISTEN_FDS: 2: descriptor 4 is no .*Accept=no"):
        listen_fds(environ)
    monkeypatch.setattr("gfcgi.process.inherited.is_listening", lambda fd: True)
    assert listen_fds(environ) == (3, 4)


def test_the_variables_are_not_passed_on():
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "web", "PATH": "/bin"}
    forget_listen_fds(environ)
    assert environ == {"PATH": "/bin"}
    forget_listen_fds(environ)


def test_an_absurd_number_of_descriptors_is_refused_at_the_first_that_does_not_listen():
    with pytest.raises(ConfigError, match=r"^LISTEN_FDS: 99999999: descriptor \d+ is no listening"):
        listen_fds({"LISTEN_FDS": "99999999", "LISTEN_PID": str(os.getpid())})


def test_sockets_that_are_handed_over_and_not_served_are_named():
    mine = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    assert unused(mine, (3,)) == []
    assert unused({}, ()) == []
    assert unused(mine, ()) == ["the sockets of LISTEN_FDS are not used"]
    (line,) = unused({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, (0,))
    assert line.startswith(
        "the sockets of LISTEN_FDS are not used: LISTEN_PID=1 is another process"
    )


@pytest.mark.parametrize(("kind", "named"), [("tcp", True), ("unix", True), ("pair", False)])
def test_a_connected_socket_on_descriptor_0_is_named(tmp_path, kind, named):
    """As inetd and Accept=yes have it; a pair is what other programs use for pipes."""
    script = "from gfcgi.process.inherited import unused; print(unused({}, ()))"
    with ExitStack() as opened:
        if kind == "pair":
            theirs, ours = map(opened.enter_context, socket.socketpair())
        else:
            family, address = {
                "tcp": (socket.AF_INET, ("127.0.0.1", 0)),
                "unix": (socket.AF_UNIX, str(tmp_path / "l.sock")),
            }[kind]
            sock = opened.enter_context(listener(family, address))
            theirs = opened.enter_context(socket.socket(family))
            theirs.connect(sock.getsockname())
            ours = opened.enter_context(sock.accept()[0])
        done = subprocess.run(
            [sys.executable, "-c", script], stdin=ours, capture_output=True, text=True, check=True
        )
    assert ("descriptor 0 is a connected socket" in done.stdout) is named, done.stdout

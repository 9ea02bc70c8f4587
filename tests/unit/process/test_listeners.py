"""gfcgi.process.listeners: listen where the options say, or leave nothing open."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import listeners as module
from gfcgi.process.listeners import adopt_all, bind_all, private_listener


def accepts(sock):
    with socket.socket(sock.family) as caller:
        caller.settimeout(5)
        return caller.connect_ex(sock.getsockname()) == 0


@pytest.fixture
def closing():
    opened = []
    yield opened.extend
    for listener in opened:
        listener.close()


def test_every_address_is_listened_on(tmp_path, closing):
    listeners = bind_all(Options(bind=[f"unix:{tmp_path}/a.sock", "127.0.0.1:0"]))
    closing(listeners)
    unix, tcp = listeners
    assert unix.name == f"unix:{tmp_path}/a.sock"
    assert tcp.name == f"127.0.0.1:{tcp.socket.getsockname()[1]}"
    for listener in listeners:
        assert accepts(listener.socket)
        assert not listener.inherited
        assert not listener.open_to_all
    unix.close()
    assert not os.path.exists(f"{tmp_path}/a.sock")


def test_an_ipv6_address_is_listened_on_for_ipv6_alone(closing):
    (listener,) = listeners = bind_all(Options(bind="[::1]:0"))
    closing(listeners)
    assert listener.name.startswith("[::1]:")
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert accepts(listener.socket)


def test_a_name_is_listened_on_at_all_its_addresses(monkeypatch, closing):
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    listeners = bind_all(Options(bind="localhost:0"))
    closing(listeners)
    assert [listener.socket.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET]


def no_ipv6(monkeypatch, number):
    listen_at = module._listen_at

    def listen(family, place, options):
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return listen_at(family, place, options)

    monkeypatch.setattr(module, "_listen_at", listen)


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_an_address_that_this_machine_does_not_have_is_passed_over(monkeypatch, number, closing):
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    no_ipv6(monkeypatch, number)
    listeners = bind_all(Options(bind="localhost:0"))
    closing(listeners)
    assert [listener.socket.family for listener in listeners] == [socket.AF_INET]


def test_an_address_that_this_machine_does_not_have_is_an_error_when_alone(monkeypatch):
    no_ipv6(monkeypatch, errno.EADDRNOTAVAIL)
    with pytest.raises(ConfigError, match=r"bind=: \[::1\]:0: Cannot assign requested address"):
        bind_all(Options(bind="[::1]:0"))


def test_a_taken_port_is_an_error_that_names_the_address_and_leaves_nothing_open(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = Options.from_sources(
            command_line={"bind": [f"unix:{tmp_path}/a.sock", f"127.0.0.1:{port}"]}
        )
        with pytest.raises(ConfigError, match=rf"^--bind: 127.0.0.1:{port}: Address already in"):
            bind_all(options)
    assert list(tmp_path.iterdir()) == []


def test_the_first_address_of_a_name_is_closed_when_the_second_is_taken(monkeypatch):
    opened = []
    listen_at = module._listen_at

    def listen(family, place, options):
        if opened:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        opened.append(listen_at(family, place, options))
        return opened[0]

    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    monkeypatch.setattr(module, "_listen_at", listen)
    with pytest.raises(ConfigError, match="Address already in use"):
        bind_all(Options(bind="localhost:0"))
    assert opened[0].socket.fileno() == -1


def test_a_name_that_is_not_known_is_an_error(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError, match="bind=: nowhere:1: Name or service not known"):
        bind_all(Options(bind="nowhere:1"))


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_tcp_that_others_reach_is_refused_without_allow_from_and_the_reason_said(address):
    with pytest.raises(ConfigError, match="REMOTE_USER") as caught:
        bind_all(Options(bind=address))
    assert "--allow-from" in str(caught.value)


def test_tcp_that_others_reach_is_allowed_for_named_web_servers(closing):
    (listener,) = listeners = bind_all(Options(bind="0.0.0.0:0", allow_from="192.0.2.0/24"))
    closing(listeners)
    assert listener.open_to_all


def test_an_inherited_socket_is_taken_over(closing):
    with socket.create_server(("127.0.0.1", 0)) as given:
        name = f"127.0.0.1:{given.getsockname()[1]}"
        fd = given.detach()
    (listener,) = listeners = bind_all(Options(bind=f"fd:{fd}"))
    closing(listeners)
    assert listener.inherited
    assert not listener.removed_on_stop  # who gave this one keeps it
    assert listener.name == f"{name} (descriptor {fd})"
    assert listener.socket.fileno() == fd
    assert not os.get_inheritable(fd)
    assert accepts(listener.socket)


def test_a_descriptor_that_does_not_listen_is_refused():
    with pytest.raises(ConfigError, match="bind=: fd:99999: descriptor 99999 is no listening"):
        bind_all(Options(bind="fd:99999"))


def test_descriptors_known_to_listen_are_adopted(closing):
    fds = [socket.create_server(("127.0.0.1", 0)).detach() for _ in range(2)]
    listeners = adopt_all(fds)
    closing(listeners)
    assert [listener.socket.fileno() for listener in listeners] == fds


@pytest.mark.parametrize("kind", ["too long", "none"])
def test_no_private_listener_is_one_line_that_names_the_directory(kind, tmp_path, monkeypatch):
    directory = tmp_path / ("x" * 120)
    directory.mkdir()

    def mkdtemp(prefix):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/a']")

    monkeypatch.setattr("tempfile.tempdir", str(directory))
    if kind == "none":
        monkeypatch.setattr("tempfile.mkdtemp", mkdtemp)
    with pytest.raises(ConfigError) as caught:
        private_listener(Options.from_sources(command_line={"http": "127.0.0.1:1"}))
    text = str(caught.value)
    assert text.startswith("--http: no UNIX socket can be made in the temporary directory")
    assert "TMPDIR" in text
    assert "\n" not in text
    assert (str(directory) in text) == (kind == "too long")
    assert list(directory.iterdir()) == []


def test_a_private_listener_goes_with_its_directory():
    listener = private_listener(Options())
    directory = os.path.dirname(listener.file.path)
    assert accepts(listener.socket)
    listener.close()
    assert not os.path.exists(directory)

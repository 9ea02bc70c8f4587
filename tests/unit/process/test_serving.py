"""gfcgi.process.serving: what is set up around the server, and cleaned up after it."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import socket
import sys
from types import ModuleType

import pytest

from gfcgi.errors import ConfigError
from gfcgi.options import Options
from gfcgi.process import serving
from gfcgi.process.listeners import Listener, bind_all
from gfcgi.process.parents import Starter
from gfcgi.process.serving import serve
from gfcgi.process.upkeep import Upkeep


class FakeServer:
    """Stands in for gfcgi.server.Server; ``during`` runs while it serves."""

    during = staticmethod(lambda server: None)

    def __init__(
        self,
        application,
        listeners,
        options,
        *,
        multiprocess,
        still_expected,
        may_accept,
        observers,
        own_pages,
        stack_of,
    ):
        self.application = application
        self.listeners = listeners
        self.options = options
        self.multiprocess = multiprocess
        self.still_expected = still_expected
        self.may_accept = may_accept
        self.observers = observers
        self.own_pages = own_pages
        self.stack_of = stack_of
        self.stopped = 0
        self.active_requests = 0
        self.waiting_requests = 0
        FakeServer.made.append(self)

    def stop(self):
        self.stopped += 1

    def serve(self):
        FakeServer.during(self)


class FakeFront:
    """Stands in for gfcgi.client.http.HttpFront."""

    error = None

    def __init__(self, address, connect, *, listener, allowed_hosts):
        self.address = address
        self.allowed_hosts = allowed_hosts
        self.connect = connect
        self.running = False
        FakeFront.made.append(self)

    def fileno(self):
        return 0  # some descriptor that is open

    def start(self):
        if FakeFront.error is not None:
            raise FakeFront.error
        self.running = True

    def stop(self, timeout_seconds=1.0):
        self.running = False


class FakeBackground:
    """Stands in for gfcgi.server.background.Background; works when it is woken."""

    def __init__(self, work, seconds):
        self.wake = work

    def start(self):
        pass

    stop = start


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    server, front = ModuleType("gfcgi.server"), ModuleType("gfcgi.client.http")
    server.Server, front.HttpFront = FakeServer, FakeFront
    background = ModuleType("gfcgi.server.background")
    background.Background = FakeBackground
    monkeypatch.setitem(sys.modules, "gfcgi.server.background", background)
    monkeypatch.setitem(sys.modules, "gfcgi.server", server)
    monkeypatch.setitem(sys.modules, "gfcgi.client.http", front)
    monkeypatch.setattr(FakeServer, "made", [], raising=False)
    monkeypatch.setattr(FakeServer, "during", staticmethod(lambda server: None))
    monkeypatch.setattr(FakeFront, "made", [], raising=False)
    monkeypatch.setattr(FakeFront, "error", None)
    monkeypatch.setattr(serving, "raise_nofile_limit", lambda options: None)


@pytest.fixture
def bound(tmp_path):
    options = Options(bind=f"unix:{tmp_path}/app.sock")
    return options, bind_all(options)


def start(options, listeners, http=None, starter=Starter.OTHER):
    serve(
        print,
        options,
        listeners,
        name="app.fcgi",
        started="started by a test",
        http=http,
        starter=starter,
    )
    return FakeServer.made[0]


def test_the_log_says_what_how_which_process_and_where(bound, caplog):
    caplog.set_level(logging.INFO, "gfcgi")
    start(*bound)
    first, second = caplog.messages
    assert first.endswith(f"serves app.fcgi: started by a test, process {os.getpid()}")
    assert second == f"listening on {bound[0].bind[0]}"


def test_sockets_are_closed_and_files_gone_afterwards_even_after_an_error(bound, tmp_path):
    def fail(server):
        assert os.path.exists(f"{tmp_path}/app.sock")
        raise RuntimeError("broken")

    FakeServer.during = staticmethod(fail)
    with pytest.raises(RuntimeError, match="broken"):
        start(*bound)
    assert bound[1][0].socket.fileno() == -1
    assert not os.path.exists(f"{tmp_path}/app.sock")


@pytest.mark.parametrize("inherited", [True, False])
def test_an_inherited_socket_may_be_served_by_other_processes_too(inherited):
    sock = socket.create_server(("127.0.0.1", 0))
    server = start(Options(), [Listener(sock, "x", inherited=inherited)])
    assert server.multiprocess is inherited


@pytest.mark.parametrize("removed_on_stop", [True, False])
def test_after_a_stop_others_are_expected_where_the_socket_goes_away_with_us(removed_on_stop):
    sock = socket.create_server(("127.0.0.1", 0))
    server = start(
        Options(), [Listener(sock, "x", inherited=True, removed_on_stop=removed_on_stop)]
    )
    assert (server.still_expected is not None) is removed_on_stop


@pytest.mark.parametrize("starter", Starter)
def test_a_connection_has_to_wait_only_where_a_web_server_has_started_the_process(bound, starter):
    server = start(*bound, starter=starter)
    assert (server.may_accept is not None) is (starter is Starter.WEB_SERVER)


def test_a_signal_stops_the_server_and_the_log_says_which(bound, caplog):
    caplog.set_level(logging.INFO, "gfcgi")
    FakeServer.during = staticmethod(lambda server: os.kill(os.getpid(), signal.SIGTERM))
    assert start(*bound).stopped == 1
    assert caplog.messages[-1] == "stopped by SIGTERM"


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("starter", Starter)
def test_apaches_signals_stop_what_a_web_server_started_and_nothing_else(
    bound, monkeypatch, signum, starter
):
    asked = []
    monkeypatch.setattr(Upkeep, "ask", lambda upkeep, reason: asked.append(reason))
    monkeypatch.setattr(Upkeep, "reopen", lambda upkeep: asked.append("reopen"))
    FakeServer.during = staticmethod(lambda server: os.kill(os.getpid(), signum))
    server = start(*bound, starter=starter)
    stops = starter is not Starter.OTHER
    assert server.stopped == int(stops)
    expected = "SIGHUP" if signum == signal.SIGHUP else "reopen"
    assert asked == ([] if stops else [expected])


@pytest.fixture
def renewed(monkeypatch):
    """What a process would be started again with."""
    done = []

    def start_again(kept):
        done.append(
            [(came_as, os.path.exists(f"/proc/self/fd/{fd}")) for came_as, fd in kept._kept]
        )
        raise OSError(errno.ENOENT, "no such program")

    monkeypatch.setattr(serving, "start_again", start_again)
    monkeypatch.setattr("gfcgi.process.renewal.load_aside", lambda seconds: "")
    return done


def test_a_renewed_process_goes_on_with_the_sockets_that_are_bound(bound, renewed, caplog):
    def renew(server):
        os.kill(os.getpid(), signal.SIGHUP)
        for sock in server.listeners:
            sock.close()

    FakeServer.during = staticmethod(renew)
    assert start(*bound, http="127.0.0.1:8123").stopped == 1
    assert renewed == [[(bound[0].bind[0], True), ("http:127.0.0.1:8123", True)]]
    assert "cannot start again: [Errno 2] no such program" in caplog.text


def test_a_signal_that_stops_the_process_while_it_is_renewed_wins(bound, renewed):
    def both(server):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    FakeServer.during = staticmethod(both)
    start(*bound)
    assert renewed == []
    assert not os.path.exists(bound[0].bind[0][5:])


def test_a_signal_is_not_lost_that_comes_before_the_old_version_serves_on(
    bound, renewed, monkeypatch
):
    """Then the server that it stops is the one before the last."""
    resume, told, stopped = Upkeep.resume, [], []

    def interrupted(upkeep):
        os.kill(os.getpid(), signal.SIGTERM)
        return resume(upkeep)

    def renew(server):
        stopped.append(server.stopped)
        if len(stopped) == 1:
            os.kill(os.getpid(), signal.SIGHUP)
            for sock in server.listeners:
                sock.close()

    monkeypatch.setattr(Upkeep, "can_still_be_loaded", lambda upkeep: False)
    monkeypatch.setattr(Upkeep, "resume", interrupted)
    for name in ("ready", "stopping"):
        monkeypatch.setattr(serving.ServiceManager, name, lambda manager, n=name: told.append(n))
    FakeServer.during = staticmethod(renew)
    start(*bound)
    assert stopped == [0, 1]
    assert renewed == []
    assert told == ["ready", "stopping"]


@pytest.mark.parametrize("stderr", ["open", "closed", "full"])
def test_who_stops_it_while_requests_run_is_told_to_wait(bound, capfd, monkeypatch, stderr):
    def busy(server):
        server.active_requests = 3
        os.kill(os.getpid(), signal.SIGINT)

    def full(fd, line):
        raise OSError(errno.ENOSPC, "No space left on device")

    if stderr == "closed":
        monkeypatch.setattr(sys, "stderr", None)
    if stderr == "full":
        monkeypatch.setattr(os, "write", full)
    FakeServer.during = staticmethod(busy)
    assert start(*bound).stopped == 1
    told = "requests still running: 3, for at most 30 seconds; once more stops at once"
    assert (told in capfd.readouterr().err) is (stderr == "open")


def test_a_second_signal_removes_files_and_leaves_whatever_runs(bound, tmp_path, monkeypatch):
    class Gone(BaseException):
        pass

    def leave(status):
        assert not os.path.exists(f"{tmp_path}/app.sock")
        raise Gone(status)

    def insist(server):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(os, "_exit", leave)
    FakeServer.during = staticmethod(insist)
    tcp = Listener(socket.create_server(("127.0.0.1", 0)), "x")
    with pytest.raises(Gone) as caught:
        start(bound[0], [*bound[1], tcp])
    assert caught.value.args == (143,)


def test_an_open_inherited_socket_is_warned_of_unless_web_servers_are_named(caplog):
    for allowed in ("", "192.0.2.1"):
        caplog.clear()
        listener = Listener(socket.create_server(("0.0.0.0", 0)), "0.0.0.0:1", inherited=True)
        start(Options(allow_from=allowed), [listener])
        assert ("other machines can reach 0.0.0.0:1" in caplog.text) is not bool(allowed)


def test_http_is_answered_over_a_private_socket_that_goes(bound, capsys, tmp_path):
    seen = []

    def look(server):
        (front,) = FakeFront.made
        assert front.running
        with front.connect() as connected:
            seen.append(connected.getpeername())
        assert server.listeners[-1].getsockname() == seen[0]

    FakeServer.during = staticmethod(look)
    server = start(*bound, http="127.0.0.1:8123")
    assert capsys.readouterr().out == "open http://127.0.0.1:8123/ in a browser\n"
    assert len(server.listeners) == 2
    assert not FakeFront.made[0].running
    assert not os.path.exists(os.path.dirname(seen[0]))
    with pytest.raises(OSError, match="No such file"):
        FakeFront.made[0].connect()


def test_the_front_is_told_which_names_are_allowed(bound):
    _, listeners = bound
    options = Options(bind=bound[0].bind, http_host="app.test,.example.com")
    start(options, listeners, http="127.0.0.1:8123")
    assert FakeFront.made[0].allowed_hosts == ("app.test", ".example.com")


def test_http_beyond_this_machine_is_warned_of(bound, capsys, caplog):
    start(*bound, http="0.0.0.0:8123")
    assert "0.0.0.0 answers HTTP to other machines" in caplog.text
    assert "open http://0.0.0.0:8123/" in capsys.readouterr().out


def test_a_closed_standard_output_is_no_error(bound, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert start(*bound, http="[::1]:8123") is FakeServer.made[0]


def test_where_standard_output_cannot_be_written_the_log_says_what_to_open(
    bound, monkeypatch, caplog
):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    caplog.set_level(logging.INFO)
    start(*bound, http="127.0.0.1:8123")
    assert "open http://127.0.0.1:8123/ in a browser" in caplog.messages


ATTEMPT = " (while attempting to bind on address ('127.0.0.1', 80))"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EADDRINUSE, f"in use{ATTEMPT}"), "in use"),
        (socket.gaierror(socket.EAI_NONAME, f"Name not known{ATTEMPT}"), "Name not known"),
        (OSError("no number"), "no number"),
    ],
)
def test_an_http_address_that_cannot_be_had_is_named_and_nothing_is_left(bound, error, reason):
    FakeFront.error = error
    options = Options.from_sources(command_line={"http": "127.0.0.1:80"})
    with pytest.raises(ConfigError) as caught:
        start(options, bound[1], http="127.0.0.1:80")
    assert str(caught.value) == f"--http: 127.0.0.1:80: {reason}"
    assert FakeServer.made == []
    assert bound[1][0].socket.fileno() == -1

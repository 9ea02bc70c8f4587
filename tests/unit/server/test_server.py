"""gfcgi.server.server: who may connect, how much at once, and how requests are kept apart."""

from __future__ import annotations

import contextvars
import errno
import ipaddress
import itertools
import socket
import sys

import gevent
import gevent.event
import gevent.local
import gevent.socket
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, hello

from gfcgi.options import Options
from gfcgi.server import Server

GET = wire.request(1, wire.cgi_params(), keep_conn=True)


def raising(error):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/raise":
            raise error
        return hello(environ, start_response)

    return application


# -- listening


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_it_answers_on_sockets_of_every_family(serving, family):
    with serving(hello, family=family) as site:
        assert site.ask().body == b"hello"


def test_it_answers_on_ipv6_and_names_the_peer_so(serving, listen, caplog):
    listener = listen(socket.AF_INET6, "::1")
    server = Server(hello, [listener])
    server.start()
    sock = gevent.socket.create_connection(listener.getsockname()[:2])
    with wire.TransportConnection(sock) as connection:
        connection.send(wire.record(wire.STDIN, 1, version=2))
        connection.wait_closed()
        peer = f"[::1]:{sock.getsockname()[1]}"
    server.stop()
    server.serve()
    assert peer in caplog.text


def test_several_listeners_are_served_at_once(listen):
    listeners = [listen(), listen(), listen(socket.AF_INET)]
    addresses = [listener.getsockname() for listener in listeners]
    server = Server(hello, listeners)
    serving = gevent.spawn(server.serve)
    for listener, address in zip(listeners, addresses, strict=True):
        sock = gevent.socket.socket(listener.family)
        sock.connect(address)
        with wire.TransportConnection(sock) as connection:
            connection.send(GET)
            assert connection.response().body == b"hello"
    server.stop()
    serving.get()


def test_a_listener_in_blocking_mode_is_made_non_blocking(listen):
    listener = listen()
    listener.setblocking(True)
    Server(hello, [listener])
    assert not listener.getblocking()


def test_a_listener_of_gevents_own_is_served_too(listen):
    plain = listen()
    with gevent.socket.fromfd(plain.fileno(), plain.family, plain.type) as listener:
        server = Server(hello, [listener])
        serving = gevent.spawn(server.serve)
        sock = gevent.socket.socket(socket.AF_UNIX)
        sock.connect(plain.getsockname())
        with wire.TransportConnection(sock) as connection:
            connection.send(GET)
            assert connection.response().body == b"hello"
        server.stop()
        serving.get()


def test_it_counts_connections_and_running_requests(serving, until):
    gate = Gate()
    with serving(gate) as site:
        assert (site.server.connections, site.server.active_requests) == (0, 0)
        with site.connect() as connection:
            connection.send(begin(1), wire.stdin(1, b""), begin(2), wire.stdin(2, b""))
            until(lambda: site.server.active_requests == 2)
            assert site.server.connections == 1
            gate.open.set()
            connection.response(1)
            connection.response(2)
            assert (site.server.connections, site.server.active_requests) == (1, 0)
        until(lambda: site.server.connections == 0)


@pytest.mark.parametrize("multiprocess", [False, True])
def test_applications_learn_whether_another_process_may_serve(serving, multiprocess):
    def application(environ, start_response):
        start_response("200 OK", [])
        keys = ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")
        return [repr([environ[key] for key in keys]).encode()]

    with serving(application, multiprocess=multiprocess) as site:
        assert site.ask().body == repr([True, multiprocess, False]).encode()


def test_accepting_that_fails_for_want_of_descriptors_is_logged_and_goes_on(
    serving, monkeypatch, caplog
):
    failures = [OSError(errno.EMFILE, "Too many open files")]
    accept = socket.socket._accept

    def failing(self):
        if failures:
            raise failures.pop()
        return accept(self)

    monkeypatch.setattr(socket.socket, "_accept", failing)
    with serving(hello) as site:
        assert site.ask().body == b"hello"
    assert "cannot accept" in caplog.text
    assert "Too many open files" in caplog.text


@pytest.mark.parametrize(("multiprocess", "at_once"), [(True, 1), (False, 3)])
def test_where_others_accept_too_each_takes_one_connection_a_time(
    listen, until, multiprocess, at_once
):
    listener = listen()
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for sock in waiting:
        sock.connect(listener.getsockname())
    server = Server(hello, [listener], multiprocess=multiprocess)
    # This comes once in each turn of the loop, before what is ready.
    turns = []
    with gevent.get_hub().loop.check() as each_turn:
        each_turn.start(lambda: turns.append(server.connections))
        server.start()
        until(lambda: turns and turns[-1] == 3)
    assert max(after - before for before, after in itertools.pairwise(turns)) == at_once
    for sock in waiting:
        sock.close()
    server.stop()
    server.serve()


def test_small_records_are_not_held_back_on_tcp(serving, until, accepted):
    with serving(hello, family=socket.AF_INET) as site, site.connect():
        until(lambda: site.server.connections)
        (sock,) = accepted
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# -- who may connect


@pytest.mark.parametrize(
    ("networks", "host", "allowed"),
    [
        ((), "127.0.0.1", True),
        ((), "127.9.9.9", True),
        ((), "::1", True),
        ((), "::ffff:127.0.0.1", True),
        ((), "10.0.0.1", False),
        ((), "::2", False),
        (("10.0.0.0/8",), "10.200.0.1", True),
        (("10.0.0.0/8",), "::ffff:10.200.0.1", True),
        (("10.0.0.0/8",), "::FFFF:ac8:1", True),
        (("::ffff:10.0.0.0/104",), "10.200.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:11.0.0.1", False),
        (("10.0.0.0/8",), "127.0.0.1", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("fe80::/64",), "fe80::1%eth0", True),
        (("2001:db8::/32", "192.0.2.7"), "2001:db8:1::1", True),
        (("2001:db8::/32", "192.0.2.7"), "192.0.2.7", True),
    ],
)
def test_only_web_servers_of_the_allowed_networks_may_connect(networks, host, allowed):
    server = Server(hello, [], Options(allow_from=networks))
    with socket.socket(socket.AF_INET) as sock:
        server.accepted(sock, (host, 50000))
        assert server.connections == int(allowed)
        assert (sock.fileno() >= 0) is allowed
        for connection in list(server.open_connections):
            connection.cut()
    assert ipaddress.ip_address(host.partition("%")[0])


def test_a_connection_from_elsewhere_is_closed_and_logged(serving, caplog):
    with (
        serving(hello, family=socket.AF_INET, allow_from=("192.0.2.7",)) as site,
        site.connect() as connection,
    ):
        connection.wait_closed()
        assert site.server.connections == 0
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "127.0.0.1 may not connect: not in allow_from (192.0.2.7/32)"


def test_a_unix_socket_is_guarded_by_its_permissions_alone(serving):
    with serving(hello, allow_from=("192.0.2.7",)) as site:
        assert site.ask().body == b"hello"


# -- how much at once


def test_a_connection_too_many_waits_until_another_is_closed(serving, until):
    gate = Gate()
    with serving(gate, max_connections=2) as site:
        first, second, third = (site.connect() for _ in range(3))
        for connection in (first, second, third):
            connection.send(begin())
        until(lambda: site.server.active_requests == 2)
        reading = gevent.spawn(third.response)
        gevent.sleep(0.1)
        assert site.server.connections == 2
        assert not reading.ready()
        first.close()
        gate.open.set()
        assert reading.get().body == b"through"
        assert second.response().body == b"through"
        assert site.server.connections == 2


def test_a_request_too_many_gets_a_page_that_says_so(serving, caplog):
    gate = Gate()
    options = {"max_concurrent_requests": 1, "queue_timeout_seconds": 0}
    with serving(gate, **options) as site, site.connect() as running:
        running.send(GET)
        gate.begun.wait()
        with site.connect() as refused:
            refused.send(GET)
            response = refused.response()
            assert (response.protocol_status, response.status) == (wire.OVERLOADED, 503)
            assert response.header("Retry-After")
            assert b"503" in response.body
            gate.open.set()
            assert running.response().body == b"through"
            refused.send(GET)
            assert refused.response().body == b"through"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "max_concurrent_requests" in line


def test_a_flood_of_requests_too_many_is_logged_at_a_bounded_rate(serving, caplog):
    gate = Gate()
    options = {"max_concurrent_requests": 1, "queue_timeout_seconds": 0}
    with serving(gate, **options) as site, site.connect() as connection:
        connection.send(begin(1), wire.stdin(1, b""))
        for request_id in range(2, 502):
            connection.send(begin(request_id), wire.stdin(request_id, b""))
            assert connection.response(request_id).status == 503
        gate.open.set()
        connection.response(1)
    assert 20 <= len(caplog.records) < 100


def test_hundreds_of_sleeping_requests_run_at_once(serving, until):
    gate = Gate()
    with serving(gate) as site:
        connections = [site.connect() for _ in range(200)]
        for connection in connections:
            connection.send(GET)
        until(lambda: site.server.active_requests == 200)
        gate.open.set()
        assert {connection.response().body for connection in connections} == {b"through"}


def test_a_connection_whose_next_request_is_always_there_does_not_starve_another(serving):
    done = []

    def application(environ, start_response):
        done.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    with serving(application) as site, site.connect() as greedy, site.connect() as modest:
        flood = wire.request(1, wire.cgi_params(path="/greedy"), keep_conn=True) * 3000
        sending = gevent.spawn(greedy.send, flood)
        modest.send(wire.request(1, wire.cgi_params(path="/modest")))
        assert modest.response().body == b"hello"
        assert len(done) < 3000
        sending.kill()


# -- one request and another


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        gevent.GreenletExit(),
        gevent.Timeout(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_application_raises_is_a_500_and_the_server_goes_on(serving, error, caplog):
    with serving(raising(error)) as site:
        response = site.ask(path="/raise")
        assert (response.status, response.app_status) == (500, 1)
        assert type(error).__name__ in response.stderr.decode()
        assert type(error).__name__ not in response.body.decode()
        assert site.ask().body == b"hello"
    assert type(error).__name__ in caplog.text


def test_an_application_can_exit_and_kill_itself(serving):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/exit":
            sys.exit(1)
        if environ["PATH_INFO"] == "/kill":
            gevent.kill(gevent.getcurrent())
            gevent.sleep(60)
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask(path="/exit").status == 500
        assert site.ask(path="/kill").status == 500
        assert site.ask().body == b"hello"


def test_an_application_may_bound_its_own_time(serving):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/unhandled":
            gevent.Timeout.start_new(0.01)
            gevent.sleep(60)
        with gevent.Timeout(0.01, False):
            gevent.sleep(60)
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask().body == b"hello"
        assert site.ask(path="/unhandled").status == 500


def test_each_request_has_its_own_context_and_greenlet_locals(serving):
    variable = contextvars.ContextVar("variable", default="unset")
    local = gevent.local.local()
    together = gevent.event.Event()
    waiting = []

    def application(environ, start_response):
        found = (variable.get(), getattr(local, "name", "unset"))
        name = environ["PATH_INFO"]
        variable.set(name)
        local.name = name
        waiting.append(name)
        if len(waiting) == 3:
            together.set()
        together.wait()
        start_response("200 OK", [])
        return [repr((found, variable.get(), local.name)).encode()]

    with serving(application) as site, site.connect() as connection, site.connect() as other:
        connection.send(begin(1, path="/1"), wire.stdin(1, b""))
        connection.send(begin(2, path="/2"), wire.stdin(2, b""))
        other.send(begin(1, path="/3"), wire.stdin(1, b""))
        answers = [connection.response(1), connection.response(2), other.response(1)]
        other.send(begin(1, path="/4"), wire.stdin(1, b""))
        answers.append(other.response(1))
        for number, answer in enumerate(answers, 1):
            expected = (("unset", "unset"), f"/{number}", f"/{number}")
            assert answer.body.decode() == repr(expected)


def test_a_context_variable_set_around_the_server_does_not_reach_requests_by_chance(serving):
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("the server's")

    def application(environ, start_response):
        start_response("200 OK", [])
        return [variable.get().encode()]

    with serving(application) as site:
        assert {site.ask().body for _ in range(3)} == {b"unset"}

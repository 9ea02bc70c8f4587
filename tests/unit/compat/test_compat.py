"""gfcgi.compat: what the servers of other packages take, as gfcgi's options."""

from __future__ import annotations

import signal
import socket

import pytest

from gfcgi.compat import flipflop, flup, gevent_fastcgi, paste
from gfcgi.compat.adapting import adapted, bind_of
from gfcgi.errors import ConfigError


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"body"]


@pytest.fixture
def ran(monkeypatch):
    """What would be run: application, options, start. Stopped by the last signal of the list."""
    calls, stops = [], [signal.SIGTERM]

    def run(application, options, start=None):
        calls.append((application, dict(options), start))
        return stops[-1]

    for module in (flup, flipflop, gevent_fastcgi):
        monkeypatch.setattr(module, "run_until_stopped", run)
    monkeypatch.setattr(paste, "run", lambda application, **options: run(application, options))
    calls_and_stops = type("Ran", (), {"calls": calls, "stops": stops})
    monkeypatch.delenv("FCGI_FORCE_CGI", raising=False)
    return calls_and_stops


def test_flups_server_without_arguments_is_gfcgi_run(ran):
    assert flup.WSGIServer(application).run() is False
    assert ran.calls == [(application, {}, None)]


@pytest.mark.parametrize(
    ("keywords", "options"),
    [
        ({"bindAddress": "/run/app.sock"}, {"bind": "unix:/run/app.sock"}),
        ({"bindAddress": ("127.0.0.1", 9000)}, {"bind": "127.0.0.1:9000"}),
        ({"bindAddress": ("", 9000)}, {"bind": "0.0.0.0:9000"}),
        ({"bindAddress": ("::1", 9000, 0, 0)}, {"bind": "[::1]:9000"}),
        ({"umask": 0o117}, {"socket_mode": 0o660}),
        ({"umask": 0}, {"socket_mode": 0o777}),
        ({"debug": True}, {"debug": True}),
        ({"multiplexed": True, "roles": (1, 2)}, {}),
        ({"minSpare": 1, "maxSpare": 2, "jobClass": object, "jobArgs": ()}, {}),
        ({"timeout": 3, "maxChildren": 50, "maxRequests": 9, "sockTimeout": 1}, {}),
    ],
)
def test_flups_arguments_become_options(ran, keywords, options):
    flup.WSGIServer(application, **keywords).run()
    assert ran.calls[0][1] == options


def test_an_argument_that_flup_has_not_is_a_type_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'maxspare'"):
        flup.WSGIServer(application, maxspare=3)


def test_run_says_whether_sighup_stopped_it(ran):
    ran.stops.append(signal.SIGHUP)
    assert flup.WSGIServer(application).run() is True
    assert flipflop.WSGIServer(application).run() is True
    ran.stops.append(None)
    assert flipflop.WSGIServer(application).run() is False


def test_force_cgi_answers_one_request_by_argument_or_by_the_environment(ran, monkeypatch):
    flup.WSGIServer(application, forceCGI=True).run()
    monkeypatch.setenv("FCGI_FORCE_CGI", "Y")
    flup.WSGIServer(application).run()
    assert [start.cgi for _, _, start in ran.calls] == [True, True]


def test_what_is_overridden_in_a_subclass_is_said_to_be_of_no_use(capsys):
    class Own(flup.WSGIServer):
        def error(self, req):
            raise AssertionError

    Own(application)
    assert capsys.readouterr().err == "gfcgi: Own.error is flup's, and is not called here\n"


@pytest.mark.parametrize("address", [3, (), ("host",), ("host", "9000"), b"/run/app.sock"])
def test_an_address_that_is_none_is_one_line_and_status_2(ran, capsys, address):
    with pytest.raises(SystemExit) as ended:
        flup.WSGIServer(application, bindAddress=address).run()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ConfigError):
        bind_of(address, "x")
    server = gevent_fastcgi.WSGIServer(address, application)
    with pytest.raises(SystemExit):
        server.serve_forever()


# --- what an application was promised ------------------------------------------------------------


def call(application, environ=None):
    environ = {} if environ is None else environ
    response = application(environ, lambda status, headers: None)
    try:
        return b"".join(response)
    finally:
        getattr(response, "close", lambda: None)()


def test_environ_is_added_to_each_requests(ran):
    flags = {"app.mode": "test"}
    flup.WSGIServer(application, environ=flags, multithreaded=False, multiprocess=True).run()
    environ = {"wsgi.multithread": True}
    assert call(ran.calls[0][0], environ) == b"body"
    assert environ == flags | {"wsgi.multithread": False, "wsgi.multiprocess": True}


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_requests_run_at_once_than_were_asked_for_and_others_wait(at_once):
    running, most = [], []

    def slow(environ, start_response):
        running.append(1)
        most.append(len(running))
        gevent.sleep(0.01)
        yield b"body"
        gevent.sleep(0.01)
        running.pop()

    import threading

    import gevent.lock

    kept = threading.Semaphore
    threading.Semaphore = gevent.lock.Semaphore  # as it is where the standard library is patched
    try:
        one = adapted(slow, None, at_once)
        asking = [gevent.spawn(call, one) for _ in range(7)]
        gevent.joinall(asking, timeout=60)
    finally:
        threading.Semaphore = kept
    assert [greenlet.value for greenlet in asking] == [b"body"] * 7
    assert max(most) == at_once


def test_a_turn_is_over_when_the_application_fails_or_is_closed_twice():
    closed = []

    class Response:
        def __iter__(self):
            return iter([b"body"])

        def close(self):
            closed.append(1)
            raise ValueError("on purpose")

    answers = [ValueError("at once"), Response(), [b"body"]]

    def failing(environ, start_response):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    one = adapted(failing, None, 1)
    with pytest.raises(ValueError, match="at once"):
        call(one)
    response = one({}, None)
    for _ in range(2):
        try:
            response.close()
        except ValueError:
            pass
    assert closed == [1]
    assert call(one) == b"body"


def test_an_application_that_needs_nothing_is_left_as_it_is():
    assert adapted(application) is application
    assert adapted(application, {}, 1).__name__ == "application"


# --- the others ----------------------------------------------------------------------------------


def test_gevent_fastcgis_server_and_its_handler(ran, capsys):
    handler = gevent_fastcgi.WSGIRequestHandler(application)
    server = gevent_fastcgi.FastCGIServer(
        "/run/app.sock", handler, num_workers=4, max_conns=5, socket_mode=0o660, backlog=7
    )
    server.serve_forever()
    options = {"bind": "unix:/run/app.sock", "max_connections": 5, "socket_mode": 0o660}
    assert ran.calls == [(application, options | {"backlog": 7}, None)]
    assert "num_workers=4" in capsys.readouterr().err
    gevent_fastcgi.WSGIServer(("127.0.0.1", 1), application).serve_forever()
    assert ran.calls[1][1] == {"bind": "127.0.0.1:1", "max_connections": 1024}
    with socket.socket() as listening:
        gevent_fastcgi.WSGIServer(listening, application).serve_forever()
        assert ran.calls[2][1]["bind"] == f"fd:{listening.fileno()}"


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"bind": "unix:/a", "backlog": "3"}, {"bind": "unix:/a", "backlog": "3"}),
        ({"port": "9000"}, {"bind": "127.0.0.1:9000"}),
        ({"host": "::1", "port": "9000"}, {"bind": "[::1]:9000"}),
        ({"port": "http"}, {"bind": "127.0.0.1:http"}),
        ({"host": "ignored"}, {}),
    ],
)
def test_pastes_settings_are_options(ran, settings, options):
    paste.serve(application, {"debug": "true"}, **settings)
    assert ran.calls[0][1] == options

"""gfcgi.server.hub_errors: what an application leaves behind cannot stop the server."""

from __future__ import annotations

import signal
import sys

import gevent
import pytest
from wsgi_side import hello

ERRORS = [SystemExit(3), SystemError("broken"), SystemExit()]


def raise_(error):
    raise error


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("start", ["spawn", "spawn_later", "spawn_raw"])
def test_a_greenlet_of_the_applications_that_exits_does_not_stop_the_server(
    serving, until, caplog, error, start
):
    def application(environ, start_response):
        begin = {
            "spawn": gevent.spawn,
            "spawn_raw": gevent.spawn_raw,
            "spawn_later": lambda *call: gevent.spawn_later(0.001, *call),
        }
        begin[start](raise_, error)
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask().body == b"hello"
        # The second request of the case before may still end in this one.
        until(lambda: f"ended with {type(error).__name__}" in caplog.text)
        assert site.ask().body == b"hello"
    assert "raise_" in caplog.text  # the traceback says where


@pytest.mark.parametrize("error", [*ERRORS, ValueError("wrong")], ids=repr)
def test_a_signal_handler_of_the_applications_that_raises_does_not_stop_the_server(
    serving, until, caplog, error
):
    before = signal.signal(signal.SIGALRM, lambda *_: raise_(error))
    try:
        with serving(hello) as site:
            assert site.ask().body == b"hello"
            # It comes while the hub waits, so that its handler runs in the hub.
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            gevent.sleep(0.3)
            until(lambda: caplog.records)
            assert site.ask().body == b"hello"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert f"a signal handler ended with {type(error).__name__}" in caplog.text


def test_the_hub_is_as_it_was_when_the_server_has_stopped(serving):
    hub = gevent.get_hub()
    before = hub.handle_error
    with serving(hello) as site:
        site.ask()
        assert hub.handle_error is not before
    assert hub.handle_error is before


def test_what_is_no_exit_goes_where_it_went_before(serving, until, monkeypatch):
    seen = []
    monkeypatch.setattr(
        gevent.get_hub(), "handle_error", lambda context, kind, *_: seen.append(kind)
    )

    def application(environ, start_response):
        gevent.spawn(raise_, KeyboardInterrupt())
        gevent.spawn(raise_, ValueError())
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask().body == b"hello"
        until(lambda: len(seen) == 2)
    assert seen == [KeyboardInterrupt, ValueError]


def test_sys_exit_in_a_request_is_a_500(serving):
    with serving(lambda environ, start_response: sys.exit(1)) as site:
        assert site.ask().status == 500

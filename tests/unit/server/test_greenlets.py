"""gfcgi.server.greenlets: requests share greenlets, and nothing else of each other."""

from __future__ import annotations

import contextvars
import gc
import logging
import subprocess
import sys
import threading
import weakref

import gevent
import gevent.local
import pytest
import webserver_side as wire
from wsgi_side import Gate, begin, hello

from gfcgi import limits
from gfcgi.server.connection import Connection
from gfcgi.server.request import ServerRequest

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="empty")
local = gevent.local.local()


class Recorder:
    """An application that remembers the greenlet of each request, and leaves behind what it can.

    It refers to them weakly: a greenlet that somebody refers to is not used again.
    """

    def __init__(self):
        self.greenlets = []
        self.found = []

    def __call__(self, environ, start_response):
        own = gevent.getcurrent()
        self.greenlets.append(weakref.ref(own))
        self.found.append((variable.get(), dict(vars(local)), hasattr(own, "attribute")))
        variable.set("left behind")
        local.name = "left behind"
        own.attribute = "left behind"
        return hello(environ, start_response)


def different(references) -> int:
    """How many greenlets these are; there is one weak reference to each."""
    return len({id(reference) for reference in references})


def ended(reference) -> bool:
    return reference() is None or reference().dead


def test_one_request_after_another_shares_a_greenlet_and_nothing_else(serving):
    application = Recorder()
    with serving(application) as site:
        for _ in range(3):
            assert site.ask().body == b"hello"
    assert different(application.greenlets) == 1
    assert application.found == [("empty", {}, False)] * 3


def test_what_a_request_kept_is_let_go_of_at_its_end(serving):
    class Kept:
        pass

    references = []

    def application(environ, start_response):
        kept = Kept()
        references.append(weakref.ref(kept))
        variable.set(kept)
        local.kept = gevent.getcurrent().kept = kept
        return hello(environ, start_response)

    with serving(application) as site:
        assert site.ask().body == b"hello"
        assert references[0]() is None


def test_greenlets_that_wait_keep_nothing_of_the_requests_that_they_had(
    serving, until, monkeypatch
):
    """Their first ones neither: those are what they were called with."""
    # Those that wait are ended after two looks, which are seldom then.
    monkeypatch.setattr(limits, "LINGER_SECONDS", 3600.0)

    def objects():
        gc.collect()
        return sum(isinstance(one, Connection | ServerRequest) for one in gc.get_objects())

    let_on = gevent.event.Event()

    def application(environ, start_response):
        let_on.wait()
        return hello(environ, start_response)

    with serving(application) as site:
        before = objects()
        connections = [site.connect() for _ in range(5)]
        for connection in connections:
            connection.send(begin(), wire.stdin(1, b""))
        until(lambda: site.server.active_requests == 5)
        assert objects() == before + 10
        let_on.set()
        for connection in connections:
            assert connection.response().status == 200
            connection.close()
        site.until_idle()
        assert site.server.runners.parked == 5
        assert objects() == before


def test_a_log_line_of_a_request_names_a_thread_that_ends_with_it():
    code = """if True:
        from gevent import monkey
        monkey.patch_all()
        import gevent, threading
        from gfcgi.server.greenlets import Greenlets
        names, live = [], threading.active_count()
        class Request:
            def release(self):
                pass
        def run(request):
            names.append(threading.current_thread().name)
        runners = Greenlets(run)
        def twice():
            runners.start(Request())
            runners.start(Request())
        gevent.get_hub().loop.run_callback(twice)
        gevent.sleep(0.001)
        assert len(set(names)) == 2, names
        assert threading.active_count() == live
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_requests_at_once_have_a_greenlet_and_a_context_each(serving, until):
    application = Recorder()
    gate = Gate(application)

    def waiting(environ, start_response):
        variable.set(environ["PATH_INFO"])
        gate.begun.set()
        gate.open.wait()
        assert variable.get() == environ["PATH_INFO"]
        return application(environ, start_response)

    with serving(waiting) as site, site.connect() as connection:
        for request_id in (1, 2):
            connection.send(begin(request_id, path=f"/{request_id}"), wire.stdin(request_id, b""))
        until(lambda: site.server.active_requests == 2)
        gate.open.set()
        assert connection.response(1).body == connection.response(2).body == b"hello"
    assert different(application.greenlets) == 2


def test_a_timeout_that_nobody_closed_goes_off_between_requests_and_is_reported(serving, until):
    application = Recorder()

    def careless(environ, start_response):
        if environ["PATH_INFO"] == "/careless":
            gevent.Timeout.start_new(0.001)
        return application(environ, start_response)

    reported = []
    hub = gevent.get_hub()
    with serving(careless) as site:
        watched = hub.handle_error
        hub.handle_error = lambda context, kind, value, traceback: reported.append(kind)
        try:
            assert site.ask(path="/careless").body == b"hello"
            until(lambda: reported)
        finally:
            hub.handle_error = watched
        assert reported == [gevent.Timeout]
        assert site.ask().body == b"hello"
    first, second = application.greenlets
    assert first is not second
    assert ended(first)


def test_a_switch_that_comes_after_the_request_reaches_no_other(serving, until):
    application = Recorder()
    switched = []

    def careless(environ, start_response):
        own = weakref.ref(gevent.getcurrent())

        def late():
            own().switch("stray")
            switched.append(True)

        gevent.get_hub().loop.run_callback(late)
        return application(environ, start_response)

    with serving(careless) as site:
        assert site.ask().body == b"hello"
        until(lambda: switched)
        assert site.ask().body == b"hello"
    first, second = application.greenlets
    assert first is second


def test_those_that_are_not_needed_any_more_end(serving, until):
    application = Recorder()
    gate = Gate()

    def waiting(environ, start_response):
        gate.open.wait()
        return application(environ, start_response)

    with serving(waiting, idle_timeout_seconds=0.2) as site, site.connect() as connection:
        for request_id in range(1, 6):
            connection.send(begin(request_id), wire.stdin(request_id, b""))
        until(lambda: site.server.active_requests == 5)
        gate.open.set()
        for request_id in range(1, 6):
            assert connection.response(request_id).body == b"hello"
        assert different(application.greenlets) == 5
        until(lambda: all(map(ended, application.greenlets)))
        assert site.server.runners.parked == 0


def test_they_end_with_the_server(serving, until):
    application = Recorder()
    gate = Gate(application)

    def waiting(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            gate.begun.set()
            gate.open.wait()
        return application(environ, start_response)

    with serving(waiting) as site, site.connect() as slow:
        assert site.ask().body == b"hello"
        slow.send(begin(path="/slow"), wire.stdin(1, b""))
        gate.begun.wait()
        assert site.ask().body == b"hello"
        site.server.stop()
        gevent.sleep(0)
        gate.open.set()
        assert slow.response().body == b"hello"
        site.greenlet.get()
    until(lambda: all(map(ended, application.greenlets)))
    assert different(application.greenlets) == 2


# -- what a request leaves behind that refers to its greenlet


KEPT = []


def kill_later(own):
    gevent.spawn_later(0.02, gevent.kill, own)


def kill_at_once(own):
    gevent.spawn(gevent.kill, own)


def throw_later(own):
    gevent.get_hub().loop.run_callback(lambda: gevent.spawn_later(0.02, own.throw, ValueError))


def time_out_later(own):
    gevent.Timeout.start_new(0.02)


def keep(own):
    KEPT.append(own)


@pytest.mark.parametrize(
    "leave", [kill_later, kill_at_once, throw_later, time_out_later, keep], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("blocks", [False, True])
def test_a_greenlet_that_somebody_still_refers_to_is_not_used_again(
    serving, monkeypatch, leave, blocks
):
    def application(environ, start_response):
        own = gevent.getcurrent()
        if environ["PATH_INFO"] == "/leaves":
            if blocks:
                gevent.sleep(0.001)
            leave(own)
        else:
            assert not KEPT or own is not KEPT[0]
            gevent.sleep(0.06)
        return hello(environ, start_response)

    # What hits a greenlet between requests is reported.
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *error: None)
    try:
        with serving(application) as site:
            assert site.ask(path="/leaves").body == b"hello"
            for _ in range(2):
                assert site.ask(path="/other").body == b"hello"
    finally:
        KEPT.clear()


def test_a_greenlet_is_used_again_after_what_looks_for_it_by_name(serving):
    """Logging and threading keep nothing of it, nor does a greenlet-local."""
    application = Recorder()

    def logging_too(environ, start_response):
        logging.getLogger("test").debug("in %s", threading.current_thread().name)
        gevent.sleep(0)
        with gevent.Timeout(10):
            gevent.sleep(0)
        return application(environ, start_response)

    with serving(logging_too) as site:
        for _ in range(5):
            assert site.ask().body == b"hello"
    assert different(application.greenlets) == 1

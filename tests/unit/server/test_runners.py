"""gfcgi.server.runners: requests share greenlets, and nothing else."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import weakref

import gevent
import gevent.local
import webserver_side as wire
from wsgi_side import Gate, begin, hello

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="empty")
local = gevent.local.local()


class Recorder:
    """An application that keeps the greenlet of each request, and leaves behind what it can."""

    def __init__(self):
        self.greenlets = []
        self.found = []

    def __call__(self, environ, start_response):
        own = gevent.getcurrent()
        self.greenlets.append(own)
        self.found.append((variable.get(), dict(vars(local)), hasattr(own, "attribute")))
        variable.set("left behind")
        local.name = "left behind"
        own.attribute = "left behind"
        return hello(environ, start_response)


def test_one_request_after_another_shares_a_greenlet_and_nothing_else(serving):
    application = Recorder()
    with serving(application) as site:
        for _ in range(3):
            assert site.ask().body == b"hello"
    assert len(set(application.greenlets)) == 1
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


def test_a_log_line_of_a_request_names_a_thread_that_ends_with_it():
    code = """if True:
        from gevent import monkey
        monkey.patch_all()
        import gevent, threading
        from gfcgi.server.runners import Runners
        names, live = [], threading.active_count()
        class Request:
            def over(self):
                pass
        def run(request):
            names.append(threading.current_thread().name)
        runners = Runners(run)
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
    assert len(set(application.greenlets)) == 2


def test_a_timeout_that_nobody_closed_goes_off_between_requests_and_is_reported(serving, until):
    application = Recorder()

    def careless(environ, start_response):
        gevent.Timeout.start_new(0.001)
        return application(environ, start_response)

    reported = []
    hub = gevent.get_hub()
    with serving(careless) as site:
        watched = hub.handle_error
        hub.handle_error = lambda context, kind, value, traceback: reported.append(kind)
        try:
            assert site.ask().body == b"hello"
            until(lambda: reported)
        finally:
            hub.handle_error = watched
        assert reported == [gevent.Timeout]
        site.server._gateway.application = application
        assert site.ask().body == b"hello"
    first, second = application.greenlets
    assert first is not second
    assert first.dead


def test_a_switch_that_comes_after_the_request_reaches_no_other(serving, until):
    application = Recorder()
    switched = []

    def careless(environ, start_response):
        own = gevent.getcurrent()

        def late():
            own.switch("stray")
            switched.append(own)

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
        assert len(set(application.greenlets)) == 5
        until(lambda: all(one.dead for one in application.greenlets))
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
    until(lambda: all(one.dead for one in application.greenlets))
    assert len(set(application.greenlets)) == 2

"""gfcgi.checking.inside: what is seen of an application as it answers."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from wsgiref import validate
from wsgiref.util import setup_testing_defaults

import gevent
import gevent.monkey
import greenlet
import pytest

from gfcgi.checking import inside
from gfcgi.checking.inside import Observed

really_sleep = gevent.monkey.get_original("time", "sleep")


@pytest.mark.parametrize(
    ("schedstat", "seconds"),
    [(b"5000000000 2500000000 7\n", 7.5), (b"", 10.0), (None, 10.0)],
    ids=["Linux", "empty", "none"],
)
def test_what_waits_for_a_processor_keeps_nobody_waiting(monkeypatch, schedstat, seconds):
    def opened(path, mode):
        assert path == "/proc/self/task/77/schedstat"
        if schedstat is None:
            raise FileNotFoundError(path)
        return io.BytesIO(schedstat)

    monkeypatch.setattr(inside, "_open", opened)
    monkeypatch.setattr(inside, "_now", lambda: 10.0)
    assert inside._own_time(77) == seconds


@pytest.fixture
def observe(monkeypatch):
    """Ask an application twice, in a greenlet, and return what was told of it."""
    before = greenlet.gettrace()
    # What it does to the validator must not reach the tests after this one.
    monkeypatch.setattr(validate, "assert_", validate.assert_)

    def observe(application, times=2):
        told = []
        observed = Observed(application, lambda **what: told.append(what))

        def ask():
            environ = {"wsgi.input": io.BytesIO(b"body"), "QUERY_STRING": ""}
            setup_testing_defaults(environ)
            response = observed(environ, lambda status, headers, exc_info=None: lambda data: None)
            assert b"".join(response) == b"page"
            response.close()

        for _ in range(times):
            gevent.spawn(ask).get(timeout=60)
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:  # the watch is a thread that looks every 10 ms
            gevent.sleep(0.01)
        return told

    yield observe
    greenlet.settrace(before)


def answering(before=lambda environ: None, headers=(("Content-Type", "text/plain"),)):
    def application(environ, start_response):
        before(environ)
        start_response("200 OK", list(headers))
        return [b"page"]

    return application


def test_of_an_application_in_order_nothing_is_told(observe):
    assert observe(answering()) == []


def test_a_call_that_blocks_is_told_with_its_line_and_how_long(observe):
    told = observe(answering(lambda environ: really_sleep(0.3)))
    places = {one["place"].rpartition(",")[0] for one in told if "blocked" in one}
    assert max(one["blocked"] for one in told) >= 0.1
    assert places == {__file__}


def test_a_call_that_lets_others_run_is_not_told(observe):
    assert observe(answering(lambda environ: gevent.sleep(0.3))) == []


def test_the_first_request_may_block_because_applications_import_then(observe):
    assert observe(answering(lambda environ: really_sleep(0.3)), times=1) == []


def test_what_the_validator_objects_to_is_told_and_the_answer_goes_on(observe):
    (told, *_) = observe(answering(headers=()))
    assert "Content-Type" in told["refused"]


def test_read_without_a_size_is_no_objection(observe):
    assert observe(answering(lambda environ: environ["wsgi.input"].read())) == []


def test_importing_it_patches_nothing_and_keeps_the_real_sleep():
    script = (
        "import gfcgi.checking.inside as inside, sys, time\n"
        "assert 'gevent' not in sys.modules\n"
        "assert inside._sleep is time.sleep\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

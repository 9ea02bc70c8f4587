"""gfcgi.wsgi.observed: what is known of a request and of what was sent for it."""

from __future__ import annotations

import pytest
import webserver_side as wire
from wsgi_side import Request

from gfcgi.wsgi.observed import Observed, Observers


def observed(params=None):
    return Observed(wire.cgi_params() if params is None else params, None, None)


def test_status_fields_and_length_are_those_of_what_was_sent():
    one = observed()
    assert (one.status, one.fields, one.sent) == ("", [], 0)
    one.count(b"Status: 404 Not Found\r\nContent-Type: a:b\r\nX-A:\r\n\r\n12")
    one.count(memoryview(b"345\r\n\r\n"))
    one.count(b"")
    one.sent += 10
    assert one.status == "404 Not Found"
    assert one.fields == [("Content-Type", "a:b"), ("X-A", "")]
    assert one.sent == 19


@pytest.mark.parametrize("first", [b"A: b\r\n\r\nbody", memoryview(b"A: b\r\n\r\nbody")])
def test_without_a_status_it_is_200(first):
    one = observed()
    one.count(b"")
    one.count(first)
    assert (one.status, one.sent) == ("200 OK", 4)


def test_params_are_as_they_came_and_the_environ_as_the_application_leaves_it():
    params = wire.cgi_params(PATH_INFO="/a\n")
    one = Observed(params, None)
    Observers([Observer("a", [])], lambda *failure: None).begin(one)
    params.update(PATH_INFO="/else", REMOTE_ADDR="192.0.2.7")
    assert one.params["PATH_INFO"] == "/a\n"
    assert one.remote_addr == "192.0.2.7"
    assert one.name == "GET /a\\n"


@pytest.mark.parametrize("detailed", [[False], [False, True]])
def test_what_no_observer_asks_for_is_not_kept(detailed):
    observing = [Observer("a", []) for _ in detailed]
    for one, wanted in zip(observing, detailed, strict=True):
        one.detailed = wanted
    observers = Observers(observing, lambda *failure: None)
    request = Request()
    request.stdin.received = 7
    one = Observed(request.params, request)
    observers.begin(one)
    assert (one.params is request.params) is not any(detailed)
    observers.end(one)
    assert (one.received, one.request) == (7 if any(detailed) else 0, None)
    assert one.ended >= one.began > 0


@pytest.mark.parametrize(
    ("head", "number"),
    [
        (b"Content-Type: a/b\r\nStatus: 404 Not Found\r\n\r\nStatus: 500", 4),
        (b"Status: 503 Service Unavailable\r\nX: y\r\n\r\n", 5),
        (b"X-Status: 500\r\nLocation: Status: 600\r\n\r\n", 2),
        (b"X-Status: 500\r\nStatus: 304 Not Modified\r\n\r\n", 3),
        (b"", 0),
    ],
)
def test_class_of_the_status_is_that_of_the_status(head, number):
    one = observed()
    one.count(head)
    assert one.status_class == number == int((one.status or "0")[0])


def test_what_was_counted_stays_when_the_request_is_gone():
    request = Request()
    request.stdin.received = 7
    request.aborted.set()
    one = Observed(request.params, request, None)
    assert (one.received, one.aborted, one.ended) == (7, True, 0.0)
    one.end()
    assert (one.received, one.aborted, one.request) == (7, True, None)
    assert one.ended >= one.began > 0
    assert one.seconds == one.ended - one.began


class Observer:
    def __init__(self, name, told, error=None):
        self.name, self.told, self.error = name, told, error

    def request_begun(self, observed):
        self.told.append((self.name, "begun"))
        if self.error:
            raise self.error

    def request_ended(self, observed):
        self.told.append((self.name, "ended"))
        if self.error:
            raise self.error


def test_observers_are_told_in_their_order_and_at_the_end_the_other_way_round():
    told = []
    observers = Observers([Observer("a", told), Observer("b", told)], lambda *failure: None)
    observers.begin(one := Observed({}, None))
    observers.end(one)
    assert told == [("a", "begun"), ("b", "begun"), ("b", "ended"), ("a", "ended")]
    observers.leave()
    observers.refused({}, b"")
    assert len(told) == 4


def test_one_that_raises_keeps_no_other_from_being_told():
    told, failed = [], []
    error = BaseException("a gevent.Timeout, for one")
    observers = Observers(
        [Observer("a", told, error), Observer("b", told)],
        lambda error, name: failed.append((error, name)),
    )
    observers.refused({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, b"Status: 503 x\r\n\r\n")
    assert len(told) == 4
    assert failed == [(error, "GET /")] * 2

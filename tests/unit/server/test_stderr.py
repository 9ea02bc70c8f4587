"""When FCGI_STDERR goes to the Web server: at once, or together with STDOUT."""

from __future__ import annotations

import gevent.event
import pytest
import webserver_side as wire
from wsgi_side import begin

from gfcgi import limits


def complaining(environ, start_response):
    environ["wsgi.errors"].write("before\n")
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one")
    environ["wsgi.errors"].write("between\n")
    write(b"two")
    environ["wsgi.errors"].write("after\n")
    return []


def types(content):
    records, rest = wire.parse_records(content)
    assert not rest
    return [record.type for record in records]


def answer(serving, sends, software="", application=complaining, **options):
    with serving(application, **options) as site, site.connect() as connection:
        connection.send(begin(SERVER_SOFTWARE=software), wire.stdin(1, b""))
        response = connection.response()
    return response, [types(content) for content in sends]


@pytest.mark.parametrize(
    ("software", "options"),
    [
        ("nginx/1.22.1", {}),
        ("HAProxy 2.6.14", {}),
        ("HAProxy 3.0.1-1", {}),
        ("HAProxy 2.6.12-1+deb12u4", {"stderr": "at-once"}),
    ],
)
def test_error_output_goes_at_once(serving, sends, software, options):
    response, writes = answer(serving, sends, software, **options)
    assert response.stderr == b"before\nbetween\nafter\n"
    assert writes[:5] == [[wire.STDERR], [wire.STDOUT], [wire.STDERR], [wire.STDOUT], [wire.STDERR]]


@pytest.mark.parametrize(
    ("software", "options"),
    [
        ("HAProxy 2.6.12-1+deb12u4", {}),
        ("HAProxy 2.4.22", {}),
        ("nginx/1.22.1", {"stderr": "with-stdout"}),
    ],
)
def test_error_output_never_goes_alone_where_that_does_harm(serving, sends, software, options):
    response, writes = answer(serving, sends, software, **options)
    assert response.stderr == b"before\nbetween\nafter\n"
    assert response.body == b"onetwo"
    assert len(writes) == 3
    assert all(wire.STDOUT in content for content in writes)


def test_error_output_that_waits_goes_with_a_file_too(serving, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(200_000))

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        environ["wsgi.errors"].write("a line\n")
        return environ["wsgi.file_wrapper"](path.open("rb"))

    with serving(application, stderr="with-stdout") as site, site.connect() as connection:
        connection.send(begin(), wire.stdin(1, b""))
        response = connection.response()
    assert response.body == bytes(200_000)
    assert response.stderr == b"a line\n"


def test_more_error_output_than_can_wait_goes_to_the_log(serving, sends, caplog):
    def application(environ, start_response):
        environ["wsgi.errors"].write("x" * limits.PENDING_STDERR_BYTES + "the rest\n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    response, _ = answer(serving, sends, application=application, stderr="with-stdout")
    assert response.stderr == b"x" * limits.PENDING_STDERR_BYTES
    assert "the rest" in caplog.text


def test_error_output_of_an_aborted_request_that_waits_is_not_lost(serving, caplog):
    begun, gate = gevent.event.Event(), gevent.event.Event()

    def application(environ, start_response):
        begun.set()
        gate.wait()
        environ["wsgi.errors"].write("too late\n")
        return []

    with serving(application, stderr="with-stdout") as site:
        with site.connect() as connection:
            connection.send(begin())
            begun.wait()
            connection.send(wire.abort_request(1))
            connection.response()
            gate.set()
        site.until_idle()
    assert "too late" in caplog.text

"""wsgiref.validate, PEP 3333's own checker, between the gateway and a broad application."""

from __future__ import annotations

import io
import sys
from wsgiref.validate import validator

import pytest
import webserver_side as wire
from wsgi_side import Request

from gfcgi.wsgi.gateway import Gateway

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND")
TEXT = [("Content-Type", "text/plain")]
BODY = b"first line\nsecond\n\nlast"


def reading(environ):
    """Every way to read the body, in turn."""
    stream = environ["wsgi.input"]
    yield stream.read(3)
    yield stream.readline(4)
    yield stream.readline()
    yield from stream.readlines(1)
    yield from stream
    yield stream.read(10)


def plain(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"".join(reading(environ))]


def generated(environ, start_response):
    start_response("200 OK", [*TEXT, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    yield from reading(environ)


def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    for piece in reading(environ):
        write(piece)
    return []


def from_a_file(environ, start_response):
    start_response("200 OK", TEXT)
    content = b"".join(reading(environ))
    return environ["wsgi.file_wrapper"](io.BytesIO(content), 4)


def replaced(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise ValueError
    except ValueError:
        start_response("500 Handled", TEXT, sys.exc_info())
    return [b"".join(reading(environ))]


def complaining(environ, start_response):
    environ["wsgi.errors"].write("a line\n")
    environ["wsgi.errors"].writelines(["two ", "parts\n"])
    environ["wsgi.errors"].flush()
    return plain(environ, start_response)


def bodiless(environ, start_response):
    for _ in reading(environ):
        pass
    start_response("204 No Content", [("X", "1")])
    return [b""]


APPLICATIONS = (plain, generated, written, from_a_file, replaced, complaining, bodiless)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_the_validator_has_nothing_to_say(application, method, caplog):
    for cut in (0, 5, len(BODY)):
        request = Request(
            wire.cgi_params(method, "/some/path", "q=1", BODY, CONTENT_TYPE="text/plain"),
            [BODY[:cut], BODY[cut:]],
        )
        Gateway(validator(application))(request)
        assert caplog.records == []
        assert request.app_status == 0
        response = request.response
        assert response.status == {"replaced": 500, "bodiless": 204}.get(application.__name__, 200)
        expected = b"" if method == "HEAD" or application is bodiless else BODY
        assert response.body == expected


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"REQUEST_METHOD": "GET"},
        {"SCRIPT_NAME": "/", "PATH_INFO": ""},
        {"SCRIPT_NAME": "/app"},
        {"PATH_INFO": "/p", "CONTENT_LENGTH": "", "CONTENT_TYPE": ""},
        {"SERVER_NAME": "", "SERVER_PORT": ""},
        {"HTTP_CONTENT_LENGTH": "5", "HTTP_CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "-1"},
        {"HTTPS": "on", "SERVER_PORT": "443"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("role", [wire.RESPONDER, wire.AUTHORIZER, wire.FILTER])
def test_whatever_the_web_server_leaves_out_the_validator_finds_it(params, role, caplog):
    data = [b"file"] if role == wire.FILTER else None
    request = Request(params, role=role, data=data)
    Gateway(validator(plain))(request)
    assert caplog.records == []
    assert request.response.status == 200


def test_the_validator_complains_through_us_where_an_application_is_wrong(caplog):
    def wrong(environ, start_response):
        start_response("200 OK", [])
        return [b"no content type"]

    request = Request()
    Gateway(validator(wrong))(request)
    assert request.response.status == 500
    assert "No Content-Type header" in caplog.text

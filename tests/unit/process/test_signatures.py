"""gfcgi.process.signatures: what is no WSGI application is known before it is called."""

from __future__ import annotations

import functools

import flask
import pytest

from gfcgi.process.signatures import why_not_wsgi


def function(environ, start_response):
    raise AssertionError("it was called")


class Method:
    def __call__(self, environ, start_response):
        raise AssertionError("it was called")

    def method(self, environ, start_response, more=None):
        raise AssertionError("it was called")


class PerRequest:
    def __init__(self, environ, start_response):
        raise AssertionError("it was made")


@functools.wraps(PerRequest)
def anything(*arguments, **keywords):
    raise AssertionError("it was called")


async def asgi(scope, receive, send):
    raise AssertionError("it was called")


@functools.wraps(asgi)
def adapted(environ, start_response):
    raise AssertionError("it was called")


class Asgi:
    async def __call__(self, scope, receive, send):
        raise AssertionError("it was called")


class Silent:
    __signature__ = "none"

    def __call__(self, environ, start_response):
        raise AssertionError("it was called")


class Raising:
    @property
    def __signature__(self):
        raise RuntimeError("a lazy proxy that cannot be evaluated")

    def __call__(self, environ, start_response):
        raise AssertionError("it was called")


@pytest.mark.parametrize(
    "application",
    [
        function,
        Method(),
        Method().method,
        PerRequest,
        anything,
        adapted,
        functools.partial(Method.method, Method()),
        flask.Flask("site"),
        Silent(),
        Raising(),
        lambda environ, start_response: [],
        max,
        dict,
    ],
)
def test_a_wsgi_application_of_any_kind_passes(application):
    assert why_not_wsgi(application, "app") == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (asgi, "app is an ASGI application, and gfcgi serves WSGI: write application ="),
        (Asgi(), "app is an ASGI application"),
        (lambda scope, receive, send: None, "app is an ASGI application"),
        (lambda: function, "app takes no environ: if it makes the application, write app()"),
        (lambda config=None, debug=False: function, "app takes no environ"),
        (Method, "app takes no environ"),
        (lambda environ: None, "app cannot be called with environ and start_response"),
        (lambda request: None, "app cannot be called with environ and start_response"),
        (3, "app cannot be called: it is of type int"),
    ],
)
def test_what_is_none_is_named_with_what_to_write(found, reason):
    said = why_not_wsgi(found, "app")
    assert said.startswith(reason)
    assert "\n" not in said

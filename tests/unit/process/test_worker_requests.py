"""gfcgi.process.workers.requests: what gunicorn's hooks and access log are told."""

from __future__ import annotations

import pytest

pytest.importorskip("gunicorn")

from gfcgi.process.workers.requests import (
    HookRequest,
    HookResponse,
    environ_for_log,
)
from gfcgi.wsgi.observed import Observed

PARAMS = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "/app",
    "PATH_INFO": "/a b",
    "QUERY_STRING": "x=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.7",
    "REMOTE_PORT": "4711",
    "HTTP_HOST": "example.com",
    "HTTP_X_A": "b",
    "CONTENT_TYPE": "text/plain",
    "CONTENT_LENGTH": "",
    "HTTPS": "on",
}


def test_a_request_has_what_hooks_look_at():
    request = HookRequest(PARAMS)
    assert (request.method, request.path, request.query) == ("POST", "/app/a b", "x=1")
    assert (request.uri, request.scheme, request.version) == ("/app/a b?x=1", "https", (1, 1))
    assert request.remote_addr == ("192.0.2.7", "4711")
    assert request.headers == [
        ("HOST", "example.com"),
        ("X-A", "b"),
        ("CONTENT-TYPE", "text/plain"),
    ]
    assert HookRequest({**PARAMS, "REQUEST_URI": "/app/a%20b"}).uri == "/app/a%20b"


@pytest.mark.parametrize(
    ("protocol", "version"),
    [("HTTP/1.0", (1, 0)), ("HTTP/2.0", (2, 0)), ("HTTP/3", (3, 0)), ("", (1, 0)), ("x", (1, 0))],
)
def test_the_version_is_the_web_servers(protocol, version):
    assert HookRequest({"SERVER_PROTOCOL": protocol}).version == version


def test_a_response_has_what_hooks_look_at():
    observed = Observed(PARAMS, None, None)
    nothing = HookResponse(observed)
    assert (nothing.status_code, nothing.sent, nothing.headers_sent) == (499, 0, False)
    observed.count(b"Status: 404 Not Found\r\nContent-Type: a:b\r\n\r\n12")
    response = HookResponse(observed)
    assert (response.status, response.status_code) == ("404 Not Found", 404)
    assert response.headers == [("Content-Type", "a:b")]
    assert response.sent == 2
    assert response.headers_sent


def test_a_client_breaks_no_line_of_the_access_log_in_two():
    params = {"REQUEST_METHOD": "GET\n", "PATH_INFO": "/\n", "QUERY_STRING": "\r", "HTTP_A": "b"}
    environ = environ_for_log(Observed(params, None, None))
    assert environ["RAW_URI"] == "/\\n?\\r"
    assert environ["PATH_INFO"] == "/\\n"
    assert environ["SERVER_PROTOCOL"] == "-"
    assert params["PATH_INFO"] == "/\n"  # the application's own
    assert not [value for value in environ.values() if "\n" in value or "\r" in value]

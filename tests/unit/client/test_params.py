"""From an HTTP request to params."""

from __future__ import annotations

import pytest

from gfcgi import __version__
from gfcgi.client.params import BadRequestTarget, cgi_params, server_name, split_target

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "REMOTE_PORT": "40000",
    "wsgi.version": (1, 0),
}


def params(target="/", **extra):
    return cgi_params(ENVIRON | extra, target, server_address=("127.0.0.1", 8000))


def test_a_plain_request_has_every_variable_of_cgi():
    assert params("/a/b?c=d&e", HTTP_HOST="localhost:8000") == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"gfcgi/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": "8000",
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a/b?c=d&e",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "c=d&e",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "40000",
        "HTTP_HOST": "localhost:8000",
    }


@pytest.mark.parametrize(
    ("target", "path_info", "query_string"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/caf%C3%A9/%E2%82%AC%20x;y/a+b", "/caf\xc3\xa9/\xe2\x82\xac x;y/a+b", ""),
        ("/a%2Fb//c/../d", "/a/b//c/../d", ""),
        ("/caf\xe9", "/caf\xe9", ""),
        ("/%zz%4", "/%zz%4", ""),
        ("/?q=%C3%A9", "/", "q=%C3%A9"),
        ("/a#b?c", "/a", ""),
        ("//evil/x", "//evil/x", ""),
        ("http://example.org:81/a%20b?c", "/a b", "c"),
        ("http://example.org", "/", ""),
        ("http://example.org?c", "/", "c"),
        ("*", "", ""),
    ],
)
def test_paths_are_decoded_once_and_queries_are_left_alone(target, path_info, query_string):
    assert split_target(target) == (path_info, query_string)
    assert params(target)["REQUEST_URI"] == target
    assert params(target)["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("target", ["example.org:443", "a/b", "", "?x", "/a%00b"])
def test_targets_that_no_application_could_serve_are_refused(target):
    with pytest.raises(BadRequestTarget):
        params(target)


def test_the_body_is_announced_as_the_http_client_did():
    plain = params(CONTENT_TYPE="text/plain", CONTENT_LENGTH="3")
    assert (plain["CONTENT_TYPE"], plain["CONTENT_LENGTH"]) == ("text/plain", "3")
    chunked = params(HTTP_TRANSFER_ENCODING="chunked")
    assert chunked["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert "CONTENT_LENGTH" not in chunked
    assert "CONTENT_TYPE" not in params()


def test_headers_pass_except_those_that_mean_something_else():
    passed = params(HTTP_X_A="1", HTTP_COOKIE="a=1; b=2", HTTP_AUTHORIZATION="Basic x")
    assert passed["HTTP_X_A"] == "1"
    assert passed["HTTP_COOKIE"] == "a=1; b=2"
    assert passed["HTTP_AUTHORIZATION"] == "Basic x"
    refused = {"HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}
    assert not refused & params(**dict.fromkeys(refused, "x")).keys()
    assert not any(name.startswith("wsgi.") for name in passed)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("example.org", "example.org"),
        ("example.org:81", "example.org"),
        ("[::1]:8000", "[::1]"),
        ("", "127.0.0.1"),
        (None, "127.0.0.1"),
        ("a b", "127.0.0.1"),
        ("user@host", "127.0.0.1"),
        ("evil/path", "127.0.0.1"),
    ],
)
def test_the_server_name_is_the_host_asked_for_and_never_empty(host, name):
    assert server_name(host, "127.0.0.1") == name


def test_an_ipv6_address_as_server_name_is_in_brackets():
    assert server_name(None, "::1") == "[::1]"


@pytest.mark.parametrize(
    ("target", "host", "name"),
    [
        ("http://example.org:81/a", "example.org:81", "example.org"),
        ("http://example.org", "example.org", "example.org"),
        ("HTTP://[::1]:81/?q", "[::1]:81", "[::1]"),
    ],
)
def test_the_host_of_the_request_line_counts(target, host, name):
    """RFC 9112 §3.2.2: in absolute form, the Host header is passed over."""
    environ = {"SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET", "HTTP_HOST": "evil.example"}
    params = cgi_params(environ, target, server_address=("127.0.0.1", 80))
    assert (params["HTTP_HOST"], params["SERVER_NAME"]) == (host, name)

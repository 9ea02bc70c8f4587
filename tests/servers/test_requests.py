"""Requests and responses that come whole: every column gives the application the same request."""

from __future__ import annotations

import hashlib
import socket

import pytest

from .exchange import raw_request, raw_socket
from .harness import wait_until
from .site import Site

pytestmark = pytest.mark.servers

MIB = 1048576
PATTERN = bytes(range(256)) * 4096  # one MiB


def differs(request: pytest.FixtureRequest, reason: str) -> None:
    """Put a documented difference of this column into the matrix."""
    request.node.user_properties.append(("note", reason))


def test_query_string_arrives_as_sent(site: Site) -> None:
    seen = site.get("/environ?a=1&b=%20x+y&c=%E2%82%AC&d").json()
    assert seen["QUERY_STRING"] == "a=1&b=%20x+y&c=%E2%82%AC&d"
    assert seen["REQUEST_METHOD"] == "GET"


def test_missing_query_string_is_empty(site: Site) -> None:
    assert site.get("/environ").json()["QUERY_STRING"] == ""
    assert site.get("/environ?").json()["QUERY_STRING"] == ""


def test_percent_encoded_path_is_decoded_once(site: Site) -> None:
    seen = site.get("/environ/a%20b/x%3By/50%25/a+b").json()
    assert seen["PATH_INFO"] == "/environ/a b/x;y/50%/a+b"
    assert seen["SCRIPT_NAME"] == site.mount


def test_utf8_path_arrives_as_latin1_of_its_bytes(site: Site) -> None:
    seen = site.get("/environ/caf%C3%A9/%E2%82%AC").json()
    assert seen["PATH_INFO"].encode("latin-1").decode("utf-8") == "/environ/café/€"
    assert seen["SCRIPT_NAME"] == site.mount


def test_nested_path_info_keeps_its_trailing_slash(site: Site) -> None:
    seen = site.get("/environ/one/two/three/").json()
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == (site.mount, "/environ/one/two/three/")


def test_request_headers_reach_environ(site: Site) -> None:
    seen = site.get("/environ", X_Given="value 1", Cookie="a=1; b=2").json()
    assert seen["HTTP_X_GIVEN"] == "value 1"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["SERVER_PORT"] == str(site.port)


def test_head_has_the_headers_of_get_and_no_body(site: Site) -> None:
    got = site.get("/hello")
    assert got.body == b"hello world"
    request = f"HEAD {site.mount}/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    head, separator, body = raw_request(site.port, request.encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-type: text/plain; charset=utf-8" in head.lower()
    assert (separator, body) == (b"\r\n\r\n", b"")


def test_form_post(site: Site) -> None:
    body = b"name=J%C3%BCrgen&text=a+b%26c&empty="
    reply = site.request("POST", "/form", body, Content_Type="application/x-www-form-urlencoded")
    assert reply.json() == {"name": ["Jürgen"], "text": ["a b&c"], "empty": [""]}


def test_empty_post_ends_at_once(site: Site) -> None:
    seen = site.request("POST", "/upload", b"").json()
    assert seen["bytes"] == 0


def test_upload_of_10_mb_arrives_unchanged(site: Site) -> None:
    body = PATTERN * 10
    seen = site.request("POST", "/upload", body).json()
    assert seen["bytes"] == len(body)
    assert seen["sha256"] == hashlib.sha256(body).hexdigest()
    assert seen["content_length"] == str(len(body))


def test_chunked_upload(site: Site, request: pytest.FixtureRequest) -> None:
    pieces = [PATTERN[:count] for count in (1, 65536, 7, 300000, 8191)]
    reply = site.request("PUT", "/upload", iter(pieces))
    if site.column.chunked_status != 200:
        differs(request, f"the Web server refuses it with {reply.status}")
        assert reply.status == site.column.chunked_status
        return
    whole = b"".join(pieces)
    assert reply.json()["bytes"] == len(whole)
    assert reply.json()["sha256"] == hashlib.sha256(whole).hexdigest()
    # It is decoded; bottle, for one, would decode it once more.
    assert reply.json()["transfer_encoding"] is None


def test_early_answer_to_an_upload_reaches_the_http_client(site: Site) -> None:
    body = PATTERN * 3
    request = (
        f"POST {site.mount}/early HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with raw_socket(site.port) as connection:
        connection.sendall(request.encode())
        try:
            connection.sendall(body)
        except OSError:
            pass  # the Web server may stop listening once it has answered
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403")
    assert site.get("/hello").body == b"hello world"


def test_status_location_and_repeated_headers_pass(site: Site) -> None:
    reply = site.get("/status?code=201")
    assert reply.status == 201
    assert (reply.header("Location") or "").endswith("/elsewhere")
    assert reply.header_values("Set-Cookie") == ["a=1", "b=2"]
    assert reply.body == b"status 201"


@pytest.mark.parametrize("code", [204, 304, 404, 503])
def test_status_code_passes(site: Site, code: int) -> None:
    with site.client() as client:
        reply = client.request("GET", f"{site.mount}/status?code={code}")
        assert reply.status == code
        assert reply.body == (b"" if code in (204, 304) else b"status %d" % code)
        assert client.request("GET", f"{site.mount}/hello").body == b"hello world"


def test_many_requests_on_one_http_connection_keep_their_answers(site: Site) -> None:
    count = 5 if site.column.concurrency.startswith("under CGI") else 50
    with site.client() as client:
        for at in range(count):
            reply = client.request("GET", f"{site.mount}/hello?name=n{at}")
            assert reply.body == b"hello n%d" % at


def test_wsgi_errors_reaches_the_error_log_at_once(
    site: Site, request: pytest.FixtureRequest
) -> None:
    token = site.token()
    line = "first line " + token
    if not site.column.logs_stderr:
        differs(request, "the Web server logs FCGI_STDERR nowhere")
        assert site.get(f"/errors?token={token}").body == b"written"
        return
    held = site.column.server.holds_stderr()
    if held:
        differs(request, held)
        assert site.get(f"/errors?token={token}").body == b"written"
        wait_until(lambda: line in site.error_log(), f"{line!r} in the error log", 15.0)
        return
    with site.client() as client:
        client.send("GET", f"{site.mount}/errors?gated=1&token={token}")
        wait_until(lambda: line in site.error_log(), f"{line!r} in the error log", 15.0)
        site.say(token, "seen")
        assert client.reply().body == b"written"


def test_exception_is_a_plain_500_with_its_traceback_in_the_log(
    site: Site, request: pytest.FixtureRequest
) -> None:
    token = site.token()
    reply = site.get(f"/raise?token={token}")
    assert reply.status == 500
    assert b"Traceback" not in reply.body
    assert token.encode() not in reply.body
    log = site.error_log
    if not site.column.logs_stderr:
        differs(request, "the Web server logs FCGI_STDERR nowhere; gfcgi's own log has it")
        log = site.application_log
    wanted = "RuntimeError: this exception is meant " + token
    wait_until(lambda: wanted in log(), "the exception in the error log", 15.0)
    assert "Traceback (most recent call last)" in log()
    assert site.get("/hello").status == 200


def test_http_client_gone_before_it_asked_hurts_nobody(site: Site) -> None:
    with raw_socket(site.port) as connection:
        connection.sendall(b"POST %s/upload HTTP/1.1\r\nHost: x\r\n" % site.mount.encode())
        connection.shutdown(socket.SHUT_WR)
    assert site.get("/hello").status == 200

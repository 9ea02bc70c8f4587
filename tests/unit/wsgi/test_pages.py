"""gfcgi.wsgi.pages: what gfcgi itself answers with."""

from __future__ import annotations

import pytest
from webserver_side import Response

from gfcgi.wsgi.pages import error_page


def read(page: bytes) -> Response:
    return Response(1, bytearray(page))


@pytest.mark.parametrize("code", ["400", "408", "431", "500", "503", "504", "418"])
def test_a_page_is_a_whole_response_of_its_status(code):
    page = read(error_page(f"{code} Reason"))
    assert page.status == int(code)
    assert page.header("Content-Length") == str(len(page.body))
    assert page.header("Content-Type") == "text/plain; charset=utf-8"
    assert page.header("Cache-Control") == "no-store"
    assert page.body.startswith(f"{code} Reason\n".encode())
    assert page.headers[-1] == ("Status", f"{code} Reason")


def test_only_an_overload_says_when_to_try_again():
    assert read(error_page("503 Service Unavailable")).header("Retry-After") == "1"
    assert read(error_page("500 Internal Server Error")).header("Retry-After") is None


def test_a_detail_takes_the_place_of_the_usual_sentence():
    assert b"went wrong" in read(error_page("500 Oh", "it went wrong: €\ud800")).body
    assert "€".encode() in read(error_page("500 Oh", "it went wrong: €\ud800")).body
    assert b"failed" in read(error_page("500 Oh")).body


def test_a_page_for_a_head_has_the_length_and_no_body():
    page = read(error_page("400 Bad Request", body=False))
    assert page.body == b""
    assert page.header("Content-Length") == str(len(read(error_page("400 Bad Request")).body))

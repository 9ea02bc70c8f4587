"""gfcgi.wsgi.environ: what the application is given; its rules have their own file."""

from __future__ import annotations

import pytest
import webserver_side as wire
from wsgi_side import echo, hello

from gfcgi.errors import RequestAborted


def seen(ask, *args, **kwargs):
    """The environ that an application is given."""
    found = []

    def application(environ, start_response):
        found.append(environ)
        return hello(environ, start_response)

    ask(application, *args, **kwargs)
    return found[0]


# -- environ


def test_environ_is_a_dict_with_what_pep_3333_asks_for(ask):
    environ = seen(ask)
    assert type(environ) is dict
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input_terminated"] is True
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("GET", "/")


def test_each_request_has_an_environ_of_its_own(ask):
    assert seen(ask) is not seen(ask)


@pytest.mark.parametrize("name", ["multithread", "multiprocess", "run_once"])
@pytest.mark.parametrize("value", [True, False])
def test_environ_says_how_the_application_runs(ask, name, value):
    assert seen(ask, gateway={name: value})[f"wsgi.{name}"] is value


def test_every_octet_reaches_the_application_as_one_character(ask):
    octets = bytes(range(1, 256)).decode("latin-1")
    environ = seen(ask, path="/" + octets, QUERY_STRING=octets, HTTP_X=octets)
    assert environ["PATH_INFO"] == "/" + octets
    assert environ["QUERY_STRING"] == environ["HTTP_X"] == octets


@pytest.mark.parametrize(
    ("params", "scheme"),
    [
        ({}, "http"),
        ({"HTTPS": "on"}, "https"),
        ({"HTTPS": "ON"}, "https"),
        ({"HTTPS": "1"}, "https"),
        ({"HTTPS": "off"}, "http"),
        ({"HTTPS": ""}, "http"),
        ({"HTTPS": "", "REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": "https"}, "https"),
        ({"REQUEST_SCHEME": "http"}, "http"),
        ({"REQUEST_SCHEME": "gopher"}, "http"),
        ({"SERVER_PORT": "443"}, "http"),
        ({"HTTP_X_FORWARDED_PROTO": "https"}, "http"),
    ],
)
def test_the_scheme_is_what_the_web_server_says(ask, params, scheme):
    assert seen(ask, **params)["wsgi.url_scheme"] == scheme


def test_the_proxy_header_does_not_reach_the_application(ask):
    assert "HTTP_PROXY" not in seen(ask, HTTP_PROXY="evil:3128")


def test_repeated_header_fields_are_joined(ask):
    repeated = [("HTTP_X", "2"), ("HTTP_COOKIE", "b=2"), ("HTTP_X", "3"), ("PLAIN", "new")]
    environ = seen(ask, HTTP_X="1", HTTP_COOKIE="a=1", PLAIN="old", request={"repeated": repeated})
    assert environ["HTTP_X"] == "1, 2, 3"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["PLAIN"] == "new"


# -- CONTENT_LENGTH and the body


@pytest.mark.parametrize("length", ["", "-1"])
def test_a_length_that_is_none_is_taken_away_and_the_body_read_to_its_end(ask, length):
    def application(environ, start_response):
        assert "CONTENT_LENGTH" not in environ
        return echo(environ, start_response)

    assert ask(application, body=b"the body", CONTENT_LENGTH=length).response.body == b"the body"


@pytest.mark.parametrize(
    "length", ["+5", " 5 ", "5 ", "-2", "five", "5,5", "0x5", "٥", "²", "1e3", "9" * 19, "5\n"]
)
def test_a_length_that_is_no_number_is_a_400_and_logged(ask, length, caplog):
    def never(environ, start_response):
        raise AssertionError("called")

    request = ask(never, CONTENT_LENGTH=length)
    assert request.response.status == 400
    assert b"CONTENT_LENGTH" in request.response.body
    assert "CONTENT_LENGTH" in caplog.text


def test_two_lengths_that_differ_are_a_400_and_two_that_do_not_are_one(ask):
    twice = {"request": {"repeated": [("CONTENT_LENGTH", "4")]}}
    assert ask(echo, body=b"body", **twice).response.body == b"body"
    assert ask(echo, body=b"five!", **twice).response.status == 400


def test_a_refusal_of_a_head_has_no_body(ask):
    request = ask(hello, "HEAD", CONTENT_LENGTH="x")
    assert (request.response.status, request.response.body) == (400, b"")


def test_a_body_longer_than_its_length_is_not_read_further(ask):
    assert ask(echo, body=[b"12345", b"678"], CONTENT_LENGTH="6").response.body == b"123456"


def test_a_body_shorter_than_its_length_aborts_the_request_with_400(ask, caplog):
    request = ask(echo, body=b"123", CONTENT_LENGTH="10")
    assert (request.response.status, request.app_status) == (400, 1)
    assert b"7 bytes before CONTENT_LENGTH" in request.response.body
    assert caplog.records == []


def test_a_body_that_breaks_off_after_the_headers_went_ends_the_response(ask):
    def application(environ, start_response):
        start_response("200 OK", [])(b"begun")
        environ["wsgi.input"].read()

    request = ask(application, body=b"1", CONTENT_LENGTH="2")
    assert (request.response.body, request.app_status) == (b"begun", 1)


def test_an_application_may_handle_a_body_that_breaks_off(ask):
    def application(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError:
            start_response("200 OK", [])
            return [b"never mind"]

    assert ask(application, body=b"1", CONTENT_LENGTH="2").response.body == b"never mind"


# -- roles


@pytest.mark.parametrize(
    ("role", "name"),
    [(wire.RESPONDER, "RESPONDER"), (wire.AUTHORIZER, "AUTHORIZER"), (wire.FILTER, "FILTER")],
)
def test_environ_names_the_role(ask, role, name):
    assert seen(ask, request={"role": role})["gfcgi.role"] == name


def test_an_authorizer_has_no_body_whatever_the_length_of_the_request_it_judges(ask):
    environ = seen(ask, request={"role": wire.AUTHORIZER, "broken": True}, CONTENT_LENGTH="100")
    assert "CONTENT_LENGTH" not in environ
    assert environ["wsgi.input"].read() == b""


@pytest.mark.parametrize(
    ("length", "expected"),
    [("4", b"file"), ("2", b"fi"), (None, b"file"), ("x", b"file"), ("9" * 5000, b"file")],
)
def test_a_filter_reads_its_file_from_gfcgi_data(ask, length, expected):
    params = {} if length is None else {"FCGI_DATA_LENGTH": length}
    request = {"role": wire.FILTER, "data": [b"fi", b"le"]}
    environ = seen(ask, request=request, body=b"form", **params)
    assert environ["gfcgi.data"].read() == expected
    assert environ["wsgi.input"].read() == b"form"


def test_a_file_shorter_than_its_length_is_an_error(ask):
    environ = seen(ask, request={"role": wire.FILTER, "data": [b"fi"]}, FCGI_DATA_LENGTH="4")
    with pytest.raises(RequestAborted, match="filtered ended 2 bytes before FCGI_DATA_LENGTH"):
        environ["gfcgi.data"].read()


def test_others_have_no_gfcgi_data(ask):
    assert "gfcgi.data" not in seen(ask)

"""gfcgi.wsgi.response: start_response, write and the iterable (PEP 3333)."""

from __future__ import annotations

import sys

import pytest
import webserver_side as wire
from wsgi_side import Request

from gfcgi.wsgi.gateway import Gateway

TEXT = [("Content-Type", "text/plain")]


class Iterated(tuple):
    """Chunks that are known one by one only, as those of a generator, but again and again."""

    __slots__ = ()


def answering(result, status="200 OK", headers=()):
    """An application that answers with ``result``."""

    def application(environ, start_response):
        start_response(status, list(headers))
        return result

    return application


def writing(*chunks, headers=(), result=()):
    """An application that writes ``chunks``."""

    def application(environ, start_response):
        write = start_response("200 OK", list(headers))
        for chunk in chunks:
            write(chunk)
        return list(result)

    return application


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


# -- one write


@pytest.mark.parametrize(
    "result", [[b"body"], (b"body",), [b"bo", b"", b"dy"], [bytearray(b"bo"), memoryview(b"dy")]]
)
def test_a_body_known_whole_leaves_in_one_write_with_its_length_and_the_end(ask, result):
    request = ask(answering(result, headers=TEXT))
    assert [kind for kind, _ in request.calls] == ["end"]
    assert request.response.body == b"body"
    assert request.response.headers == [*TEXT, ("Content-Length", "4"), ("Status", "200 OK")]
    assert request.app_status == 0


@pytest.mark.parametrize("result", [[], (), [b""], [b"", b""], Iterated([])])
def test_an_empty_body_has_length_zero(ask, result):
    request = ask(answering(result))
    assert request.response.header("Content-Length") == "0"
    assert [kind for kind, _ in request.calls] == ["end"]


def test_a_generator_is_sent_piece_by_piece_the_first_with_the_header_block(ask):
    request = ask(answering(Iterated([b"", b"one", b"", b"two"]), headers=TEXT))
    assert [kind for kind, _ in request.calls] == ["stdout", "stdout", "end"]
    assert request.calls[0][1] == b"Content-Type: text/plain\r\nStatus: 200 OK\r\n\r\none"
    assert request.response.body == b"onetwo"
    assert request.response.header("Content-Length") is None


@pytest.mark.parametrize("size", [32_000, 32 * 1024, 32 * 1024 + 1, 300_000])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_long_body_is_sent_whole_with_its_beginning_in_the_first_write(ask, size, pieces):
    whole = bytes(range(251)) * (size // 251 + 1)
    cut = size if pieces == 1 else size // 2
    request = ask(answering([whole[:cut], whole[cut:size]][:pieces]))
    assert request.response.body == whole[:size]
    assert len(request.calls[0][1]) > 1000


def test_a_header_block_longer_than_nginx_takes_is_sent_and_logged_once(caplog):
    gateway = Gateway(answering([b"x"], headers=[("X-Long", "v" * 4096)]))
    for path in ("/first", "/second"):
        request = Request(wire.cgi_params("GET", path, SERVER_SOFTWARE="nginx/1.22.1"))
        gateway(request)
        assert request.response.header("X-Long") == "v" * 4096
    (line,) = lines(caplog)
    assert line.startswith("GET /first: a header block of 41")
    assert "fastcgi_buffer_size" in line


@pytest.mark.parametrize(
    ("software", "param", "length", "warned"),
    [
        ("nginx/1.22.1", None, 3900, False),
        ("nginx/1.22.1", None, 7000, True),
        ("nginx/1.22.1", "16384", 7000, False),
        ("nginx/1.22.1", "16384", 17000, True),
        ("nginx/1.22.1", "nonsense", 7000, True),
        ("HAProxy 2.6.12", None, 7000, False),
        ("HAProxy 2.6.12", None, 16000, True),
        ("lighttpd/1.4.69", None, 20000, False),
        ("lighttpd/1.4.69", None, 70000, True),
        ("Apache/2.4.71", None, 70000, False),
        ("Caddy/v2.6.2", None, 70000, False),
        ("", None, 70000, False),
    ],
)
def test_a_long_header_block_is_warned_of_where_the_web_server_refuses_it(
    software, param, length, warned, caplog
):
    params = wire.cgi_params("GET", "/", SERVER_SOFTWARE=software)
    if param is not None:
        params["FASTCGI_BUFFER_SIZE"] = param
    Gateway(answering([b"x"], headers=[("X-Long", "v" * length)]))(Request(params))
    assert bool(lines(caplog)) is warned


@pytest.mark.parametrize(
    ("software", "status", "headers", "shown"),
    [
        ("Caddy/v2.6.2", "200 OK", [("Content-Type", "text/plain")], False),
        ("Caddy/v2.6.2", "200 Fine", [("X", "y"), ("Z", "")], False),
        ("Caddy/v2.6.2", "200 OK", [], True),  # a header block must not be empty
        ("Caddy/v2.6.2", "201 Created", [("X", "y")], True),
        ("Caddy/v2.6.2", "404 Not Found", [("X", "y")], True),
        # Without a Status, a Location means 302.
        ("Caddy/v2.6.2", "200 OK", [("Location", "/x")], True),
        ("nginx/1.22.1", "200 OK", [("X", "y")], True),
        ("", "200 OK", [("X", "y")], True),
    ],
)
def test_status_is_left_out_where_it_means_nothing_and_would_be_shown(
    software, status, headers, shown
):
    def application(environ, start_response):
        start_response(status, headers)
        yield b"x"

    request = Request(wire.cgi_params("GET", "/", SERVER_SOFTWARE=software))
    Gateway(application)(request)
    head = b"".join(data for _, data in request.calls).partition(b"\r\n\r\n")[0]
    assert (f"Status: {status}".encode() in head) is shown


def test_a_header_block_longer_than_a_write_hurts_no_body(ask):
    request = ask(answering([b"b" * 40_000], headers=[("X-Long", "v" * 50_000)]))
    assert request.response.body == b"b" * 40_000


def test_nothing_is_sent_before_the_first_bytes_of_the_body(ask):
    seen = []

    def application(environ, start_response):
        start_response("200 OK", TEXT)
        seen.append(list(ask.request.calls))
        yield b""
        seen.append(list(ask.request.calls))
        yield b"x"
        seen.append(list(ask.request.calls))

    ask(application)
    assert [len(calls) for calls in seen] == [0, 0, 1]


@pytest.mark.parametrize(
    ("role", "place"), [(wire.RESPONDER, -1), (wire.AUTHORIZER, 0), (wire.FILTER, -1)]
)
def test_only_an_authorizer_says_its_status_before_everything_else(ask, role, place):
    headers = [("WWW-Authenticate", 'Basic realm="x"'), *TEXT]
    application = answering([b"no"], "401 Unauthorized", headers)
    request = ask(application, request={"role": role})
    assert request.response.headers[place] == ("Status", "401 Unauthorized")


# -- start_response


def test_start_response_may_wait_until_the_iterable_runs(ask):
    def application(environ, start_response):
        start_response("202 Accepted", TEXT)
        yield b"late"

    assert ask(application).response.status == 202


@pytest.mark.parametrize("result", [[b"x"], Iterated([b"x"]), [], Iterated([])])
def test_an_application_that_never_calls_start_response_is_a_500(ask, result, caplog):
    request = ask(lambda environ, start_response: result)
    assert request.response.status == 500
    assert "did not call start_response" in caplog.text


def test_a_second_start_response_without_exc_info_is_an_error(ask, caplog):
    def application(environ, start_response):
        start_response("200 OK", TEXT)
        start_response("404 Not Found", TEXT)
        return [b"x"]

    assert ask(application).response.status == 500
    assert "exc_info" in caplog.text


def test_exc_info_replaces_a_response_that_was_not_sent(ask):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "99"), ("X", "old")])
        try:
            raise ValueError("wrong")
        except ValueError:
            start_response("503 Later", TEXT, sys.exc_info())
        return [b"sorry"]

    response = ask(application).response
    assert response.headers == [*TEXT, ("Content-Length", "5"), ("Status", "503 Later")]


@pytest.mark.parametrize("error", [ValueError("wrong"), UnicodeDecodeError("a", b"", 0, 1, "b")])
def test_exc_info_raises_its_own_exception_once_the_headers_went(ask, error, caplog):
    raised = []

    def application(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"begun"
        try:
            raise error
        except ValueError:
            try:
                start_response("500 Oh", [], sys.exc_info())
            except BaseException as again:
                raised.append(again)
                raise

    request = ask(application)
    assert raised == [error]
    assert request.response.status == 200
    assert request.response.body == b"begun"
    assert request.app_status == 1
    assert type(error).__name__ in caplog.text


def test_exc_info_of_a_first_call_is_no_matter(ask):
    def application(environ, start_response):
        try:
            raise ValueError
        except ValueError:
            start_response("500 Handled", TEXT, sys.exc_info())
        return [b"x"]

    assert ask(application).response.headers[-1] == ("Status", "500 Handled")


def test_a_refused_start_response_leaves_the_one_before_it(ask):
    def application(environ, start_response):
        start_response("200 OK", [("X", "1")])
        for headers in ([("X", "2\r\n")], [("X", "3"), ("Content-Length", "no")]):
            try:
                raise KeyError
            except KeyError:
                with pytest.raises(ValueError, match=r"X|Content-Length"):
                    start_response("500 No", headers, sys.exc_info())
        return [b"x"]

    response = ask(application).response
    assert (response.status, response.header("X")) == (200, "1")
    assert response.header("Content-Length") == "1"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK\r\nX-Evil: 1", []),
        ("999999", []),
        (200, []),
        ("100 Continue", []),
        ("200 €", []),
        ("200 OK", [("X", "a\r\nX-Evil: 1")]),
        ("200 OK", [("X-Evil: 1\r\nX", "a")]),
        ("200 OK", [("X", "a\0")]),
        ("200 OK", [("X", 1)]),
        ("200 OK", [("X", b"1")]),
        ("200 OK", [("X", "€")]),
        ("200 OK", [("", "a")]),
        ("200 OK", [("Status", "200 OK")]),
        ("200 OK", [("Content-Length", "many")]),
        ("200 OK", [("Content-Length", "1"), ("Content-Length", "2")]),
        ("200 OK", ("X", "a")),
        ("200 OK", None),
        ("304 Not Modified", [("X", "€")]),
        ("204 No Content", [("X", "€")]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("write", [False, True], ids=["returned", "written"])
def test_what_must_not_be_sent_is_a_500_and_nothing_of_it_on_the_wire(
    ask, caplog, status, headers, write
):
    def application(environ, start_response):
        send = start_response(status, headers)
        if write:
            send(b"never sent")
        return [b"never sent"]

    request = ask(application)
    assert request.response.status == 500
    assert request.response.body
    assert request.response.header("Content-Length") == str(len(request.response.body))
    assert b"Evil" not in request.stdout
    assert b"never" not in request.stdout
    assert "HeaderError" in caplog.text
    assert "HeaderError" in request.stderr


# -- write()


def test_write_sends_at_once_and_before_what_is_returned(ask):
    request = ask(writing(b"one", b"", b"two", headers=TEXT, result=[b"three"]))
    assert [kind for kind, _ in request.calls] == ["stdout", "stdout", "end"]
    assert request.response.body == b"onetwothree"
    assert request.response.header("Content-Length") is None


@pytest.mark.parametrize("wrong", [None, 5, [b"x"], object()])
def test_a_chunk_that_is_no_bytes_is_an_error(ask, wrong, caplog):
    assert ask(writing(wrong)).response.status == 500
    assert ask(answering([wrong])).response.status == 500
    assert ask(answering(iter([wrong]))).response.status == 500
    assert caplog.text.count("TypeError: the body must be of bytes") == 3


# -- Content-Length


@pytest.mark.parametrize(
    "send", [answering, lambda chunks, headers: writing(*chunks, headers=headers)]
)
@pytest.mark.parametrize(
    "chunks",
    [[b"12345678"], [b"123", b"45678", b"9"], [b"12345", b"678"], Iterated([b"1234", b"5678"])],
)
def test_a_body_is_never_sent_beyond_its_content_length_and_logged_once(ask, caplog, send, chunks):
    request = ask(send(chunks, headers=[("content-length", "5")]))
    assert request.response.body == b"12345"
    assert request.response.headers == [("content-length", "5"), ("Status", "200 OK")]
    assert lines(caplog) == [
        "GET /: the application's body is longer than its Content-Length; the rest is cut"
    ]


@pytest.mark.parametrize(
    "chunks", [[b"123"], [b"1", b"23"], Iterated([b"123"]), Iterated([b"1", b"23"])]
)
def test_a_shortfall_is_logged(ask, caplog, chunks):
    request = ask(answering(chunks, headers=[("Content-Length", "10")]))
    assert request.response.body == b"123"
    assert lines(caplog) == ["GET /: the application's body is 7 bytes short of its Content-Length"]


def test_a_body_as_long_as_it_says_is_no_matter(ask, caplog):
    request = ask(answering([b"12345"], headers=[("Content-Length", "5")]))
    assert request.response.body == b"12345"
    assert caplog.records == []


# -- responses without a body


@pytest.mark.parametrize(
    ("headers", "length"),
    [([], "4"), ([("Content-Length", "4")], "4"), ([("Content-Length", "9")], "9")],
)
def test_head_has_the_headers_of_get_and_no_body(ask, caplog, headers, length):
    request = ask(answering([b"body"], headers=headers), "HEAD")
    assert request.response.body == b""
    assert [value for name, value in request.response.headers if name == "Content-Length"] == [
        length
    ]
    assert caplog.records == []


@pytest.mark.parametrize("result", [[], [b""], Iterated([b"piece", b"piece"])])
def test_head_does_not_make_a_length_up(ask, result):
    request = ask(answering(result), "HEAD")
    assert request.response.body == b""
    assert request.response.header("Content-Length") is None


def test_writing_to_a_head_sends_the_header_block_alone(ask, caplog):
    request = ask(writing(b"one", b"two", headers=[("Content-Length", "6")]), "HEAD")
    assert request.response.body == b""
    assert request.response.header("Content-Length") == "6"
    assert caplog.records == []


@pytest.mark.parametrize("chunks", [[b"body"], [], Iterated([b"bo", b"dy"])])
def test_204_has_neither_body_nor_length(ask, chunks):
    request = ask(answering(chunks, "204 No Content", [("Content-Length", "4"), ("X", "1")]))
    assert request.response.headers == [("X", "1"), ("Status", "204 No Content")]
    assert request.response.body == b""


@pytest.mark.parametrize("chunks", [[b"body"], [], Iterated([b"bo", b"dy"])])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "4")]])
def test_304_has_no_body_and_the_length_that_the_application_says(ask, chunks, headers, caplog):
    request = ask(answering(chunks, "304 Not Modified", headers))
    assert request.response.headers == [*headers, ("Status", "304 Not Modified")]
    assert request.response.body == b""
    assert caplog.records == []


# -- a body that is str


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        (None, "utf-8"),
        ("text/html", "utf-8"),
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html; charset=ISO-8859-1", "latin-1"),
        ('text/html;charset="iso-8859-1"', "latin-1"),
        ("text/html; x=y; CharSet = utf-16-le ; z", "utf-16-le"),
    ],
)
@pytest.mark.parametrize("bare", [True, False])
def test_a_str_is_encoded_as_its_content_type_says(ask, content_type, charset, bare):
    headers = [("content-type", content_type)] if content_type else []
    text = "äöü"
    request = ask(answering(text if bare else [text], headers=headers))
    assert request.response.body == text.encode(charset)
    assert request.response.header("Content-Length") == str(len(text.encode(charset)))


def test_a_str_that_its_charset_cannot_encode_is_a_500(ask, caplog):
    request = ask(answering("€", headers=[("Content-Type", "text/plain; charset=latin-1")]))
    assert request.response.status == 500
    assert "UnicodeEncodeError" in caplog.text


def test_a_charset_that_does_not_exist_is_a_500_that_names_it(ask, caplog):
    request = ask(answering("x", headers=[("Content-Type", "text/plain; charset=klingon")]))
    assert request.response.status == 500
    assert "no known charset: 'klingon'" in caplog.text


def test_the_charset_is_that_of_the_response_that_is_sent(ask):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain; charset=latin-1")])
        yield ""
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        yield "ä"

    assert ask(application).response.body == "ä".encode()


# -- a Content-Length that counts the characters of a str

CAFE = "<p>café</p>"


@pytest.mark.parametrize("result", [CAFE, [CAFE], (CAFE,), ["<p>ca", "fé</p>"], [CAFE, b""]])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le"])
def test_a_content_length_in_characters_becomes_one_in_bytes(ask, caplog, result, charset):
    headers = [
        ("Content-Type", f"text/html; charset={charset}"),
        ("content-length", str(len(CAFE))),
        ("X-After", "1"),
    ]
    request = ask(answering(result, headers=headers))
    assert request.response.body == CAFE.encode(charset)
    length = str(len(CAFE.encode(charset)))
    assert request.response.headers == [
        headers[0],
        ("content-length", length),
        headers[2],
        ("Status", "200 OK"),
    ]
    assert len([line for line in lines(caplog) if "counts the characters" in line]) == 1


def test_it_is_said_once_for_the_application(caplog):
    gateway = Gateway(answering([CAFE], headers=[("Content-Length", str(len(CAFE)))]))
    for _ in range(3):
        request = Request()
        gateway(request)
        assert request.response.body == CAFE.encode()
    assert len([line for line in lines(caplog) if "counts the characters" in line]) == 1


def test_a_head_has_the_length_in_bytes_too(ask):
    request = ask(answering([CAFE], headers=[("Content-Length", str(len(CAFE)))]), "HEAD")
    assert request.response.header("Content-Length") == str(len(CAFE.encode()))


@pytest.mark.parametrize("length", [len(CAFE.encode()), 5, 99])
def test_any_other_content_length_of_a_str_stays_as_it_is(ask, caplog, length):
    request = ask(answering([CAFE], headers=[("Content-Length", str(length))]))
    assert request.response.header("Content-Length") == str(length)
    assert not [line for line in lines(caplog) if "counts the characters" in line]


def test_one_chunk_of_a_generator_is_corrected_and_several_go_without_a_length(ask, caplog):
    headers = [("Content-Length", str(len(CAFE)))]
    one = ask(answering(iter([CAFE]), headers=headers))
    assert one.response.body == CAFE.encode()
    assert one.response.header("Content-Length") == str(len(CAFE.encode()))
    several = ask(answering(iter(["<p>ca", "fé</p>"]), headers=headers))
    assert several.response.body == CAFE.encode()
    assert several.response.header("Content-Length") is None
    written = ask(writing("<p>ca", "fé</p>", headers=headers))
    assert written.response.body == CAFE.encode()


def test_what_was_written_before_leaves_the_length_alone(ask):
    headers = [("Content-Length", "9")]
    request = ask(writing(b"12345", headers=headers, result=["éééé"]))
    assert request.response.body == b"12345" + "éé".encode()


# -- a body that the Web server replaces


@pytest.mark.parametrize(
    "header", ["X-Accel-Redirect", "x-sendfile", "X-LIGHTTPD-send-file", "X-Reproxy-URL"]
)
@pytest.mark.parametrize("chunks", [[], [b""], [b"longer than that"], Iterated([b"short"])])
@pytest.mark.parametrize("length", ["1000000", "10"])
def test_nothing_is_wrong_with_the_length_of_a_body_that_is_replaced(
    ask, caplog, header, chunks, length
):
    headers = [(header, "/private/file"), ("Content-Length", length)]
    request = ask(answering(chunks, headers=headers))
    assert request.response.header("Content-Length") == length
    assert (request.app_status, request.way) == (0, "")
    assert lines(caplog) == []

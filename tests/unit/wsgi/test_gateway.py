"""gfcgi.wsgi.gateway: one request in, the application called, its end always there."""

from __future__ import annotations

import functools
import gc
import io
import logging
import sys
import weakref

import gevent
import pytest
from greenlet import GreenletExit
from wsgi_side import Request, hello

from gfcgi.errors import RequestAborted
from gfcgi.wsgi.gateway import Gateway
from gfcgi.wsgi.webserver_quirks import ABORT, CLOSE, END


def answering(result):
    def application(environ, start_response):
        start_response("200 OK", [])
        return result

    return application


# -- what goes wrong


@pytest.mark.parametrize("where", ["call", "iteration"])
def test_an_exception_is_a_500_without_a_traceback_and_logged_with_one(ask, body, where, caplog):
    def application(environ, start_response):
        if where == "call":
            raise LookupError("secret detail")
        start_response("200 OK", [])
        return body(error=LookupError("secret detail"))

    request = ask(application, path="/some/where")
    assert (request.response.status, request.app_status) == (500, 1)
    assert b"secret" not in request.stdout.replace(request.stderr.encode(), b"")
    assert "LookupError: secret detail" in request.stderr
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage() == "GET /some/where: the application failed"
    assert record.exc_info[0] is LookupError


def test_debug_shows_the_traceback_in_the_page(ask):
    def application(environ, start_response):
        raise LookupError("detail")

    request = ask(application, gateway={"debug": True})
    assert b"LookupError: detail" in request.response.body
    assert request.response.header("Content-Type").startswith("text/plain")


def test_after_the_first_bytes_an_exception_ends_the_response_and_adds_nothing(ask, body):
    result = body(b"begun", error=LookupError("detail"))
    request = ask(answering(result), gateway={"debug": True})
    assert (request.response.status, request.response.body) == (200, b"begun")
    assert request.app_status == 1
    assert result.closed == 1


def test_a_failing_head_has_a_page_without_a_body(ask):
    def application(environ, start_response):
        raise LookupError

    request = ask(application, "HEAD")
    assert (request.response.status, request.response.body) == (500, b"")


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), gevent.Timeout(5)]
)
def test_what_is_no_exception_is_a_500_too(ask, error, caplog):
    def application(environ, start_response):
        raise error

    assert ask(application).response.status == 500
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("result", [None, 5, object()])
def test_a_result_that_is_no_iterable_is_a_500(ask, result, caplog):
    assert ask(answering(result)).response.status == 500
    assert "TypeError" in caplog.text


def test_an_application_that_cannot_be_called_is_a_500(ask):
    assert ask(None).response.status == 500
    assert ask(lambda environ: []).response.status == 500


# -- the Web server leaves


def test_an_abort_is_quiet_and_sends_nothing(ask, caplog):
    def application(environ, start_response):
        ask.request.abort()
        start_response("200 OK", [])
        return [b"for nobody"]

    request = ask(application)
    assert request.calls == []
    assert caplog.records == []


def test_an_exception_after_an_abort_is_logged_once_and_sends_nothing(ask, caplog):
    def application(environ, start_response):
        ask.request.abort()
        raise LookupError("detail")

    request = ask(application)
    assert request.calls == []
    assert caplog.text.count("LookupError: detail") == 1


def test_a_kill_after_an_abort_is_the_servers_and_no_failure(ask, caplog):
    def application(environ, start_response):
        ask.request.abort()
        raise gevent.GreenletExit

    assert ask(application).calls == []
    assert caplog.records == []


def test_a_request_aborted_by_the_application_itself_is_answered(ask):
    def application(environ, start_response):
        raise RequestAborted("on a connection of the application's own")

    assert ask(application).response.status == 400


def test_a_body_that_timed_out_is_answered_so():
    def application(environ, start_response):
        environ["wsgi.input"].read()

    request = Request(body=b"part", broken=True)
    request.timed_out = True
    Gateway(application)(request)
    assert request.response.status == 408


# -- close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("chunks", [(), (b"a",), (b"a", b"b")])
def test_close_is_called_once_at_the_end(ask, body, method, chunks):
    result = body(*chunks)
    ask(answering(result), method)
    assert result.closed == 1


@pytest.mark.parametrize(
    "error",
    [ValueError(), RequestAborted(), SystemExit(), gevent.GreenletExit(), gevent.Timeout(1)],
    ids=lambda error: type(error).__name__,
)
def test_close_is_called_when_iteration_breaks(ask, body, error):
    for chunks in ((), (b"a",)):
        result = body(*chunks, error=error)
        assert ask(answering(result)).app_status == 1
        assert result.closed == 1


def test_close_is_called_when_the_web_server_leaves(ask, body):
    class Leaving(body):
        def __iter__(self):
            yield b"first"
            ask.request.abort()
            yield b"second"

    result = Leaving()

    def application(environ, start_response):
        start_response("200 OK", [])
        return result

    request = ask(application)
    assert result.closed == 1
    assert [kind for kind, _ in request.calls] == ["stdout"]


@pytest.mark.parametrize("chunk", [5, None])
def test_close_is_called_when_a_chunk_is_wrong(ask, body, chunk):
    result = body(chunk)
    ask(answering(result))
    assert result.closed == 1


def test_close_is_called_where_start_response_was_not(ask, body):
    result = body(b"x")
    assert ask(lambda environ, start_response: result).response.status == 500
    assert result.closed == 1


def test_what_close_writes_to_wsgi_errors_goes_to_the_log(ask, body, caplog):
    """The request has its end by then, and nothing can follow it to the Web server."""

    def application(environ, start_response):
        start_response("200 OK", [])
        result = body(b"x")
        result.close = lambda: environ["wsgi.errors"].write("closed")
        return result

    request = ask(application)
    assert request.stderr == ""
    assert caplog.messages == ["wsgi.errors, too late for the Web server: closed"]


@pytest.mark.parametrize("chunks", [(), (b"one",), (b"one", b"two"), "file"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_response_is_ended_before_close_is_called(ask, body, chunks, method, tmp_path):
    ended = []

    def application(environ, start_response):
        request = environ["wsgi.errors"]._request
        start_response("200 OK", [])
        if chunks == "file":
            (tmp_path / "file").write_bytes(b"f" * 100_000)
            result = environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
            close = result.close
            result.close = lambda: (ended.append(request.app_status), close())
        else:
            result = body(*chunks)
            result.close = lambda: ended.append(request.app_status)
        return result

    assert ask(application, method).response.status == 200
    assert ended == [0]


@pytest.mark.parametrize(
    "error", [LookupError("detail"), SystemExit(), gevent.Timeout(1), RequestAborted("late")]
)
@pytest.mark.parametrize("chunks", [(), (b"one",)])
def test_an_exception_of_close_is_logged_and_the_response_stays(ask, body, caplog, error, chunks):
    def raising():
        raise error

    def application(environ, start_response):
        start_response("200 OK", [])
        result = body(*chunks)
        result.close = raising
        return result

    request = ask(application, path="/some/where")
    assert (request.response.status, request.app_status) == (200, 0)
    assert request.response.body == b"".join(chunks)
    if isinstance(error, RequestAborted):
        assert caplog.records == []
    else:
        (record,) = caplog.records
        assert (
            record.getMessage() == "GET /some/where: close() of the application's response failed"
        )
        assert record.exc_info[1] is error


def test_a_failing_response_whose_close_fails_too_is_ended_once_and_both_are_logged(
    ask, body, caplog
):
    def raising():
        raise KeyError("second")

    def application(environ, start_response):
        start_response("200 OK", [])
        result = body(error=LookupError("first"))
        result.close = raising
        return result

    request = ask(application)
    assert (request.response.status, request.app_status) == (500, 1)
    assert [record.exc_info[0] for record in caplog.records] == [LookupError, KeyError]


def test_code_behind_the_last_chunk_that_fails_leaves_a_whole_response(ask, caplog):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])

        def body():
            yield b"body"
            raise LookupError("afterwards")

        return body()

    request = ask(application)
    assert (request.response.body, request.app_status) == (b"body", 0)
    (record,) = caplog.records
    assert record.exc_info[0] is LookupError
    assert record.only_here  # the error log of the Web server cannot get it any more


# -- wsgi.errors


def test_an_unfinished_line_is_sent_before_the_response_and_at_the_end(ask):
    def application(environ, start_response):
        environ["wsgi.errors"].write("before")
        start_response("200 OK", [])

        def generate():
            yield b"body"
            environ["wsgi.errors"].write("after")

        return generate()

    calls = ask(application).calls
    assert [kind for kind, _ in calls] == ["stderr", "stdout", "stderr", "end"]


# -- a str or bytes instead of a list


def test_a_bare_str_or_bytes_is_one_piece_and_said_once_with_file_and_line(ask, caplog):
    for bare, word in (("text", "[body.encode('utf-8')]"), (b"octets", "[body]")):
        caplog.clear()
        application = answering(bare)
        gateway = Gateway(application)
        for _ in range(3):
            request = Request()
            gateway(request)
            assert request.response.body == (bare if isinstance(bare, bytes) else bare.encode())
            assert [kind for kind, _ in request.calls] == ["end"]
        (record,) = caplog.records
        line = application.__code__.co_firstlineno
        assert f"({__file__}, line {line})" in record.getMessage()
        assert record.getMessage().endswith(f"return {word}")
        assert type(bare).__name__ in record.getMessage()


@pytest.mark.parametrize("chunks", [["text"], ("text",), iter(["te", "xt"])])
def test_chunks_of_str_are_said_once_too(ask, chunks, caplog):
    assert ask(answering(chunks)).response.body == b"text"
    assert len(caplog.records) == 1


def test_writing_str_is_said_too(ask, caplog):
    def application(environ, start_response):
        start_response("200 OK", [])("text")
        return []

    assert ask(application).response.body == b"text"
    assert len(caplog.records) == 1


def test_the_warning_finds_the_code_of_every_kind_of_application(ask, caplog):
    class Instance:
        def __call__(self, environ, start_response):
            start_response("200 OK", [])
            return "text"

        def method(self, environ, start_response):
            return self(environ, start_response)

    @functools.wraps(hello)
    def wrapped(environ, start_response):
        return Instance()(environ, start_response)

    for application, code in (
        (Instance(), Instance.__call__.__code__),
        (Instance().method, Instance.method.__code__),
        (wrapped, hello.__code__),
    ):
        caplog.clear()
        ask(application)
        where = f"({code.co_filename}, line {code.co_firstlineno})"
        assert where in caplog.text


def test_the_warning_of_an_application_without_code_names_it(ask, caplog):
    application = functools.partial(lambda unused, *wsgi: answering("text")(*wsgi), None)
    assert ask(application).response.body == b"text"
    assert "functools.partial" in caplog.text


def test_a_failure_names_what_can_be_named_of_a_request_without_params(caplog):
    request = Request({})
    Gateway(None)(request)
    assert request.response.status == 500
    assert "GET : the application failed" in caplog.text


@pytest.mark.parametrize("params", [{}, {"CONTENT_LENGTH": "x"}], ids=["failed", "refused"])
def test_no_client_writes_lines_of_its_own_into_the_log(ask, caplog, params):
    def application(environ, start_response):
        raise LookupError

    ask(application, path="/a\nfake \x1b[31m", **params, REMOTE_ADDR="\rfake")
    (record,) = caplog.records
    assert r"GET /a\nfake \x1b[31m" in record.getMessage()
    assert record.getMessage().isprintable()


def test_a_failure_is_answered_whatever_the_application_has_made_of_its_environ(ask, caplog):
    def application(environ, start_response):
        environ.update(REQUEST_METHOD=b"GET", SCRIPT_NAME=None, PATH_INFO=5)
        raise LookupError

    assert ask(application).response.status == 500
    assert "b'GET' None5: the application failed" in caplog.text


def test_exc_info_keeps_nothing_of_the_application_alive(ask):
    """It would hold every local of the application in a cycle."""

    class Large:
        pass

    alive = []

    def application(environ, start_response):
        large = Large()
        alive.append(weakref.ref(large))
        try:
            raise ValueError
        except ValueError:
            start_response("200 OK", [], sys.exc_info())
        return [b"x"]

    gc.disable()
    try:
        ask(application)
        assert alive[0]() is None
    finally:
        gc.enable()


def test_a_file_without_a_descriptor_is_closed(ask):
    file = io.BytesIO(b"content")

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    assert ask(application).response.body == b"content"
    assert file.closed


# -- what breaks off


@pytest.mark.parametrize(
    ("software", "keep_conn", "headers", "way"),
    [
        ("nginx/1.22.1", True, [], ABORT),
        ("nginx/1.22.1", True, [("Content-Length", "99")], ABORT),
        ("nginx/1.22.1", False, [], ABORT),
        ("nginx/1.22.1", False, [("Content-Length", "99")], END),
        ("HAProxy 2.6.12", True, [], CLOSE),
        ("lighttpd/1.4.69", False, [("Content-Length", "99")], CLOSE),
        ("Apache/2.4.71", False, [], END),
        ("Caddy/2.6.2", False, [], END),
        ("", True, [], END),
    ],
)
@pytest.mark.parametrize("how", ["raised", "short"])
def test_a_response_that_is_not_whole_is_cut_as_its_web_server_shows_it(
    ask, body, software, keep_conn, headers, way, how
):
    error = LookupError("in the middle") if how == "raised" else None

    def application(environ, start_response):
        environ["wsgi.errors"]._request.keep_conn = keep_conn
        start_response("200 OK", headers)
        return body(b"first", error=error)

    request = ask(application, SERVER_SOFTWARE=software)
    assert request.response.body == b"first"
    if error is not None or headers:
        assert (request.way, request.app_status) == (way, 1)
    else:
        assert (request.way, request.app_status) == ("", 0)


def test_what_a_read_that_fails_cuts_is_cut_so_too(ask):
    """The upload broke off while the response was under way."""

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        raise RequestAborted("no more of the body")

    request = ask(application, SERVER_SOFTWARE="HAProxy 2.6.12")
    assert (request.way, request.app_status) == (CLOSE, 1)


# -- logging


class Unwilling(logging.Handler):
    """A handler of the application's that raises."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def emit(self, record):
        raise self.error


@pytest.fixture(params=["handler", "filter", "filter of a handler"])
def broken_logging(request):
    error = LookupError("in logging")

    def raising(record):
        raise error

    logger = logging.getLogger("gfcgi.wsgi" if request.param == "filter" else None)
    handler = (
        Unwilling(error) if request.param == "handler" else logging.StreamHandler(io.StringIO())
    )
    if request.param != "handler":
        (logger if request.param == "filter" else handler).addFilter(raising)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)
    logger.removeFilter(raising)


@pytest.mark.parametrize("where", ["call", "begun", "close", "params", "long", "gone", "left"])
@pytest.mark.parametrize("error", [gevent.Timeout, GreenletExit, KeyboardInterrupt])
def test_no_timeout_in_a_log_handler_keeps_a_request_from_its_end(ask, body, where, error):
    """It may be one of the application's own, whose time is over just then."""

    def application(environ, start_response):
        if where == "call":
            raise ValueError("of the application")
        if where == "gone":
            raise RequestAborted("the body has broken off")
        start_response("200 OK", [("Content-Length", "1")] if where == "long" else [])
        raised = {
            "begun": ValueError("of the application"),
            "left": RequestAborted("the body has broken off"),
        }
        result = body(b"body", error=raised.get(where))
        if where == "close":
            result.close = lambda: 1 / 0
        return result

    handler, logger = Unwilling(error()), logging.getLogger()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        request = ask(application, **({"CONTENT_LENGTH": "x"} if where == "params" else {}))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    assert request.app_status is not None


@pytest.mark.parametrize("where", ["call", "begun", "close", "params", "str", "long", "hop-by-hop"])
def test_no_logging_keeps_a_request_from_its_end(ask, body, broken_logging, where, capsys):
    def application(environ, start_response):
        if where == "call":
            raise ValueError("of the application")
        headers = {"long": [("Content-Length", "1")], "hop-by-hop": [("Upgrade", "x")]}
        start_response("200 OK", headers.get(where, []))
        if where == "str":
            return "text"
        result = body(b"body", error=ValueError("of the application") if where == "begun" else None)
        if where == "close":
            result.close = lambda: 1 / 0
        return result

    params = {"CONTENT_LENGTH": "x"} if where == "params" else {}
    request = ask(application, **params)
    assert request.app_status is not None
    shown = capsys.readouterr().err
    assert (
        "gfcgi: the application's logging failed on that line: LookupError('in logging')" in shown
    )
    if where in ("call", "begun"):
        assert "ValueError: of the application" in shown


def test_an_exception_that_cannot_be_shown_is_answered(ask, monkeypatch):
    monkeypatch.setattr("traceback.format_exception", lambda error: 1 / 0)

    def application(environ, start_response):
        raise ValueError

    assert ask(application).response.status == 500


def test_an_error_log_that_takes_nothing_keeps_no_request_from_its_end(ask):
    def application(environ, start_response):
        def write_error(data):
            raise OSError(9, "Bad file descriptor")

        environ["wsgi.errors"]._request.write_error = write_error
        raise ValueError

    assert ask(application).response.status == 500

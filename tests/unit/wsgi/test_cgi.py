"""gfcgi.wsgi.cgi: the one request of a CGI process, on its three descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import pytest
import webserver_side as wire
from wsgi_side import echo, hello

from gfcgi.errors import RequestAborted
from gfcgi.options import Options
from gfcgi.wsgi import cgi
from gfcgi.wsgi.cgi import serve_cgi


@dataclass
class Process:
    """Our own process, as a Web server would have started it, with pipes for descriptors 0 to 2."""

    stdin: int
    stdout: int
    stderr: int
    left: bytes = b""
    """What of the body was left in the pipe."""
    output: dict[str, bytes] = field(default_factory=dict)

    @property
    def response(self) -> wire.Response:
        return wire.Response(1, bytearray(self.output["stdout"]))


@pytest.fixture
def run(monkeypatch):
    """Run serve_cgi with environment and body; gives the Process."""

    def run(
        application, options=None, body=b"", *, environment=None, gone=False, observers=(), **params
    ):
        values = wire.cgi_params(**params) if environment is None else environment
        monkeypatch.setattr(os, "environ", os.environ.copy())
        for name in list(os.environ):
            del os.environ[name]
        os.environ.update(values)
        monkeypatch.setattr(os, "environb", {k.encode(): v.encode() for k, v in values.items()})
        monkeypatch.setattr(sys, "stdout", sys.stdout)
        stdin, body_to = os.pipe()
        stdout_from, stdout = os.pipe()
        stderr_from, stderr = os.pipe()
        process = Process(stdin, stdout, stderr)
        for name in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(cgi, f"_{name.upper()}", getattr(process, name))
        readers = []
        if gone:
            os.close(stdout_from)
        for name, descriptor in (("stdout", stdout_from), ("stderr", stderr_from)):
            if not (gone and name == "stdout"):
                reader = threading.Thread(target=_read, args=(process, name, descriptor))
                reader.start()
                readers.append(reader)
        writer = threading.Thread(target=_write, args=(body_to, body))
        writer.start()
        try:
            serve_cgi(application, options, observers)
        finally:
            os.close(stdout)
            os.close(stderr)
            for reader in readers:
                reader.join()
            os.set_blocking(stdin, True)
            with os.fdopen(stdin, "rb") as rest:
                process.left = rest.read()
            writer.join()
        return process

    return run


def _read(process, name, descriptor):
    with os.fdopen(descriptor, "rb") as file:
        process.output[name] = file.read()


def _write(descriptor, body):
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)


def test_a_request_is_answered_on_standard_output(run):
    response = run(hello).response
    assert response.body == b"hello"
    assert response.headers == [
        ("Content-Type", "text/plain"),
        ("Content-Length", "5"),
        ("Status", "200 OK"),
    ]


def test_the_environment_becomes_environ_with_all_its_octets(monkeypatch, run):
    seen = []

    def application(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    run(application, environment={"REQUEST_METHOD": "GET", "PATH_INFO": "/ü", "OTHER": "kept"})
    (environ,) = seen
    assert environ["PATH_INFO"] == "/ü".encode().decode("latin-1")
    assert environ["OTHER"] == "kept"
    assert environ["gfcgi.role"] == "RESPONDER"
    flags = [environ[f"wsgi.{name}"] for name in ("multithread", "multiprocess", "run_once")]
    assert flags == [False, True, True]


def test_the_body_is_read_from_standard_input_up_to_its_length(run):
    body = b"b" * 200_000
    process = run(echo, None, body + b"rest", CONTENT_LENGTH=str(len(body)))
    assert process.response.body == body
    assert process.left == b"rest"


def test_a_body_without_a_length_is_read_to_its_end(run):
    assert run(echo, None, b"to the end").response.body == b"to the end"


def test_a_body_that_nobody_read_is_read_in_the_end_up_to_the_bound(run):
    body = b"b" * 500_000
    process = run(hello, None, body, CONTENT_LENGTH=str(len(body)))
    assert process.response.body == b"hello"
    assert process.left == b""
    process = run(hello, Options(max_drain_bytes=1000), body, CONTENT_LENGTH=str(len(body)))
    assert process.left == body[1000:]


@pytest.mark.parametrize("length", ["x", "9" * 30])
def test_a_body_of_unknown_length_is_not_waited_for(run, length):
    process = run(hello, None, b"body", CONTENT_LENGTH=length)
    assert process.response.status == 400
    assert process.left == b"body"


def test_a_body_cut_short_is_a_400(run):
    assert run(echo, None, b"short", CONTENT_LENGTH="100").response.status == 400


def test_what_is_printed_and_what_goes_wrong_is_on_standard_error(run, capsys):
    def application(environ, start_response):
        print("printed")
        environ["wsgi.errors"].write("written\n")
        raise LookupError("detail")

    process = run(application)
    assert process.response.status == 500
    assert b"printed" not in process.output["stdout"]
    assert process.output["stderr"].startswith(b"written\n")
    assert b"LookupError: detail" in process.output["stderr"]
    assert "printed" in capsys.readouterr().err


@pytest.mark.parametrize(("debug", "shown"), [(True, True), (False, False)])
def test_debug_shows_the_traceback(run, debug, shown):
    def application(environ, start_response):
        raise LookupError("detail")

    response = run(application, Options(debug=debug)).response
    assert (b"LookupError" in response.body) is shown


def test_script_name_is_the_mount_point(run):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]

    process = run(application, Options(script_name="/app"), path="/app/x")
    assert process.response.body == b"/app|/x"


def test_the_proxy_header_is_gone_from_the_process_too(run):
    found = []

    def application(environ, start_response):
        found.append(("HTTP_PROXY" in environ, "HTTP_PROXY" in os.environ))
        return hello(environ, start_response)

    run(application, HTTP_PROXY="evil:3128")
    assert found == [(False, False)]


LONG = bytes(range(256)) * 1024


def test_a_file_is_sent_whole(run, tmp_path):
    (tmp_path / "file").write_bytes(LONG)

    def application(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    response = run(application).response
    assert response.body == LONG
    assert response.header("Content-Length") == str(len(LONG))


def test_a_file_that_shrinks_is_said_on_standard_error(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(LONG)
    pread = os.pread

    def shrinking(fileno, count, offset):
        piece = pread(fileno, count, offset)
        os.truncate(tmp_path / "file", 100_000)
        return piece

    def application(environ, start_response):
        start_response("200 OK", [])
        monkeypatch.setattr(os, "pread", shrinking)
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    process = run(application)
    assert process.response.body == LONG[:100_000]
    assert b"bytes shorter while it was sent" in process.output["stderr"]


def test_a_web_server_that_left_is_request_aborted_and_no_failure(run):
    raised = []

    def application(environ, start_response):
        write = start_response("200 OK", [])
        try:
            write(b"for nobody")
        except RequestAborted as error:
            raised.append(error)
            raise

    process = run(application, gone=True)
    assert len(raised) == 1
    assert process.output["stderr"] == b""


def test_no_event_will_ever_tell_of_an_abort(run):
    def application(environ, start_response):
        aborted = environ["gfcgi.aborted"]
        start_response("200 OK", [])
        with pytest.raises(RuntimeError, match="never told"):
            aborted.wait()
        return [repr((aborted.is_set(), aborted.wait(0.01))).encode()]

    assert run(application).response.body == b"(False, False)"


def test_it_needs_nothing_of_gevent():
    script = (
        "import sys; sys.modules['gevent'] = sys.modules['greenlet'] = None\n"
        "from gfcgi.wsgi.cgi import serve_cgi\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [environ['wsgi.input'].read()]\n"
        "serve_cgi(application)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "4"},
        input=b"body and more",
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"Content-Length: 4\r\nStatus: 200 OK\r\n\r\nbody"
    assert done.stderr == b""


class Observer:
    def __init__(self):
        self.begun = []
        self.ended = []

    def request_begun(self, observed):
        self.begun.append(observed)

    def request_ended(self, observed):
        self.ended.append(observed)


def test_an_observer_is_told_of_the_request(run):
    observer = Observer()
    run(echo, body=b"body", observers=[observer], PATH_INFO="/x", CONTENT_LENGTH="4")
    (one,) = observer.ended
    assert observer.begun == [one]
    assert (one.path, one.status, one.received, one.sent) == ("/x", "200 OK", 4, 4)
    assert (one.aborted, one.cut) == (False, False)


def test_an_observer_is_told_of_a_web_server_that_left(run):
    observer = Observer()
    run(hello, gone=True, observers=[observer])
    (one,) = observer.ended
    assert (one.status, one.sent, one.cut) == ("", 0, True)


def test_an_observer_that_raises_costs_the_response_nothing(run, caplog):
    class Raises:
        def request_begun(self, observed):
            raise ValueError

        request_ended = request_begun

    assert run(hello, observers=[Raises()]).response.body == b"hello"
    assert "an observer of requests failed" in caplog.text

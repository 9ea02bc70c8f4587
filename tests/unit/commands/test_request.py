"""``python -m gfcgi request``, against applications scripted from the specification."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import gevent
import gevent.event
import gevent.socket
import gevent.subprocess
import pytest
from application_side import HEAD, Application, hello
from webserver_side import AUTHORIZER, FILTER, OVERLOADED

from gfcgi import __version__
from gfcgi.commands import main

DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    with gevent.Timeout(DEADLINE_SECONDS):
        yield


@pytest.fixture
def ask(tmp_path, capfdbinary) -> Callable[..., tuple[int, bytes, bytes]]:
    """Run the command against a script: exit status, standard output and error."""

    def ask(script, *arguments):
        path = str(tmp_path / "app.sock")
        application = Application(script)
        with application.accepting(unix_socket(path)):
            status = main(["request", f"unix:{path}", *arguments])
        application.join()
        os.unlink(path)
        return status, *capfdbinary.readouterr()

    return ask


def unix_socket(path) -> gevent.socket.socket:
    sock = gevent.socket.socket(socket.AF_UNIX)
    sock.bind(path)
    return sock


def recorder(seen):
    def script(request):
        body = b"" if request.role == AUTHORIZER else b"".join(request.stdin())
        data = b"".join(request.data()) if request.role == FILTER else None
        seen.append((request.role, request.params, body, data))
        request.stdout(HEAD)
        request.end()

    return script


def params_of(ask, *arguments):
    seen = []
    assert ask(recorder(seen), *arguments)[0] == 0
    return seen[0][1]


def test_status_headers_and_body_are_printed_and_stderr_goes_to_stderr(ask):
    def script(request):
        request.stderr(b"a note\n")
        request.stdout(b"X-A: caf\xe9\r\nX-A: 2\r\nStatus: 404 Gone Fishing\r\n\r\nbo")
        request.stdout(b"dy\0")
        request.end()

    assert ask(script, "/") == (
        0,
        b"404 Gone Fishing\nX-A: caf\xe9\nX-A: 2\n\nbody\0",
        b"a note\n",
    )


def test_a_path_is_asked_for_as_a_web_server_would(ask):
    assert params_of(ask, "/caf\xe9/%20?q=€#part") == {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": f"gfcgi/{__version__}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_ADDR": "127.0.0.1",
        "SERVER_PORT": "80",
        "REQUEST_SCHEME": "http",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/caf%C3%A9/%20?q=%E2%82%AC",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/ ",
        "QUERY_STRING": "q=%E2%82%AC",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": f"gfcgi/{__version__}",
    }


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "https"),
    [
        ("http://example.org/a?b", "example.org", "80", "/a?b", None),
        ("http://example.org:81", "example.org:81", "81", "/", None),
        ("https://example.org?q", "example.org", "443", "/?q", "on"),
        ("HTTPS://[::1]:8443/", "[::1]:8443", "8443", "/", "on"),
    ],
)
def test_a_url_says_the_host_and_the_scheme(ask, url, host, port, target, https):
    params = params_of(ask, url)
    assert params["HTTP_HOST"] == host
    assert params["SERVER_PORT"] == port
    assert params["REQUEST_URI"] == target
    assert params.get("HTTPS") == https
    assert params["REQUEST_SCHEME"] == ("https" if https else "http")


def test_headers_and_params_are_set_merged_and_left_out(ask):
    params = params_of(
        ask,
        *("/", "-X", "PUT"),
        *("-H", "X-A: 1", "--header", "x-a:2", "-H", "Cookie: a=1", "-H", "Cookie: b=2"),
        *("-H", "Content-Type: a/b", "-H", "User-Agent:", "-H", "X-B: é"),
        *("--param", "SCRIPT_NAME=/app=1", "-p", "PATH_INFO", "-p", "NOT_THERE", "-p", "EMPTY="),
    )
    assert params["REQUEST_METHOD"] == "PUT"
    assert params["HTTP_X_A"] == "1, 2"
    assert params["HTTP_COOKIE"] == "a=1; b=2"
    assert params["CONTENT_TYPE"] == "a/b"
    assert params["HTTP_USER_AGENT"] == ""
    assert params["HTTP_X_B"] == "\xc3\xa9"
    assert params["SCRIPT_NAME"] == "/app=1"
    assert params["EMPTY"] == ""
    assert not {"PATH_INFO", "NOT_THERE", "HTTP_CONTENT_TYPE"} & params.keys()


def test_data_is_posted_as_a_form_with_its_length(ask):
    seen = []
    ask(recorder(seen), "/", "-d", "a=é")
    _, params, body, _ = seen[0]
    assert body == b"a=\xc3\xa9"
    assert params["REQUEST_METHOD"] == "POST"
    assert params["CONTENT_LENGTH"] == "4"
    assert params["CONTENT_TYPE"] == "application/x-www-form-urlencoded"


def test_data_may_be_a_file(ask, tmp_path):
    seen = []
    file = tmp_path / "body"
    file.write_bytes(bytes(range(256)) * 1000)
    ask(recorder(seen), "/", "--data", f"@{file}", "--method", "PUT")
    _, params, body, _ = seen[0]
    assert body == file.read_bytes()
    assert (params["REQUEST_METHOD"], params["CONTENT_LENGTH"]) == ("PUT", "256000")


def test_data_from_a_pipe_has_no_length(tmp_path):
    """In a process of its own, whose standard input we can be."""
    seen = []
    application = Application(recorder(seen))
    path = str(tmp_path / "app.sock")
    with application.accepting(unix_socket(path)):
        process = gevent.subprocess.run(
            [sys.executable, "-m", "gfcgi", "request", f"unix:{path}", "/", "-d", "@-"],
            input=b"piped",
            capture_output=True,
            check=False,
        )
    application.join()
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.startswith(b"200 OK\n")
    _, params, body, _ = seen[0]
    assert body == b"piped"
    assert params["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert "CONTENT_LENGTH" not in params


def test_output_that_nobody_reads_ends_the_command_quietly(tmp_path):
    def script(request):
        request.stdout(HEAD)
        for _ in range(100):
            request.stdout(bytes(60_000))
        request.wait_closed()

    application = Application(script)
    path = str(tmp_path / "app.sock")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with application.accepting(unix_socket(path)), open(write_end, "wb") as output:
        process = gevent.subprocess.run(
            [sys.executable, "-m", "gfcgi", "request", f"unix:{path}", "/"],
            stdout=output,
            stderr=gevent.subprocess.PIPE,
            check=False,
        )
    assert (process.returncode, process.stderr) == (1, b"")


def test_ctrl_c_ends_the_command_quietly_and_aborts_the_request(tmp_path):
    asked = gevent.event.Event()

    def script(request):
        asked.set()
        request.wait_closed()

    application = Application(script)
    path = str(tmp_path / "app.sock")
    with application.accepting(unix_socket(path)):
        process = gevent.subprocess.Popen(
            [sys.executable, "-m", "gfcgi", "request", f"unix:{path}", "/"],
            stderr=gevent.subprocess.PIPE,
        )
        asked.wait()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    application.join()
    assert (process.returncode, errors) == (-signal.SIGINT, b"")


def test_roles_get_what_is_theirs(ask):
    seen = []
    ask(recorder(seen), "/", "--role", "authorizer")
    ask(recorder(seen), "/", "--role", "filter", "-d", "in", "--filter-data", "file")
    assert [(role, body, data) for role, _, body, data in seen] == [
        (AUTHORIZER, b"", None),
        (FILTER, b"in", b"file"),
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda request: list(request.stdin()), b"before END_REQUEST"),
        (lambda request: request.end(), b"without a response"),
        (lambda request: request.end(protocol_status=OVERLOADED), b"OVERLOADED"),
        (lambda request: request.stdout(b"<html>\n\n"), b"not a header line"),
    ],
)
def test_no_answer_is_said_and_is_a_failure(ask, script, words):
    status, output, errors = ask(script, "/")
    assert (status, output) == (1, b"")
    assert errors.startswith(b"gfcgi: ")
    assert words in errors
    assert errors.count(b"\n") == 1


def test_a_page_with_a_refusal_is_printed_and_still_is_a_failure(ask):
    def script(request):
        request.stdout(b"Status: 503 Later\r\n\r\npage")
        request.end(protocol_status=OVERLOADED)

    status, output, errors = ask(script, "/")
    assert (status, output) == (1, b"503 Later\n\npage")
    assert b"OVERLOADED" in errors


def test_the_applications_own_status_is_told(ask):
    def script(request):
        request.stdout(HEAD)
        request.end(app_status=3)

    status, _, errors = ask(script, "/")
    assert (status, errors) == (0, b"gfcgi: the application's status is 3\n")


def test_silence_is_a_failure_after_the_timeout(ask):
    status, _, errors = ask(lambda request: request.wait_closed(), "/", "--timeout", "0.05")
    assert status == 1
    assert b"no answer in 0.05 seconds" in errors


@pytest.mark.parametrize("address", ["unix:{}/none.sock", "127.0.0.1:1"])
def test_nobody_there_is_a_failure_that_names_the_address(address, tmp_path, capsys):
    address = address.format(tmp_path)
    assert main(["request", address, "/"]) == 1
    assert capsys.readouterr().err.startswith(f"gfcgi: {address}: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "/"], "ADDRESS: 'nowhere': write "),
        (["fd:0", "/"], "ADDRESS: 'fd:0': an inherited socket"),
        (["127.0.0.1:1", "path"], "URL: "),
        (["127.0.0.1:1", "http://host:port/"], "URL: "),
        (["127.0.0.1:1", "/", "-H", "no header"], "--header: "),
        (["127.0.0.1:1", "/", "-d", "@/none"], "--data: /none: No such file"),
    ],
)
def test_wrong_use_names_what_is_wrong(arguments, words, capsys):
    assert main(["request", *arguments]) == 2
    assert f"gfcgi: {words}" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_timeout_is_a_positive_number(seconds, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["request", "127.0.0.1:1", "/", "--timeout", seconds])
    assert caught.value.code == 2
    assert f"--timeout: {seconds!r}: it must be a number" in capsys.readouterr().err


def test_a_port_will_do_too(capsysbinary):
    application = Application(hello)
    listener = gevent.socket.socket(socket.AF_INET)
    listener.bind(("127.0.0.1", 0))

    with application.accepting(listener):
        assert main(["request", f"127.0.0.1:{listener.getsockname()[1]}", "/"]) == 0
    application.join()
    assert capsysbinary.readouterr().out.endswith(b"hello 0\n")

"""Every example runs, and does what its page and its docstring promise."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from webserver_side import (
    AUTHORIZER,
    RESPONDER,
    STDOUT,
    Response,
    TransportConnection,
    begin_request,
    cgi_params,
    params,
    request,
    stdin,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEADLINE_SECONDS = 60

Connect = Callable[[], TransportConnection]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="gfcgi-"))
    yield path
    shutil.rmtree(path)


@contextmanager
def serving(folder: Path, target: str, *options: str) -> Iterator[Connect]:
    """``python -m gfcgi TARGET``, stopped in order afterwards."""
    place = folder / "app.sock"
    command = [sys.executable, "-m", "gfcgi", target, "--bind", f"unix:{place}", *options]
    with process(command, folder, stdin=subprocess.DEVNULL) as started:
        wait_until(lambda: started.poll() is not None or accepts(place), "the example to listen")
        assert started.poll() is None
        yield lambda: TransportConnection(str(place))
    assert not place.exists()


@contextmanager
def process(
    command: list[str | Path], cwd: Path, *, stdin: int | socket.socket
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that must end with status 0 when SIGTERM says so."""
    # The directory first that `#!/usr/bin/env gfcgi` is to find this very Python's in.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    with subprocess.Popen(
        command, cwd=cwd, stdin=stdin, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path}
    ) as started:
        try:
            yield started
            started.send_signal(signal.SIGTERM)
            assert started.wait(DEADLINE_SECONDS) == 0
        finally:
            if started.poll() is None:
                started.kill()


def accepts(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place)) == 0


def wait_until(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.01)


def ask(
    connect: Connect, values: dict[str, str], body: bytes = b"", role: int = RESPONDER
) -> Response:
    with connect() as connection:
        connection.send(request(1, values, body, role=role))
        return connection.response(1)


def is_hello(response: Response) -> None:
    body = b"<html><body><h2>hello world</h2></body></html>"
    assert response.status == 200
    assert response.header("Content-Type") == "text/html"
    assert response.header("Content-Length") == str(len(body))
    assert response.body == body


def test_hello_says_hello_when_it_is_named_on_the_command_line(folder: Path) -> None:
    with serving(folder, str(EXAMPLES / "hello.fcgi")) as connect:
        is_hello(ask(connect, cgi_params()))


def test_hello_says_hello_when_a_web_server_starts_it(folder: Path) -> None:
    """As mod_fastcgi does: the script itself, a listening socket on descriptor 0."""
    place = folder / "app.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        with process([EXAMPLES / "hello.fcgi"], EXAMPLES, stdin=listener):
            is_hello(ask(lambda: TransportConnection(str(place), deadline=60), cgi_params()))


def test_hello_says_hello_as_a_cgi_program(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "hello.fcgi"],
        cwd=folder,
        env={**os.environ, **cgi_params()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    is_hello(Response(1, stdout_bytes=bytearray(done.stdout)))


def test_upload_hashes_what_was_sent(folder: Path) -> None:
    """5 MB in records of every size come out as their own hash."""
    body = random.Random(1).randbytes(5_000_000)
    with serving(folder, str(EXAMPLES / "upload.py")) as connect:
        assert b'type="file"' in ask(connect, cgi_params()).body
        answer = ask(connect, cgi_params("PUT", body=body), body)
    assert answer.status == 200
    assert answer.body.decode() == f"5000000 bytes, sha256 {hashlib.sha256(body).hexdigest()}\n"


def test_upload_that_is_cut_off_is_never_answered_as_if_it_were_whole(folder: Path) -> None:
    with serving(folder, str(EXAMPLES / "upload.py")) as connect:
        with connect() as connection:
            connection.send(
                begin_request(1),
                params(1, cgi_params("PUT", CONTENT_LENGTH="1000")),
                stdin(1, bytes(999), end=False),
            )
            connection.finish_sending()
            for _record in connection.records_until_closed():
                pass
            assert b"sha256" not in connection.partial(1).stdout
        assert ask(connect, cgi_params()).status == 200


def test_streaming_sends_each_event_before_it_makes_the_next(folder: Path) -> None:
    """The first is here while the second is an hour away, and others are answered meanwhile."""
    # At the end one of them still sleeps: it is cut off.
    impatient = ("--graceful-timeout-seconds", "0.1")
    with serving(folder, str(EXAMPLES / "streaming.py"), *impatient) as connect:
        assert b'EventSource("events")' in ask(connect, cgi_params()).body
        with connect() as connection:
            connection.send(request(1, cgi_params(path="/events", query="seconds=3600")))
            while b"data: " not in connection.partial(1).stdout:
                assert connection.read_any().type == STDOUT
            so_far = connection.partial(1)
            assert so_far.header("Content-Type") == "text/event-stream"
            assert so_far.body.startswith(b"id: 0\ndata: ")
            assert so_far.body.count(b"\n\n") == 1
            three = ask(connect, cgi_params(path="/events", query="count=3&seconds=0.01"))
            assert three.body.count(b"\n\n") == 3
            assert not so_far.ended


def test_flask_app_is_itself_below_any_mount_point(folder: Path) -> None:
    pytest.importorskip("flask")
    mounted = {"SCRIPT_NAME": "/app", "HTTP_HOST": "example.org"}
    with serving(folder, f"{EXAMPLES / 'flask_app.py'}:app") as connect:
        page = ask(connect, cgi_params(query="name=%3CAda%3E", **mounted)).body.decode()
        assert "Hello, &lt;Ada&gt;!" in page
        assert 'action="/app/"' in page
        assert "http://example.org/app/" in page
        form = urlencode({"greeting": "grüße"}).encode()
        values = cgi_params("POST", "/echo", body=form, **mounted)
        values["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
        echo = ask(connect, values, form)
    assert echo.header("Content-Type") == "application/json"
    assert echo.body.replace(b" ", b"").strip() == (
        b'{"files":[],"form":{"greeting":"gr\\u00fc\\u00dfe"},"here":"/app/echo"}'
    )


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Connect]:
    """examples/authorizer.py, for all of its cases."""
    with (
        tempfile.TemporaryDirectory(prefix="gfcgi-") as path,
        serving(Path(path), str(EXAMPLES / "authorizer.py")) as connect,
    ):
        yield connect


def test_authorizer_gives_a_cookie_to_whoever_knows_a_password(folder: Path) -> None:
    with serving(folder, str(EXAMPLES / "authorizer.py")) as connect:
        stranger = ask(connect, cgi_params())
        assert stranger.status == 401
        assert stranger.header("Set-Cookie") is None
        page = ask(connect, cgi_params(HTTP_AUTHORIZATION=basic("ada", "lovelace")))
        assert page.status == 200
        cookie, _, attributes = (page.header("Set-Cookie") or "").partition("; ")
        assert attributes == "Path=/; HttpOnly; SameSite=Lax"
        # Apache joins two Cookie header fields with a comma.
        for shown in (cookie, f"a=1; {cookie}", f"a=1, {cookie}, b=2"):
            assert ask(connect, cgi_params(HTTP_COOKIE=shown), role=AUTHORIZER).status == 200
        assert ask(connect, cgi_params(HTTP_COOKIE=cookie[:-1]), role=AUTHORIZER).status == 401


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, 401),
        ({"HTTP_AUTHORIZATION": basic("ada", "lovelace")}, 200),
        ({"HTTP_AUTHORIZATION": basic("ada", "")}, 401),
        ({"HTTP_AUTHORIZATION": basic("nobody", "")}, 401),
        ({"HTTP_AUTHORIZATION": basic("Zoë", "größer")}, 401),
        ({"HTTP_AUTHORIZATION": basic("eve", "apple")}, 403),
        ({"HTTP_AUTHORIZATION": "Basic nonsense"}, 401),
        ({"HTTP_AUTHORIZATION": "Bearer nonsense"}, 401),
        ({"HTTP_COOKIE": "visitor=ada"}, 401),
        # Apache says that much by itself.
        ({"REMOTE_USER": "ada"}, 401),
        ({"REMOTE_USER": "ada", "REMOTE_PASSWD": "lovelace"}, 200),
        ({"REMOTE_USER": "ada", "REMOTE_PASSWD": "größer"}, 401),
        ({"REMOTE_USER": "ada", "FCGI_APACHE_ROLE": "AUTHORIZER"}, 200),
        ({"REMOTE_USER": "eve", "FCGI_APACHE_ROLE": "AUTHORIZER"}, 403),
        ({"REMOTE_USER": "ada", "FCGI_APACHE_ROLE": "ACCESS_CHECKER"}, 401),
    ],
)
def test_authorizer_lets_the_staff_in_and_nobody_else(
    authorizer: Connect, shown: dict[str, str], status: int
) -> None:
    answer = ask(authorizer, cgi_params(**shown), role=AUTHORIZER)
    assert answer.status == status
    challenged = (answer.header("WWW-Authenticate") or "").startswith("Basic realm=")
    assert challenged is (status == 401)
    told = {"Variable-REMOTE_USER": "ada", "Variable-AUTH_GROUP": "staff"}
    assert {name: answer.header(name) for name in told} == (
        told if status == 200 else dict.fromkeys(told)
    )

"""The access log and the slow log of real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

SITE = """\
import os, socket, sys, threading, time
database = socket.create_server(('127.0.0.1', 0))  # it takes connections, and never answers

def query():
    connection = socket.create_connection(database.getsockname())
    while True:
        connection.settimeout(0.02)
        try:
            connection.recv(1)
        except TimeoutError:
            if os.path.exists('go-on'):
                break

def wait_for_the_database():
    connection = socket.create_connection(database.getsockname())
    connection.recv(1)

def compute():
    while not os.path.exists('go-on'):
        pass

def application(environ, start_response):
    path = environ['PATH_INFO'][1:]
    if path in globals():
        globals()[path]()
    elif path == 'body':
        environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'done']
if __name__ == '__main__':
    import gfcgi
    gfcgi.run(application)
"""

LINES = SITE.splitlines()
DATABASE = LINES.index("    connection.recv(1)") + 1
COMPUTES = LINES.index("    while not os.path.exists('go-on'):") + 1

ways = pytest.mark.parametrize("threads", [0, 3], ids=["greenlets", "threads"])


@pytest.fixture
def serve(start, tmp_path):
    """Start it on a UNIX socket."""
    (tmp_path / "site.py").write_text(SITE)

    def serve(*arguments, **settings):
        process = start(
            *["-m", "gfcgi", "site.py", "--bind", "unix:app.sock", *arguments], **settings
        )
        process.address = str(tmp_path / "app.sock")
        process.until_logged("listening on|Listening at")
        return process

    return serve


def slow(path):
    return (
        rf"WARNING: GET /{path} from 127\.0\.0\.1 has run for \S+ s and stands in (\S+), line (\d+)"
    )


@ways
def test_the_slow_log_names_the_line_where_a_request_waits_for_a_database(
    serve, ask, tmp_path, threads
):
    process = serve("--threads", str(threads), "--slow-log-seconds", "0.5")
    ask(process.address, "/wait_for_the_database")
    found = process.until_logged(slow("wait_for_the_database"))
    assert (found[1], int(found[2])) == (str(tmp_path / "site.py"), DATABASE)
    process.until_logged(
        rf'  File "{re.escape(str(tmp_path))}/site\.py", line {DATABASE}, in wait_for_the_database'
    )
    assert ask(process.address, "/").response().body == b"done"  # it still does
    assert process.log().count("has run for") == 1


@ways
def test_the_slow_log_names_the_line_where_a_request_computes(serve, ask, tmp_path, threads):
    process = serve(
        *["--threads", str(threads), "--slow-log-seconds", "0.5", "--block-log-seconds", "3"]
    )
    asked = ask(process.address, "/compute")
    found = process.until_logged(slow("compute"))
    assert found[1] == str(tmp_path / "site.py")
    assert int(found[2]) in (COMPUTES, COMPUTES + 1)
    if not threads:
        process.until_logged("nobody else was answered while the application stands in")
    (tmp_path / "go-on").touch()  # it still does
    asked.response()
    process.until_logged(r"GET /compute from 127\.0\.0\.1 took \S+ s in all: 200 OK")
    assert process.log().count("has run for") == 1
    assert process.log().count("in compute\n") == 1  # one stack, whoever has seen it


def test_what_the_watchdog_has_named_the_slow_log_tells_of_at_its_end_alone(serve, ask, tmp_path):
    process = serve("--slow-log-seconds", "3", "--block-log-seconds", "0.5")
    asked = ask(process.address, "/compute")
    process.until_logged("nobody else was answered while the application stands in")
    began = time.monotonic()
    process.until(lambda: time.monotonic() - began > 4)
    (tmp_path / "go-on").touch()
    asked.response()
    process.until_logged(r"GET /compute from 127\.0\.0\.1 took \S+ s in all: 200 OK")
    assert "has run for" not in process.log()


@ways
def test_a_slow_request_is_told_of_once_and_at_its_end(serve, ask, tmp_path, threads):
    process = serve("--threads", str(threads), "--slow-log-seconds", "0.3")
    asked = ask(process.address, "/query")
    process.until_logged(slow("query"))
    began = time.monotonic()
    process.until(lambda: time.monotonic() - began > 1)
    (tmp_path / "go-on").touch()
    asked.response()
    process.until_logged(r"WARNING: GET /query from 127\.0\.0\.1 took \S+ s in all: 200 OK")
    assert process.log().count("has run for") == 1


def test_a_body_that_does_not_come_is_waited_for_in_a_line_of_the_applications(
    serve, tmp_path, ask
):
    from webserver_side import TransportConnection, begin_request, cgi_params, params

    process = serve("--slow-log-seconds", "0.3")
    with TransportConnection(process.address) as connection:
        values = cgi_params(path="/body", REQUEST_METHOD="POST", CONTENT_LENGTH="5")
        connection.send(begin_request(1), params(1, values))
        line = LINES.index("        environ['wsgi.input'].read()") + 1
        process.until_logged(
            rf'  File "{re.escape(str(tmp_path))}/site\.py", line {line}, in application'
        )


@ways
def test_each_request_has_a_line_and_sigusr1_reopens_the_file(serve, ask, tmp_path, threads):
    log = tmp_path / "access.log"
    process = serve("--threads", str(threads), "--access-log", "access.log")
    ask(process.address, "/one").response()
    process.until(lambda: log.read_text().endswith("\n"))
    log.rename(tmp_path / "old.log")
    process.send(signal.SIGUSR1)
    process.until(log.exists)
    ask(process.address, "/two").response()
    process.until(lambda: log.read_text().endswith("\n"))
    for name, path in (("old.log", "/one"), ("access.log", "/two")):
        (line,) = (tmp_path / name).read_text().splitlines()
        assert re.fullmatch(
            rf'127\.0\.0\.1 - - \[[^]]+\] "GET {path} HTTP/1\.1" 200 4 "-" ".*"', line
        )


def test_the_access_log_may_be_standard_output_and_json(serve, ask):
    process = serve("--access-log", "-", "--access-log-format", "json")
    ask(process.address, "/x").response()
    ask(process.address, "/y").response()
    process.send(signal.SIGTERM)
    process.wait()
    lines = process.popen.stdout.read().decode().splitlines()
    assert [json.loads(line)["uri"] for line in lines] == ["/x", "/y"]


def test_an_access_log_that_cannot_be_written_costs_no_request(serve, ask):
    process = serve("--access-log", "nowhere/access.log")
    assert ask(process.address, "/").response().body == b"done"
    process.until_logged(r"ERROR: the access log \(\S+/nowhere/access\.log\): No such file")


def test_a_format_that_cannot_be_read_ends_the_start(tmp_path, start):
    (tmp_path / "site.py").write_text(SITE)
    process = start(
        *["-m", "gfcgi", "site.py", "--bind", "unix:app.sock"], "--access-log-format=%x"
    )
    assert process.wait() == 2
    assert "--access-log-format" in process.log()


def test_under_cgi_a_dash_is_standard_error(tmp_path):
    (tmp_path / "site.py").write_text(SITE)
    ran = subprocess.run(
        [sys.executable, "site.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/cgi",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "GFCGI_ACCESS_LOG": "-",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.endswith("\r\n\r\ndone") or ran.stdout.endswith("\n\ndone")
    assert '"GET /cgi HTTP/1.1" 200 4' in ran.stderr


def test_every_process_of_gunicorns_writes_a_line_for_what_it_has_answered(serve, ask, tmp_path):
    pytest.importorskip("gunicorn")
    log = tmp_path / "access.log"
    process = serve(
        *["--processes", "2", "--access-log", "access.log", "--access-log-format", "json"],
        *["--slow-log-seconds", "0.5"],
    )
    for number in range(20):
        ask(process.address, f"/{number}").response()
    process.until(lambda: log.exists() and log.read_text().count("\n") == 20)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["uri"] for line in lines) == sorted(f"/{number}" for number in range(20))
    log.rename(tmp_path / "old.log")
    process.send(signal.SIGUSR1)
    process.until(log.exists)
    ask(process.address, "/wait_for_the_database")
    process.until_logged(slow("wait_for_the_database"))


def test_gunicorns_own_access_log_wins_so_that_no_line_is_there_twice(serve, ask, tmp_path):
    pytest.importorskip("gunicorn")
    process = serve(
        *["--processes", "1", "--access-log", "ours.log"],
        env={**os.environ, "GUNICORN_CMD_ARGS": "--access-logfile its.log"},
    )
    ask(process.address, "/x").response()
    its = tmp_path / "its.log"
    process.until(lambda: its.exists() and "GET /x" in its.read_text())
    process.until_logged("--access-log has no effect: gunicorn's own access log is on")
    assert not (tmp_path / "ours.log").exists()

"""``gfcgi request``: scripts, other Web servers' params, records, files, many requests, aborts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import gevent
import gevent.socket
import pytest
from application_side import HEAD, Application
from webserver_side import ABORT_REQUEST, OVERLOADED

from gfcgi.commands import main
from gfcgi.commands.terminal import Output, Progress

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def deadline():
    with gevent.Timeout(60):
        yield


@pytest.fixture
def ask(tmp_path, capfdbinary):
    """Run the command against a script of the specification: status, output, errors."""

    def ask(script, *arguments):
        path = str(tmp_path / "app.sock")
        application = Application(script)
        sock = gevent.socket.socket(socket.AF_UNIX)
        sock.bind(path)
        with application.accepting(sock):
            status = main(["request", f"unix:{path}", *arguments])
        application.join()
        os.unlink(path)
        return status, *capfdbinary.readouterr()

    return ask


def answering(head=HEAD, body=b"body"):
    def script(request):
        b"".join(request.stdin())
        request.stdout(head + body)
        request.end()

    return script


def noting(seen):
    def script(request):
        seen.append((request.params, b"".join(request.stdin())))
        request.stdout(HEAD)
        request.end()

    return script


def test_as_sends_the_params_of_that_web_server_under_the_mount_point(ask):
    seen = []
    url = "http://example.org/app/a%20b?q"
    assert ask(noting(seen), url, "--as", "apache-fcgid", "--mount", "/app", "-d", "x=1")[0] == 0
    params, body = seen[0]
    assert body == b"x=1"
    assert "mod_fcgid" in params["SERVER_SOFTWARE"]
    assert params["SCRIPT_NAME"] == "/app"
    assert params["PATH_INFO"] == "/a b"
    assert params["HTTP_HOST"] == "example.org"
    assert params["CONTENT_LENGTH"] == "3"


def test_param_changes_what_the_web_server_sends(ask):
    seen = []
    ask(noting(seen), "/", "--as", "nginx", "-p", "HTTPS=on", "-p", "REMOTE_USER")
    assert seen[0][0]["HTTPS"] == "on"
    assert "REMOTE_USER" not in seen[0][0]


@pytest.mark.parametrize(
    ("server", "length"), [("nginx", "4"), ("caddy", "-1"), ("apache-proxy", None), ("", None)]
)
def test_a_body_of_unknown_length_goes_as_the_web_server_passes_it_on(
    ask, monkeypatch, server, length
):
    seen = []
    reading, writing = os.pipe()
    os.write(writing, b"body")
    os.close(writing)
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        ask(noting(seen), "/", "-d", "@-", *(["--as", server] if server else []))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)
    params, body = seen[0]
    assert body == b"body"
    assert params.get("CONTENT_LENGTH") == length


def test_a_web_server_that_refuses_a_body_of_unknown_length_is_named(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: open(tmp_path / "pipe", "wb").close()).start()
    arguments = ["request", f"unix:{tmp_path}/x", "/", "--as", "haproxy"]
    assert main([*arguments, "-d", f"@{tmp_path}/pipe"]) == 2
    assert "haproxy refuses" in capsys.readouterr().err


def test_mount_is_taken_from_the_path_for_our_own_params_too(ask):
    seen = []
    ask(noting(seen), "/app/x", "--mount", "/app")
    ask(noting(seen), "/apple", "--mount", "/app")
    assert [(p["SCRIPT_NAME"], p["PATH_INFO"]) for p, _ in seen] == [("/app", "/x"), ("", "/apple")]


def test_verbose_prints_each_record_both_ways(ask):
    status, out, err = ask(answering(), "/", "-v")
    lines = err.decode().splitlines()
    assert lines[0] == "> BEGIN_REQUEST 1: responder"
    assert "> STDIN 1: end" in lines
    assert ">     REQUEST_METHOD=GET" in lines
    assert lines[-1] == "< END_REQUEST 1: REQUEST_COMPLETE, application status 0"
    assert (status, out[-4:]) == (0, b"body")


def test_output_saves_the_body_and_include_the_head_too(ask, tmp_path):
    file = tmp_path / "saved"
    assert ask(answering(), "/", "-o", str(file))[1].startswith(b"200 OK\n")
    assert file.read_bytes() == b"body"
    ask(answering(), "/", "-i", "-o", str(file))
    assert file.read_bytes() == b"200 OK\nContent-Type: text/plain\n\nbody"


def test_an_output_that_cannot_be_written_is_misuse(ask, tmp_path):
    status, _, err = ask(answering(), "/", "-o", str(tmp_path / "none" / "saved"))
    assert status == 2
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(("status", "exit_status"), [(b"404 No", 1), (b"500 No", 1), (b"301 x", 0)])
def test_fail_makes_an_error_of_an_http_error(ask, status, exit_status):
    script = answering(b"Status: " + status + b"\r\n\r\n")
    assert ask(script, "/")[0] == 0
    assert ask(script, "/", "--fail")[0] == exit_status
    assert ask(script, "/", "--fail", "-n", "2")[0] == exit_status


def test_times_says_when_the_first_byte_and_the_last_came(ask):
    _, _, err = ask(answering(), "/", "--times")
    assert re.fullmatch(
        rb"gfcgi: first byte after [0-9.]+ s, all 4 bytes of the body after [0-9.]+ s\n", err
    )


@pytest.mark.parametrize("more", [[], ["-c", "3"]])
def test_many_requests_are_counted_by_status_with_their_times(ask, more):
    status, out, _ = ask(answering(), "/", "-n", "7", *more)
    lines = out.decode().splitlines()
    assert status == 0
    assert lines[0].startswith("7 requests in ")
    assert lines[1] == "200: 7"
    assert lines[2].startswith("first byte: ")


def test_requests_without_an_answer_are_counted_and_are_a_failure(ask):
    def refusing(request):
        b"".join(request.stdin())
        request.end(0, OVERLOADED)

    status, out, _ = ask(refusing, "/", "-n", "3")
    assert status == 1
    assert "no answer: 3" in out.decode()
    assert "3 times: refused: OVERLOADED" in out.decode()


def test_given_up_after_bytes_the_rest_is_not_waited_for(ask):
    def endless(request):
        request.stdout(HEAD)
        try:
            while True:
                request.stdout(b"x" * 100)
                gevent.sleep(0.001)
        except OSError:
            pass

    status, out, err = ask(endless, "/", "--abort-after-bytes", "250")
    assert (status, out.partition(b"\n\n")[2]) == (0, b"x" * 250)
    assert err == b"gfcgi: given up after 250 bytes\n"


@pytest.mark.parametrize("server", ["haproxy", "nginx"])
def test_haproxy_sends_abort_request_and_the_others_just_close(ask, server):
    seen = []

    def waiting(request):
        seen.extend(record.type for record in iter(request.receive, None))

    _, _, err = ask(waiting, "/", "--abort-after-seconds", "0.1", "--as", server)
    assert err == b"gfcgi: given up after 0.1 seconds\n"
    assert (ABORT_REQUEST in seen) == (server == "haproxy")


SCRIPT = f"""#!{sys.executable}
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'body', environ['wsgi.input'].read()]
import gfcgi
gfcgi.run(application)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "app.fcgi"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    return path


def test_a_script_is_started_for_the_request_and_stopped(script, capfdbinary):
    assert main(["request", f"script:{script}", "/"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"200 OK\n")
    assert out.endswith(b"\n\nbody")
    assert b"INFO" not in err


def test_many_requests_go_over_one_transport_connection(script, capfdbinary):
    arguments = ["-n", "50", "-c", "10", "--multiplex", "-d", "x"]
    assert main(["request", f"script:{script}", "/", *arguments]) == 0
    out = capfdbinary.readouterr().out.decode()
    assert "\n200: 50\n" in out


def test_a_script_that_ends_instead_is_said_to(tmp_path, capfdbinary):
    path = tmp_path / "ends.fcgi"
    path.write_text("#!/bin/sh\necho because >&2\nexit 3\n")
    path.chmod(0o755)
    assert main(["request", f"script:{path}", "/"]) == 1
    err = capfdbinary.readouterr().err
    assert b"the script ended" in err
    assert b"because" in err
    assert main(["request", f"script:{tmp_path}/none.fcgi", "/"]) == 1


def test_the_docs_show_what_a_script_answers(capfdbinary, tmp_path):
    page = (ROOT / "docs/reference/process.md").read_text()
    shown = page.partition("gfcgi request script:")[2].partition("```text\n")[2].partition("```")[0]
    script = tmp_path / "hello.fcgi"
    text = (ROOT / "examples/hello.fcgi").read_text()
    script.write_text(f"#!{sys.executable}\n" + text.partition("\n")[2])
    script.chmod(0o755)
    assert main(["request", f"script:{script}", "/hello"]) == 0
    assert capfdbinary.readouterr().out.decode() + "\n" == shown


# --- a terminal ----------------------------------------------------------------------------------


def test_control_characters_of_a_hostile_server_do_not_reach_a_terminal(tmp_path, terminal):
    path = str(tmp_path / "app.sock")
    evil = b"a\x1b]0;title\x07\x9b2J\r\nb\xc3\xa9\xff\t"

    def script(request):
        b"".join(request.stdin())
        request.stderr(evil)
        request.stdout(b"X-Evil: a\xc2\x9bb\r\nContent-Type: text/plain\r\n\r\n" + evil)
        request.end()

    application = Application(script)
    sock = gevent.socket.socket(socket.AF_UNIX)
    sock.bind(path)
    ours, theirs = terminal
    with application.accepting(sock):
        process = subprocess.Popen(
            [sys.executable, "-m", "gfcgi", "request", f"unix:{path}", "/"],
            stdout=theirs,
            stderr=theirs,
            stdin=subprocess.DEVNULL,
        )
        while process.poll() is None:
            gevent.sleep(0.02)
    theirs.close()
    shown = b""
    try:
        while piece := ours.read(65536):
            shown += piece
    except OSError:
        pass  # the end of a terminal
    assert process.returncode == 0
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", shown)
    assert b"\xc2\x9b" not in shown
    assert b"a\\x1b]0;title\\x07" in shown
    assert "bé".encode() in shown


def test_into_a_pipe_the_bytes_go_as_they_are(ask):
    assert ask(answering(body=b"\x1b[2J\xff"), "/")[1].endswith(b"\x1b[2J\xff")


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_bar_is_drawn_when_it_takes_long_and_taken_away(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    terminal = Terminal()
    progress = Progress("sent", 4_000_000, terminal)
    progress.add(1_000_000)
    progress.finish()
    assert terminal.text == ""
    clock[0] = 1.0
    progress.add(1_000_000)
    assert terminal.text == "\rsent 2.0 of 4.0 MB [###############               ]  50%"
    progress.finish()
    assert terminal.text.endswith("\r\x1b[K")


def test_a_bar_of_unknown_length_says_how_much(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    terminal = Terminal()
    progress = Progress("received", None, terminal)
    clock[0] = 1.0
    progress.add(1_500_000)
    assert terminal.text == "\rreceived 1.5 MB"


def test_text_that_is_cut_within_a_character_is_put_together(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        output = Output(file, terminal=True)
        output.write(b"\xc3")
        output.write(b"\xa9")
    assert (tmp_path / "out").read_bytes() == "é".encode()

"""``gfcgi record``, ``replay`` and ``show``, between real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
from pathlib import Path

import pytest
from webserver_side import STDOUT, TransportConnection, cgi_params, record, request

from gfcgi.client.recording import read_recording
from gfcgi.commands import main

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests" / "corpus" / "recordings"
SECRET = b"s3cr3t"

APPLICATION = """\
import hashlib
def application(environ, start_response):
    body = environ['wsgi.input'].read()
    environ['wsgi.errors'].write('s3cr3t in the log\\n')
    headers = [('Content-Type', 'text/plain'), ('Set-Cookie', 'id=s3cr3t')]
    start_response('200 OK', headers)
    return [b'%s %d %s' % (environ['PATH_INFO'].encode(), len(body), WORD)]
WORD = b's3cr3t'
"""


@pytest.fixture
def serve(start, tmp_path):
    """Serve an application on a socket of this name; its path."""

    def serve(name, text=APPLICATION):
        (tmp_path / f"{name}.py").write_text(text)
        path = f"{tmp_path}/{name}.sock"
        process = start("-m", "gfcgi", f"{tmp_path}/{name}.py", "--bind", f"unix:{path}")
        process.until_logged("listening on")
        return path

    return serve


@pytest.fixture
def recorded(start, tmp_path):
    """Record what happens in a function; the file."""

    def recorded(to, happen, *more):
        path, file = f"{tmp_path}/recorded.sock", tmp_path / "recording"
        arguments = ["record", "--listen", f"unix:{path}", "--to", f"unix:{to}", str(file), *more]
        process = start("-m", "gfcgi", *arguments)
        process.until_logged("recording unix:")
        happen(path)
        process.send(signal.SIGTERM)
        assert process.wait() == 0
        assert not os.path.exists(path)
        return file

    return recorded


def secret_params(path):
    return cgi_params("POST", path, "q=s3cr3t", b"x" * 10) | {
        "HTTP_COOKIE": "id=s3cr3t",
        "HTTP_AUTHORIZATION": "Bearer s3cr3t",
        "HTTP_REFERER": "http://h/?s3cr3t",
        "REQUEST_URI": "/a?q=s3cr3t",
    }


def ask(path, *, keep=False, requests=1):
    with TransportConnection(path) as connection:
        for number in range(requests):
            params = secret_params(f"/{number}")
            connection.send(request(1, params, SECRET + b"1234", keep_conn=keep))
            assert connection.response(1).status == 200


def several(path):
    for _ in range(3):
        ask(path)
    ask(path, keep=True, requests=3)


@pytest.mark.parametrize("redact", [[], ["--redact"]])
def test_a_recording_replays_with_the_same_answers(serve, recorded, capsys, redact):
    to = serve("one")
    file = recorded(to, several, *redact)
    assert main(["replay", str(file), f"unix:{to}"]) == 0
    assert capsys.readouterr().out == "6 answers on 4 connections: the same\n"


def test_another_answer_is_shown_where_it_begins_to_differ(serve, recorded, capsys):
    file = recorded(serve("one"), several)
    other = serve("two", APPLICATION.replace("WORD = b's3cr3t'", "WORD = b's3CR3T'"))
    assert main(["replay", str(file), f"unix:{other}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.match(
        r"connection 1: differs from byte \d+ on: was '.*s3cr3t', now '.*s3CR3T'", lines[0]
    )
    assert lines[-1] == "6 answers on 4 connections: 6 differences"


def test_a_redacted_recording_holds_no_secret_in_either_direction(serve, recorded):
    to = serve("one")
    whole = b"".join(piece.data for piece in read_recording(str(recorded(to, several))).pieces)
    assert whole.count(SECRET) > 6 * 6
    recording = read_recording(str(recorded(to, several, "--redact")))
    assert recording.redacted
    assert SECRET not in b"".join(piece.data for piece in recording.pieces)
    assert {piece.sender for piece in recording.pieces} == {"web server", "application"}


@pytest.mark.parametrize("example", ["hello.fcgi", "upload.py"])
@pytest.mark.parametrize("server", ["nginx", "apache", "haproxy"])
def test_a_redacted_recording_of_the_corpus_replays_with_the_same_answers(
    start, tmp_path, capsys, server, example
):
    """What a real Web server once got is what it would get now, byte for byte."""
    file = RECORDINGS / f"{server}-{Path(example).stem}.recording"
    recording = read_recording(str(file))
    assert recording.redacted
    assert SECRET not in b"".join(piece.data for piece in recording.pieces)
    requests = sum(piece.data.count(b"REQUEST_METHOD") for piece in recording.pieces)
    assert requests >= 4
    process = start("-m", "gfcgi", str(ROOT / "examples" / example), "--bind", f"unix:{tmp_path}/a")
    process.until_logged("listening on")
    assert main(["replay", str(file), f"unix:{tmp_path}/a"]) == 0, capsys.readouterr().out
    assert re.fullmatch(
        rf"{requests} answers on \d+ connections?: the same\n", capsys.readouterr().out
    )


def test_only_its_owner_can_read_a_recording(serve, recorded):
    mode = recorded(serve("one"), ask).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_show_prints_the_records_of_both_sides_in_their_order(serve, recorded, capsys):
    file = recorded(serve("one"), ask)
    assert main(["show", str(file)]) == 0
    lines = [line.split(None, 2)[2] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "> BEGIN_REQUEST 1: responder"
    assert ">     HTTP_COOKIE=id=s3cr3t" in lines
    assert "< END_REQUEST 1: REQUEST_COMPLETE, application status 0" in lines


def test_show_escapes_what_could_rule_a_terminal(tmp_path, capsys):
    file = tmp_path / "raw.bin"
    file.write_bytes(record(STDOUT, 1, b"\x1b[2J") + b"\x01\x06")
    assert main(["show", str(file)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "2 bytes of a record that is cut off" in out


def test_show_reads_the_captures_of_the_corpus(capsys):
    assert main(["show", str(ROOT / "tests/corpus/captures/fcgid/get_query.bin")]) == 0
    assert "SERVER_NAME=localhost" in capsys.readouterr().out


def test_a_web_server_that_leaves_early_is_replayed_without_waiting_for_an_end(
    serve, recorded, capsys
):
    slow = "import time\n" + APPLICATION.replace("    body =", "    time.sleep(.5)\n    body =", 1)
    to = serve("slow", slow)

    def leave(path):
        with TransportConnection(path) as connection:
            connection.send(request(1, secret_params("/"), b"x" * 10))
            time.sleep(0.1)

    file = recorded(to, leave)
    assert main(["replay", str(file), f"unix:{to}"]) == 0
    assert "the same" in capsys.readouterr().out


def test_an_application_that_is_not_there_is_said_by_both(recorded, tmp_path, capsys, serve):
    def connect(path):
        with TransportConnection(path) as connection:
            connection.send(request(1, secret_params("/")))
            connection.wait_closed()

    recorded(f"{tmp_path}/none.sock", connect)
    file = recorded(serve("one"), ask)
    assert main(["replay", str(file), f"unix:{tmp_path}/none.sock"]) == 1
    assert "No such file" in capsys.readouterr().err


def test_an_application_that_does_not_answer_in_time_is_a_difference(serve, recorded, capsys):
    file = recorded(serve("one"), ask)
    slow = serve(
        "slow", "import time\n" + APPLICATION.replace("    body", "    time.sleep(9)\n    body", 1)
    )
    assert main(["replay", str(file), f"unix:{slow}", "--timeout", "0.3"]) == 1
    assert "no answer in 0.3 seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"{}\n",
        b"{",
        b"{broken}\n",
        b'{"format": "gfcgi recording", "version": 9}\n',
        b'{"format": "gfcgi recording", "version": 1}\n{}\n',
        (
            b'{"format": "gfcgi recording", "version": 1}\n'
            b'{"connection": 1, "at": 0, "from": "web server", "bytes": "?"}\n'
        ),
    ],
)
def test_a_file_that_is_no_recording_is_misuse(tmp_path, capsys, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    assert main(["show", str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_recording_that_was_cut_off_is_good_up_to_its_last_line(serve, recorded):
    file = recorded(serve("one"), ask)
    pieces = read_recording(str(file)).pieces
    file.write_bytes(file.read_bytes()[:-10])
    assert read_recording(str(file)).pieces == pieces[:-1]
    assert json.loads(file.read_text().splitlines()[0])["redacted"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["record", "--listen", "unix:a.sock", "--to", "nowhere", "file"],
        ["record", "--listen", "unix:a.sock", "--to", "fd:0", "file"],
        ["record", "--listen", "unix:a.sock", "--to", "unix:b.sock", "none/file"],
        ["record", "--listen", "nowhere", "--to", "unix:b.sock", "file"],
        ["replay", "none", "unix:b.sock"],
        ["replay", "raw", "unix:b.sock"],
    ],
)
def test_misuse_is_one_line_and_status_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").write_bytes(record(STDOUT, 1, b""))
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_docs_show_what_the_commands_print(serve, recorded, capsys, monkeypatch, tmp_path):
    """The page's own commands, with sockets of ours; times and padding aside."""
    page = (ROOT / "docs/howto/recording.md").read_text()
    record_, show, shown, replay, replayed = re.findall(
        r"```(?:sh|text)\n(.*?)```", page, re.DOTALL
    )
    hello = serve("hello", (ROOT / "examples/hello.fcgi").read_text())

    def get(path):
        main(["request", f"unix:{path}", "/hello?name=Ada", "-H", "Cookie: id=7"])

    assert record_.split()[-2:] == ["hello.recording", "--redact"]
    file = recorded(hello, get, "--redact")
    capsys.readouterr()
    file.rename(tmp_path / "hello.recording")
    monkeypatch.chdir(tmp_path)
    main(show.split()[1:])
    assert without_times(capsys.readouterr().out) == without_times(shown)
    main([*replay.split()[1:-1], f"unix:{hello}"])
    assert capsys.readouterr().out == replayed


def without_times(lines):
    return re.sub(r"^ *[0-9.]+", "", lines, flags=re.MULTILINE)

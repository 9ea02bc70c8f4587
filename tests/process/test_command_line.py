"""``python -m gfcgi`` as a person meets it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import gfcgi


def gfcgi_command(*arguments, **settings):
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gfcgi", *arguments],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        **settings,
    )


def test_version():
    done = gfcgi_command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(f"gfcgi {gfcgi.__version__} (")


def test_help_has_groups_and_every_option():
    done = gfcgi_command("--help-all")
    assert done.returncode == 0
    for heading in ("Where it listens:", "The application:", "Limits:", "Timeouts:"):
        assert f"\n{heading}\n" in done.stdout
    assert "--bind ADDRESS" in done.stdout
    assert "--http [HOST:PORT]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--debug"], "the following arguments are required: TARGET"),
        (["hello", "--bond", "x"], "unrecognized arguments: --bond x"),
        (["hello", "--backlo", "3"], "unrecognized arguments: --backlo 3"),
        (["hello", "--backlog", "many"], "gfcgi: --backlog: 'many': it must be a whole number"),
        (["hello", "--bind", "here"], "gfcgi: --bind: 'here': write unix:PATH"),
        (["serve", "hello", "--bind", "0.0.0.0:0"], "gfcgi: TARGET: 'hello': there is no module"),
        (["nosuch.fcgi"], "gfcgi: TARGET: 'nosuch.fcgi': No such file or directory"),
    ],
)
def test_wrong_use_is_said_without_a_traceback_and_exit_2(arguments, complaint, tmp_path):
    done = gfcgi_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_wrong_variable_is_named(hello):
    done = gfcgi_command(str(hello), env={**os.environ, "GFCGI_LOG_LEVEL": "loud"})
    assert done.returncode == 2
    assert done.stderr.startswith("gfcgi: GFCGI_LOG_LEVEL: 'loud': it must be one of debug")


def test_an_open_address_is_refused_with_the_reason(hello):
    done = gfcgi_command(str(hello), "--bind", "0.0.0.0:0")
    assert done.returncode == 2
    assert "REMOTE_USER" in done.stderr
    assert "--allow-from" in done.stderr


def test_a_web_server_that_is_not_in_allow_from_is_turned_away(start, ask, hello):
    for variable in ("GFCGI_ALLOW_FROM", "FCGI_WEB_SERVER_ADDRS"):
        process = start(
            "-m",
            "gfcgi",
            hello,
            "--bind",
            "0.0.0.0:0",
            env={**os.environ, variable: "192.0.2.1,192.0.2.2"},
        )
        port = int(process.until_logged(r"listening on 0.0.0.0:(\d+)")[1])
        ask(("127.0.0.1", port)).wait_closed()
        process.until_logged("127.0.0.1 may not connect")
        process.send(signal.SIGTERM)
        assert process.wait() == 0


def test_an_import_error_shows_the_applications_own_traceback_and_exit_3(tmp_path):
    (tmp_path / "shop.py").write_text("import stock\n")
    (tmp_path / "stock.py").write_text("def load():\n    import nosuchmodule\nload()\n")
    done = gfcgi_command("shop:app", cwd=tmp_path)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    files = re.findall(r'File "([^"]+)"', done.stderr)
    assert files == [f"{tmp_path}/shop.py", *[f"{tmp_path}/stock.py"] * 2]
    assert lines[-2] == "ModuleNotFoundError: No module named 'nosuchmodule'"
    assert lines[-1] == "gfcgi: TARGET: shop: ModuleNotFoundError while it was loaded"


def test_a_script_that_does_not_compile_is_exit_3(tmp_path):
    (tmp_path / "broken.fcgi").write_text("def application(:\n")
    done = gfcgi_command("broken.fcgi", cwd=tmp_path)
    assert done.returncode == 3
    assert f'File "{tmp_path}/broken.fcgi", line 1' in done.stderr
    assert "SyntaxError" in done.stderr
    assert "gfcgi/" not in done.stderr


def test_the_default_is_port_9000_of_this_machine(start, hello):
    """Whether or not somebody else has the port just now."""
    start("-m", "gfcgi", hello).until_logged(
        r"listening on 127\.0\.0\.1:9000\n"
        r"|gfcgi: --bind: 127\.0\.0\.1:9000: Address already in use\n"
    )


def test_the_scripts_options_win_over_the_command_line(start, hello, tmp_path):
    hello.write_text(
        hello.read_text().replace("run(application)", "run(application, bind='unix:script.sock')")
    )
    process = start("-m", "gfcgi", hello, "--bind", "unix:line.sock")
    process.until_logged("started with bind=, process")
    assert os.path.exists(f"{tmp_path}/script.sock")
    assert not os.path.exists(f"{tmp_path}/line.sock")


@pytest.mark.parametrize("order", ["after", "before", "equals"])
def test_http_shows_the_page_in_a_browser_and_listens_nowhere_else(start, hello, order):
    arguments = {
        "after": [hello, "--http", "127.0.0.1:0"],
        "before": ["--http", "127.0.0.1:0", hello],
        "equals": [hello, "--http=127.0.0.1:0"],
    }[order]
    process = start("-m", "gfcgi", *arguments, env={**os.environ, "PYTHONUNBUFFERED": ""})
    line = process.popen.stdout.readline().decode()
    url = re.fullmatch(r"open (http://127\.0\.0\.1:\d+/) in a browser\n", line)[1]
    with urllib.request.urlopen(url, timeout=60) as response:
        assert response.status == 200
        assert response.read() == b"<html><body><h2>hello world</h2></body></html>"
    assert "listening on" not in process.log()
    process.send(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("bind", [[], ["--bind", "unix:app.sock"]], ids=["alone", "bind-too"])
def test_a_failure_under_http_is_shown_with_one_traceback(start, tmp_path, bind):
    """Of FCGI_STDERR and the log, which are one there, unless another Web server has the former."""
    (tmp_path / "broken.py").write_text("def application(environ, start_response): 1 / 0")
    process = start("-m", "gfcgi", "broken", "--http", "127.0.0.1:0", *bind)
    url = process.popen.stdout.readline().decode().split()[1]
    with pytest.raises(urllib.error.HTTPError, match="500") as failed:
        urllib.request.urlopen(url, timeout=60)
    failed.value.close()
    process.until_logged('"GET / HTTP/1.1" 500')
    assert "ERROR: GET /: the application failed\n" in process.log()
    assert process.log().count("ZeroDivisionError: ") == 1 + bool(bind)


def test_a_page_that_is_being_made_when_ctrl_c_comes_is_finished(start, waiting, tmp_path):
    process = start("-m", "gfcgi", waiting, "--http", "127.0.0.1:0")
    port = int(re.search(rb":(\d+)/", process.popen.stdout.readline())[1])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as browser:
        browser.sendall(b"GET /go HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        process.until_logged("called /go")
        process.send(signal.SIGINT)
        process.until_logged("requests still running: 1, for at most 30 seconds")
        (tmp_path / "go").touch()
        with browser.makefile("rb") as answer:
            assert answer.read().endswith(b"\r\n\r\nfinished")
    assert process.wait() == 0


def test_http_leaves_no_private_socket_behind(start, hello, tmp_path):
    (tmp_path / "tmp").mkdir()
    for signals in ([signal.SIGTERM], [signal.SIGSTOP, signal.SIGTERM, signal.SIGINT]):
        process = start(
            "-m",
            "gfcgi",
            hello,
            "--http",
            "127.0.0.1:0",
            env={**os.environ, "TMPDIR": f"{tmp_path}/tmp"},
        )
        process.popen.stdout.readline()
        (private,) = (tmp_path / "tmp").iterdir()
        assert private.stat().st_mode & 0o777 == 0o700
        for signum in signals:
            process.send(signum)
        process.send(signal.SIGCONT)
        process.wait()
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_taken_http_port_is_said_and_exit_2(hello):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = gfcgi_command(str(hello), "--http", f"127.0.0.1:{port}")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == f"gfcgi: --http: 127.0.0.1:{port}: Address already in use"


def test_a_tmpdir_that_is_too_long_for_the_private_socket_is_said_and_exit_2(hello, tmp_path):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    env = {**os.environ, "TMPDIR": str(long)}
    done = gfcgi_command(str(hello), "--http", "127.0.0.1:0", env=env)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("gfcgi: --http: no UNIX socket can be made in the temporary directory")
    assert str(long) in line


@pytest.mark.parametrize("flask", [False, True], ids=["gateway", "flask"])
def test_an_exceptions_text_neither_controls_the_terminal_nor_forges_a_line(start, tmp_path, flask):
    """With --http the traceback goes to the terminal, by way of FCGI_STDERR."""
    forged = "2026-11-25 12:00:00,000 gfcgi[1] INFO: forged"
    said = f"\n\x1b[2J\n{forged}"
    body = f"raise ValueError({said!r})"
    if flask:
        text = "from flask import Flask\napplication = Flask('x')\n@application.route('/')\n"
        text += f"def view():\n    {body}\n"
    else:
        text = f"def application(environ, start_response):\n    {body}\n"
    (tmp_path / "failing.py").write_text(text)
    target = f"{tmp_path}/failing.py:application"
    process = start("-m", "gfcgi", target, "--http", "127.0.0.1:0")
    port = int(re.search(rb":(\d+)/", process.popen.stdout.readline())[1])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as browser:
        browser.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while browser.recv(65536):
            pass
    process.until_logged("forged")
    process.send(signal.SIGTERM)
    process.wait()
    log = process.log()
    assert "\x1b" not in log
    assert not re.search(f"^{re.escape(forged)}", log, re.MULTILINE)


def test_bind_beside_http_is_served_too(start, ask, hello, tmp_path):
    process = start("-m", "gfcgi", hello, "--http", "127.0.0.1:0", "--bind", "unix:app.sock")
    assert process.popen.stdout.readline().startswith(b"open http://")
    process.until_logged("listening on unix:")
    assert ask(f"{tmp_path}/app.sock").response(1).status == 200


def test_http_for_other_machines_is_warned_of(start, hello):
    process = start("-m", "gfcgi", hello, "--http", "0.0.0.0:0")
    process.until_logged("0.0.0.0 answers HTTP to other machines")


def test_the_application_is_loaded_after_patching(start, hello):
    early = "import threading\nfrom time import sleep\nfrom ssl import SSLContext\n"
    hello.write_text(early + "LOCK = threading.Lock()\n" + hello.read_text())
    process = start("-m", "gfcgi", hello, "--bind", "unix:app.sock")
    process.until_logged("listening on")
    assert "made cooperative" not in process.log()

"""Signals: what runs is finished, unless somebody insists."""

from __future__ import annotations

import os
import signal
import socket

import pytest

STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
"""Of a process that Apache has started; elsewhere the last two do something else."""


@pytest.fixture
def serving(start, waiting, tmp_path):
    """A server whose application waits until it is told to finish."""
    process = start("-m", "gfcgi", waiting, "--bind", "unix:app.sock")
    process.until_logged("listening on")
    process.path = f"{tmp_path}/app.sock"
    return process


@pytest.fixture
def under_apache(start_by_apache, waiting, tmp_path):
    """The same, started by Apache."""
    path = f"{tmp_path}/web.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        process = start_by_apache("-m", "gfcgi", waiting, stdin=listening)
    process.until_logged("listening on")
    process.path = path
    return process


@pytest.mark.parametrize("signum", STOPPING, ids=lambda signum: signum.name)
def test_the_first_signal_finishes_what_runs_and_exits_0(under_apache, ask, tmp_path, signum):
    connection = ask(under_apache.path, "/go")
    under_apache.until_logged("called /go")
    under_apache.send(signum)
    under_apache.until_logged("stopping; requests still running: 1")
    assert under_apache.popen.poll() is None
    (tmp_path / "go").touch()
    response = connection.response(1)
    assert (response.status, response.body) == (200, b"finished")
    connection.close()  # as a Web server does, which sees that no more comes
    assert under_apache.wait() == 0
    assert f"stopped by {signum.name}" in under_apache.log()
    assert os.path.exists(under_apache.path)  # it is Apache's


@pytest.mark.parametrize("signum", STOPPING[:2], ids=lambda signum: signum.name)
def test_the_same_signal_again_exits_at_once_and_removes_the_socket_file(serving, ask, signum):
    ask(serving.path, "/never")
    serving.until_logged("called /never")
    serving.send(signum)
    serving.until_refusing(serving.path)
    serving.send(signum)
    assert serving.wait() == 128 + signum
    assert not os.path.exists(serving.path)


def test_ctrl_c_after_sigterm_exits_at_once(serving, ask):
    ask(serving.path, "/never")
    serving.until_logged("called /never")
    serving.send(signal.SIGTERM)
    serving.until_refusing(serving.path)
    serving.send(signal.SIGINT)
    assert serving.wait() == 128 + signal.SIGINT


def test_apaches_two_signals_for_one_graceful_restart_are_one_stop(under_apache, ask, tmp_path):
    connection = ask(under_apache.path, "/go")
    under_apache.until_logged("called /go")
    under_apache.send(signal.SIGUSR1)
    under_apache.until_logged("stopping; requests still running: 1")
    under_apache.send(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert connection.response(1).body == b"finished"
    connection.close()
    assert under_apache.wait() == 0
    assert "stopped by SIGUSR1" in under_apache.log()


def test_a_second_signal_ends_a_process_whose_application_blocks_everything(start, ask, tmp_path):
    """An application that computes for ever does not let the server stop in order."""
    (tmp_path / "busy.py").write_text(
        "def app(environ, start_response):\n    open('busy', 'w').close()\n    while True: pass\n"
    )
    process = start("-m", "gfcgi", "busy:app", "--bind", "unix:app.sock")
    process.until_logged("listening on")
    ask(f"{tmp_path}/app.sock")
    process.until((tmp_path / "busy").exists)
    process.send(signal.SIGTERM)
    process.send(signal.SIGINT)
    assert process.wait() in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert not os.path.exists(f"{tmp_path}/app.sock")


def test_what_still_runs_after_the_graceful_timeout_is_cut(start, ask, waiting, tmp_path):
    process = start(
        "-m", "gfcgi", waiting, "--bind", "unix:app.sock", "--graceful-timeout-seconds", "0.3"
    )
    process.until_logged("listening on")
    ask(f"{tmp_path}/app.sock", "/never")
    process.until_logged("called /never")
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert "still running after 0.3 seconds, and cut: GET /never\n" in process.log()


def test_a_connection_that_waits_in_the_queue_when_the_signal_comes_is_answered(
    start, ask, hello, tmp_path
):
    """mod_fastcgi's graceful restart: its workers still hold requests for us."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/web.sock")
        listening.listen()
        process = start(hello, stdin=listening)
        process.until_logged("listening on")
        process.send(signal.SIGSTOP)
        connection = ask(f"{tmp_path}/web.sock")
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)
        assert connection.response(1).status == 200
        assert process.wait() == 0


def test_nohup_is_honoured(start, ask, hello, tmp_path):
    process = start(
        "-c",
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
        "-m",
        "gfcgi",
        hello,
        "--bind",
        "unix:app.sock",
    )
    process.until_logged("listening on")
    process.send(signal.SIGHUP)
    assert ask(f"{tmp_path}/app.sock").response(1).status == 200
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert "stopped by SIGTERM" in process.log()


def test_a_socket_that_goes_away_with_us_is_served_until_it_is_gone(start, ask, waiting, tmp_path):
    """mod_fastcgi's graceful restart: its workers go on connecting after it has stopped us."""
    script = tmp_path / "late.fcgi"
    script.write_text(
        f"{waiting.read_text()}\n"
        "import gfcgi\n"
        "from gfcgi import limits\n"
        "limits.ACCEPT_GRACE_SECONDS = 3600\n"
        "gfcgi.run(application, graceful_timeout_seconds=3600)\n"
    )
    path = f"{tmp_path}/web.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        process = start(script, stdin=listening)
        process.until_logged("listening on")
        early = ask(path, "/early")
        process.until_logged("called /early")
        process.send(signal.SIGTERM)
        process.until_logged("stopping; requests still running: 1")
        (tmp_path / "late").touch()
        assert ask(path, "/late").response(1).body == b"finished"
        os.unlink(path)
        (tmp_path / "early").touch()
        assert early.response(1).body == b"finished"
        assert process.wait() == 0


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET], ids=["unix", "tcp"])
def test_a_socket_that_stays_when_we_go_keeps_us_a_moment_only(start, ask, hello, tmp_path, family):
    with socket.socket(family) as listening:
        listening.bind(f"{tmp_path}/web.sock" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listening.listen()
        process = start(hello, stdin=listening)
        assert ask(listening.getsockname()).response(1).status == 200
        process.send(signal.SIGTERM)
        assert process.wait() == 0

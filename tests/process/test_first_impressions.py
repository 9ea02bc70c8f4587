"""The first minutes: the hello script's log, a misspelt variable, other systems, old Pythons."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples" / "hello.fcgi"

LINUX_ONLY = """\
import select, signal, socket
for module, names in {
    socket: ["SO_PEERCRED", "SO_ACCEPTCONN", "SO_DOMAIN", "SO_PROTOCOL", "MSG_MORE",
             "MSG_NOSIGNAL", "AF_VSOCK", "AF_NETLINK", "AF_PACKET", "TCP_CORK", "TCP_DEFER_ACCEPT",
             "SOCK_CLOEXEC", "SOCK_NONBLOCK"],
    select: ["epoll"],
    signal: ["sigtimedwait", "sigwaitinfo", "pidfd_send_signal"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import _socket
socket.__all__ = [name for name in socket.__all__ if hasattr(socket, name)]
for name in [name for name in vars(_socket) if name.isupper() and not hasattr(socket, name)]:
    delattr(_socket, name)
import os
for name in ["memfd_create", "pidfd_open", "sched_getaffinity", "getxattr", "splice", "eventfd"]:
    if hasattr(os, name):
        delattr(os, name)
"""


def page(process) -> bytes:
    """What the HTTP front of a process answers."""
    process.until(lambda: b"open http" in read(process))
    url = re.search(rb"open (http://\S+)", read(process))
    assert url is not None
    with urllib.request.urlopen(url[1].decode(), timeout=60) as answer:
        content: bytes = answer.read()
    return content


def read(process) -> bytes:
    return (process.directory / "stdout").read_bytes()


@pytest.fixture
def serve_http(start, tmp_path):
    """Start something with --http, on a port of its own; standard output is a file."""

    def serve_http(*arguments, **settings):
        with open(tmp_path / "stdout", "wb") as stdout:
            return start(*arguments, "--http", "127.0.0.1:0", stdout=stdout, **settings)

    return serve_http


def test_the_hello_example_logs_no_warning(serve_http):
    """Not while it starts, not at its first request, not at its end."""
    process = serve_http("-m", "gfcgi", HELLO)
    assert b"hello world" in page(process)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not re.search("WARNING|ERROR", process.log()), process.log()


def test_where_linux_only_names_are_missing_it_can_be_imported_and_serves_http(
    serve_http, tmp_path
):
    """As on a Mac, where people try things first."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/sitecustomize.py").write_text(LINUX_ONLY)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "elsewhere")}
    hidden = "import socket; assert not hasattr(socket, 'SO_PEERCRED')"
    subprocess.run(
        [sys.executable, "-c", f"{hidden}; import gfcgi; gfcgi.run, gfcgi.Server"],
        env=environ,
        check=True,
        timeout=60,
    )
    process = serve_http("-m", "gfcgi", HELLO, env=environ)
    assert b"hello world" in page(process)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not re.search("WARNING|ERROR|Traceback", process.log()), process.log()


def test_a_misspelt_variable_is_named_in_the_log(serve_http):
    process = serve_http("-m", "gfcgi", HELLO, env={**os.environ, "GFCGI_LOGLEVEL": "debug"})
    process.until_logged("GFCGI_LOGLEVEL is no option; did you mean GFCGI_LOG_LEVEL")


@pytest.mark.parametrize("version", ["3.9", "3.6"])
def test_a_python_that_is_too_old_gets_one_line(version):
    """The package's first lines can be read by it, and say what is wrong."""
    major, minor = map(int, version.split("."))
    guard = (ROOT / "gfcgi/__init__.py").read_text().partition("from gfcgi._version")[0]
    assert "__future__" not in [
        line.split()[1] for line in guard.splitlines() if line[:5] == "from "
    ]
    code = f"import sys; sys.version_info = ({major}, {minor}, 0, 'final', 0)\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "import gfcgi"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"needs Python 3.10 or newer; this is Python {version}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_who_cannot_give_a_socket_away_is_told_what_he_can_do():
    code = (
        "import os, tempfile\n"
        "from gfcgi.addresses import UnixAddress\n"
        "from gfcgi.options import Options\n"
        "from gfcgi.process.unix import listen_unix\n"
        "os.setgroups([]); os.setegid(65534); os.seteuid(65534)\n"
        "with tempfile.TemporaryDirectory(dir='/tmp') as directory:\n"
        "    try: listen_unix(UnixAddress(f'{directory}/app.sock'), Options(socket_owner='root'))\n"
        "    except Exception as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    assert "only root can do that" in done.stdout
    assert "--socket-group" in done.stdout
    assert done.stdout.count("\n") == 1

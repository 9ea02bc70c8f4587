"""The same process with a new version: no request is lost, and a broken one does no harm."""

from __future__ import annotations

import os
import py_compile
import re
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.request

import pytest
from webserver_side import TransportConnection, cgi_params, request

SECONDS = 90.0

SITE = """\
import os
def application(environ, start_response):
    body = f'%s {os.getpid()}'.encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
"""
SCRIPT = "import site_t\napplication = site_t.application\n"
RUN = "if __name__ == '__main__':\n    import gfcgi\n    gfcgi.run(application)\n"


class Load:
    """Web servers that ask again and again, on a connection for each request."""

    def __init__(self, address, clients=4):
        self.address = address
        self.answers = []
        self.failures = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert self.failures == []

    def _ask(self):
        while not self._stop.is_set():
            try:
                connection = TransportConnection(self.address)
                try:
                    connection.send(request(1, cgi_params()))
                    response = connection.response(1)
                finally:
                    connection.close()
                assert response.status == 200, response
                self.answers.append(response.body)
            except Exception as error:
                self.failures.append(error)
                return

    def until(self, version):
        """Wait until the version that answers is this one."""
        wait_until(lambda: self.failures or (self.answers[-1:] and version in self.answers[-1]))
        assert self.failures == []


def wait_until(condition, seconds=SECONDS):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture
def site(tmp_path):
    """Write a version of the application's module, so that its time or its size differs."""

    def site(version, code=SITE):
        path = tmp_path / "site_t.py"
        path.write_text(code % version if "%s" in code else code)
        return path

    site("one")
    (tmp_path / "site.fcgi").write_text(SCRIPT + RUN)
    return site


@pytest.fixture
def listening(tmp_path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{tmp_path}/web.sock")
        sock.listen(1000)
        yield sock


def body(ask, address):
    response = ask(address).response(1)
    return response.status, response.body


WAYS = {
    "command": ["-m", "gfcgi", "site.fcgi"],
    "script": ["site.fcgi"],
    "module": ["-m", "gfcgi", "site_t:application"],
}


@pytest.mark.parametrize("how", WAYS)
def test_a_changed_file_is_served_by_the_same_process_and_no_request_is_lost(
    start, site, listening, how, tmp_path
):
    process = start(*WAYS[how], stdin=listening, env={**os.environ, "GFCGI_RELOAD": "1"})
    with Load(listening.getsockname()) as load:
        load.until(b"one %d" % process.pid)
        site("twotwo")
        load.until(b"twotwo %d" % process.pid)
        shutil.copy(tmp_path / "site_t.py", tmp_path / "new.py")
        text = (tmp_path / "new.py").read_text().replace("twotwo", "three")
        (tmp_path / "new.py").write_text(text)
        os.replace(tmp_path / "new.py", tmp_path / "site_t.py")
        load.until(b"three %d" % process.pid)
        (tmp_path / "restart.txt").touch()
        process.until_logged(r"renewing the process: .*/restart\.txt has changed")
        process.until(lambda: process.log().count(" serves ") == 4)
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_a_broken_version_leaves_the_old_one_serving_until_it_is_repaired(start, site, tmp_path):
    process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock", "--reload")
    process.until_logged("listening on")
    with Load(f"{tmp_path}/app.sock") as load:
        load.until(b"one")
        # What is broken is in a file that the old version knows nothing of.
        (tmp_path / "more_t.py").write_text("def (\n")
        site("two", "import more_t\n" + SITE)
        process.until_logged(
            r"not renewed, though .*/site_t\.py has changed: the new version cannot"
        )
        assert b"one" in load.answers[-1]
        process.until_logged("SyntaxError: invalid syntax")
        (tmp_path / "more_t.py").write_text("repaired = True\n")
        load.until(b"two %d" % process.pid)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not os.path.exists(f"{tmp_path}/app.sock")


@pytest.mark.parametrize("how", ["bind", "tcp", "descriptor", "systemd"])
def test_sighup_renews_the_process_and_no_request_is_lost(start, site, listening, how, tmp_path):
    address = listening.getsockname()
    if how == "bind":
        address = f"{tmp_path}/app.sock"
        process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock")
    elif how == "tcp":
        process = start("-m", "gfcgi", "site.fcgi", "--bind", "127.0.0.1:0")
        address = ("127.0.0.1", int(process.until_logged(r"listening on 127.0.0.1:(\d+)")[1]))
    elif how == "descriptor":
        process = start("-m", "gfcgi", "site.fcgi", stdin=listening)
    else:
        fd = listening.fileno()
        code = (
            f"import os, sys; os.dup2({fd}, 3)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'gfcgi', 'site.fcgi'])\n"
        )
        process = start("-c", code, pass_fds=[fd])
    process.until_logged("listening on")
    with Load(address, 8) as load:
        for version in ("two", "six"):
            load.until(b" %d" % process.pid)
            site(version)
            process.send(signal.SIGHUP)
            load.until(b"%s %d" % (version.encode(), process.pid))
    assert process.log().count("renewing the process: SIGHUP") == 2
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert "cut: " not in process.log()


SECOND = 1_700_000_000


@pytest.mark.parametrize("how", ["reload", "signal", "script"])
def test_another_text_of_the_same_length_and_second_is_served(start, ask, site, how, tmp_path):
    """Python's own cache tells texts apart by their length and the second alone."""

    def at(fraction, *paths):
        for path in paths:
            os.utime(path, ns=(0, SECOND * 10**9 + fraction))

    module = site("one")
    at(100_000_000, module)
    command = ["site.fcgi"] if how == "script" else ["-m", "gfcgi", "site.fcgi"]
    process = start(
        *command,
        env={**os.environ, "GFCGI_BIND": "unix:app.sock", "PYTHONDONTWRITEBYTECODE": ""}
        | ({} if how == "signal" else {"GFCGI_RELOAD": "1"}),
    )
    process.until_logged("listening on")
    assert body(ask, f"{tmp_path}/app.sock") == (200, b"one %d" % process.pid)
    cached = py_compile.compile(str(module))
    at(200_000_000, cached)
    site("two")
    at(300_000_000, module)
    if how == "signal":
        process.send(signal.SIGHUP)
    process.until(lambda: process.log().count(" serves ") == 2)
    assert body(ask, f"{tmp_path}/app.sock") == (200, b"two %d" % process.pid)


@pytest.mark.parametrize("how", ["command", "script"])
def test_a_process_that_starts_with_such_a_cache_serves_the_newest_text(
    start, ask, site, how, tmp_path
):
    module = site("one")
    os.utime(module, (0, SECOND))
    cached = py_compile.compile(str(module))
    os.utime(cached, (0, SECOND + 0.2))
    site("two")
    os.utime(module, (0, SECOND + 0.3))
    process = start(
        *(["site.fcgi"] if how == "script" else ["-m", "gfcgi", "site.fcgi"]),
        env={**os.environ, "GFCGI_BIND": "unix:app.sock", "GFCGI_RELOAD": "1"},
    )
    process.until_logged("listening on")
    wait_until(lambda: body(ask, f"{tmp_path}/app.sock") == (200, b"two %d" % process.pid))


LOOKING = (
    "from gfcgi import limits\nlimits.LOOK_SECONDS = limits.HELD_SECONDS = 1000.0\n"
    # On a busy machine the looks may use up their share of the time.
    "from gfcgi.process import upkeep\nupkeep._LOOK_SHARE = upkeep._MOST_LOOK_SECONDS = 9.0\n"
    "from gfcgi.commands import main\nmain()\n"
)
"""A process that looks before each connection alone, as where a Web server has started it."""


def test_the_request_that_finds_a_change_gets_the_new_version(
    start_by_apache, ask, site, listening
):
    process = start_by_apache(
        *["-c", LOOKING, "site.fcgi"], stdin=listening, env={**os.environ, "GFCGI_RELOAD": "1"}
    )
    address = listening.getsockname()
    for version in ("one", "two"):
        site(version)
        assert body(ask, address) == (200, b"%s %d" % (version.encode(), process.pid))
    site("bad", "def (\n")
    assert body(ask, address) == (200, b"two %d" % process.pid)
    process.until_logged("not renewed")
    site("ten")
    assert body(ask, address) == (200, b"ten %d" % process.pid)


HOLDING = """\
import os, time
if os.path.exists("hold") and open("hold").read() == str(os.getpid()):
    open("held", "w").close()
    while os.path.exists("hold"):
        time.sleep(0.01)
"""


def test_a_change_that_comes_while_a_new_version_is_loaded_is_noticed(
    start_by_apache, ask, site, listening, tmp_path
):
    """Though the process has been renewed at its very first look."""
    process = start_by_apache(
        *["-c", LOOKING, "site.fcgi"], stdin=listening, env={**os.environ, "GFCGI_RELOAD": "1"}
    )
    process.until_logged("listening on")
    (tmp_path / "hold").write_text(str(process.pid))
    site("two", HOLDING + SITE)
    waiting = ask(listening.getsockname())
    process.until((tmp_path / "held").exists)
    site("three")
    (tmp_path / "hold").unlink()
    assert waiting.response(1).status == 200
    assert body(ask, listening.getsockname()) == (200, b"three %d" % process.pid)


def test_a_request_that_runs_is_finished_by_the_old_version(start, ask, waiting, tmp_path):
    process = start("-m", "gfcgi", waiting, "--bind", "unix:app.sock")
    process.until_logged("listening on")
    connection = ask(f"{tmp_path}/app.sock", "/go")
    process.until_logged("called /go")
    waiting.write_text(waiting.read_text().replace("b'finished'", "b'anew'"))
    process.send(signal.SIGHUP)
    process.until_logged("renewing the process: SIGHUP")
    late = ask(f"{tmp_path}/app.sock", "/go")
    (tmp_path / "go").touch()
    assert connection.response(1).body == b"finished"
    assert late.response(1).body == b"anew"


def test_a_version_that_is_broken_while_requests_are_finished_does_no_harm_either(
    start, ask, waiting, tmp_path
):
    process = start("-m", "gfcgi", waiting, "--bind", "unix:app.sock", "--reload")
    process.until_logged("listening on")
    good = waiting.read_text()
    connection = ask(f"{tmp_path}/app.sock", "/go")
    process.until_logged("called /go")
    waiting.write_text(good.replace("b'finished'", "b'anew'"))
    process.until_logged(r"renewing the process: .*/waiting\.py has changed")
    waiting.write_text("def (\n")
    late = ask(f"{tmp_path}/app.sock", "/go")
    (tmp_path / "go").touch()
    assert connection.response(1).body == b"finished"
    assert late.response(1).body == b"finished"
    process.until_logged(r"not renewed, though .*/waiting\.py has changed again: the new version")
    assert ask(f"{tmp_path}/app.sock", "/go").response(1).body == b"finished"
    waiting.write_text(good.replace("b'finished'", "b'repaired'"))
    wait_until(
        lambda: ask(f"{tmp_path}/app.sock", "/go").response(1).body == b"repaired",
    )
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert not os.path.exists(f"{tmp_path}/app.sock")


def test_a_process_that_a_web_server_started_is_stopped_by_apaches_signals(
    start_by_apache, ask, site, listening
):
    """SIGHUP and SIGUSR1 come to Apache's process group at a restart."""
    for signum in (signal.SIGHUP, signal.SIGUSR1):
        process = start_by_apache("-m", "gfcgi", "site.fcgi", stdin=listening)
        assert body(ask, listening.getsockname()) == (200, b"one %d" % process.pid)
        process.send(signum)
        assert process.wait() == 0
        assert f"stopped by {signum.name}" in process.log()


def test_sigusr1_reopens_log_files(start, ask, site, tmp_path):
    site("one", "import logging\nlogging.basicConfig(filename='app.log', level='INFO')\n" + SITE)
    process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock")
    log, rotated = tmp_path / "app.log", tmp_path / "app.log.1"
    process.until(lambda: log.exists() and "listening on" in log.read_text())
    log.rename(rotated)
    process.send(signal.SIGUSR1)
    process.until(log.exists)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert "stopped by SIGTERM" in log.read_text()
    assert "stopped by" not in rotated.read_text()


WITH_TERMINAL = """\
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes standard input the terminal of the process."""


def test_a_process_whose_terminal_is_gone_stops_at_sighup(start, site, tmp_path, terminal):
    """And is not left behind without one, as a window is closed."""
    window, programs = terminal
    process = start(
        *["-c", WITH_TERMINAL, "-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock"],
        stdin=programs,
    )
    process.until_logged("listening on")
    programs.close()
    window.close()
    assert process.wait() == 0
    assert "stopped by SIGHUP" in process.log()
    assert not os.path.exists(f"{tmp_path}/app.sock")


def test_max_requests_renews_the_process_and_no_request_is_lost(start, site, tmp_path):
    process = start(
        *["-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock", "--max-requests", "50"]
    )
    process.until_logged("listening on")
    with Load(f"{tmp_path}/app.sock"):
        process.until(lambda: process.log().count(" serves ") >= 3)
    counts = re.findall(r"renewing the process: it has answered (\d+) requests", process.log())
    assert all(int(count) >= 50 for count in counts)


def test_max_memory_renews_a_process_that_takes_more(start, site, tmp_path):
    leaking = SITE.replace("    body", "    kept.append(b'x' * 4_000_000)\n    body", 1)
    site("one", "kept = []\n" + leaking)
    process = start(
        *["-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock"],
        *["--max-memory-bytes", "200_000_000".replace("_", "")],
    )
    process.until_logged("listening on")
    with Load(f"{tmp_path}/app.sock", 1):
        process.until_logged(r"renewing the process: it takes \d+ bytes of memory")
        process.until(lambda: process.log().count(" serves ") >= 2)


def test_a_bound_below_what_the_process_takes_anyway_is_said_and_has_no_effect(start, site):
    process = start(
        *["-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock", "--max-memory-bytes", "1000"]
    )
    process.until_logged("max_memory_bytes=1000 is less than the process takes without a request")


def test_the_page_for_a_browser_is_there_again_at_the_same_address(start, site):
    process = start("-m", "gfcgi", "site.fcgi", "--http", "127.0.0.1:0", "--reload")
    url = process.popen.stdout.readline().decode().split()[1]

    def page():
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                return response.read()
        except ConnectionError:  # it had been accepted, and had not been read
            return b""

    assert page() == b"one %d" % process.pid
    site("twotwo")
    process.until(lambda: page() == b"twotwo %d" % process.pid)


def test_further_files_are_looked_at_too(start, site, tmp_path):
    (tmp_path / "settings.ini").write_text("a=1\n")
    process = start(
        *["-m", "gfcgi", "site_t:application", "--bind", "unix:app.sock", "--reload"],
        *["--reload-file", "settings.ini", "--reload-file", "later.ini"],
    )
    process.until_logged("listening on")
    (tmp_path / "settings.ini").write_text("a=22\n")
    process.until_logged(r"renewing the process: .*/settings\.ini has changed")
    process.until(lambda: process.log().count(" serves ") == 2)
    (tmp_path / "later.ini").touch()
    process.until_logged(r"renewing the process: .*/later\.ini has changed")


def test_it_is_started_again_as_it_was_whatever_the_application_has_changed(
    start, ask, site, tmp_path
):
    changing = SITE + "os.environ['CHANGED'] = '1'\nos.chdir('/')\nimport sys\nsys.argv[:] = []\n"
    address = f"unix:{tmp_path}/app.sock"
    site("one", "import os\nassert 'CHANGED' not in os.environ\n" + changing)
    process = start("-m", "gfcgi", "site_t:application", "--bind", address)
    process.until_logged("listening on")
    process.send(signal.SIGHUP)
    process.until(lambda: process.log().count("listening on") == 2)
    assert body(ask, f"{tmp_path}/app.sock") == (200, b"one %d" % process.pid)


RELEASE = """\
import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'{os.path.basename(os.getcwd())} {__file__}'.encode()]
"""


def test_a_link_that_leads_to_another_release_is_a_new_version_in_its_directory(
    start, ask, tmp_path
):
    """The old one may be removed at once."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site.fcgi").write_text(f"# release {name}\n{RELEASE}")
    link = tmp_path / "current"
    link.symlink_to("one")
    into = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    process = start(
        *["-c", into, link, sys.executable, "-m", "gfcgi", link / "site.fcgi"],
        *["--bind", f"unix:{tmp_path}/app.sock", "--reload"],
    )
    process.until_logged("listening on")
    assert body(ask, f"{tmp_path}/app.sock") == (200, f"one {link}/site.fcgi".encode())
    (tmp_path / "new").symlink_to("two")
    os.replace(tmp_path / "new", link)
    shutil.rmtree(tmp_path / "one")
    answer = (200, f"two {link}/site.fcgi".encode())
    wait_until(lambda: body(ask, f"{tmp_path}/app.sock") == answer)


def test_exit_handlers_of_the_old_version_run_and_its_descriptors_are_closed(
    start, ask, site, tmp_path
):
    leaving = "import atexit\natexit.register(lambda: open('left', 'w').close())\n"
    leaking = "leaked = os.open('site.fcgi', os.O_RDONLY)\nos.set_inheritable(leaked, True)\n"
    counting = SITE.replace(
        "f'%s {os.getpid()}'", "str(sorted(map(int, os.listdir('/proc/self/fd'))))"
    )
    site("one", leaving + "import os\n" + leaking + counting)
    process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock")
    process.until_logged("listening on")
    before = body(ask, f"{tmp_path}/app.sock")
    for count in (2, 3):
        process.send(signal.SIGHUP)
        process.until(lambda: process.log().count("listening on") == count)  # noqa: B023
    assert (tmp_path / "left").exists()
    after = body(ask, f"{tmp_path}/app.sock")
    assert len(eval(after[1])) <= len(eval(before[1])) + 1, (before, after)


def test_the_run_line_of_a_script_may_listen_elsewhere_after_the_renewal(
    start, ask, site, tmp_path
):
    script = tmp_path / "site.fcgi"
    script.write_text(SCRIPT + RUN.replace("(application", "(application, bind='unix:a.sock'"))
    process = start("site.fcgi")
    process.until_logged("listening on")
    script.write_text(SCRIPT + RUN.replace("(application", "(application, bind='unix:b.sock'"))
    process.send(signal.SIGHUP)
    process.until_logged(r"listening on unix:.*/b\.sock|listening on unix:b\.sock")
    assert body(ask, f"{tmp_path}/b.sock")[0] == 200
    assert not os.path.exists(f"{tmp_path}/a.sock")


def test_a_service_manager_is_told_of_each_step_and_the_watchdog_is_fed(start, site, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{tmp_path}/notify")
        manager.settimeout(SECONDS)
        env = {**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/notify", "WATCHDOG_USEC": "200000"}
        process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock", env=env)

        def told():
            """The next state that is none of the watchdog's."""
            while (state := manager.recv(1000).decode()) == "WATCHDOG=1":
                fed.append(True)
            return state

        fed = []
        assert told() == "READY=1"
        wait_until(lambda: manager.recv(1000) == b"WATCHDOG=1")
        site("broken", "def (\n")
        process.send(signal.SIGHUP)
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", told())
        assert told() == "READY=1"
        site("repaired")
        process.send(signal.SIGHUP)
        assert told().startswith("RELOADING=1\n")
        assert told() == "READY=1"
        wait_until(lambda: manager.recv(1000) == b"WATCHDOG=1")
        process.send(signal.SIGTERM)
        assert told() == "STOPPING=1"
    assert process.wait() == 0


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket, at ``notify`` in the test's directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{tmp_path}/notify")
        manager.settimeout(SECONDS)
        yield manager


IN_A_DIRECTORY_OF_ITS_OWN = """\
import os, sys
os.mkdir("gone")
os.chdir("gone")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_new_version_that_cannot_be_started_leaves_the_old_one_serving(
    start, ask, site, manager, tmp_path
):
    address = f"{tmp_path}/app.sock"
    process = start(
        *["-c", IN_A_DIRECTORY_OF_ITS_OWN, "-m", "gfcgi", tmp_path / "site.fcgi"],
        *["--bind", f"unix:{address}"],
        env={**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/notify"},
    )
    assert manager.recv(1000) == b"READY=1"
    (tmp_path / "gone").rmdir()
    process.send(signal.SIGHUP)
    assert manager.recv(1000).startswith(b"RELOADING=1\n")
    assert manager.recv(1000) == b"READY=1"
    process.until_logged(r"not renewed, though SIGHUP: .*\n +it could not be started: .*gone'")
    assert body(ask, address) == (200, b"one %d" % process.pid)
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert "looking after the process failed" not in process.log()


def test_a_file_that_changes_while_the_process_stops_renews_nothing(
    start, ask, waiting, manager, tmp_path
):
    code = (
        "from gfcgi import limits\nlimits.LOOK_SECONDS = 0.02\n"
        "from gfcgi.commands import main\nmain()\n"
    )
    process = start(
        *["-c", code, waiting, "--bind", "unix:app.sock", "--reload"],
        env={
            **os.environ,
            "NOTIFY_SOCKET": f"{tmp_path}/notify",
            "WATCHDOG_USEC": "100000",
        },
    )
    process.until_logged("listening on")
    connection = ask(f"{tmp_path}/app.sock", "/go")
    process.until_logged("called /go")
    process.send(signal.SIGTERM)
    wait_until(lambda: manager.recv(1000) == b"STOPPING=1")
    waiting.write_text("def (\n")
    # It goes on to look, as often as that.
    assert {manager.recv(1000) for _ in range(20)} == {b"WATCHDOG=1"}
    (tmp_path / "go").touch()
    assert connection.response(1).body == b"finished"
    connection.close()
    assert process.wait() == 0
    assert "looking after the process failed" not in process.log()
    assert "renewed" not in process.log()


# --- a start that fails --------------------------------------------------------------------------

GFCGI = f"#!{sys.executable}\nimport sys\nfrom gfcgi.commands import main\nsys.exit(main())\n"


def broken(directory, how):
    """Write an application that cannot be started; return the command, and what repairs it."""
    good = SITE % "repaired"
    script, module = directory / "site.fcgi", directory / "site_t.py"
    script.write_text(SCRIPT + RUN)
    module.write_text(good)
    command = ["-m", "gfcgi", "site.fcgi"]
    if how == "syntax error in the script":
        whole = script.read_text()
        script.write_text("status = '200 OK\n" + whole)
        return command, lambda: script.write_text(whole)
    if how == "script with gfcgi as its interpreter":
        program = directory / "gfcgi"
        program.write_text(GFCGI)
        program.chmod(0o755)
        whole = f"#!{program}\n{SCRIPT}{RUN}"
        script.write_text("status = '200 OK\n".join(whole.partition("import site_t")[:2]) + "(")
        script.chmod(0o755)
        code = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        return ["-c", code, script], lambda: script.write_text(whole)
    if how == "failing module":
        module.write_text("1 / 0\n")
    elif how == "module that is not there":
        module.unlink()
    elif how == "missing module of the command line":
        module.unlink()
        command = ["-m", "gfcgi", "site_t:application"]
    elif how == "run line with a module":
        script.write_text("import gfcgi\ngfcgi.run('site_t:application')\n")
        module.write_text("import nowhere_t\n")
        command = ["site.fcgi"]
    elif how == "run line with a file":
        script.write_text("import gfcgi\ngfcgi.run('site_t.py')\n")
        module.write_text("def (\n")
        command = ["site.fcgi"]
    elif how == "factory":
        module.write_text("def application(): raise KeyError('DATABASE')\n")
        command = ["-m", "gfcgi", "site_t:application()"]
        good = f"{good}inner = application\ndef application(): return inner\n"
    elif how == "no WSGI application":
        module.write_text("async def application(scope, receive, send): pass\n")
        command = ["-m", "gfcgi", "site_t:application"]
    elif how == "wrong option":
        whole = script.read_text()
        script.write_text(whole.replace("(application)", "(application, backlog=0)"))
        return command, lambda: script.write_text(whole)
    return command, lambda: module.write_text(good)


WAYS_TO_FAIL = [
    "syntax error in the script",
    "script with gfcgi as its interpreter",
    "failing module",
    "module that is not there",
    "missing module of the command line",
    "run line with a module",
    "run line with a file",
    "factory",
    "no WSGI application",
    "wrong option",
]


@pytest.mark.parametrize("how", WAYS_TO_FAIL)
def test_a_start_that_fails_is_a_page_at_once_until_it_is_repaired(
    start, ask, listening, how, tmp_path
):
    command, repair = broken(tmp_path, how)
    process = start(*command, stdin=listening)
    for _ in range(10):
        status, page = body(ask, listening.getsockname())
        assert status == 500
        assert b"could not be started" in page
        assert b"Traceback" not in page
        assert b"Error" not in page.partition(b"\n")[2]
    assert len(process.log().splitlines()) < 20
    assert process.log().count("Traceback") <= 1
    repair()
    wait_until(lambda: body(ask, listening.getsockname()) == (200, b"repaired %d" % process.pid))
    process.send(signal.SIGTERM)
    assert process.wait() == 0


def test_the_page_shows_the_traceback_only_where_that_is_wanted(start, ask, listening, tmp_path):
    command, _ = broken(tmp_path, "failing module")
    process = start(*command, "--debug", stdin=listening)
    status, page = body(ask, listening.getsockname())
    assert status == 500
    assert b"ZeroDivisionError: division by zero" in page
    assert process.popen.poll() is None


def test_with_reload_a_failed_start_waits_for_the_repair_wherever_it_listens(start, ask, tmp_path):
    command, repair = broken(tmp_path, "failing module")
    process = start(*command, "--bind", "unix:app.sock", "--reload")
    process.until_logged("every request gets an error page until a file of the application changes")
    assert body(ask, f"{tmp_path}/app.sock")[0] == 500
    repair()
    wait_until(lambda: body(ask, f"{tmp_path}/app.sock") == (200, b"repaired %d" % process.pid))


@pytest.mark.parametrize("arguments", [[], ["--bind", "unix:app.sock"]])
def test_without_either_a_failed_start_ends_the_process(start, tmp_path, arguments):
    command, _ = broken(tmp_path, "failing module")
    process = start(*command, *arguments)
    assert process.wait() == 3


FAILS_LATER = (
    "import os\n"
    "with open('count', 'a') as file:\n"
    "    file.write('x')\n"
    "if os.path.getsize('count') > 1:\n"
    "    raise ValueError('the second time')\n"
) + SITE
"""It can be loaded aside, and then not."""


def test_a_version_that_can_only_be_loaded_aside_is_a_page(start, ask, site, tmp_path):
    process = start("-m", "gfcgi", "site.fcgi", "--bind", "unix:app.sock")
    process.until_logged("listening on")
    site("never", FAILS_LATER)
    process.send(signal.SIGHUP)
    process.until_logged("every request gets an error page")
    assert body(ask, f"{tmp_path}/app.sock")[0] == 500
    site("repaired")
    wait_until(lambda: body(ask, f"{tmp_path}/app.sock") == (200, b"repaired %d" % process.pid))

"""What happens while the application holds up everybody: it is named, and a stop is kept."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time

import pytest

STANDING = """\
import ctypes, hashlib, os, re, subprocess, sys, time
from gevent import monkey
libc = ctypes.CDLL(None)
Lock = monkey.get_original('threading', 'Lock')

def spin():
    while True:
        pass

def wait_in_c():
    while True:
        libc.usleep(900_000)

def compute_in_c():
    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)

def deadlock():
    lock = Lock()
    lock.acquire()
    lock.acquire()

def hold_the_interpreter():
    re.match('(a+)+$', 'a' * 64 + 'b')

def hold_the_interpreter_a_while():
    # Nothing here is run by the interpreter itself.
    next(filter((time.monotonic() + 1).__lt__, iter(time.monotonic, None)))

def sleep():
    time.sleep(1000)

def a_second():
    until = time.monotonic() + 1
    while time.monotonic() < until:
        pass

def debug():
    import pdb
    pdb.Pdb(nosigint=True).set_trace()

def fork():
    subprocess.check_call(['true'])
    for _ in range(10):
        child = monkey.get_original('os', 'fork')()  # gevent's hides the warning
        if not child:
            os._exit(len(os.listdir('/proc/self/task')) - 1 if sys.platform == 'linux' else 0)
        assert os.waitpid(child, 0)[1] == 0
        time.sleep(0.001)  # the thread is there again

def application(environ, start_response):
    open('called' + environ['PATH_INFO'].replace('/', '-'), 'w').close()
    globals()[environ['PATH_INFO'][1:]]()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'done']
if __name__ == '__main__':
    import gfcgi
    gfcgi.run(application)
"""

LINES = STANDING.splitlines()
PLACES = {
    "spin": LINES.index("        pass") + 1,
    "wait_in_c": LINES.index("        libc.usleep(900_000)") + 1,
    "compute_in_c": LINES.index("    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)") + 1,
    "deadlock": LINES.index("    lock.acquire()") + 2,
}
"""The function, and the line in which it stands."""


@pytest.fixture
def standing(tmp_path):
    script = tmp_path / "standing.py"
    script.write_text(STANDING)
    return script


def test_what_holds_up_everybody_is_named_and_a_stop_ends_the_process_all_the_same(
    start, ask, standing, tmp_path
):
    """Computing, waiting in C, a deadlock; on a socket that was inherited a single call in C."""
    processes = {}
    for name in ("spin", "wait_in_c", "deadlock"):
        processes[name] = start(
            *["-m", "gfcgi", standing, "--bind", f"unix:{name}.sock"],
            *["--graceful-timeout-seconds", "2"],
        )
        processes[name].path = f"{tmp_path}/{name}.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/web.sock")
        listening.listen()
        environ = {**os.environ, "GFCGI_GRACEFUL_TIMEOUT_SECONDS": "2"}
        processes["compute_in_c"] = start(standing, stdin=listening, env=environ)
        processes["compute_in_c"].path = f"{tmp_path}/web.sock"
    for name, process in processes.items():
        process.until_logged("listening on")
        ask(process.path, f"/{name}")
    for called, process in processes.items():
        found = process.until_logged(
            r"WARNING: for (\S+) s nobody else was answered while the application stands in"
            rf" {re.escape(str(standing))}, line (\d+)\S* \(GET /{called} from 127\.0\.0\.1\)\."
        )
        assert int(found[2]) in (PLACES[called], PLACES[called] - (called == "spin"))
        assert float(found[1]) < 10  # 1.0 unless the machine is busy
        process.until_logged(rf'  File "{re.escape(str(standing))}", line \d+, in {called}\n')
    began = time.monotonic()
    for process in processes.values():
        process.send(signal.SIGTERM)
    for name, process in processes.items():
        assert process.wait() == 128 + signal.SIGTERM, process.log()
        assert re.search(
            r"ERROR: SIGTERM came \S+ s ago and graceful_timeout_seconds=2 are over: the process"
            rf" is ended where it stands, in {re.escape(str(standing))}, line \d+",
            process.log(),
        ), process.log()
        assert os.path.exists(process.path) == (name == "compute_in_c")
    assert time.monotonic() - began < 20


def test_a_call_that_never_lets_another_thread_run_does_not_outlast_a_stop(
    start, ask, standing, tmp_path
):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock", "--graceful-timeout-seconds", "0.5"]
    )
    process.until_logged("listening on")
    ask(f"{tmp_path}/app.sock", "/hold_the_interpreter")
    process.until((tmp_path / "called-hold_the_interpreter").exists)
    process.send(signal.SIGTERM)
    assert process.wait() in (1, 128 + signal.SIGTERM)
    assert "hold_the_interpreter" in process.log()


def test_a_call_that_has_let_no_other_thread_run_is_named_when_it_returns(
    start, ask, standing, tmp_path
):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock", "--block-log-seconds", "0.1"]
    )
    process.until_logged("listening on")
    named = r"WARNING: for \S+ s nobody else was answered: a call in C let no other thread run\. "

    def asked_and_named():
        """On a machine that gives the process little time, only one of several calls may be."""
        response = ask(f"{tmp_path}/app.sock", "/hold_the_interpreter_a_while").response(1)
        assert response.body == b"done"
        return re.search(named, process.log())

    process.until(asked_and_named)


def test_in_threads_a_call_that_lets_no_other_thread_run_is_named_with_other_remedies(
    start, ask, standing, tmp_path
):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock", "--block-log-seconds", "0.1"],
        *["--threads", "2"],
    )
    process.until_logged("listening on")

    def asked_and_named():
        response = ask(f"{tmp_path}/app.sock", "/hold_the_interpreter_a_while").response(1)
        assert response.status == 200
        return re.search(r"let no other thread run\..* Use more processes; ", process.log())

    process.until(asked_and_named)


def test_a_second_signal_ends_a_process_that_waits_in_c_at_once(start, ask, standing, tmp_path):
    process = start("-m", "gfcgi", standing, "--bind", "unix:app.sock")
    process.until_logged("listening on")
    ask(f"{tmp_path}/app.sock", "/compute_in_c")
    process.until_logged("nobody else was answered")
    process.send(signal.SIGTERM)
    process.send(signal.SIGINT)
    assert process.wait() in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert " came once more: the process is ended where it stands, in " in process.log()
    assert not (tmp_path / "app.sock").exists()


def test_a_place_is_logged_once_and_the_time_that_it_took_in_the_end(
    start, ask, standing, tmp_path
):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock", "--block-log-seconds", "0.2"]
    )
    process.until_logged("listening on")
    for _ in range(2):
        assert ask(f"{tmp_path}/app.sock", "/a_second").response(1).body == b"done"
    found = process.until_logged(
        r"nobody else was answered for (\S+) s while the application stood in .*standing\.py, line"
        r" \d+ \(GET /a_second from 127\.0\.0\.1\)\n"
    )
    assert 0.4 < float(found[1]) < 20
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert len(re.findall(r"application stands in .*standing\.py", process.log())) <= 2  # its lines


def test_block_kill_seconds_ends_the_process_with_its_stacks_in_the_log(
    start, ask, standing, tmp_path
):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock"],
        *["--block-log-seconds", "0", "--block-kill-seconds", "0.5"],
    )
    process.until_logged("listening on")
    ask(f"{tmp_path}/app.sock", "/sleep")
    process.until((tmp_path / "called-sleep").exists)
    ask(f"{tmp_path}/app.sock", "/deadlock")
    assert process.wait() == 1
    assert re.search(
        r"CRITICAL: the process is ended: it has stood still for \S+ s \(block_kill_seconds\), in"
        r" .*standing\.py, line \d+ \(GET /deadlock",
        process.log(),
    )
    assert re.search(r"line \d+ in deadlock\n", process.log())
    assert re.search(
        r"a greenlet of GET /sleep from 127\.0\.0\.1 waits:\n(  File .*\n)*"
        r'  File ".*standing\.py", line \d+, in sleep\n',
        process.log(),
    )
    assert not (tmp_path / "app.sock").exists()


WAIT_IN_C = """
lock = monkey.get_original('threading', 'Lock')()
lock.acquire()
lock.acquire()
"""
WAIT_IN_A_GREENLET = """
threading.Thread(target=lambda: time.sleep(1000)).start()
lock = threading.Event()
lock.wait()
"""


@pytest.mark.parametrize("waiting", [WAIT_IN_C, WAIT_IN_A_GREENLET], ids=["in C", "in a greenlet"])
def test_a_start_that_stands_still_is_named_and_ended_by_a_stop(start, tmp_path, waiting):
    text = f"import threading, time\nfrom gevent import monkey{waiting}"
    (tmp_path / "never.py").write_text(text)
    environ = {
        **os.environ,
        "GFCGI_BLOCK_LOG_SECONDS": "0.1",
        "GFCGI_GRACEFUL_TIMEOUT_SECONDS": "0.5",
    }
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/web.sock")
        listening.listen()
        process = start("-m", "gfcgi", "never:application", stdin=listening, env=environ)
    process.until_logged(r"the start has stood still for \S+ s in .*never\.py, line 5\b")
    process.send(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert "SIGTERM came" in process.log()


def test_a_fork_finds_no_thread_of_ours_and_its_child_has_none(start, ask, standing, tmp_path):
    """Python warns of a fork in a process with threads since 3.12."""
    process = start(
        *["-W", "always::DeprecationWarning", "-m", "gfcgi", standing, "--bind", "unix:app.sock"],
        *["--block-log-seconds", "0.2"],
    )
    process.until_logged("listening on")
    for _ in range(3):
        response = ask(f"{tmp_path}/app.sock", "/fork").response(1)
        assert (response.status, response.body) == (200, b"done"), process.log()
    assert "multi-threaded" not in process.log()
    ask(f"{tmp_path}/app.sock", "/spin")
    process.until_logged("the application stands in")  # the thread is there again
    process.popen.kill()


def test_a_renewed_process_is_watched_as_well(start, ask, standing, tmp_path):
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock", "--block-log-seconds", "0.2"]
    )
    process.until_logged("listening on")
    process.send(signal.SIGHUP)
    process.until(lambda: process.log().count("listening on") == 2)
    ask(f"{tmp_path}/app.sock", "/spin")
    process.until_logged("nobody else was answered while the application stands in")
    process.popen.kill()


def test_a_person_at_a_breakpoint_is_left_alone(start, ask, standing, tmp_path):
    reading, writing = os.pipe()
    process = start(
        *["-m", "gfcgi", standing, "--bind", "unix:app.sock"],
        *["--block-log-seconds", "0.1", "--block-kill-seconds", "0.2"],
        stdin=reading,
    )
    os.close(reading)
    try:
        process.until_logged("listening on")
        connection = ask(f"{tmp_path}/app.sock", "/debug")
        process.until((tmp_path / "called-debug").exists)
        time.sleep(1)  # nothing happens meanwhile
        os.write(writing, b"c\n")
        assert connection.response(1).body == b"done"
        assert "nobody else" not in process.log()
    finally:
        os.close(writing)


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_nothing_is_left_of_the_thread_when_run_returns(start, tmp_path):
    script = tmp_path / "after.py"
    script.write_text(
        "import os, time, gfcgi\n"
        "def application(environ, start_response): pass\n"
        "gfcgi.run(application, bind='unix:app.sock')\n"
        "until = time.monotonic() + 30\n"
        # The kernel may show a thread that has ended for a moment.
        "while len(os.listdir('/proc/self/task')) > 1 and time.monotonic() < until: pass\n"
        "print('threads', len(os.listdir('/proc/self/task')), flush=True)\n"
    )
    process = start(script)
    process.until_logged("listening on")
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert process.popen.stdout.read() == b"threads 1\n"

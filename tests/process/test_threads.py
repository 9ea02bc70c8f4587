"""``--threads``: the application runs in operating-system threads, and nothing is patched."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import webserver_side as wire
from running.script import ServedScript, serving
from webserver_side import TransportConnection

THREADS = "8"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServedScript]]:
    """Serve a script's application in threads, and stop it at the end."""
    with ExitStack() as ending:

        def serve(script: str, **environ: str) -> ServedScript:
            environ = {"GFCGI_THREADS": THREADS, **environ}
            return ending.enter_context(serving(tmp_path, script, **environ))

        yield serve


WAITING_IN_C = """
import ctypes, threading
library = ctypes.CDLL(None)
arrived = threading.Barrier(8)
def application(environ, start_response):
    if environ["PATH_INFO"] == "/together":
        arrived.wait(30)  # eight are here at once, or it breaks
    library.usleep(500_000)
    return answer(start_response, threading.current_thread().name)
"""


def test_eight_requests_wait_in_c_at_once(serve):
    served = serve(WAITING_IN_C)
    began = time.monotonic()
    names = served.at_once(["/together"] * 8)
    assert time.monotonic() - began < 2.5, "eight times 0.5 s, one after the other, is 4 s"
    assert sorted(names) == [f"gfcgi-{number}" for number in range(1, 9)]
    assert ", threads: 8" in served.log()


COMPUTING = """
import threading, time
computing = threading.Event()
def application(environ, start_response):
    if environ["PATH_INFO"] == "/compute":
        until = time.monotonic() + 3
        computing.set()
        while time.monotonic() < until:
            pass
    if environ["PATH_INFO"] == "/computing":
        computing.wait()
    return answer(start_response, "done")
"""


def test_a_small_request_is_answered_beside_three_seconds_of_computing(serve):
    served = serve(COMPUTING)
    asked = served.ask("/compute")
    assert served.get("/computing") == "done"
    seconds = []
    for _ in range(9):
        began = time.monotonic()
        assert served.get("/quick") == "done"
        seconds.append(time.monotonic() - began)
    # 0.03 s on a machine that does nothing else.
    assert sorted(seconds)[4] < 1
    assert not asked.readable(0), "the computing was over before the small requests were"
    assert served.bodies([asked]) == ["done"]


NOTHING_PATCHED = """
import gfcgi.patched
import gevent.monkey, socket, threading, time
def application(environ, start_response):
    patched = [name for name in ("socket", "threading", "time", "queue", "select", "os")
               if gevent.monkey.is_module_patched(name)]
    main = threading.current_thread() is threading.main_thread()
    return answer(start_response, (patched, main, environ["wsgi.multithread"]))
"""


@pytest.mark.parametrize(("threads", "multithread"), [("1", False), ("2", True)])
def test_nothing_is_patched_though_the_script_imports_gfcgi_patched(serve, threads, multithread):
    served = serve(NOTHING_PATCHED, GFCGI_THREADS=threads)
    assert served.get() == f"([], False, {multithread})"


SCRIPT = """
import gevent.monkey, threading
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    patched = gevent.monkey.is_module_patched("threading")
    return [f"{threading.current_thread().name} {patched}".encode()]
if __name__ == "__main__":
    import gfcgi
    gfcgi.run(application, bind="unix:app.sock", threads=2)
"""


def test_a_script_asks_for_threads_itself(start, ask, tmp_path):
    (tmp_path / "app.py").write_text(SCRIPT)
    process = start("app.py")
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"gfcgi-1 False"


@pytest.mark.parametrize(
    "first", ["import gfcgi.patched", "from gevent.monkey import patch_all; patch_all()"]
)
def test_a_script_that_patches_and_asks_for_threads_is_refused_in_one_line(tmp_path, first):
    (tmp_path / "app.py").write_text(f"{first}\n{SCRIPT}")
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("gfcgi: threads=: threads would be greenlets")


def test_threads_on_the_command_line_come_before_the_script(start, ask, tmp_path):
    (tmp_path / "app.py").write_text(f"import gfcgi.patched\n{SCRIPT}")
    process = start("-m", "gfcgi", "app.py", "--threads", "2", "--bind", "unix:app.sock")
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"gfcgi-1 False"


def memory_kib(served: ServedScript, name: str) -> int:
    """VmRSS or VmHWM (the highest so far) of the process."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1])


MEGABYTES = """
import hashlib
import os
BLOCK = bytes(range(256)) * 256
def application(environ, start_response):
    if environ["PATH_INFO"] == "/download":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return (BLOCK for _ in range(1600))
    hashed = hashlib.sha256()
    while block := environ["wsgi.input"].read(65536):
        hashed.update(block)
    return answer(start_response, hashed.hexdigest())
"""


def test_100_mb_go_up_and_down_in_flat_memory(serve):
    served = serve(MEGABYTES)
    block = bytes(range(256)) * 4096
    assert served.bodies([served.ask("/", block)])
    before = memory_kib(served, "VmRSS")
    expected = hashlib.sha256()
    with TransportConnection(served.address) as connection:
        values = wire.cgi_params("POST", "/") | {"CONTENT_LENGTH": str(100 * len(block))}
        connection.send(wire.begin_request(1), wire.params(1, values))
        for _ in range(100):
            connection.send(wire.stdin(1, block, end=False))
            expected.update(block)
        connection.send(wire.record(wire.STDIN, 1))
        assert connection.response(1).body.decode() == expected.hexdigest()
    with TransportConnection(served.address) as connection:
        connection.send(wire.request(1, wire.cgi_params(path="/download")))
        received = 0
        while (record := connection.read_record()).type == wire.STDOUT:
            received += len(record.content)
    assert 100 * len(block) < received < 100 * len(block) + 1000
    assert memory_kib(served, "VmHWM") - before < 16_000


LEAVING = """
import threading
from gfcgi.errors import RequestAborted
happened, said = [], threading.Event()
def say(what):
    happened.append(what)
    said.set()
class Endless:
    def __iter__(self):
        return self
    def __next__(self):
        return bytes(65536)
    def close(self):
        say("closed")
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/happened":
        said.wait()
        said.clear()
        return answer(start_response, happened.pop())
    if path == "/told":
        say("waiting")
        assert environ["gfcgi.aborted"].wait()
        assert environ["gfcgi.aborted"].is_set()
        say("told")
    elif path == "/reading":
        try:
            environ["wsgi.input"].read()
        except RequestAborted:
            say("not read")
    else:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Endless()
    return answer(start_response, "nobody is here")
"""


def test_a_client_that_leaves_is_noticed_in_a_thread(serve):
    served = serve(LEAVING)
    waiting = served.ask("/told")
    assert served.get("/happened") == "waiting"
    waiting.close()
    assert served.get("/happened") == "told"
    with TransportConnection(served.address) as reading:
        values = wire.cgi_params("POST", "/reading") | {"CONTENT_LENGTH": "10"}
        reading.send(wire.begin_request(1), wire.params(1, values), wire.stdin(1, b"1", end=False))
    assert served.get("/happened") == "not read"
    endless = served.ask("/endless")
    endless.read_record()
    endless.close()
    assert served.get("/happened") == "closed"


ONE_BY_ONE = """
import threading
go_on = threading.Event()
served = []
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/served":
        return answer(start_response, " ".join(served))
    served.append(path)
    while not os.path.exists("go-on"):
        time.sleep(0.01)
    return answer(start_response, path)
import os, time
"""


def test_requests_wait_in_line_for_a_thread_and_who_leaves_it_is_not_served(serve, tmp_path):
    served = serve(
        ONE_BY_ONE,
        GFCGI_THREADS="1",
        GFCGI_QUEUE_TIMEOUT_SECONDS="60",
        GFCGI_STATUS_PATH="/status",
    )

    def waiting() -> int:
        with TransportConnection(served.address) as connection:
            connection.send(wire.request(1, wire.cgi_params(path="/status", query="json")))
            return int(json.loads(connection.response(1).body)["all"]["waiting"])

    asked: list[TransportConnection] = []
    for number in range(4):
        asked.append(served.ask(f"/{number}"))
        served.until(lambda: waiting() == len(asked) - 1)
    asked[1].close()
    served.until(lambda: waiting() == 2)
    (tmp_path / "go-on").touch()
    left = [asked[0], asked[2], asked[3]]
    assert served.bodies(left) == ["/0", "/2", "/3"]
    served_paths = served.get("/served").split()
    assert served_paths[:3] == ["/0", "/2", "/3"]


VARIABLES = """
import contextvars, threading
variable = contextvars.ContextVar("variable", default="empty")
kept = threading.local()
def application(environ, start_response):
    found = variable.get(), getattr(kept, "number", 0)
    variable.set("left behind")
    kept.number = found[1] + 1
    return answer(start_response, found)
"""


def test_context_variables_are_a_requests_own_and_thread_local_data_the_threads(serve):
    served = serve(VARIABLES, GFCGI_THREADS="1")
    assert [served.get() for _ in range(3)] == ["('empty', 0)", "('empty', 1)", "('empty', 2)"]


FORKING = """
import os, sys
def application(environ, start_response):
    pid = os.fork()
    if pid == 0:
        if environ["PATH_INFO"] == "/exit":
            sys.exit(5)
        return answer(start_response, "the child")
    return answer(start_response, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("path", "status"), [("/exit", "5"), ("/", "0")])
def test_a_child_that_a_thread_forks_takes_no_part_in_serving(serve, path, status):
    served = serve(FORKING)
    for _ in range(3):
        assert served.get(path) == status


STAGES = """
import atexit, os, threading, time
atexit.register(lambda: open("ended", "w").close())
lock = threading.Lock()
lock.acquire()
def application(environ, start_response):
    open("begun", "w").close()
    {}
"""
STUCK = {
    "computing": "while True: pass",
    "in C": "import ctypes; ctypes.CDLL(None).sleep(60)",
    "deadlock": "lock.acquire()",
    "printing": "while True: print('x' * 1000, file=open(os.devnull, 'w'))",
}


@pytest.mark.parametrize("how", STUCK)
def test_a_stop_ends_the_process_though_a_thread_does_not_return(serve, tmp_path, how):
    served = serve(STAGES.format(STUCK[how]), GFCGI_GRACEFUL_TIMEOUT_SECONDS="0.5")
    asked = served.ask()
    served.until((tmp_path / "begun").exists)
    began = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - began < 20
    assert "still running after 0.5 seconds, and cut: GET /" in served.log()
    assert (tmp_path / "ended").exists(), "exit handlers ran"
    asked.wait_closed()


def test_a_stop_waits_for_a_thread_that_finishes(serve, tmp_path):
    served = serve(ONE_BY_ONE)
    asked = served.ask("/finishes")
    served.until(lambda: served.get("/served") == "/finishes")
    served.process.send_signal(signal.SIGTERM)
    served.until(lambda: "stopping; requests still running: " in served.log())
    (tmp_path / "go-on").touch()
    assert served.bodies([asked]) == ["/finishes"]
    assert served.process.wait(60) == 0


UNSUITED = """
import queue, socket, threading
from concurrent.futures import ThreadPoolExecutor
class Socket(socket.socket):
    pass
lock, pool, jobs = threading.Lock(), ThreadPoolExecutor(2), queue.SimpleQueue()
def work():
    while True:
        number, answers = jobs.get()
        answers.put(2 * number)
threading.Thread(target=work, daemon=True).start()
def application(environ, start_response):
    answers = queue.SimpleQueue()
    jobs.put((21, answers))
    with lock:
        found = answers.get(timeout=30), pool.submit(lambda: "pooled").result(30)
    ours, theirs = Socket.__mro__[1].__module__, Socket(socket.AF_UNIX)
    theirs.close()
    return answer(start_response, (*found, ours))
"""


def test_what_patching_does_not_suit_runs_in_threads(serve):
    """A lock, a pool, a queue and a class that were made before gfcgi.run is called."""
    served = serve(UNSUITED)
    assert served.at_once(["/"] * 4) == ["(42, 'pooled', 'socket')"] * 4
    assert "cooperative" not in served.log(), "nothing is late, as nothing is patched"


COUNTING = """
import time
import urllib.request
here = most = 0
def application(environ, start_response):
    global here, most
    here += 1
    most = max(most, here)
    time.sleep(0.02)
    here -= 1
    return answer(start_response, (most, environ["wsgi.multithread"]))
"""


def test_one_thread_runs_one_request_at_a_time(serve):
    assert serve(COUNTING, GFCGI_THREADS="1").at_once(["/"] * 8) == ["(1, False)"] * 8


WANTS_NONE = """
import gevent.monkey, time
import gfcgi.patched
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(gevent.monkey.is_module_patched("threading")).encode()]
if __name__ == "__main__":
    import gfcgi
    if len(str(time)) < 0:
        gfcgi.run(application, threads=2)
    gfcgi.run(application{})
"""


@pytest.mark.parametrize(
    ("environ", "arguments", "keyword"),
    [
        ({"GFCGI_THREADS": "2"}, ("app.fcgi",), ", threads=0, bind='unix:app.sock'"),
        ({}, ("-m", "gfcgi", "app.fcgi", "--bind", "unix:app.sock"), ""),
    ],
    ids=["the keyword wins", "the line was not reached"],
)
def test_a_script_that_wants_no_threads_after_all_has_greenlets(
    start, ask, tmp_path, environ, arguments, keyword
):
    (tmp_path / "app.fcgi").write_text(WANTS_NONE.format(keyword))
    process = start(*arguments, env={**os.environ, **environ})
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"True"


def test_the_number_in_a_script_counts_for_the_command_line_too(start, ask, tmp_path):
    (tmp_path / "app.fcgi").write_text(SCRIPT)
    process = start("-m", "gfcgi", "app.fcgi", "--bind", "unix:other.sock")
    process.until_logged("threads: 2")
    process.until_logged("listening on")
    assert ask(str(tmp_path / "app.sock")).response(1).body == b"gfcgi-1 False"


@pytest.mark.parametrize("text", ["threads=int('2')", "**{'threads': 2}"])
def test_a_number_that_only_the_script_knows_is_too_late_for_the_command_line(tmp_path, text):
    (tmp_path / "app.fcgi").write_text(SCRIPT.replace("threads=2", text))
    done = subprocess.run(
        [sys.executable, "-m", "gfcgi", "app.fcgi"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "threads=: it comes too late" in done.stderr
    assert "--threads" in done.stderr


def test_it_answers_a_browser_too(start, tmp_path):
    (tmp_path / "app.py").write_text(SCRIPT)
    process = start("-m", "gfcgi", "app.py:application", "--threads", "2", "--http", "127.0.0.1:0")
    process.until_logged(" serves ")
    line = process.popen.stdout.readline().decode()
    url = re.search(r"http://\S+", line)[0]
    with urllib.request.urlopen(url, timeout=60) as page:
        assert page.read() == b"gfcgi-1 False"


def test_sighup_renews_the_process_and_it_has_threads_again(start, ask, tmp_path):
    (tmp_path / "app.py").write_text(SCRIPT)
    process = start("app.py")
    process.until_logged("listening on")
    socket_file = str(tmp_path / "app.sock")
    assert ask(socket_file).response(1).body == b"gfcgi-1 False"
    (tmp_path / "app.py").write_text(SCRIPT.replace("{patched}", "new"))
    process.send(signal.SIGHUP)
    process.until(lambda: process.log().count("listening on") == 2)
    assert ask(socket_file).response(1).body == b"gfcgi-1 new"


def test_max_requests_counts_in_threads(serve):
    served = serve(WAITING_IN_C.replace("500_000", "1"), GFCGI_MAX_REQUESTS="20")
    for _ in range(4):
        served.at_once(["/"] * 8)
    served.until(lambda: "renewing the process: it has answered" in served.log())
    served.until(lambda: served.log().count("listening on") == 2)
    assert served.get()


def test_cgi_is_answered_in_the_main_thread(tmp_path):
    (tmp_path / "app.py").write_text(SCRIPT.replace("{patched}", "{environ['wsgi.multithread']}"))
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env={**os.environ, **wire.cgi_params(), "GATEWAY_INTERFACE": "CGI/1.1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n\nMainThread False")


LAZY = """
import importlib.util, sys
class Lazy:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *arguments):
        spec = self.finder.find_spec(name, *arguments)
        if spec is not None and name.startswith(("gevent", "greenlet")):
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec
sys.meta_path[:] = [Lazy(finder) for finder in sys.meta_path]
def application(environ, start_response):
    return answer(start_response, "served")
"""


def test_a_script_whose_imports_are_lazy_is_served_all_the_same(serve):
    """As Mercurial's demandimport makes them."""
    assert serve(LAZY).get() == "served"


LOGGED_BY_ERRORS = """
import logging, sys, threading
local = threading.local()
class Errors:
    def write(self, text):
        getattr(local, "errors", sys.stderr).write(text)
    def flush(self):
        getattr(local, "errors", sys.stderr).flush()
logging.basicConfig(stream=Errors(), level=logging.INFO)
def application(environ, start_response):
    local.errors = environ["wsgi.errors"]
    for _ in range(300 if environ["PATH_INFO"] == "/much" else 0):
        logging.getLogger("app").warning("x" * 1000)
    return answer(start_response, "done")
"""


def test_a_logging_handler_that_writes_to_wsgi_errors_holds_nobody_up(serve):
    """A thread that waits with the handler's lock would wait for ever: the loop logs too."""
    served = serve(LOGGED_BY_ERRORS, GFCGI_STDERR="with-stdout")
    assert served.get("/much") == "done"
    assert served.at_once(["/much", "/", "/much"]) == ["done"] * 3
    assert served.stop() == 0


CHILDREN = """
import subprocess
def application(environ, start_response):
    command = ["sh", "-c", "echo; exit 7"]
    statuses = {subprocess.run(command, stdout=-1).returncode for _ in range(20)}
    return answer(start_response, repr(statuses))
"""


def test_exit_statuses_of_children_are_theirs_after_a_renewal_that_failed(serve):
    """The event loop must not take the ends of children that a thread waits for."""
    served = serve(CHILDREN)
    script = served.directory / "app.py"
    good = script.read_text()
    script.write_text("def (")
    served.process.send_signal(signal.SIGHUP)
    served.until(lambda: "not renewed" in served.log())
    script.write_text(good)
    assert served.get() == "{7}"

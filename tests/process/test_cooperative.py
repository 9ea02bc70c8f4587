"""What ran under threads runs here: real processes with default options."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running.script import ServedScript, serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServedScript]]:
    """Serve a script's application, and stop it at the end."""
    with ExitStack() as ending:
        yield lambda script, **environ: ending.enter_context(serving(tmp_path, script, **environ))


def slowest(served: ServedScript, during: Callable[[], None]) -> float:
    """Seconds that the slowest of the requests to /quick takes while something else goes on."""
    done = threading.Event()
    seconds = [0.0]

    def ask() -> None:
        while not done.is_set():
            began = time.monotonic()
            served.get("/quick")
            seconds.append(time.monotonic() - began)
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        during()
    finally:
        done.set()
        thread.join()
    return max(seconds)


def test_a_file_lock_held_by_a_request_that_sleeps_is_waited_for(serve):
    """A1: under gevent alone the process deadlocks for good."""
    served = serve("""
import fcntl, time
def application(environ, start_response):
    with open("lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(0.05)
    return answer(start_response, "done")
""")
    assert served.at_once(["/"] * 8) == ["done"] * 8


DATABASE = """
import sqlite3, time
with sqlite3.connect("shop.db") as database:
    database.execute("create table sold (number)")
database.close()
def application(environ, start_response):
    if environ["PATH_INFO"] == "/quick":
        return answer(start_response, "quick")
    database = sqlite3.connect("shop.db")
    database.execute("insert into sold values (1)")
    time.sleep(0.05)
    database.commit()
    (count,) = database.execute("select count(*) from sold").fetchone()
    database.close()
    return answer(start_response, count)
"""


def test_writers_of_an_sqlite_database_wait_for_each_other_and_nobody_else_does(serve):
    """A2: under gevent alone 7 of 8 fail after 35 s in which nobody is served."""
    served = serve(DATABASE)
    counts: list[str] = []
    longest = slowest(served, lambda: counts.extend(served.at_once(["/"] * 8)))
    assert sorted(map(int, counts)) == list(range(1, 9))
    assert longest < 2  # it is some milliseconds; a wait in C is 5 s


ASYNC = """
import asyncio, contextvars
number = contextvars.ContextVar("number")
together = set()
most = 0
async def work():
    global most
    together.add(number.get())
    most = max(most, len(together))
    await asyncio.sleep(0.3)
    in_thread = await asyncio.to_thread(number.get)
    together.discard(number.get())
    return f"{number.get()} {in_thread}"
def application(environ, start_response):
    if environ["PATH_INFO"] == "/most":
        return answer(start_response, most)
    number.set(environ["PATH_INFO"])
    return answer(start_response, asyncio.run(work()))
"""


def test_event_loops_run_in_many_requests_at_once_with_their_own_context(serve):
    """A3: under gevent alone all but one fail: "cannot be called from a running event loop"."""
    served = serve(ASYNC)
    paths = [f"/{number}" for number in range(20)]
    assert served.at_once(paths) == [f"{path} {path}" for path in paths]
    assert served.get("/most") == "20"


def test_a_shell_command_lets_the_others_go_on(serve):
    """A13: under gevent alone everybody waits for it."""
    served = serve("""
import os
def application(environ, start_response):
    if environ["PATH_INFO"] == "/quick":
        with open("go", "w"): pass
        return answer(start_response, "quick")
    return answer(start_response, os.system("while [ ! -e go ]; do sleep 0.01; done; exit 3"))
""")
    waiting = [served.ask() for _ in range(3)]
    assert served.get("/quick") == "quick"
    assert served.bodies(waiting) == [str(3 << 8)] * 3


FORK = """
import os, sys, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/pid":
        return answer(start_response, os.getpid())
    if path == "/sleep":
        time.sleep(0.3)
        with open("slept", "a") as file: file.write(f"{os.getpid()} ")
        return answer(start_response, "slept")
    pid = os.fork()
    if pid == 0:
        time.sleep(1)
        if path == "/exit": sys.exit(3)
        if path == "/raise": raise ValueError("in the child")
        return answer(start_response, "from the child")
    status = os.waitpid(pid, 0)[1]
    return answer(start_response, os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(("path", "status"), [("/exit", 3), ("/raise", 0), ("/return", 0)])
def test_a_forked_child_takes_no_part_in_serving_and_ends_with_its_request(serve, path, status):
    """A6: under gevent alone the child answers the parent's requests, this one's included."""
    served = serve(FORK)
    sleeping = served.ask("/sleep")
    forking = served.ask(path)
    pids = [served.get("/pid") for _ in range(60)]
    assert set(pids) == {str(served.process.pid)}
    assert served.bodies([sleeping, forking]) == ["slept", str(status)]
    # What slept in the parent when the child was made has not woken up in the child as well.
    assert (served.directory / "slept").read_text().split() == [str(served.process.pid)]


def test_a_child_that_outlives_the_server_ends_by_a_signal(serve):
    served = serve("""
import os, time
def application(environ, start_response):
    pid = os.fork()
    if pid == 0:
        while True: time.sleep(0.1)
    return answer(start_response, pid)
""")
    child = int(served.get())
    assert served.stop() == 0
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while True:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


PROCESSES = """
import multiprocessing, time
def double(number):
    time.sleep(0.1)
    return 2 * number
def put(queue, number):
    queue.put("x" * 200_000 + str(number))
def work(what, context):
    if what == "process":
        process = context.Process(target=double, args=(1,))
        process.start(); process.join()
        return process.exitcode
    if what == "pool":
        with context.Pool(2) as pool:
            return pool.map(double, range(4))
    if what == "manager":
        with context.Manager() as manager:
            shared = manager.dict()
            shared["a"] = 1
            return dict(shared)
    if what == "queue":
        queue = context.Queue()
        processes = [context.Process(target=put, args=(queue, n)) for n in range(3)]
        for process in processes: process.start()
        found = sorted(queue.get()[-1] for _ in processes)
        for process in processes: process.join()
        return found
    if what == "terminate":
        process = context.Process(target=time.sleep, args=(60,))
        process.start(); process.terminate(); process.join()
        return process.exitcode
def application(environ, start_response):
    if environ["PATH_INFO"] == "/quick":
        return answer(start_response, "quick")
    _, what, how = environ["PATH_INFO"].split("/")
    return answer(start_response, work(what, multiprocessing.get_context(how)))
"""
RESULTS = {
    "process": "0",
    "pool": "[0, 2, 4, 6]",
    "manager": "{'a': 1}",
    "queue": "['0', '1', '2']",
    "terminate": "-15",
}


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_in_requests_and_lets_the_others_go_on(serve, how):
    """A16: under gevent alone a Manager fails, an exit status is None, and more hangs."""
    served = serve(PROCESSES)
    found: list[str] = []
    longest = slowest(
        served, lambda: found.extend(served.at_once(f"/{what}/{how}" for what in RESULTS))
    )
    assert found == list(RESULTS.values())
    assert longest < 2
    assert served.stop() == 0


def test_what_runs_before_patching_does_not_keep_the_server_from_starting(serve):
    """A4, A14: under gevent alone "cannot release un-acquired lock", and no server."""
    served = serve("""
import logging, logging.handlers, queue, threading, time
class Lazy:
    @property
    def __class__(self): raise RuntimeError("not configured")
lazy = Lazy()
ended = threading.Event()
class Counting(threading.Thread):
    count = 0
    def run(self):
        while not ended.wait(0.01): self.count += 1
counting = Counting(); counting.start()
lines = queue.Queue()
class Keep(logging.Handler):
    kept = []
    def emit(self, record): self.kept.append(record.getMessage())
listener = logging.handlers.QueueListener(lines, Keep()); listener.start()
log = logging.getLogger("shop"); log.addHandler(logging.handlers.QueueHandler(lines))
log.propagate = False
def application(environ, start_response):
    log.warning(environ["PATH_INFO"])
    if environ["PATH_INFO"] == "/end":
        ended.set()
        counting.join(10)
    time.sleep(0.05)
    return answer(start_response, f"{counting.count > 0} {counting.is_alive()} {Keep.kept}")
""")
    assert served.get("/first") == "True True ['/first']"
    assert served.get("/end") == "True False ['/first', '/end']"
    assert "Exception" not in served.log()


def test_an_executor_made_before_patching_gives_its_results(serve):
    """A7: the first result() stopped the process for good, without a word."""
    served = serve("""
from concurrent.futures import ThreadPoolExecutor
import time
pool = ThreadPoolExecutor(4)
def work(number):
    time.sleep(0.1)
    return number
def application(environ, start_response):
    return answer(start_response, sum(pool.map(work, range(4))))
""")
    assert served.at_once(["/"] * 3) == ["6"] * 3
    assert "WARNING" not in served.log()


def test_thread_local_data_made_before_patching_is_each_requests_own(serve):
    served = serve("""
import threading, time
local = threading.local()
class Holder:
    def __init__(self): self.data = threading.local()
holder = Holder()
def application(environ, start_response):
    local.path = holder.data.path = environ["PATH_INFO"]
    time.sleep(0.05)
    return answer(start_response, local.path + holder.data.path)
""")
    assert served.at_once(["/a", "/b", "/c"]) == ["/a/a", "/b/b", "/c/c"]
    assert "WARNING" not in served.log()


def test_only_what_came_before_patching_is_named_as_late(serve, tmp_path):
    """A9: a module that takes hold of the originals on purpose, after patching, was named."""
    (tmp_path / "sentry.py").write_text(
        "from gevent.monkey import get_original\nsleep = get_original('time', 'sleep')\n"
    )
    served = serve("""
import gfcgi.patched
import sentry
def application(environ, start_response):
    return answer(start_response, "")
""")
    assert served.get() == ""
    assert "WARNING" not in served.log()


def test_a_bounded_queues_size_is_what_the_standard_library_says(serve):
    """A17: None, where a subclass compares it with a number."""
    served = serve("""
import gfcgi.patched, queue
class Mine(queue.Queue):
    def room(self): return self.maxsize > 0
def application(environ, start_response):
    return answer(start_response, f"{Mine().room()} {Mine(3).room()}")
""")
    assert served.get() == "False True"


def test_computing_holds_up_the_others(serve):
    served = serve("""
import time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/compute":
        until = time.monotonic() + 0.5
        open("computing", "w").close()
        while time.monotonic() < until: pass
        return answer(start_response, time.monotonic())
    return answer(start_response, time.monotonic())
""")
    computing = served.ask("/compute")
    served.until((served.directory / "computing").exists)
    quick = served.get("/quick")
    assert float(served.bodies([computing])[0]) < float(quick)


def test_a_signal_handler_of_the_script_is_named(serve):
    served = serve("""
import signal
def clean_up(number, frame): print("cleaned up")
signal.signal(signal.SIGTERM, clean_up)
def application(environ, start_response):
    return answer(start_response, "")
""")
    (line,) = [line for line in served.log().splitlines() if "WARNING" in line]
    assert "the script's handler of SIGTERM, clean_up (" in line
    assert "app.py, line 7), does not run while the server runs" in line
    assert served.stop() == 0


def test_a_spawned_process_imports_the_script_and_serves_nothing(serve, tmp_path):
    """The script need not say ``if __name__ == "__main__"``."""
    served = serve("""
import multiprocessing
def double(number): return 2 * number
def application(environ, start_response):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return answer(start_response, pool.apply(double, (3,)))
import gfcgi
gfcgi.run(application, bind="unix:app.sock")
if __name__ == "__main__": raise SystemExit
""")
    assert served.get() == "6"
    assert served.log().count("listening on") == 1
    assert served.stop() == 0

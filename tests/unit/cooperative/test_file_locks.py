"""gfcgi.cooperative.file_locks: whoever waits for a lock of a file lets the others go on."""

from __future__ import annotations

import pytest

KINDS = {
    "flock": (
        "fcntl.flock(file, fcntl.LOCK_EX)",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
    ),
    "shared": (
        "fcntl.flock(file, fcntl.LOCK_SH)",
        "fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)",
    ),
    "fileno": (
        "fcntl.flock(file.fileno(), fcntl.LOCK_EX)",
        "fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)",
    ),
    "ofd": (
        "fcntl.fcntl(file, F_OFD_SETLKW, WHOLE)",
        "fcntl.fcntl(file, F_OFD_SETLK, WHOLE)",
    ),
}

HELD = """
import fcntl, struct, sys, time, gevent
F_OFD_SETLK, F_OFD_SETLKW = 37, 38
WHOLE = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
def lock(file):
    {wait}
def try_it(file):
    {at_once}
holder, file = open("lock", "w"), open("lock", "w")
"""


@pytest.fixture(params=KINDS)
def held(request):
    """A script with a lock that ``holder`` can have and ``lock(file)`` waits for."""
    wait, at_once = KINDS[request.param]
    if request.param == "ofd":
        fcntl = pytest.importorskip("fcntl")
        if not hasattr(fcntl, "F_OFD_SETLKW"):
            pytest.skip("fcntl has no F_OFD_SETLKW here")
    take = "fcntl.flock(holder, fcntl.LOCK_EX)\n"
    if request.param == "ofd":
        take = "lock(holder)\n"
    return HELD.format(wait=wait, at_once=at_once) + take


def test_a_wait_lets_the_others_go_on_and_ends_with_the_lock(patched, held):
    script = held + (
        "events = []\n"
        "def wait():\n"
        "    lock(file); events.append('locked')\n"
        "waiting = gevent.spawn(wait)\n"
        "for _ in range(5):\n"
        "    gevent.sleep(0.02); events.append('on')\n"
        "holder.close()\n"
        "waiting.join(10)\n"
        "print(*events)\n"
    )
    assert patched(script) == ["on"] * 5 + ["locked"]


def test_what_shall_not_wait_fails_at_once(patched, held):
    script = held + (
        "try:\n    try_it(file)\nexcept OSError as error:\n    print(error.errno in (11, 13))\n"
    )
    assert patched(script) == ["True"]


def test_a_timeout_a_kill_and_a_signals_exception_end_the_wait(patched, held):
    script = held + (
        "import signal\n"
        "gevent.get_hub().exception_stream = None\n"
        "try:\n"
        "    with gevent.Timeout(0.05): lock(file)\n"
        "except gevent.Timeout: print('timeout')\n"
        "waiting = gevent.spawn(lock, file)\n"
        "gevent.sleep(0.02)\n"
        "waiting.kill(timeout=5)\n"
        "print(waiting.dead)\n"
        "def handler(*_): raise KeyboardInterrupt('signal')\n"
        "signal.signal(signal.SIGALRM, handler)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "try: lock(file)\n"
        "except KeyboardInterrupt as error: print(error)\n"
    )
    assert patched(script) == ["timeout", "True", "signal"]


def test_a_real_thread_waits_in_c(patched):
    script = (
        "import fcntl, gevent, time\n"
        "from gevent import monkey\n"
        "from gevent.threadpool import ThreadPool\n"
        "calls = []\n"
        "holder, file = open('lock', 'w'), open('lock', 'w')\n"
        "fcntl.flock(holder, fcntl.LOCK_EX)\n"
        "start = monkey.get_original('_thread', 'start_new_thread')\n"
        "def wait():\n"
        "    fcntl.flock(file, fcntl.LOCK_EX); calls.append('locked')\n"
        "start(wait, ())\n"
        "gevent.sleep(0.1)\n"
        "print(calls)\n"
        "fcntl.flock(holder, fcntl.LOCK_UN)\n"
        "while not calls: gevent.sleep(0.01)\n"
        "print(*calls)\n"
    )
    assert patched(script) == ["[]", "locked"]


@pytest.mark.parametrize(
    "call", ["fcntl.lockf(file, fcntl.LOCK_EX)", "os.lockf(file.fileno(), os.F_LOCK, 0)"]
)
def test_a_record_lock_of_another_process_is_waited_for(patched, call):
    script = (
        "import fcntl, os, subprocess, sys, gevent\n"
        "held = subprocess.Popen([sys.executable, '-c', '''if 1:\n"
        "    import fcntl, sys\n"
        "    file = open('lock', 'w'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "    print('held', flush=True); sys.stdin.read()\n"
        "'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "held.stdout.readline()\n"
        "file = open('lock', 'w')\n"
        "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError: print('held')\n"
        f"def wait():\n    {call}; events.append('locked')\n"
        "events = []\n"
        "waiting = gevent.spawn(wait)\n"
        "gevent.sleep(0.1); events.append('on')\n"
        "held.stdin.close(); held.wait()\n"
        "waiting.join(10)\n"
        "print(*events)\n"
    )
    assert patched(script) == ["held", "on", "locked"]


def test_other_commands_and_errors_are_as_ever(patched):
    script = (
        "import fcntl, os, gevent\n"
        "gevent.sleep(0)\n"
        "file = open('lock', 'w')\n"
        "print(fcntl.fcntl(file, fcntl.F_GETFD), fcntl.flock(file, fcntl.LOCK_UN))\n"
        "for bad in [lambda: fcntl.flock(999, fcntl.LOCK_EX), lambda: fcntl.flock(file, 'x'),\n"
        "            lambda: fcntl.lockf(file), lambda: os.lockf(999, os.F_LOCK, 0)]:\n"
        "    try: bad()\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "print(fcntl.flock.__name__, fcntl.flock.__doc__ is not None)\n"
    )
    errors = ["OSError", "TypeError", "TypeError", "OSError"]
    assert patched(script) == ["1", "None", *errors, "flock", "True"]


def test_it_can_be_left_out(patched):
    script = "import fcntl\nprint(type(fcntl.flock).__name__)"
    assert patched(script) == ["function"]
    assert patched(script, GFCGI_NO_COOPERATIVE="file-locks") == ["builtin_function_or_method"]

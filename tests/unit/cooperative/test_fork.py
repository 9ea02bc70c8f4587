"""gfcgi.cooperative.fork: in the child there is the greenlet that forked, and nobody else."""

from __future__ import annotations

BEGIN = """
import logging, os, subprocess, sys, threading, time, gevent
def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def test_other_greenlets_do_not_go_on_in_the_child(patched):
    script = BEGIN + (
        "lock = threading.Lock()\n"
        "def other():\n"
        "    time.sleep(0.1)\n"
        "    with lock: print('other', flush=True)\n"
        "def forking():\n"
        "    lock.acquire()\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        time.sleep(0.2)\n"
        "        lock.release()\n"
        "        thread = threading.Thread(target=print, args=('thread',)); thread.start()\n"
        "        thread.join()\n"
        "        subprocess.run(['echo', 'program'])\n"
        "        logging.getLogger().debug('')\n"
        "        sys.exit(3)\n"
        "    gevent.sleep(0.15); lock.release()\n"
        "    print(wait(pid), flush=True)\n"
        "gevent.joinall([gevent.spawn(other), gevent.spawn(forking)])\n"
        "print('parent')\n"
    )
    assert sorted(patched(script)) == ["3", "other", "parent", "program", "thread"]


def test_the_child_ends_with_its_greenlet_and_cleans_up_nothing_of_the_parents(patched):
    script = BEGIN + (
        "import atexit\n"
        "atexit.register(print, 'exit')\n"
        "def forking(): return os.fork()\n"
        "try: pid = gevent.spawn(forking).get()\n"
        "finally: print('finally', flush=True)\n"
        "print(wait(pid), flush=True)\n"
    )
    assert patched(script) == ["finally", "0", "exit"]


def test_a_fork_in_the_main_greenlet_is_as_ever(patched):
    """A script that becomes a daemon goes on in the child."""
    script = BEGIN + (
        "gevent.sleep(0)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    time.sleep(0.01); print('child', flush=True); sys.exit(4)\n"
        "print(wait(pid))\n"
    )
    assert patched(script) == ["child", "4"]


def test_a_terminal_for_the_child(patched, terminal):
    script = BEGIN + (
        "def forking():\n"
        "    pid, terminal = os.forkpty()\n"
        "    if pid == 0:\n"
        "        time.sleep(0.01); print('child'); sys.exit(5)\n"
        "    said = os.read(terminal, 100)\n"
        "    print(said.strip().decode(), wait(pid))\n"
        "gevent.spawn(forking).join()\n"
    )
    assert patched(script) == ["child", "5"]

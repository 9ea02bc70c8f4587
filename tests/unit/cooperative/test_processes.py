"""gfcgi.cooperative.processes: what multiprocessing is built on waits while others go on."""

from __future__ import annotations

import pytest

BEGIN = """
import multiprocessing, os, subprocess, sys, threading, time, gevent
from multiprocessing import connection
going_on = []
def tick():
    while True:
        gevent.sleep(0.005); going_on.append(1)
ticker = gevent.spawn(tick)
"""


def test_a_connection_waits_for_what_comes_and_for_room(patched):
    script = BEGIN + (
        "for duplex in True, False:\n"
        "    theirs, ours = multiprocessing.Pipe(duplex)\n"
        "    print(os.get_blocking(theirs.fileno()))\n"
        "    reading = gevent.spawn(theirs.recv)\n"
        "    gevent.sleep(0.05)\n"
        "    print(reading.ready(), theirs.poll())\n"
        "    ours.send('x' * 1_000_000)\n"
        "    print(len(reading.get()), theirs.poll(0.01))\n"
        "    ours.close()\n"
        "    try: theirs.recv()\n"
        "    except EOFError: print('end')\n"
        "print(len(going_on) > 0)\n"
    )
    assert patched(script) == ["True", "False", "False", "1000000", "False", "end"] * 2 + ["True"]


def test_listeners_and_clients(patched):
    script = BEGIN + (
        "listener = connection.Listener('listen.sock', 'AF_UNIX', authkey=b'key')\n"
        "def serve():\n"
        "    with listener.accept() as other: other.send(other.recv() + 1)\n"
        "serving = gevent.spawn(serve)\n"
        "with connection.Client('listen.sock', authkey=b'key') as client:\n"
        "    client.send(3); print(client.recv())\n"
        "    print(os.get_blocking(client.fileno()))\n"
    )
    assert patched(script) == ["4", "True"]


def test_a_thread_that_reads_a_queue_from_the_start(patched):
    """A15: loguru's enqueue, for one; under gevent alone the import never ends."""
    script = BEGIN + (
        "queue, found = multiprocessing.SimpleQueue(), []\n"
        "def read():\n"
        "    while (item := queue.get()) is not None: found.append(item)\n"
        "reading = threading.Thread(target=read); reading.start()\n"
        "queue.put(1); queue.put(2); queue.put(None)\n"
        "reading.join(10)\n"
        "print(*found)\n"
    )
    assert patched(script) == ["1", "2"]


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_a_lock_is_waited_for_and_belongs_to_its_greenlet(patched, kind):
    script = BEGIN + (
        f"lock = multiprocessing.{kind}()\n"
        "order, go = [], threading.Event()\n"
        "def hold(name):\n"
        "    with lock:\n"
        "        order.append(name); go.wait(); time.sleep(0.01); order.append(name)\n"
        "holding = [gevent.spawn(hold, name) for name in 'abc']\n"
        "while not order: gevent.sleep(0.01)\n"
        "print(lock.acquire(False), lock.acquire(timeout=0.05), len(going_on) > 0)\n"
        "go.set()\n"
        "gevent.joinall(holding)\n"
        "print(order[0::2] == order[1::2], len(order))\n"
        "print(lock.acquire(timeout=1))\n"
        "lock.release()\n"
    )
    assert patched(script) == ["False", "False", "True", "True", "6", "True"]


def test_a_recursive_lock_is_recursive_in_its_greenlet_alone(patched):
    script = BEGIN + (
        "lock = multiprocessing.RLock()\n"
        "lock.acquire(); lock.acquire()\n"
        "def release():\n"
        "    try: lock.release()\n"
        "    except AssertionError: return 'not owned'\n"
        "print(gevent.spawn(release).get(), gevent.spawn(lock.acquire, False).get())\n"
        "with gevent.Timeout(5): lock.release(); lock.release()\n"
        "print(gevent.spawn(lock.acquire, False).get())\n"
    )
    assert patched(script) == ["not", "owned", "False", "True"]


def test_conditions_events_and_barriers(patched):
    script = BEGIN + (
        "condition, event = multiprocessing.Condition(), multiprocessing.Event()\n"
        "barrier = multiprocessing.Barrier(3)\n"
        "def wait():\n"
        "    with condition: condition.wait(10)\n"
        "    event.wait(10)\n"
        "    return barrier.wait(10)\n"
        "waiting = [gevent.spawn(wait) for _ in range(3)]\n"
        "gevent.sleep(0.05)\n"
        "with condition: condition.notify_all()\n"
        "event.set()\n"
        "print(*sorted(one.get(timeout=20) for one in waiting), len(going_on) > 0)\n"
    )
    assert patched(script) == ["0", "1", "2", "True"]


def test_the_status_of_a_spawned_process_is_kept(patched):
    """A16: gevent's loop collects the status of every child, and keeps only those it knows."""
    script = BEGIN + (
        "import multiprocessing.util as util\n"
        "subprocess.run(['true'])\n"
        "pid = util.spawnv_passfds(b'/bin/sh', [b'sh', b'-c', b'exit 3'], [])\n"
        "gevent.sleep(0.3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert patched(script) == ["3"]


def test_it_can_be_left_out(patched):
    script = BEGIN + "print(connection.Connection._recv.__module__)\n"
    assert patched(script) == ["gfcgi.cooperative.processes"]
    assert patched(script, GFCGI_NO_COOPERATIVE="multiprocessing") == ["multiprocessing.connection"]

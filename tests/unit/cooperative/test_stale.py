"""gfcgi.cooperative.stale: what was imported before patching holds what there is now."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run(script, cwd):
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout.split()


def test_functions_and_classes_of_modules_are_put_right(tmp_path):
    (tmp_path / "shop.py").write_text(
        "from time import sleep as rest\nfrom ssl import SSLContext\nfrom fcntl import flock\n"
        "from socket import socket\nclass Mine(socket): pass\n"
    )
    script = (
        "import shop\n"
        "import gfcgi.patched\n"
        "import fcntl, ssl, socket, time\n"
        "print(shop.rest is time.sleep, shop.SSLContext is ssl.SSLContext)\n"
        "print(shop.flock is fcntl.flock, shop.socket is socket.socket)\n"
        "from gfcgi.cooperative.standard_library import imported_before\n"
        "from gfcgi.cooperative.stale import late_modules\n"
        "from gevent import monkey; import sys\n"
        "print(late_modules(monkey.saved, sys.modules, imported_before))\n"
    )
    words = run(script, tmp_path)
    assert words[:4] == ["True"] * 4
    assert " ".join(words[4:]) == "{'shop': ['Mine, a subclass of socket.socket']}"


def test_thread_local_data_is_put_right_wherever_it_is_held(tmp_path):
    (tmp_path / "shop.py").write_text(
        "import threading\n"
        "local = threading.local()\n"
        "local.number = 3\n"
        "class Slots:\n"
        "    __slots__ = ('held', 'unset')\n"
        "class Holder: pass\n"
        "holder, slots, listed = Holder(), Slots(), [local, 1]\n"
        "holder.held = slots.held = local\n"
        "def closure(kept=None):\n"
        "    kept = local\n"
        "    return lambda: kept\n"
        "kept = closure()\n"
    )
    script = (
        "import shop\n"
        "import gfcgi.patched\n"
        "import gevent, threading\n"
        "every = [shop.local, shop.holder.held, shop.slots.held, shop.listed[0], shop.kept()]\n"
        "print(all(one is shop.local for one in every), type(shop.local) is threading.local)\n"
        "print(shop.local.number, gevent.spawn(hasattr, shop.local, 'number').get())\n"
    )
    assert run(script, tmp_path) == ["True", "True", "3", "False"]


@pytest.mark.parametrize("submit", [False, True])
def test_an_executor_that_was_made_before_goes_on(tmp_path, submit):
    """A7: the first result() stopped the process for good."""
    script = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool = ThreadPoolExecutor(2)\n"
        f"first = pool.submit(int, '3') if {submit} else None\n"
        "import gfcgi.patched, gevent\n"
        "going_on = gevent.spawn_later(0.01, print, 'on')\n"
        "def wait(number):\n"
        "    gevent.sleep(0.05); return number\n"
        "print(*pool.map(wait, range(3)))\n"
        "print(first.result() if first else 3)\n"
        "pool.shutdown()\n"
    )
    assert run(script, tmp_path) == ["on", "0", "1", "2", "3"]


def test_who_looks_at_real_threads_keeps_them(tmp_path):
    (tmp_path / "pydevd.py").write_text("from time import sleep\n")
    script = "import pydevd\nimport gfcgi.patched, time\nprint(pydevd.sleep is time.sleep)\n"
    assert run(script, tmp_path) == ["False"]


def test_only_what_came_before_is_late(tmp_path):
    """A9: sentry-sdk takes hold of the originals on purpose, after patching."""
    (tmp_path / "sentry.py").write_text(
        "from gevent.monkey import get_original\nThread = get_original('time', 'sleep')\n"
    )
    for patching in "import gfcgi.patched", "from gevent import monkey; monkey.patch_all()":
        script = (
            f"{patching}\n"
            "import sentry, logging, sys\n"
            "from gfcgi.process.patching import patch, warn_of_late_modules\n"
            "patch()\n"
            "logging.basicConfig(stream=sys.stdout)\n"
            "warn_of_late_modules()\n"
            "print('done')\n"
        )
        assert run(script, tmp_path) == ["done"]


def test_queues_are_the_standard_librarys(tmp_path):
    """A17: gevent's have None for no bound, and no mutex."""
    script = (
        "import gfcgi.patched, queue, threading, gevent\n"
        "class Mine(queue.Queue):\n"
        "    def bound(self): return self.maxsize\n"
        "mine = Mine()\n"
        "print(mine.bound(), queue.PriorityQueue(3).maxsize, hasattr(mine, 'mutex'))\n"
        "gevent.spawn_later(0.05, mine.put, 7)\n"
        "print(mine.get(timeout=10))\n"
        "try: mine.get(timeout=0.02)\n"
        "except queue.Empty: print('empty')\n"
    )
    assert run(script, tmp_path) == ["0", "3", "True", "7", "empty"]

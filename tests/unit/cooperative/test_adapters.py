"""gfcgi.cooperative.adapters: libraries get their adapters when they are imported."""

from __future__ import annotations

import pytest

from gfcgi.cooperative.blocking import BLOCKING

PSYCOPG2 = """\
POLL_OK, POLL_READ, POLL_WRITE = 0, 1, 2
callback = None
def get_wait_callback(): return callback
def set_wait_callback(new):
    global callback
    callback = new
"""

USE = """
import os, gevent
readable, writable = os.pipe()
class Connection:
    states = [2, 1, 0]
    def poll(self):
        state = self.states.pop(0)
        self.fd = writable if state == 2 else readable
        return state
    def fileno(self): return self.fd
waiting = gevent.spawn(extensions.callback, Connection())
gevent.sleep(0.05)
print(waiting.ready())
os.write(writable, b"x")
waiting.join(10)
print(waiting.successful())
"""


@pytest.mark.parametrize("name", ["psycopg2", "psycopg2cffi"])
def test_the_wait_callback_of_psycopg2_is_set_and_waits(patched, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / name / "extensions.py").write_text(PSYCOPG2)
    script = f"import {name}\nfrom {name} import extensions\n"
    assert patched(script + USE) == ["False", "True"]
    assert patched(script + "print(extensions.callback)", GFCGI_NO_COOPERATIVE="psycopg2") == [
        "None"
    ]


def test_a_callback_that_is_there_stays(patched, tmp_path):
    (tmp_path / "psycopg2").mkdir()
    (tmp_path / "psycopg2" / "__init__.py").write_text("")
    (tmp_path / "psycopg2" / "extensions.py").write_text(PSYCOPG2.replace("= None", "= print"))
    script = "import psycopg2\nfrom psycopg2 import extensions\nprint(extensions.callback is print)"
    assert patched(script) == ["True"]


def test_grpc_is_told_of_gevent(patched, tmp_path):
    for folder in "grpc", "grpc/experimental":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "grpc/experimental/gevent.py").write_text("def init_gevent(): print('told')\n")
    assert patched("import grpc") == ["told"]
    assert patched("import grpc", GFCGI_NO_COOPERATIVE="grpc") == []


def test_the_wait_callback_of_pymssql_is_set_and_waits(patched, tmp_path):
    (tmp_path / "pymssql.py").write_text(
        "def set_wait_callback(new):\n    global callback\n    callback = new\n"
    )
    script = (
        "import os, pymssql, gevent\n"
        "readable, writable = os.pipe()\n"
        "waiting = gevent.spawn(pymssql.callback, readable)\n"
        "gevent.sleep(0.05); print(waiting.ready())\n"
        "os.write(writable, b'x'); waiting.join(10); print(waiting.successful())\n"
    )
    assert patched(script) == ["False", "True"]


@pytest.mark.parametrize("early", [True, False])
def test_psycopg_waits_in_python(patched, tmp_path, early):
    """It does so by itself where select is patched when it is imported."""
    (tmp_path / "psycopg").mkdir()
    (tmp_path / "psycopg" / "__init__.py").write_text("")
    (tmp_path / "psycopg" / "waiting.py").write_text(
        "def wait_c(): pass\ndef wait_poll(): pass\ndef wait_selector(): pass\n"
        "_ready_default = print\nwait, _ready = wait_c, None\n"
    )
    script = (
        "import sys\n"
        "from psycopg import waiting\n"
        "from gfcgi.process.patching import patch\n"
        "patch()\n"
        "print(waiting.wait.__name__, waiting._ready is print)\n"
    )
    if early:
        script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {script!r}])\n"
    assert patched(script) == ["wait_poll", "True"]


def test_libraries_without_an_adapter_are_named_with_the_alternative(patched, tmp_path):
    for name in BLOCKING:
        (tmp_path / f"{name}.py").write_text("")
    script = (
        "import logging, sys\n"
        f"import {', '.join(BLOCKING)}\n"
        "from gfcgi.process.patching import warn_of_late_modules\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "print('start'); warn_of_late_modules(); warn_of_late_modules()\n"
    )
    said = " ".join(patched(script))
    assert said.startswith("start mysqlclient stops every request while it waits")
    assert said.count('"Will my application work?"') == len(BLOCKING)
    for name, alternative in BLOCKING.values():
        assert f"{name} stops every request" in said
        assert f"Instead: {alternative};" in said
    assert patched(script, GFCGI_NO_COOPERATIVE="warnings") == ["start"]


def test_one_that_is_imported_while_serving_is_named_at_once(patched, tmp_path):
    (tmp_path / "pycurl.py").write_text("")
    script = (
        "import logging, sys\n"
        "from gfcgi.process.patching import warn_of_late_modules\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "warn_of_late_modules()\n"
        "import pycurl\n"
    )
    assert patched(script)[0] == "pycurl"

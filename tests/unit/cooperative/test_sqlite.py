"""gfcgi.cooperative.sqlite: whoever waits for a locked database lets the others go on."""

from __future__ import annotations

import sys

import pytest

BEGIN = """
import sqlite3, threading, time, gevent
def connect(**more):
    return sqlite3.connect("shop.db", **more)
setting_up = connect()
setting_up.executescript("create table sold (number integer primary key, what); "
                         "insert into sold values (1, x'00000000');")
setting_up.commit()
going_on = []
def tick():
    while True:
        gevent.sleep(0.005); going_on.append(1)
def timed(call, *arguments):
    began = time.monotonic()
    try: result = call(*arguments)
    except sqlite3.OperationalError as error: result = str(error)
    return time.monotonic() - began, result
def held(seconds):
    "Another connection has the database for so long."
    holder = connect(isolation_level=None)
    holder.execute("begin exclusive")
    gevent.spawn_later(seconds, holder.execute, "rollback")
    del going_on[:]
    return holder
ticker = gevent.spawn(tick)
"""

CALLS = {
    "execute": "database.execute('insert into sold (what) values (1)')",
    "cursor": "database.cursor().execute('select * from sold')",
    "executemany": "database.executemany('insert into sold (what) values (?)', [(1,), (2,)])",
    "executescript": "database.executescript('create table t (a); insert into t values (1);')",
    "iteration": "list(database.cursor().execute('select * from sold'))",
    "with": "database.__enter__().execute('insert into sold (what) values (3)')",
    "begin": "database.execute('begin immediate')",
    "pragma": "database.execute('pragma user_version = 3')",
    "cached": "[database.execute('select count(*) from sold').fetchone() for _ in range(3)]",
    "backup": "database.backup(sqlite3.connect(':memory:'), pages=1)",
    "dump": "list(database.iterdump())",
}
if sys.version_info >= (3, 11):
    CALLS["blob"] = "database.blobopen('sold', 'what', 1).write(b'abc')"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whatever_meets_a_lock_waits_while_others_go_on(patched, call):
    script = BEGIN + (
        "database = connect()\n"
        "held(0.15)\n"
        f"seconds, result = timed(lambda: {call})\n"
        "print(0.1 < seconds < 4.5, len(going_on) > 0, isinstance(result, str), sep='\\n')\n"
    )
    assert patched(script) == ["True", "True", "False"]


@pytest.mark.parametrize("call", ["database.commit()", "database.__exit__(None, None, None)"])
def test_a_commit_waits_for_readers(patched, call):
    script = BEGIN + (
        "reader = connect(isolation_level=None)\n"
        "reader.execute('begin'); reader.execute('select * from sold').fetchall()\n"
        "database = connect()\n"
        "database.execute('insert into sold (what) values (1)')\n"
        "gevent.spawn_later(0.15, reader.execute, 'rollback')\n"
        f"seconds, result = timed(lambda: {call})\n"
        "print(0.1 < seconds < 4.5, len(going_on) > 0, result in (None, False), sep='\\n')\n"
    )
    assert patched(script) == ["True", "True", "True"]


def test_the_timeout_is_the_connections_own_and_the_exception_the_same(patched):
    script = BEGIN + (
        "held(30)\n"
        "for more in {'timeout': 0.2}, {'timeout': 0}, {'timeout': 0.4, 'isolation_level': None}:\n"
        "    seconds, result = timed(connect(**more).execute, 'insert into sold values (9, 9)')\n"
        "    print(more['timeout'] <= seconds < more['timeout'] + 3, result)\n"
        "try: connect(timeout=0.01).execute('begin exclusive')\n"
        "except sqlite3.OperationalError as error:\n"
        "    print(getattr(error, 'sqlite_errorname', 'SQLITE_BUSY'))\n"
    )
    assert patched(script) == ["True", "database", "is", "locked"] * 3 + ["SQLITE_BUSY"]


def test_a_deadlock_of_two_transactions_fails_at_once(patched):
    """SQLite does not ask a busy handler where waiting cannot help."""
    script = BEGIN + (
        "one, two = connect(isolation_level=None), connect(isolation_level=None)\n"
        "for database in one, two:\n"
        "    database.execute('begin'); database.execute('select * from sold').fetchall()\n"
        "one.execute('insert into sold (what) values (1)')\n"
        "print(timed(two.execute, 'insert into sold (what) values (1)')[0] < 3)\n"
        "wal = connect(isolation_level=None)\n"
        "two.execute('rollback'); one.execute('rollback')\n"
        "wal.execute('pragma journal_mode=wal')\n"
        "one.execute('begin'); one.execute('select * from sold').fetchall()\n"
        "two.execute('insert into sold (what) values (1)')\n"
        "print(timed(one.execute, 'insert into sold (what) values (1)')[0] < 3)\n"
    )
    assert patched(script) == ["True", "True"]


def test_the_pragma_sets_and_tells_the_timeout(patched):
    script = BEGIN + (
        "database = connect(timeout=0.5)\n"
        "def told(): return database.execute('PRAGMA busy_timeout').fetchone()[0]\n"
        "print(told())\n"
        "database.execute('PRAGMA Busy_Timeout = 200')\n"
        "print(told())\n"
        "held(30)\n"
        "seconds, _ = timed(database.execute, 'begin exclusive')\n"
        "print(0.2 <= seconds < 3, len(going_on) > 0)\n"
        "database.executescript('pragma busy_timeout = 0')\n"
        "print(told(), timed(database.execute, 'begin exclusive')[0] < 3)\n"
        "database.row_factory = sqlite3.Row\n"
        "database.execute('pragma busy_timeout = 100')\n"
        "print(told(), 0.1 <= timed(database.execute, 'begin exclusive')[0] < 3)\n"
        "cursor = database.cursor()\n"
        "database.close()\n"
        "try: cursor.execute('pragma busy_timeout = 3')\n"
        "except sqlite3.ProgrammingError as error: print('closed')\n"
    )
    expected = "500 200 True True 0 True 100 True closed"
    assert patched(script) == expected.split()


def test_what_ends_the_greenlet_ends_the_wait(patched):
    script = BEGIN + (
        "held(30)\n"
        "database = connect()\n"
        "try:\n"
        "    with gevent.Timeout(0.05): database.execute('begin exclusive')\n"
        "except gevent.Timeout: print('timeout')\n"
        "waiting = gevent.spawn(database.executescript, 'begin exclusive')\n"
        "gevent.sleep(0.05)\n"
        "waiting.kill(timeout=5)\n"
        "print(type(waiting.value).__name__)\n"
        "print(timed(connect(timeout=0.01).execute, 'begin exclusive')[1])\n"
    )
    assert patched(script) == ["timeout", "GreenletExit", "database", "is", "locked"]


def test_a_connection_of_several_greenlets_has_one_inside_sqlite_at_a_time(patched):
    script = BEGIN + (
        "database = connect(isolation_level=None)\n"
        "held(0.15)\n"
        "order = []\n"
        "def write():\n"
        "    database.execute('insert into sold (what) values (1)'); order.append('written')\n"
        "def read():\n"
        "    found = list(database.cursor().execute('select 5')); order.append('read')\n"
        "def other():\n"
        "    connect().execute('select 6'); order.append('other')\n"
        "writer = gevent.spawn(write); gevent.sleep(0.02)\n"
        "readers = [gevent.spawn(read) for _ in range(3)]\n"
        "gevent.joinall([writer, *readers], timeout=20)\n"
        "print(*order)\n"
    )
    assert patched(script) == ["written", "read", "read", "read"]


def test_a_backup_waits_for_its_source_and_lets_others_go_on(patched):
    script = BEGIN + (
        "held(0.15)\n"
        "database, copy, told = connect(timeout=0), sqlite3.connect(':memory:'), []\n"
        "seconds, result = timed(lambda: database.backup(copy, pages=1, sleep=0.02,\n"
        "    progress=lambda *numbers: told.append(numbers)))\n"
        "print(0.1 < seconds < 4.5, len(going_on) > 0, result, told[0][0], told[-1][1])\n"
        "print(copy.execute('select count(*) from sold').fetchone()[0])\n"
        "try: database.backup(copy, progress=3)\n"
        "except TypeError: print('TypeError')\n"
        "try: database.backup(copy, progress=lambda *numbers: 1 / 0)\n"
        "except ZeroDivisionError: print('ZeroDivisionError')\n"
    )
    words = ["True", "True", "None", "5", "0", "1", "TypeError", "ZeroDivisionError"]
    assert patched(script) == words


def test_a_real_thread_waits_in_c(patched):
    script = BEGIN + (
        "from gevent.monkey import get_original\n"
        "calls = []\n"
        "def wait():\n"
        "    database = connect(timeout=60)\n"
        "    calls.append('asks')\n"
        "    database.execute('begin exclusive'); calls.append('locked')\n"
        "holder = held(1000)\n"
        "get_original('_thread', 'start_new_thread')(wait, ())\n"
        "while not calls: gevent.sleep(0.01)\n"
        "gevent.sleep(0.2)\n"
        "calls.append('released'); holder.execute('rollback')\n"
        "while len(calls) < 3: gevent.sleep(0.01)\n"
        "print(*calls)\n"
    )
    assert patched(script) == ["asks", "released", "locked"]


def test_names_classes_and_factories_are_those_of_the_module(patched):
    script = (
        "import sys, sqlite3, sqlite3.dbapi2 as dbapi2, _sqlite3\n"
        "from gevent.monkey import get_original\n"
        "base = get_original('sqlite3', 'Connection')\n"
        "assert sqlite3.Connection is dbapi2.Connection is _sqlite3.Connection is not base\n"
        "assert sqlite3.connect is dbapi2.connect and sqlite3.Cursor is dbapi2.Cursor\n"
        "class Mine(sqlite3.Connection):\n"
        "    def __init__(self, *arguments, **keywords):\n"
        "        super().__init__(*arguments, **keywords); self.extra = 3\n"
        "class Rows(sqlite3.Cursor):\n"
        "    def execute(self, sql, *rest): return super().execute(sql.replace('?', '2'), *rest)\n"
        "for database in [sqlite3.connect(':memory:'), sqlite3.connect(':memory:', factory=Mine),\n"
        "        *([] if sys.version_info >= (3, 15) else  # the others by keyword\n"
        "            [sqlite3.connect(':memory:', 5.0, 0, None, True, Mine)]),\n"
        "        Mine(':memory:'), sqlite3.Connection(':memory:'),\n"
        "        sqlite3.connect(database=':memory:', timeout=1)]:\n"
        "    assert isinstance(database, sqlite3.Connection) and isinstance(database, base)\n"
        "    cursor = database.execute('select 1')\n"
        "    assert type(cursor) is type(database.cursor()) is sqlite3.Cursor\n"
        "    assert cursor.connection is database and cursor.fetchall() == [(1,)]\n"
        "    assert database.cursor(Rows).execute('select ?').fetchone() == (2,)\n"
        "    assert type(database.cursor(factory=Rows)) is Rows\n"
        "    assert sqlite3.Cursor(database).execute('select 7').fetchone() == (7,)\n"
        "    database.row_factory = sqlite3.Row\n"
        "    assert database.execute('select 1 as a').fetchone()['a'] == 1\n"
        "    database.create_function('twice', 1, lambda x: 2 * x, deterministic=True)\n"
        "    assert [row[0] for row in database.execute('select twice(4)')] == [8]\n"
        "    database.close()\n"
        "    try: database.execute('select 1')\n"
        "    except sqlite3.ProgrammingError: pass\n"
        "class Bare(sqlite3.Connection):\n"
        "    def __init__(self): pass\n"
        "try: Bare().execute('select 1')\n"
        "except sqlite3.ProgrammingError: print('not called')\n"
        "print(sqlite3.Connection, sqlite3.Cursor.__name__)\n"
    )
    said = ["not", "called", "<class", "'sqlite3.Connection'>", "Cursor"]
    assert patched(script) == said


def test_it_makes_no_warnings_of_its_own(patched):
    """As Python 3.13 warns of arguments without a keyword."""
    script = (
        "import sqlite3\n"
        "for keywords in ({}, {'timeout': 2}, {'isolation_level': None, 'uri': True}):\n"
        "    database = sqlite3.connect(':memory:', **keywords)\n"
        "    sqlite3.Connection(':memory:', **keywords).close()\n"
        "    print(database.execute('pragma busy_timeout').fetchone()[0])\n"
        "    database.close()\n"
    )
    assert patched(script, PYTHONWARNINGS="error") == ["5000", "2000", "5000"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="since Python 3.12")
def test_autocommit_off_begins_a_transaction_that_waits(patched):
    script = BEGIN + (
        "held(0.15)\n"
        "database = sqlite3.connect('shop.db', autocommit=False)\n"
        "seconds, _ = timed(database.execute, 'insert into sold (what) values (1)')\n"
        "print(0.1 < seconds < 4.5, len(going_on) > 0, database.in_transaction)\n"
        "database.commit(); print(database.autocommit)\n"
    )
    assert patched(script) == ["True", "True", "True", "False"]


def test_it_is_not_imported_until_it_is_used_and_can_be_left_out(patched):
    script = (
        "import sys\nprint('sqlite3' in sys.modules, 'ctypes' in sys.modules)\nimport sqlite3\n"
    )
    script += "from gevent.monkey import is_module_patched\nprint(is_module_patched('sqlite3'))"
    assert patched(script, measured=False) == ["False", "False", "True"]
    left_out = patched(script, measured=False, GFCGI_NO_COOPERATIVE="sqlite3")
    assert left_out[-1] == "False"


def test_a_module_that_was_imported_before_is_changed_too(patched):
    script = "import sqlite3\nimport gfcgi.patched\nprint(sqlite3.Connection.__init__.__module__)\n"
    assert patched(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {script!r}])"
    ) == ["gfcgi.cooperative.sqlite"]


def test_where_the_library_cannot_be_reached_a_line_says_so(patched):
    script = (
        "import ctypes, logging, sys\n"
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "class Nothing:\n"
        "    def __init__(self, name): pass\n"
        "ctypes.CDLL = Nothing\n"
        "import sqlite3\n"
        "print(sqlite3.connect(':memory:').execute('select 3').fetchone()[0])\n"
    )
    words = patched(script, measured=False)
    assert " ".join(words[:6]) == "sqlite3 waits in C for locked"
    assert words[-1] == "3"

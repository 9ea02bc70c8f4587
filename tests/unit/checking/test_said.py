"""gfcgi.checking.said: what a process says before it ends, and what that means."""

from __future__ import annotations

import pytest

from gfcgi.checking.said import Context, explain_end, explain_log, last_traceback
from gfcgi.checking.source import Source, read_source
from gfcgi.checking.users import User

CONTEXT = Context("/srv/app.fcgi", "/srv", "/srv/venv/bin/python", User("w", 33, 33, ()), Source())


def traceback(exception, file="/srv/app.fcgi"):
    return (
        f'Traceback (most recent call last):\n  File "{file}", line 7, in f\n    x()\n{exception}\n'
    )


def ended(stderr="", status=1, stdout=b"", context=CONTEXT):
    return explain_end(status, stdout, stderr.encode(), context)


@pytest.mark.parametrize(
    ("exception", "name", "remedy"),
    [
        ("ModuleNotFoundError: No module named 'yaml'", "missing-package", "install PyYAML"),
        ("ModuleNotFoundError: No module named 'a.b'", "missing-package", "install a"),
        ("ModuleNotFoundError: No module named 'flipflop'", "other-server", "gfcgi"),
        ("ModuleNotFoundError: something else", "raises", "app.fcgi"),
        ("ImportError: cannot import name 'x' from 'y' (/z)", "import-error", "pip list"),
        ("PermissionError: [Errno 13] Permission denied: 'a.log'", "permission", "/srv/a.log"),
        ("PermissionError: something else", "raises", "app.fcgi"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a'", "missing-file", "path"),
        ("FileNotFoundError: something else", "raises", "app.fcgi"),
        ("KeyError: 'HOME'", "raises", "app.fcgi"),
        ("django.core.exceptions.ImproperlyConfigured: no key", "raises", "app.fcgi"),
        ("ValueError", "raises", "app.fcgi"),
    ],
)
def test_an_exception_has_a_name_and_a_remedy(exception, name, remedy):
    found = ended(traceback(exception))
    assert (found.kind, found.name) == ("fault", name)
    assert remedy in found.remedy
    assert "Traceback" in found.detail[0]


def test_the_last_of_several_tracebacks_is_meant():
    text = traceback("KeyError: 1") + "\nDuring handling of ...\n\n" + traceback("ValueError: 2")
    assert last_traceback(text, "/srv").type == "ValueError"


def test_the_line_is_the_persons_own_and_not_a_librarys():
    text = (
        'Traceback (most recent call last):\n  File "/srv/app.fcgi", line 3, in f\n    x()\n'
        '  File "/srv/venv/lib/python3.11/site-packages/y.py", line 99, in g\n    z()\n'
        "OSError: no\n"
    )
    assert last_traceback(text, "/srv").place == "in line 3 of /srv/app.fcgi"


def test_frames_without_an_exception_are_no_traceback():
    assert last_traceback('  File "/srv/app.fcgi", line 3, in f\n    x()\n', "/srv") is None
    assert last_traceback("nothing\n", "/srv") is None


def test_an_end_without_a_word_says_how_it_was():
    assert "status 4" in ended(status=4).text
    assert "SIGSEGV" in ended(status=-11).text
    assert ended("hm\n", 4).detail == ("hm",)


def test_a_script_that_serves_by_another_server_is_told_so_when_it_ends():
    context = Context("/s", "/", "/p", CONTEXT.user, Source(other="flup", other_line=3))
    assert ended(status=0, context=context).name == "other-server"


LOG = "2026-01-01 00:00:00,000 gfcgi[7] {}: {}\n"


@pytest.mark.parametrize(
    ("level", "text", "name", "kind"),
    [
        (
            "WARNING",
            "imported before ...: x; put `import gfcgi.patched` at",
            "late-modules",
            "fault",
        ),
        ("ERROR", "a body is 3 bytes short of its Content-Length", "content-length", "fault"),
        ("WARNING", "a returns str where WSGI wants x. Change its line to: y", "str-body", "hint"),
        ("WARNING", "something new", "log", "hint"),
        ("ERROR", "something new", "log", "fault"),
    ],
)
def test_what_gfcgi_logs_is_a_finding(level, text, name, kind):
    (found,) = explain_log(LOG.format(level, text).encode())
    assert (found.name, found.kind) == (name, kind)


def test_what_is_said_elsewhere_already_or_is_no_warning_is_none():
    text = LOG.format("ERROR", "GET /: the application failed") + LOG.format("INFO", "listening")
    assert not list(explain_log(text.encode()))


def test_the_source_says_who_serves_it_and_under_which_condition():
    text = b"from flipflop import WSGIServer\nif a == 1:\n    gfcgi.run(x, bind=['unix:/a', 'b'])\n"
    assert read_source(text) == Source(3, "if a == 1:", 2, "flipflop", 1, ("unix:/a", "b"))
    assert read_source(b"import gevent_fastcgi.server").other == "gevent_fastcgi"
    assert read_source(b"def broken(:") == read_source(b"\0") == Source()

"""gfcgi.checking.interpreter: the ``#!`` line as the kernel reads it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gfcgi.checking.interpreter import Interpreter, check_python, first_line, python_of
from gfcgi.checking.users import find_user


@pytest.mark.parametrize(
    ("line", "program", "argument", "by_env", "is_python"),
    [
        (b"#!/usr/bin/python3\n", "/usr/bin/python3", "", "", True),
        (b"#! \t/usr/bin/python3  -u \n", "/usr/bin/python3", "-u", "", True),
        (b"#!/usr/bin/env python3", "/usr/bin/env", "python3", "python3", True),
        (b"#!/usr/bin/env -S A=1 python3.12 -u\n", "/usr/bin/env", "-S A=1 python3.12 -u",
         "python3.12", True),
        (b"#!/usr/bin/env -S\n", "/usr/bin/env", "-S", "", False),
        (b"#!/usr/bin/env pypy3\n", "/usr/bin/env", "pypy3", "pypy3", True),
        (b"#!/bin/sh\n", "/bin/sh", "", "", False),
    ],
)  # fmt: skip
def test_it_is_a_program_and_one_argument(line, program, argument, by_env, is_python):
    found, wrong = first_line(line, "app.fcgi")
    assert not wrong
    assert found == Interpreter(program, argument)
    assert found.command == [program, *([argument] if argument else [])]
    assert (found.by_env, found.is_python) == (by_env, is_python)


@pytest.mark.parametrize("source", [b"#!\n", b"#! \nx", b"import os\n", b" #!/usr/bin/python3\n"])
def test_a_line_that_starts_nothing_is_no_line(source):
    found, (wrong,) = first_line(source, "app.fcgi")
    assert found is None
    assert wrong.name == "no-line"


def test_255_bytes_are_the_most_that_linux_reads():
    assert first_line(b"#!/" + b"x" * 252 + b"\n", "app.fcgi")[0] is not None
    assert first_line(b"#!/" + b"x" * 253 + b"\n", "app.fcgi")[1][0].name == "long-line"


@pytest.mark.parametrize(
    ("line", "is_gfcgi"),
    [
        (b"#!/srv/venv/bin/gfcgi\n", True),
        (b"#!/srv/venv/bin/gfcgi --reload\n", True),
        (b"#!/usr/bin/env gfcgi\n", True),
        (b"#!/usr/bin/env -S gfcgi --reload --debug\n", True),
        (b"#!/srv/venv/bin/notgfcgi\n", False),
        (b"#!/usr/bin/python3\n", False),
    ],
)
def test_it_is_the_program_gfcgi(line, is_gfcgi):
    found, _ = first_line(line, "app.fcgi")
    assert found.is_gfcgi is is_gfcgi
    assert not (found.is_gfcgi and found.is_python)


SHELL = """#!/bin/sh
'''exec' {} "$0" "$@"
' '''
import sys
"""
"""What pip writes where the Python's path is long, or has a blank in it."""


@pytest.mark.parametrize(
    ("program", "python"),
    [
        ("#!/srv/venv/bin/python3.13\nimport sys\n", "/srv/venv/bin/python3.13"),
        (SHELL.format('"/srv/my venv/python"'), "/srv/my venv/python"),
        (SHELL.format("/srv/long/python"), "/srv/long/python"),
        ("#!/bin/sh\nexec other\n", None),
        (None, None),
    ],
)
def test_the_program_gfcgi_says_which_python_runs_it(tmp_path, program, python):
    path = tmp_path / "gfcgi"
    if program is not None:
        path.write_text(program)
    found = python_of(Interpreter(str(path)))
    assert (found and found.program) == python


def test_a_quoted_path_is_in_the_remedy():
    (wrong,) = first_line(b"#!/usr/bin/python3\r\n", "my app.fcgi")[1]
    assert "'my app.fcgi'" in wrong.remedy


@pytest.mark.parametrize("pip", ["missing", "there", "forbidden"])
def test_pip_is_a_remedy_only_where_it_may_install(tmp_path, pip):
    """Debian's own Python has no pip, or one that refuses (PEP 668)."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    packages = next((tmp_path / "v").glob("lib/python*/site-packages"))
    if pip != "missing":
        (packages / "pip.py").touch()
    if pip == "forbidden":
        # As if it were no virtual environment.
        (tmp_path / "EXTERNALLY-MANAGED").touch()
        line = "import sys, sysconfig; sys.base_prefix = sys.prefix"
        line += f"; sysconfig.get_path = lambda _: {str(tmp_path)!r}\n"
        (packages / "forbidden.pth").write_text(line)
    python = str(tmp_path / "v" / "bin" / "python")
    found, (wrong,) = check_python(
        Interpreter(python), find_user(str(os.getuid())), {}, str(tmp_path)
    )
    assert found.pip is (pip == "there")
    assert wrong.name == "no-gfcgi"
    assert (f"{python} -m pip install gfcgi" in wrong.remedy) is (pip == "there")

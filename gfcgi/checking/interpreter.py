"""The ``#!`` line: who runs the script, and whether that is a Python which has gfcgi."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gfcgi.checking.files import check_directories
from gfcgi.checking.findings import Finding, fault
from gfcgi.checking.processes import credentials
from gfcgi.checking.users import User

__all__ = [
    "Interpreter",
    "Python",
    "check_interpreter",
    "check_python",
    "first_line",
    "python_of",
]

MAX_LINE_BYTES: Final = 255
"""Of a ``#!`` line, what Linux reads (BINPRM_BUF_SIZE, 256, with its closing NUL). Before Linux
5.1 it was 127."""

BARE_PATH: Final = "/bin:/usr/bin"
"""Where execvp(3) looks without PATH, as under mod_fastcgi."""
PROGRAM_BYTES: Final = 4096
"""Of a program, the part that says who runs it."""
OLDEST_PYTHON: Final = (3, 10)
PROBE_SECONDS: Final = 10.0

PYTHON: Final = re.compile(r"(?:.*/)?(?:python|pypy)[0-9.]*[a-z]?")
GFCGI: Final = re.compile(r"(?:.*/)?gfcgi")
SHELL_LINE: Final = re.compile(rb"""#!/bin/sh\n'''exec' "?([^"\n]+?)"? "\$0" "\$@"\n""")
"""How pip begins a program if the path of its Python is long, or has a blank in it."""
VARIABLE: Final = re.compile(r"\w+=")

PROBE: Final = """
import json, os, sys
found = {"version": list(sys.version_info[:3]), "executable": sys.executable}
for name in ("gfcgi", "gevent"):
    try:
        __import__(name)
        found[name] = ""
    except Exception:
        error = sys.exc_info()[1]
        found[name] = "%s: %s" % (type(error).__name__, error)
try:
    import pip, sysconfig
    managed = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    found["pip"] = sys.prefix != sys.base_prefix or not os.path.exists(managed)
except Exception:
    found["pip"] = False
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True)
class Interpreter:
    """What the kernel starts: the program of the ``#!`` line, and its one argument."""

    program: str
    argument: str = ""

    @property
    def command(self) -> list[str]:
        return [self.program, *filter(None, [self.argument])]

    @property
    def by_env(self) -> str:
        """What ``env`` is to look for in PATH; empty where env is not in the line."""
        if os.path.basename(self.program) != "env":
            return ""
        words = self.argument.split()
        if words[:1] in (["-S"], ["--split-string"]):
            words = [word for word in words[1:] if not VARIABLE.match(word)]
            return words[0] if words else ""
        return self.argument

    @property
    def is_python(self) -> bool:
        return bool(PYTHON.fullmatch(self._name))

    @property
    def is_gfcgi(self) -> bool:
        """Whether it is the program ``gfcgi``, which loads the script and serves it."""
        return bool(GFCGI.fullmatch(self._name))

    @property
    def _name(self) -> str:
        return self.by_env.split(" ")[0] or self.program


@dataclass(frozen=True)
class Python:
    """What a Python says of itself.

    ``gfcgi`` and ``gevent``: why they cannot be imported. ``pip``: whether it may install them.
    """

    version: tuple[int, ...]
    executable: str
    gfcgi: str
    gevent: str
    pip: bool


def first_line(source: bytes, path: str) -> tuple[Interpreter | None, list[Finding]]:
    """Read the ``#!`` line as the kernel does; None if it starts nothing, with the reason."""
    line, _, _ = source.partition(b"\n")
    if not source.startswith(b"#!"):
        return None, [_no_line(source, path)]
    if line.endswith(b"\r"):
        return None, [
            fault(
                "crlf",
                "the #! line ends with CR LF, as on Windows, so that the system looks for a"
                f" program {_shown(line[2:])}",
                f"sed -i 's/\\r$//' {shlex.quote(path)}, and upload it as text",
            )
        ]
    if len(line) > MAX_LINE_BYTES:
        return None, [
            fault(
                "long-line",
                f"the #! line has {len(line)} bytes, and Linux reads {MAX_LINE_BYTES}",
                "make the path of the Python shorter: move the virtual environment, or let the"
                " line name a symbolic link to its Python's directory",
            )
        ]
    program, _, argument = os.fsdecode(line[2:]).strip(" \t").replace("\t", " ").partition(" ")
    if not program:
        return None, [fault("no-line", "the #! line names no program", _write_line())]
    return Interpreter(program, argument.strip(" ")), []


def _no_line(source: bytes, path: str) -> Finding:
    if source.startswith(b"\xef\xbb\xbf"):
        return fault(
            "bom",
            "the script begins with a byte order mark before #!, which an editor on Windows put"
            " there",
            f"sed -i '1s/^\\xef\\xbb\\xbf//' {shlex.quote(path)}, and save it as UTF-8 without BOM",
        )
    if not source.strip():
        return fault("empty", "the script is empty", "copy it anew; the disk may have been full")
    if b"#!" in source.partition(b"\n")[0] or source.lstrip().startswith(b"#!"):
        text = "the #! line is not at the very beginning of the script"
    else:
        text = "the script has no #! line, so that the system does not know who is to run it"
    return fault("no-line", text, _write_line())


def _write_line() -> str:
    program = os.path.join(os.path.dirname(sys.executable), "gfcgi")
    return f"make its first line #!{program if os.access(program, os.X_OK) else sys.executable}"


def _shown(text: bytes) -> str:
    return repr(os.fsdecode(text.strip()))


def check_interpreter(
    found: Interpreter, user: User, line: str = "the #! line"
) -> Iterator[Finding]:
    """That the kernel can start it, and ``env`` find what it is to look for.

    ``line`` is what to call the line that names it.
    """
    program = found.program
    if not os.path.isabs(program):
        yield fault(
            "no-interpreter",
            f"{line} names {program!r}, which is no absolute path",
            _write_line(),
        )
    elif not os.path.exists(program):
        yield fault("no-interpreter", f"{line} names {program}, which is not there", _repair())
    elif closed := list(check_directories(program, user, f"the Python of {line}")):
        yield from closed
    elif os.path.isdir(program) or not user.may(os.X_OK, program):
        yield fault(
            "no-interpreter", f"{user.name} cannot execute {program} of {line}", _write_line()
        )
    elif found.by_env:
        yield from _check_env(found.by_env)
    elif found.is_gfcgi and (inner := python_of(found)) is not None:
        yield from check_interpreter(inner, user, f"the #! line of {program}")


def _check_env(program: str) -> Iterator[Finding]:
    if shutil.which(program, path=BARE_PATH):
        return
    if " " in program and not program.startswith("-"):
        yield fault(
            "env-arguments",
            f"the #! line has env look for a program that is called {program!r}: the system"
            " passes all that follows as one argument",
            f"#!/usr/bin/env -S {program}, or the path of the Python itself",
        )
        return
    yield fault(
        "no-interpreter",
        f"env of the #! line finds no {program} in {BARE_PATH}, which is where it looks under"
        " mod_fastcgi",
        _write_line(),
    )


def python_of(found: Interpreter) -> Interpreter | None:
    """The Python that runs the script; None if the line leads to something else."""
    if found.is_python:
        return found
    if not found.is_gfcgi:
        return None
    program = shutil.which(found.by_env, path=BARE_PATH) if found.by_env else found.program
    try:
        with open(program or "", "rb") as file:
            text = file.read(PROGRAM_BYTES)
    except OSError:
        return None
    if shell := SHELL_LINE.match(text):
        return Interpreter(os.fsdecode(shell[1]))
    inner, _ = first_line(text, program or "")
    return inner if inner is not None and inner.is_python else None


def _repair() -> str:
    return f"{_write_line()}, or make the virtual environment there anew"


def check_python(
    found: Interpreter, user: User, environ: Mapping[str, str], directory: str
) -> tuple[Python | None, list[Finding]]:
    """Ask the Python of the ``#!`` line what it is, in the environment that it will have."""
    command = shlex.join(found.command)
    try:
        asked = subprocess.run(
            [*found.command, "-c", PROBE],
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            start_new_session=True,
            check=False,
            **credentials(user),
        )
        python = _python(asked.stdout)
        reason = asked.stderr.decode("utf-8", "replace").splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        python, reason = None, [str(error)]
    if python is None:
        return None, [
            fault(
                "python-broken",
                f"{command} of the #! line does not start: {reason[-1] if reason else 'no reason'}",
                "make the virtual environment anew with python3 -m venv, and install gfcgi in it",
                tuple(reason[-5:]),
            )
        ]
    return python, list(_faults_of(python))


def _python(output: bytes) -> Python | None:
    try:
        said = json.loads(output.splitlines()[-1])
        return Python(
            tuple(said["version"]), said["executable"], said["gfcgi"], said["gevent"], said["pip"]
        )
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _faults_of(python: Python) -> Iterator[Finding]:
    shown = ".".join(map(str, python.version))
    if python.version[:2] < OLDEST_PYTHON:
        yield fault(
            "python-too-old",
            f"the #! line leads to Python {shown} ({python.executable}), and gfcgi needs"
            f" {'.'.join(map(str, OLDEST_PYTHON))} or newer",
            _write_line(),
        )
        return
    # Debian's own Python lets pip install nothing (PEP 668), if it has pip at all.
    install = f", or {shlex.quote(python.executable)} -m pip install gfcgi" if python.pip else ""
    for name in ("gfcgi", "gevent"):
        reason = getattr(python, name)
        if reason:
            yield fault(
                f"no-{name}",
                f"the Python of the #! line ({python.executable}, {shown}) has no {name}: {reason}",
                f"{_write_line()}{install}",
            )
            return

"""The order of the checks: what is on disk, then the trial, then the Web server; one minute."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from gfcgi.addresses import InheritedSocket, TCPAddress, UnixAddress, parse_address
from gfcgi.checking.confinement import check_apparmor, check_selinux
from gfcgi.checking.files import (
    check_directories,
    check_executable,
    check_file,
    check_writable,
)
from gfcgi.checking.findings import Finding, Report, hint
from gfcgi.checking.interpreter import (
    Interpreter,
    check_interpreter,
    check_python,
    first_line,
    python_of,
)
from gfcgi.checking.said import Context
from gfcgi.checking.sockets import check_answer, check_socket
from gfcgi.checking.source import Source, check_bind, read_source
from gfcgi.checking.trial import FCGID_ENVIRON, Way, try_it
from gfcgi.checking.users import User, find_user
from gfcgi.checking.website import Page, check_website, get_page
from gfcgi.current_directory import current_directory
from gfcgi.errors import ConfigError
from gfcgi.own_command import own_archive, own_command
from gfcgi.targets import parse_target

__all__ = ["MAX_SECONDS", "check"]

MAX_SECONDS: Final = 55.0
"""A check takes no longer than a minute, with the stopping."""
WEBSITE_SECONDS: Final = 10.0
MAX_SOURCE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Time:
    """How long each wait may take. ``wait_seconds``: for the first answer, as Apache has it."""

    wait_seconds: float
    deadline: float

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()

    def at_most(self, seconds: float) -> float:
        return max(0.1, min(seconds, self.left))


def check(
    target: str, *, user: str | None = None, url: str | None = None, wait_seconds: float
) -> Report:
    """Find out why ``target``, a script, an application or an address, gives no page.

    ``user`` is the Web server's; ``url`` has the real Web server asked besides. Leaves no process
    behind. Raises: ConfigError where there is nothing to check.
    """
    clock = Time(wait_seconds, time.monotonic() + MAX_SECONDS)
    rights = find_user(user)
    mount = unquote(urlsplit(url).path).rstrip("/") if url is not None else ""
    report = Report(target, rights.name)
    address = _address(target)
    if address is not None:
        steady = _check_running(address, rights, report, clock, mount)
    elif _is_script(target):
        steady = _check_script(os.path.abspath(target), rights, report, clock, mount)
    else:
        steady = _check_target(target, rights, report, clock, mount)
    if not rights.can_be_used and address is None:
        report.findings.append(_not_root(rights))
    if url is not None:
        _compare(url, report, steady, clock)
    return report


def _address(target: str) -> UnixAddress | TCPAddress | None:
    try:
        address = parse_address(target)
    except ValueError as error:
        if target.startswith(("unix:", "fd:")):
            raise ConfigError(f"{target}: {error}", option="target", source="TARGET") from None
        return None
    if isinstance(address, InheritedSocket):
        raise ConfigError(
            f"{target}: an inherited socket cannot be asked", option="target", source="TARGET"
        )
    return address


def _is_script(target: str) -> bool:
    """Whether it is a file for a Web server to start, and not one for gfcgi to load."""
    if os.path.exists(target) and not target.endswith(".py"):
        return True
    named = parse_target(target)
    if not named.path or named.attribute:
        return False
    if not named.path.endswith(".py") or not os.path.isfile(named.path):
        return True
    return os.access(named.path, os.X_OK) or _read(named.path).startswith(b"#!")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_SOURCE_BYTES)


def _not_root(user: User) -> Finding:
    return hint(
        "not-root",
        f"it was started with your own rights, not with those of {user.name}",
        "sudo, for a check with the rights of the Web server's user",
    )


# --- a script ------------------------------------------------------------------------------------


def _check_script(path: str, user: User, report: Report, clock: Time, mount: str) -> bool:
    findings = report.findings
    findings += check_file(path, user)
    if not os.path.isfile(path):
        return False
    findings += check_directories(path, user)
    findings += check_writable(path)
    text = _read(path)
    source = read_source(text)
    interpreter, wrong = first_line(text, path)
    findings += wrong
    if interpreter is not None:
        findings += check_interpreter(interpreter, user)
    findings += check_executable(path, user)
    findings += check_selinux(path)
    findings += check_apparmor()
    findings += check_bind(source)
    if interpreter is None or (not report.good and _keeps_from_starting(report)):
        return False
    directory = os.path.dirname(path)
    python = ""
    runs_it = python_of(interpreter)
    if runs_it is not None:
        found, wrong = check_python(runs_it, user, FCGID_ENVIRON, directory)
        by_another = source.other and not interpreter.is_gfcgi
        needed = [one for one in wrong if one.name != "no-gfcgi" or not by_another]
        findings += needed
        if needed:
            return False
        python = found.executable if found is not None else ""
    context = Context(path, directory, python, user, source)
    # The program gfcgi patches the standard library before it loads the script.
    kind = "target" if interpreter.is_gfcgi else "script"
    way = Way([path], context, _python_command(interpreter, source), kind, mount)
    return _try(way, report, clock)


def _python_command(interpreter: Interpreter, source: Source) -> list[str] | None:
    """The command that runs the watched process; None where it is no Python or not gfcgi's."""
    runs_it = python_of(interpreter)
    served = interpreter.is_gfcgi or source.run_line or source.compat
    return runs_it.command if runs_it is not None and served else None


BEFORE_THE_START: Final = frozenset(
    {
        "closed-directory",
        "env-arguments",
        "no-interpreter",
        "noexec",
        "not-executable",
        "unreadable",
    }
)
"""Faults with which the system does not start the script at all."""


def _keeps_from_starting(report: Report) -> bool:
    return not BEFORE_THE_START.isdisjoint(report.names())


# --- an application that gfcgi loads -------------------------------------------------------------


def _check_target(target: str, user: User, report: Report, clock: Time, mount: str) -> bool:
    findings = report.findings
    source = Source()
    wanted = parse_target(target)
    here = (current_directory() or os.sep) if os.path.isabs(wanted.path) else os.getcwd()
    path = wanted.located(here).path
    if path:
        findings += check_file(path, user)
        if not os.path.isfile(path):
            return False
        findings += check_directories(path, user)
        findings += check_writable(path)
        source = read_source(_read(path))
    findings += check_directories(sys.executable, user, "the Python")
    if not report.good and _keeps_from_starting(report):
        return False
    context = Context(target, here, sys.executable, user, source)
    # Only what was installed can be watched from inside: an archive has no other program.
    python = None if own_archive() else [sys.executable]
    way = Way([*own_command(), target], context, python, "target", mount)
    return _try(way, report, clock)


def _try(way: Way, report: Report, clock: Time) -> bool:
    tried = try_it(way, clock.at_most(clock.wait_seconds), clock.deadline)
    report.findings += tried.findings
    report.answer = tried.answer
    return tried.steady


# --- an application that runs --------------------------------------------------------------------


def _check_running(
    address: UnixAddress | TCPAddress, user: User, report: Report, clock: Time, mount: str
) -> bool:
    report.findings += check_socket(address, user)
    if "no-socket" in report.names():
        return False
    seconds = clock.at_most(clock.wait_seconds)
    asked, findings = check_answer(address, mount, seconds)
    report.findings += findings
    report.answer = asked.answer
    if asked.answer is None:
        return False
    again, _ = check_answer(address, mount, clock.at_most(WEBSITE_SECONDS))
    return again.answer is not None and again.answer.body == asked.answer.body


# --- the Web server ------------------------------------------------------------------------------


def _compare(url: str, report: Report, steady: bool, clock: Time) -> None:
    page = get_page(url, clock.at_most(WEBSITE_SECONDS))
    if not isinstance(page, Page):
        report.findings.append(page)
        return
    report.web_server = f"{page.server}: {page.answer}"
    report.findings += check_website(url, page, report.answer, steady)

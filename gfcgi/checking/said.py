"""What a process said on its standard error before it ended, and what that means."""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gfcgi.checking.findings import Finding, fault, hint
from gfcgi.checking.source import Source
from gfcgi.checking.users import User
from gfcgi.process.other_servers import IMPORTS

__all__ = [
    "Context",
    "explain_complaint",
    "explain_end",
    "explain_log",
    "explain_traceback",
    "other_server",
]

DETAIL_LINES: Final = 40
"""Of a traceback, how many lines are shown: its end."""

FRAME: Final = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
EXCEPTION: Final = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?$")
LOG_LINE: Final = re.compile(r"gfcgi\[\d+\] (?P<level>WARNING|ERROR|CRITICAL): (?P<text>.*)")
TRACEBACK: Final = "Traceback (most recent call last):"
CGI_HEADER: Final = re.compile(rb"\s*(content-type|status|location)\s*:", re.IGNORECASE)

PACKAGES: Final = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "PyJWT",
    "MySQLdb": "mysqlclient",
    "PIL": "Pillow",
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Packages that are called otherwise than the module that is imported from them."""


@dataclass(frozen=True)
class Context:
    """What is known of who spoke: the script or target, its directory, its Python, its source."""

    target: str
    directory: str
    python: str
    user: User
    source: Source
    run_is_needed: bool = True


@dataclass(frozen=True)
class Traceback:
    """The last exception of a text; ``file`` and ``line`` are the last of the person's own."""

    type: str
    text: str
    file: str
    line: int
    lines: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"in line {self.line} of {self.file}" if self.file else ""


def explain_end(status: int, stdout: bytes, stderr: bytes, context: Context) -> Finding:
    """Why a process that was to serve has ended."""
    text = stderr.decode("utf-8", "replace")
    found = explain_traceback(text, context, "while it was loaded")
    if found is not None:
        return found
    tail = tuple(text.splitlines()[-DETAIL_LINES:])
    refused = explain_complaint(tail)
    if refused is not None:
        return refused
    if CGI_HEADER.match(stdout):
        return fault(
            "cgi-script",
            "the script prints its page on standard output and ends, as a CGI program does",
            "have Apache run it as CGI, or make it a WSGI application that ends with"
            " gfcgi.run(application)",
        )
    if status == 0 and not tail:
        return _never_reached(context)
    return fault(
        "ends",
        f"the process ends at once, {_how(status)}",
        "see what it says below" if tail else f"run it by hand: {_by_hand(context)}",
        tail,
    )


def explain_complaint(lines: tuple[str, ...]) -> Finding | None:
    """What gfcgi itself complained of when it was to start; None if it did not."""
    complaint = next((line for line in lines if line.startswith("gfcgi: ")), "")
    if not complaint:
        return None
    text = f"gfcgi refuses to start: {complaint.removeprefix('gfcgi: ')}"
    return fault("misuse", text, "change what the line names", lines)


def _how(status: int) -> str:
    if status < 0:
        return f"by the signal {signal.Signals(-status).name}"
    return f"with status {status}"


def _by_hand(context: Context) -> str:
    return f"sudo -u {context.user.name} env -i {shlex.quote(context.target)}"


def _never_reached(context: Context) -> Finding:
    source = context.source
    if source.other:
        return other_server(context.source)
    if not source.run_line:
        return fault(
            "no-run",
            "the script ends with status 0 and serves nothing: it does not call gfcgi.run",
            "add two lines at its end: import gfcgi, and gfcgi.run(application)",
        )
    if source.guard:
        return fault(
            "run-not-reached",
            f"the script ends with status 0 before gfcgi.run in line {source.run_line}: the"
            f" condition in line {source.guard_line} is not met: {source.guard}",
            f'make line {source.guard_line} if __name__ == "__main__": or move gfcgi.run out of it',
        )
    return fault(
        "run-not-reached",
        f"the script ends with status 0 before gfcgi.run in line {source.run_line}",
        "look for what ends it before that line, such as sys.exit()",
    )


def other_server(source: Source) -> Finding:
    """A script that is still written for another FastCGI server."""
    return fault(
        "other-server",
        f"line {source.other_line} imports {source.other}, which this Python does not have",
        f"replace line {source.other_line} by {IMPORTS[source.other]}",
    )


# --- tracebacks ----------------------------------------------------------------------------------


def last_traceback(text: str, directory: str) -> Traceback | None:
    """The last exception in a text: of an import, of a request, or a SyntaxError of the script."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.strip() == TRACEBACK]
    # A SyntaxError of the script itself has frames and no such line.
    frames = [number for number, line in enumerate(lines) if FRAME.match(line)]
    if not frames:
        return None
    start = starts[-1] if starts else frames[0]
    for number in range(frames[-1] + 1, len(lines)):
        found = EXCEPTION.match(lines[number])
        if found is not None:
            shown = lines[start : number + 1]
            file, line = _own_frame(shown, directory)
            return Traceback(
                found["type"], found["text"] or "", file, line, tuple(shown[-DETAIL_LINES:])
            )
    return None


def _own_frame(lines: list[str], directory: str) -> tuple[str, int]:
    frames = [(found["file"], int(found["line"])) for found in map(FRAME.match, lines) if found]
    own = [
        (file, line)
        for file, line in frames
        if os.path.realpath(file).startswith(os.path.realpath(directory) + os.sep)
        and "site-packages" not in file
    ]
    return (own or frames or [("", 0)])[-1]


def explain_traceback(text: str, context: Context, when: str) -> Finding | None:
    """What the last exception in a text means, and what to do about it; None if there is none."""
    found = last_traceback(text, context.directory)
    if found is None:
        return None
    kind = found.type.rpartition(".")[2]
    special = EXPLANATIONS.get(kind)
    finding = special(found, context) if special is not None else None
    if finding is None:
        name = "raises" if when == "while it was loaded" else "application-fails"
        finding = fault(
            name,
            f"{kind} {when}, {found.place}: {found.text or 'no text'}",
            f"mend {os.path.basename(found.file)}; the traceback is below",
        )
    return Finding(finding.kind, finding.name, finding.text, finding.remedy, found.lines)


def _missing_module(found: Traceback, context: Context) -> Finding | None:
    match = re.search(r"No module named '([\w.]+)'", found.text)
    if match is None:
        return None
    name = match[1].partition(".")[0]
    if name in IMPORTS:
        return other_server(Source(other=name, other_line=found.line))
    place = _find_module(name, context.directory)
    if place:
        return fault(
            "module-path",
            f"the module {name} is in {place}, where Python does not look for it ({found.place})",
            f"before that line: import sys; sys.path.insert(0, {place!r})",
        )
    return fault(
        "missing-package",
        f"the package {name} is not installed for {context.python} ({found.place})",
        f"{shlex.quote(context.python)} -m pip install {PACKAGES.get(name, name)}",
    )


def _find_module(name: str, directory: str) -> str:
    """A directory near the script that has the module; empty if none has."""
    above = os.path.dirname(directory)
    near = [above, os.path.dirname(above)]
    try:
        near += [entry.path for entry in os.scandir(directory) if entry.is_dir()]
    except OSError:
        pass
    for place in near:
        if os.path.isfile(f"{place}/{name}.py") or os.path.isfile(f"{place}/{name}/__init__.py"):
            return place
    return ""


def _import_error(found: Traceback, context: Context) -> Finding:
    return fault(
        "import-error",
        f"ImportError {found.place}: {found.text}",
        f"see which version is installed: {shlex.quote(context.python)} -m pip list",
    )


def _syntax_error(found: Traceback, context: Context) -> Finding:
    if "Missing parentheses in call to 'print'" in found.text:
        remedy = "the script is for Python 2: 2to3 -w changes most of it"
    else:
        remedy = f"mend line {found.line} of {os.path.basename(found.file)}"
    return fault("syntax-error", f"SyntaxError {found.place}: {found.text}", remedy)


def _permission(found: Traceback, context: Context) -> Finding | None:
    match = re.search(r"'([^']+)'$", found.text)
    if match is None:
        return None
    path = os.path.join(context.directory, match[1])
    return fault(
        "permission",
        f"{context.user.name} may not use {path} ({found.place})",
        f"sudo chown {context.user.name} {shlex.quote(path)}, or its directory where the file"
        " is to be made",
    )


def _missing_file(found: Traceback, context: Context) -> Finding | None:
    match = re.search(r"'([^']+)'$", found.text)
    if match is None:
        return None
    return fault(
        "missing-file",
        f"there is no file {match[1]} ({found.place}); the process starts in {context.directory}",
        "write its whole path, or os.path.join(os.path.dirname(__file__), ...)",
    )


def _missing_variable(found: Traceback, context: Context) -> Finding | None:
    match = re.fullmatch(r"'([A-Z][A-Z0-9_]*)'", found.text)
    if match is None or not any("environ" in line for line in found.lines):
        return None
    name = match[1]
    return fault(
        "environment",
        f"the environment variable {name} is not set ({found.place}): Apache passes none of its"
        " own to a script",
        f"os.environ.get({name!r}, ...) there, or FcgidInitialEnv {name} VALUE for mod_fcgid,"
        f" -initial-env {name}=VALUE for mod_fastcgi",
    )


EXPLANATIONS: Final = {
    "ModuleNotFoundError": _missing_module,
    "ImportError": _import_error,
    "SyntaxError": _syntax_error,
    "IndentationError": _syntax_error,
    "TabError": _syntax_error,
    "PermissionError": _permission,
    "FileNotFoundError": _missing_file,
    "KeyError": _missing_variable,
}


# --- gfcgi's own log -----------------------------------------------------------------------------


def explain_log(stderr: bytes) -> Iterator[Finding]:
    """What gfcgi warned of in the log of a process."""
    for match in LOG_LINE.finditer(stderr.decode("utf-8", "replace")):
        text, level = match["text"], match["level"]
        if "gfcgi.patched" in text:
            yield fault(
                "late-modules",
                text.partition("; put ")[0],
                "make import gfcgi.patched the first import of the script",
            )
        elif "Content-Length" in text:
            yield fault(
                "content-length",
                text,
                "leave Content-Length out, or make it the length of the bytes:"
                " str(len(body.encode()))",
            )
        elif "where WSGI wants" in text:
            what, _, change = text.partition("Change its line to: ")
            yield hint("str-body", what.rstrip(" ."), f"change its line to {change}")
        elif "the application failed" not in text:
            make = fault if level != "WARNING" else hint
            yield make("log", text, "do what the line says")

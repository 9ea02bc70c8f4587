"""Where code stands, for people: the application's own line, and the stack above it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

__all__ = [
    "described",
    "in_debugger",
    "is_library",
    "name_and_client",
    "own_frame",
    "place_of",
    "stack_of",
]

MOST_FRAMES: Final = 40
"""Of a stack that is shown: the innermost ones."""

_OURS: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_COOPERATIVE: Final = os.path.join(_OURS, "cooperative") + os.sep
_STANDARD_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_DEBUGGERS: Final = frozenset(
    {"bdb", "pdb", "ipdb", "pudb", "debugpy", "pydevd", "_pydevd_bundle", "_pydevd_frame_eval"}
)


def is_library(frame: FrameType) -> bool:
    """Return whether the code is Python's own, installed, or gfcgi's: not the application's."""
    name = frame.f_code.co_filename
    return name.startswith(("<", _STANDARD_LIBRARY, _OURS)) or any(
        part in name for part in _INSTALLED
    )


def place_of(frame: FrameType | None) -> str:
    """Say where the application stands: its own innermost line, and what it has called there."""
    if frame is None:
        return "code in C"
    own = own_frame(frame) or frame
    place = f"{own.f_code.co_filename}, line {own.f_lineno}"
    return place if own is frame else f"{place}, in {frame.f_code.co_name}"


def own_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is the application's own; None if there is none."""
    return next((one for one in _outwards(frame) if not is_library(one)), None)


def stack_of(frame: FrameType | None) -> list[str]:
    """A line for each frame of the application and of what it calls, the innermost one last."""
    lines: list[str] = []
    called = False
    for one in _outwards(frame):
        name = one.f_code.co_filename
        ours = name.startswith(_OURS) and not name.startswith(_COOPERATIVE)
        if ours and called:
            break  # what has called the application is always the same
        called = called or not (ours or _waits(one))
        lines.append(f'  File "{name}", line {one.f_lineno}, in {one.f_code.co_name}')
    return lines[:MOST_FRAMES][::-1]


def _waits(frame: FrameType) -> bool:
    """Whether the application may stand in this frame, and waits for us: for a body, for one."""
    name = frame.f_code.co_filename
    if any(part in name for part in _INSTALLED):
        return _package(frame) in ("gevent", "greenlet")
    return name.startswith(("<", _STANDARD_LIBRARY))


def described(frame: FrameType | None) -> str:
    """Say where the application stands, and below that its stack."""
    return "\n".join([place_of(frame), *stack_of(frame)])


def in_debugger(frame: FrameType | None) -> bool:
    """Return whether a person looks at the application, which stands at a breakpoint."""
    for one in _outwards(frame):
        if _package(one) in _DEBUGGERS:
            return True
        if not is_library(one):
            break  # further out there is a debugger wherever one has started the program
    return False


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def name_and_client(environ: dict[str, Any]) -> str:
    """Name a request in a log line: method, path, and who has sent it."""
    from gfcgi.printing import printable
    from gfcgi.wsgi.request import name_in

    user, address = environ.get("REMOTE_USER"), environ.get("REMOTE_ADDR")
    who = f" from {printable(str(address))}" if address else ""
    return name_in(environ) + who + (f", {printable(str(user))}" if user else "")

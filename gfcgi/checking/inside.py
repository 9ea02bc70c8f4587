"""The application as it answers: run in a process of its own, which ``gfcgi check`` starts.

``python -m gfcgi.checking.inside FD script|target TARGET`` loads the application and serves it as
its script would. What it sees it writes to the descriptor FD, a line of JSON each:

- what ``wsgiref.validate`` objects to
- how long a call kept everybody waiting, and where: no other greenlet ran meanwhile
"""

from __future__ import annotations

# What the watch needs, before anything is patched.
import _thread
import io
import json
import os
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from gfcgi.process.stacks import is_library

__all__ = ["BLOCKED_SECONDS", "Observed", "main"]

_sleep, _now, _start_thread, _ident, _native_id, _open = (
    time.sleep,
    time.monotonic,
    _thread.start_new_thread,
    _thread.get_ident,
    _thread.get_native_id,
    io.open,
)

BLOCKED_SECONDS: Final = 0.1
"""From when on a wait of all others is worth a word: people notice it."""
LOOK_SECONDS: Final = 0.01


def _own_time(thread: int) -> float:
    """The time in seconds without that in which this thread only waited for a processor.

    That is the machine's fault, which has something else to do. Only Linux tells.
    """
    try:
        with _open(f"/proc/self/task/{thread}/schedstat", "rb") as file:
            return _now() - int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return _now()


class Observed:
    """An application, and what is seen as it answers.

    The first request is not watched for what it blocks: applications import and compile then.
    """

    def __init__(self, application: Callable[..., Any], tell: Callable[..., None]) -> None:
        self._application = application
        self._tell = tell
        self._calls = 0
        self._switches = 0
        self._validated = _validator(self._pass_on, tell)
        self._code = {type(self).__call__.__code__, *_codes_of_iteration()}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self._calls += 1
        if self._calls == 1:
            self._watch()
        self._streams = environ["wsgi.input"], environ["wsgi.errors"]
        return self._validated(environ, start_response)

    def _pass_on(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        # Not the validator's: it refuses read() without a size, which PEP 3333 allows.
        environ["wsgi.input"], environ["wsgi.errors"] = self._streams
        return self._application(environ, start_response)

    def _watch(self) -> None:
        import greenlet

        greenlet.settrace(self._count)
        _start_thread(self._look, (_ident(), _native_id()))

    def _count(self, event: str, arguments: object) -> None:
        self._switches += 1

    def _look(self, ident: int, thread: int) -> None:
        """See how long one greenlet runs, from a thread that is not gevent's."""
        switches, since, worst = -1, _own_time(thread), 0.0
        place, call = "", 0
        while True:
            _sleep(LOOK_SECONDS)
            if self._switches != switches:
                if place:
                    self._tell(blocked=worst, place=place, call=call)
                switches, since, place = self._switches, _own_time(thread), ""
                call = self._calls
                continue
            worst = _own_time(thread) - since
            if worst >= BLOCKED_SECONDS and self._calls > 1 and not place:
                place = self._place(sys._current_frames().get(ident))
                if place:
                    self._tell(blocked=worst, place=place, call=call)

    def _place(self, frame: FrameType | None) -> str:
        """Where the application stands: its own line, and what it has called; empty: elsewhere."""
        frames: list[FrameType] = []
        while frame is not None and frame.f_code not in self._code:
            frames.append(frame)
            frame = frame.f_back
        if frame is None or not frames:
            return ""
        own = next((one for one in frames if not is_library(one)), frames[0])
        place = f"{own.f_code.co_filename}, line {own.f_lineno}"
        return place if own is frames[0] else f"{place}, in {frames[0].f_code.co_name}"


def _codes_of_iteration() -> list[Any]:
    from wsgiref import validate

    return [validate.IteratorWrapper.__next__.__code__, validate.IteratorWrapper.close.__code__]


def _validator(application: Callable[..., Any], tell: Callable[..., None]) -> Callable[..., Any]:
    """``wsgiref.validate``, which tells what it objects to instead of raising it."""
    from wsgiref import validate

    def assert_(condition: object, *texts: object) -> None:
        if not condition and texts:
            tell(refused=str(texts[0]))

    validate.assert_ = assert_  # type: ignore[attr-defined]
    validated: Callable[..., Any] = validate.validator(application)
    return validated


def main(arguments: list[str]) -> None:
    fd, kind, target = int(arguments[0]), arguments[1], arguments[2]
    os.set_inheritable(fd, False)

    def tell(**what: object) -> None:
        os.write(fd, (json.dumps(what) + "\n").encode())

    if kind == "target":
        from gfcgi.process.patching import patch

        patch()
    from gfcgi.process.loading import load

    loaded = load(target)
    import gfcgi

    run: Callable[..., None] = gfcgi.run
    run(Observed(loaded.application, tell), **loaded.keywords)


if __name__ == "__main__":
    main(sys.argv[1:])

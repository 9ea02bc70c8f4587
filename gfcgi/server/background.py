"""Work beside the requests: a function that is called again and again, and another program.

Standard library in, gevent inside: who uses this knows nothing of greenlets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.hub import get_hub

__all__ = ["Background", "run_program"]

_KEPT_BYTES: Final = 8 * 1024
"""Of what a program has printed: the end of it."""


class Background:
    """Calls ``work`` every so many seconds and after ``wake``, in a greenlet of its own.

    Without ``seconds`` it is called after ``wake`` alone.
    """

    def __init__(self, work: Callable[[], None], seconds: float | None) -> None:
        self._work = work
        self._seconds = seconds
        self._woken = Event()
        self._greenlet: Any = None
        self._hub: Any = None

    def start(self) -> None:
        self._hub = get_hub()
        self._greenlet = gevent.spawn(self._run)

    def wake(self) -> None:
        """Have ``work`` called soon. A signal handler may call this, before the start too."""
        if self._hub is None:
            self._woken.set()
        else:
            self._hub.loop.run_callback_threadsafe(self._woken.set)

    def pause(self, seconds: float) -> None:
        """Let other greenlets run for so many seconds."""
        gevent.sleep(seconds)

    def stop(self) -> None:
        """Call it no more; what it waits for is cut."""
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            self._woken.wait(self._seconds)
            self._woken.clear()
            self._work()


def run_program(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    directory: str,
    keep: Sequence[int],
    seconds: float,
) -> str:
    """Run a program, and return the end of what it printed; kill it after so many seconds.

    ``keep`` are descriptors that it gets. Switches greenlets.
    """
    import subprocess
    import tempfile  # for the rare renewal alone

    with tempfile.TemporaryFile() as printed:
        program = subprocess.Popen(
            arguments,
            cwd=directory,
            env=environ,
            pass_fds=keep,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
        )
        late = ""
        until = monotonic() + seconds
        try:
            # Not gevent's: its loop would take the ends of all children from then on, those too
            # for which threads of the application wait.
            while program.poll() is None and not late:
                if monotonic() > until:
                    late = f"it was not loaded after {seconds:g} seconds"
                gevent.sleep(0.02)
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
        printed.seek(0, 2)
        printed.seek(max(0, printed.tell() - _KEPT_BYTES))
        return (printed.read().decode("utf-8", "backslashreplace") + late).strip()

"""Start a server as a process on cores of its own, wait until it is ready, stop it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.accounting import process_tree
from benchmarks.generator import Failed
from benchmarks.wire import connect

__all__ = ["pids", "plain_environ", "running", "spawn", "stop", "wait_for_socket"]

START_SECONDS = 20.0
STOP_SECONDS = 5.0
DIRECTORY = Path(__file__).parent / "servers"
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def plain_environ() -> dict[str, str]:
    """Return an environment without the variables by which coverage tools hook into a Python."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def spawn(
    command: Sequence[str | Path],
    *,
    cpus: Collection[int],
    stdin: Any = subprocess.DEVNULL,
    **to: Any,
) -> subprocess.Popen[bytes]:
    """Start a program on ``cpus``, in its own process group, with a plain environment."""

    def set_up() -> None:
        os.sched_setaffinity(0, cpus)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return subprocess.Popen(
        command,
        cwd=DIRECTORY,
        env=plain_environ(),
        stdin=stdin,
        start_new_session=True,
        preexec_fn=set_up,  # noqa: PLW1509 - there is only one thread
        **to,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its process group; kill what does not end."""
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
    finally:
        if process.stdout is not None:
            process.stdout.close()


def wait_for_socket(process: subprocess.Popen[bytes], address: str) -> None:
    """Return once a server accepts connections at a UNIX socket. Raises: Failed."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            connect(address, 1).close()
        except OSError as error:
            if process.poll() is not None:
                raise Failed(f"it ended with status {process.returncode} at its start") from None
            if time.monotonic() > until:
                raise Failed(f"not ready after {START_SECONDS:g} s: {error}") from None
            time.sleep(0.01)
        else:
            return


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], address: str, *, cpus: Collection[int], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that accepts connections at ``address``; its output goes to ``log``."""
    Path(address).unlink(missing_ok=True)
    process = spawn(command, cpus=cpus, stdout=log, stderr=log)
    try:
        wait_for_socket(process, address)
        yield process
    finally:
        stop(process)
        Path(address).unlink(missing_ok=True)


def pids(process: subprocess.Popen[bytes]) -> tuple[int, ...]:
    """Return the process and all processes that it has started."""
    return tuple(process_tree(process.pid))

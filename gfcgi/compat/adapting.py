"""What the servers of other packages promised an application, kept by gfcgi."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from gfcgi.addresses import TCPAddress
from gfcgi.errors import ConfigError

__all__ = ["adapted", "bind_of", "is_stopped_by_hup"]

Application = Callable[..., Any]


def bind_of(address: object, source: str) -> str:
    """An address as flup has it (a path, or a host and a port) as ``bind=`` has it.

    Raises: ConfigError.
    """
    if isinstance(address, str):
        return f"unix:{address}"
    if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[1], int):
        return str(TCPAddress(str(address[0]) or "0.0.0.0", address[1]))
    raise ConfigError(
        f"{address!r}: write a path, or a host and a port", option="bind", source=source
    )


def adapted(
    application: Application,
    environ: Mapping[str, object] | None = None,
    at_once: int | None = None,
) -> Application:
    """An application that gets more in its environ, and runs so many times at once at most.

    Requests beyond that wait for their turn, as they did for a thread of flup's.
    """
    if at_once is None and not environ:
        return application
    return _Adapted(application, dict(environ or {}), at_once)


class _Adapted:
    def __init__(
        self, application: Application, environ: dict[str, object], at_once: int | None
    ) -> None:
        self._application = application
        self._environ = environ
        self._at_once = at_once
        self._turns: threading.Semaphore | None = None
        self.__name__ = getattr(application, "__name__", repr(application))

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ.update(self._environ)
        if self._at_once is None:
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        if self._turns is None:
            # Not in __init__: threading is patched when gfcgi is run.
            self._turns = threading.Semaphore(self._at_once)
        self._turns.acquire()
        try:
            return _Turn(self._application(environ, start_response), self._turns.release)
        except BaseException:
            self._turns.release()
            raise


class _Turn:
    """A response; its turn is over when it is closed."""

    def __init__(self, response: Iterable[bytes], release: Callable[[], None]) -> None:
        self._response = response
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._response)

    def close(self) -> None:
        release, self._release = self._release, None
        if release is None:
            return
        try:
            close = getattr(self._response, "close", None)
            if close is not None:
                close()
        finally:
            release()


def is_stopped_by_hup(signum: object) -> bool:
    import signal

    return signum is signal.SIGHUP

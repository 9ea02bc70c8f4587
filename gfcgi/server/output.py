"""What is written on a transport connection: whole records, one greenlet at a time.

Multiplexed responses interleave record by record. Each record is made with the lock held, not
while waiting for it: its request may be aborted meanwhile, and its id be another's.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import greenlet
from gevent.hub import get_hub
from gevent.lock import Semaphore

from gfcgi.errors import RequestAborted
from gfcgi.protocol import Stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gfcgi.protocol import ApplicationConnection
    from gfcgi.protocol.events import Bytes
    from gfcgi.server.request import ServerRequest
    from gfcgi.server.transport import Transport

__all__ = ["Output"]

_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


def _ignore(reason: str) -> None:
    """Stands in for the connection once that is closed."""


class Output:
    """Writes records; every method but ``send`` takes ``lock``, and may switch greenlets.

    ``give_up`` is called with a reason when the Web server turns out not to read any more.
    """

    __slots__ = ("_core", "_give_up", "_transport", "closed", "lock")

    def __init__(
        self,
        core: ApplicationConnection,
        transport: Transport,
        give_up: Callable[[str], None],
    ) -> None:
        self._core = core
        self._transport = transport
        self._give_up = give_up
        self.lock = Semaphore()
        self.closed = False

    def write(self, request: ServerRequest, data: Bytes) -> None:
        """Write bytes of a request's STDOUT. Raises: RequestAborted."""
        with self.lock:
            request.check()
            held = self.held_errors(request)
            buffers = self._core.send_stdout(request.request_id, data)
            self.send(held + buffers if held else buffers)
        self._transport.give_way()

    def held_errors(self, request: ServerRequest) -> list[Bytes]:
        """Return records with what a request has kept back of its STDERR; the lock is held."""
        if not request.held_errors:
            return []
        held, request.held_errors = request.held_errors, b""
        return self._core.send(Stderr(request.request_id, held))

    def write_error(self, request: ServerRequest, data: Bytes) -> None:
        """Write bytes of a request's STDERR. Raises: RequestAborted."""
        with self.lock:
            request.check()
            self.send(self._core.send(Stderr(request.request_id, data)))

    def write_file(self, request: ServerRequest, fileno: int, offset: int, length: int) -> None:
        """Write one STDOUT record with a region of a file. Raises: RequestAborted, OSError."""
        with self.lock:
            request.check()
            transport = self._transport
            held = self.held_errors(request)
            header, padding = self._core.send_stdout_header(request.request_id, length)
            whole = False
            try:
                transport.send([*held, header], _MSG_MORE)
                transport.send_file(fileno, offset, length)
                if padding:
                    transport.send([padding])
                whole = True
            except EOFError as end:
                raise OSError(str(end)) from end
            except (ConnectionError, TimeoutError) as error:
                raise self._lost(error) from error
            finally:
                if not whole:
                    # A record was promised and cannot be completed: nothing can follow it.
                    transport.shut_down()
        transport.give_way()

    def write_records(self, buffers: Sequence[Bytes]) -> None:
        """Write what concerns no running request. Raises: RequestAborted."""
        with self.lock:
            if self.closed:
                raise RequestAborted("the transport connection is closed")
            self.send(buffers)

    def send(self, buffers: Sequence[Bytes]) -> None:
        """Write whole records, waiting where the Web server is slow; the lock is held."""
        try:
            self._transport.send(buffers)
        except OSError as error:
            raise self._lost(error) from error
        except BaseException:
            # A gevent.Timeout of the application's, or it was killed; its record must be completed.
            rest = greenlet.greenlet(self._complete, get_hub())
            get_hub().loop.run_callback(rest.switch)
            raise

    def forget(self) -> None:
        """Let go of the connection, so that nothing of it waits for the garbage collector."""
        self._give_up = _ignore

    def _complete(self) -> None:
        with contextlib.suppress(RequestAborted):
            self.write_records(())

    def _lost(self, error: object) -> RequestAborted:
        """Abort everything on this connection: the Web server does not read any more."""
        self._give_up("the transport connection was lost")
        return RequestAborted(f"the transport connection was lost: {error}")

"""What is written on a transport connection, one greenlet at a time.

Multiplexed responses interleave record by record. Take ``lock`` before a record is made, not only
before it is written: a request may be aborted while it waits for the lock, and then its id may
belong to another request.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import greenlet
from gevent.hub import get_hub
from gevent.lock import Semaphore

from gfcgi.errors import RequestAborted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gfcgi.protocol.events import Bytes
    from gfcgi.server.transport import Transport

__all__ = ["Output"]

_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


def _ignore(reason: str) -> None:
    """Replaces ``on_lost`` when the connection is closed."""


class Output:
    """Writes buffers to the Web server; knows nothing of requests.

    ``on_lost`` is called with a reason when the Web server turns out not to read any more.
    """

    __slots__ = ("_on_lost", "_transport", "closed", "lock")

    def __init__(self, transport: Transport, on_lost: Callable[[str], None]) -> None:
        self._transport = transport
        self._on_lost = on_lost
        self.lock = Semaphore()
        self.closed = False

    def leave(self) -> None:
        """Send nothing any more. Whoever has the lock does not exist in this process."""
        self.closed = True
        self.lock = Semaphore()

    def send(self, buffers: Sequence[Bytes]) -> None:
        """Write whole records. The caller holds the lock.

        May switch greenlets. Raises: RequestAborted.
        """
        try:
            self._transport.send(buffers)
        except OSError as error:
            raise self._lost(error) from error
        except BaseException:
            # The application was killed, or has a gevent.Timeout. Its record must be completed.
            rest = greenlet.greenlet(self._complete, get_hub())
            get_hub().loop.run_callback(rest.switch)
            raise

    def send_file(
        self, head: list[Bytes], fileno: int, offset: int, count: int, padding: Bytes
    ) -> None:
        """Write one record with ``count`` bytes of a file. The caller holds the lock.

        ``head`` ends with the record's header. May switch greenlets. Raises: RequestAborted;
        OSError if the file cannot be read.
        """
        transport = self._transport
        whole = False
        try:
            transport.send(head, _MSG_MORE)
            transport.send_file(fileno, offset, count)
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

    def write(self, buffers: Sequence[Bytes]) -> None:
        """Take the lock and write what concerns no running request.

        May switch greenlets. Raises: RequestAborted.
        """
        with self.lock:
            if self.closed:
                raise RequestAborted("the transport connection is closed")
            self.send(buffers)

    def give_way(self) -> None:
        """Give other greenlets a turn, if writes never wait. Call it without the lock."""
        self._transport.give_way()

    def forget(self) -> None:
        """Drop the reference to the connection, so that no garbage collection is needed for it."""
        self._on_lost = _ignore

    def _complete(self) -> None:
        with contextlib.suppress(RequestAborted):
            self.write(())

    def _lost(self, error: object) -> RequestAborted:
        """Abort everything on this connection: the Web server does not read any more."""
        self._on_lost("the transport connection was lost")
        return RequestAborted(f"the transport connection was lost: {error}")

"""One request over a transport connection, and its answer as it comes.

An application may answer before it has read the body. It may also stop reading the body until its
answer is read. So one greenlet sends the params and the streams, the caller's greenlet receives,
and neither waits for the other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

import gevent
import gevent.os
import gevent.socket

from gfcgi import limits
from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.client.response import HeaderBlock, ResponseHead
from gfcgi.errors import Fatal, RemoteProtocolError, TransportClosed
from gfcgi.protocol import (
    NEED_DATA,
    AbortRequest,
    BeginRequest,
    Data,
    EndRequest,
    Role,
    Stderr,
    Stdin,
    Stdout,
    WebServerConnection,
)
from gfcgi.protocol.params import Pairs

__all__ = [
    "Answer",
    "Exchange",
    "Observer",
    "Readable",
    "blocking_chunks",
    "connect",
    "cooperative",
]

FILE_READ_BYTES: Final = limits.RECV_BYTES


class Readable(Protocol):
    """The part of a binary file that is used here."""

    def read(self, size: int, /) -> bytes: ...


Source = bytes | bytearray | memoryview | Iterable[bytes] | Readable
Answer = ResponseHead | Stdout | Stderr | EndRequest
Observer = Callable[[bool, bytes | bytearray | memoryview], None]
"""Called with whether it is sent, and the bytes."""


class Exchange:
    """A request on a transport connection of its own, and the answer.

    ``sock`` is a connected socket of the standard library or of gevent. The exchange owns it: do
    not use it afterwards. ``params`` are latin-1 str. ``stdin``, and ``data`` for a Filter, are
    bytes, an iterable of bytes or a binary file. Another greenlet reads them, chunk by chunk, as
    fast as the application takes them. If iterating or reading raises, the exchange ends, and
    ``answer`` raises the same exception. An Authorizer gets neither (FastCGI 1.0 §6.3).

    ``timeout_seconds`` bounds each wait for the application, if given. ``repeated`` are further
    pairs whose names ``params`` has. ``observe`` is called with all that is sent and received.
    """

    def __init__(
        self,
        sock: socket.socket,
        params: Mapping[str, str],
        *,
        stdin: Source = b"",
        data: Source = b"",
        role: Role = Role.RESPONDER,
        request_id: int = 1,
        timeout_seconds: float | None = None,
        repeated: Pairs = (),
        observe: Observer | None = None,
    ) -> None:
        self._socket = cooperative(sock)
        self._socket.settimeout(timeout_seconds)
        self._core = WebServerConnection()
        self._observe = observe
        self._begin = BeginRequest(request_id, role, False, dict(params), repeated)
        self._stdin = stdin
        self._data = data
        self._request_id = request_id
        self._sender: gevent.Greenlet[[], None] | None = None
        self._ended = False
        self._failure: BaseException | None = None
        self._send_error: OSError | None = None

    def answer(self) -> Iterator[Answer]:
        """Send the request and yield its answer, event by event. The last one is an EndRequest.

        A ResponseHead comes when the header block is complete, and each Stdout after it is a piece
        of the body. Stderr may come at any time. An application that refused the request may have
        written nothing; then there is no ResponseHead. The transport connection is closed when the
        iteration ends or is left.

        Raises: TransportClosed if the application closes the transport connection before
        END_REQUEST; RemoteProtocolError if it sends something else than FastCGI or a header block;
        TimeoutError; the exception of ``stdin`` or ``data``; the exception given to ``abort``.
        """
        self._sender = gevent.spawn(self._send_streams)
        block: HeaderBlock | None = HeaderBlock(self._request_id)
        try:
            for event in self._receive():
                if not isinstance(event, Stdout):
                    if isinstance(event, EndRequest) and block is not None and block.started:
                        raise RemoteProtocolError(
                            "the response ended within its header block",
                            section="6.2",
                            request_id=self._request_id,
                            fatal=Fatal.REQUEST,
                        )
                    yield event
                elif block is None:
                    yield event
                else:
                    head = block.receive(event.data)
                    if head is not None:
                        yield head
                        if block.rest:
                            yield Stdout(self._request_id, block.rest)
                        block = None
        finally:
            self.close()

    def send_abort(self) -> None:
        """Send ABORT_REQUEST (FastCGI 1.0 §5.4), as HAProxy does while STDIN is on its way."""
        for buffer in self._core.send(AbortRequest(self._request_id)):
            self._write(buffer)

    def abort(self, error: BaseException) -> None:
        """Close the transport connection; ``answer`` raises ``error``. For other greenlets.

        A Web server aborts a request in this way (FastCGI 1.0 §5.4).
        """
        if self._failure is None:
            self._failure = error
        # Not close(): the greenlet that waits in recv would not wake up.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # one side has closed it already

    def close(self) -> None:
        """Stop sending and close the transport connection. A second call does nothing."""
        self._ended = True
        if self._sender is not None:
            self._sender.kill()
        self._socket.close()

    def _receive(self) -> Iterator[Stdout | Stderr | EndRequest]:
        while True:
            event = self._core.next_event()
            if event is NEED_DATA:
                self._receive_data()
            elif isinstance(event, EndRequest):
                self._ended = True
                yield event
                return
            elif isinstance(event, Stdout | Stderr) and len(event.data):
                yield event

    def _receive_data(self) -> None:
        error: OSError | None = None
        try:
            data = self._socket.recv(limits.RECV_BYTES)
        except TimeoutError:
            raise
        except OSError as reset:
            error, data = reset, b""
        if self._failure is not None:
            raise self._failure
        if data:
            if self._observe is not None:
                self._observe(False, data)
            self._core.receive_data(data)
            return
        reason = "the transport connection ended before the request was sent"
        try:
            self._core.receive_eof()
        except RemoteProtocolError as early:
            reason = early.reason
        raise TransportClosed(reason) from (error or self._send_error)

    def _send_streams(self) -> None:
        try:
            if not self._send(self._begin):
                return
            if self._begin.role == Role.AUTHORIZER:
                return
            for chunk in _chunks(self._stdin):
                if not self._send(Stdin(self._request_id, chunk)):
                    return
            if not self._send(Stdin(self._request_id, b"")) or self._begin.role != Role.FILTER:
                return
            for chunk in _chunks(self._data):
                if not self._send(Data(self._request_id, chunk)):
                    return
            self._send(Data(self._request_id, b""))
        except Exception as error:
            # The end of the streams is not sent: a body that was cut must not look complete.
            self.abort(error)

    def _send(self, event: BeginRequest | Stdin | Data) -> bool:
        """Send ``event``. Returns False if nothing more can or must be sent."""
        if self._ended:
            return False
        buffers = self._core.send(event)
        try:
            for buffer in buffers:
                self._write(buffer)
        except OSError as error:
            # There may still be an answer: an application may answer early and close.
            self._send_error = error
            return False
        return True

    def _write(self, buffer: bytes | bytearray | memoryview) -> None:
        if self._observe is not None:
            self._observe(True, buffer)
        self._socket.sendall(buffer)


def connect(
    address: UnixAddress | TCPAddress, *, timeout_seconds: float | None = None
) -> socket.socket:
    """Connect to ``address`` and return a socket of gevent. Raises: OSError."""
    sock: socket.socket
    if isinstance(address, TCPAddress):
        sock = gevent.socket.create_connection((address.host, address.port), timeout_seconds)
        return sock
    sock = gevent.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_seconds)
        sock.connect(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def blocking_chunks(fd: int) -> Iterator[bytes]:
    """Yield the bytes of a descriptor as they come: a file, a pipe or a terminal.

    A thread reads them, so other greenlets go on.
    """
    while chunk := gevent.os.tp_read(fd, limits.RECV_BYTES):
        yield chunk


def cooperative(sock: socket.socket) -> socket.socket:
    """Return ``sock`` as a socket of gevent. It takes over a socket of the standard library."""
    if isinstance(sock, gevent.socket.socket):
        return sock
    wrapped: socket.socket = gevent.socket.socket(
        sock.family, sock.type, sock.proto, fileno=sock.detach()
    )
    return wrapped


def _chunks(source: Source) -> Iterator[bytes | bytearray | memoryview]:
    """Yield the pieces of a stream. None is empty: an empty one would end the stream."""
    if isinstance(source, bytes | bytearray | memoryview):
        if len(source):
            yield source
    elif isinstance(source, Iterable) and not hasattr(source, "read"):
        yield from filter(None, source)
    else:
        while chunk := source.read(FILE_READ_BYTES):
            yield chunk

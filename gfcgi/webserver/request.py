"""One request over a transport connection, and its answer as it comes.

An application may answer before it has read the body, and may read the body only while somebody
takes its answer. So one greenlet sends the params and the streams while the caller's own receives;
neither waits for the other.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

import gevent
import gevent.os
import gevent.socket

from gfcgi import limits
from gfcgi.addresses import TCPAddress, UnixAddress
from gfcgi.errors import Fatal, RemoteProtocolError, TransportClosed
from gfcgi.protocol import (
    NEED_DATA,
    BeginRequest,
    Data,
    EndRequest,
    Role,
    Stderr,
    Stdin,
    Stdout,
    WebServerConnection,
)
from gfcgi.webserver.response import HeaderBlock, ResponseHead

__all__ = ["Answer", "Exchange", "Readable", "blocking_chunks", "connect", "cooperative"]

FILE_READ_BYTES: Final = limits.RECV_BYTES


class Readable(Protocol):
    """A binary file, as far as it is needed here."""

    def read(self, size: int, /) -> bytes: ...


Source = bytes | bytearray | memoryview | Iterable[bytes] | Readable
Answer = ResponseHead | Stdout | Stderr | EndRequest


class Exchange:
    """A request sent on a transport connection that nothing else uses, and its answer.

    ``sock`` is connected, of the standard library or of gevent, and becomes the exchange's own:
    do not use it afterwards. ``params`` are latin-1 str. ``stdin``, and ``data`` for a Filter,
    are bytes, an iterable of bytes or a binary file; they are read in another greenlet, a chunk
    at a time, as fast as the application takes them. What iterating or reading raises ends the
    exchange and is raised by ``answer``. An Authorizer is sent neither (FastCGI 1.0 §6.3).

    ``timeout_seconds`` bounds each wait for the application, if given.
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
    ) -> None:
        self._socket = cooperative(sock)
        self._socket.settimeout(timeout_seconds)
        self._core = WebServerConnection()
        self._begin = BeginRequest(request_id, role, False, dict(params))
        self._stdin = stdin
        self._data = data
        self._request_id = request_id
        self._sender: gevent.Greenlet[[], None] | None = None
        self._ended = False
        self._failure: BaseException | None = None
        self._send_error: OSError | None = None

    def answer(self) -> Iterator[Answer]:
        """Send the request and give its answer, event by event; the last is an EndRequest.

        A ResponseHead comes once the header block is complete; each Stdout after it is a piece of
        the body. Stderr may come at any time. An application that refused the request may have
        written nothing: then there is no ResponseHead. The transport connection is closed when
        the iteration ends or is left.

        Raises: TransportClosed if the application closed the transport connection before
        END_REQUEST; RemoteProtocolError if what it sent is not FastCGI or not a header block;
        TimeoutError; what ``stdin`` or ``data`` raised; what ``abort`` was given.
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

    def abort(self, error: BaseException) -> None:
        """Close the transport connection and have ``answer`` raise ``error``; for other greenlets.

        To an application that is how a Web server gives a request up (FastCGI 1.0 §5.4).
        """
        if self._failure is None:
            self._failure = error
        # Not close(): the greenlet that waits in recv would never learn of it.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already, by either side

    def close(self) -> None:
        """Stop sending and close the transport connection. May be repeated."""
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
            # Without the end of its streams: what was cut short must not look complete.
            self.abort(error)

    def _send(self, event: BeginRequest | Stdin | Data) -> bool:
        """Send ``event``; False once nothing more can be or need be sent."""
        if self._ended:
            return False
        buffers = self._core.send(event)
        try:
            for buffer in buffers:
                self._socket.sendall(buffer)
        except OSError as error:
            # The answer may be there all the same: an application may answer early and close.
            self._send_error = error
            return False
        return True


def connect(
    address: UnixAddress | TCPAddress, *, timeout_seconds: float | None = None
) -> socket.socket:
    """Return a socket of gevent that is connected to ``address``. Raises: OSError."""
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
    """Give what can be read from a descriptor, as it comes: a file, a pipe or a terminal.

    It is read in a thread, so that greenlets go on meanwhile.
    """
    while chunk := gevent.os.tp_read(fd, limits.RECV_BYTES):
        yield chunk


def cooperative(sock: socket.socket) -> socket.socket:
    """Return ``sock`` as a socket of gevent; one of the standard library is taken over."""
    if isinstance(sock, gevent.socket.socket):
        return sock
    wrapped: socket.socket = gevent.socket.socket(
        sock.family, sock.type, sock.proto, fileno=sock.detach()
    )
    return wrapped


def _chunks(source: Source) -> Iterator[bytes | bytearray | memoryview]:
    """Give the pieces of a stream, none of them empty: that would end the stream."""
    if isinstance(source, bytes | bytearray | memoryview):
        if len(source):
            yield source
    elif isinstance(source, Iterable) and not hasattr(source, "read"):
        yield from filter(None, source)
    else:
        while chunk := source.read(FILE_READ_BYTES):
            yield chunk

"""A transport connection as a Web server holds it, and the responses read from it."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import final

from .records import (
    END_REQUEST,
    GET_VALUES_RESULT,
    STDERR,
    STDOUT,
    Record,
    WireError,
    parse_pairs,
    parse_records,
)

#: Seconds a wait lasts before it is a failure: generous, for it only bounds a broken run.
DEADLINE_SECONDS = 60.0


class WireTimeout(Exception):
    """The deadline passed before what was waited for arrived."""


class WireClosed(Exception):
    """The application closed the transport connection while something was waited for.

    ``midway`` is True where the close cut a record in two.
    """

    def __init__(self, text: str, *, midway: bool = False) -> None:
        super().__init__(text)
        self.midway = midway


@dataclass
class Response:
    """What arrived for one request id, up to its END_REQUEST."""

    request_id: int
    stdout_bytes: bytearray = field(default_factory=bytearray)
    stderr_bytes: bytearray = field(default_factory=bytearray)
    app_status: int | None = None
    protocol_status: int | None = None
    records: list[Record] = field(default_factory=list)
    stdout_ended: bool = False
    stderr_ended: bool = False

    @property
    def stdout(self) -> bytes:
        """The content of the STDOUT records, end to end."""
        return bytes(self.stdout_bytes)

    @property
    def stderr(self) -> bytes:
        """The content of the STDERR records, end to end."""
        return bytes(self.stderr_bytes)

    @property
    def ended(self) -> bool:
        """Whether END_REQUEST has arrived."""
        return self.protocol_status is not None

    @property
    def header_block(self) -> bytes:
        """STDOUT up to and without the empty line. Raises WireError where there is none."""
        head, separator, _ = self.stdout.partition(b"\r\n\r\n")
        if not separator:
            raise WireError(f"no header block in STDOUT: {head[:200]!r}")
        return head

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The CGI headers (latin-1) in their order, ``Status`` among them."""
        found = []
        for line in self.header_block.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                raise WireError(f"header line without a colon: {line!r}")
            found.append((name, value.strip()))
        return found

    def header(self, name: str) -> str | None:
        """The last value of one header, any case; None where it is absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None

    @property
    def status(self) -> int:
        """The number of the ``Status`` header; 200 where there is none (CGI/1.1 §6.3.3)."""
        return int((self.header("Status") or "200").split()[0])

    @property
    def body(self) -> bytes:
        """STDOUT after the empty line."""
        return self.stdout.partition(b"\r\n\r\n")[2]


@final
class TransportConnection:
    """One transport connection to an application, from the Web server's end.

    ``address`` is what ``socket.connect`` takes: a (host, port) tuple, or the path
    of a UNIX socket as str; or an already connected socket, which is then owned.
    """

    def __init__(
        self,
        address: str | tuple[str, int] | socket.socket,
        *,
        deadline: float = DEADLINE_SECONDS,
        receive_buffer: int | None = None,
    ) -> None:
        """Connect. ``receive_buffer`` sets SO_RCVBUF (bytes) first, for tests of backpressure."""
        self.deadline = deadline
        self._left = b""
        self._ready: list[Record] = []
        self._responses: dict[int, Response] = {}
        #: Management records (request id 0) in the order they arrived.
        self.management: list[Record] = []
        if not isinstance(address, str | tuple):  # a gevent socket is no socket.socket
            self.socket = address
        else:
            if isinstance(address, str):
                family = socket.AF_UNIX
            else:
                family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            if receive_buffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.settimeout(deadline)
            try:
                self.socket.connect(address)
            except BaseException:
                self.socket.close()
                raise
        self.socket.settimeout(deadline)

    def __enter__(self) -> TransportConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close as a Web server does whose HTTP client has left."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a TCP reset instead of a FIN (no difference on a UNIX socket)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish_sending(self) -> None:
        """Shut down our sending half: the application sees EOF, and can still answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are, whole, whatever they say."""
        self.socket.sendall(b"".join(parts))

    def send_slowly(self, content: bytes, size: int = 1) -> None:
        """Send ``size`` bytes a time, each in a send of its own, Nagle's algorithm off."""
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(content), size):
            self.socket.sendall(content[at : at + size])

    def readable(self, seconds: float) -> bool:
        """Whether anything (bytes or EOF) arrives within ``seconds``."""
        if self._ready:
            return True
        return bool(select.select([self.socket], [], [], seconds)[0])

    def read_record(self, deadline: float | None = None) -> Record:
        """Return the next record of any request id, without filing it in a response.

        Raises: WireTimeout, WireClosed at EOF, WireError.
        """
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while not self._ready:
            remaining = until - time.monotonic()
            if remaining <= 0:
                raise WireTimeout(f"no whole record in time; {self._left[:200]!r} arrived")
            self.socket.settimeout(remaining)
            try:
                received = self.socket.recv(262144)
            except TimeoutError:
                continue
            except ConnectionError as error:
                raise WireClosed(str(error), midway=bool(self._left)) from error
            if not received:
                raise WireClosed(
                    f"closed by the application; {self._left[:200]!r} left over",
                    midway=bool(self._left),
                )
            self._ready, self._left = parse_records(self._left + received)
        return self._ready.pop(0)

    def read_any(self, deadline: float | None = None) -> Record:
        """Return the next record after filing it under its request id or ``management``."""
        got = self.read_record(deadline)
        if got.request_id == 0:
            self.management.append(got)
            return got
        response = self._responses.setdefault(got.request_id, Response(got.request_id))
        if response.ended:
            raise WireError(f"record after END_REQUEST of its request id: {got}")
        response.records.append(got)
        if got.type == STDOUT:
            if response.stdout_ended:
                raise WireError(f"STDOUT after its end: {got}")
            response.stdout_bytes += got.content
            response.stdout_ended = not got.content
        elif got.type == STDERR:
            if response.stderr_ended:
                raise WireError(f"STDERR after its end: {got}")
            response.stderr_bytes += got.content
            response.stderr_ended = not got.content
        elif got.type == END_REQUEST:
            if len(got.content) != 8:
                raise WireError(f"END_REQUEST body of {len(got.content)} bytes (§5.5 says 8)")
            response.app_status, response.protocol_status = struct.unpack(">IB3x", got.content)
        else:
            raise WireError(f"an application never sends type {got.type}: {got}")
        return got

    def partial(self, request_id: int) -> Response:
        """What has arrived for a request id so far; empty where nothing has."""
        return self._responses.get(request_id, Response(request_id))

    def response(self, request_id: int = 1, deadline: float | None = None) -> Response:
        """Read until END_REQUEST of one request id; other ids' records are filed for later.

        The response is handed out once: its request id is then free for the next request.
        """
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while not self.partial(request_id).ended:
            self.read_any(max(0.0, until - time.monotonic()))
        return self._responses.pop(request_id)

    def values(self, deadline: float | None = None) -> dict[str, str]:
        """Read until a GET_VALUES_RESULT arrives and return its pairs (§4.1)."""
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while True:
            for at, got in enumerate(self.management):
                if got.type == GET_VALUES_RESULT:
                    del self.management[at]
                    return {
                        name.decode("ascii"): value.decode("ascii")
                        for name, value in parse_pairs(got.content)
                    }
            self.read_any(max(0.0, until - time.monotonic()))

    def records_until_closed(self, deadline: float | None = None) -> Iterator[Record]:
        """Yield every record until the application closes, each filed as by ``read_any``.

        Raises: WireTimeout if it stays open, WireClosed only where the close cut a record.
        """
        until = time.monotonic() + (self.deadline if deadline is None else deadline)
        while True:
            try:
                got = self.read_any(max(0.0, until - time.monotonic()))
            except WireClosed as closed:
                if closed.midway:
                    raise
                return
            yield got

    def wait_closed(self, deadline: float | None = None) -> None:
        """Wait until the application closes. Raises WireError if it sends a record first."""
        for got in self.records_until_closed(deadline):
            raise WireError(f"a record instead of the close: {got}")

"""Bytes into records, for either side: the part that both cores share.

Content of streams is handed on as it comes, in pieces, so that the longest thing kept here is one
record of any other type. Splitting the bytes differently changes only how stream data is cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from gfcgi.errors import Fatal, LocalProtocolError, RemoteProtocolError
from gfcgi.protocol.events import NEED_DATA
from gfcgi.protocol.records import (
    HEADER,
    HEADER_BYTES,
    PADDED_CONTENT_BYTES,
    PADDING,
    VERSION_1,
    RecordType,
)

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes, Event, NextEvent

__all__ = ["Connection", "encode_stream"]

_VIEWED_BYTES = 4 * 1024
"""From here on a piece of a stream is a view of what was received, not a copy."""

_CAPITALS = range(ord("A"), ord("Z") + 1)
"""What HTTP begins with, where a browser was sent to a port for FastCGI or we to one for HTTP."""

_COPIED_CONTENT_BYTES = 16 * 1024
"""Up to here one buffer with header, content and padding is cheaper than three."""


class Connection(ABC):
    """One side of a transport connection, without I/O.

    Feed it with ``receive_data``, then pull ``next_event`` until that answers NEED_DATA. Not
    pulling is backpressure: nothing is done with bytes before they are pulled.
    """

    __slots__ = (
        "_buffer",
        "_content_left",
        "_failure",
        "_offset",
        "_request_id",
        "_skip",
        "_type",
        "records_begun",
    )

    _STREAMS: ClassVar[frozenset[int]]
    """The record types whose content may be handed on in pieces."""

    def __init__(self) -> None:
        self._buffer = b""
        self._offset = 0
        self._type = 0
        self._request_id = 0
        self._content_left = 0
        self._skip = 0
        self._failure: RemoteProtocolError | None = None
        self.records_begun = 0
        """Tells an incomplete record from the next one: it changes between any two of them."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes that arrived on the transport connection, cut anywhere.

        They are kept until ``next_event`` has used them up, and never changed. Raises nothing:
        what is wrong with them ``next_event`` says.
        """
        if self._offset == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._offset :] + data
        self._offset = 0

    @property
    def has_buffered_data(self) -> bool:
        """Whether ``next_event`` has not used up all bytes that were received."""
        return self._offset != len(self._buffer)

    @property
    def in_record(self) -> bool:
        """Whether a record (§3.3) has begun to arrive and is not complete."""
        return self._offset != len(self._buffer) or bool(self._content_left or self._skip)

    def receive_eof(self) -> None:
        """Take the end of the transport connection (end of file); its active requests are lost.

        Raises: RemoteProtocolError if the end came in the middle of a record (§3.3).
        """
        if self.in_record:
            raise self._fail("the transport connection ended in the middle of a record", "3.3")

    def next_event(self) -> NextEvent:
        """Return the next event that the received bytes make, or NEED_DATA if they make none yet.

        Raises: RemoteProtocolError for malformed input, and its subclass LimitExceeded; their
        ``section`` says what was broken. After one whose ``fatal`` is ``Fatal.REQUEST``, go on
        pulling: the other requests are not concerned. After any other the transport connection is
        of no more use, and every call raises the same error again.
        """
        while True:
            event: Event | None
            if self._content_left:
                piece = self._take(self._content_left)
                if not piece:
                    return NEED_DATA
                self._content_left -= len(piece)
                event = self._stream_data(self._type, self._request_id, piece)
            else:
                if self._skip:
                    skipped = min(self._skip, len(self._buffer) - self._offset)
                    self._offset += skipped
                    self._skip -= skipped
                    if self._skip:
                        return NEED_DATA
                offset = self._offset
                if self._failure is not None:
                    raise self._failure
                start = offset + HEADER_BYTES
                available = len(self._buffer) - start
                if available < 0:
                    if available == -HEADER_BYTES:
                        # A request that waits would keep the bytes of its params here.
                        self._buffer = b""
                        self._offset = 0
                    return NEED_DATA
                version, record_type, request_id, length, padding = HEADER.unpack_from(
                    self._buffer, offset
                )
                if version != VERSION_1:
                    http = ": this looks like HTTP" if version in _CAPITALS else ""
                    raise self._fail(f"version {version}, where only 1 exists{http}", "3.3")
                if length == 0 or record_type not in self._STREAMS:
                    if available < length:
                        return NEED_DATA
                    self._offset = start + length
                    self._skip = padding
                    self.records_begun += 1
                    event = self._record(
                        record_type, request_id, self._buffer[start : start + length]
                    )
                else:
                    self._offset = start
                    self._skip = length + padding
                    self.records_begun += 1
                    if self._accepts(record_type, request_id, length):
                        self._skip = padding
                        self._type = record_type
                        self._request_id = request_id
                        self._content_left = length
                    continue
            if event is not None:
                return event

    def _take(self, most: int) -> Bytes:
        start = self._offset
        end = self._offset = min(start + most, len(self._buffer))
        if end - start < _VIEWED_BYTES:
            return self._buffer[start:end]
        return memoryview(self._buffer)[start:end]

    def _fail(self, reason: str, section: str) -> RemoteProtocolError:
        self._failure = RemoteProtocolError(
            reason, section=section, fatal=Fatal.TRANSPORT_CONNECTION
        )
        self._content_left = self._skip = 0
        return self._failure

    @abstractmethod
    def _accepts(self, record_type: int, request_id: int, length: int) -> bool:
        """Whether the content of this stream record is wanted; if not, it is skipped (§3.3).

        Raises: RemoteProtocolError where the record is out of place.
        """

    @abstractmethod
    def _stream_data(self, record_type: int, request_id: int, piece: Bytes) -> Event | None:
        """Take a piece of a stream."""

    @abstractmethod
    def _record(self, record_type: int, request_id: int, content: bytes) -> Event | None:
        """Take a complete record: the end of a stream, or any type that is no stream."""


def encode_stream(record_type: RecordType, request_id: int, data: Bytes) -> list[Bytes]:
    """Cut ``data`` (not empty) into records; long data is referred to, not copied (§3.3).

    Raises: LocalProtocolError for a memoryview whose length is not its number of bytes.
    """
    length = len(data)
    if type(data) is memoryview and (data.nbytes != length or not data.c_contiguous):
        raise LocalProtocolError("stream data is not plain bytes", section="3.3")
    if length <= _COPIED_CONTENT_BYTES:
        padding = -length & 7
        header = HEADER.pack(VERSION_1, record_type, request_id, length, padding)
        return [b"".join((header, data, PADDING[padding]))]
    view = memoryview(data)
    buffers: list[Bytes] = []
    for start in range(0, length, PADDED_CONTENT_BYTES):
        piece = view[start : start + PADDED_CONTENT_BYTES]
        padding = -len(piece) & 7
        buffers += (
            HEADER.pack(VERSION_1, record_type, request_id, len(piece), padding),
            piece,
        )
    if padding:
        buffers.append(PADDING[padding])
    return buffers

"""Records told one by one, for people: what crossed a transport connection, whichever way.

Unlike the cores this reads any order of records, and says where the bytes stop being FastCGI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gfcgi.errors import RemoteProtocolError
from gfcgi.printing import printable
from gfcgi.protocol.params import decode_pairs
from gfcgi.protocol.records import (
    BEGIN_REQUEST_BODY,
    END_REQUEST_BODY,
    HEADER,
    HEADER_BYTES,
    KEEP_CONN,
    VERSION_1,
    ProtocolStatus,
    RecordType,
    Role,
)

__all__ = ["NotFastCGI", "Record", "RecordReader", "Teller"]

PREVIEW_BYTES: Final = 60
"""Of a stream's content, how much is shown."""
STREAMS: Final = frozenset(
    {RecordType.STDIN, RecordType.STDOUT, RecordType.STDERR, RecordType.DATA, RecordType.PARAMS}
)


class NotFastCGI(ValueError):
    """The bytes are no records."""


@dataclass(frozen=True)
class Record:
    """One record (§3.3); ``type`` may be one that does not exist. ``padding`` is its length."""

    type: int
    request_id: int
    content: bytes
    padding: int = 0

    @property
    def name(self) -> str:
        try:
            return RecordType(self.type).name
        except ValueError:
            return f"type {self.type}"


class RecordReader:
    """Cuts the bytes of one direction into records."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def rest(self) -> int:
        """How many bytes of a record have come that is not complete."""
        return len(self._buffer)

    def receive(self, data: bytes | bytearray | memoryview) -> Iterator[Record]:
        """Take the next bytes; give the records that are complete. Raises: NotFastCGI."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            version, kind, request_id, length, padding = HEADER.unpack_from(self._buffer)
            if version != VERSION_1:
                raise NotFastCGI(f"not FastCGI: a record of version {version}")
            end = HEADER_BYTES + length + padding
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[HEADER_BYTES : HEADER_BYTES + length])
            del self._buffer[:end]
            yield Record(kind, request_id, content, padding)


class Teller:
    """Gives the lines that say what one direction of a transport connection carried.

    A request's params are shown when they are complete, a line each.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._reader: RecordReader | None = RecordReader()
        self._params: dict[int, bytearray] = {}

    def tell(self, data: bytes | bytearray | memoryview) -> Iterator[str]:
        """Give the lines for the next bytes. After bytes that are no record there are none."""
        if self._reader is None:
            return
        try:
            for record in self._reader.receive(data):
                yield from self._lines(record)
        except NotFastCGI as error:
            self._reader = None
            yield f"{self._mark} {error}: {_preview(bytes(data))}"

    def end(self) -> Iterator[str]:
        """Give the line for bytes that were no whole record."""
        if self._reader is not None and self._reader.rest:
            yield f"{self._mark} {self._reader.rest} bytes of a record that is cut off"

    def _lines(self, record: Record) -> Iterator[str]:
        yield f"{self._mark} {record.name} {record.request_id}: {_about(record)}"
        if record.type == RecordType.PARAMS:
            block = self._params.setdefault(record.request_id, bytearray())
            block += record.content
            if not record.content:
                del self._params[record.request_id]
                yield from self._pairs(bytes(block))
        elif record.type in (RecordType.GET_VALUES, RecordType.GET_VALUES_RESULT):
            yield from self._pairs(record.content)

    def _pairs(self, block: bytes) -> Iterator[str]:
        try:
            for name, value in decode_pairs(block):
                yield f"{self._mark}     {printable(name)}={printable(value)}"
        except RemoteProtocolError as error:
            yield f"{self._mark}     {error.reason}"


def _about(record: Record) -> str:
    content = record.content
    if record.type == RecordType.BEGIN_REQUEST and len(content) == BEGIN_REQUEST_BODY.size:
        number, flags = BEGIN_REQUEST_BODY.unpack(content)
        role = (
            Role(number).name.lower() if number in Role.__members__.values() else f"role {number}"
        )
        return f"{role}, keep the connection" if flags & KEEP_CONN else role
    if record.type == RecordType.END_REQUEST and len(content) == END_REQUEST_BODY.size:
        app_status, status = END_REQUEST_BODY.unpack(content)
        known = status in ProtocolStatus.__members__.values()
        name = ProtocolStatus(status).name if known else f"protocol status {status}"
        return f"{name}, application status {app_status}"
    if record.type in STREAMS and not content:
        return "end"
    if record.type in STREAMS and record.type != RecordType.PARAMS:
        return f"{len(content)} bytes: {_preview(content)}"
    return f"{len(content)} bytes"


def _preview(content: bytes) -> str:
    text = content[:PREVIEW_BYTES].decode("latin-1")
    return printable(text) + ("…" if len(content) > PREVIEW_BYTES else "")

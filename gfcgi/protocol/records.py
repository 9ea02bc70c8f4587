"""Records: the envelope of everything that crosses a transport connection (§3.3).

A record is an eight-byte header, ``contentLength`` bytes of content and ``paddingLength`` bytes of
padding. Records of request id 0 are management records (§4); all others are application records
of one request. This file knows the layout and the numbers of Appendix A and nothing of what may
follow what.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

__all__ = [
    "HEADER_BYTES",
    "KEEP_CONN",
    "MAX_CONTENT_BYTES",
    "MAX_REQUEST_ID",
    "NULL_REQUEST_ID",
    "PADDED_CONTENT_BYTES",
    "VERSION_1",
    "ProtocolStatus",
    "RecordType",
    "Role",
    "encode_record",
]

VERSION_1: Final = 1
HEADER_BYTES: Final = 8
NULL_REQUEST_ID: Final = 0
MAX_REQUEST_ID: Final = 0xFFFF
MAX_CONTENT_BYTES: Final = 0xFFFF
PADDED_CONTENT_BYTES: Final = MAX_CONTENT_BYTES & ~7
"""The longest content that needs no padding: long chunks are cut into records of this size."""

KEEP_CONN: Final = 1
"""The flag of BEGIN_REQUEST that leaves the transport connection open afterwards (§5.1)."""


class RecordType(IntEnum):
    """Values of a record header's ``type`` (§3.3, §8)."""

    BEGIN_REQUEST = 1
    ABORT_REQUEST = 2
    END_REQUEST = 3
    PARAMS = 4
    STDIN = 5
    STDOUT = 6
    STDERR = 7
    DATA = 8
    GET_VALUES = 9
    GET_VALUES_RESULT = 10
    UNKNOWN_TYPE = 11


class Role(IntEnum):
    """The roles an application can play (§6)."""

    RESPONDER = 1
    AUTHORIZER = 2
    FILTER = 3


class ProtocolStatus(IntEnum):
    """Values of END_REQUEST's ``protocolStatus`` (§5.5)."""

    REQUEST_COMPLETE = 0
    CANT_MPX_CONN = 1
    OVERLOADED = 2
    UNKNOWN_ROLE = 3


HEADER: Final = Struct(">BBHHBx")
"""version, type, requestId, contentLength, paddingLength, reserved"""

BEGIN_REQUEST_BODY: Final = Struct(">HB5x")
"""role, flags, reserved"""

END_REQUEST_BODY: Final = Struct(">IB3x")
"""appStatus, protocolStatus, reserved"""

UNKNOWN_TYPE_BODY: Final = Struct(">B7x")
"""type, reserved"""

PADDING: Final = tuple(bytes(length) for length in range(8))


def encode_record(record_type: int, request_id: int, content: bytes) -> bytes:
    """Return one whole record with padding (§3.3); ``content`` is at most 65535 bytes."""
    length = len(content)
    padding = -length & 7
    header = HEADER.pack(VERSION_1, record_type, request_id, length, padding)
    return header + content + PADDING[padding]

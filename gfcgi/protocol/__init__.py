"""FastCGI 1.0 without I/O: bytes in, events out; events in, buffers out.

``ApplicationConnection`` is the application's side of a transport connection,
``WebServerConnection`` the Web server's; they share the records and the events. Nothing in here
blocks, waits, logs or looks at a clock.
"""

from gfcgi.protocol.application import ApplicationConnection
from gfcgi.protocol.events import (
    NEED_DATA,
    AbortRequest,
    BeginRequest,
    Data,
    EndRequest,
    Event,
    GetValues,
    GetValuesResult,
    NeedData,
    Stderr,
    Stdin,
    Stdout,
    UnknownType,
)
from gfcgi.protocol.params import decode_pairs, decode_params, encode_pairs
from gfcgi.protocol.records import ProtocolStatus, RecordType, Role
from gfcgi.protocol.webserver import WebServerConnection

__all__ = [
    "NEED_DATA",
    "AbortRequest",
    "ApplicationConnection",
    "BeginRequest",
    "Data",
    "EndRequest",
    "Event",
    "GetValues",
    "GetValuesResult",
    "NeedData",
    "ProtocolStatus",
    "RecordType",
    "Role",
    "Stderr",
    "Stdin",
    "Stdout",
    "UnknownType",
    "WebServerConnection",
    "decode_pairs",
    "decode_params",
    "encode_pairs",
]

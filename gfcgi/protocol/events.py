"""What the cores take and give: one class for each thing a side can say.

The same objects serve both directions. What the Web server's core is given to send is, event for
event, what the application's core gives out. Streams say their end as on the wire: with empty
data (§3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from gfcgi.protocol.params import Pairs
from gfcgi.protocol.records import ProtocolStatus

__all__ = [
    "NEED_DATA",
    "AbortRequest",
    "BeginRequest",
    "Data",
    "EndRequest",
    "Event",
    "GetValues",
    "GetValuesResult",
    "NeedData",
    "Stderr",
    "Stdin",
    "Stdout",
    "StreamEvent",
    "UnknownType",
]

Bytes = bytes | bytearray | memoryview


class NeedData(Enum):
    """The type of NEED_DATA, which ``next_event`` returns until more bytes are received."""

    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA


@dataclass(slots=True, init=False)
class BeginRequest:
    """A request and its complete params: BEGIN_REQUEST (§5.1) and the whole PARAMS stream (§5.2).

    ``request_id`` is 1 to 65535. ``role`` is the number of a Role (§6); the application's core
    raises RemoteProtocolError for any other. ``keep_conn`` says that the transport connection stays
    open after the request. ``params`` maps names to values, both str in latin-1, one character for
    each byte; ``repeated`` holds, in order, the pairs whose name ``params`` has already.
    """

    request_id: int
    role: int
    keep_conn: bool
    params: dict[str, str]
    repeated: Pairs

    # Written out, here and for StreamEvent: these are made for every request, and mypyc compiles
    # no method that dataclass makes.
    def __init__(
        self,
        request_id: int,
        role: int,
        keep_conn: bool,
        params: dict[str, str],
        repeated: Pairs = (),
    ) -> None:
        self.request_id = request_id
        self.role = role
        self.keep_conn = keep_conn
        self.params = params
        self.repeated = repeated


@dataclass(slots=True)
class AbortRequest:
    """The Web server gives the request up (§5.4).

    It may come before any BeginRequest was given. An application still sends an EndRequest.
    """

    request_id: int


@dataclass(slots=True, init=False)
class StreamEvent:
    """A piece of a stream: ``data`` is bytes-like; empty, it is the stream's end (§3.3).

    A long piece from the application's core is a memoryview of what was received.
    """

    request_id: int
    data: Bytes

    def __init__(self, request_id: int, data: Bytes) -> None:
        self.request_id = request_id
        self.data = data


class Stdin(StreamEvent):
    """A piece of the request's body, from the Web server (§5.3).

    ``data`` is bytes or a memoryview of any length; empty, it is the end of the body.
    """

    __slots__ = ()


class Data(StreamEvent):
    """A piece of the file that a Filter filters, from the Web server (§5.3, §6.4).

    ``data`` is bytes or a memoryview of any length; empty, it is the end of the file.
    """

    __slots__ = ()


class Stdout(StreamEvent):
    """A piece of the response, from the application (§5.3).

    ``data`` is bytes-like of any length; empty, it is the end of the response.
    """

    __slots__ = ()


class Stderr(StreamEvent):
    """A piece of the application's error output (§5.3).

    ``data`` is bytes-like of any length; empty, it is the end of the output.
    """

    __slots__ = ()


@dataclass(slots=True)
class EndRequest:
    """The request is over (§5.5). The transport connection stays open if keep_conn was set.

    ``app_status`` is a number of 0 to 4294967295 as a CGI program's exit status,
    ``protocol_status`` the number of a ProtocolStatus.
    """

    request_id: int
    app_status: int = 0
    protocol_status: int = ProtocolStatus.REQUEST_COMPLETE


@dataclass(slots=True)
class GetValues:
    """The Web server asks for variables by name, such as FCGI_MAX_CONNS (§4.1).

    ``names`` are str in latin-1.
    """

    names: tuple[str, ...]


@dataclass(slots=True)
class GetValuesResult:
    """The application's answer: the variables that it knows (§4.1).

    ``values`` maps names to values, both str in latin-1.
    """

    values: dict[str, str]


@dataclass(slots=True)
class UnknownType:
    """A management record of a type that is not understood (§4.2).

    ``record_type`` is 0 to 255. Send what the application's core gives back as it is.
    """

    record_type: int


Event = (
    BeginRequest
    | AbortRequest
    | Stdin
    | Data
    | Stdout
    | Stderr
    | EndRequest
    | GetValues
    | GetValuesResult
    | UnknownType
)

NextEvent = Event | Literal[NeedData.NEED_DATA]

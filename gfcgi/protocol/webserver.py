"""The Web server's side of a transport connection, without I/O.

It begins requests, feeds their streams and takes what the application answers. What an
application must not send is an error for the whole transport connection: there is nobody to whom
a part of it could be reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gfcgi.errors import LocalProtocolError, RemoteProtocolError
from gfcgi.protocol.events import (
    AbortRequest,
    BeginRequest,
    Data,
    EndRequest,
    GetValues,
    GetValuesResult,
    Stderr,
    Stdin,
    Stdout,
    UnknownType,
)
from gfcgi.protocol.framing import Connection, encode_stream
from gfcgi.protocol.params import decode_pairs, encode_pairs
from gfcgi.protocol.records import (
    BEGIN_REQUEST_BODY,
    END_REQUEST_BODY,
    KEEP_CONN,
    MAX_CONTENT_BYTES,
    MAX_REQUEST_ID,
    NULL_REQUEST_ID,
    UNKNOWN_TYPE_BODY,
    ProtocolStatus,
    RecordType,
    encode_record,
)
from gfcgi.protocol.states import STREAM_TRANSITIONS, State

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes, Event

__all__ = ["WebServerConnection"]

_STDOUT: Final = int(RecordType.STDOUT)
_STDERR: Final = int(RecordType.STDERR)


class _Request:
    __slots__ = ("open_streams", "role", "state")

    def __init__(self, role: int) -> None:
        self.role = role
        self.state = STREAM_TRANSITIONS[role][State.PARAMS][RecordType.PARAMS]
        self.open_streams = {_STDOUT, _STDERR}


class WebServerConnection(Connection):
    """The Web server's core.

    ``next_event`` gives Stdout, Stderr, EndRequest, GetValuesResult and UnknownType. ``send`` takes
    BeginRequest, Stdin, Data, AbortRequest and GetValues. Write the buffers that ``send`` returns
    whole and in their order, with nothing of another call in between.
    """

    __slots__ = ("_active",)

    _STREAMS = frozenset({_STDOUT, _STDERR})

    def __init__(self) -> None:
        super().__init__()
        self._active: dict[int, _Request] = {}

    @property
    def active_requests(self) -> int:
        """How many requests have begun whose END_REQUEST has not come (§5.5)."""
        return len(self._active)

    def receive_eof(self) -> None:
        """Take the end of the transport connection (end of file).

        Raises: RemoteProtocolError if the end came in the middle of a record (§3.3), or while
        requests are active (§5.5).
        """
        super().receive_eof()
        if self._active:
            raise self._fail("the transport connection ended before END_REQUEST", "5.5")

    # -- what arrives

    def _accepts(self, record_type: int, request_id: int, length: int) -> bool:
        request = self._active.get(request_id)
        if request is None:
            if request_id == NULL_REQUEST_ID:
                raise self._fail("a stream with request id 0, which is for management", "3.3")
            return False
        if record_type not in request.open_streams:
            raise self._fail(f"{RecordType(record_type).name} after its end", "3.3")
        return True

    def _stream_data(self, record_type: int, request_id: int, piece: Bytes) -> Event | None:
        return (Stdout if record_type == _STDOUT else Stderr)(request_id, bytes(piece))

    def _record(self, record_type: int, request_id: int, content: bytes) -> Event | None:
        if request_id == NULL_REQUEST_ID:
            return self._management_record(record_type, content)
        request = self._active.get(request_id)
        if request is None:
            return None
        if record_type == RecordType.END_REQUEST:
            if len(content) != END_REQUEST_BODY.size:
                raise self._fail(f"END_REQUEST of {len(content)} bytes, where 8 are due", "5.5")
            app_status, protocol_status = END_REQUEST_BODY.unpack(content)
            if protocol_status > ProtocolStatus.UNKNOWN_ROLE:
                raise self._fail(f"protocol status {protocol_status} does not exist", "5.5")
            del self._active[request_id]
            return EndRequest(request_id, app_status, protocol_status)
        if record_type not in request.open_streams:
            raise self._fail(f"a record of type {record_type} out of place", "3.3")
        request.open_streams.discard(record_type)
        return (Stdout if record_type == _STDOUT else Stderr)(request_id, b"")

    def _management_record(self, record_type: int, content: bytes) -> Event:
        if record_type == RecordType.GET_VALUES_RESULT:
            try:
                return GetValuesResult(dict(decode_pairs(content)))
            except RemoteProtocolError as error:
                raise self._fail(f"GET_VALUES_RESULT: {error.reason}", error.section) from None
        if record_type == RecordType.UNKNOWN_TYPE and len(content) == UNKNOWN_TYPE_BODY.size:
            return UnknownType(*UNKNOWN_TYPE_BODY.unpack(content))
        raise self._fail(f"a management record of type {record_type} and {len(content)} bytes", "4")

    # -- what is sent

    def send(self, event: object) -> list[Bytes]:
        """Return the buffers to write for an event that a Web server sends.

        ``event`` is a BeginRequest, Stdin, Data, AbortRequest or GetValues. Long stream data is
        referred to, not copied: do not change it before the buffers are written.

        Raises: LocalProtocolError for any other event, a BeginRequest whose request id is in use
        or not 1 to 65535 (§3.3) or whose role does not exist (§6), any other event for a request
        that is not active, a stream that has ended or that the role does not have, or names and
        values that cannot be encoded (§3.4, §4.1).
        """
        if isinstance(event, BeginRequest):
            return self._begin_request(event)
        if isinstance(event, Stdin):
            return self._stream(RecordType.STDIN, event.request_id, event.data)
        if isinstance(event, Data):
            return self._stream(RecordType.DATA, event.request_id, event.data)
        if isinstance(event, AbortRequest):
            self._sendable(event.request_id).state = State.DEAD
            return [encode_record(RecordType.ABORT_REQUEST, event.request_id, b"")]
        if isinstance(event, GetValues):
            content = encode_pairs((name, "") for name in event.names)
            if len(content) > MAX_CONTENT_BYTES:
                raise LocalProtocolError("GET_VALUES must fit into one record", section="4.1")
            return [encode_record(RecordType.GET_VALUES, NULL_REQUEST_ID, content)]
        raise LocalProtocolError(f"a Web server does not send {event!r}", section="8")

    def _begin_request(self, event: BeginRequest) -> list[Bytes]:
        request_id = event.request_id
        if not 0 < request_id <= MAX_REQUEST_ID or request_id in self._active:
            raise LocalProtocolError(
                f"request id {request_id} is in use or out of range",
                section="3.3",
                request_id=request_id,
            )
        if event.role not in STREAM_TRANSITIONS:
            raise LocalProtocolError(f"role {event.role} does not exist", section="6")
        block = encode_pairs((*event.params.items(), *event.repeated))
        body = BEGIN_REQUEST_BODY.pack(event.role, KEEP_CONN if event.keep_conn else 0)
        self._active[request_id] = _Request(event.role)
        buffers: list[Bytes] = [encode_record(RecordType.BEGIN_REQUEST, request_id, body)]
        if block:
            buffers += encode_stream(RecordType.PARAMS, request_id, block)
        buffers.append(encode_record(RecordType.PARAMS, request_id, b""))
        return buffers

    def _stream(self, record_type: RecordType, request_id: int, data: Bytes) -> list[Bytes]:
        request = self._sendable(request_id)
        after = STREAM_TRANSITIONS[request.role].get(request.state, {}).get(record_type)
        if after is None:
            raise LocalProtocolError(
                f"{record_type.name} has ended, or its role has none",
                section="3.3",
                request_id=request_id,
            )
        if len(data):
            return encode_stream(record_type, request_id, data)
        request.state = after
        return [encode_record(record_type, request_id, b"")]

    def _sendable(self, request_id: int) -> _Request:
        request = self._active.get(request_id)
        if request is None:
            raise LocalProtocolError(
                f"request {request_id} is not active", section="3.3", request_id=request_id
            )
        return request

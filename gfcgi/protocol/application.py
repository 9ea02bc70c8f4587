"""The application's side of a transport connection, without I/O.

A request is active from its BEGIN_REQUEST until our END_REQUEST. What may arrive for it in between
is in ``states``; what is not there, like every other malformed input, has one outcome:

========================================================  ====================
what arrives                                              what dies of it
========================================================  ====================
a version other than 1                                    transport connection
an application record type with request id 0              transport connection
GET_VALUES whose pairs overrun                            transport connection
BEGIN_REQUEST of another size than 8                      request
BEGIN_REQUEST for an active request id                    request
a role that does not exist (END_REQUEST: UNKNOWN_ROLE)    request
more requests at once than allowed (OVERLOADED, or
CANT_MPX_CONN where one is allowed)                       request
PARAMS whose pairs overrun, or beyond a bound             request
a stream record before its time or after its end          request
any other type with an active request id                  request
any record for an inactive request id                     nothing (§3.3)
an unknown management record                              nothing: UNKNOWN_TYPE (§4.2)
========================================================  ====================

A request that dies this way stays active, deaf to whatever else comes for it, until its END_REQUEST
is sent: the Web server waits for one, and for a page in STDOUT with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from gfcgi import limits
from gfcgi.errors import Fatal, LimitExceeded, RemoteProtocolError
from gfcgi.protocol.events import (
    AbortRequest,
    BeginRequest,
    Data,
    GetValues,
    Stdin,
    UnknownType,
)
from gfcgi.protocol.params import decode_pairs, decode_params
from gfcgi.protocol.records import (
    BEGIN_REQUEST_BODY,
    HEADER,
    HEADER_BYTES,
    KEEP_CONN,
    NULL_REQUEST_ID,
    VERSION_1,
    ProtocolStatus,
    RecordType,
)
from gfcgi.protocol.responses import ActiveRequest, Responses
from gfcgi.protocol.states import STREAM_TRANSITIONS, State

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes, Event

__all__ = ["ApplicationConnection"]

# Plain ints: comparing with members of an IntEnum costs on the path of every record.
_BEGIN_REQUEST: Final = int(RecordType.BEGIN_REQUEST)
_ABORT_REQUEST: Final = int(RecordType.ABORT_REQUEST)
_PARAMS: Final = int(RecordType.PARAMS)
_STDIN: Final = int(RecordType.STDIN)
_DATA: Final = int(RecordType.DATA)
_GET_VALUES: Final = int(RecordType.GET_VALUES)
_UNKNOWN_TYPE: Final = int(RecordType.UNKNOWN_TYPE)
_DEAD: Final = State.DEAD


class ApplicationConnection(Responses):
    """The application's core.

    ``next_event`` gives BeginRequest, Stdin, Data, AbortRequest, GetValues and UnknownType.
    ``send`` takes Stdout, Stderr, EndRequest, GetValuesResult and UnknownType. Write the buffers
    that ``send`` returns whole and in their order, with nothing of another call in between.

    ``max_params_bytes`` and ``max_params_pairs`` bound a request's PARAMS, in bytes of the encoded
    stream (§5.2) and in name-value pairs (§3.4); ``max_concurrent_requests`` bounds the requests
    that are active at once on the transport connection (§5.5), where 1 means no multiplexing.
    ``next_event`` raises LimitExceeded for the request that goes beyond one of them.
    """

    __slots__ = (
        "_in_params",
        "_max_concurrent_requests",
        "_max_params_bytes",
        "_max_params_pairs",
        "ignored_bytes",
    )

    _STREAMS = frozenset({_PARAMS, _STDIN, _DATA})

    def __init__(
        self,
        *,
        max_params_bytes: int = limits.MAX_PARAMS_BYTES,
        max_params_pairs: int = limits.MAX_PARAMS_PAIRS,
        max_concurrent_requests: int = limits.MAX_CONCURRENT_REQUESTS_PER_CONNECTION,
    ) -> None:
        super().__init__()
        self.ignored_bytes = 0
        """Bytes of streams dropped for inactive request ids (§3.3) since the last BEGIN_REQUEST."""
        self._in_params: dict[int, ActiveRequest] = {}
        self._max_params_bytes = max_params_bytes
        self._max_params_pairs = max_params_pairs
        self._max_concurrent_requests = max_concurrent_requests

    @property
    def receiving_params(self) -> bool:
        """Whether a request's PARAMS (§5.2) or a record (§3.3) have begun and are not complete."""
        if self.has_buffered_data:
            return True
        return any(request.state is State.PARAMS for request in self._active.values())

    @property
    def anything_incomplete(self) -> bool:
        """Whether a record or a request's PARAMS have begun, and may not be complete.

        False is certain; after True, ``in_record`` and ``incomplete_params`` say what it is.
        """
        return (
            self._offset != len(self._buffer)
            or self._content_left != 0
            or self._skip != 0
            or bool(self._in_params)
        )

    @property
    def incomplete_params(self) -> list[int]:
        """The ids of the requests that have begun and whose PARAMS are not complete."""
        waiting = self._in_params
        if not waiting:
            return []
        over = [
            request_id
            for request_id, request in waiting.items()
            if request.state is not State.PARAMS or self._active.get(request_id) is not request
        ]
        for request_id in over:
            del waiting[request_id]
        return list(waiting)

    def receive_eof(self) -> None:
        """Take the end of the transport connection (end of file); its active requests are lost.

        Raises: RemoteProtocolError if the end came in the middle of a record (§3.3) or of a
        request's PARAMS (§5.2).
        """
        super().receive_eof()
        for request_id, request in self._active.items():
            if request.state is State.PARAMS:
                raise self._fail(
                    f"the transport connection ended in the PARAMS of request {request_id}", "5.2"
                )

    # -- what arrives

    def _accepts(self, record_type: int, request_id: int, length: int) -> bool:
        request = self._active.get(request_id)
        if request is None:
            if request_id == NULL_REQUEST_ID:
                raise self._null_request_id(record_type)
            self.ignored_bytes += length
            return False
        state = request.state
        if state is _DEAD:
            return False
        if record_type not in STREAM_TRANSITIONS[request.role][state]:
            self._out_of_place(request_id, request, record_type)
        return True

    def _stream_data(self, record_type: int, request_id: int, piece: Bytes) -> Event | None:
        request = self._active.get(request_id)
        if request is None or request.state is _DEAD:
            return None
        if record_type == _STDIN:
            return Stdin(request_id, piece)
        if record_type == _DATA:
            return Data(request_id, piece)
        block = request.block
        if block is None:
            block = request.block = bytearray()
        if len(block) + len(piece) > self._max_params_bytes:
            request.state = State.DEAD
            request.block = None
            raise LimitExceeded(
                "PARAMS are too long",
                limit="max_params_bytes",
                value=self._max_params_bytes,
                section="5.2",
                request_id=request_id,
                http_status="431 Request Header Fields Too Large",
            )
        block += piece
        return None

    def _record(self, record_type: int, request_id: int, content: bytes) -> Event | None:
        if record_type == _BEGIN_REQUEST and request_id:
            return self._begin_request(request_id, content)
        request = self._active.get(request_id)
        if request is None:
            if request_id == NULL_REQUEST_ID:
                return self._management_record(record_type, content)
            return None
        if request.state is _DEAD:
            return None
        if record_type == _ABORT_REQUEST:
            request.state = State.DEAD
            return AbortRequest(request_id)
        after = STREAM_TRANSITIONS[request.role][request.state].get(record_type)
        if after is None:
            self._out_of_place(request_id, request, record_type)
        request.state = after
        if record_type == _STDIN:
            return Stdin(request_id, b"")
        if record_type == _DATA:
            return Data(request_id, b"")
        block = b"" if request.block is None else bytes(request.block)
        request.block = None
        return self._params_complete(request_id, request, block)

    def _params_at_once(self, request_id: int, request: ActiveRequest) -> Event | None:
        """Take PARAMS that are in the buffer whole, one record and its empty one.

        So nearly every Web server sends them. Whatever is there in another form is left alone.
        """
        buffer = self._buffer
        start = self._offset + HEADER_BYTES
        if self._skip or len(buffer) < start:
            return None
        version, record_type, of_request, length, padding = HEADER.unpack_from(buffer, self._offset)
        end = start + length + padding
        if (
            record_type != _PARAMS
            or of_request != request_id
            or version != VERSION_1
            or not 0 < length <= self._max_params_bytes
            or len(buffer) < end + HEADER_BYTES
        ):
            return None
        version, record_type, of_request, more, padding = HEADER.unpack_from(buffer, end)
        if record_type != _PARAMS or of_request != request_id or version != VERSION_1 or more:
            return None
        self._offset = end + HEADER_BYTES
        self._skip = padding
        request.state = STREAM_TRANSITIONS[request.role][State.PARAMS][_PARAMS]
        return self._params_complete(request_id, request, buffer[start : start + length])

    def _params_complete(
        self, request_id: int, request: ActiveRequest, block: bytes
    ) -> BeginRequest:
        try:
            params, repeated = decode_params(block, max_pairs=self._max_params_pairs)
        except RemoteProtocolError as error:
            request.state = State.DEAD
            error.request_id = request_id
            error.fatal = Fatal.REQUEST
            raise
        return BeginRequest(request_id, request.role, request.keep_conn, params, repeated)

    def _begin_request(self, request_id: int, content: bytes) -> Event | None:
        request = self._active.get(request_id)
        if request is not None:
            if request.state is not _DEAD:
                self._refuse(
                    request_id, request, "BEGIN_REQUEST for an active request id", section="3.3"
                )
            return None
        if len(content) != BEGIN_REQUEST_BODY.size:
            request = self._active[request_id] = ActiveRequest(0, keep_conn=False)
            self._refuse(
                request_id,
                request,
                f"BEGIN_REQUEST of {len(content)} bytes, where 8 are due",
                section="5.1",
            )
        self.ignored_bytes = 0
        role, flags = BEGIN_REQUEST_BODY.unpack(content)
        request = ActiveRequest(role, keep_conn=bool(flags & KEEP_CONN))
        others = len(self._active)
        self._active[request_id] = request
        if role not in STREAM_TRANSITIONS:
            self._refuse(
                request_id,
                request,
                f"role {role} does not exist",
                section="6",
                protocol_status=ProtocolStatus.UNKNOWN_ROLE,
                http_status="500 Internal Server Error",
            )
        most = self._max_concurrent_requests
        if others >= most:
            request.state = State.DEAD
            raise LimitExceeded(
                "too many requests at once on a transport connection",
                limit="max_concurrent_requests_per_connection",
                value=most,
                section="5.5",
                request_id=request_id,
                protocol_status=(
                    ProtocolStatus.CANT_MPX_CONN if most == 1 else ProtocolStatus.OVERLOADED
                ),
                http_status="503 Service Unavailable",
            )
        event = self._params_at_once(request_id, request)
        if event is None:
            self._in_params[request_id] = request
        return event

    def _management_record(self, record_type: int, content: bytes) -> Event | None:
        if record_type == _GET_VALUES:
            try:
                pairs = decode_pairs(content)
            except RemoteProtocolError as error:
                raise self._fail(f"GET_VALUES: {error.reason}", error.section) from None
            return GetValues(tuple(name for name, _ in pairs))
        if record_type == _UNKNOWN_TYPE:
            # Answering it with another would never end.
            return None
        if _BEGIN_REQUEST <= record_type <= _DATA:
            raise self._null_request_id(record_type)
        return UnknownType(record_type)

    # -- what is wrong with it

    def _null_request_id(self, record_type: int) -> RemoteProtocolError:
        return self._fail(
            f"{RecordType(record_type).name} with request id 0, which is for management", "3.3"
        )

    def _out_of_place(self, request_id: int, request: ActiveRequest, record_type: int) -> NoReturn:
        try:
            name = RecordType(record_type).name
        except ValueError:
            name = f"a record of unknown type {record_type}"
        state = request.state.name.replace("_", " ")
        self._refuse(
            request_id,
            request,
            f"{name} out of place, with these streams open: {state}",
            section="3.3",
        )

    def _refuse(
        self,
        request_id: int,
        request: ActiveRequest,
        reason: str,
        *,
        section: str,
        protocol_status: int = ProtocolStatus.REQUEST_COMPLETE,
        http_status: str = "400 Bad Request",
    ) -> NoReturn:
        request.state = State.DEAD
        raise RemoteProtocolError(
            reason,
            section=section,
            request_id=request_id,
            fatal=Fatal.REQUEST,
            protocol_status=protocol_status,
            http_status=http_status,
        )

"""The sending half of the application's core: responses and their ends, as buffers.

It knows which requests are active, because nothing is sent for any other (§3.3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from gfcgi.errors import LocalProtocolError
from gfcgi.protocol.events import EndRequest, GetValuesResult, Stderr, Stdout, UnknownType
from gfcgi.protocol.framing import Connection, encode_stream
from gfcgi.protocol.params import encode_pairs
from gfcgi.protocol.records import (
    END_REQUEST_BODY,
    HEADER,
    HEADER_BYTES,
    MAX_CONTENT_BYTES,
    NULL_REQUEST_ID,
    PADDING,
    UNKNOWN_TYPE_BODY,
    VERSION_1,
    ProtocolStatus,
    RecordType,
    encode_record,
)
from gfcgi.protocol.states import State

if TYPE_CHECKING:
    from gfcgi.protocol.events import Bytes

__all__ = ["ActiveRequest", "Responses"]

_STDOUT: Final = int(RecordType.STDOUT)
_STDERR: Final = int(RecordType.STDERR)
_END_REQUEST: Final = int(RecordType.END_REQUEST)
_END_REQUEST_BYTES: Final = END_REQUEST_BODY.size

_LAST_RECORDS: Final = struct.Struct(">BBHHBx BBHHBx IB3x")
"""An empty STDOUT record and END_REQUEST."""


class ActiveRequest:
    """What the core knows of a request between its BEGIN_REQUEST and our END_REQUEST."""

    __slots__ = (
        "block",
        "keep_conn",
        "role",
        "state",
        "stderr_begun",
        "stderr_ended",
        "stdout_ended",
    )

    def __init__(self, role: int, keep_conn: bool) -> None:
        self.role = role
        self.keep_conn = keep_conn
        self.state = State.PARAMS
        self.block: bytearray | None = None
        """What has come of PARAMS in pieces: one object, because a record may have one byte."""
        self.stdout_ended = False
        self.stderr_begun = False
        self.stderr_ended = False


class Responses(Connection):
    """Makes records of Stdout, Stderr, EndRequest, GetValuesResult and UnknownType."""

    __slots__ = ("_active", "_close_wanted", "_input_lost")

    def __init__(self) -> None:
        super().__init__()
        self._active: dict[int, ActiveRequest] = {}
        self._close_wanted = False
        self._input_lost = False

    @property
    def active_requests(self) -> int:
        """How many requests have begun and not ended (§3.3)."""
        return len(self._active)

    @property
    def should_close(self) -> bool:
        """Whether the application must close the transport connection (§3.5).

        It must when no request is active and one has ended that came without KEEP_CONN.
        """
        return self._close_wanted and not self._active

    @property
    def input_was_lost(self) -> bool:
        """Whether a request ended while the Web server may still have been sending for it (§5.3).

        Then a close that does not read the rest first may reset the connection, and the Web server
        may lose the response.
        """
        return self._input_lost

    def send(self, event: object) -> list[Bytes]:
        """Return the buffers to write for an event that an application sends.

        ``event`` is a Stdout, Stderr, EndRequest, GetValuesResult or UnknownType. Long stream data
        is referred to, not copied: do not change it before the buffers are written.

        Raises: LocalProtocolError for any other event, a request that is not active (§3.3), a
        stream that has ended (§3.3), or values that no record can hold (§4.1, §4.2, §5.5).
        """
        if isinstance(event, Stdout):
            return self.send_stdout(event.request_id, event.data)
        if isinstance(event, Stderr):
            return self._send_stderr(event.request_id, event.data)
        if isinstance(event, EndRequest):
            return self.send_end(
                event.request_id,
                app_status=event.app_status,
                protocol_status=event.protocol_status,
            )
        if isinstance(event, GetValuesResult):
            content = encode_pairs(event.values.items())
            if len(content) > MAX_CONTENT_BYTES:
                raise LocalProtocolError(
                    "GET_VALUES_RESULT must fit into one record", section="4.1"
                )
            return [encode_record(RecordType.GET_VALUES_RESULT, NULL_REQUEST_ID, content)]
        if isinstance(event, UnknownType):
            if not 0 <= event.record_type <= 0xFF:
                raise LocalProtocolError(f"no record has type {event.record_type}", section="4.2")
            content = UNKNOWN_TYPE_BODY.pack(event.record_type)
            return [encode_record(RecordType.UNKNOWN_TYPE, NULL_REQUEST_ID, content)]
        raise LocalProtocolError(f"an application does not send {event!r}", section="8")

    def send_stdout(self, request_id: int, data: Bytes) -> list[Bytes]:
        """Do what ``send(Stdout(request_id, data))`` does.

        ``data`` is bytes of the response, of any length; empty, it ends the stream (§5.3).

        Raises: LocalProtocolError, as ``send`` does.
        """
        request = self._sendable(request_id)
        if request.stdout_ended:
            raise self._has_ended("STDOUT", request_id)
        if len(data) == 0:
            request.stdout_ended = True
            return [encode_record(_STDOUT, request_id, b"")]
        return encode_stream(RecordType.STDOUT, request_id, data)

    def send_stdout_header(self, request_id: int, length: int) -> tuple[bytes, bytes]:
        """Return header and padding of a STDOUT record whose content is written by other means.

        ``length`` is 1 to 65535 bytes; write exactly as many between the two, by sendfile for one.

        Raises: LocalProtocolError for another length (§3.3), a request that is not active, or a
        stream that has ended.
        """
        if self._sendable(request_id).stdout_ended:
            raise self._has_ended("STDOUT", request_id)
        if not 0 < length <= MAX_CONTENT_BYTES:
            raise LocalProtocolError(f"no STDOUT record has {length} bytes", section="3.3")
        padding = -length & 7
        header = HEADER.pack(VERSION_1, RecordType.STDOUT, request_id, length, padding)
        return header, PADDING[padding]

    def _send_stderr(self, request_id: int, data: Bytes) -> list[Bytes]:
        request = self._sendable(request_id)
        if request.stderr_ended:
            raise self._has_ended("STDERR", request_id)
        if len(data) == 0:
            request.stderr_ended = True
            return [encode_record(_STDERR, request_id, b"")]
        request.stderr_begun = True
        return encode_stream(RecordType.STDERR, request_id, data)

    def send_end(
        self,
        request_id: int,
        data: Bytes = b"",
        *,
        app_status: int = 0,
        protocol_status: int = ProtocolStatus.REQUEST_COMPLETE,
    ) -> list[Bytes]:
        """End a request (§5.5): return the last of STDOUT, the ends of its streams, END_REQUEST.

        ``data`` is the last bytes of the response, ``app_status`` a number of 0 to 4294967295 as a
        CGI program's exit status, ``protocol_status`` a ProtocolStatus. Write the buffers at once:
        some Web servers take anything less for a broken answer. The request is not active any more.

        Raises: LocalProtocolError for a request that is not active, a number that is out of range,
        or ``data`` after the end of STDOUT.
        """
        request = self._sendable(request_id)
        if len(data) and request.stdout_ended:
            raise self._has_ended("STDOUT", request_id)
        try:
            # fmt: off
            last = _LAST_RECORDS.pack(
                VERSION_1, _STDOUT, request_id, 0, 0,
                VERSION_1, _END_REQUEST, request_id, _END_REQUEST_BYTES, 0,
                app_status, protocol_status,
            )
            # fmt: on
        except struct.error:
            raise LocalProtocolError(
                f"app status {app_status} or protocol status {protocol_status} is out of range",
                section="5.5",
                request_id=request_id,
            ) from None
        if request.stdout_ended:
            last = last[HEADER_BYTES:]
        if request.stderr_begun and not request.stderr_ended:
            last = encode_record(_STDERR, request_id, b"") + last
        buffers = encode_stream(RecordType.STDOUT, request_id, data) if len(data) else []
        if len(buffers) == 1:
            buffers[0] += last  # type: ignore[operator]
        else:
            buffers.append(last)
        del self._active[request_id]
        if not request.keep_conn:
            self._close_wanted = True
        if request.state is not State.COMPLETE:
            self._input_lost = True
        return buffers

    def send_abort(self, request_id: int) -> list[Bytes]:
        """Return what makes a Web server give up the response; close the connection after it.

        It is ABORT_REQUEST, which an application may not send (§5.4). nginx breaks its own response
        off for it, but takes the mere end of a connection for the end of the response. The request
        is not active any more.

        Raises: LocalProtocolError for a request that is not active.
        """
        self._sendable(request_id)
        del self._active[request_id]
        self._close_wanted = True
        return [encode_record(RecordType.ABORT_REQUEST, request_id, b"")]

    def _sendable(self, request_id: int) -> ActiveRequest:
        request = self._active.get(request_id)
        if request is None:
            raise LocalProtocolError(
                f"request {request_id} is not active", section="3.3", request_id=request_id
            )
        return request

    def _has_ended(self, stream: str, request_id: int) -> LocalProtocolError:
        return LocalProtocolError(
            f"{stream} has ended already", section="3.3", request_id=request_id
        )

"""A core fed with bytes, and everything that it gave, in a shape that compares and prints."""

from __future__ import annotations

from collections.abc import Iterable

from gfcgi.errors import Fatal, LimitExceeded, RemoteProtocolError
from gfcgi.protocol import (
    NEED_DATA,
    AbortRequest,
    ApplicationConnection,
    BeginRequest,
    Data,
    EndRequest,
    Event,
    GetValues,
    GetValuesResult,
    Role,
    Stderr,
    Stdin,
    Stdout,
    UnknownType,
    WebServerConnection,
)


class Transcript:
    """What a core gave, in order; data of one stream that follows itself is joined.

    An event is a tuple of plain values: its class' name, the request id, the rest. An error is
    ``("error", what dies, request id, section, …)``. With ``answering``, each request is ended
    as soon as nothing more can come for it, as an application would; its END_REQUEST is not kept.
    """

    def __init__(
        self,
        connection: ApplicationConnection | WebServerConnection,
        *,
        answering: bool = False,
    ) -> None:
        self.connection = connection
        self.broken = False
        """Whether an error ended the transport connection."""
        self._answering = answering
        self._events: list[tuple[object, ...]] = []
        self._pieces: list[bytes] = []
        self._streams: dict[int, set[type]] = {}

    @property
    def events(self) -> list[tuple[object, ...]]:
        """All events up to now."""
        self._join()
        return self._events

    def feed(self, pieces: Iterable[bytes]) -> Transcript:
        """Give the core these pieces one after the other, pulling all events after each."""
        for piece in pieces:
            if self.broken:
                break
            self.connection.receive_data(piece)
            self.pull()
        return self

    def eof(self) -> Transcript:
        """Tell the core that the transport connection has ended."""
        if not self.broken:
            try:
                self.connection.receive_eof()
            except RemoteProtocolError as error:
                self._note_error(error)
        return self

    def pull(self) -> None:
        """Take events until the core needs data or the transport connection is broken."""
        while not self.broken:
            try:
                event = self.connection.next_event()
            except RemoteProtocolError as error:
                self._note_error(error)
                if error.fatal is Fatal.REQUEST:
                    self._end(error.request_id)
                continue
            if event is NEED_DATA:
                return
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, (Stdin, Data, Stdout, Stderr)):
            kind = type(event).__name__
            self._note_stream(kind, event.request_id, bytes(event.data))
            if not event.data:
                open_streams = self._streams[event.request_id]
                open_streams.discard(type(event))
                if not open_streams:
                    self._end(event.request_id)
            return
        self._join()
        match event:
            case BeginRequest(request_id, role, keep_conn, params, repeated):
                self._events.append(
                    ("BeginRequest", request_id, role, keep_conn, tuple(params.items()), *repeated)
                )
                self._streams[request_id] = {Stdin, Data} if role == Role.FILTER else {Stdin}
            case AbortRequest(request_id):
                self._events.append(("AbortRequest", request_id))
                self._end(request_id)
            case EndRequest(request_id, app_status, protocol_status):
                self._events.append(("EndRequest", request_id, app_status, protocol_status))
            case GetValues(names):
                self._events.append(("GetValues", *names))
            case GetValuesResult(values):
                self._events.append(("GetValuesResult", *values.items()))
            case UnknownType(record_type):
                self._events.append(("UnknownType", record_type))

    def _note_stream(self, kind: str, request_id: int, piece: bytes) -> None:
        self._streams.setdefault(request_id, {Stdout, Stderr})
        last = self._events[-1] if self._events else ()
        if piece and self._pieces and last[:2] == (kind, request_id):
            self._pieces.append(piece)
            return
        self._join()
        self._events.append((kind, request_id, piece))
        if piece:
            self._pieces = [piece]

    def _join(self) -> None:
        if self._pieces:
            kind, request_id, _ = self._events[-1]
            self._events[-1] = (kind, request_id, b"".join(self._pieces))
            self._pieces = []

    def _note_error(self, error: RemoteProtocolError) -> None:
        self._join()
        self.broken = error.fatal is Fatal.TRANSPORT_CONNECTION
        facts: list[object] = ["error", error.fatal.value, error.request_id, error.section]
        if error.protocol_status:
            facts.append(int(error.protocol_status))
        if isinstance(error, LimitExceeded):
            facts.append(error.limit)
        self._events.append(tuple(facts))

    def _end(self, request_id: int) -> None:
        if self._answering and isinstance(self.connection, ApplicationConnection):
            self.connection.send(EndRequest(request_id))


def replay(
    pieces: Iterable[bytes], *, answering: bool = True, eof: bool = True
) -> list[tuple[object, ...]]:
    """The events of a new application's core for these pieces, and for the end after them."""
    transcript = Transcript(ApplicationConnection(), answering=answering).feed(pieces)
    if eof:
        transcript.eof()
    return transcript.events

"""The two cores talk with each other: what one is given to send is what the other gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import webserver_side as wire
from hypothesis import given
from hypothesis import strategies as st
from replay import Transcript
from replay.examples import examples
from replay.strategies import (
    cut,
    cut_places,
    names_and_values,
    params,
    request_ids,
    roles,
    stream_pieces,
)

from gfcgi.errors import LocalProtocolError
from gfcgi.protocol import (
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


class Recorder(Transcript):
    """A Transcript that is told what was sent instead of pulling it: what is to be expected."""

    def __init__(self) -> None:
        super().__init__(WebServerConnection())

    def expect(self, event: Event) -> None:
        self._note(event)


@st.composite
def interleavings(draw: st.DrawFn, conversations: st.SearchStrategy) -> list[Event]:
    """The events of several conversations, each in its order and all of them mixed."""
    queues: list[Iterator[Event]] = []
    turns: list[int] = []
    for request_id in draw(st.lists(request_ids, min_size=1, max_size=4, unique=True)):
        events = draw(conversations(request_id))
        turns += [len(queues)] * len(events)
        queues.append(iter(events))
    return [next(queues[turn]) for turn in draw(st.permutations(turns))]


@st.composite
def requests(draw: st.DrawFn, request_id: int) -> list[Event]:
    """What a Web server says of one request; some are given up before they are complete."""
    role = draw(roles)
    again = draw(st.lists(names_and_values, max_size=2))
    named = draw(params)
    repeated = tuple((name, value) for name in list(named)[:1] for value in again)
    events: list[Event] = [BeginRequest(request_id, role, draw(st.booleans()), named, repeated)]
    streams = [[Stdin(request_id, piece) for piece in draw(st.lists(stream_pieces, max_size=3))]]
    streams[0].append(Stdin(request_id, b""))
    if role == Role.FILTER:
        pieces = draw(st.lists(stream_pieces, max_size=3))
        streams.append([Data(request_id, piece) for piece in [*pieces, b""]])
    turns = [turn for turn, stream in enumerate(streams) for _ in stream]
    queues = [iter(stream) for stream in streams]
    events += [next(queues[turn]) for turn in draw(st.permutations(turns))]
    if draw(st.integers(0, 3)) == 0:
        events = [*events[: draw(st.integers(1, len(events)))], AbortRequest(request_id)]
    return events


@st.composite
def responses(draw: st.DrawFn, request_id: int) -> list[Event]:
    """What an application says of one request; its streams may be ended before it or with it."""
    events: list[Event] = []
    for kind in (Stdout, Stderr):
        pieces = draw(st.lists(stream_pieces, max_size=3))
        events += [kind(request_id, piece) for piece in pieces]
    events = list(draw(st.permutations(events)))
    for kind in (Stdout, Stderr):
        if draw(st.booleans()):
            events.append(kind(request_id, b""))
    events.append(EndRequest(request_id, draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 3))))
    return events


@given(interleavings(requests), cut_places)
@examples(300)
def test_the_application_is_given_what_the_web_server_said(events, places):
    web_server, expected = WebServerConnection(), Recorder()
    content = b""
    for event in events:
        content += b"".join(web_server.send(event))
        expected.expect(event)
    application = ApplicationConnection()
    transcript = Transcript(application).feed(cut(content, places)).eof()
    assert transcript.events == expected.events
    assert application.active_requests == web_server.active_requests


@given(interleavings(responses), cut_places)
@examples(300)
def test_the_web_server_is_given_what_the_application_said(events, places):
    application, web_server, expected = begun(events)
    content = b""
    opened: set[tuple[int, type]] = set()
    for event in events:
        content += b"".join(application.send(event))
        key = (event.request_id, type(event))
        if isinstance(event, EndRequest):
            # The streams that are open are ended with the request, STDERR only if it was used.
            if (event.request_id, Stderr) in opened:
                expected.expect(Stderr(event.request_id, b""))
            if (event.request_id, Stdout, "ended") not in opened:
                expected.expect(Stdout(event.request_id, b""))
        elif event.data:
            opened.add(key)
        else:
            opened.discard(key)
            opened.add((*key, "ended"))
        expected.expect(event)
    transcript = Transcript(web_server).feed(cut(content, places)).eof()
    assert transcript.events == expected.events
    assert application.active_requests == web_server.active_requests == 0


def begun(events: list[Event]) -> tuple[ApplicationConnection, WebServerConnection, Recorder]:
    """Both cores, with the requests of these events begun."""
    application, web_server = ApplicationConnection(), WebServerConnection()
    for request_id in {event.request_id for event in events}:
        for buffer in web_server.send(BeginRequest(request_id, 1, True, {})):
            application.receive_data(bytes(buffer))
    Transcript(application).pull()
    return application, web_server, Recorder()


@given(st.lists(names_and_values, max_size=5), params, st.integers(0, 255))
def test_management_records_are_given_as_they_were_said(names, values, record_type):
    for sender, receiver, event in (
        (WebServerConnection(), ApplicationConnection(), GetValues(tuple(names))),
        (ApplicationConnection(), WebServerConnection(), GetValuesResult(values)),
        (ApplicationConnection(), WebServerConnection(), UnknownType(record_type)),
    ):
        receiver.receive_data(b"".join(sender.send(event)))
        assert receiver.next_event() == event


_any_id = st.sampled_from([0, 1, 2, 3, 65535, 65536, -1])
_any_data = st.one_of(st.just(b""), stream_pieces)
any_events = st.one_of(
    st.builds(Stdin, _any_id, _any_data),
    st.builds(Data, _any_id, _any_data),
    st.builds(Stdout, _any_id, _any_data),
    st.builds(Stderr, _any_id, _any_data),
    st.builds(AbortRequest, _any_id),
    st.builds(EndRequest, _any_id, st.integers(-1, 2**32), st.integers(-1, 4)),
    st.builds(BeginRequest, _any_id, st.integers(-1, 4), st.booleans(), params),
    st.builds(BeginRequest, _any_id, st.just(1), st.booleans(), st.just({"€": ""})),
    st.builds(GetValues, st.lists(st.text(max_size=5), max_size=3).map(tuple)),
    st.builds(GetValuesResult, st.dictionaries(st.text(max_size=5), st.text(max_size=5))),
    st.builds(UnknownType, st.integers(-1, 256)),
)


@given(st.lists(any_events, max_size=20))
@examples(400)
def test_an_application_that_is_misused_sends_nothing_wrong(events):
    application, web_server, _ = begun([EndRequest(1), EndRequest(2), EndRequest(65535)])
    content = b""
    for event in events:
        with suppress(LocalProtocolError):
            content += b"".join(application.send(event))
    _, rest = wire.parse_records(content)
    assert rest == b""
    transcript = Transcript(web_server).feed([content])
    errors = [event for event in transcript.events if event[0] == "error"]
    # A protocol status that does not exist fits into a record: that much is not checked.
    assert {error[3] for error in errors} <= {"5.5"}


@given(st.lists(any_events, max_size=20))
@examples(400)
def test_a_web_server_that_is_misused_sends_nothing_wrong(events):
    web_server = WebServerConnection()
    content = b""
    for event in events:
        with suppress(LocalProtocolError):
            content += b"".join(web_server.send(event))
    _, rest = wire.parse_records(content)
    assert rest == b""
    transcript = Transcript(ApplicationConnection()).feed([content])
    assert not [event for event in transcript.events if event[0] == "error"]

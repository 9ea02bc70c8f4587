"""The application's core beside a simple model of it, through any mix of multiplexed requests.

The model knows for each request id which streams are open, and whether the request is dead. Every
rule says something on the wire, right or wrong, and what must come of it; the bytes arrive in
pieces, some of them rules later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import webserver_side as wire
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from replay import Transcript
from replay.examples import examples
from replay.strategies import octets, pair_lists, request_ids, roles

from gfcgi.errors import LocalProtocolError
from gfcgi.protocol import ApplicationConnection, EndRequest, Stderr, Stdout

MOST = 5
KIND = {wire.STDIN: "Stdin", wire.DATA: "Data"}
streams = st.sampled_from([wire.PARAMS, wire.STDIN, wire.DATA])
content = st.binary(min_size=1, max_size=30)


@dataclass
class Request:
    """What the model knows of a request between its BEGIN_REQUEST and our END_REQUEST."""

    role: int
    keep_conn: bool
    streams: set[int] = field(default_factory=lambda: {wire.PARAMS})
    pairs: list[tuple[str, str]] = field(default_factory=list)
    rest: bytes = b""
    dead: bool = False


class Multiplexing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.core = ApplicationConnection(max_concurrent_requests=MOST)
        self.transcript = Transcript(self.core)
        self.expected: list[tuple[object, ...]] = []
        self.requests: dict[int, Request] = {}
        self.on_the_way = b""
        self.ended_without_keep_conn = False

    # -- the Web server

    def says(self, *parts: bytes) -> None:
        self.on_the_way += b"".join(parts)

    def expect(self, *event: object) -> None:
        last = self.expected[-1] if self.expected else ()
        if event[0] in KIND.values() and event[:2] == last[:2] and event[2] and last[2]:
            event = (*event[:2], last[2] + event[2])
            self.expected.pop()
        self.expected.append(event)

    def dies(self, request_id: int, section: str, *more: object) -> None:
        self.requests[request_id].dead = True
        self.expect("error", "request", request_id, section, *more)

    @rule(request_id=request_ids, role=roles, keep_conn=st.booleans(), padding=st.integers(0, 9))
    def begins(self, request_id: int, role: int, keep_conn: bool, padding: int) -> None:
        body = bytes([0, role, keep_conn, 0, 0, 0, 0, 0])
        self.says(wire.record(wire.BEGIN_REQUEST, request_id, body, padding=padding))
        request = self.requests.get(request_id)
        if request is None:
            others = len(self.requests)
            self.requests[request_id] = Request(role, keep_conn)
            if others >= MOST:
                limit = "max_concurrent_requests_per_connection"
                self.dies(request_id, "5.5", wire.OVERLOADED, limit)
        elif not request.dead:
            self.dies(request_id, "3.3")

    @rule(request_id=request_ids, role=st.sampled_from([0, 4, 65535]))
    def begins_in_an_unknown_role(self, request_id: int, role: int) -> None:
        if request_id not in self.requests:
            self.says(wire.begin_request(request_id, role))
            self.requests[request_id] = Request(role, keep_conn=False)
            self.dies(request_id, "6", wire.UNKNOWN_ROLE)

    @rule(request_id=request_ids, pairs=pair_lists, size=st.integers(1, 40))
    def sends_params(self, request_id: int, pairs: list[tuple[str, str]], size: int) -> None:
        block = wire.pairs(octets(pairs))
        self.says(wire.stream(wire.PARAMS, request_id, block, chunk=size, end=False))
        request = self.requests.get(request_id)
        if block and request is not None and not request.dead:
            if wire.PARAMS in request.streams:
                request.pairs += pairs
            else:
                self.dies(request_id, "3.3")

    @rule(request_id=request_ids, stream=streams, piece=content, padding=st.integers(0, 255))
    def sends(self, request_id: int, stream: int, piece: bytes, padding: int) -> None:
        if stream == wire.PARAMS:
            return
        self.says(wire.record(stream, request_id, piece, padding=padding))
        request = self.requests.get(request_id)
        if request is not None and not request.dead:
            if stream in request.streams:
                self.expect(KIND[stream], request_id, piece)
            else:
                self.dies(request_id, "3.3")

    @rule(request_id=request_ids, stream=streams)
    def ends_a_stream(self, request_id: int, stream: int) -> None:
        self.says(wire.record(stream, request_id))
        request = self.requests.get(request_id)
        if request is None or request.dead:
            return
        if stream not in request.streams:
            self.dies(request_id, "3.3")
        elif stream == wire.PARAMS:
            self.params_end(request_id, request)
        else:
            request.streams.remove(stream)
            self.expect(KIND[stream], request_id, b"")

    def params_end(self, request_id: int, request: Request) -> None:
        first: dict[str, str] = {}
        repeated = []
        for name, value in request.pairs:
            if name in first:
                repeated.append((name, value))
            else:
                first[name] = value
        self.expect(
            "BeginRequest",
            request_id,
            request.role,
            request.keep_conn,
            tuple(first.items()),
            *repeated,
        )
        filters = request.role == wire.FILTER
        request.streams = {wire.STDIN, wire.DATA} if filters else {wire.STDIN}

    @rule(request_id=request_ids)
    def sends_a_whole_request(self, request_id: int) -> None:
        self.begins(request_id, wire.RESPONDER, True, 0)
        self.ends_a_stream(request_id, wire.PARAMS)
        self.ends_a_stream(request_id, wire.STDIN)

    @rule(request_id=request_ids)
    def aborts(self, request_id: int) -> None:
        self.says(wire.abort_request(request_id))
        request = self.requests.get(request_id)
        if request is not None and not request.dead:
            request.dead = True
            self.expect("AbortRequest", request_id)

    @rule(
        request_id=request_ids,
        record_type=st.one_of(st.sampled_from([0, 3, 6, 7, 9, 10, 11]), st.integers(12, 255)),
        piece=st.binary(max_size=10),
    )
    def sends_what_no_web_server_sends(
        self, request_id: int, record_type: int, piece: bytes
    ) -> None:
        self.says(wire.record(record_type, request_id, piece, padding=3))
        request = self.requests.get(request_id)
        if request is not None and not request.dead:
            self.dies(request_id, "3.3")

    @rule(names=st.lists(st.sampled_from(["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "OTHER"]), max_size=3))
    def asks_for_values(self, names: list[str]) -> None:
        self.says(wire.get_values(*names))
        self.expect("GetValues", *names)

    @rule(record_type=st.integers(12, 255))
    def sends_an_unknown_management_record(self, record_type: int) -> None:
        self.says(wire.record(record_type, 0, b"abc", padding=5))
        self.expect("UnknownType", record_type)

    # -- the wire

    @rule(size=st.integers(1, 60))
    def some_bytes_arrive(self, size: int) -> None:
        piece, self.on_the_way = self.on_the_way[:size], self.on_the_way[size:]
        self.transcript.feed([piece])

    @rule()
    def all_bytes_arrive(self) -> None:
        self.transcript.feed([self.on_the_way])
        self.on_the_way = b""

    # -- the application, which knows of requests only what has arrived

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def the_application_ends_a_request(self, data: st.DataObject) -> None:
        self.all_bytes_arrive()
        request_id = data.draw(st.sampled_from(sorted(self.requests)))
        request = self.requests.pop(request_id)
        self.core.send(Stdout(request_id, b"x"))
        self.core.send(EndRequest(request_id))
        if not (request.keep_conn and request.role in (1, 2, 3)):
            self.ended_without_keep_conn = True

    @rule(request_id=request_ids)
    def the_application_does_not_know_when_to_stop(self, request_id: int) -> None:
        self.all_bytes_arrive()
        if request_id not in self.requests:
            for event in (
                Stdout(request_id, b"x"),
                Stderr(request_id, b""),
                EndRequest(request_id),
            ):
                with pytest.raises(LocalProtocolError):
                    self.core.send(event)

    # -- what must hold

    @invariant()
    def what_was_given_was_expected(self) -> None:
        given = self.transcript.events
        if not self.on_the_way:
            assert given == self.expected
            assert self.core.active_requests == len(self.requests)
            assert self.core.receiving_params is any(
                wire.PARAMS in request.streams and not request.dead
                for request in self.requests.values()
            )
            closing = self.ended_without_keep_conn and not self.requests
            assert self.core.should_close is closing
        else:
            assert given[:-1] == self.expected[: len(given)][:-1]

    def teardown(self) -> None:
        self.all_bytes_arrive()
        self.what_was_given_was_expected()
        lost = [request for request in self.requests.values() if not request.dead]
        self.transcript.eof()
        if any(wire.PARAMS in request.streams for request in lost):
            self.expect("error", "transport connection", 0, "5.2")
        assert self.transcript.events == self.expected


TestMultiplexing = Multiplexing.TestCase
TestMultiplexing.settings = examples(200, stateful_step_count=60)

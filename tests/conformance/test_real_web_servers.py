"""Bytes recorded from real Web servers, sent to a running server: each request is answered once."""

from __future__ import annotations

import pytest
import webserver_side as wire
from replay import Capture, at_random, captures
from running import THREADS, RunningServer

VARIANTS: dict[str, list[Capture]] = {}
for capture in captures():
    VARIANTS.setdefault(capture.name.partition("/")[0], []).append(capture)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_request_is_answered_with_a_page_and_its_end(server: RunningServer, variant: str):
    for capture in VARIANTS[variant]:
        content = capture.content
        records, _ = wire.parse_records(content)
        aborted = {r.request_id for r in records if r.type == wire.ABORT_REQUEST}
        for cut in (lambda part: [part], lambda part: at_random(part, seed=1)):
            with server.connect() as connection:
                for part, begun in conversation(content):
                    for piece in filter(None, cut(part)):  # nothing, sent too late, is an error
                        connection.send(piece)
                    for request_id in begun:
                        response = connection.response(request_id)
                        assert response.protocol_status == wire.REQUEST_COMPLETE, capture.name
                        if request_id not in aborted:
                            assert response.status in (200, 404), capture.name
    assert not [w for w in server.warnings if not (THREADS and "wait in line" in w)]


def conversation(content: bytes) -> list[tuple[bytes, list[int]]]:
    """What to send before answers are read, and the ids of the requests that begin in it.

    All at once in greenlets. A thread answers later, and until then an id cannot be used again.
    """
    parts: list[tuple[bytes, list[int]]] = []
    start = end = 0
    begun: list[int] = []
    for record in wire.parse_records(content)[0]:
        if record.type == wire.BEGIN_REQUEST:
            if THREADS and record.request_id in begun:
                parts.append((content[start:end], begun))
                start, begun = end, []
            begun.append(record.request_id)
        end += wire.HEADER_LEN + len(record.content) + record.padding
    return [*parts, (content[start:], begun)]

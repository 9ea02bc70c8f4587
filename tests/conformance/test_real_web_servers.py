"""Bytes recorded from real Web servers, sent to a running server: each request is answered once."""

from __future__ import annotations

import pytest
import webserver_side as wire
from replay import Capture, at_random, captures
from running import RunningServer

VARIANTS: dict[str, list[Capture]] = {}
for capture in captures():
    VARIANTS.setdefault(capture.name.partition("/")[0], []).append(capture)


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_request_is_answered_with_a_page_and_its_end(server: RunningServer, variant: str):
    for capture in VARIANTS[variant]:
        content = capture.content
        records, _ = wire.parse_records(content)
        aborted = {r.request_id for r in records if r.type == wire.ABORT_REQUEST}
        begun = [r.request_id for r in records if r.type == wire.BEGIN_REQUEST]
        for pieces in ([content], at_random(content, seed=1)):
            with server.connect() as connection:
                for piece in filter(None, pieces):  # nothing, sent too late, is an error
                    connection.send(piece)
                for request_id in begun:
                    response = connection.response(request_id)
                    assert response.protocol_status == wire.REQUEST_COMPLETE, capture.name
                    if request_id not in aborted:
                        assert response.status in (200, 404), capture.name
    assert not server.warnings

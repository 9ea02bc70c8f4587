"""The bytes recorded from real Web servers, and what they say when split by hand."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import webserver_side as wire

FOLDER = Path(__file__).parent.parent / "corpus" / "captures"


@dataclass(frozen=True)
class Capture:
    """One transport connection, as a Web server sent it; ``facts`` is its entry in the index."""

    name: str
    facts: dict[str, Any]

    @property
    def content(self) -> bytes:
        """Every byte that the Web server sent."""
        return (FOLDER / self.name).read_bytes()


def captures() -> list[Capture]:
    """Every capture of the index, in its order."""
    index = json.loads((FOLDER / "index.json").read_text("utf-8"))
    return [Capture(facts["file"], facts) for facts in index]


def events_of_records(content: bytes) -> list[tuple[object, ...]]:
    """What a core must give for ``content``, which is valid, in the shape of a Transcript's events.

    Worked out by the tests' own reading of the specification, without gfcgi.
    """
    records, rest = wire.parse_records(content)
    assert not rest, "cut off in the middle of a record"
    events: list[tuple[object, ...]] = []
    begun: dict[int, tuple[int, int]] = {}
    blocks: dict[int, bytes] = {}
    for record in records:
        request_id = record.request_id
        if record.type == wire.BEGIN_REQUEST:
            begun[request_id] = struct.unpack(">HB5x", record.content)
            blocks[request_id] = b""
        elif record.type == wire.PARAMS:
            blocks[request_id] += record.content
            if not record.content:
                role, flags = begun[request_id]
                first: dict[str, str] = {}
                repeated = []
                for name, value in wire.parse_pairs(blocks[request_id]):
                    pair = (name.decode("latin-1"), value.decode("latin-1"))
                    if pair[0] in first:
                        repeated.append(pair)
                    else:
                        first[pair[0]] = pair[1]
                keep_conn = bool(flags & wire.KEEP_CONN)
                events.append(
                    ("BeginRequest", request_id, role, keep_conn, tuple(first.items()), *repeated)
                )
        elif record.type in (wire.STDIN, wire.DATA):
            kind = "Stdin" if record.type == wire.STDIN else "Data"
            last = events[-1] if events else ()
            if record.content and last[:2] == (kind, request_id) and last[2]:
                events[-1] = (kind, request_id, bytes(last[2]) + record.content)
            else:
                events.append((kind, request_id, record.content))
        elif record.type == wire.ABORT_REQUEST:
            events.append(("AbortRequest", request_id))
        elif record.type == wire.GET_VALUES:
            names = tuple(name.decode() for name, _ in wire.parse_pairs(record.content))
            events.append(("GetValues", *names))
        else:
            raise AssertionError(f"no Web server sends this: {record}")
    return events

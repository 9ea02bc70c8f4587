"""Which stream record may arrive in which state of a request: Appendix A's streams as a table.

A request's streams from the Web server are open from its BEGIN_REQUEST until their empty record.
PARAMS come first (§5.2: the application needs them to know what to do); a Filter's STDIN and DATA
may then interleave (§6.4). A record that the table does not name in a state is an error, and there
is no other place where that is decided.

The core walks this table; the tests walk it too.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from gfcgi.protocol.records import RecordType, Role

__all__ = ["STREAM_TRANSITIONS", "State"]


class State(IntEnum):
    """Which of a request's incoming streams are still open."""

    PARAMS = 0
    STDIN = 1
    STDIN_AND_DATA = 2
    DATA = 3
    COMPLETE = 4
    DEAD = 5
    """Aborted or broken: whatever still arrives for it is dropped, as for an inactive id (§3.3)."""


_RESPONDER: Final[dict[State, dict[int, State]]] = {
    State.PARAMS: {RecordType.PARAMS: State.STDIN},
    State.STDIN: {RecordType.STDIN: State.COMPLETE},
    State.COMPLETE: {},
}

_FILTER: Final[dict[State, dict[int, State]]] = {
    State.PARAMS: {RecordType.PARAMS: State.STDIN_AND_DATA},
    State.STDIN_AND_DATA: {RecordType.STDIN: State.DATA, RecordType.DATA: State.STDIN},
    State.STDIN: {RecordType.STDIN: State.COMPLETE},
    State.DATA: {RecordType.DATA: State.COMPLETE},
    State.COMPLETE: {},
}

STREAM_TRANSITIONS: Final[dict[int, dict[State, dict[int, State]]]] = {
    Role.RESPONDER: _RESPONDER,
    # §6.3 gives an Authorizer no STDIN; mod_fastcgi sends it an empty one all the same.
    Role.AUTHORIZER: _RESPONDER,
    Role.FILTER: _FILTER,
}
"""role → state → type of an open stream → state after the stream's empty record."""

"""The life of a transport connection as a table: which phase may follow which."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["TRANSITIONS", "Phase"]


class Phase(IntEnum):
    """Where a transport connection is in its life."""

    OPEN = 0
    """Requests are taken and answered."""
    DRAINING = 1
    """The server stops: what is active or on its way is finished, then the connection closes."""
    LINGERING = 2
    """All is answered, or was cut, and our side is shut down; what still comes is dropped."""
    GIVEN_UP = 3
    """Everything on it is aborted; the socket is closed as soon as nobody writes to it."""
    CLOSED = 4
    """The socket is closed."""


TRANSITIONS: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.OPEN: frozenset({Phase.DRAINING, Phase.LINGERING, Phase.GIVEN_UP}),
    Phase.DRAINING: frozenset({Phase.LINGERING, Phase.GIVEN_UP}),
    Phase.LINGERING: frozenset({Phase.GIVEN_UP}),
    Phase.GIVEN_UP: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}
"""phase → the phases that may follow it."""

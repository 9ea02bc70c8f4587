"""Why a request may be lost. A loss that is not in this table fails the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .requests import Sent

__all__ = ["CAUSES", "CRASHED", "LOST_CHILD", "OWN_PAGE", "Cause", "Happened", "cause_of"]

BROKEN_OFF = frozenset({"502", "503", "500", "cut", "nothing"})
"""What Web servers make of a transport connection that ends without an answer."""

OWN_PAGE = "<h1>500 Internal Server Error</h1>"
"""HAProxy's, not gfcgi's: it has such a page where it refuses a request by itself."""


CRASHED = "crashed"
"""What happened to a Web server whose log tells of a known crash."""


LOST_CHILD = "child ended"
"""What happened to a Web server whose log says that a fault of its own has ended a child."""


@dataclass(frozen=True)
class Happened:
    """One event, with its begin and end; ``pids`` are the processes that it was done to."""

    name: str
    began: float
    ended: float
    pids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Cause:
    """``columns`` and ``events`` are where it applies; empty for any.

    ``place`` is where the request must have been, as the application's processes tell: "in it",
    begun by the process that an event was done to, or "on its way", begun by none.
    """

    name: str
    outcomes: frozenset[str]
    events: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    pages: str = ""
    """A text that the answer's body has."""
    place: Literal["", "in it", "on its way"] = ""

    def explains(self, column: str, seen: Sequence[Happened], sent: Sent) -> bool:
        if sent.outcome not in self.outcomes or self.pages not in sent.detail:
            return False
        if self.columns and column not in self.columns:
            return False
        if self.place == "on its way" and sent.begun:
            return False
        of = [event for event in seen if event.name in self.events]
        if self.place == "in it":
            return any(event.pids.intersection(sent.begun) for event in of)
        return bool(of) or not self.events


CAUSES = [
    Cause("the client left", frozenset({"left"})),
    Cause(
        "HAProxy's own refusal of many at once (its issue 3346)",
        frozenset({"500"}),
        columns=frozenset({"haproxy"}),
        pages=OWN_PAGE,
        place="on its way",
    ),
    Cause(
        "HAProxy crashed (its issue 2150)",
        BROKEN_OFF,
        events=frozenset({CRASHED}),
        columns=frozenset({"haproxy"}),
    ),
    Cause(
        "mod_fcgid ended the child of Apache's that had it: it could not have its lock",
        frozenset({"nothing", "cut"}),
        events=frozenset({LOST_CHILD}),
        columns=frozenset({"mod_fcgid"}),
    ),
    Cause(
        "its body had to wait on a disk that was full",
        frozenset({"507"}),
        events=frozenset({"disk full"}),
        columns=frozenset({"haproxy"}),
    ),
    Cause(
        "its body had to wait on disk, and no descriptor was left for the file",
        frozenset({"507"}),
        events=frozenset({"no descriptors"}),
        columns=frozenset({"haproxy"}),
    ),
    Cause(
        "just put on a kept connection when a process that stops closed it (see systemd.md)",
        frozenset({"502", "503"}),
        events=frozenset({"terminated", "renewed"}),
        columns=frozenset({"nginx", "mod_proxy_fcgi"}),
        place="on its way",
    ),
    Cause(
        "in a process when it was killed", BROKEN_OFF, events=frozenset({"killed"}), place="in it"
    ),
    Cause(
        "in a process when it was killed: Apache's own page stands behind the part that had come",
        frozenset({"page behind it"}),
        events=frozenset({"killed"}),
        columns=frozenset({"mod_fcgid"}),
        place="in it",
    ),
    Cause(
        "in a process when it was killed within a record: HAProxy waits for the rest of the record",
        frozenset({"hung"}),
        events=frozenset({"killed"}),
        columns=frozenset({"haproxy"}),
        place="in it",
    ),
    Cause(
        "on its way to a process when it was killed",
        BROKEN_OFF,
        events=frozenset({"killed"}),
        place="on its way",
    ),
]


def cause_of(column: str, seen: Sequence[Happened], sent: Sent) -> str:
    """The name of the first cause that explains the loss; empty if none does.

    ``seen`` are the events that the request has seen a part of.
    """
    return next((cause.name for cause in CAUSES if cause.explains(column, seen, sent)), "")

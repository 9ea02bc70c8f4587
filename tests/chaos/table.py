"""What became of every request, as a table for people."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from .causes import Happened, cause_of
from .requests import Sent

__all__ = ["Run", "table"]


NOTICED_SECONDS = 0.1
"""After an event a Web server may need so long to notice that a connection has ended."""


@dataclass
class Run:
    """One column: every request that was sent, and every event with its begin and end."""

    column: str
    sent: list[Sent] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    last_ends: dict[int, float] = field(default_factory=dict)
    """When the last of the requests was over that a process had begun and that were lost."""

    def events_of(self, sent: Sent) -> list[Happened]:
        """The events that the request has seen a part of."""
        return [
            event
            for event in self.events
            if sent.began <= self.noticed(event) and event.began <= sent.ended
        ]

    def noticed(self, event: Happened) -> float:
        """When a Web server has surely noticed it.

        While a request that a killed process had begun has no answer, it has not.
        """
        ends = [self.last_ends.get(pid, 0.0) for pid in event.pids if event.name == "killed"]
        return max([event.ended + NOTICED_SECONDS, *ends])

    def was_begun(self, sent: Sent, begun: list[int], ended_in: list[int]) -> None:
        """What the application tells of a request that has no right answer."""
        sent.begun, sent.ended_in = begun, ended_in
        for pid in begun:
            self.last_ends[pid] = max(self.last_ends.get(pid, 0.0), sent.ended)

    def lost(self) -> list[tuple[Sent, str]]:
        """The requests without the right answer, with their cause; empty for none."""
        return [
            (sent, cause_of(self.column, self.events_of(sent), sent))
            for sent in self.sent
            if sent.outcome != "right"
        ]

    def described(self, sent: Sent) -> str:
        """What is known of a loss without a cause."""
        events = ", ".join(
            f"{event.name} {sent.began - event.ended:.2f} s before"
            for event in self.events
            if 0 <= sent.began - event.ended < 10
        )
        when = datetime.fromtimestamp(time.time() - time.monotonic() + sent.began).time()
        during = [f"{event.name} {[*event.pids]}" for event in self.events_of(sent)] or ["nothing"]
        took = sent.ended - sent.began
        return (
            f"{sent.outcome} for {sent.kind} {sent.number} at {when}, after {took:.2f} s, during"
            f" {', '.join(during)} ({events}), begun by {sent.begun}, ended by {sent.ended_in}:"
            f" {sent.detail!r}"
        )

    def unexplained(self) -> list[Sent]:
        return [sent for sent, cause in self.lost() if not cause]


def table(runs: list[Run], events: list[str]) -> str:
    """Markdown: what was sent and what was lost, and below it why."""
    lines = [
        "| Web server | while | times | sent | right | left | lost, with a cause | without |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        for event in ["", *events]:
            times = sum(event == one.name for one in run.events)
            if times or not event:
                lines.append(_line(run, event, times))
    lines += ["", "| Web server | cause | the client saw | requests |", "|---|---|---|---|"]
    for run in runs:
        counts = Counter(
            (cause or "**none**", sent.outcome)
            for sent, cause in run.lost()
            if sent.outcome != "left"
        )
        for (cause, outcome), count in sorted(counts.items()):
            lines.append(f"| {run.column} | {cause} | {outcome} | {count} |")
    return "\n".join(lines) + "\n"


def _line(run: Run, event: str, times: int) -> str:
    """The requests that have seen a part of an event, or of none."""
    of = []
    for sent in run.sent:
        seen = {one.name for one in run.events_of(sent)}
        if event in seen or not (event or seen):
            of.append(sent)
    counts = Counter(sent.outcome for sent in of)
    wrong = [sent for sent in of if sent.outcome not in ("right", "left")]
    causes = [cause_of(run.column, run.events_of(sent), sent) for sent in wrong]
    numbers = [len(of), counts["right"], counts["left"], sum(map(bool, causes)), causes.count("")]
    head = f"| {run.column} | {event or 'nothing happens'} | {times or ''} | "
    return head + " | ".join(map(str, numbers)) + " |"

"""The status as plain text and as JSON, and its numbers as people read them."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from gfcgi.printing import counted, printable
from gfcgi.process.status.counts import CLASSES, RATES
from gfcgi.process.status.shared import Numbers
from gfcgi.process.status.snapshot import Snapshot, requests_of

__all__ = ["as_json", "as_text", "bytes_text", "decoded", "rates_text", "seconds_text", "title_of"]

SAID_NONE = "no answer"
"""What the class "none" is called."""


def as_text(status: Snapshot) -> str:
    """A page for a terminal. What clients have chosen is escaped."""
    sums, own = status.all, status.own
    lines = [
        title_of(status),
        "",
        f"requests     {sums['requests_total']:.0f} ended: {classes_text(sums)}",
        f"in flight    {sums['running']:.0f} of {status.most_running} for each process"
        + (f", {sums['waiting']:.0f} of them wait in line" if sums["waiting"] else ""),
        f"a second     {rates_text(sums)}",
        f"took         {mean_text(sums)}; sent {bytes_text(sums['sent_bytes_total'])}",
        f"connections  {sums['connections']:.0f} open",
        f"memory       {bytes_text(sums['memory_bytes'])}",
        f"own pages    {sums['own_total']:.0f} (in no other number)",
    ]
    if status.alone:
        lines += ["", status.alone]
    lines += [
        "",
        (
            f"process {status.pid}: {requests_of(own):.0f} requests ended, up for"
            f" {seconds_text(status.uptime)}; connections: {own['connections']:.0f} open,"
            f" {status.idle_connections} idle, at most {status.most_connections}"
        ),
    ]
    for pid, numbers in sorted(status.processes.items()):
        if pid != status.pid:
            lines.append(
                f"process {pid}: {requests_of(numbers):.0f} requests ended, up for"
                f" {seconds_text(status.at - numbers['started'])};"
                f" {numbers['running']:.0f} in flight"
            )
    if status.ended:
        lines.append(f"processes that have ended: {requests_of(status.ended):.0f} requests")
    lines += ["", f"in flight in process {status.pid}, the oldest first:"]
    for one in status.standing:
        name = printable(decoded(f"{one.method} {one.path}"))
        lines.append(f"  {seconds_text(one.seconds):>8}  {name}")
        lines.append(f"            {printable(one.place)}")
    if not status.standing:
        lines.append("  none")
    if status.more:
        lines.append(f"  and {counted(status.more, 'younger one')}")
    return "\n".join(lines) + "\n"


def as_json(status: Snapshot) -> str:
    """All numbers. JSON escapes what clients have chosen."""
    return (
        json.dumps(
            {
                "gfcgi": status.version,
                "build": status.build,
                "pid": status.pid,
                "time": round(status.at, 3),
                "uptime_seconds": round(status.uptime, 3),
                "draining": status.draining,
                "complete": not status.alone,
                "note": status.alone,
                "all": _json_of(status.all),
                "processes": {
                    str(pid): _json_of(numbers) for pid, numbers in status.processes.items()
                },
                "ended": _json_of(status.ended),
                "connections": {
                    "open": round(status.own["connections"]),
                    "idle": status.idle_connections,
                    "most": status.most_connections,
                },
                "in_flight": [
                    {
                        "seconds": round(one.seconds, 3),
                        "method": decoded(one.method),
                        "path": decoded(one.path),
                        "place": one.place,
                    }
                    for one in status.standing
                ],
                "in_flight_left_out": status.more,
            },
            indent=1,
        )
        + "\n"
    )


def _json_of(numbers: Numbers) -> dict[str, object]:
    made: dict[str, object] = {
        "requests": round(requests_of(numbers)),
        "by_status": {kind: round(numbers.get(f"requests_{kind}_total", 0)) for kind in CLASSES},
        "seconds": round(numbers.get("seconds_total", 0), 6),
        "sent_bytes": round(numbers.get("sent_bytes_total", 0)),
        "own_pages": round(numbers.get("own_total", 0)),
    }
    if "started" in numbers:
        for name in ("running", "waiting", "connections", "memory_bytes"):
            made[name] = round(numbers[name])
        made["per_second"] = {
            str(seconds): round(numbers[f"rate_{seconds}"], 3) for seconds in RATES
        }
    return made


# -- parts, for people


def title_of(status: Snapshot) -> str:
    """The first line: what answers, and when it was asked."""
    at = datetime.fromtimestamp(status.at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    count = len(status.processes)
    which = f"process {status.pid}"
    if count > 1:
        place = sorted(status.processes).index(status.pid) + 1
        which += f" ({place} of {count})"
    state = "draining" if status.draining else "serving"
    return f"gfcgi {status.version} ({status.build}), {which}, {state}, {at}"


def classes_text(numbers: Numbers) -> str:
    """The counts by class of status, those that are not 0 and 2xx."""
    shown = [
        f"{numbers.get(f'requests_{kind}_total', 0):.0f} {name_of_class(kind)}"
        for kind in (*CLASSES[1:], CLASSES[0])
        if kind == "2xx" or numbers.get(f"requests_{kind}_total")
    ]
    return ", ".join(shown)


def name_of_class(kind: str) -> str:
    return SAID_NONE if kind == "none" else kind


def rates_text(numbers: Numbers) -> str:
    """Requests a second over each of RATES."""
    return ", ".join(
        f"{numbers[f'rate_{seconds}']:.1f} in the last {seconds} s" for seconds in RATES
    )


def mean_text(numbers: Numbers) -> str:
    """How long a request takes, on average."""
    requests = numbers["requests_total"]
    if not requests:
        return "no request yet"
    return f"{1000 * numbers['seconds_total'] / requests:.1f} ms on average"


def bytes_text(count: float) -> str:
    """A number of bytes, as ``1.5 MB`` of 1,000,000 bytes each."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def seconds_text(seconds: float) -> str:
    """A time such as ``0.25 s``, ``1:05 min``, ``2:03 h`` or ``4 d``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02} h" if hours < 48 else f"{hours // 24} d"


def decoded(text: str) -> str:
    """A text of params, one character for each octet, as the UTF-8 that it mostly is."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")

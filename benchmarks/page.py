"""The page of the docs that shows a session's results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Result, failure, judge, median

__all__ = ["PAGE", "page"]

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

TITLES = {
    "floor": "floor",
    "blocking": "plain sockets",
    "gfcgi": "**gfcgi**",
    "gfcgi-compiled": "**gfcgi**, compiled",
    "gevent-fastcgi": "gevent-fastcgi",
    "flup": "flup",
    "uwsgi": "uWSGI",
    "uwsgi-gevent": "uWSGI `--gevent`",
    "gunicorn": "gunicorn `-k gevent` (HTTP)",
    "bare": "`monkey.patch_all()`, `import gevent.server`",
}

Column = tuple[str, str, float, str]
"""Heading, figure, factor, format."""

STEADY: Sequence[Column] = (
    ("CPU per request, µs", "cpu_us", 1.0, ".1f"),
    ("requests/s", "requests_per_second", 1.0, ",.0f"),
    ("p50, ms", "p50_us", 1e-3, ".2f"),
    ("p99, ms", "p99_us", 1e-3, ".2f"),
    ("memory, MB", "memory_mb", 1.0, ".0f"),
)
TRANSFERS: Sequence[Column] = (
    ("CPU per transfer, ms", "cpu_us", 1e-3, ".1f"),
    ("transfers/s", "requests_per_second", 1.0, ".1f"),
    ("memory afterwards, MB", "memory_mb", 1.0, ".0f"),
)
SLEEPING: Sequence[Column] = (
    ("last answer, s", "last_answer_seconds", 1.0, ".2f"),
    ("all sent, s", "sent_seconds", 1.0, ".2f"),
    ("CPU per request, µs", "cpu_us", 1.0, ".0f"),
)
ASLEEP: Sequence[Column] = (
    ("memory idle, MB", "idle_memory_mb", 1.0, ".0f"),
    ("with all asleep, MB", "memory_mb", 1.0, ".0f"),
    ("per request, KB", "memory_per_request_kb", 1.0, ".1f"),
    ("asleep at once", "asleep", 1.0, ",.0f"),
)
STARTUP: Sequence[Column] = (
    ("time, ms", "wall_ms", 1.0, ".0f"),
    ("CPU, ms", "cpu_ms", 1.0, ".0f"),
)
SECTIONS: Sequence[tuple[str, str | None, Sequence[tuple[str, Sequence[Column]]]]] = (
    (
        "Small requests",
        "cpu",
        tuple((name, STEADY) for name in ("kept-16", "connecting", "cookie", "upload-64k")),
    ),
    (
        "One, many, multiplexed, and through nginx",
        "deep",
        tuple((name, STEADY) for name in ("kept-1", "kept-256", "multiplexed", "nginx")),
    ),
    ("Fairness", "latency", (("flooded", STEADY),)),
    ("Large bodies", "transfers", (("download", TRANSFERS), ("upload", TRANSFERS))),
    ("Requests that wait", "memory", (("sleeping", SLEEPING), ("asleep", ASLEEP))),
    ("Start", "startup", (("startup", STARTUP),)),
)
PICTURES = {
    "cpu": "bars: server CPU per request of each server, for four loads",
    "deep": "bars: server CPU per request of each server, for four more loads",
    "latency": "lines from p50 to p99 of each server",
    "transfers": "bars: server CPU for 100 MB in either direction",
    "memory": "bars: memory per sleeping request",
    "startup": "bars: time from script start to first answer",
}


def page(result: Result) -> str:
    """The whole page, in Markdown."""
    parts = [_introduction(result), _targets(result)]
    for title, picture, loads in SECTIONS:
        tables = [_table(result, load, columns) for load, columns in loads if _has(result, load)]
        if tables:
            parts.append(f"## {title}\n")
            if picture:
                parts.append(f"![{PICTURES[picture]}](benchmarks/{picture}.svg)\n")
            parts += tables
    return "\n".join(parts)


def _has(result: Result, load: str) -> bool:
    return load in result["loads"]


def _introduction(result: Result) -> str:
    machine, settings = result["machine"], result["settings"]
    versions = {
        package: version
        for installed in result["versions"].values()
        for package, version in installed.items()
        if package.lower() in _NAMED
    } | result["programs"]
    named = ", ".join(f"{name} {versions[name]}" for name in sorted(versions, key=str.lower))
    return f"""\
# Benchmarks

<!-- Made by `python -m benchmarks` from docs/benchmarks/results.json. -->

What a request costs the server: its CPU time by the kernel's own account of its processes, which
says the same on a busy machine and on an idle one, where requests per second do not. Every server
ran freshly started, one after the other, {settings["rounds"]} rounds of {settings["seconds"]:g} s
for each load; the figures are medians over the rounds, and a ratio is the median of the rounds' own
ratios. The *floor* is a bare gevent `StreamServer` that reads the bytes and writes a canned FastCGI
answer: less than that no server on gevent can need. Everyone serves the same application, one
process each, with the options a user gets who sets none, except what the
[README of the benchmarks](../benchmarks/README.md) names.

- **Machine**: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB,
  {machine["kernel"]}; the server on one core, the load generator on another
- **Versions**: gfcgi at commit {machine["commit"]}, {machine["python"]}, {named}
- **Date**: {result["made"]}; [all the samples](benchmarks/results.json)
"""


_NAMED = {"gevent", "greenlet", "gevent-fastcgi", "flup", "uwsgi", "gunicorn"}


def _targets(result: Result) -> str:
    lines = [
        "## What was aimed at\n",
        "gfcgi's own figure, and where something is said to be *against*, its ratio to that, for",
        "the pure Python build and for the [compiled](howto/compiled.md) one.\n",
        "| load | must | aim | pure | | compiled | |",
        "|---|---:|---:|---:|---|---:|---|",
    ]
    for pure, compiled in zip(judge(result), judge(result, "gfcgi-compiled"), strict=True):
        target = pure.target
        unit = f" {target.unit}"
        aim = "" if target.aim is None else f"≤ {target.aim:g}{unit}"
        cells = [target.title, f"≤ {target.must:g}{unit}", aim]
        for measured in (pure, compiled):
            value = "" if measured.value is None else f"{measured.value:.2f}{unit}"
            cells += [value, measured.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _table(result: Result, load: str, columns: Sequence[Column]) -> str:
    lines = [
        f"### {result['loads'][load]['title']}\n",
        "| | " + " | ".join(heading for heading, *_ in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    reasons = []
    for peer in result["loads"][load]["peers"]:
        reason = failure(result, load, peer)
        if reason is not None:
            reasons.append(f"- {TITLES[peer]} fails: {reason}")
            lines.append(f"| {TITLES[peer]} | fails |" + " |" * (len(columns) - 1))
            continue
        cells = []
        for _, figure, factor, form in columns:
            value = median(result, load, peer, figure)
            cells.append("" if value is None else format(value * factor, form))
        lines.append(f"| {TITLES[peer]} | " + " | ".join(cells) + " |")
    if reasons:
        lines += ["", *reasons]
    return "\n".join(lines) + "\n"

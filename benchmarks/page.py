"""Write the page of the docs that shows a session's results."""

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
    "gfcgi-threads": "**gfcgi** `--threads 8`",
    "gfcgi-threads-compiled": "**gfcgi** `--threads 8`, compiled",
    "gevent-fastcgi": "gevent-fastcgi",
    "flup": "flup",
    "uwsgi": "uWSGI",
    "uwsgi-gevent": "uWSGI `--gevent`",
    "gunicorn": "gunicorn `-k gevent` (HTTP)",
    "gunicorn-gthread": "gunicorn `-k gthread` (HTTP)",
    "gfcgi-processes": "**gfcgi** `--processes 2`, compiled",
    "uwsgi-processes": "uWSGI `--processes 2`",
    "gunicorn-gthread-processes": "gunicorn `-k gthread --workers 2` (HTTP)",
    "granian": "granian (HTTP)",
    "php-fpm": "PHP-FPM with `hello.php`",
    "bare": "`monkey.patch_all()`, `import gevent.server`",
}

Column = tuple[str, str, float, str]
"""Heading, name of the figure, factor, format."""

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
    ("Every core", None, (("cores", STEADY),)),
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
    """Return the whole page, in Markdown."""
    parts = [_introduction(result), _in_a_minute(result), _how(result), _targets(result)]
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
    return """\
# Benchmarks

<!-- Made by `python -m benchmarks` from docs/benchmarks/results.json. -->

What a small request costs behind a Web server, next to what people run in its place.
"""


def _in_a_minute(result: Result) -> str:
    """The table that a newcomer reads: what runs behind the same nginx, the cheapest first."""
    peers = result["loads"].get("nginx", {}).get("peers", {})
    found = [(median(result, "nginx", peer, "cpu_us"), peer) for peer in peers]
    measured = sorted((cpu, peer) for cpu, peer in found if cpu is not None and peer != "floor")
    if not measured:
        return ""
    lines = [
        "## In a minute\n",
        "The same hello behind the same nginx, each server on one core, the cheapest first:\n",
        "| | CPU per request, µs | requests/s |",
        "|---|---:|---:|",
    ]
    for cpu, peer in measured:
        rate = median(result, "nginx", peer, "requests_per_second") or 0.0
        lines.append(f"| {TITLES[peer]} | {cpu:.0f} | {rate:,.0f} |")
    lines += [
        "",
        "An application does more than to say hello: from a millisecond of its own on, the",
        "server's part is lost in it. They differ then in how many requests can wait at once",
        "([requests that wait](#requests-that-wait)), and in how they use every core",
        "([here](#every-core))." if _has(result, "cores") else "(not measured yet).",
    ]
    return "\n".join(lines) + "\n"


def _how(result: Result) -> str:
    machine, settings = result["machine"], result["settings"]
    versions = {
        package: version
        for installed in result["versions"].values()
        for package, version in installed.items()
        if package.lower() in _NAMED
    } | result["programs"]
    named = ", ".join(f"{name} {versions[name]}" for name in sorted(versions, key=str.lower))
    return f"""\
## How it was measured

The figures say what a request costs the server: its CPU time, as the kernel counts it for the
server's processes. That is the same on a busy machine and on an idle one; requests per second are
not. Every server ran freshly started, one after the other, {settings["rounds"]} rounds of
{settings["seconds"]:g} s for each load. The figures are medians over the rounds; a ratio is the
median of the ratios of each round. The *floor* is a bare gevent `StreamServer` that reads the bytes
and writes a canned FastCGI answer: no server on gevent can need less. All servers serve the same
application, in one process each, with their default options; the
[README of the benchmarks](../benchmarks/README.md) names the exceptions.

- **Machine**: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gb"]} GB,
  {machine["kernel"]}; the server on one core, the load generator on another
- **Versions**: gfcgi at commit {machine["commit"]}, {machine["python"]}, {named}
- **Date**: {result["made"]}; [all the samples](benchmarks/results.json)
"""


_NAMED = {"gevent", "greenlet", "gevent-fastcgi", "flup", "uwsgi", "gunicorn", "granian"}


def _targets(result: Result) -> str:
    lines = [
        "## Targets\n",
        "The figure of gfcgi, or its ratio to that of the server after *against*, for",
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

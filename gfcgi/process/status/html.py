"""The status as a page for people: it asks anew by itself, and needs nothing from outside.

There is no script in it, and its Content-Security-Policy allows none, nor anything from elsewhere.
Every text goes through ``_escaped``.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

from gfcgi.printing import counted, printable
from gfcgi.process.status.counts import CLASSES, RATES
from gfcgi.process.status.shared import Numbers
from gfcgi.process.status.snapshot import Snapshot, requests_of
from gfcgi.process.status.text import (
    bytes_text,
    decoded,
    mean_text,
    name_of_class,
    seconds_text,
    title_of,
)

__all__ = ["HEADERS", "as_html"]

REFRESH_SECONDS: Final = 5

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --dim: #666; --warn: #b45309 }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; --warn: #f0a040 } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 75rem }
h1 { font-size: 1.25rem; margin: 0 0 .25rem }
h2 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p { margin: .25rem 0; color: var(--dim) }
.note { color: var(--warn) }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .5rem;
  margin: 1rem 0 0 }
dl div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem; min-width: 0 }
dt { font-size: .8rem; color: var(--dim) }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
dd small { display: block; font-size: .8rem; color: var(--dim) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
th { font-size: .8rem; font-weight: normal; color: var(--dim) }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td:has(code) { min-width: 18rem }
code { font: .85rem/1.4 ui-monospace, monospace }
@media (max-width: 40rem) {
  body { padding: .75rem }
  dl { grid-template-columns: 1fr 1fr }
  table, tbody, tr, td { display: block }
  thead { display: none }
  tr { border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem;
    margin-bottom: .5rem }
  td, td.n, td:has(code) { border: 0; min-width: 0; padding: .1rem 0; text-align: left;
    white-space: normal }
  td::before { content: attr(data-is) " "; color: var(--dim); font-size: .8rem }
}
"""

_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final = [
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
            " form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    ("Referrer-Policy", "no-referrer"),
]


def as_html(status: Snapshot) -> str:
    """The whole page."""
    sums = status.all
    note = f'<p class="note">{_escaped(status.alone)}</p>' if status.alone else ""
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>{sums["running"]:.0f} in flight · gfcgi {status.pid}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>gfcgi</h1>
<p>{_escaped(title_of(status))}</p>
<p>The page asks again every {REFRESH_SECONDS} seconds.</p>
{note}
<dl>
{_tiles(status, sums)}
</dl>
<h2>Requests in flight{f" in process {status.pid}" if len(status.processes) > 1 else ""}</h2>
{_in_flight(status)}
<h2>Processes</h2>
{_processes(status)}
</body>
</html>
"""


def _tiles(status: Snapshot, sums: Numbers) -> str:
    waiting = f"{sums['waiting']:.0f} wait in line; " if sums["waiting"] else ""
    rates = [(f"{sums[f'rate_{seconds}']:.1f}", seconds) for seconds in RATES]
    others = " · ".join(f"{rate} in {seconds} s" for rate, seconds in rates if seconds != RATES[1])
    own = status.own
    tiles = [
        (
            "In flight",
            f"{sums['running']:.0f}",
            f"{waiting}at most {status.most_running} in each process",
        ),
        ("Requests a second", rates[1][0], f"in {rates[1][1]} s · {others}"),
        ("Requests ended", f"{sums['requests_total']:.0f}", mean_text(sums)),
        *(
            (name_of_class(kind), f"{sums.get(f'requests_{kind}_total', 0):.0f}", "")
            for kind in (*CLASSES[2:], CLASSES[0])
        ),
        ("Sent", bytes_text(sums["sent_bytes_total"]), ""),
        (
            "Connections",
            f"{sums['connections']:.0f}",
            (
                f"{status.idle_connections} of {own['connections']:.0f} idle here,"
                f" at most {status.most_connections}"
            ),
        ),
        ("Memory", bytes_text(sums["memory_bytes"]), ""),
        ("Up", seconds_text(status.uptime), ""),
        ("Own pages", f"{sums['own_total']:.0f}", "in no other number"),
    ]
    return "\n".join(
        f"<div><dt>{_escaped(name)}</dt><dd>{_escaped(value)}"
        + (f"<small>{_escaped(small)}</small>" if small else "")
        + "</dd></div>"
        for name, value, small in tiles
    )


def _in_flight(status: Snapshot) -> str:
    if not status.standing:
        return "<p>None.</p>"
    rows = [
        _row(
            ("Age", seconds_text(one.seconds), "n"),
            ("Request", decoded(f"{one.method} {one.path}"), "code"),
            ("Stands at", one.place, "code"),
        )
        for one in status.standing
    ]
    more = f"<p>And {counted(status.more, 'younger one')}.</p>" if status.more else ""
    return _table(("Age", "Request", "Stands at"), rows, numbers=("Age",)) + more


def _processes(status: Snapshot) -> str:
    names = ("Process", "Ended", "In flight", "A second", "Connections", "Memory", "Up")
    rows = []
    for pid, numbers in sorted(status.processes.items()):
        this = " (this one)" if pid == status.pid and len(status.processes) > 1 else ""
        values = (
            f"{pid}{this}",
            f"{requests_of(numbers):.0f}",
            f"{numbers['running']:.0f}",
            f"{numbers[f'rate_{RATES[1]}']:.1f}",
            f"{numbers['connections']:.0f}",
            bytes_text(numbers["memory_bytes"]),
            seconds_text(status.at - numbers["started"]),
        )
        rows.append(_row((names[0], values[0], ""), *_numbers(names, values)))
    if status.ended:
        values = ("ended", f"{requests_of(status.ended):.0f}", "", "", "", "", "")
        rows.append(_row((names[0], values[0], ""), *_numbers(names, values)))
    return _table(names, rows, numbers=names[1:])


def _numbers(names: tuple[str, ...], values: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """The cells after the first one."""
    return [(name, value, "n") for name, value in zip(names[1:], values[1:], strict=True)]


def _row(*cells: tuple[str, str, str]) -> str:
    """A row of cells: the column's name, the value, and "n" for a number or "code"."""
    made = ""
    for name, value, kind in cells:
        text = f"<code>{_escaped(value)}</code>" if kind == "code" else _escaped(value)
        attribute = ' class="n"' if kind == "n" else ""
        made += f'<td{attribute} data-is="{_escaped(name)}">{text}</td>' if value else "<td></td>"
    return f"<tr>{made}</tr>"


def _table(names: tuple[str, ...], rows: list[str], *, numbers: tuple[str, ...]) -> str:
    head = "".join(
        f"<th{' class=n' if name in numbers else ''}>{_escaped(name)}</th>" for name in names
    )
    body = "\n".join(rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _escaped(text: str) -> str:
    """A text for HTML, as content or in a quoted attribute; control characters are escaped too."""
    return escape(printable(text), quote=True)

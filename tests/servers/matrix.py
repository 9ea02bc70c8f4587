"""The page of the docs that a run of the tables leaves: cases by columns, differences, versions."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Final

import pytest

from .columns import Column
from .defects import DEFECTS
from .harness import HERE

REQUESTS: Final = "Requests and responses"
AUTHORIZERS: Final = "Authorizers"

FAILED: Final = "**FAILED**"

INTRODUCTION: Final = """\
# Web servers

<!-- Made by a real run of tests/servers; see below for the command. -->

This page shows, for each Web server, what an application behind gfcgi sees and what the HTTP client
gets. Every cell is a test in `tests/servers`. It starts the Web server itself, with the
configuration that `python -m gfcgi config` prints. Such a run has written this page, with
Python {python}:

```sh
GFCGI_SERVERS_MATRIX=docs/reference/webservers.md python -m pytest tests/servers
```

A number stands for a difference of the Web server; the list below the table explains it. A dash in
the list means that the case was not run. The columns of mod_fastcgi need the module, and no
distribution has it any more: put `GFCGI_MOD_FASTCGI=/path/of/mod_fastcgi.so` before the command.
"""

CUTS: Final = HERE / "cuts.md"
"""What becomes of responses that break off: measured by hand, with ``measure_cuts``."""

DEFECTS_TITLE: Final = """\
## Known defects

What these Web servers do wrong or do not do, where it concerns an application behind gfcgi.

| Web server | What it does | What helps |
|---|---|---|
"""


def sentence(case: str) -> str:
    """The name of a case in words."""
    return case.removeprefix("test_").replace("_", " ")


@dataclass
class Table:
    """One table: the outcome of every cell; what is not ``yes`` is a difference, or a failure."""

    title: str
    columns: list[Column] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    cells: dict[tuple[str, str], str] = field(default_factory=dict)

    def declare(self, column: Column, case: str) -> None:
        """Make room for a cell."""
        if column.name not in [known.name for known in self.columns]:
            self.columns.append(column)
        if case not in self.cases:
            self.cases.append(case)

    def add(self, column: Column, case: str, report: pytest.TestReport) -> None:
        """Take the outcome of one phase of one cell."""
        key = (column.name, case)
        notes = [str(value) for kind, value in report.user_properties if kind == "note"]
        if report.failed:
            self.cells[key] = FAILED
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.cells[key] = "– " + (notes[-1] if notes else reason.removeprefix("Skipped: "))
        elif report.when == "call":
            self.cells[key] = "; ".join(notes) if notes else "yes"

    def markdown(self, versions: dict[str, str]) -> str:
        """A row for each case, then every difference in words, then the columns' versions."""
        footnotes: list[str] = []

        def cell(column: Column, case: str) -> str:
            text = self.cells.get((column.name, case), "")
            if text in ("", "yes", FAILED):
                return text
            if text not in footnotes:
                footnotes.append(text)
            return f"({footnotes.index(text) + 1})"

        names = [column.name for column in self.columns]
        lines = [f"## {self.title}", "", f"| | {' | '.join(names)} |"]
        lines.append("|---" * (len(names) + 1) + "|")
        for case in self.cases:
            cells = [cell(column, case) for column in self.columns]
            lines.append(f"| {sentence(case)} | {' | '.join(cells)} |")
        if footnotes:
            lines.append("")
            lines += [f"{at}. {text}" for at, text in enumerate(footnotes, 1)]
        lines += ["", "| Column | Web server |", "|---|---|"]
        lines += [f"| {name} | {versions.get(name, '')} |" for name in names]
        return "\n".join(lines) + "\n"


class Matrix:
    """The tables of one run of the tests."""

    def __init__(self) -> None:
        self.tables = {title: Table(title) for title in (REQUESTS, AUTHORIZERS)}

    def page(self, *, run: bool) -> str:
        """The whole page; without a ``run`` there is no cell and no version to show."""
        parts = [INTRODUCTION.format(python=platform.python_version())]
        for table in self.tables.values():
            versions = {
                column.name: column.server.version() if run else "" for column in table.columns
            }
            parts.append(table.markdown(versions))
        parts.append(CUTS.read_text("utf-8"))
        rows = [f"| {known.server} | {known.does} | {known.helps} |" for known in DEFECTS]
        parts.append(DEFECTS_TITLE + "\n".join(rows) + "\n")
        return "\n".join(parts)

"""The page of the docs with the tables: every column and case that there is, and no empty cell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from .columns import Column
from .defects import DEFECTS
from .harness import HERE, REPOSITORY
from .matrix import AUTHORIZERS, CUTS, FAILED, REQUESTS, Table
from .webservers import Nginx

PAGE = REPOSITORY / "docs" / "reference" / "webservers.md"


written = pytest.mark.skipif(
    "GFCGI_SERVERS_MATRIX" in os.environ, reason="the page is only being written"
)


def tables(page: str) -> dict[str, list[list[str]]]:
    """The cells of the tables of cases, row by row, by the headings that they are below."""
    found: dict[str, list[list[str]]] = {}
    for section in page.split("\n## "):
        title, _, text = section.partition("\n\n")
        if title in (REQUESTS, AUTHORIZERS):
            rows = text.partition("\n\n")[0].splitlines()
            found[title] = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return found


@written
def test_the_page_has_the_columns_and_cases_of_now(tmp_path: Path) -> None:
    """``GFCGI_SERVERS_MATRIX=docs/reference/webservers.md pytest tests/servers`` makes it anew."""
    expected = tmp_path / "expected.md"
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", str(HERE)],
        cwd=HERE.parent,
        env={**os.environ, "GFCGI_SERVERS_MATRIX": str(expected)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert collected.returncode == 0, collected.stdout + collected.stderr
    now, there = tables(expected.read_text("utf-8")), tables(PAGE.read_text("utf-8"))
    assert list(now) == list(there) == [REQUESTS, AUTHORIZERS]
    for title in now:
        assert there[title][0] == now[title][0]
        assert [row[0] for row in there[title]] == [row[0] for row in now[title]]


@written
def test_the_page_has_no_empty_cell_and_no_failure() -> None:
    for title, rows in tables(PAGE.read_text("utf-8")).items():
        for row in rows[2:]:
            assert all(cell and cell != FAILED for cell in row), (title, row)
            assert len(row) == len(rows[0])


@written
def test_the_page_says_what_becomes_of_responses_that_break_off() -> None:
    assert CUTS.read_text("utf-8") in PAGE.read_text("utf-8")


@written
def test_the_page_names_every_known_defect() -> None:
    page = PAGE.read_text("utf-8")
    for defect in DEFECTS:
        assert f"| {defect.server} | {defect.does} | {defect.helps} |" in page


def report(
    outcome: Literal["passed", "failed", "skipped"],
    when: Literal["setup", "call", "teardown"] = "call",
    *notes: str,
) -> pytest.TestReport:
    properties = [("note", note) for note in notes]
    longrepr = ("file", 1, "Skipped: nothing is installed") if outcome == "skipped" else None
    return pytest.TestReport(
        "node", ("file", 1, "test"), {}, outcome, longrepr, when, user_properties=properties
    )


def test_every_difference_has_one_footnote() -> None:
    table = Table("Title")
    columns = [Column(name, Nginx()) for name in ("first", "second", "third")]
    for case in ("test_one_case", "test_another"):
        for column in columns:
            table.declare(column, case)
    table.add(columns[0], "test_one_case", report("passed"))
    table.add(columns[1], "test_one_case", report("passed", "call", "it does otherwise"))
    table.add(columns[2], "test_one_case", report("skipped", "setup"))
    table.add(columns[0], "test_another", report("failed", "setup"))
    table.add(columns[1], "test_another", report("passed", "call", "it does otherwise"))
    versions = {"first": "nginx 1", "second": "nginx 2", "third": "nginx 3"}
    assert (
        table.markdown(versions)
        == """\
## Title

| | first | second | third |
|---|---|---|---|
| one case | yes | (1) | (2) |
| another | **FAILED** | (1) |  |

1. it does otherwise
2. – nothing is installed

| Column | Web server |
|---|---|
| first | nginx 1 |
| second | nginx 2 |
| third | nginx 3 |
"""
    )

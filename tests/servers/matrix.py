"""What a run of the table has shown: cases by columns, with the Web servers' versions."""

from __future__ import annotations

import platform

import pytest

from .columns import Column


class Matrix:
    """Collects the outcome of every cell; a note is a documented difference."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.cases: list[str] = []

    def saw(self, column: Column) -> None:
        """Remember that a column was started."""
        if column not in self.columns:
            self.columns.append(column)

    def add(self, column: Column, case: str, report: pytest.TestReport) -> None:
        """Take the outcome of one phase of one cell."""
        name = case.removeprefix("test_").replace("_", " ")
        if name not in self.cases:
            self.cases.append(name)
        key = (column.name, name)
        notes = [str(value) for kind, value in report.user_properties if kind == "note"]
        if report.failed:
            self.cells[key] = "**FAILED**"
        elif report.skipped:
            self.cells[key] = "– " + (notes[-1] if notes else "not installed")
        elif report.when == "call":
            self.cells[key] = "; ".join(notes) if notes else "yes"

    def markdown(self) -> str:
        """The table: a row for each case, then every difference and version in words."""
        footnotes: list[str] = []

        def cell(column: Column, case: str) -> str:
            text = self.cells.get((column.name, case), "")
            if text in ("", "yes", "**FAILED**"):
                return text
            if text not in footnotes:
                footnotes.append(text)
            return f"({footnotes.index(text) + 1})"

        columns = self.columns
        lines = [
            "| | " + " | ".join(column.name for column in columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        lines += [
            f"| {case} | " + " | ".join(cell(column, case) for column in columns) + " |"
            for case in self.cases
        ]
        lines.append("")
        lines += [f"{at}. {text.removeprefix('– ')}" for at, text in enumerate(footnotes, 1)]
        lines += ["", f"Run with Python {platform.python_version()}:", ""]
        lines += [f"- {column.name}: {column.server.version()}" for column in columns]
        return "\n".join(lines) + "\n"

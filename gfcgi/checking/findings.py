"""What a check gives: findings, and the report that collects them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Answer", "Finding", "Report", "fault", "hint"]

Kind = Literal["fault", "hint"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (a fault) or could be better (a hint), and what to do about it.

    ``name`` stays the same from version to version. ``detail`` are further lines, such as a
    traceback.
    """

    kind: Kind
    name: str
    text: str
    remedy: str
    detail: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"{self.kind}: {self.text}. Remedy: {self.remedy}"


def fault(name: str, text: str, remedy: str, detail: tuple[str, ...] = ()) -> Finding:
    return Finding("fault", name, text, remedy, detail)


def hint(name: str, text: str, remedy: str, detail: tuple[str, ...] = ()) -> Finding:
    return Finding("hint", name, text, remedy, detail)


@dataclass(frozen=True)
class Answer:
    """A page that was asked for and came: its status, and the seconds until it began."""

    status: int
    reason: str
    seconds: float
    content_type: str = ""
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.status} {self.reason} after {self.seconds:.2f} s"


@dataclass
class Report:
    """All that one check found out."""

    target: str
    user: str
    findings: list[Finding] = field(default_factory=list)
    answer: Answer | None = None
    web_server: str = ""

    @property
    def good(self) -> bool:
        """Whether there is no fault. Hints leave the verdict good."""
        return not any(finding.kind == "fault" for finding in self.findings)

    @property
    def verdict(self) -> str:
        faults = sum(finding.kind == "fault" for finding in self.findings)
        if faults:
            return f"{faults} fault{'s' if faults > 1 else ''}"
        return f"good: {self.answer}" if self.answer else "good"

    def names(self) -> list[str]:
        """The findings' names, in their order."""
        return [finding.name for finding in self.findings]

    def as_json(self) -> dict[str, object]:
        """What ``--json`` prints."""
        answer = self.answer
        return {
            "target": self.target,
            "user": self.user,
            "good": self.good,
            "verdict": self.verdict,
            "findings": [
                {
                    "kind": finding.kind,
                    "name": finding.name,
                    "text": finding.text,
                    "remedy": finding.remedy,
                    "detail": list(finding.detail),
                }
                for finding in self.findings
            ],
            "answer": answer and {"status": answer.status, "seconds": round(answer.seconds, 3)},
            "web_server": self.web_server or None,
        }

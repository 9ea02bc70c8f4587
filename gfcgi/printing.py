"""Text of strangers, for lines that people read."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """Escape control characters, which could make a log line two, or rule a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)

"""Make text from outside safe for a line that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "harmless", "listed", "one_entry", "printable", "traceback_text"]

INDENT = "    "

_LISTED = 10

_HEADER = "Traceback (most recent call last):\n"


def printable(text: str) -> str:
    """Escape control characters: they could break a log line in two or control a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def listed(names: Sequence[str]) -> str:
    """Return the first ten names for one line, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def harmless(text: str) -> str:
    """Escape control characters but for line feeds and tabs: they could control a terminal."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def one_entry(text: str) -> str:
    """Make text one entry of a log: harmless, and no line after the first looks like another entry.

    An entry begins at the left margin, so what stands there is indented.
    """
    first, *lines = harmless(text).split("\n")
    return "\n".join(
        [first, *(line if line[:1] in ("", " ", "\t") else INDENT + line for line in lines)]
    )


def traceback_text(error: BaseException) -> str:
    """Return the traceback of ``error``, in which the texts of exceptions are harmless.

    Only the first line of such a text stands at the left margin, so none looks like a log's entry.
    """
    import traceback  # where nothing fails, nobody needs it

    shown = []
    text_began = False
    for part in traceback.format_exception(error):
        if part[:1] == "\n" and part != "\n":  # "The above exception was the direct cause …"
            text_began = False
            shown.append(part)
        elif text_began:  # a note (PEP 678)
            shown.append(harmless(part) if part[:1] in (" ", "\n") else INDENT + harmless(part))
        elif part == _HEADER or part[:1] == " ":
            shown.append(harmless(part))
        else:
            text_began = True
            shown.append(one_entry(part))
    return "".join(shown)


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 answer``, ``2 answers``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

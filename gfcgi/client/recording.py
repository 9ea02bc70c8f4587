"""A recording: what crossed transport connections, both ways, in a file of JSON lines.

The first line is the heading. Each line after it is one ``Piece``: bytes as they came in one read,
in base64, or the end of one direction. A file that was cut off is good up to its last whole line.
A file that does not begin so is taken for the bytes of one Web server on one transport connection,
as the project's oldest captures are.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TextIO

from gfcgi.errors import ConfigError

__all__ = ["Piece", "Recording", "Writer", "read_recording"]

FORMAT: Final = "gfcgi recording"
VERSION: Final = 1

Side = Literal["web server", "application"]


@dataclass(frozen=True)
class Piece:
    """``data`` that ``sender`` sent ``at`` seconds after the start; empty: it sends no more."""

    connection: int
    at: float
    sender: Side
    data: bytes


@dataclass(frozen=True)
class Recording:
    """``redacted``: secrets and bodies are overwritten; ``answered``: it has both directions."""

    pieces: tuple[Piece, ...]
    redacted: bool = False
    answered: bool = True

    def connections(self) -> Iterator[tuple[int, list[Piece]]]:
        """Each transport connection's pieces, in the order in which the connections began."""
        found: dict[int, list[Piece]] = {}
        for piece in self.pieces:
            found.setdefault(piece.connection, []).append(piece)
        yield from found.items()


class Writer:
    """Writes a recording, each piece at once."""

    def __init__(self, file: TextIO, *, redacted: bool) -> None:
        self._file = file
        self._write({"format": FORMAT, "version": VERSION, "redacted": redacted})

    def add(self, piece: Piece) -> None:
        text = base64.b64encode(piece.data).decode("ascii")
        line: dict[str, object] = {"connection": piece.connection, "at": round(piece.at, 6)}
        self._write(line | {"from": piece.sender, "bytes": text})

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_recording(path: str) -> Recording:
    """Read a file. Raises: ConfigError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from None
    if not content.startswith(b"{"):
        raw = Piece(1, 0.0, "web server", content)
        return Recording((raw, Piece(1, 0.0, "web server", b"")), answered=False)
    lines = content.split(b"\n")
    cut = lines.pop()  # empty, or a line that was being written
    try:
        heading = json.loads(lines[0] if lines else cut)
        if heading.get("format") != FORMAT:
            raise ValueError("it is no recording of gfcgi's")
        if heading.get("version") != VERSION:
            raise ValueError(f"version {heading.get('version')} is not known")
        pieces = tuple(_piece(json.loads(line)) for line in lines[1:])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        reason = error if isinstance(error, ValueError) else "a line is damaged"
        raise _refused(path, str(reason)) from None
    return Recording(pieces, redacted=bool(heading.get("redacted")))


def _piece(line: dict[str, Any]) -> Piece:
    sender: Side = "web server" if line["from"] == "web server" else "application"
    data = base64.b64decode(line["bytes"], validate=True)
    return Piece(int(line["connection"]), float(line["at"]), sender, data)


def _refused(path: str, reason: str) -> ConfigError:
    return ConfigError(f"{path}: {reason}", option="file", source="FILE")

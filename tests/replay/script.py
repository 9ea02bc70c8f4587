"""The corpus' text files: records that should not be, written so that a person can read them.

::

    # Why this is here, and what is to come of it.
    : max_concurrent_requests=1          the core's bounds, where they are not the default ones
    > BEGIN_REQUEST 1 role=1 flags=1     what the Web server sends: type, request id, fields
    > PARAMS 1 REQUEST_METHOD=GET        names in capitals make pairs
    > PARAMS 1
    > STDIN 1 text="name=value"          or hex=6e61, or fill=70000 (so many times an x)
    > 42 0                               a type by its number
    > STDIN 1 text=abc length=9          fields of the header: length, padding, version
    > bytes 01 05 00                     bytes as they are, in hex
    > eof                                the transport connection ends
    ! EndRequest 1                       what the application sends, after all before it was read
    < Stdin 1 'name=value'               what the core gives, see ``describe``

A line that starts with spaces goes on with the one before it.
"""

from __future__ import annotations

import shlex
import struct
from dataclasses import dataclass
from pathlib import Path

import webserver_side as wire

from gfcgi.protocol import ProtocolStatus, RecordType, Role

FOLDER = Path(__file__).parent.parent / "corpus" / "invalid"
FIELDS = {"text", "hex", "fill", "length", "padding", "version", "role", "flags", "four"}


@dataclass(frozen=True)
class Script:
    """One text file: ``steps`` are bytes received, an id to send END_REQUEST for, or None, EOF."""

    name: str
    bounds: dict[str, int]
    steps: list[bytes | int | None]
    expected: list[str]

    @property
    def content(self) -> bytes:
        """All that the Web server sends."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))


def scripts() -> list[Script]:
    """Every script of the corpus, by name."""
    return [read_script(path.stem, path.read_text("utf-8")) for path in sorted(FOLDER.iterdir())]


def read_script(name: str, text: str) -> Script:
    """Read one script."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            lines[-1] += line
        elif line and not line.startswith("#"):
            lines.append(line)
    script = Script(name, {}, [], [])
    for line in lines:
        mark, _, rest = line.partition(" ")
        words = shlex.split(rest)
        if mark == ":":
            script.bounds.update((key, int(value)) for key, value in (w.split("=") for w in words))
        elif mark == "<":
            script.expected.append(" ".join(rest.split()))
        elif mark == "!" and words[0] == "EndRequest":
            script.steps.append(int(words[1]))
        elif mark == ">" and words == ["eof"]:
            script.steps.append(None)
        elif mark == ">":
            content = read_record(words)
            if script.steps and isinstance(last := script.steps[-1], bytes):
                script.steps[-1] = last + content
            else:
                script.steps.append(content)
        else:
            raise ValueError(f"{name}: {line!r}")
    return script


def read_record(words: list[str]) -> bytes:
    """Build what a ``>`` line says, right or wrong."""
    if words[0] == "bytes":
        return bytes.fromhex("".join(words[1:]))
    kind = int(words[0]) if words[0].isdigit() else RecordType[words[0]].value
    request_id = int(words[1])
    fields: dict[str, str] = {}
    pairs = []
    for word in words[2:]:
        key, _, value = word.partition("=")
        if key in FIELDS:
            fields[key] = value
        else:
            pairs.append((key, value))
    if "hex" in fields:
        content = bytes.fromhex(fields["hex"])
    elif "fill" in fields:
        content = b"x" * int(fields["fill"])
    elif "role" in fields:
        content = struct.pack(">HB5x", int(fields["role"]), int(fields.get("flags", "0")))
    else:
        content = fields.get("text", "").encode("latin-1")
    content += wire.pairs(pairs, four="four" in fields)
    padding = int(fields.get("padding", "0"))
    header = struct.pack(
        ">BBHHBB",
        int(fields.get("version", "1")),
        kind,
        request_id,
        int(fields.get("length", len(content))),
        padding,
        0,
    )
    return header + content + b"\xee" * padding


def describe(event: tuple[object, ...]) -> str:
    """One of a Transcript's events as a ``<`` line has it."""
    match event:
        case ("BeginRequest", request_id, int(role), keep_conn, tuple(params), *repeated):
            words = [f"BeginRequest {request_id} {Role(role).name}"]
            words += ["keep_conn"] if keep_conn else []
            words += [f"{name}={value}" for name, value in params]
            words += [f"again:{name}={value}" for name, value in repeated]
            return " ".join(words)
        case (str(kind), int(request_id), bytes(content)):
            if not content:
                return f"{kind} {request_id} end"
            shown = repr(content)[1:] if len(content) < 80 else f"of {len(content)} bytes"
            return f"{kind} {request_id} {shown}"
        case ("error", str(dies), int(request_id), str(section), *more):
            which = f"{dies} {request_id}" if request_id else dies
            words = [f"error: {which} dies, §{section}"]
            for fact in more:
                words.append(ProtocolStatus(fact).name if isinstance(fact, int) else f"by {fact}")
            return ", ".join(words)
        case _:
            return " ".join(str(word) for word in event)

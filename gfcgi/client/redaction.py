"""Take secrets out of what crosses a transport connection, byte for byte, as it passes.

Secrets are overwritten with ``x``: every length stays, so that the records stay what they are.
Overwritten are the bodies in both directions (STDIN, DATA, STDOUT after its header block, STDERR),
the values of cookies and authorization and of every param and header whose name sounds like a
secret, and in all other values what follows a ``?``. So nobody has to know what an application
considers secret; what stays is how it was said.
"""

from __future__ import annotations

import re
from typing import Final

from gfcgi.protocol.records import HEADER, HEADER_BYTES, VERSION_1, RecordType

__all__ = ["Redactor"]

SECRET: Final = re.compile(
    rb"auth|cookie|cred|csrf|key|passw|query_string|remote_user|secret|session|signature|token",
    re.IGNORECASE,
)
HARMLESS: Final = frozenset({b"AUTH_TYPE", b"SERVER_SIGNATURE", b"HTTP_SEC_WEBSOCKET_KEY"})
X: Final = ord("x")
QUESTION_MARK: Final = ord("?")
NEWLINE: Final = ord("\n")
COLON: Final = ord(":")
KEPT_IN_VALUES: Final = frozenset(b"\r\n")


class Redactor:
    """One direction of one transport connection. Bytes that are not FastCGI are all overwritten."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._content_left = 0
        self._padding_left = 0
        self._type = 0
        self._request_id = 0
        self._broken = False
        self._params: dict[int, _Pairs] = {}
        self._heads: dict[int, _Head] = {}

    def redact(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return the next bytes, as long as they were, without what is secret."""
        out = bytearray(data)
        position = 0
        while position < len(out):
            if self._broken:
                out[position:] = b"x" * (len(out) - position)
                break
            if self._content_left:
                end = min(len(out), position + self._content_left)
                self._content_left -= end - position
                self._content(out, position, end)
            elif self._padding_left:
                end = min(len(out), position + self._padding_left)
                self._padding_left -= end - position
                out[position:end] = bytes(end - position)
            else:
                end = min(len(out), position + HEADER_BYTES - len(self._header))
                self._header += out[position:end]
                if len(self._header) == HEADER_BYTES:
                    self._begin_record()
            position = end
        return bytes(out)

    def _begin_record(self) -> None:
        version, self._type, self._request_id, length, padding = HEADER.unpack(self._header)
        self._header.clear()
        self._content_left, self._padding_left = length, padding
        self._broken = version != VERSION_1
        if self._type == RecordType.BEGIN_REQUEST:
            self._params[self._request_id] = _Pairs()
        elif self._type == RecordType.END_REQUEST:
            self._heads.pop(self._request_id, None)
        elif self._type == RecordType.PARAMS and not length:
            self._params.pop(self._request_id, None)

    def _content(self, out: bytearray, start: int, end: int) -> None:
        if self._type == RecordType.PARAMS:
            self._params.setdefault(self._request_id, _Pairs()).redact(out, start, end)
        elif self._type == RecordType.STDOUT:
            self._heads.setdefault(self._request_id, _Head()).redact(out, start, end)
        elif self._type in (RecordType.STDIN, RecordType.DATA, RecordType.STDERR):
            out[start:end] = b"x" * (end - start)


class _Pairs:
    """The name-value pairs of one request's PARAMS (§3.4), cut anywhere."""

    def __init__(self) -> None:
        self._lengths = bytearray()
        self._sizes: list[int] = []
        self._name = bytearray()
        self._value_left = 0
        self._secret = False
        self._query = False

    def redact(self, out: bytearray, start: int, end: int) -> None:
        for position in range(start, end):
            if self._value_left:
                self._value_left -= 1
                if self._secret or self._query:
                    out[position] = X
                self._query = self._query or out[position] == QUESTION_MARK
            elif len(self._sizes) < 2:
                self._length(out[position])
            else:
                self._name.append(out[position])
            if len(self._sizes) == 2 and len(self._name) == self._sizes[0] and self._sizes:
                self._begin_value()

    def _length(self, byte: int) -> None:
        self._lengths.append(byte)
        if self._lengths[0] < 128:
            self._sizes.append(self._lengths[0])
            self._lengths.clear()
        elif len(self._lengths) == 4:
            self._sizes.append(int.from_bytes(self._lengths, "big") & 0x7FFF_FFFF)
            self._lengths.clear()

    def _begin_value(self) -> None:
        name = bytes(self._name)
        self._value_left = self._sizes[1]
        self._secret = _is_secret(name)
        self._query = False
        self._sizes.clear()
        self._name.clear()


class _Head:
    """The header block of one response, cut anywhere; all that follows it is the body."""

    def __init__(self) -> None:
        self._name = bytearray()
        self._in_value = False
        self._in_body = False
        self._secret = False
        self._query = False

    def redact(self, out: bytearray, start: int, end: int) -> None:
        for position in range(start, end):
            byte = out[position]
            if self._in_body:
                out[position:end] = b"x" * (end - position)
                return
            if byte == NEWLINE:
                self._in_body = not self._in_value and not self._name.strip(b"\r")
                self._in_value = self._query = False
                self._name.clear()
            elif not self._in_value:
                if byte == COLON:
                    self._in_value = True
                    self._secret = _is_secret(bytes(self._name))
                else:
                    self._name.append(byte)
            elif byte not in KEPT_IN_VALUES:
                if self._secret or self._query:
                    out[position] = X
                self._query = self._query or byte == QUESTION_MARK


def _is_secret(name: bytes) -> bool:
    return name not in HARMLESS and SECRET.search(name) is not None
